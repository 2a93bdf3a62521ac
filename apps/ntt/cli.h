// The whole command line in one call, so that tests run commands in their own process.
#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "os/env.h"

namespace ntt::cli {

// What a command sees of the world. The streams must outlive the call.
struct Io {
    std::FILE* out = stdout;
    std::FILE* err = stderr;
    bool out_is_terminal = false;
    bool err_is_terminal = false;
    std::function<std::optional<std::string>(const std::string& name)> variable;  // of the environment
    CancelToken& cancel;
    Env& env;
    const Clock& clock;
};

// Runs `ntt ARGS…` (args without the program's name; raw bytes) and returns the exit code of the contract.
int run(const std::vector<std::string>& args, Io& io);

}  // namespace ntt::cli
