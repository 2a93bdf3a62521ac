// The filesystems found in an image, and what else stands in its partition tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/finding.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

// Contract values of volume.role and volume.outcome.
enum class Role : uint8_t { filesystem, swap, extended, lvm_pv, raid_member, encrypted, unknown };
enum class Outcome : uint8_t { read, partial, unsupported, no_filesystem, truncated, parser_crash, parser_timeout, budget, failed, skipped };
std::string_view to_string(Role role);
std::string_view to_string(Outcome outcome);
std::optional<Role> role_from(std::string_view word);
std::optional<Outcome> outcome_from(std::string_view word);

struct Volume {
    int number = 0;             // from 1 in order of offset, and as detect_volumes() says at one offset
    uint64_t offset_bytes = 0;  // in the image
    uint64_t size_bytes = 0;    // as the partition table or the filesystem declares; may reach beyond the image
    // The filesystem as seen: fat12 fat16 fat32 exfat ntfs ext2 ext3 ext4 hfsplus ufs1 ufs2 iso9660 joliet rockridge;
    // empty if none.
    // A name blkid or libtsk gives a filesystem that is not read here (xfs, btrfs, hfs, swap …) stands here too.
    std::string view;
    std::string fs_type;        // the family: fat exfat ntfs ext hfsplus ufs iso9660, or the same as view
    Role role = Role::unknown;
    std::string label;          // UTF-8
    std::string uuid;           // as blkid prints it
    bool readable = false;      // src/fs has a reader for it
    Outcome outcome = Outcome::no_filesystem;  // as far as detection can say: unsupported, no_filesystem, skipped (swap, extended) or read
    std::string detail = "{}";  // JSON object: table ("dos" "gpt" "mac" "bsd" "sun" or "none"), slot, partition type, flags, notes

    ByteRange range() const { return {offset_bytes, size_bytes}; }
};

// What the image as a whole looks like.
struct Detection {
    std::string table;            // "none" "dos" "gpt" "mac" "bsd" "sun"
    std::vector<Volume> volumes;  // sorted by offset, numbered from 1; containers, swap and unknown partitions included.
                                  // Those of find_lost_filesystems() stand behind the others, sorted as well
};

// Looks for a partition table and for filesystems: in each partition, or over the whole image. Reads little. An image
// with nothing recognisable gives one volume over the whole image with outcome no_filesystem.
//
// A disc gives a volume for each of its views: the same files under the names of Rock Ridge, of Joliet, of ISO 9660 itself,
// and its UDF and Apple sides. Each later session of a disc gives its views too, at its own offset, with `session` (from 2 on)
// in the detail: their block numbers count from the disc's start, and files of earlier sessions lie in front (reach_of() in detail.h). A volume is (offset, view). At one offset what holds other volumes comes first, then the
// richest names: rockridge, joliet, iso9660, others. `views` in the detail of each lists them all.
//
// Findings (volume number set where there is one): partition_beyond_image, partition_table_damaged (partitions may be
// missing), partition_table_copy_damaged, partition_tables_differ (says what was taken), partitions_overlap,
// filesystem_beyond_image, filesystem_beyond_partition, volume_descriptor_lost, unsupported_filesystem (says what reads it), encrypted,
// container_not_read, too_many_volumes.
Result<Detection> detect_volumes(const ByteSource& source, FindingSink& findings);

// Adds filesystems that nothing points to, each with a finding filesystem_found_by_scan and `found_by` in its detail: inside
// volumes in which nothing was recognised (`found_inside` in their detail has the count), behind a filesystem that stands at a
// usual offset without a table, and in an image whose table lists only what lies beyond its end. Costs nothing where
// nothing is missing; else what scan.h says, whatever the size of the image, and a finding scan_limit where that was not enough. Call it
// after repairs: what they give back is not lost.
Result<void> find_lost_filesystems(const ByteSource& source, Detection& detection, FindingSink& findings);

}  // namespace ntt
