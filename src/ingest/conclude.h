// What a run amounts to: totals that add up, health, problems, the exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "image/rescue_map.h"
#include "ingest/assess.h"
#include "ingest/enumerate.h"

namespace ntt {

struct Health {
    std::string word;             // ok incomplete corrupt failed unknown
    uint64_t rescued_bytes = 0;
};

// From the rescue map; without one the image is taken as read, and `declared_end` (where the last partition or
// filesystem says it ends) tells how much of the medium it is.
Health health_of_image(uint64_t image_size, const RescueMap* map, uint64_t declared_end);

// The keys of medium.problems that an enumeration gives, merged into `problems` (a JSON object as text, or empty).
// nullopt when there is no problem to record. `now`: the timestamp of what is detected. docs/queries.md lists the keys.
std::optional<std::string> problems_of(const std::optional<std::string>& problems, const EnumerationCounts& counts, const Assessment& assessment,
                                       const std::string& now);

// The same with high_error_rate, if of more than kErrorRateFiles files that were decided more than kErrorRateThreshold are not whole.
std::optional<std::string> with_error_rate(const std::optional<std::string>& problems, const Totals& totals);
inline constexpr uint64_t kErrorRateFiles = 100;
inline constexpr double kErrorRateThreshold = 0.10;

// The contract's exit code of a source: 3 damaged, unreadable, a filesystem not read, or none found; 4 work left; 0.
int exit_code_of(const Totals& totals, const std::vector<VolumeRow>& volumes, const std::vector<FindingRow>& findings);

// Fails with catalog_damaged unless stored + damaged + unreadable + excluded + nonfile + pending is all inodes.
Result<Totals> checked_totals(Catalog& catalog, MediumKey medium);

// The last stage of every run: totals, exit code, events of the medium, the dates that are due. Fills in what the report lacks.
enum class IngestGoal : uint8_t;
struct IngestReport;
Result<void> conclude_medium(Catalog& catalog, const Clock& clock, const MediumRow& medium, IngestGoal goal, IngestReport& report);

}  // namespace ntt
