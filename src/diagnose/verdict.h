// What the evidence says of a file, before a byte of it is read: its extents against the rescue map, the image's end,
// the volume's end and the filesystem's own faults.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cause.h"
#include "base/extent.h"
#include "fs/fs_reader.h"
#include "image/rescue_map.h"

namespace ntt {

// Bytes of a file that are missing, with the reason. image_offset is nullopt where they have no place in the image.
struct MissingRange {
    uint64_t file_offset = 0;
    uint64_t length = 0;
    std::optional<uint64_t> image_offset;
    Cause cause = Cause::BAD_SECTOR;

    bool operator==(const MissingRange&) const = default;
};

struct Verdict {
    std::vector<MissingRange> missing;  // sorted by file_offset, disjoint; neighbours in file and image with one cause are one
    uint64_t missing_bytes = 0;
    std::optional<Cause> cause;         // the one that hides most bytes; nullopt: nothing is missing
    std::string evidence;               // JSON object for a person to check by hand; empty if nothing is missing

    bool clean() const { return !cause.has_value(); }
};

// Whether not one byte of the content can be had: what is not missing is only zeros that the filesystem implies.
bool nothing_readable(const InodeEntry& inode, const Verdict& verdict);

// The contract's check for a cause that was found without reading: "extent:beyond_eof", "map:BAD_SECTOR" …
std::string check_of(Cause cause);

// The cause as log lines have it: "beyond_eof".
std::string reason_of(Cause cause);

// Damaged ranges of one image, prepared once for all its files. Immutable, thread-safe.
class DamageMap {
public:
    // `map` may be null (no map: everything inside the image is taken as read). `container_damage` are ranges that the
    // image format itself reports (EWF checksums). Bytes at or beyond image_size are BEYOND_EOF.
    DamageMap(uint64_t image_size, const RescueMap* map, std::vector<ByteRange> container_damage);

    // A verdict on one file. `volume` is the volume's place in the image: extents that reach beyond the volume are
    // FS_CORRUPT. Cost: one sweep over the file's extents and the damaged ranges between their ends.
    Verdict judge(const InodeEntry& inode, const ByteRange& volume) const;

    // What readers must not trust, for ReaderOptions; null if there is nothing.
    std::shared_ptr<const std::vector<UnreadRange>> unread() const;

    // Ranges of the image inside `range` that are missing, sorted; their file_offset counts from range.offset.
    std::vector<MissingRange> missing_in(ByteRange range) const;

private:
    struct Damage {
        ByteRange range;
        Cause cause;
        int map_line;  // 0: not from the map
    };
    uint64_t image_size_;
    std::vector<Damage> damages_;  // sorted, disjoint, all below image_size_
    std::vector<std::string> map_lines_;
};

}  // namespace ntt
