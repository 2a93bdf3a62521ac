#include "ingesting.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "fs/fat/fat_reader.h"
#include "ingest/lost_volumes.h"
#include "programs.h"
#include "report/hints.h"
#include "report/summary.h"

namespace ntt::cli {
namespace {

constexpr uint64_t kDamagedFilesNamed = 20;  // of one source; `ntt files` has them all

// Of a volume whose reader was lost.
std::string what_comes_next(const VolumeRow& volume, const std::string& medium_hash) {
    if (!is_of_a_lost_reader(volume.outcome)) return "";
    if (listings_of(volume) < kMaxListings) return " (the next run lists it again)";
    return fmt::format(" (listed {} times; ntt requeue {} or higher limits of reader.* let it be listed again)", listings_of(volume), medium_hash.substr(0, 12));
}

// Only root may mount; others ask sudo, which must not ask back.
std::vector<std::string> helper_command(const std::string& path) {
    if (::geteuid() == 0) return {path};
    return {"/usr/bin/sudo", "-n", path};
}

std::string host_name() {
    char host[256] = {};
    if (::gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') return "host";
    return host;
}

Exit exit_code(int contract) { return static_cast<Exit>(contract); }

}  // namespace

Result<void> ScratchFolder::make() {
    std::error_code failed;
    std::string pattern = (std::filesystem::temp_directory_path(failed) / "ntt-dry-run-XXXXXX").string();
    if (failed || ::mkdtemp(pattern.data()) == nullptr)
        return errno_error(failed ? failed.value() : errno, "make a temporary folder");
    path_ = pattern;
    return {};
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

void CopyingOptions::declare(CLI::App& app) {
    app.add_option("--engine", engine, "how the files of an image are reached: image reads it itself, mount goes through the kernel or FUSE (ntt-mount-helper), auto mounts only what cannot be read otherwise")
        ->check(CLI::IsMember({"auto", "image", "mount"}))
        ->type_name("auto|image|mount");
    app.add_option("--diagnostics", diagnostics,
                   "what a failed read through a mount or in a folder may lead to: each level does what those before it do. observe logs, skip ends what is "
                   "certainly lost, remount mounts again, record keeps events, predict decides by evidence before the first read, as the image engine always does")
        ->check(CLI::IsMember({"observe", "skip", "remount", "record", "predict"}))
        ->type_name("LEVEL");
    app.add_option("--jobs", jobs, "threads that read and hash (default: one for each core)")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    app.add_option("--max-attempts", max_attempts,
                   "tries at one file that cannot be read: through a mount (default 50; 0: without end), or because this computer cannot read the "
                   "image (default 3)")
        ->check(CLI::Range(0, 100'000))
        ->type_name("N");
    app.add_option("--batch-size", batch_size, "files committed together at most (default: as many as may be open)")
        ->check(CLI::Range(1, 100'000))
        ->type_name("N");
    app.add_option("--limit", limit, "copy at most so many files now; the rest stays pending (exit 4)")
        ->check(CLI::NonNegativeNumber)
        ->type_name("N");
}

Result<IngestOptions> CopyingOptions::resolve(const Session& session, const std::string& worker_id) const {
    const Settings& settings = session.settings();
    IngestOptions options;
    options.reader.fat_codepage = settings.fat_codepage;
    options.reader.fat_timezone = settings.fat_timezone;
    TRY(check_fat_options(options.reader));
    TRY_ASSIGN(options.reader.program, session.reader_program());
    options.copy.startup_error_limit = settings.startup_error_limit;
    const std::string& chosen_engine = engine ? *engine : settings.engine;
    options.engine = chosen_engine == "image" ? Engine::image : chosen_engine == "mount" ? Engine::mount : Engine::automatic;
    options.work.lease = {std::chrono::seconds(settings.heartbeat_seconds), std::chrono::seconds(settings.lease_seconds), std::chrono::seconds(settings.stall_seconds), static_cast<uint64_t>(settings.lease_files)};
    options.image_paths = settings.image_paths;
    if (options.engine != Engine::image) {
        const Result<std::string> helper = find_program(session.io(), "ntt-mount-helper");
        if (helper.ok()) options.tree.helper = MountHelper{helper_command(*helper), std::chrono::minutes(2), settings.home + "/mounts"};
        else options.tree.why_no_helper = helper.error().text();
    }
    options.tree.level = diagnostics_level_from(diagnostics).value_or(DiagnosticsLevel::predict);
    options.tree.thresholds = {settings.checkpoint_retry, max_attempts.value_or(settings.max_retries), settings.remounts_per_medium};
    options.tree.waits = {settings.retry_wait_ms * int64_t{1000}, settings.retry_wait_max_ms * int64_t{1000}};
    options.copy.jobs = jobs > 0 ? static_cast<unsigned>(jobs) : session.jobs();
    options.copy.limit = limit;
    options.copy.group_files = batch_size;
    options.copy.suspect_run_bytes = static_cast<uint64_t>(settings.suspect_run_bytes);
    options.copy.worker_id = worker_id;
    if (max_attempts.value_or(0) > 0) options.copy.read_attempts = static_cast<unsigned>(*max_attempts);
    return options;
}

std::string worker_name(const std::string& chosen) {
    if (!chosen.empty()) return chosen;
    return fmt::format("{}-{}", host_name(), ::getpid());
}

Result<std::unique_ptr<Ingesting>> Ingesting::open(Session& session, IngestGoal goal, Keep keep) {
    std::unique_ptr<Ingesting> out(new Ingesting(session));
    session.out().outlive_reader();
    if (keep == Keep::nothing) {
        TRY(out->scratch_.make());
        TRY_ASSIGN(out->catalog_,
                   open_catalog(session.io().env, session.io().clock, "sqlite:" + out->scratch_.path() + "/catalog.db"));
    } else {
        TRY_ASSIGN(out->catalog_, session.open_catalog(IfAbsent::create));
    }
    if (goal == IngestGoal::copy) {
        TRY_ASSIGN(out->store_, session.open_store(IfAbsent::create));
    }
    Io& io = session.io();
    out->context_.reset(
        new IngestContext{io.env, io.clock, *out->catalog_, out->store_.get(), io.cancel, out->counters_, session.log()});
    out->progress_ = std::make_unique<Progress>(session.progress_terminal(), out->counters_);
    return out;
}

Result<void> Ingesting::join(IngestOptions& options) {
    LeaseTable* const leases = catalog_->leases();
    if (leases == nullptr) return {};
    worker_id_ = options.copy.worker_id;
    TRY_ASSIGN(heartbeat_, leases->start_worker(worker_id_, host_name(), ::getpid(), options.work.lease, counters_.signs_of_life));
    TRY_ASSIGN(options.work.since, leases->now());
    return {};
}

Ingesting::~Ingesting() {
    if (heartbeat_ == nullptr) return;
    heartbeat_.reset();
    catalog_->leases()->end_worker(worker_id_).ignore("its row shows that it is silent, and goes after a day");
}

Result<Exit> Ingesting::tell(const std::string& source, const Result<IngestReport>& report) {
    if (!report.ok()) {
        const Error& error = report.error();
        session_.say(fmt::format("{}: {}", to_terminal_text(source), to_terminal_text(error.text())));
        if (!error.hint.empty()) session_.say(fmt::format("  {}", to_terminal_text(error.hint)));
        if (session_.json()) TRY(session_.out().json(json_of(error, source)));
        return exit_of(error);
    }
    IngestSummary summary;
    summary.source = source;
    summary.medium_hash = report->medium_hash;
    summary.totals = report->totals;
    summary.content_bytes = report->totals.content_bytes;
    summary.missing_bytes = report->totals.missing_bytes;
    summary.unique_new_bytes = report->copy.fresh_bytes;
    summary.blobs_new = report->copy.fresh_blobs;
    summary.blobs_deduplicated = report->copy.deduplicated;
    summary.volumes = report->volumes;
    summary.health = report->health;
    summary.exit = exit_code(report->exit);
    if (session_.json()) {
        TRY(session_.out().json(json_of(summary)));
    } else {
        TRY(session_.out().text(closing_table(summary)));
        TRY(tell_damage(*report));
    }
    TRY(session_.out().flush());
    return summary.exit;
}

Result<void> Ingesting::tell_damage(const IngestReport& report) {
    TRY_ASSIGN(const std::vector<VolumeRow> volumes, catalog_->volumes(report.medium_hash));
    for (const VolumeRow& volume : volumes)
        if (volume.outcome != to_string(Outcome::read) && volume.outcome != to_string(Outcome::skipped))
            TRY(session_.out().text(fmt::format("  volume {}: {} {}{}\n", volume.volume, volume.view.empty() ? "-" : to_terminal_text(volume.view),
                                                volume.outcome, what_comes_next(volume, report.medium_hash))));
    if (report.totals.damaged + report.totals.unreadable == 0) return {};

    TRY_ASSIGN(const std::optional<MediumRow> medium, catalog_->medium(report.medium_hash));
    const NextStep where{report.medium_hash, medium->image_path, medium->map_path};
    uint64_t named = 0;
    for (const Status status : {Status::damaged, Status::unreadable}) {
        FileFilter filter;
        filter.medium_hash = report.medium_hash;
        filter.status = status;
        const Result<void> told = catalog_->files(filter, [&](const FileRow& file) -> Result<void> {
            if (named == kDamagedFilesNamed) return make_error(ErrorCode::limit, "enough for a screen");
            ++named;
            TRY(session_.out().text(fmt::format("  {}\n", damage_line(file, file.path.path))));
            const std::string next = next_step(file.inode, file.missing, where);
            if (!next.empty()) TRY(session_.out().text(fmt::format("      {}\n", next)));
            return {};
        });
        if (!told.ok()) return told.error();
    }
    if (named == kDamagedFilesNamed)
        TRY(session_.out().text(
            fmt::format("  … all of them: ntt files {} --status damaged (or unreadable)\n", report.medium_hash.substr(0, 12))));
    return {};
}

Result<Exit> Ingesting::close(Exit exit, uint64_t sources) {
    progress_.reset();
    if (session_.json()) TRY(session_.out().json(result_json(exit, sources)));
    TRY(session_.out().flush());
    return exit;
}

}  // namespace ntt::cli
