#include "os/env.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include <fmt/format.h>

namespace ntt {
namespace {

// Runs a system call until it is not interrupted.
template <typename Call>
auto restarting(Call call) {
    decltype(call()) out;
    do {
        out = call();
    } while (out == -1 && errno == EINTR);
    return out;
}

Error failed(std::string action) { return errno_error(errno, std::move(action)); }

// A system call that gives 0 when it worked, restarted when interrupted (FUSE and network filesystems do that to any call).
template <typename Call>
Result<void> done(Call call, std::string action) {
    if (restarting(call) != 0) return failed(std::move(action));
    return {};
}

Result<Fd> checked_fd(int raw, std::string action) {
    if (raw < 0) return failed(std::move(action));
    return Fd(raw);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        raw_ = std::exchange(other.raw_, -1);
    }
    return *this;
}

Fd::~Fd() { reset(); }

void Fd::reset() {
    if (raw_ >= 0) ::close(raw_);
    raw_ = -1;
}

Env& Env::host() {
    static Env env;
    return env;
}

Result<Fd> Env::open_read(const std::string& path) {
    return checked_fd(restarting([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }),
                      "open " + path);
}

Result<Fd> Env::open_read_at(const Fd& dir, const std::string& name) {
    return checked_fd(
        restarting([&] { return ::openat(dir.raw(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW); }),
        "open " + name);
}

Result<size_t> Env::read_at(const Fd& fd, ByteSpan out, uint64_t offset) {
    size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = restarting(
            [&] { return ::pread(fd.raw(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
        if (n < 0) return failed(fmt::format("read {} bytes at {}", out.size(), offset));
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    return done;
}

Result<std::string> Env::read_file(const std::string& path, size_t max_bytes) {
    TRY_ASSIGN(const Fd file, open_read(path));
    std::string text(max_bytes + 1, '\0');
    TRY_ASSIGN(const size_t size, read_at(file, {reinterpret_cast<uint8_t*>(text.data()), text.size()}, 0));
    if (size > max_bytes) return make_error(ErrorCode::limit, fmt::format("{} is longer than {} bytes", path, max_bytes));
    text.resize(size);
    return text;
}

Result<struct stat> Env::stat_fd(const Fd& fd) {
    struct stat out {};
    TRY(done([&] { return ::fstat(fd.raw(), &out); }, "stat of an open file"));
    return out;
}

Result<struct stat> Env::stat_path(const std::string& path) {
    struct stat out {};
    TRY(done([&] { return ::stat(path.c_str(), &out); }, "stat " + path));
    return out;
}

Result<struct stat> Env::stat_at(const Fd& dir, const std::string& name) {
    struct stat out {};
    TRY(done([&] { return ::fstatat(dir.raw(), name.c_str(), &out, AT_SYMLINK_NOFOLLOW); }, "stat " + name));
    return out;
}

Result<std::vector<DirEntry>> Env::list_dir(const std::string& path) {
    DIR* raw = ::opendir(path.c_str());
    if (raw == nullptr) return failed("list " + path);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(raw, &::closedir);
    std::vector<DirEntry> out;
    for (;;) {
        errno = 0;
        const struct dirent* entry = ::readdir(raw);
        if (entry == nullptr) break;
        DirEntry item{entry->d_name, entry->d_type == DT_DIR, entry->d_type == DT_REG};
        if (item.name == "." || item.name == "..") continue;
        if (entry->d_type == DT_UNKNOWN) {
            struct stat info {};
            if (::fstatat(::dirfd(raw), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
                return failed("stat " + path + "/" + item.name);
            item.is_directory = S_ISDIR(info.st_mode);
            item.is_regular = S_ISREG(info.st_mode);
        }
        out.push_back(std::move(item));
    }
    if (errno != 0) return failed("list " + path);
    return out;
}

Result<Fd> Env::open_dir(const std::string& path) {
    return checked_fd(restarting([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }),
                      "open folder " + path);
}

Result<Fd> Env::open_dir_at(const Fd& dir, const std::string& name) {
    return checked_fd(
        restarting([&] { return ::openat(dir.raw(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }),
        "open folder " + name);
}

Result<void> Env::make_dir(const std::string& path, mode_t mode) {
    const Result<void> made = done([&] { return ::mkdir(path.c_str(), mode); }, "make folder " + path);
    if (!made.ok() && made.error().code != ErrorCode::already_exists) return made;
    TRY_ASSIGN(const struct stat info, Env::stat_path(path));
    if (!S_ISDIR(info.st_mode)) return errno_error(ENOTDIR, "make folder " + path);
    if (!made.ok() || (info.st_mode & 07777) == mode) return {};
    return done([&] { return ::chmod(path.c_str(), mode); }, "set the mode of " + path);
}

Result<void> Env::make_dirs(const std::string& path, mode_t mode) {
    for (size_t slash = 1; slash != std::string::npos && slash <= path.size();) {
        slash = path.find('/', slash);
        TRY(make_dir(path.substr(0, slash), mode));
        if (slash != std::string::npos) ++slash;
    }
    return {};
}

Result<Fd> Env::open_unnamed(const Fd& dir, mode_t mode) {
    const int raw = restarting([&] { return ::openat(dir.raw(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode); });
    // Filesystems without O_TMPFILE answer EOPNOTSUPP, old kernels EISDIR, some FUSE servers ENOENT or EINVAL.
    if (raw < 0 && (errno == EISDIR || errno == EINVAL || errno == ENOENT || errno == ENOSYS)) errno = EOPNOTSUPP;
    TRY_ASSIGN(Fd fd, checked_fd(raw, "make an unnamed file"));
    // Looking costs a tenth of setting, and the umask seldom takes anything from a read-only mode. Reading the umask once
    // would not do: it belongs to the whole process, and a folder's default ACL takes its place.
    TRY_ASSIGN(const struct stat info, Env::stat_fd(fd));
    if ((info.st_mode & 07777) != mode) TRY(Env::set_mode(fd, mode));
    return fd;
}

Result<Fd> Env::open_create_at(const Fd& dir, const std::string& name, mode_t mode, Existing existing) {
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (existing == Existing::fail ? O_EXCL : 0);
    return checked_fd(restarting([&] { return ::openat(dir.raw(), name.c_str(), flags, mode); }), "create " + name);
}

Result<void> Env::write_at(const Fd& fd, ByteView bytes, uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t n = restarting([&] { return ::pwrite(fd.raw(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
        if (n < 0) return failed(fmt::format("write {} bytes at {}", bytes.size(), offset));
        if (n == 0) return errno_error(EIO, fmt::format("write {} bytes at {}", bytes.size(), offset));
        bytes = bytes.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

Result<void> Env::truncate(const Fd& fd, uint64_t size) {
    return done([&] { return ::ftruncate(fd.raw(), static_cast<off_t>(size)); }, fmt::format("set the size to {}", size));
}

Result<void> Env::copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t length) {
    auto in = static_cast<off64_t>(from_offset), out = static_cast<off64_t>(to_offset);
    while (length > 0) {
        const ssize_t n = restarting([&] { return ::copy_file_range(from.raw(), &in, to.raw(), &out, length, 0); });
        if (n < 0) return failed(fmt::format("copy {} bytes at {}", length, from_offset));
        if (n == 0)
            return make_error(ErrorCode::source_changed, fmt::format("the source ends before byte {}", from_offset + length));
        length -= static_cast<uint64_t>(n);
    }
    return {};
}

bool Env::shares_extents(const Fd& fd) const {
    struct statfs info {};
    if (::fstatfs(fd.raw(), &info) != 0) return false;
    const auto type = static_cast<uint64_t>(info.f_type);
    return type == BTRFS_SUPER_MAGIC || type == XFS_SUPER_MAGIC;
}

Result<void> Env::set_mode(const Fd& fd, mode_t mode) {
    return done([&] { return ::fchmod(fd.raw(), mode); }, "set the mode of an open file");
}

Result<void> Env::link_unnamed(const Fd& fd, const Fd& dir, const std::string& name) {
    const std::string action = "publish " + name;
    // By the descriptor itself: a third faster per file on tmpfs than through /proc, and needs no /proc. Kernels before 6.10
    // allow it to privileged callers only, and tell the others ENOENT.
    Result<void> linked = done([&] { return ::linkat(fd.raw(), "", dir.raw(), name.c_str(), AT_EMPTY_PATH); }, action);
    if (linked.ok() || linked.error().sys_errno != ENOENT) return linked;
    const std::string self = fmt::format("/proc/self/fd/{}", fd.raw());
    return done([&] { return ::linkat(AT_FDCWD, self.c_str(), dir.raw(), name.c_str(), AT_SYMLINK_FOLLOW); }, action);
}

Result<void> Env::link_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    return done([&] { return ::linkat(from_dir.raw(), from.c_str(), to_dir.raw(), to.c_str(), 0); },
                "link " + from + " as " + to);
}

Result<void> Env::rename_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    return done([&] { return ::renameat(from_dir.raw(), from.c_str(), to_dir.raw(), to.c_str()); },
                "rename " + from + " to " + to);
}

Result<void> Env::unlink_at(const Fd& dir, const std::string& name) {
    return done([&] { return ::unlinkat(dir.raw(), name.c_str(), 0); }, "remove " + name);
}

Result<void> Env::remove_dir_at(const Fd& dir, const std::string& name) {
    return done([&] { return ::unlinkat(dir.raw(), name.c_str(), AT_REMOVEDIR); }, "remove folder " + name);
}

Result<void> Env::sync_filesystem(const Fd& fd) {
    return done([&] { return ::syncfs(fd.raw()); }, "sync the filesystem");
}

Result<void> Env::sync_file(const Fd& fd) {
    return done([&] { return ::fsync(fd.raw()); }, "sync a file");
}

Result<FileLock> Env::try_lock(const std::string& path) {
    for (;;) {
        TRY_ASSIGN(Fd fd,
                   checked_fd(restarting([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644); }),
                              "open lock " + path));
        TRY(done([&] { return ::flock(fd.raw(), LOCK_EX | LOCK_NB); }, "lock " + path));
        // Whoever held it may have removed the file in between: a lock on a file without a name would exclude nobody.
        TRY_ASSIGN(const struct stat held, Env::stat_fd(fd));
        struct stat named {};
        const bool there = ::stat(path.c_str(), &named) == 0;
        if (!there && errno != ENOENT) return failed("lock " + path);
        if (there && named.st_ino == held.st_ino && named.st_dev == held.st_dev) return FileLock(std::move(fd));
    }
}

size_t Env::raise_open_file_limit() {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;  // what every system grants
    if (limit.rlim_cur < limit.rlim_max) {
        const struct rlimit raised { limit.rlim_max, limit.rlim_max };
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur;
}

}  // namespace ntt
