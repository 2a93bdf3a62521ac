// Copies the pending files of a mounted medium or of a folder: the mission's Worker. A read can fail for reasons that only
// diagnosis tells apart; a file that fails waits for a later try while others go on.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "copy/copier.h"
#include "diagnose/diagnostic_service.h"
#include "fs/isolated/trees.h"
#include "os/kernel_log.h"

namespace ntt {

struct TreeCopyJob : CopyTarget {
    Trees& trees;
    DiagnosticService& diagnostics;
    MountControl& mounts;
    const ByteSource* image;             // what is mounted, for what a mount cannot give of a file whose place is known; null: a folder
    KernelLog* kernel_log;               // null: it cannot be read
    DiagnosticsLevel level;
    std::function<void(int64_t)> sleep;  // microseconds; tests drive the clock
};

// The waits before another try of a file: doubled each time, less up to a half of it by chance.
struct RetryWaits {
    int64_t first_us = 10'000;
    int64_t longest_us = 5'000'000;
    int64_t after(int failures, uint64_t chance) const;
};

// So many files of a good enumeration, one after the other, that are not there: a lost mount or a wrong configuration, and
// no file's own fate.
inline constexpr int kMissingInARow = 10;

// Runs until nothing is pending that may be tried in this run, the limit is reached, the medium is parked (report.parked says why)
// or `cancel` is set. Errors: of the store and the catalog as they come; they blame nothing on the medium and cost no file a
// try.
Result<CopyReport> copy_pending_of_tree(const TreeCopyJob& job, const CopyOptions& options, const RetryWaits& waits);

}  // namespace ntt
