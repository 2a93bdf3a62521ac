#include "store/temp_files.h"

#include <atomic>
#include <utility>

#include "store/layout.h"

namespace ntt {
namespace {

constexpr const char* kOwnerLock = "lock";
constexpr const char* kProbeName = "link-probe";
constexpr int kMaxOwnerAttempts = 16;

// Whether a filesystem that answers so will not do it another time either. EPERM is what link(2) says where there are no hard
// links; not_found is linking through a /proc that is not mounted.
bool is_refusal(const Error& error) {
    return error.code == ErrorCode::unsupported || error.code == ErrorCode::permission || error.code == ErrorCode::not_found ||
           error.code == ErrorCode::invalid_argument;
}

// What a trial link says: true works, false never will. The name of the trial may be left over from a crash.
Result<bool> judge_trial(const Result<void>& linked) {
    if (linked.ok() || linked.error().code == ErrorCode::already_exists) return true;
    if (is_refusal(linked.error())) return false;
    return linked.error();
}

}  // namespace

// tmp/<owner>/, ours as long as its lock is held. Goes when the store and all its temporary files have gone.
class OwnerFolder {
public:
    OwnerFolder(Env& env, Fd temp, Fd dir, std::string owner, FileLock lock)
        : env_(env), temp_(std::move(temp)), dir_(std::move(dir)), owner_(std::move(owner)), lock_(std::move(lock)) {}
    OwnerFolder(const OwnerFolder&) = delete;
    OwnerFolder& operator=(const OwnerFolder&) = delete;
    ~OwnerFolder() {
        env_.unlink_at(dir_, kOwnerLock).ignore("the next open sweeps it");
        env_.remove_dir_at(temp_, owner_).ignore("the next open sweeps it");
    }

    Env& env() const { return env_; }
    const Fd& dir() const { return dir_; }
    std::string next_name() { return std::to_string(counter_++); }

private:
    Env& env_;
    Fd temp_, dir_;
    const std::string owner_;
    FileLock lock_;
    std::atomic<uint64_t> counter_{0};
};

TempFile::TempFile(Fd fd, std::string name, std::shared_ptr<OwnerFolder> folder)
    : fd_(std::move(fd)), name_(std::move(name)), folder_(std::move(folder)) {}

TempFile::~TempFile() {
    if (folder_ != nullptr && !name_.empty())
        folder_->env().unlink_at(folder_->dir(), name_).ignore("swept once this owner is dead");
}

Result<void> TempFiles::sweep() {
    const std::string temp_path = store_path_ + "/" + kTempName;
    const auto owners = env_.list_dir(temp_path);
    if (!owners.ok()) {
        if (owners.error().code == ErrorCode::not_found) return {};
        return owners.error();
    }
    for (const DirEntry& owner : *owners) {
        if (!owner.is_directory) continue;
        const std::string path = temp_path + "/" + owner.name;
        // Whatever fails here, the next open tries again; a store that cannot be swept (read-only, say) can still be read.
        const auto lock = env_.try_lock(path + "/" + kOwnerLock);
        if (!lock.ok()) continue;
        const auto temp = env_.open_dir(temp_path);
        const auto dir = env_.open_dir(path);
        const auto files = env_.list_dir(path);
        if (!temp.ok() || !dir.ok() || !files.ok()) continue;
        for (const DirEntry& file : *files)
            if (file.name != kOwnerLock) env_.unlink_at(*dir, file.name).ignore("swept another time");
        // The lock file last but for the folder: an owner who gets this name now makes a lock of its own (Env::try_lock).
        env_.unlink_at(*dir, kOwnerLock).ignore("swept another time");
        env_.remove_dir_at(*temp, owner.name).ignore("swept another time");
    }
    return {};
}

std::optional<TempMethod> TempFiles::method() const {
    const std::lock_guard guard(mutex_);
    return method_;
}

Result<TempFile> TempFiles::create(const Fd& near) {
    TRY_ASSIGN(const TempMethod method, choose_method());
    if (method != TempMethod::unnamed) return create_named();
    TRY_ASSIGN(Fd fd, env_.open_unnamed(near, kBlobMode));
    return TempFile(std::move(fd), {}, nullptr);
}

Result<TempMethod> TempFiles::choose_method() {
    const std::lock_guard guard(mutex_);
    if (method_) return *method_;

    const Result<Fd> unnamed = env_.open_unnamed(store_, kBlobMode);
    if (!unnamed.ok() && !is_refusal(unnamed.error())) return unnamed.error();
    if (unnamed.ok()) {
        TRY_ASSIGN(const bool works, judge_trial(env_.link_unnamed(*unnamed, store_, kProbeName)));
        if (works) {
            env_.unlink_at(store_, kProbeName).ignore("another process may have been faster; an empty file harms nobody");
            return *(method_ = TempMethod::unnamed);
        }
    }
    if (folder_ == nullptr) TRY(make_owner_folder());
    TRY_ASSIGN(const TempFile named, create_named());
    TRY_ASSIGN(const bool links, judge_trial(env_.link_at(folder_->dir(), named.name_, folder_->dir(), kProbeName)));
    if (links) env_.unlink_at(folder_->dir(), kProbeName).ignore("swept with the folder");
    return *(method_ = links ? TempMethod::linked : TempMethod::renamed);
}

Result<void> TempFiles::make_owner_folder() {
    const std::string temp_path = store_path_ + "/" + kTempName;
    TRY(env_.make_dir(temp_path, kFolderMode));
    TRY_ASSIGN(Fd temp, env_.open_dir(temp_path));
    for (int attempt = 1;; ++attempt) {
        std::string owner = random_hex(8);
        const std::string path = temp_path + "/" + owner;
        const Result<void> made = env_.make_dir(path, kFolderMode);
        Result<FileLock> lock = made.ok() ? env_.try_lock(path + "/" + kOwnerLock) : Result<FileLock>(made.error());
        if (!lock.ok()) {
            // A sweep got to the new folder before us: busy while it is at it, not_found when it is done, which may be as
            // early as between the making of the folder and its mode.
            const ErrorCode code = lock.error().code;
            if ((code == ErrorCode::busy || code == ErrorCode::not_found) && attempt < kMaxOwnerAttempts) continue;
            return lock.error();
        }
        TRY_ASSIGN(Fd dir, env_.open_dir(path));
        folder_ = std::make_shared<OwnerFolder>(env_, std::move(temp), std::move(dir), std::move(owner), std::move(*lock));
        return {};
    }
}

// Mode 0600 while it is written: some network filesystems check the mode at every write.
Result<TempFile> TempFiles::create_named() {
    std::string name = folder_->next_name();
    TRY_ASSIGN(Fd fd, env_.open_create_at(folder_->dir(), name, 0600, Existing::fail));
    return TempFile(std::move(fd), std::move(name), folder_);
}

// Where O_TMPFILE is missing, syncfs is not to be trusted either: FUSE does not pass it on to the server.
Result<void> TempFiles::seal(const TempFile& file) {
    if (file.folder_ == nullptr) return {};
    const Result<void> set = env_.set_mode(file.fd_, kBlobMode);
    if (!set.ok() && !is_refusal(set.error())) return set;  // a filesystem without modes is no reason to stop
    return env_.sync_file(file.fd_);
}

Result<void> TempFiles::publish(TempFile& file, const Fd& dir, const std::string& name) {
    if (file.folder_ == nullptr) return env_.link_unnamed(file.fd_, dir, name);
    const Fd& from = file.folder_->dir();
    if (method() == TempMethod::linked) return env_.link_at(from, file.name_, dir, name);

    const auto taken = env_.stat_at(dir, name);
    if (taken.ok()) return make_error(ErrorCode::already_exists, name + " is taken");
    if (taken.error().code != ErrorCode::not_found) return taken.error();
    TRY(env_.rename_at(from, file.name_, dir, name));
    file.name_.clear();
    return {};
}

}  // namespace ntt
