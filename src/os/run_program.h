// A short-lived program of others: what it prints, how it ends, never longer than it may take.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace ntt {

struct ProgramRun {
    int exit_code = -1;  // -1: it was killed by a signal
    std::string out;     // stdout, at most kMaxProgramOutput bytes
    std::string words;   // the last line of stderr, fit for a terminal
};
inline constexpr size_t kMaxProgramOutput = size_t{1} << 20;

// Runs `command` (an absolute path, then arguments) with no input, a clean environment and a process group of its own, without a
// shell. Errors: not_found and the like where it cannot be started, io with ETIMEDOUT when the time was up (it got SIGTERM, then SIGKILL; one
// that the kernel does not let go is left behind), limit when it prints too much.
Result<ProgramRun> run_program(const std::vector<std::string>& command, std::chrono::milliseconds limit);

}  // namespace ntt
