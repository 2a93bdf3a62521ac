// The mount table, as the kernel has it: the only word on what is mounted. Nothing here touches a mounted filesystem.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "timed_child.h"

namespace ntt::mount_helper {

struct MountEntry {
    std::string source;   // "/dev/loop3"
    std::string target;   // where
    std::string fs_type;  // "ext4", "fuseblk"
};

// The mounts at `folder` and below it, those that lie on others last.
Result<std::vector<MountEntry>> mounts_below(const std::string& folder);

enum class Unmounted { plainly, lazily };
// Unmounts what is on top at `target`; what is in use, or does not answer in time, is detached.
Result<Unmounted> unmount_one(const std::string& target, int timeout_seconds);

}  // namespace ntt::mount_helper
