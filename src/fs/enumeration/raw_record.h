// One raw record of the predecessor as bytes, and what stands in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fs/isolated/entry_checker.h"

namespace ntt {

inline constexpr char kRawSeparator = '\x1C';
inline constexpr size_t kMaxRawRecord = 2 * kMaxPathOnWire;  // the fields, a mount point and a path

struct RawRecord {
    char type = 'f';
    uint64_t dev = 0, ino = 0, nlink = 0, size = 0;
    int64_t mtime = 0;
    int mtime_ns = 0;
    std::string_view path;  // of the bytes that were parsed
};

// `bytes` are a record without its NUL. Returns what is wrong with it; nothing if `out` is filled.
std::optional<std::string> parse_raw_record(std::string_view bytes, RawRecord& out);

// Whether the first field is what an older version of the predecessor wrote: "644", "100644" or "-rw-r--r--".
bool has_permission_bits(std::string_view bytes);

// The record with its NUL.
std::string format_raw_record(const RawRecord& record);

// `path` as NameEntry has it: without `root` (which does not end with a slash), or else without a leading slash or "./".
// Empty for the root itself. Returns what is wrong with it: not below root, an empty part, "." or "..", too long.
std::optional<std::string> relative_path(std::string_view path, std::string_view root, std::string_view& out);

}  // namespace ntt
