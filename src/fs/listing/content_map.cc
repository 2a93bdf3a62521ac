#include "fs/listing/content_map.h"

#include <algorithm>
#include <utility>

namespace ntt {

void ContentMap::add(uint64_t file_offset, uint64_t image_offset, uint64_t length, ExtentKind kind) {
    if (file_offset >= size_ || length == 0) return;
    length = std::min(length, size_ - file_offset);
    if (kind == ExtentKind::data && !checked_add(image_offset, length)) {
        add_fault(file_offset, length, Cause::FS_CORRUPT, R"({"reason":"an address that no image can have"})");
        return;
    }
    if (!extents_.empty()) {
        Extent& last = extents_.back();
        const bool follows = last.kind == kind && last.file_offset + last.length == file_offset;
        if (follows && (kind == ExtentKind::hole || last.image_offset + last.length == image_offset)) {
            last.length += length;
            return;
        }
    }
    if (extents_.size() >= kMaxRuns)
        return add_fault(file_offset, length, Cause::FS_CORRUPT, R"({"reason":"more runs than are read"})");
    extents_.push_back({file_offset, image_offset, length, kind});
}

void ContentMap::add_opaque(uint64_t file_offset, uint64_t image_offset, uint64_t length) {
    if (file_offset < size_ && checked_add(image_offset, length))
        opaque_.push_back({file_offset, image_offset, length, ExtentKind::opaque});
}

void ContentMap::add_fault(uint64_t file_offset, uint64_t length, Cause cause, std::string evidence) {
    if (file_offset >= size_ || length == 0) return;
    length = std::min(length, size_ - file_offset);
    if (!faults_.empty()) {
        ContentFault& last = faults_.back();
        const bool follows = last.cause == cause && last.file_offset + last.length == file_offset && last.evidence == evidence;
        if (follows) {
            last.length += length;
            return;
        }
    }
    faults_.push_back({cause, file_offset, length, std::move(evidence)});
}

void ContentMap::finish(Gap gap, InodeEntry& out) {
    const auto by_offset = [](const auto& a, const auto& b) { return a.file_offset < b.file_offset; };
    std::stable_sort(extents_.begin(), extents_.end(), by_offset);
    std::stable_sort(faults_.begin(), faults_.end(), by_offset);

    std::vector<Extent> kept;
    std::vector<ContentFault> faults;
    uint64_t covered = 0;
    auto next_fault = faults_.begin();
    const auto fill_gap = [&](uint64_t end) {
        while (covered < end) {
            while (next_fault != faults_.end() && next_fault->file_offset + next_fault->length <= covered) ++next_fault;
            if (next_fault != faults_.end() && next_fault->file_offset <= covered) {
                covered = std::min(end, next_fault->file_offset + next_fault->length);
                continue;
            }
            const uint64_t to = next_fault != faults_.end() ? std::min(end, next_fault->file_offset) : end;
            if (gap == Gap::hole) {
                kept.push_back({covered, 0, to - covered, ExtentKind::hole});
            } else {
                const Cause cause = size_ > volume_bytes_ ? Cause::IMPLAUSIBLE_SIZE : Cause::FS_CORRUPT;
                faults.push_back({cause, covered, to - covered, R"({"reason":"the filesystem maps no place for these bytes"})"});
            }
            covered = to;
        }
    };
    for (Extent extent : extents_) {
        fill_gap(std::min(extent.file_offset, size_));
        if (extent.file_offset < covered) {
            const uint64_t claimed = std::min(covered - extent.file_offset, extent.length);
            faults.push_back(
                {Cause::FS_CORRUPT, extent.file_offset, claimed, R"({"reason":"two runs claim the same bytes of the file"})"});
            if (extent.kind == ExtentKind::data) extent.image_offset += claimed;
            extent.file_offset += claimed;
            extent.length -= claimed;
            if (extent.length == 0) continue;
        }
        covered = extent.file_offset + extent.length;
        kept.push_back(extent);
    }
    fill_gap(size_);

    for (const Extent& extent : kept) {
        Extent* last = out.extents.empty() ? nullptr : &out.extents.back();
        const bool follows = last && last->kind == extent.kind && last->file_offset + last->length == extent.file_offset &&
                             (extent.kind == ExtentKind::hole || last->image_offset + last->length == extent.image_offset);
        if (follows)
            last->length += extent.length;
        else
            out.extents.push_back(extent);
    }
    out.extents.insert(out.extents.end(), opaque_.begin(), opaque_.end());
    std::stable_sort(out.extents.begin(), out.extents.end(), by_offset);
    faults.insert(faults.end(), std::make_move_iterator(faults_.begin()), std::make_move_iterator(faults_.end()));
    std::stable_sort(faults.begin(), faults.end(), by_offset);
    out.faults.insert(out.faults.end(), std::make_move_iterator(faults.begin()), std::make_move_iterator(faults.end()));
    extents_.clear();
    opaque_.clear();
    faults_.clear();
}

}  // namespace ntt
