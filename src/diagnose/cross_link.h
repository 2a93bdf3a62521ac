// Sectors that two files claim. Where the filesystem forbids sharing (FAT), at most one of them can be right.
#pragma once

#include <cstdint>
#include <vector>

#include "base/extent.h"

namespace ntt {

// What one inode claims of the image.
struct SectorClaim {
    int64_t ino = 0;
    std::vector<Extent> extents;
    bool fits = true;  // its chain has just the length its directory entry says
};

// One inode's share in a cross link.
struct CrossLink {
    int64_t ino = 0;
    bool keeps = false;               // the content is trusted: the only claimant whose chain fits, or the first of several that claim the very same runs
    std::vector<Extent> shared;       // the parts of its extents that others claim too
    std::vector<int64_t> others;      // who (at most kMaxOthersNamed)
};

inline constexpr size_t kMaxOthersNamed = 16;

// All inodes that share sectors with another, in order of ino. Of files with the very same extents (one file under
// two directory entries) the first keeps them. When more than one claimant fits, or none, nobody keeps the sectors: a
// wrong content must never pass as good. Cost: one sort of all extents and one sweep.
std::vector<CrossLink> find_cross_links(std::vector<SectorClaim> claims);

}  // namespace ntt
