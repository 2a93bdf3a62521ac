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
    // `ranges` as in ReaderOptions: sorted and disjoint; null: everything was read.
    explicit UnreadRanges(std::shared_ptr<const std::vector<UnreadRange>> ranges) : ranges_(std::move(ranges)) {}

    bool any() const { return ranges_ != nullptr && !ranges_->empty(); }

    // The first one that touches `range` of the image.
    std::optional<UnreadRange> in(ByteRange range) const {
        if (!any()) return {};
        const auto found = std::lower_bound(ranges_->begin(), ranges_->end(), range.offset,
                                            [](const UnreadRange& lost, uint64_t at) { return lost.range.end() <= at; });
        if (found == ranges_->end() || found->range.offset >= range.end()) return {};
        return *found;
    }

private:
    std::shared_ptr<const std::vector<UnreadRange>> ranges_;
};

}  // namespace ntt
