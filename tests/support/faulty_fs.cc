#include "support/faulty_fs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <sstream>

#include <fmt/format.h>

namespace ntt::test {
namespace fs = std::filesystem;
namespace {

constexpr int kCannotMount = 69;  // exit code of faulty_fs
constexpr auto kPatience = std::chrono::seconds(20);

int milliseconds_until(std::chrono::steady_clock::time_point end) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

// As mountinfo writes paths: blanks, tabs, newlines and backslashes in octal.
std::string in_mountinfo(const std::string& path) {
    std::string out;
    for (const char c : path) out += std::strchr(" \t\n\\", c) != nullptr ? fmt::format("\\{:03o}", c) : std::string(1, c);
    return out;
}

// Readable when the process has ended. The header of glibc 2.36 declares pidfd_open for C alone.
Fd end_of(pid_t process) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0))); }

// Nothing if it does not end in time.
std::optional<int> wait_status(pid_t child) {
    const Fd handle = end_of(child);
    pollfd end{handle.raw(), POLLIN, 0};
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    while (::poll(&end, 1, milliseconds_until(limit)) < 0 && errno == EINTR) {
    }
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) != child) return std::nullopt;
    return status;
}

}  // namespace

FaultyFs::FaultyFs(std::string source_dir) : source_dir_(std::move(source_dir)) {
    const fs::path dir = fs::canonical(dir_.path());  // as the mount table has it
    mount_point_ = dir / "mount";
    control_ = dir / "control";
    said_ = dir / "said";
    fs::create_directory(mount_point_);
    behave("");
}

FaultyFs::~FaultyFs() {
    // The connection is aborted first, while its number cannot be another's yet. Its file is not everywhere; a forced unmount
    // does the same for root, and the death of the server for everybody.
    if (is_mounted()) {
        const Fd abort(::open(fmt::format("/sys/fs/fuse/connections/{}/abort", connection_).c_str(), O_WRONLY | O_CLOEXEC));
        if (abort.valid() && ::write(abort.raw(), "1", 1) != 1) std::perror("abort a connection of FUSE");
    }
    if (!connection_.empty() && ::umount2(mount_point_.c_str(), MNT_FORCE | MNT_DETACH) != 0 && errno == EPERM)
        sh("fusermount3 -u -z " + shell_quoted(mount_point_));
    kill_server();
    std::fputs(read_file(said_).c_str(), stderr);
}

bool FaultyFs::cannot(const std::string& why) {
    why_not_ = why;
    return false;
}

bool FaultyFs::start() {
    NTT_CHECK(server_ < 0, "a FaultyFs is started once");
    const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!device.valid()) return cannot(fmt::format("/dev/fuse: {}", std::strerror(errno)));

    // Opened before the server starts, so that poll tells of its mount.
    const Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    int raw_pipe[2] = {-1, -1};
    NTT_CHECK(mounts.valid() && ::pipe2(raw_pipe, O_CLOEXEC) == 0, "cannot start faulty_fs");
    const Fd input(raw_pipe[0]);
    lifeline_ = Fd(raw_pipe[1]);

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input.raw(), STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, said_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    // A group of its own: Ctrl-C ends the test, and then the server takes its mount away.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::string program = NTT_FAULTY_FS_PROGRAM, source = source_dir_;
    const std::array<char*, 5> words = {program.data(), source.data(), mount_point_.data(), control_.data(), nullptr};
    const int failed = ::posix_spawn(&server_, program.c_str(), &files, &attributes, words.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    NTT_CHECK(failed == 0, "faulty_fs is not built");

    const Fd server = end_of(server_);
    NTT_CHECK(server.valid(), "pidfd_open in a test");
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    while (!is_mounted()) {
        std::array<pollfd, 2> events = {pollfd{mounts.raw(), POLLPRI, 0}, pollfd{server.raw(), POLLIN, 0}};
        const int left = milliseconds_until(limit);
        ::poll(events.data(), events.size(), left);
        if (left == 0) {
            ADD_FAILURE() << "faulty_fs did not mount in time";
            return cannot("faulty_fs did not mount in time");
        }
        if (events[1].revents == 0) continue;
        const std::optional<int> status = wait_status(std::exchange(server_, -1));
        std::string said = read_file(said_);
        write_file(said_, "");
        said.erase(said.find_last_not_of('\n') + 1);
        EXPECT_TRUE(status && WIFEXITED(*status) && WEXITSTATUS(*status) == kCannotMount) << "faulty_fs did not start: " << said;
        return cannot("cannot mount: " + said);
    }
    return true;
}

bool FaultyFs::is_mounted() {
    std::istringstream lines(read_file("/proc/self/mountinfo"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string id, parent, device, root, place;
        if (!(words >> id >> parent >> device >> root >> place) || place != in_mountinfo(mount_point_)) continue;
        connection_ = device.substr(device.find(':') + 1);
        return true;
    }
    return false;
}

void FaultyFs::behave(const std::string& rules) {
    // The number makes the text another one also when the rules are the same.
    write_file(control_ + ".new", fmt::format("# {}\nlog\n{}\n", ++behaviours_, rules));
    fs::rename(control_ + ".new", control_);
}

std::vector<FaultyFs::Read> FaultyFs::reads() const {
    std::vector<Read> out;
    std::string text = read_file(control_ + ".log");
    text.resize(text.rfind('\n') + 1);  // a line that is just being written may be there in part
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        Read read;
        std::string result;
        words >> read.offset >> read.size >> result >> std::ws;
        NTT_CHECK(std::getline(words, read.path), "a line of faulty_fs");
        if (result != "-") read.result = std::stoll(result);
        out.push_back(std::move(read));
    }
    return out;
}

size_t FaultyFs::reads_of(const std::string& path) const {
    size_t n = 0;
    for (const Read& read : reads()) n += read.path == path ? 1u : 0u;
    return n;
}

void FaultyFs::kill_server() {
    if (server_ < 0) return;
    ::kill(server_, SIGKILL);
    EXPECT_TRUE(wait_status(server_)) << "faulty_fs does not die";
    server_ = -1;
}

}  // namespace ntt::test
