#include "fs/fat/allocation_table.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace ntt {
namespace {

// Marks of the 28-bit table; the narrower ones have the same lowest digits. Source: FAT specification 1.03, "FAT".
constexpr uint32_t kEntryMask32 = 0x0FFFFFFF;

constexpr uint32_t entry_mask(int fat_bits) { return fat_bits == 12 ? 0xFFFu : fat_bits == 16 ? 0xFFFFu : kEntryMask32; }

// Copies that are looked at when the chosen one is not in the image; a boot sector may claim 255.
constexpr uint32_t kMaxCopiesTried = 4;

constexpr size_t kSector = 512;  // by which copies are compared, whatever the sector size: pages hold whole ones

}  // namespace

AllocationTable::AllocationTable(const FatPlace& place, const FatGeometry& geometry)
    : place_(place), geometry_(geometry), first_choice_(geometry.active_fat.value_or(0)) {
    const uint64_t entries = uint64_t{geometry.last_cluster()} + 1;
    used_bytes_ = std::min((entries * static_cast<uint64_t>(geometry.fat_bits) + 7) / 8, geometry.fat_length);
    const uint64_t pages = (used_bytes_ + kPageBytes - 1) / kPageBytes;
    pages_.resize(std::min<uint64_t>(pages, kCachedPages));
    for (uint32_t copy = 0; copy < std::min(geometry.fat_count, kMaxCopiesTried); ++copy)
        readable_bytes_ = std::max(readable_bytes_, present_bytes(copy));
    readable_bytes_ = std::max(readable_bytes_, present_bytes(first_choice_));
}

Result<AllocationTable> AllocationTable::load(const FatPlace& place, const FatGeometry& geometry, FindingSink& findings) {
    AllocationTable table(place, geometry);
    table.report_absent(findings);
    if (geometry.fat_count > 1 && !geometry.active_fat) TRY(table.compare_copies(findings));
    return table;
}

AllocationTable AllocationTable::of_copy(const FatPlace& place, const FatGeometry& geometry, uint32_t copy) {
    AllocationTable table(place, geometry);
    table.first_choice_ = copy;
    return table;
}

void AllocationTable::use_second_copy(std::vector<uint64_t> sectors) {
    from_second_ = std::move(sectors);
    for (Page& page : pages_) page.number = UINT64_MAX;
}

LinkKind AllocationTable::classify(uint32_t value) const {
    const uint32_t mask = entry_mask(geometry_.fat_bits);
    if (value > mask) return LinkKind::out_of_range;
    if (geometry_.has_cluster(value)) return LinkKind::next;
    if (value == 0) return LinkKind::free;
    if (value == 1) return LinkKind::reserved;
    if (value >= mask - 7) return LinkKind::end;
    if (value == mask - 8) return LinkKind::bad;
    return value >= mask - 15 ? LinkKind::reserved : LinkKind::out_of_range;
}

Result<FatLink> AllocationTable::link(uint32_t cluster) {
    NTT_CHECK(cluster <= geometry_.last_cluster(), "a cluster outside the table");
    const uint64_t offset = uint64_t{cluster} * static_cast<uint64_t>(geometry_.fat_bits) / 8;
    const uint64_t width = geometry_.fat_bits == 32 ? 4 : 2;
    if (offset + width > readable_bytes_) return FatLink{LinkKind::absent, 0};
    TRY_ASSIGN(const uint8_t* bytes, page(offset / kPageBytes));
    for (const UnreadRange& lost : pages_[offset / kPageBytes % pages_.size()].unread)
        if (!intersect(lost.range, {offset, width}).empty()) return FatLink{LinkKind::absent, 0, lost.cause};
    bytes += offset % kPageBytes;
    uint32_t value = static_cast<uint32_t>(bytes[0] | bytes[1] << 8);
    if (geometry_.fat_bits == 12) value = cluster % 2 == 0 ? value & 0xFFF : value >> 4;
    if (geometry_.fat_bits == 32) value = (value | uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24) & kEntryMask32;
    return FatLink{classify(value), value};
}

ByteRange AllocationTable::page_range(uint64_t number) const {
    const uint64_t offset = number * kPageBytes;
    return {offset, std::min<uint64_t>(kPageBytes, used_bytes_ - offset)};
}

uint64_t AllocationTable::present_bytes(uint32_t copy) const {
    const uint64_t at = place_.offset_bytes + geometry_.fat_offset + copy * geometry_.fat_length;
    return intersect({at, used_bytes_}, {0, place_.source.size_bytes()}).length;
}

// Fills the beginning of `out` as far as the image has this copy; returns how far.
Result<size_t> AllocationTable::read_copy(uint32_t copy, uint64_t offset, ByteSpan out) const {
    const uint64_t present = present_bytes(copy);
    if (offset >= present) return size_t{0};
    const size_t length = std::min<uint64_t>(out.size(), present - offset);
    const uint64_t at = place_.offset_bytes + geometry_.fat_offset + copy * geometry_.fat_length + offset;
    TRY(place_.source.read(at, out.first(length)));
    return length;
}

Result<const uint8_t*> AllocationTable::page(uint64_t number) {
    Page& slot = pages_[number % pages_.size()];
    if (slot.number == number) return static_cast<const uint8_t*>(slot.bytes.data());
    const ByteRange range = page_range(number);
    slot.number = UINT64_MAX;
    slot.bytes.assign(range.length, 0);
    TRY_ASSIGN(size_t filled, read_copy(first_choice_, range.offset, slot.bytes));
    // An image is absent from some point on, so that what is missing of a page is its end.
    for (uint32_t copy = 0; copy < std::min(geometry_.fat_count, kMaxCopiesTried) && filled < range.length; ++copy) {
        TRY_ASSIGN(const size_t more, read_copy(copy, range.offset + filled, ByteSpan(slot.bytes).subspan(filled)));
        filled += more;
    }
    slot.unread.clear();
    if (place_.unread) TRY(take_from_other_copies(slot, range));
    if (!from_second_.empty()) TRY(take_chosen_sectors(slot, range));
    slot.number = number;
    return static_cast<const uint8_t*>(slot.bytes.data());
}

std::vector<UnreadRange> AllocationTable::unread_in(uint32_t copy, ByteRange range) const {
    std::vector<UnreadRange> out;
    if (!place_.unread) return out;
    const uint64_t start = place_.offset_bytes + geometry_.fat_offset + copy * geometry_.fat_length;
    const ByteRange place{start + range.offset, range.length};
    auto lost = std::lower_bound(place_.unread->begin(), place_.unread->end(), place.offset,
                                 [](const UnreadRange& r, uint64_t offset) { return r.range.end() <= offset; });
    for (; lost != place_.unread->end() && lost->range.offset < place.end(); ++lost) {
        const ByteRange hit = intersect(lost->range, place);
        out.push_back({{hit.offset - start, hit.length}, lost->cause});
    }
    return out;
}

// Replaces what was not read of the first choice by what was read of another copy; notes what no copy has.
Result<void> AllocationTable::take_from_other_copies(Page& page, ByteRange range) {
    std::vector<UnreadRange> lost = unread_in(first_choice_, range);
    for (uint32_t copy = 0; copy < std::min(geometry_.fat_count, kMaxCopiesTried) && !lost.empty(); ++copy) {
        if (copy == first_choice_) continue;
        std::vector<UnreadRange> still_lost;
        for (const UnreadRange& gap : lost) {
            const ByteSpan place = ByteSpan(page.bytes).subspan(gap.range.offset - range.offset, gap.range.length);
            std::vector<uint8_t> other(place.size());
            TRY_ASSIGN(const size_t filled, read_copy(copy, gap.range.offset, other));
            std::copy_n(other.begin(), filled, place.begin());
            for (const UnreadRange& part : unread_in(copy, {gap.range.offset, filled})) still_lost.push_back({part.range, gap.cause});
            if (filled < place.size()) still_lost.push_back({{gap.range.offset + filled, place.size() - filled}, gap.cause});
        }
        lost = std::move(still_lost);
    }
    page.unread = std::move(lost);
    return {};
}

Result<void> AllocationTable::take_chosen_sectors(Page& page, ByteRange range) {
    auto sector = std::lower_bound(from_second_.begin(), from_second_.end(), range.offset / kSector);
    for (; sector != from_second_.end() && *sector * kSector < range.end(); ++sector) {
        const ByteRange place = intersect({*sector * kSector, kSector}, range);
        TRY_ASSIGN(const size_t filled, read_copy(1, place.offset, ByteSpan(page.bytes).subspan(place.offset - range.offset, place.length)));
        NTT_CHECK(filled == place.length, "a sector was chosen from a copy that the image does not have");
    }
    return {};
}

Result<void> AllocationTable::compare_copies(FindingSink& findings) {
    uint64_t first_sector = 0;
    std::vector<uint8_t> other;
    for (uint64_t number = 0; number * kPageBytes < present_bytes(1); ++number) {
        const ByteRange range = page_range(number);
        other.resize(range.length);
        TRY_ASSIGN(const uint8_t* mine, page(number));
        TRY_ASSIGN(const size_t present, read_copy(1, range.offset, other));
        if (std::memcmp(mine, other.data(), present) == 0) continue;
        for (size_t at = 0; at < present; at += kSector) {
            const size_t length = std::min(kSector, present - at);
            if (std::memcmp(mine + at, other.data() + at, length) == 0) continue;
            const ByteRange sector{range.offset + at, length};
            if (!unread_in(0, sector).empty() || !unread_in(1, sector).empty()) continue;  // one of them says nothing
            if (differing_sectors_++ == 0) first_sector = (range.offset + at) / kSector;
            // A sector that only one copy has whole is no choice.
            const bool both_whole = length == std::min<uint64_t>(kSector, used_bytes_ - range.offset - at);
            if (both_whole && differing_.size() <= kMaxDifferingListed) differing_.push_back((range.offset + at) / kSector);
        }
    }
    if (differing_sectors_ == 0) return {};
    if (differing_.size() > kMaxDifferingListed) differing_.clear();
    const uint64_t at = place_.offset_bytes + geometry_.fat_offset + first_sector * kSector;
    findings.add({"fat_copies_differ",
                  fmt::format("the two copies of the FAT differ in {} sectors, the first is sector {}",
                              differing_sectors_, first_sector),
                  fmt::format(R"({{"sectors":{},"first_sector":{},"sector_size":512,"offset":{},"other_offset":{}}})",
                              differing_sectors_, first_sector, at, at + geometry_.fat_length),
                  place_.volume,
                  {}});
    return {};
}

void AllocationTable::report_absent(FindingSink& findings) const {
    for (uint32_t copy = 0; copy < std::min(geometry_.fat_count, kMaxCopiesTried); ++copy) {
        uint64_t unread = 0;
        for (const UnreadRange& lost : unread_in(copy, {0, used_bytes_})) unread += lost.range.length;
        if (unread != 0)
            findings.add({"fat_on_missing_sectors",
                          fmt::format("copy {} of the FAT: {} of {} bytes were not read from the medium; another copy stands in where it can",
                                      copy + 1, unread, used_bytes_),
                          fmt::format(R"({{"copy":{},"unread_bytes":{},"offset":{},"length":{}}})", copy + 1, unread,
                                      place_.offset_bytes + geometry_.fat_offset + copy * geometry_.fat_length, used_bytes_),
                          place_.volume,
                          {}});
        const uint64_t present = present_bytes(copy);
        if (present == used_bytes_) continue;
        findings.add({"fat_beyond_image",
                      fmt::format("copy {} of the FAT reaches beyond the image's end: {} of {} bytes are there", copy + 1,
                                  present, used_bytes_),
                      fmt::format(R"({{"copy":{},"offset":{},"length":{},"present":{},"image_size":{}}})", copy + 1,
                                  place_.offset_bytes + geometry_.fat_offset + copy * geometry_.fat_length, used_bytes_, present,
                                  place_.source.size_bytes()),
                      place_.volume,
                      {}});
    }
}

}  // namespace ntt
