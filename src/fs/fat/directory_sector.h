// Whether a sector of a directory is one: what stands in it is judged before an entry of it is believed.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "fs/fat/boot_sector.h"
#include "fs/fat/directory.h"

namespace ntt {

inline constexpr size_t kDirectorySectorBytes = 512;  // the unit in which media are damaged, whatever the sector size

enum class DirectorySector : uint8_t {
    sound,
    zeroed,   // no byte but zeros: the end of the directory, or its loss
    garbage,  // more entries that no system wrote than others
};
// Up to the sector's end mark. An entry is impossible if at least two of these are so: reserved attribute bits, a name that
// DOS cannot write, a cluster that the volume does not have, a date that no calendar has, a size beyond the volume, a
// directory with a size; of a part of a long name: a type, a cluster, a place beyond the twentieth.
DirectorySector judge_directory_sector(ByteView sector, const FatGeometry& geometry);

// Whether an entry behind an end mark could be a file's that was lost from sight, rather than old garbage.
bool looks_alive(const ShortEntry& entry);

// What the two first entries of a subdirectory say of it.
enum class Dots : uint8_t {
    right,
    wrong_self,    // "." is not there, or names another cluster
    wrong_parent,  // ".." is not there, or names another cluster than the parent's
};
// `head`: its first 64 bytes. `parent_cluster`: where the parent begins, 0 for the root (a few systems write the root's own
// cluster on FAT32).
Dots judge_dots(ByteView head, uint32_t own_cluster, uint32_t parent_cluster, const FatGeometry& geometry);

// The start cluster in an entry; the upper half is meaningless on FAT12 and FAT16 (OS/2 and others keep something else there).
uint32_t start_cluster(const ShortEntry& entry, const FatGeometry& geometry);

}  // namespace ntt
