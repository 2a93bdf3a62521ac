#include <fmt/format.h>

#include "fs/fat/boot_sector.h"
#include "fs/repair/floppy_layout.h"
#include "fs/repair/proposers.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr uint64_t kBackupSectorAt = 50;  // BPB_BkBootSec: the sector in which the backup stands
constexpr uint64_t kMaxReservedBytes = 64 << 10;

struct BootSectorCopy {
    Repair repair;
    FatGeometry geometry;
};

std::optional<FatGeometry> geometry_at(const Region& region, uint64_t offset) {
    return parse_boot_sector(as_bytes(region.read(offset, kBootSectorBytes).text(0, kBootSectorBytes)), region.size_bytes());
}

// A backup says where it stands, in sectors of the size it says: nothing else looks so.
std::optional<BootSectorCopy> from_backup(const Region& region) {
    for (uint64_t at = kBootSectorBytes; at < kMaxReservedBytes && at < region.visible_bytes(); at += kBootSectorBytes) {
        if (!region.was_read(at, kBootSectorBytes)) continue;
        const ProbeBytes sector = region.read(at, kBootSectorBytes);
        if (sector.u8(510) != 0x55 || sector.u8(511) != 0xAA) continue;
        auto geometry = geometry_at(region, at);
        if (!geometry || geometry->fat_bits != 32 || uint64_t{sector.le16(kBackupSectorAt)} * geometry->sector_size != at) continue;
        Repair repair{std::string(repairs::kFatBackup), fmt::format("the backup boot sector at byte {} of the volume", at),
                      {region.copied(0, kBootSectorBytes, at)}, {{"backup_at", region.image_offset(at)}}};
        return BootSectorCopy{std::move(repair), *std::move(geometry)};
    }
    return std::nullopt;
}

// What the files prove; else, where nothing is identified, the finding that it is not proven.
std::optional<BootSectorCopy> rebuilt(const Region& region, const Volume& volume, FindingSink& findings) {
    FloppyFinding found = find_floppy_layout(region);
    if (found.proven) {
        const FloppyLayout& layout = *found.proven;
        const std::vector<uint8_t> bytes = boot_sector_of(layout);
        auto geometry = parse_boot_sector(bytes, region.size_bytes());
        if (!geometry) return std::nullopt;
        found.evidence["layout"] = {{"reserved_sectors", layout.fat_at},         {"fat_sectors", layout.fat_sectors},     {"root_sectors", layout.root_sectors},
                                    {"cluster_sectors", layout.cluster_sectors}, {"total_sectors", layout.total_sectors}, {"media", layout.media}};
        std::string from = layout.format.empty() ? "the layout that FATs, root directory and files prove"
                                                 : fmt::format("the standard format of {}, as FATs, root directory and files prove", layout.format);
        return BootSectorCopy{{std::string(repairs::kFatRebuilt), std::move(from), {region.given(0, bytes)}, found.evidence}, *std::move(geometry)};
    }
    if (found.entries == 0 || !volume.view.empty()) return std::nullopt;
    found.evidence["entries"] = found.entries;
    findings.add({"repair_unproven",
                  fmt::format("FATs and a root directory with {} entries are here, but no boot sector, and nothing proves where the files' clusters lie: "
                              "none is read",
                              found.entries),
                  found.evidence.dump(), volume.number, std::nullopt});
    return std::nullopt;
}

bool same_places(const FatGeometry& a, const FatGeometry& b) {
    return a.fat_bits == b.fat_bits && a.fat_offset == b.fat_offset && a.fat_length == b.fat_length && a.fat_count == b.fat_count &&
           a.data_offset == b.data_offset && a.cluster_size == b.cluster_size && a.root_cluster == b.root_cluster;
}

}  // namespace

Result<std::vector<Proposal>> fat_boot_sector(const Region& region, const Volume& volume, FindingSink& findings) {
    std::vector<Proposal> out;
    const bool is_fat = volume.fs_type == "fat";
    if (!volume.view.empty() && !is_fat) return out;
    const bool unread = !region.was_read(0, kBootSectorBytes);
    std::optional<BootSectorCopy> copy = from_backup(region);
    // A boot sector that was read and makes sense is what the floppy says of itself; that is not weighed against evidence.
    if (!copy && (unread || !is_fat)) copy = rebuilt(region, volume, findings);
    const auto stands_there = geometry_at(region, 0);
    if (region.failure()) return *region.failure();
    if (!copy || (is_fat && stands_there && same_places(*stands_there, copy->geometry))) return out;
    out.push_back({"fat", {std::move(copy->repair)}, is_fat && unread});
    return out;
}

}  // namespace ntt
