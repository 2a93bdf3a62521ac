// What `ingest` and `copy` share: the parts a run works with, and how its end is told.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "command.h"
#include "ingest/ingest.h"
#include "report/progress.h"
#include "session.h"

namespace ntt::cli {

// Options that both verbs have. Members are written when the command line is read.
struct CopyingOptions {
    std::optional<std::string> engine;  // absent: as configured
    std::string diagnostics = "predict";
    int jobs = 0;          // 0: as configured
    std::optional<int> max_attempts;
    uint64_t limit = 0;
    size_t batch_size = 0;  // 0: as many as may be open

    void declare(CLI::App& app);
    Result<IngestOptions> resolve(const Session& session, const std::string& worker_id) const;
};

// "HOST-PID", or what the user chose.
std::string worker_name(const std::string& chosen);

// A folder of its own below $TMPDIR, gone at the end: where a dry run keeps its catalog.
class ScratchFolder {
public:
    ScratchFolder() = default;
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    Result<void> make();
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// What becomes of what a call finds.
enum class Keep { everything, nothing };

// A catalog and a store for the runs of one call.
class Ingesting {
public:
    // With Keep::nothing the catalog lies in a folder that goes with this object.
    static Result<std::unique_ptr<Ingesting>> open(Session& session, IngestGoal goal, Keep keep);

    ~Ingesting();

    const IngestContext& context() const { return *context_; }

    // On a catalog that workers share: says that this one begins, and fills in what its runs need for that. Otherwise nothing.
    Result<void> join(IngestOptions& options);

    // Tells how one source ended, as JSON or for people; returns its exit code. The damaged files are named, up to a limit.
    Result<Exit> tell(const std::string& source, const Result<IngestReport>& report);
    // The last line of the call.
    Result<Exit> close(Exit exit, uint64_t sources);

private:
    explicit Ingesting(Session& session) : session_(session) {}
    Result<void> tell_damage(const IngestReport& report);

    Session& session_;
    ScratchFolder scratch_;
    std::unique_ptr<Catalog> catalog_;
    std::unique_ptr<Store> store_;
    ProgressCounters counters_;
    std::unique_ptr<IngestContext> context_;
    std::unique_ptr<Progress> progress_;
    std::string worker_id_;
    std::unique_ptr<Heartbeat> heartbeat_;  // once it has joined
};

}  // namespace ntt::cli
