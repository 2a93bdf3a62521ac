// Bytes of the image that were not read from the medium, as a reader asks for them: structures there are not believed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "fs/fs_reader.h"

namespace ntt {

class UnreadPlaces {
public:
    UnreadPlaces() = default;
    // Sorted and disjoint, as ReaderOptions::unread; null where everything was read.
    explicit UnreadPlaces(std::shared_ptr<const std::vector<UnreadRange>> unread) : unread_(std::move(unread)) {}

    bool any() const { return unread_ != nullptr && !unread_->empty(); }

    // The first one that touches `range` of the image.
    std::optional<UnreadRange> first_in(ByteRange range) const {
        if (!any()) return {};
        const auto found = first_behind(range.offset);
        if (found == unread_->end() || found->range.offset >= range.end()) return {};
        return *found;
    }

    // Writes zeros over what of `bytes`, which stand at `image_offset`, was not read. Whether that was anything.
    bool blank(uint64_t image_offset, ByteSpan bytes) const {
        if (!any()) return false;
        bool some = false;
        for (auto at = first_behind(image_offset); at != unread_->end(); ++at) {
            const ByteRange here = intersect(at->range, {image_offset, bytes.size()});
            if (here.empty()) break;
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(here.offset - image_offset), here.length, uint8_t{0});
            some = true;
        }
        return some;
    }

private:
    std::vector<UnreadRange>::const_iterator first_behind(uint64_t offset) const {
        return std::lower_bound(unread_->begin(), unread_->end(), offset,
                                [](const UnreadRange& lost, uint64_t at) { return lost.range.end() <= at; });
    }

    std::shared_ptr<const std::vector<UnreadRange>> unread_;
};

}  // namespace ntt
