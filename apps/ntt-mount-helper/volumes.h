// The volumes of an image: which ranges, what is in them, and whether they can be mounted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image.h"
#include "probe.h"

namespace ntt::mount_helper {

struct Volume {
    int number = 0;       // from 1, in order of offset
    ByteRange range;      // cut at the image's end
    Signature signature;  // of what is there
    std::string reason;   // why it is not to be mounted; empty: it is
};

// A table's entries; else the filesystem on the whole image, at byte 0 or where Zip disks have it. A disc that has both (a
// hybrid) has the disc's filesystem as one more volume. Nothing found: one volume with its reason. A range whose search
// fails or crashes has the reason; an error is returned when the table cannot be had, or when interrupted.
Result<std::vector<Volume>> find_volumes(const Image& image, Clock::time_point deadline);

}  // namespace ntt::mount_helper
