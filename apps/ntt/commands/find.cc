// ntt find: a name on all media.
#include <map>

#include <fmt/format.h>

#include "command.h"
#include "listing.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "find",
    "find files by name on all media",
    "NAME",
    "Looks for a file name, the last part of a path, on every medium, without regard to the case of ASCII letters. NAME may be a "
    "shell pattern: * ? and [...]; a backslash takes the meaning from the next character.",
    {{"ntt find AliciaMainList.xls", "every copy, good or damaged"}, {"ntt find '*.wpd' --json", "by pattern, for a program"}},
    {{Exit::done, "searched, even if nothing was found"}, {Exit::failed, "there is no catalog, or it cannot be read"}},
};

class FindCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override { app.add_option("NAME", name_, "a file name or shell pattern")->required(); }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(auto media, catalog->media());
        std::map<std::string, MediumView> views;
        for (MediumRow& row : media) {
            TRY_ASSIGN(MediumView view, MediumView::of(*catalog, std::move(row)));
            views.emplace(view.hash(), std::move(view));
        }
        FileFilter filter;
        filter.basename_glob = name_;
        uint64_t found = 0;
        const auto visit = [&](const FileRow& row) -> Result<void> {
            TRY(session.io().cancel.check());
            ++found;
            if (session.json()) return session.out().json(json_of(row));
            const auto view = views.find(row.medium_hash);
            const std::string path = view == views.end() ? row.path.path : view->second.shown_path(row);
            return session.out().text(fmt::format("{:.16}  {}", row.medium_hash, listing_line(row, path, session.out_colour())));
        };
        TRY(catalog->files(filter, visit));
        if (found == 0) session.say("nothing has that name");
        return Exit::done;
    }

private:
    std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_find_command() { return std::make_unique<FindCommand>(); }

}  // namespace ntt::cli
