#include "copy/segments.h"

#include <algorithm>

namespace ntt {
namespace {

void append(std::vector<Segment>& out, Segment segment) {
    if (segment.length == 0) return;
    if (!out.empty()) {
        Segment& last = out.back();
        const bool follows = last.kind == segment.kind &&
                             (segment.kind != SegmentKind::data || last.image_offset + last.length == segment.image_offset);
        if (follows) {
            last.length += segment.length;
            return;
        }
    }
    out.push_back(segment);
}

}  // namespace

std::vector<Segment> segments_of(uint64_t size, const std::vector<Extent>& extents, const std::vector<MissingRow>& missing) {
    std::vector<Segment> out;
    uint64_t at = 0;
    auto gap = missing.begin();
    const auto fill_missing_until = [&](uint64_t end) {
        end = std::min(end, size);
        if (at >= end) return;
        append(out, {at, end - at, 0, SegmentKind::missing});
        at = end;
    };
    for (const Extent& extent : extents) {
        if (extent.kind == ExtentKind::opaque) continue;
        const uint64_t end = std::min(extent.file_offset + extent.length, size);
        fill_missing_until(extent.file_offset);
        while (at < end) {
            while (gap != missing.end() && gap->file_offset + gap->length <= at) ++gap;
            const bool in_gap = gap != missing.end() && gap->file_offset <= at;
            const uint64_t stop = gap == missing.end() ? end : std::min(end, in_gap ? gap->file_offset + gap->length : gap->file_offset);
            if (in_gap) {
                append(out, {at, stop - at, 0, SegmentKind::missing});
            } else if (extent.kind == ExtentKind::hole) {
                append(out, {at, stop - at, 0, SegmentKind::hole});
            } else {
                append(out, {at, stop - at, extent.image_offset + (at - extent.file_offset), SegmentKind::data});
            }
            at = stop;
        }
    }
    fill_missing_until(size);
    return out;
}

}  // namespace ntt
