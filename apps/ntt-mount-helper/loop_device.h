// A loop device over a range of an image: read-only, and gone with its last user.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "image.h"
#include "os/env.h"

namespace ntt::mount_helper {

// Attached as long as this object, a mount or anybody else has it open.
struct LoopDevice {
    Fd fd;
    std::string path;  // "/dev/loop3"
};

Result<LoopDevice> attach_loop(const Image& image, ByteRange range);

// Which part of which file a loop device shows.
struct LoopBacking {
    dev_t device = 0;
    ino_t inode = 0;
    ByteRange range;

    bool is(const Image& image) const { return device == image.device && inode == image.inode; }
};
// nullopt if `path` is no loop device or shows nothing. `opened` gets the device where it is given.
std::optional<LoopBacking> loop_backing(const std::string& path, Fd* opened = nullptr);

// Whether the loop device shows nothing any more, without opening it.
bool is_free_loop(const std::string& path);

}  // namespace ntt::mount_helper
