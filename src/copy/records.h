// Rows that tell of decisions: events of inodes, findings about the store.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cause.h"
#include "catalog/rows.h"
#include "copy/suspect_runs.h"
#include "store/store.h"

namespace ntt {

// A file that conclusive evidence kept from being read, wholly or in part: action skipped, no retry.
EventRow skip_event(const std::string& medium_hash, const CopyOutcome& outcome, const std::string& worker_id, const std::string& at);

// A file of the store that was not what its name says; the good content has taken its place.
Finding quarantine_finding(const QuarantineEvent& event);

// Finding "suspect": the content has runs that look like sectors nobody read. `image_offset_of`: where a byte of it lies.
Finding suspect_finding(const std::vector<SuspectRun>& runs, const std::function<uint64_t(uint64_t)>& image_offset_of);

// {"note": words}
std::string note_evidence(std::string_view words);

}  // namespace ntt
