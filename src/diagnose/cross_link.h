// Sectors that two files claim. Where the filesystem forbids sharing (FAT, exFAT), at most one of them can be right.
#pragma once

#include <cstdint>
#include <vector>

#include "base/extent.h"

namespace ntt {

// What one inode claims of the image.
struct SectorClaim {
    enum class Owner : uint8_t { file, directory };  // a directory that says itself where it begins: nobody takes that from it

    int64_t ino = 0;
    std::vector<Extent> extents;
    bool fits = true;  // its chain has just the length its directory entry says
    // A chain of the length it needs belongs to nobody: perhaps that one is its own, and this one another's.
    bool may_be_elsewhere = false;
    Owner owner = Owner::file;
};

// One inode's share in a cross link.
struct CrossLink {
    int64_t ino = 0;
    bool keeps = false;               // the content is trusted: the only claimant whose chain fits, or the first of several that claim the very same runs
    std::vector<Extent> shared;       // the parts of its extents that others claim too
    std::vector<int64_t> others;      // who (at most kMaxOthersNamed)
};

inline constexpr size_t kMaxOthersNamed = 16;

// All files that share sectors with another file or a directory, in order of ino. Of files with the very same extents (one
// file under two directory entries) the first keeps them, unless their content may be elsewhere. When more than one claimant fits, or none, nobody keeps the sectors: a
// wrong content must never pass as good. Cost: one sort of all extents and one sweep.
std::vector<CrossLink> find_cross_links(std::vector<SectorClaim> claims);

}  // namespace ntt
