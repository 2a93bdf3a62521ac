#include "ingest/conclude.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ntt {

using nlohmann::json;

Health health_of_image(uint64_t image_size, const RescueMap* map, uint64_t declared_end) {
    Health health;
    const uint64_t whole = std::max(image_size, map != nullptr ? map->end() : declared_end);
    health.rescued_bytes = map != nullptr ? map->rescued_bytes(image_size) : image_size;
    health.word = std::string(health_of(health.rescued_bytes, whole));
    return health;
}

std::optional<std::string> problems_of(const std::optional<std::string>& problems, const EnumerationCounts& counts, bool boot_sector_lost,
                                       std::optional<uint8_t> erased_with) {
    json out = problems ? json::parse(*problems, nullptr, false) : json::object();
    if (!out.is_object()) out = json::object();
    if (counts.beyond_eof > 0) {
        out["beyond_eof_detected"] = true;
        out["skip_count"] = counts.beyond_eof;
    }
    if (counts.fat_errors > 0) out["fat_errors"] = counts.fat_errors;
    if (counts.doubled_names > 0) out["duplicate_paths"] = counts.doubled_names;
    if (counts.unreadable_directories > 0) out["unreadable_directories"] = counts.unreadable_directories;
    if (boot_sector_lost) out["boot_sector_corruption"] = true;
    if (erased_with) {
        out["erased_disk"] = true;
        out["fill_byte"] = fmt::format("{:#04x}", *erased_with);
        if (*erased_with == 0) out["all_zeros"] = true;
    }
    if (out.empty()) return problems;
    return out.dump();
}

int exit_code_of(const Totals& totals, const std::vector<VolumeRow>& volumes, const std::vector<FindingRow>& findings) {
    const auto is = [](const VolumeRow& v, Outcome outcome) { return v.outcome == to_string(outcome); };
    bool any_read = false, any_lost = false;
    for (const VolumeRow& volume : volumes) {
        const json detail = json::parse(volume.detail, nullptr, false);
        const bool directories_lost = detail.is_object() && (detail.contains("unreadable_directories") || detail.contains("not_empty"));
        any_read = any_read || is(volume, Outcome::read) || is(volume, Outcome::partial) || (is(volume, Outcome::truncated) && !volume.view.empty());
        const bool holds_nothing = is(volume, Outcome::read) || is(volume, Outcome::skipped) || is(volume, Outcome::no_filesystem) ||
                                   (is(volume, Outcome::truncated) && !volume.view.empty());
        any_lost = any_lost || !holds_nothing || directories_lost;
    }
    // A damaged table may hide whole partitions.
    const bool table_lost = std::any_of(findings.begin(), findings.end(), [](const FindingRow& row) { return row.finding.code == "partition_table_damaged"; });
    if (!any_read || any_lost || table_lost || totals.damaged > 0 || totals.unreadable > 0) return 3;
    return totals.pending > 0 ? 4 : 0;
}

Result<Totals> checked_totals(Catalog& catalog, MediumKey medium) {
    TRY_ASSIGN(const Totals totals, catalog.totals(medium));
    if (!totals.add_up())
        return make_error(ErrorCode::catalog_damaged,
                          fmt::format("the totals do not add up: {} stored + {} damaged + {} unreadable + {} excluded + {} nonfile + {} pending are not {} inodes",
                                      totals.stored, totals.damaged, totals.unreadable, totals.excluded, totals.nonfile, totals.pending, totals.inodes));
    return totals;
}

}  // namespace ntt
