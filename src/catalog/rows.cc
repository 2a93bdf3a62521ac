#include "catalog/rows.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace ntt {
namespace {

constexpr std::array<std::string_view, 6> kStatusNames = {"pending", "stored", "damaged", "unreadable", "excluded", "nonfile"};

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
    const auto end_of = [](const MissingRow& range) { return checked_add(range.file_offset, range.length).value_or(UINT64_MAX); };
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

}  // namespace ntt
