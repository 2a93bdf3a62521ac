// ntt requeue: put inodes, and volumes whose reader was lost, back into the queue.
#include <fmt/format.h>

#include "command.h"
#include "ingest/lost_volumes.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "requeue",
    "put files back into the queue",
    "MEDIUM [PATH|INO]",
    "Takes back what was decided of files, so that the next copy tries them again; their older errors do not count then. "
    "Contents in "
    "the store stay there.\n\n"
    "Without a file or a condition: all damaged and unreadable files of the medium, and the volumes whose listing failed or was cut short "
    "(outcomes parser_crash, parser_timeout, budget, failed): the next ingest or copy lists them again. ntt does so by itself until "
    "such a volume was listed three times, and when a limit of the configuration (reader.*) is raised. With conditions: the files that "
    "fit all of them.",
    {{"ntt requeue f95834a4", "all that is damaged or unreadable"},
     {"ntt requeue f95834a4 --cause IO_ERROR", "after the disk that holds the image was repaired"},
     {"ntt requeue f95834a4 DOS/FILE.TXT", "one file"}},
    {{Exit::done, "done, even if nothing fits"}, {Exit::failed, "there is no such medium or file"}},
};

class RequeueCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        declare_medium(app, medium_);
        app.add_option("FILE", file_, "a path of the medium, or an inode number");
        declare_status(app, status_);
        declare_cause(app, cause_);
        declare_volume(app, volume_);
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const MediumView medium, MediumView::resolve(*catalog, medium_));
        TRY_ASSIGN(const auto filters, which(*catalog, medium));
        uint64_t count = 0;
        for (const RequeueFilter& filter : filters) {
            TRY_ASSIGN(const uint64_t n, catalog->requeue(filter));
            count += n;
        }
        uint64_t volumes = 0;
        if (!file_ && !status_ && !cause_) {
            TRY_ASSIGN(volumes, requeue_lost_volumes(*catalog, medium.hash(), volume_));
        }
        if (session.json()) {
            TRY(session.out().json({{"type", "requeue"}, {"medium_hash", medium.hash()}, {"inodes", count}, {"volumes", volumes}}));
            return Exit::done;
        }
        TRY(session.out().text(fmt::format("{} back in the queue\n", count == 1 ? "1 inode" : with_commas(count) + " inodes")));
        if (volumes > 0)
            TRY(session.out().text(fmt::format("{} listed again by the next run\n", volumes == 1 ? "1 volume is" : with_commas(volumes) + " volumes are")));
        return Exit::done;
    }

private:
    Result<std::vector<RequeueFilter>> which(Catalog& catalog, const MediumView& medium) const {
        RequeueFilter base;
        base.medium_hash = medium.hash();
        base.volume = volume_;
        if (status_) base.status = status_from(*status_);
        if (cause_) base.cause = cause_from(*cause_);
        if (!file_) {
            if (status_ || cause_) return std::vector{base};
            RequeueFilter unreadable = base;
            base.status = Status::damaged;
            unreadable.status = Status::unreadable;
            return std::vector{base, unreadable};
        }
        TRY_ASSIGN(const auto files, medium.files_named(catalog, *file_, volume_));
        std::vector<RequeueFilter> out;
        for (const FileRow& file : one_row_per_inode(files)) {
            out.push_back(base);
            out.back().volume = file.inode.volume;
            out.back().ino = file.inode.ino;
        }
        return out;
    }

    std::string medium_;
    std::optional<std::string> file_, status_, cause_;
    std::optional<int> volume_;
};

}  // namespace

std::unique_ptr<Command> make_requeue_command() { return std::make_unique<RequeueCommand>(); }

}  // namespace ntt::cli
