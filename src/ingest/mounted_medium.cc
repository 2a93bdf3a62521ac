#include "ingest/mounted_medium.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ingest/tree_stages.h"

namespace ntt {

void clear_left_mount(Env& env, const MountHelper& helper, const std::string& medium_hash, spdlog::logger& log) {
    const Result<Fd> notes = env.open_dir(helper.notes_dir);
    if (!notes.ok() || !env.stat_at(*notes, medium_hash).ok()) return;
    if (const Result<void> gone = unmount_image(helper, medium_hash); !gone.ok()) {
        log.warn("{} stays mounted: {}", medium_hash, gone.error().text());
        return;
    }
    env.unlink_at(*notes, medium_hash).ignore("then the next run unmounts what is not mounted");
}

MountedMedium::~MountedMedium() {
    trees_.close();
    if (mounted_ && ours_) clear_left_mount(env_, helper_, medium_hash_, log_);
}

Result<void> MountedMedium::mount(const std::vector<Volume>& volumes) {
    volumes_ = volumes;
    // The note stands before the mount does: what is mounted while it stands is ours, whoever died.
    TRY(env_.make_dirs(helper_.notes_dir, 0755));
    const bool left_by_us = env_.stat_path(note()).ok();
    TRY_ASSIGN(const Fd notes, env_.open_dir(helper_.notes_dir));
    TRY(env_.open_create_at(notes, medium_hash_, 0644, Existing::open));
    Result<MountReport> report = mount_image(helper_, medium_hash_, image_);
    if (!report.ok() && left_by_us) {
        // What a killed run left may be dead: its driver gone with it.
        TRY(unmount_image(helper_, medium_hash_));
        report = mount_image(helper_, medium_hash_, image_);
    }
    if (!report.ok()) {
        if (!left_by_us) env_.unlink_at(notes, medium_hash_).ignore("nothing is mounted");
        return std::move(report).take_error();
    }
    report_ = std::move(report).value();
    mounted_ = true;
    ours_ = left_by_us || !report_.already_mounted;
    if (!ours_) env_.unlink_at(notes, medium_hash_).ignore("then this run unmounts what it found");
    return open_trees();
}

Result<void> MountedMedium::open_trees() {
    std::vector<TreePlace> places;
    for (const HelpersMount& mounted : report_.mounts) {
        // Of a disc's views at one offset the first has the richest names.
        const auto volume = std::find_if(volumes_.begin(), volumes_.end(), [&](const Volume& v) { return v.offset_bytes == mounted.offset_bytes && v.role == Role::filesystem; });
        if (volume != volumes_.end()) places.push_back({volume->number, mounted.path});
    }
    return trees_.open(places);
}

std::string MountedMedium::reason_of(const Volume& volume) const {
    for (const NotMounted& one : report_.not_mounted)
        if (one.offset_bytes == volume.offset_bytes) return one.reason;
    return "";
}

MountState MountedMedium::state(const std::string&) { return mount_state_of(trees_, cancel_); }

Result<void> MountedMedium::remount(const std::string&) {
    if (!ours_ && mount_state_of(trees_, cancel_) == MountState::ok)
        return make_error(ErrorCode::busy, "the mount was found in place, and is in order");
    trees_.close();
    if (Result<void> gone = unmount_image(helper_, medium_hash_); !gone.ok()) log_.warn("before the remount: {}", gone.error().text());
    TRY_ASSIGN(report_, mount_image(helper_, medium_hash_, image_));
    if (!ours_ && !report_.already_mounted) {
        TRY_ASSIGN(const Fd notes, env_.open_dir(helper_.notes_dir));
        TRY(env_.open_create_at(notes, medium_hash_, 0644, Existing::open));
        ours_ = true;
    }
    return open_trees();
}

}  // namespace ntt
