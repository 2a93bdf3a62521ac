// What was repaired on a volume, as it stands in Volume::detail under "repairs": docs/decisions/0020.
//
// The image is never written. Whoever reads the volume reads it through an overlay of these patches, and what a patch
// covers is no longer unread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "fs/fs_reader.h"
#include "image/byte_source.h"
#include "image/overlay.h"

namespace ntt {

// The names of repairs are stable: they stand in catalogs.
namespace repairs {
inline constexpr std::string_view kFatBackup = "fat_boot_sector_from_backup";
inline constexpr std::string_view kFatRebuilt = "fat_boot_sector_rebuilt";
inline constexpr std::string_view kExfatBackup = "exfat_boot_sector_from_backup";
inline constexpr std::string_view kNtfsBackup = "ntfs_boot_sector_from_backup";
inline constexpr std::string_view kNtfsRecords = "ntfs_records_from_mirror";
inline constexpr std::string_view kNtfsBitmap = "ntfs_bitmap_record_replaced";
inline constexpr std::string_view kExtSuperblock = "ext_superblock_from_backup";
inline constexpr std::string_view kExtDescriptors = "ext_group_descriptors_from_backup";
inline constexpr std::string_view kHfsPlusHeader = "hfsplus_volume_header_from_alternate";
}  // namespace repairs

struct Repair {
    std::string name;
    std::string from;  // where the bytes came from, for people
    std::vector<Patch> patches;
    nlohmann::json evidence = nlohmann::json::object();  // what a person can check by hand
};

inline constexpr size_t kMaxReplacedShown = 1024;         // of the bytes that a patch replaced; all of them have a hash
inline constexpr size_t kMaxPatchesShown = 64;             // with what they replaced; of the others only the hash
inline constexpr size_t kMaxPatchBytes = size_t{1} << 20;
inline constexpr size_t kMaxGivenBytes = size_t{1} << 20;  // of all given patches of a volume: they stand in the catalog as hex
inline constexpr size_t kMaxPatches = 4096;                // of a volume

// The repairs as "repairs" records them: name, from, evidence, and of each patch its place, where its bytes came from and
// what they replaced (hex up to kMaxReplacedShown of the first kMaxPatchesShown, and the BLAKE3 of all). Below 4 MiB as text.
// Errors: those of ByteSource::read.
Result<nlohmann::json> record_of(const std::vector<Repair>& repairs, const ByteSource& image);

// The patches that `detail` (Volume::detail) records; empty without repairs. malformed when the record is none of ours.
Result<std::vector<Patch>> recorded_patches(const std::string& detail);

// Whether one of the recorded repairs stands in for a boot sector.
bool replaces_boot_sector(const std::string& detail);

// `unread` without what the patches cover; null stays null.
std::shared_ptr<const std::vector<UnreadRange>> without(const std::shared_ptr<const std::vector<UnreadRange>>& unread,
                                                        const std::vector<Patch>& patches);

}  // namespace ntt
