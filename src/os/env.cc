#include "os/env.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
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

Result<void> checked(int status, std::string action) {
    if (status != 0) return failed(std::move(action));
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
    return checked_fd(restarting([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }), "open " + path);
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

Result<struct stat> Env::stat_fd(const Fd& fd) {
    struct stat out {};
    if (::fstat(fd.raw(), &out) != 0) return failed("stat of an open file");
    return out;
}

Result<struct stat> Env::stat_path(const std::string& path) {
    struct stat out {};
    if (::stat(path.c_str(), &out) != 0) return failed("stat " + path);
    return out;
}

Result<struct stat> Env::stat_at(const Fd& dir, const std::string& name) {
    struct stat out {};
    if (::fstatat(dir.raw(), name.c_str(), &out, AT_SYMLINK_NOFOLLOW) != 0) return failed("stat " + name);
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
            if (::fstatat(::dirfd(raw), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return failed("stat " + path + "/" + item.name);
            item.is_directory = S_ISDIR(info.st_mode);
            item.is_regular = S_ISREG(info.st_mode);
        }
        out.push_back(std::move(item));
    }
    if (errno != 0) return failed("list " + path);
    return out;
}

Result<Fd> Env::open_dir(const std::string& path) {
    return checked_fd(restarting([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }), "open folder " + path);
}

Result<Fd> Env::open_dir_at(const Fd& dir, const std::string& name) {
    return checked_fd(restarting([&] { return ::openat(dir.raw(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }),
                      "open folder " + name);
}

Result<void> Env::make_dir(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return checked(::chmod(path.c_str(), mode), "set the mode of " + path);
    if (errno != EEXIST) return failed("make folder " + path);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return errno_error(ENOTDIR, "make folder " + path);
}

Result<void> Env::make_dirs(const std::string& path, mode_t mode) {
    for (size_t slash = 1; slash != std::string::npos && slash <= path.size();) {
        slash = path.find('/', slash);
        TRY(make_dir(path.substr(0, slash), mode));
        if (slash != std::string::npos) ++slash;
    }
    return {};
}

Result<Fd> Env::open_unnamed(const Fd& dir) {
    const int raw = restarting([&] { return ::openat(dir.raw(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); });
    // Filesystems without O_TMPFILE answer EOPNOTSUPP, old kernels EISDIR, some FUSE servers ENOENT or EINVAL.
    if (raw < 0 && (errno == EISDIR || errno == EINVAL || errno == ENOENT || errno == ENOSYS)) errno = EOPNOTSUPP;
    return checked_fd(raw, "make an unnamed file");
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
    return checked(restarting([&] { return ::ftruncate(fd.raw(), static_cast<off_t>(size)); }), fmt::format("set the size to {}", size));
}

Result<void> Env::copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t length) {
    auto in = static_cast<off64_t>(from_offset), out = static_cast<off64_t>(to_offset);
    while (length > 0) {
        const ssize_t n = restarting([&] { return ::copy_file_range(from.raw(), &in, to.raw(), &out, length, 0); });
        if (n < 0) return failed(fmt::format("copy {} bytes at {}", length, from_offset));
        if (n == 0) return make_error(ErrorCode::source_changed, fmt::format("the source ends before byte {}", from_offset + length));
        length -= static_cast<uint64_t>(n);
    }
    return {};
}

Result<void> Env::set_mode(const Fd& fd, mode_t mode) { return checked(::fchmod(fd.raw(), mode), "set the mode of an open file"); }

Result<void> Env::link_unnamed(const Fd& fd, const Fd& dir, const std::string& name) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd.raw());
    return checked(::linkat(AT_FDCWD, self.c_str(), dir.raw(), name.c_str(), AT_SYMLINK_FOLLOW), "publish " + name);
}

Result<void> Env::link_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    return checked(::linkat(from_dir.raw(), from.c_str(), to_dir.raw(), to.c_str(), 0), "link " + from + " as " + to);
}

Result<void> Env::rename_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    return checked(::renameat(from_dir.raw(), from.c_str(), to_dir.raw(), to.c_str()), "rename " + from + " to " + to);
}

Result<void> Env::unlink_at(const Fd& dir, const std::string& name) {
    return checked(::unlinkat(dir.raw(), name.c_str(), 0), "remove " + name);
}

Result<void> Env::sync_filesystem(const Fd& fd) { return checked(::syncfs(fd.raw()), "sync the filesystem"); }
Result<void> Env::sync_file(const Fd& fd) { return checked(restarting([&] { return ::fsync(fd.raw()); }), "sync a file"); }

Result<FileLock> Env::try_lock(const std::string& path) {
    TRY_ASSIGN(Fd fd, checked_fd(restarting([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); }), "open lock " + path));
    if (restarting([&] { return ::flock(fd.raw(), LOCK_EX | LOCK_NB); }) != 0) return failed("lock " + path);
    return FileLock(std::move(fd));
}

}  // namespace ntt
