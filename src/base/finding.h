// A finding is a fact about damage in the evidence: our normal input. Reading goes on after it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ntt {

// `code` is a stable lower_snake_case word; `evidence` is a JSON object as text ("{}" if there is none).
// A finding on the whole medium has volume 0; one on a whole volume has no ino.
struct Finding {
    std::string code;
    std::string message;
    std::string evidence = "{}";
    int volume = 0;
    std::optional<int64_t> ino;
};

// Takes findings as they are made. Called from the thread that reads; must not throw.
class FindingSink {
public:
    virtual ~FindingSink() = default;
    virtual void add(Finding finding) = 0;
};

}  // namespace ntt
