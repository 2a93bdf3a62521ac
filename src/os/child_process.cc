#include "os/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ntt {
namespace {

constexpr int kMillisecondsToEnd = 500;
constexpr size_t kMaxWords = 4096;
constexpr std::array kKeptVariables = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"};

// What posix_spawn takes; freed on every way out.
struct SpawnPlan {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    SpawnPlan() {
        posix_spawn_file_actions_init(&files);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

std::vector<char*> c_strings(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

// The last line of what a pipe holds now.
std::string last_words(const Fd& pipe) {
    std::string text(kMaxWords, '\0');
    const ssize_t n = ::read(pipe.raw(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t line = text.rfind('\n');
    return to_terminal_text(line == std::string::npos ? text : text.substr(line + 1));
}

// Whether it died before the time was up; else it is the kernel's to reap when we are gone.
bool kill_and_reap(pid_t pid, int& status) {
    ::kill(pid, SIGKILL);
    for (int waited = 0; waited < kSecondsToDie * 1000; ++waited) {
        const pid_t gone = ::waitpid(pid, &status, WNOHANG);
        if (gone == pid || (gone < 0 && errno != EINTR)) return gone == pid;
        ::poll(nullptr, 0, 1);
    }
    return false;
}

}  // namespace

std::string ChildEnd::text() const {
    std::string out = signal != 0        ? fmt::format("killed by signal {} ({})", signal, strsignal(signal))
                      : exit_code != -1 ? fmt::format("ended with exit code {}", exit_code)
                                        : "ended";
    return words.empty() ? out : out + ": " + words;
}

Result<ChildProcess> ChildProcess::start(const std::string& program) {
    TRY_ASSIGN(auto ends, Channel::pair());
    int raw_pipe[2] = {-1, -1};
    if (::pipe2(raw_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return errno_error(errno, "make a pipe");
    Fd words(raw_pipe[0]);
    const Fd says(raw_pipe[1]);
    // dup2 onto itself would leave a descriptor closed on exec: both ends are moved out of the way of their places first.
    const Fd channel_end(::fcntl(ends.second.socket().raw(), F_DUPFD_CLOEXEC, kChildChannelFd + 1));
    const Fd words_end(::fcntl(says.raw(), F_DUPFD_CLOEXEC, kChildChannelFd + 1));
    if (!channel_end.valid() || !words_end.valid()) return errno_error(errno, "start " + program);

    SpawnPlan plan;
    posix_spawn_file_actions_addopen(&plan.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&plan.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&plan.files, words_end.raw(), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&plan.files, channel_end.raw(), kChildChannelFd);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGALRM}) sigaddset(&defaults, number);
    posix_spawnattr_setsigmask(&plan.attributes, &none);
    posix_spawnattr_setsigdefault(&plan.attributes, &defaults);
    posix_spawnattr_setpgroup(&plan.attributes, 0);
    posix_spawnattr_setflags(&plan.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    std::vector<std::string> environment;
    for (const char* name : kKeptVariables)
        if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, program.c_str(), &plan.files, &plan.attributes, c_strings({program}).data(),
                                     c_strings(environment).data());
    if (failed != 0) return errno_error(failed, "start " + program);
    return ChildProcess(pid, std::move(ends.first), std::move(words));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), channel_(std::move(other.channel_)), words_(std::move(other.words_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(channel_, other.channel_);
    std::swap(words_, other.words_);
    return *this;
}

ChildProcess::~ChildProcess() {
    int status = 0;
    if (pid_ >= 0) kill_and_reap(pid_, status);
}

ChildEnd ChildProcess::end() {
    ChildEnd out;
    if (pid_ < 0) return out;
    int status = 0;
    pid_t gone = 0;
    // Whoever has hung up is on its way out; whoever has not is not waited for.
    pollfd hung_up{channel_.socket().raw(), POLLRDHUP, 0};
    const bool leaving = ::poll(&hung_up, 1, 0) > 0;
    for (int waited = 0; leaving && gone == 0 && waited < kMillisecondsToEnd; ++waited) {
        gone = ::waitpid(pid_, &status, WNOHANG);
        if (gone == 0) ::poll(nullptr, 0, 1);
    }
    const bool by_itself = gone == pid_;
    if (!by_itself) kill_and_reap(pid_, status);
    pid_ = -1;
    if (by_itself && WIFEXITED(status)) out.exit_code = WEXITSTATUS(status);
    if (by_itself && WIFSIGNALED(status)) out.signal = WTERMSIG(status);
    out.words = last_words(words_);
    return out;
}

}  // namespace ntt
