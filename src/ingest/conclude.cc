#include "ingest/conclude.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ingest/ingest.h"
#include "volume/detail.h"

namespace ntt {

using nlohmann::json;

Health health_of_image(uint64_t image_size, const RescueMap* map, uint64_t declared_end) {
    Health health;
    const uint64_t whole = std::max(image_size, map != nullptr ? map->end() : declared_end);
    health.rescued_bytes = map != nullptr ? map->rescued_bytes(image_size) : image_size;
    health.word = std::string(health_of(health.rescued_bytes, whole));
    return health;
}

namespace {

json object_of(const std::optional<std::string>& problems) {
    json out = problems ? json::parse(*problems, nullptr, false) : json::object();
    return out.is_object() ? out : json::object();
}

std::optional<std::string> text_of(const json& problems) {
    if (problems.empty()) return std::nullopt;
    return problems.dump(-1, ' ', false, json::error_handler_t::replace);
}

void note(const Fill& fill, json& out) {
    out["erased_disk"] = true;
    out[fill.pattern.byte() ? "fill_byte" : "fill_pattern"] = fill.pattern.text();
    out["fill_share"] = fill.share();
    if (fill.pattern.word() != "erased") out[std::string(fill.pattern.word())] = true;
    if (fill.pattern.byte() == 0 && fill.whole()) out["all_zeros"] = true;
}

void note(const ArchiveContents& archive, json& out) {
    out["archive_not_disk"] = true;
    out["issue_type"] = "archive_not_disk";
    out["file_type"] = archive.type;
    out["contents"] = archive.text();
}

}  // namespace

std::optional<std::string> problems_of(const std::optional<std::string>& problems, const EnumerationCounts& counts, const Assessment& assessment,
                                       const std::string& now) {
    json out = object_of(problems);
    if (counts.beyond_eof > 0) {
        out["beyond_eof_detected"] = true;
        out["skip_count"] = counts.beyond_eof;
        out["message"] = fmt::format("{} file{} beyond the end of the image", counts.beyond_eof, counts.beyond_eof == 1 ? " reaches" : "s reach");
        out["detected_at"] = now;
    }
    if (counts.fat_errors > 0) out["fat_errors"] = counts.fat_errors;
    if (counts.doubled_entries > 0) out["duplicate_paths"] = {{"count", counts.doubled_entries}, {"names", counts.doubled_names}};
    out.erase("unreadable_directories");
    if (counts.unreadable_directories > 0) out["unreadable_directories"] = counts.unreadable_directories;
    if (counts.root_lost) out["io_error"] = *counts.root_lost;
    if (counts.udf_corruption) out["udf_corruption"] = *counts.udf_corruption;
    if (assessment.boot_sector_lost) out["boot_sector_corruption"] = true;
    if (assessment.fill) note(*assessment.fill, out);
    if (assessment.archive) note(*assessment.archive, out);
    return text_of(out);
}

std::optional<std::string> with_error_rate(const std::optional<std::string>& problems, const Totals& totals) {
    json out = object_of(problems);
    const uint64_t errors = totals.damaged + totals.unreadable, processed = errors + totals.stored;
    const double rate = processed == 0 ? 0 : static_cast<double>(errors) / static_cast<double>(processed);
    if (processed > kErrorRateFiles && rate > kErrorRateThreshold)
        out.update(json{{"high_error_rate", true}, {"error_rate", rate}, {"errors", errors}, {"processed", processed}, {"threshold", kErrorRateThreshold}});
    else
        for (const char* key : {"high_error_rate", "error_rate", "errors", "processed", "threshold"}) out.erase(key);
    return text_of(out);
}

int exit_code_of(const Totals& totals, const std::vector<VolumeRow>& volumes, const std::vector<FindingRow>& findings) {
    const auto is = [](const VolumeRow& v, Outcome outcome) { return v.outcome == to_string(outcome); };
    bool any_read = false, any_lost = false;
    for (const VolumeRow& volume : volumes) {
        const json detail = parse_detail(volume.detail);
        const bool directories_lost = detail.contains("unreadable_directories") || detail.contains("not_empty");
        any_read = any_read || is(volume, Outcome::read) || is(volume, Outcome::partial) || (is(volume, Outcome::truncated) && !volume.view.empty());
        const bool holds_nothing = is(volume, Outcome::read) || is(volume, Outcome::skipped) || is(volume, Outcome::no_filesystem) ||
                                   (is(volume, Outcome::truncated) && !volume.view.empty());
        any_lost = any_lost || !holds_nothing || directories_lost;
    }
    // A damaged table may hide whole partitions, and where one was found by looking for it there may be others.
    const bool table_lost = std::any_of(findings.begin(), findings.end(), [](const FindingRow& row) {
        const std::string& code = row.finding.code;
        return code == "partition_table_damaged" || code == "filesystem_found_by_scan" || code == "scan_limit";
    });
    if (!any_read || any_lost || table_lost || totals.damaged > 0 || totals.unreadable > 0) return 3;
    return totals.pending > 0 ? 4 : 0;
}

Result<void> conclude_medium(Catalog& catalog, const Clock& clock, const MediumRow& medium, IngestGoal goal, IngestReport& report) {
    TRY_ASSIGN(const MediumKey key, catalog.medium_key(medium.medium_hash));
    TRY_ASSIGN(report.totals, checked_totals(catalog, key));
    TRY_ASSIGN(const std::vector<VolumeRow> rows, catalog.volumes(medium.medium_hash));
    report.volumes = rows.size();
    report.health = medium.health;
    TRY_ASSIGN(const std::vector<FindingRow> findings, catalog.findings(medium.medium_hash));
    report.exit = report.copy.interrupted ? 130 : exit_code_of(report.totals, rows, findings);
    if (goal != IngestGoal::copy || (report.copy.files == 0 && medium.copy_done)) return {};
    if (catalog.leases() != nullptr) {
        TRY_ASSIGN(const bool others_work, catalog.leases()->is_leased(medium.medium_hash));
        if (others_work) return {};  // whoever ends last sees to it
    }
    TRY(catalog.rebuild_problem_events(medium.medium_hash));
    if (report.totals.pending != 0 || medium.copy_done) return {};
    TRY_ASSIGN(std::optional<MediumRow> row, catalog.medium(medium.medium_hash));
    row->copy_done = iso8601_utc(clock.wall_us());
    row->problems = with_error_rate(row->problems, report.totals);
    return catalog.update_medium(*row);
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
