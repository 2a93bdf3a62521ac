// Limits on what one volume may list: a hostile or garbled volume names more than it can hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "fs/fs_reader.h"

namespace ntt {

// docs/configuration.md has the defaults for people. "What the image has" is the part of the volume below the image's end.
struct ListingBudget {
    uint64_t names = 0;               // of the volume
    uint64_t names_in_directory = 0;  // of one directory
    uint64_t depth = 0;               // directories above a name
    uint64_t data_bytes = 0;          // of the image that all inodes claim together; what two claim counts twice
    uint64_t data_bytes_of_file = 0;  // of the image that one inode claims
    uint64_t hole_bytes = 0;          // of content that is defined as zero, all inodes together

    // In proportion to what the image has of `volume`. Where the filesystem shares extents between files (ISO 9660, UDF, XFS,
    // btrfs, APFS) more is legal than where it does not.
    static ListingBudget of(const Volume& volume, uint64_t image_bytes);
};

// `reader` with a budget. Names, depth or data beyond it end list() with ErrorCode::limit. One file that is too large, for
// the volume or for what is left of hole_bytes, costs only itself: it is unreadable, IMPLAUSIBLE_SIZE. Either way the
// finding is budget_exceeded with {"limit","value"}; of one limit at most one.
std::unique_ptr<FsReader> within_budget(std::unique_ptr<FsReader> reader, const Volume& volume, uint64_t image_bytes,
                                        const ListingBudget& budget);

}  // namespace ntt
