// Where a command prints: stdout, or a buffer of a test.
#pragma once

#include <cstdio>
#include <string_view>

#include "base/result.h"
#include "report/json.h"

namespace ntt {

// Buffered, for one thread. A failed write is an Error with its errno; EPIPE (the reader has gone) is for the caller to
// take as a wish to stop, not as a failure: see reader_gone().
class Output {
public:
    explicit Output(std::FILE* file) : file_(file) {}

    Result<void> text(std::string_view bytes);
    // One object on one line: JSON Lines.
    Result<void> json(const Json& object);
    Result<void> flush();
    // For commands whose work matters more than what they print: once the reader has gone, the rest is not printed, and
    // that is no failure.
    void outlive_reader() { outlives_reader_ = true; }

private:
    Result<void> failed();

    std::FILE* file_;
    bool outlives_reader_ = false, reader_is_gone_ = false;
};

bool reader_gone(const Error& error);

}  // namespace ntt
