#include "timed_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/bytes.h"
#include "os/env.h"

namespace ntt::mount_helper {
namespace {

constexpr int kPollMilliseconds = 100;  // how late an interrupt may be noticed
constexpr auto kTimeToDie = std::chrono::seconds(2);

volatile sig_atomic_t interrupt_seen = 0;

void note_interrupt(int) { interrupt_seen = 1; }

void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned next = STDERR_FILENO + 1;
    for (const int fd : kept) {
        const auto number = static_cast<unsigned>(fd);
        if (number > next) ::syscall(SYS_close_range, next, number - 1, 0);
        next = std::max(next, number + 1);
    }
    ::syscall(SYS_close_range, next, ~0U, 0);
}

[[noreturn]] void be_child(const ChildTask& task, pid_t parent, int report_fd) {
    ::setpgid(0, 0);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) ::dup2(null, STDIN_FILENO);
    ::dup2(report_fd, STDOUT_FILENO);
    ::dup2(report_fd, STDERR_FILENO);
    std::vector<int> kept = task.kept_fds;
    kept.push_back(report_fd);
    // Above all the lock: a child that cannot be killed must not hold it.
    close_all_but(std::move(kept));
    ::_exit(task.run(report_fd));
}

// Appends what the pipe holds now.
void drain(const Fd& pipe, std::string& out) {
    char chunk[4096];
    while (out.size() <= kMaxReportBytes) {
        const ssize_t n = ::read(pipe.raw(), chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        out.append(chunk, static_cast<size_t>(n));
    }
}

// Waits for the child's end, reading its report meanwhile; false when something else happens first.
bool wait_for_end(const Fd& child, const Fd& pipe, std::string& report, Clock::time_point deadline, OnInterrupt on_interrupt) {
    bool pipe_open = true;
    while (report.size() <= kMaxReportBytes && (on_interrupt == OnInterrupt::go_on || !interrupted())) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        pollfd waited[] = {{child.raw(), POLLIN, 0}, {pipe_open ? pipe.raw() : -1, POLLIN, 0}};
        if (::poll(waited, 2, static_cast<int>(std::min<decltype(left)>(left, kPollMilliseconds))) < 0) continue;
        drain(pipe, report);
        if ((waited[1].revents & (POLLHUP | POLLERR)) != 0) pipe_open = false;
        if (waited[0].revents != 0) return report.size() <= kMaxReportBytes;
    }
    return false;
}

// False if it does not die.
bool kill_child(pid_t pid, const Fd& child) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
    const auto deadline = Clock::now() + kTimeToDie;
    pollfd waited{child.raw(), POLLIN, 0};
    while (Clock::now() < deadline)
        if (::poll(&waited, 1, kPollMilliseconds) > 0) {
            ::waitpid(pid, nullptr, 0);
            return true;
        }
    return false;
}

}  // namespace

bool interrupted() { return interrupt_seen != 0; }

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
}

Result<ChildReport> run_in_child(const ChildTask& task) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    const Fd pipe(ends[0]);
    Fd report_end(ends[1]);
    if (::fcntl(pipe.raw(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "make a pipe");

    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "start a process for " + task.what);
    if (pid == 0) be_child(task, parent, report_end.raw());
    ::setpgid(pid, pid);  // both do it: whoever comes first
    report_end.reset();
    const Fd child(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));

    ChildReport out;
    if (!child.valid() || !wait_for_end(child, pipe, out.bytes, task.deadline, task.on_interrupt)) {
        const bool dead = child.valid() && kill_child(pid, child);
        const char* fate = dead ? "" : " (its process cannot be killed and is left behind)";
        if (out.bytes.size() > kMaxReportBytes)
            return make_error(ErrorCode::parser_crash, fmt::format("{} said too much{}", task.what, fate));
        if (task.on_interrupt == OnInterrupt::stop && interrupted())
            return make_error(ErrorCode::cancelled, fmt::format("interrupted during {}{}", task.what, fate));
        return make_error(ErrorCode::parser_timeout, fmt::format("{} did not end within its time limit{}", task.what, fate));
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    drain(pipe, out.bytes);
    if (WIFSIGNALED(status))
        return make_error(ErrorCode::parser_crash, fmt::format("{} was ended by signal {} ({})", task.what, WTERMSIG(status),
                                                               strsignal(WTERMSIG(status))));
    out.exit_code = WEXITSTATUS(status);
    return out;
}

std::string last_line(std::string_view said) {
    while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.remove_suffix(1);
    const size_t line = said.rfind('\n');
    return to_terminal_text(line == std::string_view::npos ? said : said.substr(line + 1));
}

}  // namespace ntt::mount_helper
