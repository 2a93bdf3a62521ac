// ntt media: every medium in the catalog.
#include "command.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "media",
    "list all media",
    "",
    "Lists every medium of the catalog in the order in which they came in: the first digits of its hash, its label, kind, size, "
    "the "
    "health of its image, and how far the work on it is.\n\n"
    "Health is what the rescue map says of the image: ok (all of it was read), incomplete (90 % or more), corrupt (20 % or "
    "more), "
    "failed (less), unknown.",
    {{"ntt media", "a table of all media"}, {"ntt media --json | jq -r .medium_hash", "all hashes"}},
    {{Exit::done, "listed"}, {Exit::failed, "there is no catalog, or it cannot be read"}},
};

std::string_view progress_of(const MediumRow& row) {
    if (row.copy_done) return "copied";
    return row.enum_done ? "enumerated" : "begun";
}

class MediaCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App&) override {}

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const auto media, catalog->media());
        if (session.json()) {
            for (const MediumRow& row : media) TRY(session.out().json(json_of(row)));
            return Exit::done;
        }
        Table table({{"MEDIUM"}, {"KIND"}, {"SIZE", Table::Align::right}, {"HEALTH"}, {"STATE"}, {"LABEL"}});
        for (const MediumRow& row : media)
            table.add({row.medium_hash.substr(0, 16), row.kind, human_size(row.size_bytes), row.health,
                       std::string(progress_of(row)), row.medium_human});
        if (table.empty())
            session.say("there are no media yet");
        else
            TRY(session.out().text(table.text()));
        return Exit::done;
    }
};

}  // namespace

std::unique_ptr<Command> make_media_command() { return std::make_unique<MediaCommand>(); }

}  // namespace ntt::cli
