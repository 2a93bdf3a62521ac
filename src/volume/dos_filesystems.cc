#include <fmt/format.h>

#include <algorithm>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

bool is_power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

// Of a root directory in which a label is searched: as many clusters, and as many bytes as a FAT directory can have.
constexpr int kMaxClustersLookedAt = 256;
constexpr uint64_t kMaxLabelBytes = uint64_t{65536} * 32;

// --- FAT ---

// The numbers of a BIOS parameter block and what follows from them, in bytes unless the name says otherwise.
struct FatGeometry {
    uint32_t sector_size = 0, cluster_size = 0, fat_count = 0, root_entries = 0;
    uint64_t reserved = 0, fat_size = 0, total = 0;
    uint64_t clusters = 0;
    int bits = 0;

    uint64_t root_at() const { return reserved + fat_count * fat_size; }
    uint64_t data_at() const {
        const uint64_t root_size = (uint64_t{root_entries} * 32 + sector_size - 1) / sector_size * sector_size;
        return root_at() + root_size;
    }
};

// Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03, "Boot Sector and BPB", "FAT
// Type Determination". Sector sizes below 512 and the missing 0x55AA are those of old DOS and Atari ST floppies.
std::optional<FatGeometry> fat_geometry(const ProbeBytes& boot) {
    FatGeometry g;
    g.sector_size = boot.le16(11);
    const uint32_t sectors_per_cluster = boot.u8(13), media = boot.u8(21);
    g.fat_count = boot.u8(16);
    g.root_entries = boot.le16(17);
    const uint64_t sectors = boot.le16(19) != 0 ? boot.le16(19) : boot.le32(32);
    const uint64_t fat_sectors = boot.le16(22) != 0 ? boot.le16(22) : boot.le32(36);
    if (!is_power_of_two(g.sector_size) || g.sector_size < 128 || g.sector_size > 8192) return {};
    if (!is_power_of_two(sectors_per_cluster) || boot.le16(14) == 0 || g.fat_count == 0 || g.fat_count > 4) return {};
    if ((media != 0xF0 && media < 0xF8) || sectors == 0 || fat_sectors == 0) return {};
    g.cluster_size = sectors_per_cluster * g.sector_size;
    g.reserved = uint64_t{boot.le16(14)} * g.sector_size;
    g.fat_size = fat_sectors * g.sector_size;
    g.total = sectors * g.sector_size;
    if (g.data_at() >= g.total) return {};
    g.clusters = (g.total - g.data_at()) / g.cluster_size;
    const bool fat32 = boot.le16(22) == 0;
    if (fat32 != (g.root_entries == 0)) return {};
    g.bits = fat32 ? 32 : g.clusters < 4085 ? 12 : 16;
    return g;
}

struct LabelSearch {
    std::string label;
    bool at_end = false;  // of the directory, or found
};

LabelSearch search_fat_label(const ProbeBytes& directory) {
    constexpr uint8_t kVolumeId = 0x08, kDirectory = 0x10, kLongName = 0x0F, kDeleted = 0xE5;
    for (uint64_t at = 0; at + 32 <= directory.size(); at += 32) {
        const uint8_t first = directory.u8(at), attributes = directory.u8(at + 11);
        if (first == 0) return {"", true};
        if (first == kDeleted || (attributes & 0x3F) == kLongName) continue;
        if ((attributes & (kVolumeId | kDirectory)) != kVolumeId || directory.le16(at + 26) != 0) continue;
        std::string name(directory.text(at, 11));
        if (name[0] == 0x05) name[0] = static_cast<char>(kDeleted);
        return {label_text(name), true};
    }
    return {};
}

std::string fat_root_label(const ProbeWindow& window, const FatGeometry& g, uint32_t root_cluster) {
    if (g.bits != 32) return search_fat_label(window.read(g.root_at(), size_t{g.root_entries} * 32)).label;
    uint32_t cluster = root_cluster;
    for (uint64_t i = 0; i < kMaxClustersLookedAt && i * g.cluster_size < kMaxLabelBytes && cluster >= 2 && cluster < g.clusters + 2; ++i) {
        const uint64_t at = g.data_at() + uint64_t{cluster - 2} * g.cluster_size;
        const LabelSearch found = search_fat_label(window.read(at, g.cluster_size));
        if (found.at_end) return found.label;
        cluster = window.read(g.reserved + uint64_t{cluster} * 4, 4).le32(0) & 0x0FFFFFFF;
    }
    return {};
}

std::string dos_serial(uint32_t serial) {
    return serial == 0 ? std::string() : fmt::format("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF);
}

}  // namespace

Found fat(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    const auto g = fat_geometry(boot);
    if (!g) return {};
    // The table begins with the media byte (Atari: any of F0 to FF) and all ones. A boot sector without 0x55AA must show
    // it; one with 0x55AA that does not may be an MBR with the remains of a BPB, as GRUB leaves one.
    const ProbeBytes table = window.read(g->reserved, 4);
    const bool table_starts_well = table.u8(0) >= 0xF0 && table.u8(1) == 0xFF;
    const bool jumps = boot.u8(0) == 0xE9 || (boot.u8(0) == 0xEB && boot.u8(2) == 0x90);
    const bool signature = boot.u8(510) == 0x55 && boot.u8(511) == 0xAA;
    if (!table_starts_well && !signature && !jumps) return {};

    Identity out;
    out.view = fmt::format("fat{}", g->bits);
    out.fs_type = "fat";
    out.size_bytes = g->total;
    out.confidence = table_starts_well ? Confidence::sure : Confidence::weak;
    const uint64_t extended = g->bits == 32 ? 64 : 36;  // where drive number, 0x28 or 0x29, serial and label stand
    const uint8_t kind = boot.u8(extended + 2);
    if (g->bits == 32 || kind == 0x28 || kind == 0x29) out.uuid = dos_serial(boot.le32(extended + 3));
    out.label = fat_root_label(window, *g, boot.le32(44));
    if (kind == 0x29) {
        const std::string boot_label = label_text(boot.text(extended + 7, 11));
        if (!boot_label.empty() && boot_label != "NO NAME") out.notes["boot_label"] = boot_label;
    }
    return out;
}

// Source: Microsoft exFAT file system specification, sections 3 (boot sector) and 7.3 (volume label entry).
Found exfat(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    if (!boot.has(3, "EXFAT   ")) return {};
    const uint32_t sector_shift = boot.u8(108), cluster_shift = boot.u8(109);
    if (sector_shift < 9 || sector_shift > 12 || cluster_shift > 25 - sector_shift) return {};
    const uint64_t sectors = boot.le64(72);
    if (sectors == 0 || sectors > UINT64_MAX >> sector_shift) return {};
    Identity out;
    out.view = out.fs_type = "exfat";
    out.size_bytes = sectors << sector_shift;
    out.uuid = dos_serial(boot.le32(100));

    const uint64_t fat_at = uint64_t{boot.le32(80)} << sector_shift, heap_at = uint64_t{boot.le32(88)} << sector_shift;
    const uint32_t cluster_count = boot.le32(92);
    const size_t cluster_size = size_t{1} << (sector_shift + cluster_shift);
    constexpr uint8_t kLabelEntry = 0x83;
    uint32_t cluster = boot.le32(96);
    for (uint64_t i = 0; i < kMaxClustersLookedAt && i * cluster_size < kMaxLabelBytes && cluster >= 2 && cluster - 2 < cluster_count; ++i) {
        const uint64_t at = heap_at + uint64_t{cluster - 2} * cluster_size;
        const ProbeBytes directory = window.read(at, std::min<size_t>(cluster_size, 256 * 1024));
        for (uint64_t entry = 0; entry + 32 <= directory.size(); entry += 32) {
            if (directory.u8(entry) == 0) return out;
            if (directory.u8(entry) != kLabelEntry) continue;
            const size_t characters = std::min<size_t>(directory.u8(entry + 1), 11);
            out.label = utf16_text(directory.text(entry + 2, characters * 2), Utf16Order::little);
            return out;
        }
        cluster = window.read(fat_at + uint64_t{cluster} * 4, 4).le32(0);
    }
    return out;
}

// Source: Linux-NTFS documentation, "Boot sector", "FILE record", "$VOLUME_NAME".
Found ntfs(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    if (!boot.has(3, "NTFS    ")) return {};
    const uint32_t sector_size = boot.le16(11), raw_cluster = boot.u8(13);
    if (!is_power_of_two(sector_size) || sector_size < 256 || sector_size > 4096) return {};
    const uint32_t cluster_shift_code = 256 - raw_cluster;
    if (raw_cluster > 128 && cluster_shift_code > 21) return {};
    const uint64_t sectors_per_cluster = raw_cluster > 128 ? uint64_t{1} << cluster_shift_code : raw_cluster;
    if (!is_power_of_two(sectors_per_cluster)) return {};
    const uint64_t cluster_size = sectors_per_cluster * sector_size;
    const uint64_t sectors = boot.le64(40);
    if (sectors == 0 || sectors > UINT64_MAX / sector_size - 1) return {};

    Identity out;
    out.view = out.fs_type = "ntfs";
    // The copy of the boot sector stands in the sector after the ones that are counted; the partition holds it as well.
    out.size_bytes = sectors * sector_size;
    if (boot.le64(72) != 0) out.uuid = fmt::format("{:016X}", boot.le64(72));

    const auto raw_record = static_cast<int8_t>(boot.u8(64));
    const uint64_t record_size = raw_record > 0      ? static_cast<uint64_t>(raw_record) * cluster_size
                                 : raw_record >= -20 ? uint64_t{1} << -raw_record
                                                     : 0;
    if (record_size < 256 || record_size > (1u << 20)) return out;
    const auto mft_at = checked_mul(boot.le64(48), cluster_size);
    constexpr uint64_t kVolumeRecord = 3;
    if (!mft_at || *mft_at > UINT64_MAX / 2) return out;
    const ProbeBytes record = window.read(*mft_at + kVolumeRecord * record_size, static_cast<size_t>(record_size));
    if (!record.has(0, "FILE")) return out;
    constexpr uint32_t kVolumeName = 0x60, kEnd = 0xFFFFFFFF;
    for (uint64_t at = record.le16(20); at + 24 <= record.size();) {
        const uint32_t type = record.le32(at), length = record.le32(at + 4);
        if (type == kEnd || length < 24) break;
        if (type == kVolumeName && record.u8(at + 8) == 0) {
            out.label = utf16_text(record.text(at + record.le16(at + 20), std::min<uint32_t>(record.le32(at + 16), 256)),
                                   Utf16Order::little);
            break;
        }
        at += length;
    }
    return out;
}

}  // namespace ntt::probes
