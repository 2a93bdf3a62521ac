// Always-on checks for our own mistakes. Damage in an image is never a reason to get here.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ntt {

[[noreturn]] inline void check_failed(const char* condition, const char* reason, const char* file, int line) {
    std::fprintf(stderr, "ntt: internal error: %s (%s) at %s:%d\n", reason, condition, file, line);
    std::abort();
}

}  // namespace ntt

// Aborts with `reason` when `condition` does not hold; stays in release builds.
#define NTT_CHECK(condition, reason) \
    ((condition) ? static_cast<void>(0) : ::ntt::check_failed(#condition, reason, __FILE__, __LINE__))
