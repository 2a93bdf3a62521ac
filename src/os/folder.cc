#include "os/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/bytes.h"

namespace ntt {
namespace {

constexpr size_t kExtentsPerCall = 256;
constexpr size_t kMaxExtents = 100'000;  // of one file
constexpr uint32_t kFactsMask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
// Such an extent's bytes do not lie where it says, or not as they are read.
constexpr uint32_t kNotPlain = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED |
                               FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL;

// Without a trace in the access times where that is allowed: to the owner, and to root.
Fd open_quietly(int folder, const char* name, int flags) {
    flags |= O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int raw = ::openat(folder, name, flags | O_NOATIME);
    if (raw < 0 && errno == EPERM) raw = ::openat(folder, name, flags);
    return Fd(raw);
}

Result<Fd> opened(Fd fd, std::string_view action, std::string_view name) {
    const int failed = errno;
    if (!fd.valid()) return errno_error(failed, std::string(action) + " " + std::string(name));
    return fd;
}

char type_of(uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return 'f';
        case S_IFDIR: return 'd';
        case S_IFLNK: return 'l';
        case S_IFBLK: return 'b';
        case S_IFCHR: return 'c';
        case S_IFIFO: return 'p';
        case S_IFSOCK: return 's';
        default: return 'u';
    }
}

Result<FileFacts> facts(int folder, const char* name, int flags) {
    struct statx info {};
    if (::statx(folder, name, flags | AT_NO_AUTOMOUNT, kFactsMask, &info) != 0) return errno_error(errno, std::string("stat ") + name);
    FileFacts out;
    out.ino = info.stx_ino;
    out.dev = makedev(info.stx_dev_major, info.stx_dev_minor);
    out.mount_id = info.stx_mnt_id;
    out.type = type_of(info.stx_mode);
    out.mode = info.stx_mode;
    out.nlink = info.stx_nlink;
    out.size = info.stx_size;
    out.uid = info.stx_uid;
    out.gid = info.stx_gid;
    out.mtime = info.stx_mtime.tv_sec;
    out.mtime_ns = static_cast<int>(info.stx_mtime.tv_nsec);
    out.atime = info.stx_atime.tv_sec;
    out.ctime = info.stx_ctime.tv_sec;
    if ((info.stx_mask & STATX_BTIME) != 0) out.crtime = info.stx_btime.tv_sec;
    return out;
}

}  // namespace

Result<Fd> open_folder(const std::string& path) { return opened(open_quietly(AT_FDCWD, path.c_str(), O_DIRECTORY), "open folder", path); }

Result<void> answers_in_time(const std::string& path, std::chrono::milliseconds limit) {
    const char* const name = path.c_str();
    const pid_t child = ::fork();
    if (child < 0) return errno_error(errno, "start a process");
    if (child == 0) {  // only what is safe after a fork of one thread among many
        struct stat info {};
        const bool found = ::stat(name, &info) == 0;
        if (found && S_ISDIR(info.st_mode)) {
            const int folder = ::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (folder >= 0) ::fstat(folder, &info);
        }
        ::_exit(0);  // what is wrong with it is for the caller to find
    }
    const auto deadline = std::chrono::steady_clock::now() + limit;
    bool killed = false;
    for (int pause = 1;; pause = std::min(pause * 2, 20)) {
        const pid_t gone = ::waitpid(child, nullptr, WNOHANG);
        if (gone == child || (gone < 0 && errno != EINTR)) break;
        const auto now = std::chrono::steady_clock::now();
        if (now >= deadline && !std::exchange(killed, true)) ::kill(child, SIGKILL);
        if (now >= deadline + std::chrono::seconds(1)) break;  // one that the kernel does not let go is left behind
        ::poll(nullptr, 0, pause);
    }
    if (killed) return errno_error(ETIMEDOUT, "look at " + path);
    return {};
}

Result<Fd> open_folder_in(const Fd& folder, const std::string& name) {
    return opened(open_quietly(folder.raw(), name.c_str(), O_DIRECTORY | O_NOFOLLOW), "open folder", name);
}

Result<Fd> open_folder_below(const Fd& root, std::string_view path) {
    TRY_ASSIGN(Fd folder, open_folder_in(root, "."));
    while (!path.empty()) {
        const size_t slash = std::min(path.find('/'), path.size());
        TRY_ASSIGN(folder, open_folder_in(folder, std::string(path.substr(0, slash))));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return folder;
}

FolderNames names_in(const Fd& folder) {
    FolderNames out;
    const int own = ::fcntl(folder.raw(), F_DUPFD_CLOEXEC, 0);
    DIR* const stream = own < 0 ? nullptr : ::fdopendir(own);
    if (stream == nullptr) {
        out.error = errno_error(errno, "list a folder");
        if (own >= 0) ::close(own);
        return out;
    }
    ::rewinddir(stream);
    for (;;) {
        errno = 0;
        const struct dirent* entry = ::readdir(stream);
        if (entry == nullptr) break;
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) out.names.emplace_back(entry->d_name);
    }
    if (errno != 0) out.error = errno_error(errno, "list a folder");
    ::closedir(stream);
    return out;
}

Result<FileFacts> facts_of(const Fd& folder, const std::string& name) { return facts(folder.raw(), name.c_str(), AT_SYMLINK_NOFOLLOW); }
Result<FileFacts> facts_of(const Fd& file) { return facts(file.raw(), "", AT_EMPTY_PATH); }

Result<std::string> link_target(const Fd& folder, const std::string& name) {
    std::string out(PATH_MAX, '\0');
    const ssize_t length = ::readlinkat(folder.raw(), name.c_str(), out.data(), out.size());
    if (length < 0) return errno_error(errno, "read link " + name);
    out.resize(static_cast<size_t>(length));
    return out;
}

Result<Fd> open_file_below(const Fd& root, std::string_view path) {
    const size_t slash = path.rfind('/');
    Fd folder;
    if (slash != std::string_view::npos) {
        TRY_ASSIGN(folder, open_folder_below(root, path.substr(0, slash)));
    }
    const Fd* const at = folder.valid() ? &folder : &root;
    const std::string name(slash == std::string_view::npos ? path : path.substr(slash + 1));
    // Looked at first: opening a device may do things, and a FIFO has nothing to read.
    TRY_ASSIGN(const FileFacts before, facts_of(*at, name));
    if (before.type != 'f') return errno_error(ENOENT, "open " + name);
    TRY_ASSIGN(Fd file, opened(open_quietly(at->raw(), name.c_str(), O_NOFOLLOW), "open", name));
    TRY_ASSIGN(const FileFacts facts, facts_of(file));
    if (facts.type != 'f') return errno_error(ENOENT, "open " + name);
    return file;
}

void read_nothing_ahead(const Fd& file, ByteRange range) {
    ::posix_fadvise(file.raw(), 0, 0, POSIX_FADV_RANDOM);
    ::posix_fadvise(file.raw(), static_cast<off_t>(range.offset), static_cast<off_t>(range.length), POSIX_FADV_DONTNEED);
}

std::vector<Extent> extents_on_device(const Fd& file, uint64_t size) {
    // btrfs and others tell addresses of their own, or of one of several devices.
    struct statfs filesystem {};
    const bool tells_places = ::fstatfs(file.raw(), &filesystem) == 0 && (filesystem.f_type == EXT4_SUPER_MAGIC || filesystem.f_type == XFS_SUPER_MAGIC);
    if (!tells_places) return {};
    // A head, and behind it the extents.
    alignas(fiemap) std::array<uint8_t, sizeof(fiemap) + kExtentsPerCall * sizeof(fiemap_extent)> call{};
    std::vector<Extent> out;
    uint64_t covered = 0;
    const auto cover_to = [&](uint64_t offset) {
        if (offset > covered) out.push_back({covered, 0, offset - covered, ExtentKind::hole});
        covered = std::max(covered, offset);
    };
    for (bool last = size == 0; !last;) {
        fiemap head{};
        head.fm_start = covered;
        head.fm_length = size - covered;
        head.fm_extent_count = kExtentsPerCall;
        std::memcpy(call.data(), &head, sizeof head);
        if (::ioctl(file.raw(), FS_IOC_FIEMAP, call.data()) != 0) return {};
        std::memcpy(&head, call.data(), sizeof head);
        if (head.fm_mapped_extents == 0) break;
        for (uint32_t i = 0; i < std::min<uint32_t>(head.fm_mapped_extents, kExtentsPerCall); ++i) {
            fiemap_extent found;
            std::memcpy(&found, call.data() + sizeof head + i * sizeof found, sizeof found);
            last = last || (found.fe_flags & FIEMAP_EXTENT_LAST) != 0;
            if ((found.fe_flags & kNotPlain) != 0 || out.size() >= kMaxExtents) return {};
            const uint64_t begin = std::max<uint64_t>(found.fe_logical, covered);
            const uint64_t end = std::min<uint64_t>(found.fe_logical + found.fe_length, size);
            if (end <= begin) continue;
            cover_to(begin);
            const bool unwritten = (found.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0;
            out.push_back({begin, unwritten ? 0 : found.fe_physical + (begin - found.fe_logical), end - begin, unwritten ? ExtentKind::hole : ExtentKind::data});
            covered = end;
        }
        last = last || covered >= size;
    }
    cover_to(size);
    return out;
}

}  // namespace ntt
