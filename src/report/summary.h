// How ingest and copy end: the contract's summary and result objects, and a closing table for people.
#pragma once

#include <string>
#include <vector>

#include "report/exit.h"
#include "report/json.h"

namespace ntt {

struct IngestSummary {
    std::string source;  // as it was named on the command line
    std::string medium_hash;
    Totals totals;
    uint64_t content_bytes = 0, missing_bytes = 0;
    uint64_t unique_new_bytes = 0;  // of contents that the store did not have
    uint64_t blobs_new = 0, blobs_deduplicated = 0;
    uint64_t volumes = 0;
    std::string health = "unknown";
    Exit exit = Exit::done;
};

Json json_of(const IngestSummary& summary);     // type summary
Json result_json(Exit exit, uint64_t sources);  // type result, the last line of a call

// A few lines: what was found, stored and lost. Without colour codes; safe for a terminal.
std::string closing_table(const IngestSummary& summary);

}  // namespace ntt
