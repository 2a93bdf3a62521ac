// Directory records of ISO 9660 with Joliet and Rock Ridge.
//
// Read here because libtsk 4.11.1 takes the 8.3 names of a Rock Ridge disc, shows symbolic links as empty files, knows the
// first piece only of a file in several, applies the time zone of the computer it runs on, and needs time that grows
// with the square of the number of files.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ntt {

// Which names to take: a disc can hold up to three sets of them.
enum class IsoNames : uint8_t { plain, joliet, rock_ridge };

inline constexpr uint64_t kIsoSector = 2048;

struct IsoRecord {
    uint64_t offset = 0;        // of the record, in bytes from the volume's start
    std::string name;           // without ";1"; not checked
    uint32_t block = 0;         // of the content, behind the extended attribute record
    uint64_t size = 0;          // bytes
    uint8_t unit = 0, gap = 0;  // blocks of an interleaved file
    bool directory = false;
    bool associated = false;          // a resource fork
    bool more_follow = false;         // the file goes on in the next record
    std::optional<int64_t> recorded;  // seconds since 1970 UTC

    // Rock Ridge
    std::optional<int> mode;
    std::optional<int64_t> uid, gid, mtime, atime, ctime, crtime;
    std::optional<uint64_t> nlink;
    std::optional<std::string> target;  // of a symbolic link
    std::optional<uint32_t> child;      // block of a folder that was moved because it lay too deep
    bool moved = false;                 // such a folder in its helper place: to be skipped
    bool compressed = false;            // zisofs
};

// Gives `length` bytes at `block`'s start plus `offset`; empty where they cannot be read.
using IsoBlockReader = std::function<std::string(uint32_t block, uint32_t offset, uint32_t length)>;

// Where system use areas start to be ours: the length that the root's "SP" entry says to skip.
struct IsoContext {
    IsoNames names = IsoNames::plain;
    uint8_t system_use_skip = 0;
    IsoBlockReader read_continuation;
};

// Appends the records of one sector of a directory, "." and ".." left out. False when the sector is damaged: one that
// begins with no record is, because a directory has no unused sectors; an unread one is zeros. So is one in which more is unused
// than a record would need, unless it is the directory's last, and one with something behind the unused part: records there are
// found again by their numbers, which stand in both byte orders.
// Source: ECMA-119, 9.1; Joliet Specification; IEEE P1281 (SUSP 1.12), IEEE P1282 (RRIP 1.12).
bool read_iso_directory_sector(ByteView sector, uint64_t sector_offset, bool last, const IsoContext& context, std::vector<IsoRecord>& out);

}  // namespace ntt
