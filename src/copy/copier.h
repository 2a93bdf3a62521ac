// Copies the pending files of a medium into the store: read once in disk order, hash once, stage, commit in groups.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "copy/progress.h"
#include "fs/fs_reader.h"
#include "image/byte_source.h"
#include "store/store.h"
#include "volume/volume.h"

namespace ntt {

struct CopyOptions {
    unsigned jobs = 2;                 // threads that read and hash; at least 1
    uint64_t limit = 0;                // files to copy in this run; 0 = all
    size_t group_files = 0;            // contents committed together; 0 = as many as the store can hold open
    uint64_t group_bytes = uint64_t{256} << 20;  // a group is committed when it holds this much
    int64_t group_us = 5'000'000;      // or when its first file has waited this long
    unsigned read_attempts = 3;        // of one file, when this computer fails to read the image; then it stays pending
    uint64_t suspect_run_bytes = 4096; // runs of one pattern from this length on may be sectors nobody read (suspect_runs.h); 0 = do not look
    int startup_error_limit = 5;       // recorded failures after which a file is given up, with what the verdict lets be read of it
    std::string worker_id;             // stands in events
    std::optional<std::set<int>> volumes;  // only files of these
};

struct CopyReport {
    uint64_t files = 0;          // with an outcome
    uint64_t bytes = 0;          // of their contents that were read
    uint64_t fresh_blobs = 0, fresh_bytes = 0;
    uint64_t deduplicated = 0;   // contents that the store already had
    bool interrupted = false;
    bool untried = false;        // files were not tried, because of the limit, or of a mount that is not to be had here
    std::optional<std::string> parked;  // why nothing more of the medium can be read in this run

    void add(const CopyReport& other);  // what another part of the run came to
};

// Whose contents are copied, and what with; all of it outlives the call.
struct CopyTarget {
    Env& env;
    Store& store;
    Catalog& catalog;
    MediumKey medium;
    std::string medium_hash;
    const Clock& clock;
    const CancelToken& cancel;
    ProgressCounters& progress;
    spdlog::logger& log;
};

// A copy from an image.
struct CopyJob : CopyTarget {
    const ByteSource& source;
    const std::vector<Volume>& volumes;  // by number, for content that only a reader can give
    ReaderOptions reader_options;
};

// Runs until nothing is pending that this run has not tried, the limit is reached, or `cancel` is set (the group in
// hand is committed, then `interrupted`). Errors: of the store and the catalog as they come (nothing is blamed on the
// medium; what was committed stays), and source_changed when the image is not what it was.
Result<CopyReport> copy_pending(const CopyJob& job, const CopyOptions& options);

}  // namespace ntt
