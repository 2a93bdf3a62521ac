// ntt files: the files of one medium.
#include "command.h"
#include "listing.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "files",
    "list the files of a medium",
    "MEDIUM",
    "Lists every name of a medium with its kind (f file, d directory, l symlink …), status, size and time, in the order of the "
    "directories on the medium. The conditions add up.\n\n"
    "Where more than one volume of the medium has entries, paths begin with p<N>/, also in --path. In --json the path is that of "
    "the "
    "volume, which stands beside it; a path that is not UTF-8 has U+FFFD in it, and its bytes are in path_hex.",
    {{"ntt files f95834a4 --status damaged", "what is not whole"},
     {"ntt files f95834a4 --path '*.DOC'", "names by a pattern; * matches / as well"},
     {"ntt files f95834a4 --cause NOT_TRIED --json", "what another run of ddrescue may still give"}},
    {{Exit::done, "listed, even if nothing fits"}, {Exit::failed, "there is no such medium, or several fit"}},
};

class FilesCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        declare_medium(app, medium_);
        declare_status(app, status_);
        declare_cause(app, cause_);
        declare_volume(app, volume_);
        app.add_flag("--suspect", suspect_, "only files with a finding that casts doubt on them");
        app.add_option("--path", path_, "only paths that match this shell pattern")->type_name("GLOB");
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const MediumView medium, MediumView::resolve(*catalog, medium_));
        FileFilter filter;
        filter.medium_hash = medium.hash();
        filter.volume = volume_;
        if (status_) filter.status = status_from(*status_);
        if (cause_) filter.cause = cause_from(*cause_);
        filter.suspect = suspect_;
        if (path_) medium.narrow_by_glob(filter, *path_);
        const auto visit = [&](const FileRow& row) -> Result<void> {
            TRY(session.io().cancel.check());
            if (session.json()) return session.out().json(json_of(row));
            return session.out().text(listing_line(row, medium.shown_path(row), session.out_colour()));
        };
        TRY(catalog->files(filter, visit));
        return Exit::done;
    }

private:
    std::string medium_;
    std::optional<std::string> status_, cause_, path_;
    std::optional<int> volume_;
    bool suspect_ = false;
};

}  // namespace

std::unique_ptr<Command> make_files_command() { return std::make_unique<FilesCommand>(); }

}  // namespace ntt::cli
