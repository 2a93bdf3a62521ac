// Who knows what could stand in for a lost structure, one for each filesystem. Private to src/fs/repair.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fs/repair/region.h"
#include "fs/repair/repair.h"
#include "volume/volume.h"

namespace ntt {

// Repairs that are tried and kept together.
struct Proposal {
    std::string fs_type;  // as what the volume is read with them
    std::vector<Repair> repairs;
    // What stands in the structure's place was not read from the medium and says something else than this, which is proven:
    // it is not believed, however many files it would give.
    bool overrules = false;
};

inline constexpr size_t kMaxProposals = 4;  // that are tried

// What could be repaired, the likeliest first. `volume` is as detection has it: with its filesystem, or nothing identified.
// `findings` gets what cannot be repaired although much speaks for it.
using Proposer = Result<std::vector<Proposal>> (*)(const Region& region, const Volume& volume, FindingSink& findings);

// FAT32: the backup of the boot sector, wherever in the reserved sectors it says itself to be (BPB_BkBootSec).
// FAT12: a boot sector made from what floppy_layout.h proves. Finding: repair_unproven.
Result<std::vector<Proposal>> fat_boot_sector(const Region& region, const Volume& volume, FindingSink& findings);

// exFAT: the boot sector from the backup boot region at sector 12, if that one's checksum fits.
// Source: Microsoft exFAT file system specification, sections 3.1 and 3.4 (boot checksum).
Result<std::vector<Proposal>> exfat_boot_sector(const Region& region, const Volume& volume, FindingSink& findings);

// ext2/3/4: the superblock from a copy in another group, and every block of group descriptors that was not read or makes no
// sense from a copy where it does. Source: Linux Documentation/filesystems/ext4, "Layout", "Super Block", "Block Group Descriptors".
Result<std::vector<Proposal>> ext_from_backups(const Region& region, const Volume& volume, FindingSink& findings);

// NTFS: the boot sector from its copy behind the last cluster, and the first records of $MFT from $MFTMirr.
// Source: Linux-NTFS documentation, "Boot sector", "$MFTMirr".
Result<std::vector<Proposal>> ntfs_from_copies(const Region& region, const Volume& volume, FindingSink& findings);

// HFS+: the alternate volume header, 1024 bytes before the volume's end. Source: Apple TN1150, "Volume Header".
Result<std::vector<Proposal>> hfsplus_header(const Region& region, const Volume& volume, FindingSink& findings);

}  // namespace ntt
