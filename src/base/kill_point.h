// Named places where a test may kill the process, to see that what is left can be continued.
#pragma once

#include <string_view>

namespace ntt {

// Does nothing unless the environment variable NTT_KILL_AT is "NAME" or "NAME:N": then the Nth (default first) passing
// of the point NAME ends the process with SIGKILL, as a power cut to it would. Thread-safe; costs one load otherwise.
void kill_point(std::string_view name);

}  // namespace ntt
