// What libtsk 4.11.1 does not look at in exFAT: whether the entry sets of a directory fit their checksums, whether entries
// are lost between them, and which clusters the allocation bitmap has in use that belong to nobody.
// Source: Microsoft exFAT file system specification, sections 6.2 (entries), 6.3.3 (SetChecksum), 7.1 (allocation bitmap), 7.4 (file).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "fs/listing/unread_ranges.h"
#include "image/byte_source.h"

namespace ntt {

inline constexpr uint64_t kExfatEntryBytes = 32;

// The set of entries of one file or folder.
struct ExfatSet {
    uint64_t image_offset = 0;  // of its first entry
    bool fits = false;          // all of its entries are at hand and fit the checksum
};

struct ExfatDirectory {
    std::vector<ExfatSet> sets;
    // Where entries are lost: zeroed ones before a set that fits, parts of a set without its first entry, kinds that there are not.
    struct Damage {
        uint64_t image_offset = 0;
        std::string reason;
    };
    std::optional<Damage> damage;  // the first
    // Its end mark, if it is the first entry of a sector: from there on a zeroed sector would look the same.
    std::optional<uint64_t> ends_with_sector_at;
};

// Reads the directory in `places` of the image, in order. What was not read from the medium holds neither entries nor an end.
// Errors: those of ByteSource::read, and cancelled. Reads at most kMaxExfatDirectoryBytes.
Result<ExfatDirectory> read_exfat_directory(const ByteSource& source, const std::vector<ByteRange>& places, const UnreadRanges& unread,
                                            const CancelToken& cancel);

inline constexpr uint64_t kMaxExfatDirectoryBytes = uint64_t{256} << 20;  // as the specification has it

struct ExfatHeap {
    uint64_t image_offset = 0;   // of cluster 2
    uint64_t cluster_bytes = 0;
    uint64_t clusters = 0;
};

struct ExfatLostClusters {
    struct Run {
        uint64_t first = 0, count = 0;  // clusters
    };
    uint64_t clusters = 0, runs = 0;
    std::vector<Run> first;              // of the runs, at most kMaxRunsNamed
    std::vector<uint64_t> lengths;       // of the runs in clusters, each once, at most kMaxLengths
    static constexpr size_t kMaxRunsNamed = 16, kMaxLengths = 4096;
};

// Clusters that the bitmap in `bitmap` (places in the image) has in use and of which nothing is in `claimed` (places too, in any order).
// Bits that were not read count as free. Errors: as above.
Result<ExfatLostClusters> lost_exfat_clusters(const ByteSource& source, const ExfatHeap& heap, const std::vector<ByteRange>& bitmap,
                                              std::vector<ByteRange> claimed, const UnreadRanges& unread, const CancelToken& cancel);

}  // namespace ntt
