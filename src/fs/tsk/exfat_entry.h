// What libtsk 4.11.1 does not take from an exFAT directory entry: whether it is a file at all (the label, the allocation
// bitmap and the upcase table are listed as files), the length that was written, the times with their zone.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace ntt {

struct ExfatEntry {
    bool is_file = false;  // a file or folder; everything else in a directory belongs to the filesystem
    bool is_bitmap = false;  // the (first) allocation bitmap
    // Bytes of the content that were written; those behind are zeros. nullopt if the second entry is not at hand.
    std::optional<uint64_t> valid_bytes;
    std::optional<int64_t> created, modified, accessed;  // seconds since 1970 UTC; without a zone in the entry taken as UTC
    int modified_ns = 0;
    int attributes = 0;
};

// `entries` are the 32 bytes of a file's first entry and, as far as they are at hand, of the second.
// Source: Microsoft exFAT file system specification, sections 7.4 and 7.6.
ExfatEntry read_exfat_entry(ByteView entries);

}  // namespace ntt
