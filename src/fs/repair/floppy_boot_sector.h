// A floppy's boot sector, made anew from what stands behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "image/byte_source.h"

namespace ntt {

struct FloppyBootSector {
    uint32_t size_kib = 0;       // of the standard format: 160 180 320 360 720 1200 1440 2880
    std::vector<uint8_t> bytes;  // 512
};

// For a FAT12 floppy of a standard format whose first sector is lost. Both FATs must begin with the format's media byte and
// FF FF (one may be zeros, as an unread sector leaves it), and directory entries must follow where the format has its root.
// The image may be cut: `medium_bytes` is the size of the medium as far as it is known (by the rescue map). Where it fits the
// structures of more than one format (1440 and 2880 differ in cluster size alone), the one of just that size is taken; nullopt if
// there is none, as a guess would give wrong contents, and if no format fits. Source: the BIOS parameter blocks that MS-DOS 6 writes.
Result<std::optional<FloppyBootSector>> rebuild_floppy_boot_sector(const ByteSource& source, uint64_t medium_bytes);

}  // namespace ntt
