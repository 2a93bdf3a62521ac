#include <algorithm>

#include <fmt/format.h>

#include "fs/repair/proposers.h"

namespace ntt {
namespace {

constexpr uint64_t kBackupSector = 12, kChecksumSector = 11;  // the latter of a boot region: it sums up those before

// Of the fields that say where things lie, equal in both regions.
constexpr uint64_t kFieldsAt = 64, kFieldsBytes = 42;

// Whether the boot region at `at`, of sectors of 2^shift bytes, is whole: it says its sector size, and its checksum fits.
bool is_sound(const Region& region, uint64_t at, uint32_t shift) {
    const uint64_t sector = uint64_t{1} << shift;
    if (!region.was_read(at, (kChecksumSector + 1) * sector)) return false;
    const ProbeBytes boot = region.read(at, static_cast<size_t>((kChecksumSector + 1) * sector));
    if (!boot.has(3, "EXFAT   ") || boot.u8(510) != 0x55 || boot.u8(511) != 0xAA || boot.u8(108) != shift) return false;
    uint32_t sum = 0;
    for (uint64_t i = 0; i < kChecksumSector * sector; ++i)
        if (i != 106 && i != 107 && i != 112) sum = (sum << 31 | sum >> 1) + boot.u8(i);  // flags and how full it is change without it
    for (uint64_t i = kChecksumSector * sector; i < boot.size(); i += 4)
        if (boot.le32(i) != sum) return false;
    return true;
}

}  // namespace

Result<std::vector<Proposal>> exfat_boot_sector(const Region& region, const Volume& volume, FindingSink&) {
    std::vector<Proposal> out;
    const bool is_exfat = volume.fs_type == "exfat";
    if (!volume.view.empty() && !is_exfat) return out;
    for (uint32_t shift = 9; shift <= 12; ++shift) {
        const uint64_t sector = uint64_t{1} << shift, backup = kBackupSector * sector;
        if (!is_sound(region, backup, shift)) continue;
        const bool same = region.read(kFieldsAt, kFieldsBytes).text(0, kFieldsBytes) == region.read(backup + kFieldsAt, kFieldsBytes).text(0, kFieldsBytes);
        if (is_exfat && same) break;
        Repair repair{std::string(repairs::kExfatBackup), fmt::format("the backup boot region at byte {} of the volume", backup),
                      {region.copied(0, sector, backup)}, {{"backup_at", region.image_offset(backup)}}};
        out.push_back({"exfat", {std::move(repair)}, is_exfat && !region.was_read(0, sector)});
        break;
    }
    if (region.failure()) return *region.failure();
    return out;
}

}  // namespace ntt
