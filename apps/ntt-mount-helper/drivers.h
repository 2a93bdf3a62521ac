// Which driver mounts a filesystem, and with what options.
#pragma once

#include <string>

#include "base/result.h"
#include "config.h"
#include "timed_child.h"

namespace ntt::mount_helper {

struct Mounting {
    std::string fs_type;  // what it was mounted as: a disc with UDF may come up as iso9660 only
    std::string driver;   // "kernel" or the FUSE program
};

// Mounts a loop device at a folder: read-only, nosuid, nodev, noexec, noatime, without replaying a journal. The kernel's
// driver first; a FUSE program where the kernel has none (and, if the configuration says so, where it refuses).
// Errors: unsupported: there is no driver, or the driver refuses the filesystem: the message says which. parser_timeout: a
// mount that hangs. cancelled. After an error nothing may be mounted, or all the same something: the caller unmounts.
Result<Mounting> mount_device(const Config& config, const std::string& fs_type, const std::string& device,
                              const std::string& folder);

}  // namespace ntt::mount_helper
