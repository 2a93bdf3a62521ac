// From a source to rows and blobs: identify, detect, enumerate with verdicts, copy, conclude.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "copy/copier.h"
#include "copy/progress.h"
#include "copy/tree_copier.h"
#include "diagnose/diagnostic_service.h"
#include "ingest/exclude.h"
#include "ingest/leased.h"
#include "ingest/mount_helper.h"
#include "os/env.h"
#include "store/store.h"

namespace ntt {

// How far a run goes.
enum class IngestGoal : uint8_t {
    copy,       // everything
    enumerate,  // up to and including the verdicts
};

// How files are reached.
enum class Engine : uint8_t {
    automatic,  // the image engine where it can read, else the mount engine
    image,      // the image itself, in user space
    mount,      // through the kernel or FUSE
};

// For trees: folders, and what is mounted of an image.
struct TreeOptions {
    DiagnosticsLevel level = DiagnosticsLevel::predict;
    DiagnosticThresholds thresholds;
    RetryWaits waits;
    std::optional<MountHelper> helper;  // nullopt: nothing can be mounted, and why_no_helper says so
    std::string why_no_helper;
};

struct IngestOptions {
    std::optional<std::string> name;         // the operator's label; default: the file's name
    std::optional<std::string> medium_hash;  // given by the operator; checked
    std::optional<std::string> map_path;     // default: found beside the image
    IngestGoal goal = IngestGoal::copy;
    ReaderOptions reader;
    CopyOptions copy;
    Engine engine = Engine::automatic;
    TreeOptions tree;
    ExcludePatterns exclude;
    WorkTerms work;
    // Where this host sees the folders of the catalog's paths: the longest beginning that fits is replaced.
    std::vector<std::pair<std::string, std::string>> image_paths;
    // Others may work on the medium meanwhile, where the catalog has leases. A medium that is listed, or judged anew, is one's own.
    Catalog::Sharing sharing = Catalog::Sharing::alone;
};

// What a run works with; all of it outlives the run.
struct IngestContext {
    Env& env;
    const Clock& clock;
    Catalog& catalog;
    Store* store;  // null when the goal is to enumerate
    const CancelToken& cancel;
    ProgressCounters& progress;
    spdlog::logger& log;
};

struct IngestReport {
    std::string source;
    std::string medium_hash;
    std::string medium_human;
    Totals totals;
    CopyReport copy;
    size_t volumes = 0;
    std::string health;
    int exit = 0;               // the contract's: 0 3 4 130
};

// Ingests one image or folder. Errors (exit 1, busy 75): the source cannot be opened or identified, is refused, or the store or
// catalog fails. What is damaged in it is no error: it stands in the catalog and in the report's totals.
Result<IngestReport> ingest_source(const IngestContext& context, const std::string& path, const IngestOptions& options);

// Continues copying a medium that is in the catalog, from the image or folder it was enumerated from.
Result<IngestReport> copy_medium(const IngestContext& context, const std::string& medium_hash, const IngestOptions& options);

// Records the end of a medium of which nothing is left to be copied, and whose last worker did not come to that. false: it has none yet,
// because files are pending that nobody may take, or somebody is at it.
Result<bool> conclude_copied(const IngestContext& context, const std::string& medium_hash);

// `path` as this host sees it: IngestOptions::image_paths. A beginning counts where a part of the path ends.
std::string path_on_this_host(const std::string& path, const std::vector<std::pair<std::string, std::string>>& image_paths);

}  // namespace ntt
