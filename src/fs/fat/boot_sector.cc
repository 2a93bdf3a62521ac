#include "fs/fat/boot_sector.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "base/integers.h"

namespace ntt {
namespace {

// Laid over the first bytes of the volume; two forms follow the common part.
struct ExtendedBootRecord {
    uint8_t drive, flags, signature;  // 0x28 or 0x29 when the fields below are there
    Le32 serial;
    char label[11];
    char type_text[8];
};
struct BootSector {
    uint8_t jump[3];
    char oem_name[8];
    Le16 sector_size;
    uint8_t sectors_per_cluster;
    Le16 reserved_sectors;
    uint8_t fat_count;
    Le16 root_entries;
    Le16 total_sectors_16;
    uint8_t media;
    Le16 fat_sectors_16;
    Le16 sectors_per_track, heads;
    Le32 hidden_sectors, total_sectors_32;
    union {
        ExtendedBootRecord fat16;
        struct {
            Le32 fat_sectors_32;
            Le16 ext_flags, version;
            Le32 root_cluster;
            Le16 info_sector, backup_sector;
            uint8_t reserved[12];
            ExtendedBootRecord record;
        } fat32;
    };
};
static_assert(sizeof(BootSector) == 90);

constexpr uint32_t kMinSectorSize = 512, kMaxSectorSize = 16384;
// Fewer clusters than this are FAT12, fewer than that FAT16 (specification, "FAT Type Determination").
constexpr uint64_t kFat16Clusters = 4085, kFat32Clusters = 65525;
constexpr uint64_t kMaxFat32Clusters = 0x0FFFFFF5;  // entries have 28 bits, and the highest values are marks
constexpr uint16_t kMirroringOff = 0x0080, kActiveFatMask = 0x000F;

bool power_of_two_in(uint32_t value, uint32_t low, uint32_t high) {
    return value >= low && value <= high && std::has_single_bit(value);
}

void take_record(const ExtendedBootRecord& record, FatGeometry& geometry) {
    if (record.signature == 0x29) geometry.boot_label.assign(record.label, sizeof record.label);
    if (std::memcmp(record.type_text, "FAT", 3) == 0) geometry.type_text.assign(record.type_text, sizeof record.type_text);
}

}  // namespace

std::optional<FatGeometry> parse_boot_sector(ByteView sector, uint64_t volume_size_bytes) {
    if (sector.size() < kBootSectorBytes) return std::nullopt;
    BootSector boot;
    std::memcpy(&boot, sector.data(), sizeof boot);

    FatGeometry geometry;
    const auto odd = [&](std::string text) { geometry.oddities.push_back(std::move(text)); };

    const uint32_t sector_size = boot.sector_size;
    if (!power_of_two_in(sector_size, kMinSectorSize, kMaxSectorSize)) return std::nullopt;
    if (!power_of_two_in(boot.sectors_per_cluster, 1, 128) || boot.fat_count == 0) return std::nullopt;
    const bool is_fat32 = boot.fat_sectors_16 == 0;
    const uint64_t fat_sectors = is_fat32 ? uint64_t{boot.fat32.fat_sectors_32} : uint64_t{boot.fat_sectors_16};
    if (fat_sectors == 0 || (!is_fat32 && boot.root_entries == 0)) return std::nullopt;

    geometry.sector_size = sector_size;
    geometry.cluster_size = sector_size * boot.sectors_per_cluster;
    geometry.fat_count = boot.fat_count;
    geometry.media = boot.media;
    geometry.oem_name.assign(boot.oem_name, sizeof boot.oem_name);
    take_record(is_fat32 ? boot.fat32.record : boot.fat16, geometry);
    if (boot.media != 0xF0 && boot.media < 0xF8) odd(fmt::format("media byte {:#04x}", boot.media));
    if (boot.fat_count > 2) odd(fmt::format("{} copies of the FAT", boot.fat_count));
    uint64_t reserved_sectors = boot.reserved_sectors;
    if (reserved_sectors == 0) {
        odd("no reserved sectors; the boot sector itself is taken as one");
        reserved_sectors = 1;
    }

    geometry.fat_offset = reserved_sectors * sector_size;
    geometry.fat_length = fat_sectors * sector_size;
    geometry.root_offset = geometry.fat_offset + geometry.fat_count * geometry.fat_length;
    geometry.root_entries = boot.root_entries;
    const uint64_t root_bytes = uint64_t{geometry.root_entries} * kDirectoryEntryBytes;
    geometry.data_offset = geometry.root_offset + (root_bytes + sector_size - 1) / sector_size * sector_size;

    uint64_t total = boot.total_sectors_16 != 0 ? uint64_t{boot.total_sectors_16} : uint64_t{boot.total_sectors_32};
    if (total * sector_size <= geometry.data_offset) {
        odd(fmt::format("{} sectors in all cannot be; the volume's size is used", total));
        total = std::min<uint64_t>(volume_size_bytes / sector_size, UINT32_MAX);
    }
    geometry.total_bytes = total * sector_size;
    if (geometry.total_bytes < geometry.data_offset + geometry.cluster_size) return std::nullopt;
    const uint64_t clusters = (geometry.total_bytes - geometry.data_offset) / geometry.cluster_size;

    geometry.fat_bits = is_fat32 ? 32 : clusters < kFat16Clusters ? 12 : 16;
    if (is_fat32 && clusters < kFat32Clusters) odd(fmt::format("FAT32 with {} clusters only", clusters));
    if (!geometry.type_text.empty()) {
        const std::string expected = fmt::format("FAT{:<5}", geometry.fat_bits);
        if (geometry.type_text != expected && geometry.type_text != "FAT     ")
            odd(fmt::format("the boot sector's text says {}, its numbers say {}", to_terminal_text(geometry.type_text),
                            expected));
    }
    // Clusters that the table has no entry for, or whose numbers are marks, cannot be linked to.
    const uint64_t entries = geometry.fat_length * 8 / static_cast<uint64_t>(geometry.fat_bits);
    const uint64_t linkable = std::min<uint64_t>(entries - kFirstDataCluster, geometry.fat_bits == 32   ? kMaxFat32Clusters
                                                                              : geometry.fat_bits == 16 ? kFat32Clusters - 1
                                                                                                        : clusters);
    if (clusters > linkable) odd(fmt::format("{} clusters, but the FAT has room for {}", clusters, linkable));
    geometry.cluster_count = static_cast<uint32_t>(std::min(clusters, linkable));

    if (is_fat32) {
        geometry.root_cluster = boot.fat32.root_cluster;
        const uint16_t flags = boot.fat32.ext_flags;
        if (flags & kMirroringOff) {
            geometry.active_fat = flags & kActiveFatMask;
            if (*geometry.active_fat >= geometry.fat_count) {
                odd(fmt::format("active FAT {} of {}; the first is used", *geometry.active_fat, geometry.fat_count));
                geometry.active_fat = 0;
            }
        }
    }
    return geometry;
}

}  // namespace ntt
