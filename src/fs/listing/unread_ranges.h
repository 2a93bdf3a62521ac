// Which bytes of the image were not read from the medium, for structures that are not to be trusted there.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "fs/fs_reader.h"

namespace ntt {

class UnreadRanges {
public:
    UnreadRanges() = default;
    // `ranges` as in ReaderOptions: sorted and disjoint; null: everything was read.
    explicit UnreadRanges(std::shared_ptr<const std::vector<UnreadRange>> ranges) : ranges_(std::move(ranges)) {}

    bool any() const { return ranges_ != nullptr && !ranges_->empty(); }

    // The first one that touches `range` of the image.
    std::optional<UnreadRange> in(ByteRange range) const {
        if (!any()) return {};
        const auto found = first_behind(range.offset);
        if (found == ranges_->end() || found->range.offset >= range.end()) return {};
        return *found;
    }

    // Writes zeros over what of `bytes`, which stand at `image_offset`, was not read. Whether that was anything.
    bool blank(uint64_t image_offset, ByteSpan bytes) const {
        if (!any()) return false;
        bool some = false;
        for (auto at = first_behind(image_offset); at != ranges_->end(); ++at) {
            const ByteRange here = intersect(at->range, {image_offset, bytes.size()});
            if (here.empty()) break;
            std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(here.offset - image_offset), here.length, uint8_t{0});
            some = true;
        }
        return some;
    }

private:
    std::vector<UnreadRange>::const_iterator first_behind(uint64_t offset) const {
        return std::lower_bound(ranges_->begin(), ranges_->end(), offset,
                                [](const UnreadRange& lost, uint64_t at) { return lost.range.end() <= at; });
    }

    std::shared_ptr<const std::vector<UnreadRange>> ranges_;
};

}  // namespace ntt
