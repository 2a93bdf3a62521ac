// Copying a medium together with other workers: range after range of its queue, each under a lease.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "catalog/leases.h"
#include "copy/copier.h"

namespace ntt {

struct IngestContext;

// What a worker brings along. On a catalog without leases it means nothing.
struct WorkTerms {
    LeaseTerms lease;
    std::string since;           // the database's time when this run began: see LeaseTable::take
    std::optional<Lease> first;  // one that is in hand already
    bool waits = true;           // for what others have of the medium, until they finish or are found dead
};

// Calls `copy` for each range until nothing more of the medium is to be had, the limit is reached, or the run is cancelled; adds
// up what it reports. A range that another worker has taken over meanwhile is left to it. Without leases: calls it once.
Result<CopyReport> copy_leased(const IngestContext& context, const std::string& medium_hash, const CopyOptions& options, const WorkTerms& terms,
                               const std::function<Result<CopyReport>(const CopyOptions&)>& copy);

}  // namespace ntt
