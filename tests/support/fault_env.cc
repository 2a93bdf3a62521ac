#include "support/fault_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <random>

namespace ntt::test {
namespace fs = std::filesystem;
namespace {

std::string path_of(const Fd& fd) { return fs::read_symlink("/proc/self/fd/" + std::to_string(fd.raw())).string(); }
std::string path_in(const Fd& dir, const std::string& name) { return path_of(dir) + "/" + name; }

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

bool is_at_or_below(const std::string& path, const std::string& folder) {
    return path == folder || path.compare(0, folder.size() + 1, folder + "/") == 0;
}

std::string content_of(const Fd& fd) {
    struct stat info {};
    NTT_CHECK(::fstat(fd.raw(), &info) == 0, "fstat in a test");
    std::string out(static_cast<size_t>(info.st_size), '\0');
    NTT_CHECK(::pread(fd.raw(), out.data(), out.size(), 0) == info.st_size, "pread in a test");
    return out;
}

void set_content(const Fd& fd, const std::string& bytes) {
    NTT_CHECK(::ftruncate(fd.raw(), 0) == 0, "ftruncate in a test");
    NTT_CHECK(::pwrite(fd.raw(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "pwrite in a test");
}

}  // namespace

size_t FaultEnv::count() const {
    const std::lock_guard guard(mutex_);
    return std::accumulate(counts_.begin(), counts_.end(), size_t{0});
}

size_t FaultEnv::count(Op op) const {
    const std::lock_guard guard(mutex_);
    return counts_[static_cast<size_t>(op)];
}

void FaultEnv::set_fault(const Fault& fault) {
    const std::lock_guard guard(mutex_);
    fault_ = fault;
    fault_seen_ = 0;
    fault_fired_ = false;
}

bool FaultEnv::fault_fired() const {
    const std::lock_guard guard(mutex_);
    return fault_fired_;
}

void FaultEnv::clear_fault() {
    const std::lock_guard guard(mutex_);
    fault_.reset();
}

void FaultEnv::refuse(Op op, int sys_errno) {
    const std::lock_guard guard(mutex_);
    refused_[static_cast<size_t>(op)] = sys_errno;
}

void FaultEnv::ignore_sync_filesystem() {
    const std::lock_guard guard(mutex_);
    sync_filesystem_works_ = false;
}

Result<void> FaultEnv::step(Op op) {
    const std::lock_guard guard(mutex_);
    const auto index = static_cast<size_t>(op);
    ++counts_[index];
    if (fault_ && (!fault_->only || *fault_->only == op)) {
        ++fault_seen_;
        if (fault_seen_ == fault_->nth || (fault_seen_ > fault_->nth && fault_->lasting == Lasting::from_then_on)) {
            fault_fired_ = true;
            return errno_error(fault_->sys_errno, "a fault of the test");
        }
    }
    if (refused_[index] != 0) return errno_error(refused_[index], "refused by the test");
    return {};
}

void FaultEnv::note(Change change) {
    const std::lock_guard guard(mutex_);
    changes_.push_back(std::move(change));
}

void FaultEnv::note_content(const Fd& fd) {
    struct stat info {};
    NTT_CHECK(::fstat(fd.raw(), &info) == 0, "fstat in a test");
    const std::lock_guard guard(mutex_);
    if (unsynced_.count(info.st_ino) != 0) return;
    Fd copy(::fcntl(fd.raw(), F_DUPFD_CLOEXEC, 0));
    NTT_CHECK(copy.valid(), "dup in a test");
    unsynced_.emplace(info.st_ino, Unsynced{std::move(copy), content_of(fd)});
}

std::string FaultEnv::bury(const std::string& path) {
    const std::lock_guard guard(mutex_);
    std::string grave = grave_ + "/" + std::to_string(buried_++);
    return ::link(path.c_str(), grave.c_str()) == 0 ? grave : std::string();
}

void FaultEnv::undo(const Change& change) {
    std::error_code ignored;  // a name may be gone because a synced operation took it
    switch (change.kind) {
        case Change::Kind::created: fs::remove(change.path, ignored); break;
        case Change::Kind::folder_made: fs::remove_all(change.path, ignored); break;
        case Change::Kind::folder_removed: fs::create_directory(change.path, ignored); break;
        case Change::Kind::removed: fs::rename(change.grave, change.path, ignored); break;
        case Change::Kind::renamed:
            fs::rename(change.path, change.from, ignored);
            if (!change.grave.empty()) fs::rename(change.grave, change.path, ignored);
            break;
    }
}

void FaultEnv::lose_power(Survival survival, uint32_t seed) {
    const std::lock_guard guard(mutex_);
    std::mt19937 random(seed);
    const auto survives = [&] { return survival == Survival::all || (survival == Survival::some && random() % 2 == 0); };

    for (auto& [inode, file] : unsynced_) {
        if (survives()) continue;
        const std::string now = content_of(file.fd);
        switch (random() % 3) {
            case 0: set_content(file.fd, file.before); break;
            case 1: set_content(file.fd, now.substr(0, now.size() / 2)); break;
            default: set_content(file.fd, std::string(now.size(), '\0')); break;
        }
    }
    std::vector<std::string> kept;  // names that surviving changes build on
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
        const bool built_on = std::any_of(kept.begin(), kept.end(), [&](const std::string& name) {
            return is_at_or_below(name, change->path) || (!change->from.empty() && is_at_or_below(name, change->from));
        });
        if (!built_on && !survives()) {
            undo(*change);
            continue;
        }
        kept.push_back(change->path);
        if (!change->from.empty()) kept.push_back(change->from);
    }
    changes_.clear();
    unsynced_.clear();
}

Result<Fd> FaultEnv::open_read(const std::string& path) {
    TRY(step(Op::open_read));
    return Env::open_read(path);
}

Result<Fd> FaultEnv::open_read_at(const Fd& dir, const std::string& name) {
    TRY(step(Op::open_read));
    return Env::open_read_at(dir, name);
}

Result<size_t> FaultEnv::read_at(const Fd& fd, ByteSpan out, uint64_t offset) {
    TRY(step(Op::read));
    return Env::read_at(fd, out, offset);
}

Result<struct stat> FaultEnv::stat_fd(const Fd& fd) {
    TRY(step(Op::stat));
    return Env::stat_fd(fd);
}

Result<struct stat> FaultEnv::stat_path(const std::string& path) {
    TRY(step(Op::stat));
    return Env::stat_path(path);
}

Result<struct stat> FaultEnv::stat_at(const Fd& dir, const std::string& name) {
    TRY(step(Op::stat));
    return Env::stat_at(dir, name);
}

Result<std::vector<DirEntry>> FaultEnv::list_dir(const std::string& path) {
    TRY(step(Op::list_dir));
    return Env::list_dir(path);
}

Result<Fd> FaultEnv::open_dir(const std::string& path) {
    TRY(step(Op::open_dir));
    return Env::open_dir(path);
}

Result<Fd> FaultEnv::open_dir_at(const Fd& dir, const std::string& name) {
    TRY(step(Op::open_dir));
    return Env::open_dir_at(dir, name);
}

Result<void> FaultEnv::make_dir(const std::string& path, mode_t mode) {
    TRY(step(Op::make_dir));
    const bool was_there = exists(path);
    TRY(Env::make_dir(path, mode));
    if (!was_there) note({Change::Kind::folder_made, fs::absolute(path).string(), {}, {}});
    return {};
}

Result<Fd> FaultEnv::open_unnamed(const Fd& dir, mode_t mode) {
    TRY(step(Op::open_unnamed));
    return Env::open_unnamed(dir, mode);
}

Result<Fd> FaultEnv::open_create_at(const Fd& dir, const std::string& name, mode_t mode, Existing existing) {
    TRY(step(Op::open_create));
    const std::string path = path_in(dir, name);
    const bool was_there = exists(path);
    TRY_ASSIGN(Fd fd, Env::open_create_at(dir, name, mode, existing));
    if (!was_there) note({Change::Kind::created, path, {}, {}});
    return fd;
}

Result<void> FaultEnv::write_at(const Fd& fd, ByteView bytes, uint64_t offset) {
    note_content(fd);
    const Result<void> turn = step(Op::write);
    if (!turn.ok()) {
        TRY(Env::write_at(fd, bytes.first(bytes.size() / 2), offset));
        return turn;
    }
    return Env::write_at(fd, bytes, offset);
}

Result<void> FaultEnv::truncate(const Fd& fd, uint64_t size) {
    TRY(step(Op::truncate));
    note_content(fd);
    return Env::truncate(fd, size);
}

Result<void> FaultEnv::copy_range(const Fd& from, uint64_t from_offset, const Fd& to, uint64_t to_offset, uint64_t length) {
    TRY(step(Op::copy_range));
    note_content(to);
    return Env::copy_range(from, from_offset, to, to_offset, length);
}

Result<void> FaultEnv::set_mode(const Fd& fd, mode_t mode) {
    TRY(step(Op::set_mode));
    return Env::set_mode(fd, mode);
}

Result<void> FaultEnv::link_unnamed(const Fd& fd, const Fd& dir, const std::string& name) {
    TRY(step(Op::link_unnamed));
    TRY(Env::link_unnamed(fd, dir, name));
    note({Change::Kind::created, path_in(dir, name), {}, {}});
    return {};
}

Result<void> FaultEnv::link_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    TRY(step(Op::link));
    TRY(Env::link_at(from_dir, from, to_dir, to));
    note({Change::Kind::created, path_in(to_dir, to), {}, {}});
    return {};
}

Result<void> FaultEnv::rename_at(const Fd& from_dir, const std::string& from, const Fd& to_dir, const std::string& to) {
    TRY(step(Op::rename));
    const std::string to_path = path_in(to_dir, to);
    const std::string grave = bury(to_path);
    TRY(Env::rename_at(from_dir, from, to_dir, to));
    note({Change::Kind::renamed, to_path, path_in(from_dir, from), grave});
    return {};
}

Result<void> FaultEnv::unlink_at(const Fd& dir, const std::string& name) {
    TRY(step(Op::unlink));
    const std::string path = path_in(dir, name);
    const std::string grave = bury(path);
    TRY(Env::unlink_at(dir, name));
    note({Change::Kind::removed, path, {}, grave});
    return {};
}

Result<void> FaultEnv::remove_dir_at(const Fd& dir, const std::string& name) {
    TRY(step(Op::remove_dir));
    TRY(Env::remove_dir_at(dir, name));
    note({Change::Kind::folder_removed, path_in(dir, name), {}, {}});
    return {};
}

Result<void> FaultEnv::sync_filesystem(const Fd& /*fd*/) {
    TRY(step(Op::sync_filesystem));
    const std::lock_guard guard(mutex_);
    if (!sync_filesystem_works_) return {};
    changes_.clear();
    unsynced_.clear();
    return {};
}

// A file's bytes, or a folder's names; a file's own name is its folder's matter.
Result<void> FaultEnv::sync_file(const Fd& fd) {
    TRY(step(Op::sync_file));
    struct stat info {};
    NTT_CHECK(::fstat(fd.raw(), &info) == 0, "fstat in a test");
    const std::string path = path_of(fd);
    const std::lock_guard guard(mutex_);
    unsynced_.erase(info.st_ino);
    std::erase_if(changes_, [&](const Change& change) { return fs::path(change.path).parent_path() == path; });
    return {};
}

Result<FileLock> FaultEnv::try_lock(const std::string& path) {
    TRY(step(Op::lock));
    const bool was_there = exists(path);
    TRY_ASSIGN(FileLock lock, Env::try_lock(path));
    if (!was_there) note({Change::Kind::created, fs::absolute(path).string(), {}, {}});
    return lock;
}

}  // namespace ntt::test
