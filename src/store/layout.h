// Where things lie in a store. Names only; the format is described in docs/formats/store.md.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace ntt {

inline constexpr mode_t kBlobMode = 0444;
inline constexpr mode_t kFolderMode = 0755;
inline constexpr size_t kFanout = 256;  // folders on each level
inline constexpr int kMaxFanoutLevels = 2;

inline constexpr const char* kIdentityName = "ntt-store.toml";
inline constexpr const char* kLockName = "ntt-store.lock";
inline constexpr const char* kQuarantineName = "quarantine";
inline constexpr const char* kTempName = "tmp";

// "by-hash" or "partial".
std::string folder_of(BlobKind kind);

// A blob's path below folder_of(kind): "aa/<64 hex>", or "aa/bb/<64 hex>" with two levels.
std::string blob_path(const BlobId& id, int fanout_levels);

// The same without the leading "aa/": its name inside its folder of the first level, folder number id.bytes[0].
inline std::string name_in_branch(const BlobId& id, int fanout_levels) { return blob_path(id, fanout_levels).substr(3); }
std::string branch_name(uint8_t first_byte);

// Two lowercase hexadecimal digits: the name of a fan-out folder.
bool is_fanout_name(std::string_view name);

// "<kind>-<id>-<time>-<reason>-<n>": a name below quarantine/. `reason` is cut down to letters, digits and "_".
std::string quarantine_name(BlobKind kind, const BlobId& id, int64_t wall_us, std::string_view reason, int n);

// `bytes` random bytes in hexadecimal.
std::string random_hex(size_t bytes);

}  // namespace ntt
