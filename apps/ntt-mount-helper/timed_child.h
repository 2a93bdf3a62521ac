// Work that may hang or crash, in a child process with a time limit.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ntt::mount_helper {

using Clock = std::chrono::steady_clock;

// Whether SIGINT, SIGTERM or SIGHUP has come. catch_interrupts() makes them be noted instead of ending the process.
bool interrupted();
void catch_interrupts();

enum class OnInterrupt { stop, go_on };  // go_on: for putting things in order, which must not be left half done

struct ChildTask {
    std::string what;           // for messages: "the search for filesystems"
    std::vector<int> kept_fds;  // of the parent's files the child keeps these
    // Runs in the child, which ends with the exit code that it returns. What it writes to the file descriptor is the
    // child's report. It may exec: stdout and stderr are the report too then, for whoever says why it fails.
    std::function<int(int report_fd)> run;
    Clock::time_point deadline;
    OnInterrupt on_interrupt = OnInterrupt::stop;
};

struct ChildReport {
    int exit_code = 0;
    std::string bytes;  // at most kMaxReportBytes
};
inline constexpr size_t kMaxReportBytes = 64 << 10;

// Errors: parser_timeout when the deadline passes, parser_crash when a signal ends the child or its report is too long,
// cancelled when interrupted. In each case the child, and what it has started, is killed; one that cannot be killed (it
// waits in the kernel for a disk) is left behind after a moment, and the message says so. The child dies with the helper.
Result<ChildReport> run_in_child(const ChildTask& task);

// The last line of what a program said, fit for a terminal.
std::string last_line(std::string_view said);

}  // namespace ntt::mount_helper
