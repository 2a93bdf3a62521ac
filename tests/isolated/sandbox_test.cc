// What a process can still do once it has locked itself in, and what it cannot.
#include <csignal>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/support.h"

namespace ntt::test {
namespace {

// "could", "refused", or the signal that ended it.
std::string attempt(const std::string& what) {
    const TempDir dir;
    const int exit = sh(fmt::format("{} {} {}", NTT_SANDBOXED_ATTEMPT, what, shell_quoted(dir / "file"))).exit;
    if (exit > 128) return fmt::format("signal {}", exit - 128);
    return exit == 0 ? "could" : exit == 1 ? "refused" : fmt::format("exit {}", exit);
}

TEST(Sandbox, what_is_open_can_be_read_and_memory_can_be_had) {
    EXPECT_EQ(attempt("nothing"), "could");
    EXPECT_EQ(attempt("read_an_open_file"), "could");
    EXPECT_EQ(attempt("allocate"), "could");
}

TEST(Sandbox, files_and_executable_memory_are_refused_and_the_process_goes_on) {
    EXPECT_EQ(attempt("open_a_file"), "refused");
    EXPECT_EQ(attempt("make_a_file"), "refused");
    EXPECT_EQ(attempt("executable_memory"), "refused");
}

TEST(Sandbox, everything_else_ends_the_process_at_once) {
    const std::string killed = fmt::format("signal {}", SIGSYS);
    for (const char* what : {"unlink", "connect", "fork", "exec", "kill_parent", "duplicate_a_file", "grow_an_open_file"})
        EXPECT_EQ(attempt(what), killed) << what;
}

TEST(Sandbox, memory_and_time_have_limits) {
#ifndef __SANITIZE_ADDRESS__  // which has a limit of its own, and stops at it
    EXPECT_EQ(attempt("more_memory_than_allowed"), "refused");
#endif
    EXPECT_THAT(attempt("more_time_than_allowed"), testing::AnyOf(fmt::format("signal {}", SIGXCPU), fmt::format("signal {}", SIGKILL)));
}

}  // namespace
}  // namespace ntt::test
