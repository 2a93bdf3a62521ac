// Events: what was decided about an inode, on which checks.
#pragma once

#include <string>
#include <string_view>

#include "base/cause.h"
#include "catalog/rows.h"

namespace ntt {

// A file that conclusive evidence kept from being read, wholly or in part: action skipped, no retry.
EventRow skip_event(const std::string& medium_hash, const CopyOutcome& outcome, const std::string& worker_id, const std::string& at);

// The contract's check for a cause that was found without reading: "extent:beyond_eof", "map:BAD_SECTOR" …
std::string check_of(Cause cause);

// The cause as log lines have it: "beyond_eof".
std::string reason_of(Cause cause);

// {"note": words}
std::string note_evidence(std::string_view words);

}  // namespace ntt
