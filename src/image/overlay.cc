#include "image/overlay.h"

#include <algorithm>

#include <fmt/format.h>

namespace ntt {

Result<std::unique_ptr<Overlay>> Overlay::over(const ByteSource& below, std::vector<Patch> patches) {
    const auto inside = [&](uint64_t offset, uint64_t length) {
        const auto end = checked_add(offset, length);
        return end && *end <= below.size_bytes();
    };
    const auto refuse = [](const Patch& patch, const char* what) {
        return make_error(ErrorCode::invalid_argument, fmt::format("the patch at {} of {} bytes {}", patch.place.offset, patch.place.length, what));
    };
    std::sort(patches.begin(), patches.end(), [](const Patch& a, const Patch& b) { return a.place < b.place; });
    uint64_t end = 0;
    for (const Patch& patch : patches) {
        if (patch.place.empty()) return refuse(patch, "is empty");
        if (!inside(patch.place.offset, patch.place.length)) return refuse(patch, "reaches beyond the image");
        if (patch.copied_from && !inside(*patch.copied_from, patch.place.length)) return refuse(patch, "is copied from beyond the image");
        if (patch.bytes.size() != (patch.copied_from ? 0 : patch.place.length)) return refuse(patch, "does not have as many bytes as its place");
        if (patch.place.offset < end) return refuse(patch, "lies on another patch");
        end = patch.place.end();
    }
    return std::unique_ptr<Overlay>(new Overlay(below, std::move(patches)));
}

std::vector<Patch>::const_iterator Overlay::first_behind(uint64_t offset) const {
    return std::partition_point(patches_.begin(), patches_.end(), [&](const Patch& patch) { return patch.place.end() <= offset; });
}

Result<void> Overlay::read(uint64_t offset, ByteSpan out) const {
    TRY(below_.read(offset, out));
    const ByteRange wanted{offset, out.size()};
    for (auto patch = first_behind(offset); patch != patches_.end() && patch->place.offset < wanted.end(); ++patch) {
        const ByteRange here = intersect(wanted, patch->place);
        if (here.empty()) continue;
        const ByteSpan seen = out.subspan(here.offset - offset, here.length);
        const uint64_t in_patch = here.offset - patch->place.offset;
        if (patch->copied_from) {
            TRY(below_.read(*patch->copied_from + in_patch, seen));
        } else {
            std::copy_n(patch->bytes.begin() + static_cast<std::ptrdiff_t>(in_patch), here.length, seen.begin());
        }
    }
    return {};
}

const Fd* Overlay::plain_file(ByteRange range, uint64_t* file_offset) const {
    const auto patch = first_behind(range.offset);
    if (patch != patches_.end() && !intersect(range, patch->place).empty()) return nullptr;
    return below_.plain_file(range, file_offset);
}

}  // namespace ntt
