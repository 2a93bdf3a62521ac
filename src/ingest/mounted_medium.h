// A medium's image while it is mounted.
#pragma once

#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "base/cancel.h"
#include "base/result.h"
#include "diagnose/diagnostic_service.h"
#include "fs/isolated/trees.h"
#include "ingest/mount_helper.h"
#include "os/env.h"
#include "volume/volume.h"

namespace ntt {

// Unmounts what a run that was killed left of the medium; nothing if there is no note of it. Under the medium's lock, by a run that
// has not mounted it.
void clear_left_mount(Env& env, const MountHelper& helper, const std::string& medium_hash, spdlog::logger& log);

// Who mounted it unmounts it: at the end of the run, or the next one that finds what a killed run left. A mount of somebody else's
// that was found in place is used and left. One run at a time, under the medium's lock.
class MountedMedium final : public MountControl {
public:
    MountedMedium(Env& env, const MountHelper& helper, std::string medium_hash, std::string image, Trees& trees, const CancelToken& cancel, spdlog::logger& log)
        : env_(env), helper_(helper), medium_hash_(std::move(medium_hash)), image_(std::move(image)), trees_(trees), cancel_(cancel), log_(log) {}
    ~MountedMedium() override;
    MountedMedium(const MountedMedium&) = delete;
    MountedMedium& operator=(const MountedMedium&) = delete;

    // Mounts the image and opens the trees of those of `volumes` that stand where the helper mounted something.
    Result<void> mount(const std::vector<Volume>& volumes);
    // Why the volume at this offset has no tree; empty if nothing is known.
    std::string reason_of(const Volume& volume) const;

    MountState state(const std::string& medium_hash) override;
    Result<void> remount(const std::string& medium_hash) override;
    std::vector<std::string> devices(const std::string&) override { return trees_.devices(); }

private:
    std::string note() const { return helper_.notes_dir + "/" + medium_hash_; }
    Result<void> open_trees();

    Env& env_;
    const MountHelper& helper_;
    const std::string medium_hash_, image_;
    Trees& trees_;
    const CancelToken& cancel_;
    spdlog::logger& log_;
    std::vector<Volume> volumes_;
    MountReport report_;
    bool mounted_ = false, ours_ = false;
};

}  // namespace ntt
