#include "ingesting.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "copy",
    "copy the pending files of a medium that is in the catalog",
    "--medium-hash H [--limit N] [--batch-size N] [--worker-id ID]",
    "Continues where an ingest, a limit or an interruption left off, and takes up what was requeued. The image is the one the medium was "
    "enumerated from; if it changed, nothing is touched. Installed as ntt-copier as well.\n\n"
    "In folders and through mounts a read can fail for reasons that only diagnosis tells apart. The file waits and is tried again while "
    "others go on; after 10 failures it is looked into, after 50 it is given up. --diagnostics says what may be done; a medium whose "
    "mount is lost for good, or whose filesystem does not answer, is parked: what is left of it stays to be done.",
    {
        {"ntt copy --medium-hash f95834a4b718f54edc7b549ca854aef8", "copy what is pending"},
        {"ntt copy --medium-hash f958 --limit 1000", "at most a thousand files now"},
    },
    {
        {Exit::done, "nothing is pending, every file is in the store"},
        {Exit::failed, "the medium is not known, or its image cannot be used"},
        {Exit::damaged, "done, but files are damaged or unreadable"},
        {Exit::work_left, "files are left to copy"},
    },
};

class CopyCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_option("--medium-hash", medium_, "the medium: a hash, a unique prefix of one, or a label")->required()->type_name("H");
        app.add_option("--worker-id", worker_id_, "name of this worker in events (default: host and process)")->type_name("ID");
        copying_.declare(app);
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(IngestOptions options, copying_.resolve(session, worker_name(worker_id_)));
        TRY_ASSIGN(const std::unique_ptr<Ingesting> ingesting, Ingesting::open(session, IngestGoal::copy, Keep::everything));
        TRY(ingesting->join(options));
        TRY_ASSIGN(const Exit exit, ingesting->tell(medium_, copy_medium(ingesting->context(), medium_, options)));
        return ingesting->close(exit, 1);
    }

private:
    std::string medium_, worker_id_;
    CopyingOptions copying_;
};

}  // namespace

std::unique_ptr<Command> make_copy_command() { return std::make_unique<CopyCommand>(); }

}  // namespace ntt::cli
