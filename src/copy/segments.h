// A file's content as a list of pieces in file order: what to read, what is zero, what is missing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/extent.h"
#include "base/result.h"
#include "catalog/rows.h"

namespace ntt {

enum class SegmentKind : uint8_t {
    data,     // read from the image
    hole,     // zero because the filesystem says so
    missing,  // zero because nobody knows better
};

struct Segment {
    uint64_t file_offset = 0;
    uint64_t length = 0;
    uint64_t image_offset = 0;  // of data
    SegmentKind kind = SegmentKind::data;

    bool operator==(const Segment&) const = default;
};

// Covers [0, size) without gaps or overlaps; empty for size 0. Bytes under neither an extent nor a missing range are
// missing too: they are never made up. Missing wins over data.
std::vector<Segment> segments_of(uint64_t size, const std::vector<Extent>& extents, const std::vector<MissingRow>& missing);

}  // namespace ntt
