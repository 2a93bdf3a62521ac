// ntt verify: does the store have what the catalog says, and nothing else?
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "contents.h"
#include "report/progress.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "verify",
    "check the store against the catalog, byte by byte",
    "",
    "Reads every content that the catalog knows, computes its hash again and compares it with its name; then looks for files in "
    "the "
    "store that the catalog does not know, and for files of the catalog whose content has no record.\n\n"
    "A content can be missing, short (of another size than recorded) or flipped (other bytes than its name says). A flipped one "
    "is moved to quarantine/, never deleted, and an event is recorded with each file that has it. The files that had such a content are "
    "pending again: the next ingest or copy of their medium puts good bytes in its place.\n\n"
    "Stray files younger than an hour are left alone: another process may be about to record them. --strict counts them too.",
    {{"ntt verify", "all of the store, on all cores"},
     {"ntt verify --json | jq 'select(.type == \"problem\")'", "the problems, for a program"}},
    {{Exit::done, "all is as it should be"},
     {Exit::failed, "there is no store or catalog, or it cannot be read"},
     {Exit::store_damaged, "something is missing, short, flipped or stray"}},
};

constexpr int64_t kGrace_us = int64_t{3600} * 1'000'000;
constexpr size_t kQueueLength = 1024;   // blobs that wait for a thread
constexpr size_t kMarkGroup = 1000;     // blobs marked in one transaction
constexpr size_t kMaxRows = 1'000'000;  // rows without a blob that are listed
constexpr size_t kMaxFilesNamed = 100;  // files that are named for one lost content

struct Problem {
    std::string word;  // missing short flipped unreadable stray no_blob_row
    std::optional<BlobId> id;
    BlobKind kind = BlobKind::whole;
    std::string path;  // of a stray file, relative to the store
    std::string message;
    Json files = Json::array();  // that have the content
};

struct Counts {
    uint64_t blobs = 0, bytes = 0, missing = 0, short_ = 0, flipped = 0, stray = 0;
};

// Hashes blobs on several threads. One thread gives and collects.
class Checkers {
public:
    Checkers(Session& session, Store& store, unsigned threads) : session_(session), store_(store) {
        for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Checkers() { finish(); }

    // Waits for room in the queue.
    void give(const BlobRow& blob) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return queue_.size() < kQueueLength; });
        queue_.push_back(blob);
        changed_.notify_all();
    }

    // Waits for all that was given.
    void finish() {
        {
            const std::lock_guard lock(mutex_);
            no_more_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }

    // The blobs found good since the last call.
    std::vector<BlobRow> take_good() {
        const std::lock_guard lock(mutex_);
        return std::exchange(good_, {});
    }

    const ProgressCounters& counters() const { return counters_; }
    // After finish().
    std::vector<Problem>& problems() { return problems_; }

private:
    void work() {
        for (;;) {
            BlobRow blob;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [this] { return !queue_.empty() || no_more_; });
                if (queue_.empty()) return;
                blob = std::move(queue_.front());
                queue_.pop_front();
            }
            changed_.notify_all();
            if (session_.io().cancel.cancelled()) continue;
            auto problem = check(blob);
            const std::lock_guard lock(mutex_);
            if (problem)
                problems_.push_back(std::move(*problem));
            else if (!session_.io().cancel.cancelled())
                good_.push_back(std::move(blob));
        }
    }

    std::optional<Problem> check(const BlobRow& blob) {
        const auto problem = [&](std::string_view word, const std::string& message) {
            return Problem{std::string(word), blob.blobid, blob.kind, "", message};
        };
        const auto presence = store_.look(blob.kind, blob.blobid, blob.size);
        if (!presence.ok()) return problem("unreadable", presence.error().text());
        if (*presence == Presence::absent)
            return problem("missing", "the catalog knows this content, the store does not have it");
        if (*presence == Presence::wrong_size)
            return problem("short", fmt::format("the size is not the recorded {} bytes", blob.size));
        const auto count = [&](ByteView bytes) -> Result<void> {
            counters_.bytes_done += bytes.size();
            return {};
        };
        const auto size = read_blob(session_.io().env, store_, blob.kind, blob.blobid, session_.io().cancel, count);
        ++counters_.files_done;
        if (size.ok() || size.error().code == ErrorCode::cancelled) return std::nullopt;
        if (size.error().code != ErrorCode::store_damaged) return problem("unreadable", size.error().text());
        const auto moved = store_.quarantine(blob.kind, blob.blobid, "flipped");
        return problem("flipped", moved.ok() ? "the bytes are not what the name says; moved to quarantine"
                                             : "the bytes are not what the name says; not moved: " + moved.error().text());
    }

    Session& session_;
    Store& store_;
    ProgressCounters counters_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<BlobRow> queue_;
    std::vector<BlobRow> good_;
    std::vector<Problem> problems_;
    bool no_more_ = false;
    std::vector<std::thread> threads_;
};

class VerifyCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override { app.add_flag("--strict", strict_, "count stray files of the last hour too"); }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const auto store, session.open_store());
        Counts counts;
        std::vector<Problem> problems;
        TRY(check_blobs(session, *catalog, *store, counts, problems));
        TRY(name_files(session, *catalog, problems));
        TRY(look_for_strays(session, *catalog, *store, problems));
        TRY(look_for_rows_without_blob(*catalog, problems));
        return report(session, counts, problems);
    }

private:
    // Every recorded content against its file. Good ones are marked over a second connection: the first one is in the
    // middle of its listing, and holding all of them until the end would cost memory by the size of the store.
    static Result<void> check_blobs(Session& session, Catalog& catalog, Store& store, Counts& counts,
                                    std::vector<Problem>& problems) {
        TRY_ASSIGN(const auto marking, session.open_catalog());
        Checkers checkers(session, store, session.jobs());
        std::vector<BlobRow> good;
        const auto mark = [&](size_t at_least) -> Result<void> {
            for (BlobRow& blob : checkers.take_good()) good.push_back(std::move(blob));
            if (good.empty() || good.size() < at_least) return {};
            TRY(marking->mark_verified(good, iso8601_utc(session.io().clock.wall_us())));
            good.clear();
            return {};
        };
        const Progress progress(session.progress_terminal(), checkers.counters());
        const auto listed = catalog.for_each_blob([&](const BlobRow& blob) -> Result<void> {
            TRY(session.io().cancel.check());
            ++counts.blobs;
            counts.bytes += blob.size;
            checkers.give(blob);
            return mark(kMarkGroup);
        }, store.id());
        checkers.finish();
        TRY(mark(1));
        TRY(listed);
        TRY(session.io().cancel.check());
        problems = std::move(checkers.problems());
        store.take_quarantine_events();  // each is one of the problems
        return {};
    }

    // Whose content is lost: one pass over the files, only when there is something to look for.
    static Result<void> name_files(Session& session, Catalog& catalog, std::vector<Problem>& problems) {
        std::map<std::pair<BlobKind, BlobId>, Problem*> lost;
        for (Problem& problem : problems) lost[{problem.kind, *problem.id}] = &problem;
        if (lost.empty()) return {};
        std::vector<EventRow> events;
        std::vector<RequeueFilter> to_do;
        const auto visit = [&](const FileRow& row) -> Result<void> {
            TRY(session.io().cancel.check());
            const InodeRow& inode = row.inode;
            const auto& id = inode.blobid ? inode.blobid : inode.partial_blobid;
            if (!id) return {};
            const auto found = lost.find({inode.blobid ? BlobKind::whole : BlobKind::partial, *id});
            if (found == lost.end()) return {};
            if (inode.copied) to_do.push_back({row.medium_hash, inode.volume, inode.ino, inode.status, std::nullopt});
            if (found->second->files.size() >= kMaxFilesNamed) return {};
            Json file = {{"medium_hash", row.medium_hash}, {"volume", inode.volume}, {"ino", inode.ino}};
            put_path(file, row.path.path);
            found->second->files.push_back(std::move(file));
            if (found->second->word == "flipped") events.push_back(event_of(session, row, *found->second));
            return {};
        };
        TRY(catalog.files({}, visit));
        // What is lost is not stored: the next ingest or copy of the source puts good bytes in its place.
        for (const RequeueFilter& filter : to_do) TRY(catalog.requeue(filter));
        if (events.empty()) return {};
        TRY(catalog.add_events(events));
        std::set<std::string> media;
        for (const EventRow& event : events) media.insert(event.medium_hash);
        for (const std::string& medium_hash : media) TRY(catalog.rebuild_problem_events(medium_hash));
        return {};
    }

    static EventRow event_of(Session& session, const FileRow& row, const Problem& problem) {
        EventRow event;
        event.medium_hash = row.medium_hash;
        event.volume = row.inode.volume;
        event.ino = row.inode.ino;
        event.action = "continuing";
        event.cause = Cause::STORE_ERROR;
        event.evidence =
            Json({{"verify", problem.word}, {"blobid", problem.id->hex()}, {"kind", to_string(problem.kind)}}).dump();
        event.worker_id = "verify";
        event.timestamp = iso8601_utc(session.io().clock.wall_us());
        return event;
    }

    // Every file of the store against the catalog.
    Result<void> look_for_strays(Session& session, Catalog& catalog, Store& store, std::vector<Problem>& problems) const {
        return store.for_each([&](const BlobFile& file) -> Result<void> {
            TRY(session.io().cancel.check());
            if (file.id) {
                TRY_ASSIGN(const auto row, catalog.blob(file.kind, *file.id));
                if (row) return {};
            }
            if (!strict_ && is_young(session, store.dir() + "/" + file.path)) return {};
            problems.push_back({"stray", file.id, file.kind, file.path, "the catalog does not know this file"});
            return {};
        });
    }

    static bool is_young(Session& session, const std::string& path) {
        const auto info = session.io().env.stat_path(path);
        if (!info.ok()) return true;  // gone meanwhile: a temporary file of somebody who works
        const int64_t changed_us = std::max(int64_t{info->st_mtime}, int64_t{info->st_ctime}) * 1'000'000;
        return session.io().clock.wall_us() - changed_us < kGrace_us;
    }

    static Result<void> look_for_rows_without_blob(Catalog& catalog, std::vector<Problem>& problems) {
        TRY_ASSIGN(const auto rows, catalog.rows_without_blob(kMaxRows));
        for (const BlobProblem& row : rows) {
            Problem problem{"no_blob_row", row.blobid, row.kind, "",
                            "a file has this content, but the catalog has no record of the content"};
            problem.files.push_back({{"medium_hash", row.medium_hash}, {"volume", row.volume}, {"ino", row.ino}});
            problems.push_back(std::move(problem));
        }
        return {};
    }

    static Result<Exit> report(Session& session, Counts counts, const std::vector<Problem>& problems) {
        for (const Problem& problem : problems) {
            if (problem.word == "missing" || problem.word == "no_blob_row") ++counts.missing;
            if (problem.word == "short") ++counts.short_;
            if (problem.word == "flipped") ++counts.flipped;
            if (problem.word == "stray") ++counts.stray;
            TRY(session.json() ? session.out().json(as_json(problem)) : session.out().text(as_text(problem)));
        }
        const Exit exit = problems.empty() ? Exit::done : Exit::store_damaged;
        if (session.json()) {
            TRY(session.out().json({{"type", "verify"},
                                    {"blobs", counts.blobs},
                                    {"bytes", counts.bytes},
                                    {"missing", counts.missing},
                                    {"short", counts.short_},
                                    {"flipped", counts.flipped},
                                    {"stray", counts.stray},
                                    {"exit", to_int(exit)}}));
            return exit;
        }
        TRY(session.out().text(fmt::format("{} contents, {}: {}\n", with_commas(counts.blobs), human_size(counts.bytes),
                                           problems.empty() ? "all good" : with_commas(problems.size()) + " problems")));
        return exit;
    }

    static Json as_json(const Problem& problem) {
        return {{"type", "problem"},
                {"problem", problem.word},
                {"blobid", problem.id ? Json(problem.id->hex()) : Json(nullptr)},
                {"kind", to_string(problem.kind)},
                {"path", problem.path.empty() ? Json(nullptr) : Json(to_display_utf8(problem.path))},
                {"message", to_display_utf8(problem.message)},
                {"files", problem.files}};
    }

    static std::string as_text(const Problem& problem) {
        std::string out = fmt::format("{:<10}  {}  {}\n", problem.word,
                                      problem.path.empty() ? problem.id->hex() : to_terminal_text(problem.path),
                                      to_terminal_text(problem.message));
        for (const Json& file : problem.files)
            out += fmt::format("            in {} volume {} inode {}  {}\n", file["medium_hash"].get<std::string>(),
                               file["volume"].get<int>(), file["ino"].get<int64_t>(), to_terminal_text(file.value("path", "")));
        return out;
    }

    bool strict_ = false;
};

}  // namespace

std::unique_ptr<Command> make_verify_command() { return std::make_unique<VerifyCommand>(); }

}  // namespace ntt::cli
