// ntt-mount-helper as ingest sees it: mounts made and undone by the one program that needs root.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ntt {

// How the helper is called: {path}, or {sudo, -n, path}.
struct MountHelper {
    std::vector<std::string> command;
    std::chrono::milliseconds limit{120'000};
    // Where it is noted which mounts are ours while they stand, so that what a killed run left is known for ours.
    std::string notes_dir;
};

struct HelpersMount {
    uint64_t offset_bytes = 0;
    std::string path, fs_type, driver;
};
struct NotMounted {
    uint64_t offset_bytes = 0;
    std::string reason;
};
struct MountReport {
    bool already_mounted = false;
    std::vector<HelpersMount> mounts;
    std::vector<NotMounted> not_mounted;
};

// `mount HASH IMAGE`. Errors: permission where sudo asks for a password, io with the helper's own words.
Result<MountReport> mount_image(const MountHelper& helper, const std::string& medium_hash, const std::string& image);
// `unmount HASH`; nothing mounted is no error.
Result<void> unmount_image(const MountHelper& helper, const std::string& medium_hash);
// malformed for what the helper never prints.
Result<MountReport> parse_mount_report(const std::string& text);

}  // namespace ntt
