// The descriptors of UDF that a reader of files needs, taken out of their bytes.
//
// Every descriptor carries a checksum of its tag, a CRC over its body, and the number of its own block: what does not
// agree with them is not believed. Read here because libudfread 1.1.2 gives no times, links, owners or numbers, knows no
// virtual and no sparable partition, and does not look at any CRC (docs/decisions/0070-filesystem-libraries.md).
// Source of all: ECMA-167 third edition (parts 3 and 4, given as part/section), OSTA UDF 1.02 to 2.60.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/fs_reader.h"
#include "volume/probe_window.h"

namespace ntt {

enum class UdfTagId : uint16_t {
    primary_volume = 1,
    anchor = 2,
    volume_pointer = 3,
    partition = 5,
    logical_volume = 6,
    terminator = 8,
    file_set = 256,
    file_identifier = 257,
    allocation_extent = 258,
    indirect_entry = 259,
    terminal_entry = 260,
    file_entry = 261,
    extended_file_entry = 266,
};

inline constexpr size_t kUdfTagBytes = 16;

// Whether `bytes` begin with a tag of this kind whose checksum is right. The weakest form of belief. 3/7.2.
bool has_udf_tag(const ProbeBytes& bytes, uint64_t at, UdfTagId id);
// has_udf_tag, and the CRC is right and covers the descriptor's first `body_end` bytes from `at`.
bool is_sound_udf(const ProbeBytes& bytes, uint64_t at, UdfTagId id, uint64_t body_end);

// A block of a partition: `partition` counts the maps of the logical volume descriptor.
struct UdfAddress {
    uint32_t block = 0;
    uint16_t partition = 0;

    uint64_t number() const { return uint64_t{partition} << 32 | block; }  // unique in the volume
};

enum class UdfExtentType : uint8_t { recorded = 0, unrecorded = 1, unallocated = 2, continuation = 3 };

// One allocation descriptor. 4/14.14.
struct UdfExtent {
    UdfAddress start;
    uint32_t length = 0;  // bytes
    UdfExtentType type = UdfExtentType::recorded;
};

// The forms in which a file says where it lies. 4/14.6.8.
enum class UdfAllocation : uint8_t { short_form = 0, long_form = 1, extended_form = 2, embedded = 3 };

// The allocation descriptors in `bytes`, to the one of length 0 that ends them. `home`: the partition that the short form
// means. Nothing for `embedded`.
std::vector<UdfExtent> read_udf_extents(std::string_view bytes, UdfAllocation form, uint16_t home);

// An information control block: a file, a folder, a table of blocks. 4/14.9 and 4/14.17.
struct UdfFile {
    uint8_t type = 0;  // 4/14.6.6; 248 and up: UDF's own
    uint64_t size = 0;
    uint64_t nlink = 0;
    std::optional<int64_t> uid, gid, mtime, atime, ctime, crtime;
    int mtime_ns = 0;
    int permissions = 0;  // as the lower bits of st_mode
    UdfAllocation form = UdfAllocation::short_form;
    std::vector<UdfExtent> extents;
    ByteRange embedded;    // of the block, where form says so
    UdfExtent streams;     // the folder of named streams; length 0: none
};

inline constexpr uint8_t kUdfFolder = 4, kUdfVirtualTable = 248, kUdfMetadataFile = 250, kUdfMetadataMirror = 251;
// st_mode's file type and InodeEntry's letter for a file; 0 and 'u' for what holds no file's content.
struct UdfKind {
    int mode = 0;
    char letter = 'u';
};
UdfKind udf_kind(uint8_t type);

// The file that `block`, number `address` of its partition, describes. Nothing unless it is one, sound, and says that it
// stands in that place.
std::optional<UdfFile> read_udf_file(const ProbeBytes& block, UdfAddress address);

// One name in a folder. 4/14.4.
struct UdfName {
    uint64_t offset = 0, length = 0;  // in the folder's content
    std::string name;                 // UTF-8, not checked
    UdfAddress icb;
    bool folder = false, deleted = false, parent = false, metadata = false;
    bool sound = false;  // the CRC agrees
};
// The name at `at`; nothing if there is none or it reaches beyond `folder`.
std::optional<UdfName> read_udf_name(const ProbeBytes& folder, uint64_t at);

// Compressed Unicode as UTF-8, a lone surrogate as if it were a character. UDF 2.1.1.
std::string udf_text(std::string_view compressed);
// The path that a symbolic link's content spells; nullopt if it is damaged. 4/14.16.
std::optional<std::string> udf_link_target(std::string_view components);

}  // namespace ntt
