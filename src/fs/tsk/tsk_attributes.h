// From libtsk's attributes (NTFS, HFS+, exFAT) to extents, and what NTFS says beside them.
#pragma once

#include <tsk/libtsk.h>

#include <cstdint>
#include <optional>
#include <string>

#include "fs/fs_reader.h"

namespace ntt {

// Where a volume lies; bytes.
struct TskPlace {
    uint64_t volume_offset = 0, volume_bytes = 0, block_size = 0;
};

// attribute.type as a number: libtsk stores what an NTFS record says there, and reading a value that the enumeration does
// not have is undefined.
uint32_t attribute_type(const TSK_FS_ATTR& attribute);

// Fills access, extents and faults of `out` (out.size is set) from the runs of `attribute`. `written_bytes`, if known from
// elsewhere, is where the content that was written ends. Resident and compressed content
// goes through the reader; encrypted content is unreadable (ENCRYPTED). What an NTFS file has beyond its initialised size,
// and an exFAT file beyond its valid data length, is a hole. Runs that libtsk lost (filler) and bytes without a run are faults.
void map_attribute(const TSK_FS_ATTR& attribute, const TskPlace& place, std::optional<uint64_t> written_bytes, InodeEntry& out);

// A fault over the whole content.
void mark_unreadable(Cause cause, std::string evidence, InodeEntry& out);

// What a reparse point makes of an NTFS file.
struct ReparsePoint {
    uint32_t tag = 0;
    std::optional<std::string> target;  // of a symbolic link or a junction, UTF-8
    bool holds_content() const;         // WOF compression and deduplication keep the content elsewhere
};
// nullopt if the file has no readable reparse point. Source: [MS-FSCC] 2.1.2.
std::optional<ReparsePoint> reparse_point(const TSK_FS_META& meta);

// The attribute bits of $STANDARD_INFORMATION; nullopt if it cannot be read.
std::optional<int> ntfs_attribute_bits(const TSK_FS_META& meta);

}  // namespace ntt
