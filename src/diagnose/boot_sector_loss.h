// A first sector that says nothing any more, before a filesystem that still stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

struct BootSectorLoss {
    std::string_view state;       // of the first sector: "zeroed", "filled" with one other byte, "garbage"
    std::string_view filesystem;  // whose remains stand: fat fat32 ntfs exfat
    std::string evidence;         // JSON object: where they stand
};

// Looks in a range where no filesystem was identified for what stands beside a boot sector: two equal copies of a FAT, each
// with the first bytes that only a FAT has; the backup boot sector of FAT32 (sector 6), exFAT (12) or NTFS (the last).
// Reads less than 200 KiB. Errors: those of ByteSource::read.
// Sources: Microsoft FAT specification 1.03, "FAT[0]" and "BPB_BkBootSec"; exFAT specification, "Backup Boot Region"; NTFS:
// measured on volumes of mkntfs and Windows.
Result<std::optional<BootSectorLoss>> lost_boot_sector(const ByteSource& source, ByteRange range);

}  // namespace ntt
