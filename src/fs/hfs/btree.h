// The two B-trees of HFS: the catalogue and the extents overflow file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "fs/listing/unread_ranges.h"
#include "volume/probe_window.h"

namespace ntt {

inline constexpr uint64_t kHfsNodeBytes = 512;

// One record of a leaf. The views live until the callback returns.
struct HfsRecord {
    ProbeBytes key, data;
    uint64_t image_offset = 0;  // of the key
};

// What cannot be used of a tree.
struct HfsNodeDamage {
    uint32_t node = 0;
    std::optional<uint64_t> image_offset;
    const char* reason = "";
    std::optional<Cause> cause;  // of the sectors that were not read
};

class HfsTree {
public:
    // `places`: where the file lies in the image, in order. `window` and `unread` must outlive it. `window` begins at byte
    // `volume_offset` of the image.
    HfsTree(const ProbeWindow& window, uint64_t volume_offset, const UnreadRanges& unread, std::vector<ByteRange> places)
        : window_(window), volume_offset_(volume_offset), unread_(unread), places_(std::move(places)) {}

    // Each record of each leaf that the tree's index or a sound neighbour leads to; nodes that were given up keep old records
    // and are not looked at. Leaves come in no order. A node whose structure is not sound, or that was not read, goes to
    // `lost` and none of its records is believed. HFS has no checksums: sound means that the kind and height are what the
    // index says, that the records fill the node in order, and that their keys ascend.
    // False when the header, and with it everything, is lost.
    // Source: Inside Macintosh: Files, "B*-Trees" (1992).
    Result<bool> for_each_record(const CancelToken& cancel, const std::function<void(const HfsRecord&)>& take,
                                 const std::function<void(const HfsNodeDamage&)>& lost) const;

private:
    struct Node {
        ProbeBytes bytes;
        uint64_t image_offset = 0;
    };
    struct Step {
        uint32_t node = 0;
        std::optional<uint8_t> height;  // as the index says; of the root as the header says
    };
    std::optional<uint64_t> place_of(uint32_t node) const;

    const ProbeWindow& window_;
    uint64_t volume_offset_;
    const UnreadRanges& unread_;
    std::vector<ByteRange> places_;
};

}  // namespace ntt
