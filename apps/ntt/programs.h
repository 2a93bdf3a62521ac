// Where the other programs of the project are.
#pragma once

#include <string>

#include "base/result.h"
#include "cli.h"

namespace ntt::cli {

// The path of a program that is installed with ntt: beside ntt itself, then in libexec, then in PATH. not_found if it is
// nowhere.
Result<std::string> find_program(const Io& io, const std::string& name);

}  // namespace ntt::cli
