#include "ingest/lost_volumes.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "image/reader_process.h"
#include "ingest/known_volumes.h"
#include "volume/detail.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr const char* kListings = "listings";
constexpr const char* kLimits = "reader_limits";

struct Limit {
    const char* key;
    uint64_t value;
};

// Nothing bounds a parser in this process.
std::array<Limit, 3> limits_of(const ReaderProgram& program) {
    return {{{"memory_mib", program.limits.memory_bytes >> 20},
             {"cpu_seconds", program.limits.cpu_seconds},
             {"patience_seconds", static_cast<uint64_t>(program.patience.count() / 1000)}}};
}

std::string text_of(const json& detail) { return detail.dump(-1, ' ', false, json::error_handler_t::replace); }

// Whether a limit is higher than any under which the volume was lost.
bool had_less(const json& detail, const ReaderProgram& program) {
    if (!detail.contains(kLimits)) return false;
    const auto limits = limits_of(program);
    return std::any_of(limits.begin(), limits.end(), [&](const Limit& now) {
        const std::optional<uint64_t> before = number_in(detail[kLimits], now.key);
        return before && now.value > *before;
    });
}

}  // namespace

bool is_of_a_lost_reader(std::string_view outcome) {
    return outcome == to_string(Outcome::parser_crash) || outcome == to_string(Outcome::parser_timeout) || outcome == to_string(Outcome::budget);
}

uint64_t listings_of(const VolumeRow& volume) { return number_in(parse_detail(volume.detail), kListings).value_or(1); }

bool is_due_for_listing(const VolumeRow& volume, const ReaderOptions& options) {
    const uint64_t listings = listings_of(volume);
    if (volume.outcome == to_string(Outcome::failed)) return listings == 0;
    if (!is_of_a_lost_reader(volume.outcome)) return false;
    return listings < kMaxListings || (options.program && had_less(parse_detail(volume.detail), *options.program));
}

std::string detail_before_listing(const std::string& detail) {
    json out = parse_detail(detail);
    for (const char* key : {kListings, kLimits, kRepairsOff, "unreadable_directories"}) out.erase(key);
    return text_of(out);
}

void note_listing(Volume& volume, const VolumeRow* before, const ReaderOptions& options) {
    json detail = parse_detail(volume.detail);  // a process may have said anything
    detail.erase(kListings);
    detail.erase(kLimits);
    if (is_of_a_lost_reader(to_string(volume.outcome))) {
        detail[kListings] = before == nullptr ? 1 : listings_of(*before) + 1;
        const json known = before == nullptr ? json::object() : parse_detail(before->detail).value(kLimits, json::object());
        if (options.program)
            for (const Limit& limit : limits_of(*options.program)) detail[kLimits][limit.key] = std::max(limit.value, number_in(known, limit.key).value_or(0));
    }
    detail.erase(kRepairsOff);
    if (options.repairs == Repairs::none && !detail.contains("repairs")) detail[kRepairsOff] = true;
    volume.detail = text_of(detail);
}

Result<uint64_t> requeue_lost_volumes(Catalog& catalog, const std::string& medium_hash, std::optional<int> volume) {
    TRY_ASSIGN(const std::unique_ptr<CatalogTransaction> transaction, catalog.begin());
    TRY_ASSIGN(const std::vector<VolumeRow> rows, catalog.volumes(medium_hash));
    uint64_t count = 0;
    for (VolumeRow row : rows) {
        if (volume && row.volume != *volume) continue;
        if (!is_of_a_lost_reader(row.outcome) && row.outcome != to_string(Outcome::failed)) continue;
        json detail = parse_detail(row.detail);
        detail[kListings] = 0;
        row.detail = text_of(detail);
        TRY(catalog.put_volume(row));
        ++count;
    }
    TRY(transaction->commit());
    return count;
}

}  // namespace ntt
