// Work in a child that hangs, crashes or says too much is an error, never ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "support/support.h"
#include "timed_child.h"

namespace ntt::mount_helper {
namespace {

using ::testing::HasSubstr;

ChildTask task_of(std::function<int(int)> run, std::chrono::milliseconds limit = std::chrono::seconds(60)) {
    ChildTask task;
    task.what = "the work";
    task.run = std::move(run);
    task.deadline = Clock::now() + limit;
    return task;
}

TEST(TimedChild, ReportAndExitCodeComeBack) {
    ASSERT_OK_ASSIGN(const ChildReport report,
                     run_in_child(task_of([](int fd) { return ::write(fd, "found", 5) == 5 ? 7 : 1; })));
    EXPECT_EQ(report.exit_code, 7);
    EXPECT_EQ(report.bytes, "found");
}

TEST(TimedChild, OneThatHangsIsKilledWithWhatItStarted) {
    const test::TempDir dir;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ChildTask task = task_of(
        [](int) -> int {
            ::fork();
            for (;;) ::pause();
        },
        std::chrono::milliseconds(200));
    task.kept_fds = {ends[1]};
    const Result<ChildReport> report = run_in_child(task);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::parser_timeout);
    EXPECT_THAT(report.error().message, HasSubstr("the work did not end within its time limit"));
    // End of file: both of them are gone.
    ::close(ends[1]);
    char byte = 0;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0);
    ::close(ends[0]);
}

TEST(TimedChild, OneThatCrashesIsNamedWithItsSignal) {
    const Result<ChildReport> report = run_in_child(task_of([](int) -> int {
        ::raise(SIGKILL);
        return 0;
    }));
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::parser_crash);
    EXPECT_THAT(report.error().message, HasSubstr("signal 9"));
}

TEST(TimedChild, OneThatSaysTooMuchIsKilled) {
    const Result<ChildReport> report = run_in_child(task_of([](int fd) -> int {
        const std::string chunk(4096, 'x');
        while (::write(fd, chunk.data(), chunk.size()) > 0) {
        }
        return 0;
    }));
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::parser_crash);
    EXPECT_THAT(report.error().message, HasSubstr("said too much"));
}

TEST(TimedChild, KeepsNoFileButThoseItIsGiven) {
    const int kept = ::open("/dev/null", O_RDONLY), other = ::open("/dev/null", O_RDONLY);
    ASSERT_GE(kept, 0);
    ASSERT_GE(other, 0);
    ChildTask task = task_of([&](int) { return (::fcntl(kept, F_GETFD) >= 0 ? 1 : 0) + (::fcntl(other, F_GETFD) >= 0 ? 2 : 0); });
    task.kept_fds = {kept};
    ASSERT_OK_ASSIGN(const ChildReport report, run_in_child(task));
    EXPECT_EQ(report.exit_code, 1);
    ::close(kept);
    ::close(other);
}

TEST(TimedChild, LastLineIsFitForATerminal) {
    EXPECT_EQ(last_line("one\ntwo\n"), "two");
    EXPECT_EQ(last_line(""), "");
    EXPECT_EQ(last_line("a\x1b[2J"), "a\xEF\xBF\xBD[2J");
}

}  // namespace
}  // namespace ntt::mount_helper
