// Contents on their way out of the store, checked against their names as they pass.
#pragma once

#include <functional>

#include "base/cancel.h"
#include "store/store.h"

namespace ntt::cli {

// Gives the blob's bytes to `take` piece by piece and returns their number. The last piece is given before the hash is
// known: a taker that must not keep wrong bytes drops all of them on an error.
// Errors: not_found when the store has no such blob; store_damaged when the bytes are not what the name says; cancelled;
// what reading or `take` says. Costs one read and one hash; safe from several threads at once.
Result<uint64_t> read_blob(Env& env, Store& store, BlobKind kind, const BlobId& id, const CancelToken& cancel,
                           const std::function<Result<void>(ByteView)>& take);

}  // namespace ntt::cli
