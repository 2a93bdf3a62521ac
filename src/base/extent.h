// Where a file's bytes lie in the image.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ntt {

enum class ExtentKind : uint8_t {
    data,    // file bytes [file_offset, +length) are image bytes [image_offset, +length)
    hole,    // file bytes that the filesystem defines as zero (sparse, unwritten, beyond the initialised size); no place in the image
    opaque,  // file bytes from file_offset on depend on image bytes [image_offset, +length) but are not equal to them
             // (compressed or resident content, blocks that say where the content lies)
};

// One run of bytes, in bytes. image_offset is absolute in the decoded image, not in the volume.
struct Extent {
    uint64_t file_offset = 0;
    uint64_t image_offset = 0;  // 0 for a hole
    uint64_t length = 0;
    ExtentKind kind = ExtentKind::data;

    bool operator==(const Extent&) const = default;
};

// The compact form in `inode.extents` (docs/formats/extents.md): small for the common single run.
std::string encode_extents(const std::vector<Extent>& extents);
// Fails with catalog_damaged when `bytes` is not what encode_extents writes.
Result<std::vector<Extent>> decode_extents(std::string_view bytes);

}  // namespace ntt
