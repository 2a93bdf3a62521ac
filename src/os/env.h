// The seam to the operating system: every system call that store, image and catalog locks make goes through an Env, so
// that tests can fail the Nth operation or drop what was not synced.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ntt {

// --- Contents ---
class Fd;                            // owns a file descriptor
class FileLock;                      // an advisory lock that dies with its owner
class Env;                           // the operations
enum class Existing { open, fail };  // what open_create does with a name that is taken

// Owns a file descriptor; closes it without a word.
class Fd {
public:
    Fd() = default;
    explicit Fd(int raw) : raw_(raw) {}
    Fd(Fd&& other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    ~Fd();

    int raw() const { return raw_; }
    bool valid() const { return raw_ >= 0; }
    void reset();

private:
    int raw_ = -1;
};

// An exclusive flock(2) on a file; released when destroyed, also by the kernel when the process dies.
class FileLock {
public:
    explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
    FileLock(FileLock&&) = default;
    FileLock& operator=(FileLock&&) = default;

private:
    Fd fd_;
};

struct DirEntry {
    std::string name;  // raw bytes, never "." or ".."
    bool is_directory = false;
    bool is_regular = false;
};

// All calls restart on EINTR and return errno-carrying Errors whose message names the path or "fd". Paths are raw
// bytes. Thread-safe. Names given to *_at calls are relative to the open directory `dir` and may be paths ("aa/name").
class Env {
public:
    virtual ~Env() = default;
    static Env& host();  // the real one

    // --- reading ---
    // O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK (a FIFO does not block); never creates.
    virtual Result<Fd> open_read(const std::string& path);
    virtual Result<Fd> open_read_at(const Fd& dir, const std::string& name);  // O_NOFOLLOW
    // Fills `out` as far as the file goes; fewer bytes than asked for means end of file.
    virtual Result<size_t> read_at(const Fd& fd, ByteSpan out, uint64_t offset);
    // A whole small file; limit if it is longer than `max_bytes`.
    Result<std::string> read_file(const std::string& path, size_t max_bytes);
    virtual Result<struct stat> stat_fd(const Fd& fd);
    virtual Result<struct stat> stat_path(const std::string& path);  // follows symlinks
    // not_found when there is no such name. Does not follow a symlink.
    virtual Result<struct stat> stat_at(const Fd& dir, const std::string& name);
    // Whole listing, unsorted.
    virtual Result<std::vector<DirEntry>> list_dir(const std::string& path);

    // --- folders ---
    virtual Result<Fd> open_dir(const std::string& path);
    virtual Result<Fd> open_dir_at(const Fd& dir, const std::string& name);
    // Makes one folder with exactly `mode`, whatever the umask; an existing one is left as it is.
    virtual Result<void> make_dir(const std::string& path, mode_t mode);
    // make_dir for each missing part of the path.
    Result<void> make_dirs(const std::string& path, mode_t mode);

    // --- writing ---
    // An unnamed file on the filesystem of `dir` (O_TMPFILE), open for reading and writing, with exactly `mode`, whatever
    // the umask. unsupported where the filesystem has none.
    virtual Result<Fd> open_unnamed(const Fd& dir, mode_t mode);
    virtual Result<Fd> open_create_at(const Fd& dir, const std::string& name, mode_t mode, Existing existing);
    virtual Result<void> write_at(const Fd& fd, ByteView bytes, uint64_t offset);  // writes all or fails
    virtual Result<void> truncate(const Fd& fd, uint64_t size);                    // also extends, with a hole
    // Copies inside the kernel (copy_file_range, sharing extents where it can); unsupported where it cannot.
    virtual Result<void> copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t length);
    // Whether the file's filesystem can let two files have the same extents (Btrfs, XFS): then copy_range takes no room.
    bool shares_extents(const Fd& fd) const;
    virtual Result<void> set_mode(const Fd& fd, mode_t mode);
    // Gives an unnamed file its name; already_exists if it is taken.
    virtual Result<void> link_unnamed(const Fd& fd, const Fd& dir, const std::string& name);
    // link(2) inside folders; already_exists if the new name is taken.
    virtual Result<void> link_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to);
    virtual Result<void> rename_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to);
    virtual Result<void> unlink_at(const Fd& dir, const std::string& name);
    virtual Result<void> remove_dir_at(const Fd& dir, const std::string& name);  // an empty folder

    // --- durability ---
    virtual Result<void> sync_filesystem(const Fd& fd);  // syncfs(2): everything on that filesystem
    virtual Result<void> sync_file(const Fd& fd);        // fsync(2), also for folders

    // --- locks ---
    // busy when another open file holds it. Creates the file if needed. The lock is on the file that `path` names when
    // the call returns, so a holder may remove its lock file before letting go.
    virtual Result<FileLock> try_lock(const std::string& path);

    // --- limits ---
    // Raises the limit of open files as far as this process may; returns what it is then.
    virtual size_t raise_open_file_limit();
};

}  // namespace ntt
