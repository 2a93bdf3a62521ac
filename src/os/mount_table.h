// What is mounted where, as the kernel tells this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/env.h"

namespace ntt {

// One line of /proc/self/mountinfo. Paths and sources are raw bytes.
struct MountEntry {
    uint64_t id = 0;
    uint32_t major = 0, minor = 0;  // of st_dev of its files
    std::string root;               // the folder of the filesystem that stands at the mount point: "/", or of a bind mount
    std::string mount_point;
    std::string fs_type;            // ext4, fuse.fusefat …
    std::string source;             // /dev/loop3, fusefat, tmpfs …

    uint64_t device() const;        // st_dev of its files
};

// In the order of mounting: the last one with a mount point is the one that is seen.
Result<std::vector<MountEntry>> read_mount_table();
// Lines that are none are left out. Source: Linux Documentation/filesystems/proc.rst, "/proc/<pid>/mountinfo".
std::vector<MountEntry> parse_mount_table(std::string_view text);

// Tells cheaply whether the table may have changed.
class MountTableWatch {
public:
    MountTableWatch();
    // Since the last call; true also where nobody can know.
    bool changed();

private:
    Fd table_;
};

// What identifies a filesystem on any machine: its UUID ("uuid:…", by udev's links or the kernel's word), else its source (with its mount
// point where that names no place: tmpfs, FUSE drivers).
// `folder`: an open folder of it.
std::string filesystem_identity(const MountEntry& mount, const Fd& folder);

// 32 hexadecimal digits of /etc/machine-id, else the kernel's boot id: then identities do not outlive a reboot.
std::string machine_id();
// Another with every start of this machine.
std::string boot_id();

// The name of the block device with this number, as the kernel's messages have it: loop38, sda1. Empty if there is none.
std::string block_device_name(uint32_t major, uint32_t minor);
// Its bytes as they are now; nullopt if there is no such device.
std::optional<uint64_t> block_device_bytes(uint32_t major, uint32_t minor);

}  // namespace ntt
