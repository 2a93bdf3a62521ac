// Contents that are staged but not yet committed. A second file with the same content waits with the first one, so that
// no row ever names a blob that is not durable, and nothing is written twice.
#pragma once

#include <array>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "catalog/rows.h"

namespace ntt {

// Thread-safe.
class InFlight {
public:
    // True: the caller is the first with this content and must stage it (or settle() it). False: `outcome` was taken
    // and will be handed out with the first one's.
    bool claim(BlobKind kind, const BlobId& id, const CopyOutcome& outcome);

    // Ends the wait for a content and returns the outcomes that waited: their rows may be committed together with, or
    // after, the blob.
    std::vector<CopyOutcome> settle(BlobKind kind, const BlobId& id);

private:
    using Waiting = std::unordered_map<BlobId, std::vector<CopyOutcome>, BlobIdHash>;
    Waiting& of(BlobKind kind) { return waiting_[static_cast<size_t>(kind)]; }

    std::mutex mutex_;
    std::array<Waiting, 2> waiting_;  // by kind
};

}  // namespace ntt
