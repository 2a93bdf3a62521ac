#include "store/store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "store/identity.h"
#include "store/layout.h"
#include "store/temp_files.h"

namespace ntt {

// ---------------------------------------------------------------------------------------------------------------------
// Staged contents

struct StagedBlob::State {
    BlobKind kind;
    BlobId id;
    uint64_t size;
    TempFile file;
};

StagedBlob::StagedBlob(std::unique_ptr<State> state) : state_(std::move(state)) {}
StagedBlob::StagedBlob(StagedBlob&&) noexcept = default;
StagedBlob& StagedBlob::operator=(StagedBlob&&) noexcept = default;
StagedBlob::~StagedBlob() = default;

BlobKind StagedBlob::kind() const { return state_->kind; }
const BlobId& StagedBlob::id() const { return state_->id; }
uint64_t StagedBlob::size() const { return state_->size; }

struct StagedWriter::State {
    Env& env;
    BlobKind kind;
    TempFile file;
    uint64_t size = 0;          // with holes
    uint64_t written_end = 0;   // where the file on disk ends
    bool kernel_copies = true;  // until copy_range fails

    // Makes room for `length` more bytes: where they start.
    Result<uint64_t> advance(uint64_t length) {
        const auto end = checked_add(size, length);
        if (!end || *end > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
            return make_error(ErrorCode::limit, "a content of more than 2^63 bytes");
        return std::exchange(size, *end);
    }
};

StagedWriter::StagedWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
StagedWriter::StagedWriter(StagedWriter&&) noexcept = default;
StagedWriter& StagedWriter::operator=(StagedWriter&&) noexcept = default;
StagedWriter::~StagedWriter() = default;

uint64_t StagedWriter::size() const { return state_ == nullptr ? 0 : state_->size; }

Result<void> StagedWriter::append(ByteView bytes) {
    NTT_CHECK(state_ != nullptr, "append to a finished writer");
    TRY_ASSIGN(const uint64_t at, state_->advance(bytes.size()));
    if (bytes.empty()) return {};
    TRY(state_->env.write_at(state_->file.fd(), bytes, at));
    state_->written_end = state_->size;
    return {};
}

Result<void> StagedWriter::append_hole(uint64_t length) {
    NTT_CHECK(state_ != nullptr, "append to a finished writer");
    TRY(state_->advance(length));  // the next bytes are written beyond it, or finish() sets the size
    return {};
}

Result<void> StagedWriter::append_from(const Fd& file, uint64_t file_offset, ByteView bytes) {
    NTT_CHECK(state_ != nullptr, "append to a finished writer");
    if (!state_->kernel_copies || bytes.empty()) return append(bytes);
    TRY_ASSIGN(const uint64_t at, state_->advance(bytes.size()));
    // Whatever the kernel's reason: the bytes that were hashed are at hand and overwrite what it may have copied.
    state_->kernel_copies = state_->env.copy_range(file, file_offset, state_->file.fd(), at, bytes.size()).ok();
    if (!state_->kernel_copies) TRY(state_->env.write_at(state_->file.fd(), bytes, at));
    state_->written_end = state_->size;
    return {};
}

Result<StagedBlob> StagedWriter::finish(const BlobId& id) {
    NTT_CHECK(state_ != nullptr, "finish of a finished writer");
    const std::unique_ptr<State> state = std::move(state_);
    if (state->size > state->written_end) TRY(state->env.truncate(state->file.fd(), state->size));
    return StagedBlob(
        std::make_unique<StagedBlob::State>(StagedBlob::State{state->kind, id, state->size, std::move(state->file)}));
}

// ---------------------------------------------------------------------------------------------------------------------
// The store on a filesystem

namespace {

constexpr size_t kMaxGroup = 4096;
constexpr size_t kMinGroup = 16;
constexpr size_t kOtherFiles = 2 * kFanout + 256;  // our folders, and what the rest of the program may have open
constexpr int kPublishAttempts = 8;
constexpr int kMaxQuarantineNumber = 10'000;
// How much earlier than it was made a name's time stamp may be: filesystems round it down (to 2 s at most), and the kernel's
// clock for it lags by a tick.
constexpr int64_t kStampSlackUs = 3'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

void raise_to(std::atomic<int64_t>& value, int64_t least) {
    int64_t seen = value.load();
    while (seen < least && !value.compare_exchange_weak(seen, least)) {
    }
}

int64_t change_time_us(const struct stat& info) { return int64_t{info.st_ctim.tv_sec} * 1'000'000 + info.st_ctim.tv_nsec / 1000; }

// Four groups may be in flight: of each of two threads, one being filled and one being committed.
size_t group_limit(size_t open_files) {
    const size_t free = open_files > kOtherFiles ? open_files - kOtherFiles : 0;
    return std::clamp(free / 4, kMinGroup, kMaxGroup);
}

size_t index_of(BlobKind kind) { return static_cast<size_t>(kind); }

}  // namespace

class DiskStore final : public Store {
public:
    DiskStore(Env& env, std::string dir, size_t max_group)
        : env_(env), dir_(std::move(dir)), max_group_(max_group), temp_files_(env_, dir_, root_) {}
    Result<void> prepare(const StoreOptions& options);

    const std::string& id() const override { return identity_.id; }
    const std::string& dir() const override { return dir_; }
    Result<Presence> look(BlobKind kind, const BlobId& id, uint64_t size) override;
    Result<StagedBlob> stage(BlobKind kind, const BlobId& id, ByteView content) override;
    Result<StagedWriter> start(BlobKind kind) override;
    Result<std::vector<Published>> commit(std::vector<StagedBlob> group) override;
    size_t max_group() const override { return max_group_; }
    std::vector<QuarantineEvent> take_quarantine_events() override;
    Result<Fd> open_blob(BlobKind kind, const BlobId& id) override;
    Result<void> for_each(const std::function<Result<void>(const BlobFile&)>& visit) override;
    Result<void> quarantine(BlobKind kind, const BlobId& id, const std::string& reason) override;

private:
    // A folder of the first level, by-hash/aa; made if it is missing, opened once.
    Result<const Fd*> branch(BlobKind kind, uint8_t first_byte);
    Result<Published> publish(StagedBlob::State& blob);
    Result<void> link(StagedBlob::State& blob);
    // Moves a blob's file to quarantine/. With `good_size` only if it is not a file of that size by now.
    Result<void> set_aside(BlobKind kind, const BlobId& id, const std::string& reason, std::optional<uint64_t> good_size);
    Result<bool> any_missing(const std::vector<StagedBlob>& group);
    Result<void> sync_names(const std::vector<StagedBlob>& group);
    Result<void> sync_all();
    bool names_may_be_unsynced() const { return newest_seen_us_ >= synced_until_us_; }
    Result<void> walk(BlobKind kind, const std::string& folder, int level,
                      const std::function<Result<void>(const BlobFile&)>& visit);

    std::string path_of(BlobKind kind, const BlobId& id) const {
        return folder_of(kind) + "/" + blob_path(id, identity_.fanout_levels);
    }

    Env& env_;
    const std::string dir_;
    const size_t max_group_;
    StoreIdentity identity_;
    Fd root_, quarantine_;
    std::array<Fd, 2> folders_;  // by-hash and partial
    TempFiles temp_files_;

    std::mutex branches_mutex_;
    std::array<std::array<Fd, kFanout>, 2> branches_;  // an entry does not change once it is open

    // A name can be seen before it is durable: another thread, process or host has linked it and not synced yet. What look()
    // finds must not be recorded as stored until a sync that began after the name was made is done. Its change time tells.
    std::atomic<int64_t> newest_seen_us_{kNever};       // the youngest name that was found
    std::atomic<int64_t> synced_until_us_{kNever + 1};  // names older than this are durable

    std::mutex events_mutex_;
    std::vector<QuarantineEvent> events_;
};

Result<std::unique_ptr<Store>> Store::open(Env& env, const std::string& dir, const StoreOptions& options) {
    if (options.fanout_levels < 1 || options.fanout_levels > kMaxFanoutLevels)
        return make_error(ErrorCode::invalid_argument, "a store has 1 or 2 levels of folders");
    auto store = std::make_unique<DiskStore>(env, dir, group_limit(env.raise_open_file_limit()));
    TRY(store->prepare(options));
    return std::unique_ptr<Store>(std::move(store));
}

// Writes nothing where everything is there: a store on a read-only disk can be read.
Result<void> DiskStore::prepare(const StoreOptions& options) {
    const auto open_or_make = [&](const std::string& path) -> Result<Fd> {
        Result<Fd> folder = env_.open_dir(path);
        if (folder.ok() || folder.error().code != ErrorCode::not_found) return folder;
        TRY(env_.make_dirs(path, kFolderMode));
        return env_.open_dir(path);
    };
    TRY_ASSIGN(root_, open_or_make(dir_));
    TRY_ASSIGN(identity_, read_or_make_identity(env_, dir_, options));
    for (const BlobKind kind : {BlobKind::whole, BlobKind::partial}) {
        TRY_ASSIGN(folders_[index_of(kind)], open_or_make(dir_ + "/" + folder_of(kind)));
    }
    TRY_ASSIGN(quarantine_, open_or_make(dir_ + "/" + kQuarantineName));
    return temp_files_.sweep();
}

Result<const Fd*> DiskStore::branch(BlobKind kind, uint8_t first_byte) {
    const std::lock_guard guard(branches_mutex_);
    Fd& known = branches_[index_of(kind)][first_byte];
    if (known.valid()) return &known;
    const Fd& parent = folders_[index_of(kind)];
    const std::string name = branch_name(first_byte);
    Result<Fd> opened = env_.open_dir_at(parent, name);
    if (!opened.ok() && opened.error().code == ErrorCode::not_found) {
        TRY(env_.make_dir(dir_ + "/" + folder_of(kind) + "/" + name, kFolderMode));
        opened = env_.open_dir_at(parent, name);
    }
    TRY_ASSIGN(known, std::move(opened));
    return &known;
}

Result<Presence> DiskStore::look(BlobKind kind, const BlobId& id, uint64_t size) {
    const auto found = env_.stat_at(folders_[index_of(kind)], blob_path(id, identity_.fanout_levels));
    if (!found.ok()) {
        if (found.error().code == ErrorCode::not_found) return Presence::absent;
        return found.error();
    }
    if (!S_ISREG(found->st_mode) || static_cast<uint64_t>(found->st_size) != size) return Presence::wrong_size;
    raise_to(newest_seen_us_, change_time_us(*found));
    return Presence::present;
}

Result<StagedBlob> DiskStore::stage(BlobKind kind, const BlobId& id, ByteView content) {
    TRY_ASSIGN(const Fd* near, branch(kind, id.bytes[0]));
    TRY_ASSIGN(TempFile file, temp_files_.create(*near));
    if (!content.empty()) TRY(env_.write_at(file.fd(), content, 0));
    return StagedBlob(std::make_unique<StagedBlob::State>(StagedBlob::State{kind, id, content.size(), std::move(file)}));
}

Result<StagedWriter> DiskStore::start(BlobKind kind) {
    TRY_ASSIGN(TempFile file, temp_files_.create(folders_[index_of(kind)]));
    return StagedWriter(std::make_unique<StagedWriter::State>(StagedWriter::State{env_, kind, std::move(file)}));
}

// The order is the promise. No name before its bytes are on the disk: after a crash a name stands for a whole content. No
// return before the names are: what the catalog is told is there. docs/formats/store.md has the crash at each step.
Result<std::vector<Published>> DiskStore::commit(std::vector<StagedBlob> group) {
    TRY_ASSIGN(const bool any_new, any_missing(group));
    std::vector<Published> published(group.size(), Published::duplicate);
    if (any_new) {
        for (const StagedBlob& blob : group) TRY(temp_files_.seal(blob.state_->file));
        TRY(sync_all());
        for (size_t i = 0; i < group.size(); ++i) {
            TRY_ASSIGN(published[i], publish(*group[i].state_));
        }
    }
    const bool any_fresh = std::find(published.begin(), published.end(), Published::fresh) != published.end();
    if (any_fresh || names_may_be_unsynced()) TRY(sync_names(group));
    return published;
}

// Stops at the first one that is: a group of new contents costs one look.
Result<bool> DiskStore::any_missing(const std::vector<StagedBlob>& group) {
    for (const StagedBlob& blob : group) {
        TRY_ASSIGN(const Presence found, look(blob.kind(), blob.id(), blob.size()));
        if (found != Presence::present) return true;
    }
    return false;
}

Result<Published> DiskStore::publish(StagedBlob::State& blob) {
    for (int attempt = 0; attempt < kPublishAttempts; ++attempt) {
        const Result<void> linked = link(blob);
        if (linked.ok()) return Published::fresh;
        if (linked.error().code != ErrorCode::already_exists) return linked.error();
        TRY_ASSIGN(const Presence found, look(blob.kind, blob.id, blob.size));
        if (found == Presence::present) return Published::duplicate;
        if (found == Presence::wrong_size) TRY(set_aside(blob.kind, blob.id, "wrong_size", blob.size));
    }
    return make_error(ErrorCode::busy, "somebody else keeps changing " + path_of(blob.kind, blob.id));
}

Result<void> DiskStore::link(StagedBlob::State& blob) {
    TRY_ASSIGN(const Fd* parent, branch(blob.kind, blob.id.bytes[0]));
    const std::string name = name_in_branch(blob.id, identity_.fanout_levels);
    Result<void> linked = temp_files_.publish(blob.file, *parent, name);
    if (linked.ok() || linked.error().code != ErrorCode::not_found || identity_.fanout_levels == 1) return linked;
    const std::string path = path_of(blob.kind, blob.id);
    TRY(env_.make_dir(dir_ + "/" + path.substr(0, path.rfind('/')), kFolderMode));
    return temp_files_.publish(blob.file, *parent, name);
}

Result<void> DiskStore::sync_all() {
    const int64_t began_us = Clock::system().wall_us();
    TRY(env_.sync_filesystem(root_));
    raise_to(synced_until_us_, began_us - kStampSlackUs);
    return {};
}

Result<void> DiskStore::sync_names(const std::vector<StagedBlob>& group) {
    const std::optional<TempMethod> method = temp_files_.method();
    if (method && *method != TempMethod::unnamed) {  // syncfs alone will not do (TempFiles::seal)
        std::set<std::string> folders{".", kQuarantineName};
        for (const StagedBlob& blob : group) {
            std::string path = path_of(blob.kind(), blob.id());
            for (size_t slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
                path.resize(slash);
                folders.insert(path);
            }
        }
        for (const std::string& folder : folders) {
            TRY_ASSIGN(const Fd open, env_.open_dir(dir_ + "/" + folder));
            TRY(env_.sync_file(open));
        }
    }
    return sync_all();
}

Result<void> DiskStore::quarantine(BlobKind kind, const BlobId& id, const std::string& reason) {
    TRY(set_aside(kind, id, reason, std::nullopt));
    TRY(env_.sync_file(quarantine_));
    return sync_all();
}

Result<void> DiskStore::set_aside(BlobKind kind, const BlobId& id, const std::string& reason, std::optional<uint64_t> good_size) {
    // Two processes that find the same bad file must not both move it: the second would move the good one in its place.
    TRY_ASSIGN(const FileLock lock, lock_store(env_, dir_));
    const Fd& folder = folders_[index_of(kind)];
    const std::string name = blob_path(id, identity_.fanout_levels);
    if (good_size) {
        TRY_ASSIGN(const Presence found, look(kind, id, *good_size));
        if (found != Presence::wrong_size) return {};
    } else {
        TRY(env_.stat_at(folder, name));
    }
    for (int n = 0; n < kMaxQuarantineNumber; ++n) {
        const std::string moved = quarantine_name(kind, id, Clock::system().wall_us(), reason, n);
        const auto taken = env_.stat_at(quarantine_, moved);
        if (taken.ok()) continue;
        if (taken.error().code != ErrorCode::not_found) return taken.error();
        TRY(env_.rename_at(folder, name, quarantine_, moved));
        const std::lock_guard guard(events_mutex_);
        events_.push_back({id, kind, reason, std::string(kQuarantineName) + "/" + moved});
        return {};
    }
    return make_error(ErrorCode::limit, fmt::format("{} is in quarantine too often", name));
}

std::vector<QuarantineEvent> DiskStore::take_quarantine_events() {
    const std::lock_guard guard(events_mutex_);
    return std::exchange(events_, {});
}

Result<Fd> DiskStore::open_blob(BlobKind kind, const BlobId& id) {
    TRY_ASSIGN(Fd file, env_.open_read_at(folders_[index_of(kind)], blob_path(id, identity_.fanout_levels)));
    TRY_ASSIGN(const struct stat info, env_.stat_fd(file));
    if (!S_ISREG(info.st_mode)) return make_error(ErrorCode::store_damaged, path_of(kind, id) + " is not a file");
    return file;
}

Result<void> DiskStore::for_each(const std::function<Result<void>(const BlobFile&)>& visit) {
    for (const BlobKind kind : {BlobKind::whole, BlobKind::partial}) TRY(walk(kind, folder_of(kind), 0, visit));
    return {};
}

// A folder that the store does not make is reported as one stray, whatever is in it.
Result<void> DiskStore::walk(BlobKind kind, const std::string& folder, int level,
                             const std::function<Result<void>(const BlobFile&)>& visit) {
    TRY_ASSIGN(std::vector<DirEntry> entries, env_.list_dir(dir_ + "/" + folder));
    std::sort(entries.begin(), entries.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    for (const DirEntry& entry : entries) {
        BlobFile file{kind, entry.name, std::nullopt, folder + "/" + entry.name, 0};
        if (entry.is_directory && level < identity_.fanout_levels && is_fanout_name(entry.name)) {
            TRY(walk(kind, file.path, level + 1, visit));
            continue;
        }
        const auto info = env_.stat_at(root_, file.path);
        if (!info.ok() && info.error().code == ErrorCode::not_found) continue;  // went to quarantine meanwhile
        if (!info.ok()) return info.error();
        file.size = static_cast<uint64_t>(info->st_size);
        const auto id = BlobId::from_hex(entry.name);
        if (id && S_ISREG(info->st_mode) && file.path == path_of(kind, *id)) file.id = id;
        TRY(visit(file));
    }
    return {};
}

}  // namespace ntt
