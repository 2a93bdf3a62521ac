#include "os/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/bytes.h"
#include "os/env.h"

namespace ntt {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kTimeToEnd = std::chrono::seconds(5);  // after SIGTERM, and after SIGKILL
constexpr size_t kMaxWords = 64 << 10;
constexpr const char* kPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

struct Pipe {
    Fd reads, writes;
    static Result<Pipe> make() {
        int raw[2] = {-1, -1};
        if (::pipe2(raw, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
        return Pipe{Fd(raw[0]), Fd(raw[1])};
    }
};

Result<pid_t> spawn(const std::vector<std::string>& command, const Fd& out, const Fd& err) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out.raw(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err.raw(), STDERR_FILENO);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGALRM}) sigaddset(&defaults, number);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    std::array<char*, 3> environment = {const_cast<char*>(kPath), const_cast<char*>("LC_ALL=C"), nullptr};
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, command.front().c_str(), &files, &attributes, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0) return errno_error(failed, "start " + command.front());
    return pid;
}

std::string last_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t line = text.rfind('\n');
    return to_terminal_text(line == std::string::npos ? text : text.substr(line + 1));
}

// Appends what is there; false at the end.
bool take(const Fd& pipe, std::string& text) {
    std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
    const ssize_t n = ::read(pipe.raw(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    text.append(buffer.data(), static_cast<size_t>(n));
    return true;
}

bool reap(pid_t pid, int& status, SteadyClock::time_point until) {
    for (;;) {
        const pid_t gone = ::waitpid(pid, &status, WNOHANG);
        if (gone == pid) return true;
        if (gone < 0 && errno != EINTR) return false;
        if (SteadyClock::now() >= until) return false;
        ::poll(nullptr, 0, 2);
    }
}

// Its whole group: a program that started others takes them along.
void stop(pid_t pid) {
    int status = 0;
    ::kill(-pid, SIGTERM);
    if (reap(pid, status, SteadyClock::now() + kTimeToEnd)) return;
    ::kill(-pid, SIGKILL);
    reap(pid, status, SteadyClock::now() + kTimeToEnd);
}

}  // namespace

Result<ProgramRun> run_program(const std::vector<std::string>& command, std::chrono::milliseconds limit) {
    NTT_CHECK(!command.empty(), "a program without a name");
    TRY_ASSIGN(Pipe out, Pipe::make());
    TRY_ASSIGN(Pipe err, Pipe::make());
    TRY_ASSIGN(const pid_t pid, spawn(command, out.writes, err.writes));
    out.writes.reset();
    err.writes.reset();
    const auto deadline = SteadyClock::now() + limit;
    ProgramRun run;
    std::string words;
    std::array<pollfd, 2> waits = {pollfd{out.reads.raw(), POLLIN, 0}, pollfd{err.reads.raw(), POLLIN, 0}};
    // A grandchild may keep a pipe open for longer than the program lives: its end is what counts.
    int status = 0;
    bool ended = false;
    while (!ended) {
        const bool all_closed = waits[0].fd < 0 && waits[1].fd < 0;
        const int ready = ::poll(waits.data(), waits.size(), all_closed ? 2 : 20);
        for (pollfd& wait : waits) {
            if (ready <= 0 || wait.revents == 0 || wait.fd < 0) continue;
            if (!take(&wait == waits.data() ? out.reads : err.reads, &wait == waits.data() ? run.out : words)) wait.fd = -1;
        }
        if (words.size() > kMaxWords) words.erase(0, words.size() - kMaxWords);
        if (run.out.size() > kMaxProgramOutput) {
            stop(pid);
            return make_error(ErrorCode::limit, command.front() + " prints too much");
        }
        const bool quiet = ready == 0 || all_closed;
        if (quiet) ended = ::waitpid(pid, &status, WNOHANG) == pid;
        if (!ended && SteadyClock::now() >= deadline) {
            stop(pid);
            return errno_error(ETIMEDOUT, "wait for " + command.front());
        }
    }
    // What it said last may have come between the last look and its end.
    for (pollfd& wait : waits)
        while (wait.fd >= 0 && ::poll(&wait, 1, 0) > 0 && run.out.size() <= kMaxProgramOutput)
            if (!take(&wait == waits.data() ? out.reads : err.reads, &wait == waits.data() ? run.out : words)) break;
    if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
    run.words = last_line(std::move(words));
    return run;
}

}  // namespace ntt
