// /etc/ntt/mount-helper.toml: what the administrator allows.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ntt::mount_helper {

struct Config {
    std::vector<std::string> image_roots;  // folders whose images everybody who may run the helper may mount
    std::string mount_root = "/mnt/ntt";   // mounts lie below it
    int timeout_seconds = 30;              // for looking at an image, and for each mount
    bool fuse_after_refusal = false;       // try FUSE also where the kernel knows the filesystem and refuses it
    // Filesystem type (libblkid's name) -> program; empty: none.
    std::map<std::string, std::string> fuse = {
        {"vfat", "/usr/bin/fusefat"}, {"ntfs", "/usr/bin/ntfs-3g"}, {"exfat", "/usr/sbin/mount.exfat-fuse"},
        {"ext2", "/usr/bin/fuse2fs"}, {"ext3", "/usr/bin/fuse2fs"}, {"ext4", "/usr/bin/fuse2fs"},
    };

    // The FUSE program of a filesystem type if it is installed, else empty. permission if others than root could change it.
    Result<std::string> fuse_program(const std::string& fs_type) const;
};

// Without a file the defaults. permission if others than root could change the file or the way to it; malformed with the
// line for what is no TOML, an unknown key or a value that makes no sense.
Result<Config> load_config();
// `file` is for messages.
Result<Config> parse_config(std::string_view text, const std::string& file);

}  // namespace ntt::mount_helper
