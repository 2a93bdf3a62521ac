#include "ingest/folder.h"

#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/kill_point.h"
#include "fs/isolated/trees.h"
#include "ingest/conclude.h"
#include "ingest/enumerate.h"
#include "ingest/geometry.h"
#include "ingest/identify.h"
#include "ingest/known_volumes.h"
#include "ingest/tree_stages.h"
#include "os/folder.h"

namespace ntt {
namespace {

// A folder is mounted by others; it can be looked at, and that is all.
class FolderMount final : public MountControl {
public:
    FolderMount(Trees& trees, const CancelToken& cancel) : trees_(trees), cancel_(cancel) {}
    MountState state(const std::string&) override { return mount_state_of(trees_, cancel_); }
    Result<void> remount(const std::string&) override {
        return make_error(ErrorCode::unsupported, "the folder was mounted by others", "mount it again, then ntt copy goes on");
    }
    bool can_remount() const override { return false; }
    std::vector<std::string> devices(const std::string&) override { return trees_.devices(); }

private:
    Trees& trees_;
    const CancelToken& cancel_;
};

class FolderRun {
public:
    FolderRun(const IngestContext& context, const IngestOptions& options, const std::string& path)
        : context_(context), options_(options), trees_(options.reader.program) {
        report_.source = path;
    }

    // --- stages, in order ---
    Result<void> open();
    Result<void> identify();
    Result<void> enumerate();
    Result<void> copy();
    Result<IngestReport> conclude() {
        TRY(conclude_medium(context_.catalog, context_.clock, *medium_, options_.goal, report_));
        return report_;
    }

    bool known() const { return medium_.has_value(); }

private:
    Result<int64_t> add_medium(const std::string& now);

    const IngestContext& context_;
    const IngestOptions& options_;
    IngestReport report_;
    std::string path_;  // absolute, without symlinks
    Trees trees_;
    std::string medium_hash_, hash_method_;
    BlobId identity_;
    std::unique_ptr<CatalogLock> lock_;
    std::optional<MediumRow> medium_;
};

Result<void> FolderRun::open() {
    std::error_code failed;
    path_ = std::filesystem::canonical(report_.source, failed).string();
    if (failed) return errno_error(failed.value(), "open folder " + report_.source);
    const std::string store = context_.store == nullptr ? "" : std::filesystem::weakly_canonical(context_.store->dir(), failed).string();
    if (!store.empty() && (store == path_ || store.starts_with(path_ == "/" ? path_ : path_ + "/")))
        return make_error(ErrorCode::invalid_argument, fmt::format("the store {} lies in the folder {}: it would take itself in", store, path_), "ingest another folder, or choose another --store and --home");
    return trees_.open({{kFolderVolume, path_}});
}

Result<void> FolderRun::identify() {
    const MountEntry& mount = trees_.mount_of(kFolderVolume);
    identity_ = blake3_of(as_bytes(folder_identity(machine_id(), filesystem_identity(mount, trees_.root_of(kFolderVolume)), path_inside(mount, path_))));
    medium_hash_ = options_.medium_hash.value_or(medium_hash_of(identity_));
    hash_method_ = options_.medium_hash ? "given" : "directory";
    TRY_ASSIGN(lock_, context_.catalog.lock("medium-" + medium_hash_, options_.sharing));
    TRY_ASSIGN(medium_, context_.catalog.medium(medium_hash_));
    if (medium_ && medium_->kind != "directory")
        return make_error(ErrorCode::source_changed, fmt::format("the medium {} is an image, {}, and no folder", medium_hash_, medium_->image_path),
                          "nothing was touched; give the folder another --medium-hash");
    return {};
}

// Returns the id of the image, which stands for the folder as it was found.
Result<int64_t> FolderRun::add_medium(const std::string& now) {
    MediumRow medium;
    medium.medium_hash = medium_hash_;
    medium.hash_method = hash_method_;
    medium.kind = "directory";
    medium.medium_human = options_.name ? *options_.name : std::filesystem::path(path_).filename().string();
    medium.image_path = path_;
    medium.added_at = now;
    TRY(context_.catalog.add_medium(medium));
    medium_ = std::move(medium);
    ImageRow image;
    image.medium_hash = medium_hash_;
    image.path = path_;
    image.format = "directory";
    image.digest = identity_.hex();
    image.added_at = now;
    return context_.catalog.add_image(image);
}

Result<void> FolderRun::enumerate() {
    const std::string now = iso8601_utc(context_.clock.wall_us());
    TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, context_.catalog.begin());
    const bool again = known();
    int64_t image_id = 0;
    if (again) {
        TRY_ASSIGN(const std::vector<ImageRow> images, context_.catalog.images(medium_hash_));
        if (images.empty()) return make_error(ErrorCode::catalog_damaged, fmt::format("the medium {} has no image", medium_hash_));
        image_id = images.back().image_id;
    } else {
        TRY_ASSIGN(image_id, add_medium(now));
    }
    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(medium_hash_));

    EnumerationTarget target{context_.catalog, key, medium_hash_, image_id, options_.copy.worker_id, now};
    target.again = again;
    target.lives = true;
    target.dev = static_cast<int64_t>(trees_.mount_of(kFolderVolume).device());
    const Volume here = folder_volume(trees_.mount_of(kFolderVolume));
    TRY(context_.catalog.put_volume(row_of(medium_hash_, image_id, here)));
    const DamageMap nothing_known(0, nullptr, {});
    const ImageGeometry no_image;
    PlacedReader reader(trees_.of(kFolderVolume), no_image, here, numbers_of(trees_.mount_of(kFolderVolume)), std::nullopt);
    TRY_ASSIGN(const EnumeratedVolume listed, enumerate_with(reader, target, here, nothing_known, std::nullopt, options_.exclude, context_.cancel));
    TRY(context_.catalog.put_volume(row_of(medium_hash_, image_id, listed.volume)));
    TRY(context_.catalog.mark_excluded(key));

    medium_->image_path = path_;
    medium_->problems = problems_of(medium_->problems, listed.counts, Assessment(), now);
    medium_->enum_done = iso8601_utc(context_.clock.wall_us());
    if (listed.counts.new_inodes + listed.counts.renewed_inodes > 0) medium_->copy_done.reset();
    TRY(context_.catalog.update_medium(*medium_));
    kill_point("enumerate.before_commit");
    TRY(transaction->commit());
    kill_point("enumerate.committed");
    return {};
}

Result<void> FolderRun::copy() {
    report_.medium_hash = medium_hash_;
    report_.medium_human = medium_->medium_human;
    if (options_.goal == IngestGoal::enumerate) return {};
    NTT_CHECK(context_.store != nullptr, "copying without a store");
    TRY_ASSIGN(const MediumKey key, context_.catalog.medium_key(medium_hash_));
    if (context_.catalog.leases() != nullptr) {  // it is listed: others may join in
        lock_.reset();
        TRY_ASSIGN(lock_, context_.catalog.lock("medium-" + medium_hash_, Catalog::Sharing::with_others));
    }
    TRY(context_.catalog.give_up_on_errors(key, options_.copy.startup_error_limit, iso8601_utc(context_.clock.wall_us())));
    FolderMount mount(trees_, context_.cancel);
    const auto copy_range = [&](const CopyOptions& options) {
        IngestOptions of_range = options_;
        of_range.copy = options;
        return copy_tree(context_, of_range, key, medium_hash_, trees_, mount, nullptr);
    };
    TRY_ASSIGN(report_.copy, copy_leased(context_, medium_hash_, options_.copy, options_.work, copy_range));
    return {};
}

}  // namespace

Volume folder_volume(const MountEntry& mount) {
    Volume out;
    out.number = kFolderVolume;
    out.view = out.fs_type = mount.fs_type;
    out.role = Role::filesystem;
    out.readable = true;
    out.outcome = Outcome::read;
    return out;
}

std::string folder_identity(const std::string& machine, const std::string& filesystem, const std::string& path_inside) {
    std::string out = "ntt-directory";
    for (const std::string* part : {&machine, &filesystem, &path_inside}) {
        out.push_back('\0');
        out += *part;
    }
    return out;
}

std::string path_inside(const MountEntry& mount, const std::string& path) {
    const std::string& point = mount.mount_point;
    std::string below = point == "/" ? path : path.substr(std::min(point.size(), path.size()));
    if (below == "/") below.clear();
    const std::string out = (mount.root == "/" ? "" : mount.root) + below;
    return out.empty() ? "/" : out;
}

Result<IngestReport> ingest_folder(const IngestContext& context, const std::string& path, const IngestOptions& options, FolderWork work) {
    FolderRun run(context, options, path);
    TRY(run.open());
    TRY(run.identify());
    if (work == FolderWork::list_and_copy || !run.known()) TRY(run.enumerate());
    TRY(run.copy());
    return run.conclude();
}

}  // namespace ntt
