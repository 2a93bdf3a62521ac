// Where the parts of a FAT12 floppy lie when its boot sector, which says so, is lost.
//
// The two copies of the FAT show where they and the root directory begin. How long the root directory is and how many
// sectors a cluster has stands nowhere else: files look sound under any answer, and a wrong one gives other files' bytes. So
// every answer is tried (root directories of 1 to 64 sectors, clusters of 1 to 64), those are kept under which the chains
// are as long as the files' sizes say, and of these one is taken only if it alone is proven by what stands in the data area:
//
//   subdirectories  each directory of the root begins with a "." that names its own cluster, and none does not
//   edges           the first cluster holds no directory slots and no fill, so the root ends before it; and the last
//                   sector of the last file is followed by nothing but the fill that formatting left, so the files end there
//   standard        the first cluster holds no directory slots and no fill, the sector before it was cleared, and all of this, the size of
//                   the disk and of the clusters is one standard format's, under which three files at least do not begin with fill
//   signatures      at least two files begin with what their names' extensions promise, and more do than do not
//   ends            at least three files, and three of four that could show it, end in their last sector where their sizes
//                   say, with fill behind
//
// Where two answers are proven under which a file would lie at different places, and not all that speaks for the one speaks for
// the other and more, neither is taken. Source of the layout: Microsoft FAT specification 1.03; of the standard formats: the BIOS
// parameter blocks that MS-DOS 6 FORMAT and mtools 4.0.33 write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "fs/repair/region.h"

namespace ntt {

inline constexpr uint64_t kFloppySector = 512;
inline constexpr uint64_t kMaxFloppyBytes = uint64_t{4} << 20;  // larger regions are no floppies

// All numbers are in sectors of 512 bytes.
struct FloppyLayout {
    uint32_t fat_at = 1;  // the sectors before are reserved
    uint32_t fat_sectors = 0;
    uint32_t root_sectors = 0;
    uint32_t cluster_sectors = 1;
    uint32_t total_sectors = 0;
    uint8_t media = 0xF0;
    std::string format;  // "1440 KiB" for a standard one, empty for others

    uint32_t root_at() const { return fat_at + 2 * fat_sectors; }
    uint32_t data_at() const { return root_at() + root_sectors; }
};

struct FloppyFinding {
    std::optional<FloppyLayout> proven;
    uint64_t entries = 0;      // of files and directories in the root; 0: no root directory is seen
    nlohmann::json evidence;   // of what was proven, or why nothing was
};

FloppyFinding find_floppy_layout(const Region& region);

// A boot sector that says so, 512 bytes.
std::vector<uint8_t> boot_sector_of(const FloppyLayout& layout);

}  // namespace ntt
