#include "fs/repair/region.h"

#include <algorithm>

namespace ntt {

bool Region::was_read(uint64_t offset, uint64_t length) const {
    const auto end = checked_add(offset, length);
    if (!end || *end > visible_bytes()) return false;
    if (!unread_) return true;
    const ByteRange place{range_.offset + offset, length};
    const auto lost = std::partition_point(unread_->begin(), unread_->end(), [&](const UnreadRange& r) { return r.range.end() <= place.offset; });
    return lost == unread_->end() || lost->range.offset >= place.end();
}

}  // namespace ntt
