// ntt workers: who works on what.
#include <fmt/format.h>

#include "command.h"
#include "report/json.h"
#include "report/table.h"
#include "session.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "workers",
    "show who works on what",
    "",
    "Lists every worker of a PostgreSQL catalog that has not ended: its host and process, the medium and the place in it where its range "
    "begins, how much it has committed and how fast, and how long ago it gave a sign of life. One that has been silent for longer than "
    "lease_seconds is lost: another takes its range.",
    {{"ntt workers", "a table of all workers"}, {"watch -n 5 ntt workers", "how the work goes on"}},
    {{Exit::done, "listed"}, {Exit::failed, "there is no catalog, it cannot be read, or it is one that nobody shares"}},
};

class WorkersCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App&) override {}

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        if (catalog->leases() == nullptr)
            return make_error(ErrorCode::unsupported, "this catalog is of one machine: nobody shares it", "several hosts share a PostgreSQL catalog: --catalog postgresql://…");
        TRY_ASSIGN(const std::vector<WorkerRow> workers, catalog->leases()->workers());
        const double lease_seconds = session.settings().lease_seconds;
        const auto state_of = [&](const WorkerRow& worker) { return worker.silent_seconds > lease_seconds ? "lost" : worker.medium_hash ? "working" : "waiting"; };
        if (session.json()) {
            for (const WorkerRow& worker : workers) {
                Json out = {{"type", "worker"},
                            {"worker_id", worker.worker_id},
                            {"host", worker.host},
                            {"process", worker.process},
                            {"state", state_of(worker)},
                            {"medium_hash", json_or_null(worker.medium_hash)},
                            {"medium_human", json_or_null(worker.medium_human)},
                            {"first_offset", json_or_null(worker.first_offset)},
                            {"lease_seconds_left", json_or_null(worker.lease_seconds_left)},
                            {"files", worker.files},
                            {"bytes", worker.bytes},
                            {"files_per_second", worker.files_a_second},
                            {"started_at", worker.started_at},
                            {"heartbeat_at", worker.heartbeat_at},
                            {"silent_seconds", worker.silent_seconds}};
                TRY(session.out().json(out));
            }
            return Exit::done;
        }
        Table table({{"WORKER"}, {"HOST"}, {"STATE"}, {"MEDIUM"}, {"FROM", Table::Align::right}, {"FILES", Table::Align::right},
                     {"FILES/S", Table::Align::right}, {"BYTES", Table::Align::right}, {"SILENT", Table::Align::right}});
        for (const WorkerRow& worker : workers)
            table.add({worker.worker_id, worker.host, state_of(worker), worker.medium_hash ? worker.medium_hash->substr(0, 16) : "-",
                       worker.first_offset && *worker.first_offset >= 0 ? human_size(static_cast<uint64_t>(*worker.first_offset)) : "-", with_commas(worker.files),
                       fmt::format("{:.0f}", worker.files_a_second), human_size(worker.bytes), fmt::format("{:.0f} s", worker.silent_seconds)});
        if (table.empty()) session.say("nobody works");
        else TRY(session.out().text(table.text()));
        return Exit::done;
    }

private:
    template <typename T>
    static Json json_or_null(const std::optional<T>& value) {
        return value ? Json(*value) : Json();
    }
};

}  // namespace

std::unique_ptr<Command> make_workers_command() { return std::make_unique<WorkersCommand>(); }

}  // namespace ntt::cli
