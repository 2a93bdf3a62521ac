// A filesystem that fails on request: shows a folder read-only, and lets chosen files fail as bad media, loose cables and dead
// servers do. Nothing is cached: each read(2), stat(2) and open(2) comes here, a read of more than 1 MiB in several pieces.
//
// usage: faulty_fs SOURCE MOUNTPOINT CONTROL
//   CONTROL  a file outside of the mount that holds the rules, one a line: BEHAVIOUR GLOB [ARGUMENT…]. It is read again at each
//            operation; replace it with rename(2). Counting begins anew when its text changes. Empty lines and those that begin
//            with # say nothing; the line `log` has every read appended to CONTROL.log: OFFSET SIZE RESULT PATH, with RESULT
//            the bytes that were read, -errno, or - where no answer comes.
//   GLOB     for paths below SOURCE such as dir/name; the root is "."; * matches / too; a ? stands for a blank in a name.
//            The first rule that matches the path wins; for a listing, the first of opendir_eio and enoent, and for all else
//            the first but opendir_eio.
//
// Rules about reads:
//   eio_once GLOB                 the first read of each path fails with EIO
//   eio GLOB                      all fail with EIO
//   eio_range GLOB OFFSET LENGTH  those that touch the range fail with EIO
//   eperm GLOB                    all fail with EPERM; opening works
//   short GLOB OFFSET             the file ends there, whatever its size says
//   slow GLOB BYTES_PER_SECOND    takes its time
//   hang GLOB                     no answer, until the reader is killed or this program
//   die GLOB                      the program ends: no answer, and ENOTCONN from then on
//   count GLOB N ERRNO            the first N reads of each path fail, with an errno such as ETIMEDOUT
// Rules about more:
//   enoent GLOB                   there is no such thing: stat, open, listing and reading fail; the folder above lists its name
//   opendir_eio GLOB              listing the folder fails with EIO
//
// It ends, and takes the mount away, when its standard input ends: nothing is left behind by a test that is killed.
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// Exit codes. ../faulty_fs.cc knows kCannotMount.
constexpr int kWrongUsage = 64, kCannotMount = 69, kWrongRule = 99;
// Each read that hangs or is slow holds one.
constexpr unsigned kThreads = 100;
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);

struct Rule {
    std::string behaviour, glob;
    uint64_t first = 0, second = 0;  // the numbers of the line
    int sys_errno = EIO;
};

struct Rules {
    std::vector<Rule> rules;
    bool log = false;
};

[[noreturn]] void refuse(const std::string& line) {
    std::fprintf(stderr, "faulty_fs: what is \"%s\"?\n", line.c_str());
    _exit(kWrongRule);
}

std::optional<int> errno_named(const std::string& name) {
    for (int number = 1; number < 200; ++number)
        if (const char* known = ::strerrorname_np(number); known != nullptr && name == known) return number;
    return std::nullopt;
}

Rule parse_rule(const std::string& line) {
    // How many numbers follow the glob. count has a name behind its number.
    static const std::map<std::string, int> kNumbers = {{"eio_once", 0}, {"eio", 0},    {"eio_range", 2},  {"eperm", 0},
                                                        {"short", 1},    {"slow", 1},   {"hang", 0},       {"die", 0},
                                                        {"count", 1},    {"enoent", 0}, {"opendir_eio", 0}};
    std::istringstream words(line);
    Rule rule;
    if (!(words >> rule.behaviour >> rule.glob)) refuse(line);
    const auto numbers = kNumbers.find(rule.behaviour);
    if (numbers == kNumbers.end()) refuse(line);
    if (numbers->second >= 1 && !(words >> rule.first)) refuse(line);
    if (numbers->second >= 2 && !(words >> rule.second)) refuse(line);
    if (rule.behaviour == "slow" && rule.first == 0) refuse(line);
    if (rule.behaviour == "eio_range" && rule.first + rule.second <= rule.first) refuse(line);
    if (rule.behaviour == "count") {
        std::string name;
        words >> name;
        const auto number = errno_named(name);
        if (!number) refuse(line);
        rule.sys_errno = *number;
    }
    if (std::string more; words >> more) refuse(line);
    return rule;
}

Rules parse_rules(const std::string& text) {
    Rules out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        if (line == "log")
            out.log = true;
        else
            out.rules.push_back(parse_rule(line));
    }
    return out;
}

enum class Operation : uint8_t { listing, another };

bool is_about(const Rule& rule, Operation operation) {
    if (rule.behaviour == "enoent") return true;
    return (rule.behaviour == "opendir_eio") == (operation == Operation::listing);
}

// The rules as they stand in the file, and how often each path was read under them. Thread-safe.
class Control {
public:
    explicit Control(std::string path) : path_(std::move(path)), log_path_(path_ + ".log") {}

    // Empty if no rule matches.
    std::string behaviour(const std::string& path, Operation operation) {
        const std::lock_guard guard(mutex_);
        look();
        const auto rule = first_match(path, operation);
        return rule ? rule->behaviour : "";
    }
    bool is_gone(const std::string& path) { return behaviour(path, Operation::another) == "enoent"; }

    struct Read {
        std::optional<Rule> rule;
        uint64_t nth = 1;  // of this path under these rules
        bool log = false;
    };
    Read begin_read(const std::string& path) {
        const std::lock_guard guard(mutex_);
        look();
        return {first_match(path, Operation::another), ++reads_[path], rules_.log};
    }

    // One write for each line, so that those of several threads do not mix.
    void log(const std::string& path, off_t offset, size_t size, const std::string& result) const {
        const std::string line = std::to_string(offset) + " " + std::to_string(size) + " " + result + " " + path + "\n";
        const int fd = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || ::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::perror("faulty_fs: log");
        if (fd >= 0) ::close(fd);
    }

private:
    // By its text and not its time: two rules can follow one another faster than a filesystem's clock ticks.
    void look() {
        std::ifstream in(path_, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        if (text.str() == text_) return;
        text_ = text.str();
        rules_ = parse_rules(text_);
        reads_.clear();
    }

    std::optional<Rule> first_match(const std::string& path, Operation operation) const {
        for (const Rule& rule : rules_.rules)
            if (is_about(rule, operation) && ::fnmatch(rule.glob.c_str(), path.c_str(), 0) == 0) return rule;
        return std::nullopt;
    }

    const std::string path_, log_path_;
    std::mutex mutex_;
    std::string text_;
    Rules rules_;
    std::map<std::string, uint64_t> reads_;
};

// What the callbacks share: libfuse hands them a void*, which would say less.
Control* control = nullptr;
int source = -1;

// "/dir/name" -> "dir/name", "/" -> "."
std::string below_source(const char* path) { return path[1] == '\0' ? "." : path + 1; }

// Whether a thread is being killed. SIGKILL does not end a wait for FUSE's answer: somebody who was killed while we are silent
// would stay until we are gone too. Other signals get no answer, as from a disk.
bool is_killed(pid_t thread) {
    if (thread == 0) return false;  // of another PID namespace
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    if (!status) return true;
    for (std::string word; status >> word;) {
        if (word != "SigPnd:") continue;
        status >> word;
        return ((std::strtoull(word.c_str(), nullptr, 16) >> (SIGKILL - 1)) & 1) != 0;
    }
    return false;
}

// Returns at that time, or once the reader is killed.
void wait_until(Clock::time_point end) {
    const pid_t reader = fuse_get_context()->pid;
    while (Clock::now() < end && !is_killed(reader)) std::this_thread::sleep_for(kBetweenLooks);
}

Clock::duration time_for(int bytes, uint64_t bytes_per_second) {
    const std::chrono::duration<double> seconds(bytes / static_cast<double>(bytes_per_second));
    return std::chrono::duration_cast<Clock::duration>(seconds);
}

int read_source(int fd, char* out, size_t size, off_t offset) {
    const ssize_t n = ::pread(fd, out, size, offset);
    return n < 0 ? -errno : static_cast<int>(n);
}

int answer_read(const std::string& path, const Control::Read& read, int fd, char* out, size_t size, off_t offset) {
    if (!read.rule) return read_source(fd, out, size, offset);
    const Rule& rule = *read.rule;
    const auto from = static_cast<uint64_t>(offset);
    if (rule.behaviour == "eio") return -EIO;
    if (rule.behaviour == "eperm") return -EPERM;
    if (rule.behaviour == "enoent") return -ENOENT;
    if (rule.behaviour == "eio_once" && read.nth == 1) return -EIO;
    if (rule.behaviour == "count" && read.nth <= rule.first) return -rule.sys_errno;
    if (rule.behaviour == "eio_range" && from < rule.first + rule.second && rule.first < from + size) return -EIO;
    if (rule.behaviour == "short") size = from >= rule.first ? 0 : std::min(size, static_cast<size_t>(rule.first - from));
    if (rule.behaviour == "hang" || rule.behaviour == "die") {
        if (read.log) control->log(path, offset, size, "-");
        if (rule.behaviour == "die") _exit(0);
        wait_until(Clock::time_point::max());
        return -EINTR;
    }
    const auto begin = Clock::now();
    const int result = read_source(fd, out, size, offset);
    if (rule.behaviour == "slow" && result > 0) wait_until(begin + time_for(result, rule.first));
    return result;
}

int on_read(const char* name, char* out, size_t size, off_t offset, fuse_file_info* file) {
    const std::string path = below_source(name);
    const Control::Read read = control->begin_read(path);
    const int result = answer_read(path, read, static_cast<int>(file->fh), out, size, offset);
    // A hanging one was logged when it began.
    if (read.log && !(read.rule && read.rule->behaviour == "hang")) control->log(path, offset, size, std::to_string(result));
    return result;
}

int on_getattr(const char* name, struct stat* out, fuse_file_info*) {
    const std::string path = below_source(name);
    if (control->is_gone(path)) return -ENOENT;
    return ::fstatat(source, path.c_str(), out, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

int on_readlink(const char* name, char* out, size_t size) {
    const std::string path = below_source(name);
    if (control->is_gone(path)) return -ENOENT;
    const ssize_t n = ::readlinkat(source, path.c_str(), out, size - 1);
    if (n < 0) return -errno;
    out[n] = '\0';
    return 0;
}

int on_open(const char* name, fuse_file_info* file) {
    const std::string path = below_source(name);
    if (control->is_gone(path)) return -ENOENT;
    const int fd = ::openat(source, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -errno;
    file->fh = static_cast<uint64_t>(fd);
    file->direct_io = 1;
    return 0;
}

int on_release(const char*, fuse_file_info* file) {
    ::close(static_cast<int>(file->fh));
    return 0;
}

int on_opendir(const char* name, fuse_file_info*) {
    const std::string behaviour = control->behaviour(below_source(name), Operation::listing);
    return behaviour == "enoent" ? -ENOENT : behaviour == "opendir_eio" ? -EIO : 0;
}

int on_readdir(const char* name, void* list, fuse_fill_dir_t add, off_t, fuse_file_info*, fuse_readdir_flags) {
    const int fd = ::openat(source, below_source(name).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR* folder = fd < 0 ? nullptr : ::fdopendir(fd);
    if (folder == nullptr) return -errno;
    while (const dirent* entry = ::readdir(folder)) {
        struct stat info {};
        info.st_ino = entry->d_ino;
        info.st_mode = static_cast<mode_t>(DTTOIF(entry->d_type));
        add(list, entry->d_name, &info, 0, fuse_fill_dir_flags{});
    }
    ::closedir(folder);
    return 0;
}

int on_statfs(const char*, struct statvfs* out) { return ::fstatvfs(source, out) == 0 ? 0 : -errno; }

void* on_init(fuse_conn_info* connection, fuse_config* config) {
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS);  // it brings attributes nobody asked for
    config->entry_timeout = 0;
    config->attr_timeout = 0;
    config->negative_timeout = 0;
    config->use_ino = 1;  // hard links stay so
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("usage: faulty_fs SOURCE MOUNTPOINT CONTROL\n", stderr);
        return kWrongUsage;
    }
    source = ::open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source < 0) {
        std::perror("faulty_fs: SOURCE");
        return kWrongUsage;
    }
    Control from_file(argv[3]);
    control = &from_file;

    fuse_operations operations{};
    operations.init = on_init;
    operations.getattr = on_getattr;
    operations.readlink = on_readlink;
    operations.open = on_open;
    operations.read = on_read;
    operations.release = on_release;
    operations.opendir = on_opendir;
    operations.readdir = on_readdir;
    operations.statfs = on_statfs;

    std::string program = "faulty_fs", options = "-oro,fsname=faulty_fs,subtype=faulty_fs";
    std::array<char*, 3> words = {program.data(), options.data(), nullptr};
    fuse_args arguments{};
    arguments.argc = 2;
    arguments.argv = words.data();
    fuse* filesystem = fuse_new(&arguments, &operations, sizeof operations, nullptr);
    if (filesystem == nullptr) return kWrongUsage;
    if (fuse_mount(filesystem, argv[2]) != 0) return kCannotMount;

    std::thread([filesystem] {
        for (;;) {
            char ignored = 0;
            const ssize_t n = ::read(STDIN_FILENO, &ignored, 1);
            if (n == 0 || (n < 0 && errno != EINTR)) break;
        }
        fuse_unmount(filesystem);
        _exit(0);
    }).detach();

    fuse_loop_config* loop = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(loop, kThreads);
    fuse_loop_mt(filesystem, loop);
    _exit(0);  // without the end of what its threads still use
}
