// Whether a stretch of an image holds one repeated pattern: erased, blank or wiped media, and partitions never used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

// What repeats: one byte, or a longer word as wiping and testing programs write it (0xDEADBEEF, a line of text a sector).
class FillPattern {
public:
    FillPattern() = default;  // of nothing: gives nothing
    // The shortest word of at most kMaxPeriod bytes that gives all of `bytes`, which lie at `offset`; nullopt if none does,
    // or if there are fewer than two periods.
    static std::optional<FillPattern> of(ByteView bytes, uint64_t offset);
    static constexpr size_t kMaxPeriod = 512;  // one that begins anew in each sector has this period

    // Whether `bytes`, which lie at `offset`, are what the pattern gives there.
    bool gives(ByteView bytes, uint64_t offset) const;
    // The byte, if it is only one.
    std::optional<uint8_t> byte() const;
    // "0xf6", "0xdeadbeef"; of a long one the first 16 bytes and its length.
    std::string text() const;
    // What such a fill is called: blank (0x00), erased (0xF6, which formatting leaves), wiped (any other).
    std::string_view word() const;

    bool operator==(const FillPattern&) const = default;

private:
    std::string period_;  // as it stands at every multiple of its length from the image's beginning
};

struct Fill {
    FillPattern pattern;
    uint64_t filled_bytes = 0;       // in sectors that hold nothing else
    uint64_t length = 0;             // of the range
    uint64_t unread_bytes = 0;       // of it, in sectors that were not read from the medium: nothing is known of them
    std::vector<ByteRange> others;   // sectors of the image that hold something else, merged; the first kMaxOtherRanges
    uint64_t other_ranges = 0;

    // Of what was read.
    uint64_t other_bytes() const { return length - unread_bytes - filled_bytes; }
    bool whole() const { return other_bytes() == 0; }
    double share() const { return static_cast<double>(filled_bytes) / static_cast<double>(length - unread_bytes); }
};
inline constexpr size_t kMaxOtherRanges = 16;

// The pattern that fills `range` (inside the image) but for leftovers: at least kMinFillShare of what was read, all but
// kMaxOtherBytes of it. nullopt if none does, the range is empty, or less than kMinReadShare of it was read. `unread`: parts of the
// image, sorted. Samples spread over the range say no cheaply; a yes is proven by reading everything.
Result<std::optional<Fill>> fill_of(const ByteSource& source, ByteRange range, const std::vector<ByteRange>& unread, const CancelToken& cancel);
inline constexpr double kMinFillShare = 0.99;
inline constexpr uint64_t kMaxOtherBytes = 1 << 20;  // a table, a label, a boot sector; not a filesystem that nobody knows
inline constexpr double kMinReadShare = 0.9;

}  // namespace ntt
