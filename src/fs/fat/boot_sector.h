// The boot sector of a FAT volume: where its parts lie and how wide its table entries are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ntt {

inline constexpr size_t kBootSectorBytes = 512;   // what parse_boot_sector needs, whatever the sector size
inline constexpr uint32_t kFirstDataCluster = 2;  // clusters 0 and 1 do not exist; their table entries hold flags
inline constexpr uint32_t kDirectoryEntryBytes = 32;

// Offsets and lengths are in bytes from the volume's start. All sums stay below 2^50.
struct FatGeometry {
    int fat_bits = 12;  // 12, 16 or 32
    uint32_t sector_size = 512;
    uint32_t cluster_size = 512;         // bytes
    uint32_t cluster_count = 0;          // clusters 2 .. cluster_count + 1 exist; each has an entry in the table
    uint32_t fat_count = 2;              // copies of the table
    uint64_t fat_offset = 0;             // of copy 0
    uint64_t fat_length = 0;             // of one copy
    std::optional<uint32_t> active_fat;  // FAT32 without mirroring: only this copy is kept up to date
    uint64_t root_offset = 0;            // FAT12 and FAT16: the fixed root directory
    uint32_t root_entries = 0;
    uint32_t root_cluster = 0;  // FAT32: where the root's chain begins; 0 elsewhere
    uint64_t data_offset = 0;   // of cluster 2
    uint64_t total_bytes = 0;   // as the boot sector declares
    uint8_t media = 0;
    std::string oem_name;               // raw bytes, 8
    std::string type_text;              // "FAT12   " …; empty without an extended boot record. Says nothing about the type
    std::string boot_label;             // raw bytes, 11, or empty
    std::vector<std::string> oddities;  // what differs from the specification without harm, for people

    uint32_t last_cluster() const { return cluster_count + 1; }
    bool has_cluster(uint32_t cluster) const { return cluster >= kFirstDataCluster && cluster <= last_cluster(); }
    uint64_t cluster_offset(uint32_t cluster) const { return data_offset + uint64_t{cluster - kFirstDataCluster} * cluster_size; }
    uint64_t data_bytes() const { return uint64_t{cluster_count} * cluster_size; }
};

// Reads the BIOS parameter block of `sector` (at least kBootSectorBytes). `volume_size_bytes` stands in where the block
// gives no usable total. The width of the table's entries follows from the number of clusters, as the specification
// says, never from the text "FAT12"; only a table length in the FAT32 place alone means FAT32 whatever the count
// (mkfs.fat -F 32 on a small disk, and every driver reads it so). No 0x55AA signature and no jump are asked for: disks
// of Atari ST and of early MS-DOS have none. nullopt when the numbers cannot be those of a FAT volume.
// Source: Microsoft FAT specification 1.03, "Boot Sector and BPB" and "FAT Type Determination"; Atari GEMDOS
// (512 to 16384 bytes a logical sector on hard disks).
std::optional<FatGeometry> parse_boot_sector(ByteView sector, uint64_t volume_size_bytes);

}  // namespace ntt
