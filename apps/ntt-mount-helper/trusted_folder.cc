#include "trusted_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>

namespace ntt::mount_helper {

Result<void> check_only_root_writes(const struct stat& status, const std::string& what) {
    if (status.st_uid != 0) return make_error(ErrorCode::permission, what + " does not belong to root");
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return make_error(ErrorCode::permission, what + " can be written by others than root");
    return {};
}

Result<Fd> open_trusted_subfolder(const Fd& parent, const std::string& name, const std::string& path, Missing missing) {
    if (missing == Missing::make && ::mkdirat(parent.raw(), name.c_str(), 0755) != 0 && errno != EEXIST)
        return errno_error(errno, "make the folder " + path);
    Fd folder(::openat(parent.raw(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.valid()) {
        const int failed = errno;
        // With O_DIRECTORY a symlink is "not a directory", which would puzzle whoever looks through it.
        Error error = errno_error(failed, "open the folder " + path);
        if (failed == ENOTDIR || failed == ELOOP) error.message += " (symlinks are not followed)";
        return error;
    }
    TRY_ASSIGN(const struct stat status, Env::host().stat_fd(folder));
    TRY(check_only_root_writes(status, path));
    return folder;
}

Result<Fd> open_trusted_folder(const std::string& path, Missing missing) {
    if (path.empty() || path.front() != '/') return make_error(ErrorCode::invalid_argument, path + " is no absolute path");
    Fd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return errno_error(errno, "open /");
    for (size_t begin = 1; begin < path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        if (name.empty() || name == "." || name == "..")
            return make_error(ErrorCode::invalid_argument, path + " has a part that is empty, \".\" or \"..\"");
        TRY_ASSIGN(folder, open_trusted_subfolder(folder, name, path.substr(0, end), missing));
        begin = end + 1;
    }
    return folder;
}

}  // namespace ntt::mount_helper
