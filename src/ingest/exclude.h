// Patterns of names that are not worth keeping. They mark, never drop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace ntt {

// POSIX extended regular expressions, one a line, matched anywhere in the path's raw bytes; empty lines and lines that
// begin with '#' are skipped. Immutable; copies share the compiled patterns.
class ExcludePatterns {
public:
    // invalid_argument with the line's number for a pattern that does not compile.
    static Result<ExcludePatterns> parse(const std::string& text);

    bool empty() const { return patterns_.empty(); }
    bool matches(const std::string& path) const;

private:
    struct Pattern;
    std::vector<std::shared_ptr<const Pattern>> patterns_;
};

}  // namespace ntt
