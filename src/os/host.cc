#include "os/host.h"

#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <optional>

#include "base/bytes.h"

namespace ntt {
namespace {

constexpr size_t kMaxProcBytes = size_t{1} << 20;
constexpr size_t kMaxModulesBytes = size_t{16} << 20;  // modules.dep of Debian 12: 0.6 MB

// Calls visit(line) for each line.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

// The number behind "NAME:" in kB, as bytes.
std::optional<uint64_t> bytes_of(std::string_view text, std::string_view name) {
    std::optional<uint64_t> out;
    for_each_line(text, [&](std::string_view line) {
        if (!line.starts_with(name)) return;
        line.remove_prefix(name.size());
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        uint64_t kib = 0;
        if (std::from_chars(line.data(), line.data() + line.size(), kib).ec == std::errc()) out = checked_mul(kib, 1024);
    });
    return out;
}

// Empty where only root can put something else there.
std::string weakness_of(const struct stat& status, const std::string& path) {
    if (S_ISLNK(status.st_mode)) return path + " is a symlink";
    if (status.st_uid != 0) return path + " does not belong to root";
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return path + " can be written by others than root";
    return "";
}

}  // namespace

bool runs_as_root() { return ::geteuid() == 0; }

Result<GuardedPath> guard_of(const std::string& path) {
    if (!path.starts_with('/')) return make_error(ErrorCode::invalid_argument, path + " is no absolute path");
    for (size_t end = 0; end != std::string::npos;) {
        const std::string part = end == 0 ? "/" : path.substr(0, end);
        struct stat status {};
        if (::lstat(part.c_str(), &status) != 0) {
            if (errno == ENOENT || errno == ENOTDIR) return GuardedPath{};
            return errno_error(errno, "look at " + part);
        }
        if (std::string weakness = weakness_of(status, part); !weakness.empty())
            return GuardedPath{Guard::others, part, std::move(weakness)};
        if (end == path.size()) break;
        end = std::min(path.find('/', end + 1), path.size());
    }
    return GuardedPath{Guard::root_only, "", ""};
}

Result<void> can_execute(const std::string& path) {
    if (::access(path.c_str(), X_OK) == 0) return {};
    return errno_error(errno, "run " + path);
}

std::set<std::string> kernel_filesystems(Env& env) {
    std::set<std::string> out;
    if (const auto text = env.read_file("/proc/filesystems", kMaxProcBytes); text.ok()) out = parse_filesystems(*text);
    struct utsname kernel {};
    if (::uname(&kernel) != 0) return out;
    for (const char* list : {"/modules.dep", "/modules.builtin"}) {
        const auto text = env.read_file(std::string("/lib/modules/") + kernel.release + list, kMaxModulesBytes);
        if (text.ok()) out.merge(parse_filesystem_modules(*text));
    }
    return out;
}

std::set<std::string> parse_filesystems(std::string_view text) {
    std::set<std::string> out;
    for_each_line(text, [&](std::string_view line) {
        if (line.starts_with('\t') && line.size() > 1) out.emplace(line.substr(1));
    });
    return out;
}

std::set<std::string> parse_filesystem_modules(std::string_view text) {
    std::set<std::string> out;
    for_each_line(text, [&](std::string_view line) {
        const std::string_view path = line.substr(0, line.find(':'));
        if (!path.starts_with("kernel/fs/")) return;
        const std::string_view file = path.substr(path.rfind('/') + 1);
        out.emplace(file.substr(0, file.find('.')));  // .ko, .ko.xz, .ko.zst
    });
    return out;
}

Result<void> has_character_device(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return errno_error(errno, "look at " + path);
    if (S_ISCHR(status.st_mode)) return {};
    return make_error(ErrorCode::unsupported, path + " is no character device");
}

// Source: seccomp(2), SECCOMP_GET_ACTION_AVAIL.
bool has_seccomp() {
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int landlock_version() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version < 1 ? 0 : static_cast<int>(version);
}

Result<FilesystemRoom> filesystem_room(const std::string& path) {
    struct statvfs status {};
    while (::statvfs(path.c_str(), &status) != 0)
        if (errno != EINTR) return errno_error(errno, "ask for the room at " + path);
    // A network or FUSE filesystem may answer anything.
    constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
    FilesystemRoom out;
    out.size_bytes = checked_mul(status.f_blocks, status.f_frsize).value_or(kMost);
    out.free_bytes = checked_mul(status.f_bavail, status.f_frsize).value_or(kMost);
    out.inodes = status.f_files;
    out.free_inodes = status.f_favail;
    return out;
}

Result<HostMemory> host_memory(Env& env) {
    TRY_ASSIGN(const std::string text, env.read_file("/proc/meminfo", kMaxProcBytes));
    return parse_memory(text);
}

// Source: Linux Documentation/filesystems/proc.rst, meminfo; its kB are of 1024 bytes.
Result<HostMemory> parse_memory(std::string_view text) {
    const auto total = bytes_of(text, "MemTotal:"), available = bytes_of(text, "MemAvailable:");
    if (!total || !available) return make_error(ErrorCode::malformed, "/proc/meminfo does not say how much memory there is");
    return HostMemory{*total, *available};
}

uint64_t open_file_limit() {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    return limit.rlim_max;
}

}  // namespace ntt
