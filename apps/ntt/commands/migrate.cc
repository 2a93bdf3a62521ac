// ntt migrate: a catalog into another database, or the predecessor's database into a catalog.
#include <fmt/format.h>

#include "base/bytes.h"
#include "catalog/predecessor/import.h"
#include "catalog/transfer.h"
#include "command.h"
#include "report/json.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "migrate",
    "copy a catalog into another database",
    "FROM TO [--dry-run] [--from-predecessor [--store-id ID]]",
    "Copies every row of the catalog FROM into the catalog TO: sqlite:FILE or postgresql://USER@HOST/DATABASE. TO has to be empty; FROM is "
    "never changed. Before it is committed both are read again and compared value by value. Until then the target shows nothing of it: "
    "what is interrupted leaves nothing. The store is not touched.\n\n"
    "PostgreSQL holds text in UTF-8 without NUL. What is not so in an SQLite catalog is replaced by U+FFFD, counted and named.\n\n"
    "With --from-predecessor, FROM is the predecessor's database (tables medium, inode, path). Its media, files, names, states and events "
    "become rows of ours by the rules of docs/migration.md. What it is known to have recorded wrongly becomes pending again and is reported "
    "as a defect. TO need not be empty: media that it has are skipped, so that the same call goes on after an interruption.\n\n"
    "--dry-run reads everything and reports the same, and writes nothing.",
    {
        {"ntt migrate sqlite:catalog.db postgresql://ntt@db/ntt", "from one machine to a server"},
        {"ntt migrate postgresql://ntt@db/ntt sqlite:copy.db", "and back"},
        {"ntt migrate --from-predecessor postgresql://old@db/old postgresql://ntt@db/ntt --dry-run", "what the predecessor has, by rule"},
    },
    {
        {Exit::done, "done, or what --dry-run counts would be"},
        {Exit::failed, "nothing was migrated, or not all of the predecessor's media"},
        {Exit::damaged, "done; the predecessor's database has known defects"},
    },
};

class MigrateCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_option("FROM", from_, "the address of what is there")->required();
        app.add_option("TO", to_, "the address of the catalog that it goes into")->required();
        app.add_flag("--dry-run", dry_run_, "count and report; write nothing");
        auto* predecessor = app.add_flag("--from-predecessor", from_predecessor_, "FROM is the predecessor's database");
        app.add_option("--store-id", import_.store_id, "the store that the predecessor's contents lie in (default: predecessor)")->type_name("ID")->needs(predecessor);
    }

    Result<Exit> run(Session& session) override {
        const Result<void> done = from_predecessor_ ? import(session) : transfer(session);
        Exit exit = imported_.defects() > 0 ? Exit::damaged : Exit::done;
        if (!done.ok()) {
            session.say(to_terminal_text("migrate: " + done.error().text()));
            if (!done.error().hint.empty()) session.say(to_terminal_text("  " + done.error().hint));
            if (session.json()) TRY(session.out().json(json_of(done.error(), std::nullopt)));
            // A target that did not come out equal was not kept: no catalog of ours is damaged.
            exit = transferred_.equal == false ? Exit::failed : exit_of(done.error());
            transferred_.tables.clear();  // nothing of it was kept; of the predecessor's media those that were finished are
        }
        TRY(from_predecessor_ ? tell_rules(session) : tell_tables(session));
        TRY(close(session, exit));
        return exit;
    }

private:
    Result<void> transfer(Session& session) {
        Io& io = session.io();
        TRY_ASSIGN(const auto source, open_table_source(io.env, from_));
        if (dry_run_) {
            TRY(check_transfer_target(io.env, to_));
            return count_tables(*source, fit_of(to_), io.cancel, transferred_);
        }
        TRY_ASSIGN(const auto sink, open_table_sink(io.env, io.clock, to_));
        return ntt::transfer(*source, *sink, io.cancel, transferred_);
    }

    Result<void> import(Session& session) {
        Io& io = session.io();
        TRY_ASSIGN(const auto reader, predecessor::Reader::open(from_));
        if (dry_run_) {
            TRY_ASSIGN(const auto known, media_in(io.env, to_));
            return predecessor::count_database(*reader, known, io.cancel, imported_);
        }
        TRY_ASSIGN(const auto catalog, ntt::open_catalog(io.env, io.clock, to_));
        return predecessor::import_database(*reader, *catalog, io.clock, import_, io.cancel, imported_);
    }

    Result<void> tell_tables(Session& session) const {
        Table table({{"TABLE"}, {"ROWS", Table::Align::right}, {"REPLACED"}});
        for (const TransferredTable& one : transferred_.tables) {
            std::string replaced;
            for (const auto& [column, count] : one.replaced) replaced += fmt::format("{}{} in {}", replaced.empty() ? "" : ", ", with_commas(count), column);
            if (session.json())
                TRY(session.out().json({{"type", "migrate_table"}, {"table", one.name}, {"rows", one.rows}, {"replaced", one.replaced}}));
            else
                table.add({one.name, with_commas(one.rows), replaced});
        }
        return session.json() || table.empty() ? Result<void>() : session.out().text(table.text());
    }

    Result<void> tell_rules(Session& session) const {
        Table table({{"RULE"}, {"ROWS", Table::Align::right}, {""}, {"MEANING"}});
        for (const auto& [rule, count] : imported_.rules) {
            const bool is_defect = predecessor::is_defect(rule);
            if (session.json())
                TRY(session.out().json({{"type", "migrate_rule"}, {"rule", predecessor::to_string(rule)}, {"rows", count}, {"defect", is_defect}}));
            else
                table.add({std::string(predecessor::to_string(rule)), with_commas(count), is_defect ? "defect" : "", std::string(predecessor::explain(rule))});
        }
        return session.json() || table.empty() ? Result<void>() : session.out().text(table.text());
    }

    Result<void> close(Session& session, Exit exit) const {
        const uint64_t media = from_predecessor_ ? imported_.media : transferred_.rows("medium");
        const uint64_t inodes = from_predecessor_ ? imported_.inodes : transferred_.rows("inode");
        const uint64_t paths = from_predecessor_ ? imported_.paths : transferred_.rows("path");
        if (session.json())
            return session.out().json({{"type", "migrate"},
                                       {"from", shown_url(from_)},
                                       {"to", shown_url(to_)},
                                       {"media", media},
                                       {"inodes", inodes},
                                       {"paths", paths},
                                       {"defects", imported_.defects()},
                                       {"equal", transferred_.equal ? Json(*transferred_.equal) : Json(nullptr)},
                                       {"dry_run", dry_run_},
                                       {"exit", to_int(exit)}});
        if (exit != Exit::done && exit != Exit::damaged) return {};
        return session.out().text(fmt::format("{}{} media, {} inodes, {} names{}\n", dry_run_ ? "would be migrated: " : "", with_commas(media), with_commas(inodes),
                                              with_commas(paths), transferred_.equal == true ? "; both sides are equal" : ""));
    }

    std::string from_, to_;
    bool dry_run_ = false, from_predecessor_ = false;
    predecessor::ImportOptions import_;
    TransferReport transferred_;
    predecessor::ImportReport imported_;
};

}  // namespace

std::unique_ptr<Command> make_migrate_command() { return std::make_unique<MigrateCommand>(); }

}  // namespace ntt::cli
