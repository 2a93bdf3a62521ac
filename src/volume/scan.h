// Filesystems that nothing points to: behind a lost partition table, or at an odd place of a partition.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "volume/identify.h"

namespace ntt {

// A filesystem and where it starts in the image. `identities` as identify() gives them.
struct ScanHit {
    uint64_t offset = 0;
    std::vector<Identity> identities;
};

// Where a start is looked for: every sector of the first kScanFineBytes of a region; then every MiB and every cylinder of
// 255 heads and 63 sectors, and the second track of each, as far as kScanCoarseBytes; and again in this way from the end of
// each filesystem that is found. So it ends soon on large images: a fine piece and 5,000 reads of 4 KiB.
inline constexpr uint64_t kScanFineBytes = uint64_t{8} << 20;
inline constexpr uint64_t kScanCoarseBytes = uint64_t{4} << 30;
// Of one image, however many regions it has.
inline constexpr size_t kMaxScanHits = 64;
inline constexpr uint64_t kMaxScanReadBytes = uint64_t{1} << 30;

// The search through one image. One thread. `source` must outlive it.
class FilesystemScan {
public:
    explicit FilesystemScan(const ByteSource& source);
    ~FilesystemScan();
    FilesystemScan(const FilesystemScan&) = delete;
    FilesystemScan& operator=(const FilesystemScan&) = delete;

    // Readable filesystems inside `region`, in order, none inside another. A signature alone makes no volume, since disks
    // hold old superblocks, copies of superblocks and image files: the filesystem must lie inside the region, or the image must
    // end inside it, and
    //   ext      be the first copy of its superblock (block group 0), with groups that add up to its size and a root folder
    //            where the first group says its inodes are
    //   NTFS     have a record ("FILE") where it says the MFT is
    //   FAT      have its media byte at the start of the table, and a root directory that looks like one
    //   exFAT    have its boot sectors' checksum, and a table where they say
    //   HFS(+)   have its second header where it ends; so the image must have all of it
    //   UFS      have a group of cylinders where it says, and a root folder among its inodes
    //   ISO 9660 have a root folder that points to itself
    // Fails only where the source cannot be read.
    Result<std::vector<ScanHit>> search(ByteRange region);

    // The limit that ended a search: "filesystems" or "read_bytes".
    std::optional<std::string_view> stopped_by() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace ntt
