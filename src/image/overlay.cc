#include "image/overlay.h"

#include <algorithm>

namespace ntt {

Result<void> Overlay::read(uint64_t offset, ByteSpan out) const {
    TRY(below_.read(offset, out));
    for (const Patch& patch : patches_) {
        const ByteRange here = intersect({offset, out.size()}, {patch.offset, patch.bytes.size()});
        if (here.empty()) continue;
        const ByteView bytes = ByteView(patch.bytes).subspan(here.offset - patch.offset, here.length);
        std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(here.offset - offset));
    }
    return {};
}

const Fd* Overlay::plain_file(ByteRange range, uint64_t* file_offset) const {
    for (const Patch& patch : patches_)
        if (!intersect(range, {patch.offset, patch.bytes.size()}).empty()) return nullptr;
    return below_.plain_file(range, file_offset);
}

}  // namespace ntt
