// ntt-store.toml: who a store is and how it is laid out.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "os/env.h"
#include "store/store.h"

namespace ntt {

struct StoreIdentity {
    std::string id;         // 32 lowercase hexadecimal digits, chosen at random when the store was made
    int fanout_levels = 1;  // 1 or 2
};

// Reads the identity of the store in `dir`, which exists; makes and syncs one if there is none. A by-hash/ folder without an
// identity (the predecessor's) keeps the fan-out that it has. Errors: store_damaged for a file that cannot be understood,
// unsupported for a newer format.
Result<StoreIdentity> read_or_make_identity(Env& env, const std::string& dir, const StoreOptions& options);

// The store's own lock, held for moments (creation, quarantine): waits for it, at most ten seconds, then busy.
Result<FileLock> lock_store(Env& env, const std::string& dir);

}  // namespace ntt
