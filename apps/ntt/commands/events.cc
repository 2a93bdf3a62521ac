// ntt events: what the diagnostics decided, and on what grounds.
#include "base/bytes.h"
#include "command.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "events",
    "list diagnostic events",
    "[MEDIUM]",
    "Lists the events that the diagnostics recorded, of one medium or of all: the inode, the number of retries, the checks that "
    "were "
    "made, the action taken (continuing, skipped, remounted, max_retries) and the cause.",
    {{"ntt events f95834a4", "of one medium"}, {"ntt events --json", "of all media, every column"}},
    {{Exit::done, "listed, even if there are none"}, {Exit::failed, "there is no such medium"}},
};

class EventsCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        app.add_option("MEDIUM", medium_, "a medium: its hash, a unique prefix of it, or its label; default: all");
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        EventFilter filter;
        if (medium_) {
            TRY_ASSIGN(const MediumRow medium, catalog->resolve_medium(*medium_));
            filter.medium_hash = medium.medium_hash;
        }
        Table table({{"TIME"},
                     {"MEDIUM"},
                     {"VOLUME", Table::Align::right},
                     {"INODE", Table::Align::right},
                     {"RETRY", Table::Align::right},
                     {"ACTION"},
                     {"CAUSE"},
                     {"CHECKS"}});
        const auto visit = [&](const EventRow& row) -> Result<void> {
            TRY(session.io().cancel.check());
            if (session.json()) return session.out().json(json_of(row));
            table.add({row.timestamp, row.medium_hash.substr(0, 16), std::to_string(row.volume),
                       row.ino ? std::to_string(*row.ino) : "-", std::to_string(row.retry_count), row.action,
                       row.cause ? std::string(to_string(*row.cause)) : "-", row.checks});
            return {};
        };
        TRY(catalog->events(filter, visit));
        if (!session.json()) TRY(session.out().text(table.text()));
        return Exit::done;
    }

private:
    std::optional<std::string> medium_;
};

}  // namespace

std::unique_ptr<Command> make_events_command() { return std::make_unique<EventsCommand>(); }

}  // namespace ntt::cli
