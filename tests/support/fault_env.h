// An Env for tests that counts operations, makes chosen ones fail, answers "unsupported", and loses power.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "os/env.h"

namespace ntt::test {

enum class Op : uint8_t {
    open_read,
    read,
    stat,
    list_dir,
    open_dir,
    make_dir,
    open_unnamed,
    open_create,
    write,
    truncate,
    copy_range,
    set_mode,
    link_unnamed,
    link,
    rename,
    unlink,
    remove_dir,
    sync_filesystem,
    sync_file,
    lock,
};
inline constexpr size_t kOps = static_cast<size_t>(Op::lock) + 1;

enum class Lasting : uint8_t { once, from_then_on };

struct Fault {
    size_t nth = 1;          // counted from when the fault is set
    int sys_errno = EIO;     // EINTR too: as if a call had not been restarted
    std::optional<Op> only;  // counts operations of this kind alone
    Lasting lasting = Lasting::once;
};

// What a disk kept of the operations that no sync had covered.
enum class Survival : uint8_t { none, some, all };

// Does everything on the real filesystem, but for syncs, which are only noted. Thread-safe.
class FaultEnv : public Env {
public:
    // `grave` is an empty folder on the same filesystem, outside of what is tested; removed files wait there for a power loss.
    explicit FaultEnv(std::string grave) : grave_(std::move(grave)) {}

    // How many operations there were, failed ones included.
    size_t count() const;
    size_t count(Op op) const;

    void set_fault(const Fault& fault);
    // Whether the fault has made an operation fail.
    bool fault_fired() const;
    void clear_fault();
    // A write that fails has written its first half, as on a full disk. Other failed operations have done nothing.

    // From now on every `op` fails so: a filesystem that cannot do it.
    void refuse(Op op, int sys_errno = EOPNOTSUPP);

    // From now on sync_filesystem says it worked and does nothing, as FUSE does.
    void ignore_sync_filesystem();

    // Undoes what was not synced: names are taken away, renamed back or restored, folders removed; contents become what they
    // were, half of it, or zeros. With Survival::some the seed chooses what the disk kept, as disks order their writes freely;
    // only an operation whose names a kept one builds on is kept with it. Everything opened through this Env must be closed.
    void lose_power(Survival survival, uint32_t seed);

    Result<Fd> open_read(const std::string& path) override;
    Result<Fd> open_read_at(const Fd& dir, const std::string& name) override;
    Result<size_t> read_at(const Fd& fd, ByteSpan out, uint64_t offset) override;
    Result<struct stat> stat_fd(const Fd& fd) override;
    Result<struct stat> stat_path(const std::string& path) override;
    Result<struct stat> stat_at(const Fd& dir, const std::string& name) override;
    Result<std::vector<DirEntry>> list_dir(const std::string& path) override;
    Result<Fd> open_dir(const std::string& path) override;
    Result<Fd> open_dir_at(const Fd& dir, const std::string& name) override;
    Result<void> make_dir(const std::string& path, mode_t mode) override;
    Result<Fd> open_unnamed(const Fd& dir, mode_t mode) override;
    Result<Fd> open_create_at(const Fd& dir, const std::string& name, mode_t mode, Existing existing) override;
    Result<void> write_at(const Fd& fd, ByteView bytes, uint64_t offset) override;
    Result<void> truncate(const Fd& fd, uint64_t size) override;
    Result<void> copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t length) override;
    Result<void> set_mode(const Fd& fd, mode_t mode) override;
    Result<void> link_unnamed(const Fd& fd, const Fd& dir, const std::string& name) override;
    Result<void> link_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) override;
    Result<void> rename_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) override;
    Result<void> unlink_at(const Fd& dir, const std::string& name) override;
    Result<void> remove_dir_at(const Fd& dir, const std::string& name) override;
    Result<void> sync_filesystem(const Fd& fd) override;
    Result<void> sync_file(const Fd& fd) override;
    Result<FileLock> try_lock(const std::string& path) override;

private:
    // A change to names that no sync has covered.
    struct Change {
        enum class Kind : uint8_t { created, removed, renamed, folder_made, folder_removed } kind;
        std::string path;   // the name that was made or removed; of a rename: the new one
        std::string from;   // of a rename: the old one
        std::string grave;  // where the file that was removed or replaced waits; empty: none
    };
    // A file whose bytes no sync has covered.
    struct Unsynced {
        Fd fd;
        std::string before;
    };

    Result<void> step(Op op);  // counts, and fails if it is this one's turn
    void note(Change change);
    void note_content(const Fd& fd);
    std::string bury(const std::string& path);  // keeps a file that is about to lose its name
    static void undo(const Change& change);

    const std::string grave_;
    mutable std::mutex mutex_;
    std::array<size_t, kOps> counts_{};
    std::array<int, kOps> refused_{};
    std::optional<Fault> fault_;
    size_t fault_seen_ = 0;
    bool fault_fired_ = false;
    bool sync_filesystem_works_ = true;
    std::vector<Change> changes_;
    std::map<ino_t, Unsynced> unsynced_;
    size_t buried_ = 0;
};

}  // namespace ntt::test
