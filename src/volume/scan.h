// Filesystems that nothing points to: behind a lost partition table, or at an odd place of a partition.
#pragma once

#include <vector>

#include "volume/identify.h"

namespace ntt {

// A filesystem and where it starts in the image. `identities` as identify() gives them.
struct ScanHit {
    uint64_t offset = 0;
    std::vector<Identity> identities;
};

// Where a start is looked for: every sector of the first kScanFineBytes; then every MiB and every cylinder of 255 heads and
// 63 sectors, and the second track of each, as far as kScanCoarseBytes; and again in this way from the end of each
// filesystem that is found. So it ends soon on large images: a fine piece and 5,000 reads of 4 KiB.
inline constexpr uint64_t kScanFineBytes = uint64_t{8} << 20;
inline constexpr uint64_t kScanCoarseBytes = uint64_t{4} << 30;
inline constexpr int kMaxScanHits = 64;
inline constexpr int kMaxScanTries = 2048;  // places with a signature that are looked at more closely

// Readable filesystems inside `region` from `from` on (bytes from its start, a multiple of 512), in order, none inside
// another. A signature alone makes no volume, since disks hold old superblocks, copies of superblocks and image files: the filesystem must lie
// inside the region as a whole, and
//   ext      be the first copy of its superblock (block group 0), with its first inode table inside
//   NTFS     have a record ("FILE") where it says the MFT is
//   FAT      have its media byte at the start of the table, and a root directory that looks like one
//   exFAT    have its boot sectors' checksum
//   HFS+     have its second header where it ends
//   ISO 9660 nothing more: no other thing looks like it
// Fails only where the source cannot be read.
Result<std::vector<ScanHit>> scan_for_filesystems(const ByteSource& source, ByteRange region, uint64_t from);

}  // namespace ntt
