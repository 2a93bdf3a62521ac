#include "image.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ntt::mount_helper {
namespace {

std::string own_fd_path(const Fd& fd) { return fmt::format("/proc/self/fd/{}", fd.raw()); }

// Where an open file lies, by the kernel's own word.
Result<std::string> path_of(const Fd& fd) {
    std::string path(PATH_MAX + 1, '\0');
    const ssize_t size = ::readlink(own_fd_path(fd).c_str(), path.data(), path.size());
    if (size < 0) return errno_error(errno, "ask for the path of an open file");
    path.resize(static_cast<size_t>(size));
    if (path.size() > PATH_MAX || !path.starts_with('/'))
        return make_error(ErrorCode::invalid_argument, "an open file has no path in this mount namespace");
    return path;
}

// No fallback to openat(2): kernels without openat2 have no LOOP_CONFIGURE either (both are of 2020).
Result<Fd> open_place(const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    Fd place(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
    if (!place.valid()) return errno_error(errno, "open " + path);
    return place;
}

bool lies_below(const std::string& path, const std::string& root) {
    const Fd folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return false;
    const Result<std::string> canonical = path_of(folder);
    if (!canonical.ok()) return false;
    return path.starts_with(*canonical == "/" ? "/" : *canonical + "/");
}

Result<uint64_t> size_of(const Fd& fd, const struct stat& status) {
    if (S_ISREG(status.st_mode)) return static_cast<uint64_t>(status.st_size);
    uint64_t size_bytes = 0;
    if (::ioctl(fd.raw(), BLKGETSIZE64, &size_bytes) != 0) return errno_error(errno, "ask for the size of a block device");
    return size_bytes;
}

}  // namespace

Result<Image> open_image(const std::string& path, uid_t real_user, const std::vector<std::string>& roots) {
    Env& env = Env::host();
    Result<Fd> place = open_place(path);
    Result<std::string> real_path = place.ok() ? path_of(*place) : Result<std::string>(place.error());
    if (real_user != 0) {
        const bool allowed = real_path.ok() && std::any_of(roots.begin(), roots.end(),
                                                           [&](const std::string& root) { return lies_below(*real_path, root); });
        if (!allowed)
            return make_error(ErrorCode::permission,
                              fmt::format("{} is no image below the image roots ({})", path,
                                          roots.empty() ? "none is configured" : fmt::format("{}", fmt::join(roots, ", "))));
    }
    if (!place.ok()) return std::move(place).take_error();
    if (!real_path.ok()) return std::move(real_path).take_error();

    Image out;
    out.path = *real_path;
    TRY_ASSIGN(const struct stat status, env.stat_fd(*place));
    if (S_ISLNK(status.st_mode)) return make_error(ErrorCode::permission, path + " is a symlink; name the image itself");
    if (S_ISBLK(status.st_mode) && real_user != 0)
        return make_error(ErrorCode::permission, path + " is a block device; only root may mount those");
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return make_error(ErrorCode::invalid_argument, path + " is no regular file");
    if (status.st_nlink == 0) return make_error(ErrorCode::not_found, path + " has been removed");
    // Through /proc the open file is opened again: the same inode for sure, whatever the path names by now.
    out.fd = Fd(::open(own_fd_path(*place).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!out.fd.valid()) return errno_error(errno, "open " + path);
    out.device = status.st_dev;
    out.inode = status.st_ino;
    TRY_ASSIGN(out.size_bytes, size_of(out.fd, status));
    if (out.size_bytes == 0) return make_error(ErrorCode::invalid_argument, path + " is empty");
    return out;
}

}  // namespace ntt::mount_helper
