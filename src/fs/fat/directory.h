// The 32-byte entries of FAT directories, and the long names spread over them.
// Source: Microsoft FAT specification 1.03, "FAT Directory Structure" and "FAT Long Directory Entries".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/integers.h"
#include "fs/fat/names.h"

namespace ntt {

// Bits of the attribute byte.
inline constexpr uint8_t kAttributeLabel = 0x08, kAttributeDirectory = 0x10;

struct ShortEntry {
    uint8_t name[11];  // 8 + 3, padded with spaces
    uint8_t attributes;
    uint8_t lower_case;     // Windows NT: 0x08 name, 0x10 extension
    uint8_t creation_10ms;  // 0 … 199
    Le16 creation_time, creation_date, access_date, cluster_high;
    Le16 write_time, write_date, cluster_low;
    Le32 size;
};
static_assert(sizeof(ShortEntry) == 32);

struct LongEntry {
    uint8_t ordinal;  // from 1, the name's last part stands first and has kLastPart set
    Le16 units_1[5];
    uint8_t attributes, type, checksum;
    Le16 units_2[6];
    Le16 cluster;
    Le16 units_3[2];
};
static_assert(sizeof(LongEntry) == 32);

enum class EntryKind : uint8_t { end, deleted, long_name, label, dot, file, directory };
// What an entry is. `index` is its place in the directory: "." and ".." are that only as the first two of a
// subdirectory. An entry marked as label that has a size or a cluster is damaged, and is what its other bits say.
enum class DirectoryRole : uint8_t { root, subdirectory };
EntryKind classify(const ShortEntry& entry, DirectoryRole role, uint64_t index);

// "NAME.EXT" in raw bytes, padding cut off; a first byte 0x05 stands for 0xE5.
std::string raw_short_name(const ShortEntry& entry);
// The same in UTF-8 and with the lower-case bits obeyed.
std::string short_name_utf8(const ShortEntry& entry, const CodePage& code_page);
// Whether DOS could have written the name: no control bytes, none of "*./:<>?\| and not beginning with a space.
bool is_sound_short_name(const ShortEntry& entry);
// The label of a label entry, padding cut off, in UTF-8.
std::string label_utf8(ByteView eleven_bytes, const CodePage& code_page);

// Puts the parts of a long name together. Feed it every entry in order.
class LongName {
public:
    // Takes the next part. Parts that do not follow each other are dropped and counted as orphans.
    void add(const LongEntry& part);
    // At the short entry behind the parts: the name, if they are complete and belong to it. Begins anew.
    std::optional<std::string> take(const ShortEntry& entry);
    // At anything else: what was collected belongs to nothing.
    void drop();

    uint64_t orphans() const { return orphans_; }

private:
    static constexpr size_t kMaxParts = 20, kUnitsPerPart = 13, kMaxUnits = 255;

    std::array<uint16_t, kMaxParts * kUnitsPerPart> units_;
    size_t parts_ = 0;    // of the name at hand; 0: none
    size_t missing_ = 0;  // parts still to come
    uint8_t checksum_ = 0;
    uint64_t orphans_ = 0;
};

}  // namespace ntt
