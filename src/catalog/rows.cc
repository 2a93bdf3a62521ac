#include "catalog/rows.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"

namespace ntt {
namespace {

constexpr std::array<std::string_view, 6> kStatusNames = {"pending", "stored", "damaged", "unreadable", "excluded", "nonfile"};

uint64_t end_of(const MissingRow& range) { return checked_add(range.file_offset, range.length).value_or(UINT64_MAX); }

}  // namespace

std::string_view to_string(Status status) {
    const auto index = static_cast<size_t>(status);
    NTT_CHECK(index < kStatusNames.size(), "unknown Status");
    return kStatusNames[index];
}

std::optional<Status> status_from(std::string_view text) {
    const auto found = std::find(kStatusNames.begin(), kStatusNames.end(), text);
    if (found == kStatusNames.end()) return std::nullopt;
    return static_cast<Status>(found - kStatusNames.begin());
}

std::vector<MissingRow> merged(std::vector<MissingRow> ranges) {
    std::sort(ranges.begin(), ranges.end(), [](const MissingRow& a, const MissingRow& b) {
        return a.file_offset != b.file_offset ? a.file_offset < b.file_offset : a.length > b.length;
    });
    std::vector<MissingRow> out;
    for (MissingRow range : ranges) {
        if (range.length == 0) continue;
        if (!out.empty()) {
            MissingRow& last = out.back();
            const uint64_t last_end = end_of(last);
            // What an earlier range has said already is cut off, so that the lengths add up to the bytes missing.
            if (range.file_offset < last_end) {
                if (end_of(range) <= last_end) continue;
                const uint64_t cut = last_end - range.file_offset;
                range.file_offset += cut;
                range.length -= cut;
                if (range.image_offset) *range.image_offset += cut;
            }
            const bool same_place = range.image_offset.has_value() == last.image_offset.has_value() &&
                                    (!last.image_offset || *last.image_offset + last.length == *range.image_offset);
            if (range.file_offset == last_end && range.cause == last.cause && same_place) {
                last.length += range.length;
                continue;
            }
        }
        out.push_back(range);
    }
    return out;
}

uint64_t total_length(const std::vector<MissingRow>& ranges) {
    uint64_t sum = 0;
    for (const MissingRow& range : ranges) sum = checked_add(sum, range.length).value_or(UINT64_MAX);
    return sum;
}

std::vector<MissingRow> rest_of(const std::vector<MissingRow>& ranges, uint64_t size, Cause cause) {
    std::vector<MissingRow> out;
    uint64_t at = 0;
    for (const MissingRow& range : ranges) {
        if (range.file_offset >= size) break;
        if (range.file_offset > at) out.push_back({at, range.file_offset - at, std::nullopt, cause});
        at = std::max(at, end_of(range));
    }
    if (at < size) out.push_back({at, size - at, std::nullopt, cause});
    return out;
}

std::optional<std::string_view> InodeRow::own_fs_ino() const {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, ino).ptr;
    if (fs_ino == std::string_view(digits, static_cast<size_t>(end - digits))) return std::nullopt;
    return fs_ino;
}

}  // namespace ntt
