// ntt work: copies what there is to be copied, with all others that do the same.
#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "ingesting.h"
#include "report/json.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "work",
    "copy whatever is pending in the catalog, beside other workers",
    "[--follow] [--worker-id ID] [--limit N]",
    "Takes one medium after the other that is enumerated (ntt ingest --enumerate-only) and has files to be copied: first those that "
    "nobody works on, then a part of one that others are busy with. It ends when nothing is left, also not in the hands of others; with "
    "--follow it goes on waiting for more.\n\n"
    "On a PostgreSQL catalog a worker has a lease on a range of files, and gives a sign of life every heartbeat_seconds. One that is killed, "
    "hangs or is cut off loses its range after lease_seconds, and another does what is left of it. What a worker commits too late is "
    "refused, and costs nothing. A catalog that is gone is waited for (catalog_wait_seconds). SIGTERM lets it finish the group in hand.\n\n"
    "Where this host sees the images at another path than the host that enumerated them, [image_paths] in the configuration says so. A "
    "medium whose image is not to be had here is left to others; with --follow it is looked at again after a minute, then after ever longer "
    "times up to half an hour.",
    {
        {"ntt work", "until nothing is left"},
        {"ntt work --follow --worker-id lab3-1", "a service: see packaging/ntt-work@.service"},
    },
    {
        {Exit::done, "nothing is pending, and no file was found damaged here"},
        {Exit::failed, "a medium could not be copied here, or the catalog is gone for good"},
        {Exit::damaged, "done, but files are damaged or unreadable"},
        {Exit::work_left, "files are left to copy"},
    },
};

constexpr auto kPoll = std::chrono::milliseconds(500);
constexpr auto kFollowPoll = std::chrono::seconds(5);
// --follow: so long a medium is left alone of which something could not be had; twice as long each time.
constexpr int64_t kFirstRestUs = int64_t{60} * 1'000'000, kLongestRestUs = 32 * kFirstRestUs;

class WorkCommand final : public Command {
public:
    const Page& page() const override { return kPage; }

    void declare(CLI::App& app) override {
        app.add_flag("--follow", follow_, "wait for more when nothing is left, until a signal ends it");
        app.add_option("--worker-id", worker_id_, "name of this worker; no two may have the same (default: host and process)")->type_name("ID");
        copying_.declare(app);
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(options_, copying_.resolve(session, worker_name(worker_id_)));
        options_.work.waits = false;  // other media may have something
        limit_ = options_.copy.limit;
        int64_t gone_since_us = 0;
        for (;;) {
            Result<Exit> worked = work(session);
            if (worked.ok() || !passes(worked.error()) || session.io().cancel.cancelled()) return worked;
            const int64_t now = session.io().clock.monotonic_us();
            if (progressed_ || gone_since_us == 0) gone_since_us = now;
            progressed_ = false;
            if (now - gone_since_us > session.settings().catalog_wait_seconds * int64_t{1'000'000}) return worked;
            session.log().warn("{}; waiting for it", worked.error().text());
            std::this_thread::sleep_for(kPoll * 2);
        }
    }

private:
    // The database is gone, or too busy; one that has a host for itself does not wait for another.
    bool passes(const Error& error) const { return error.code == ErrorCode::unavailable || (shares_ && error.code == ErrorCode::busy); }

    // Until nothing is left, on one connection to the catalog.
    Result<Exit> work(Session& session) {
        TRY_ASSIGN(const std::unique_ptr<Ingesting> ingesting, Ingesting::open(session, IngestGoal::copy, Keep::everything));
        TRY(ingesting->join(options_));
        shares_ = ingesting->context().catalog.leases() != nullptr;
        const CancelToken& cancel = session.io().cancel;
        while (!cancel.cancelled() && !limit_reached()) {
            bool waiting = false;
            TRY_ASSIGN(const bool took, take_one(*ingesting, waiting));
            progressed_ = true;
            if (took) continue;
            if (!waiting && !follow_) break;
            std::this_thread::sleep_for(waiting ? std::chrono::duration_cast<std::chrono::milliseconds>(kPoll) : kFollowPoll);
            if (!waiting) TRY(begin_anew(ingesting->context().catalog));
        }
        if (cancel.cancelled()) return ingesting->close(Exit::interrupted, media_);
        TRY_ASSIGN(const std::vector<MediumWork> left, to_do(ingesting->context().catalog));
        const bool any_pending = std::any_of(left.begin(), left.end(), [](const MediumWork& medium) { return medium.has_pending; });
        return ingesting->close(worst(exit_, any_pending ? Exit::work_left : Exit::done), media_);
    }

    // Works on the first medium of which there is something to be had. `waiting`: others have the rest.
    Result<bool> take_one(Ingesting& ingesting, bool& waiting) {
        Catalog& catalog = ingesting.context().catalog;
        LeaseTable* const leases = catalog.leases();
        TRY_ASSIGN(const std::vector<MediumWork> media, to_do(catalog));
        for (const MediumWork& medium : media) {
            if (is_resting(ingesting, medium.medium_hash)) continue;
            if (!medium.has_pending && medium.leases == 0) {
                TRY_ASSIGN(const bool is_concluded, conclude_copied(ingesting.context(), medium.medium_hash));
                if (!is_concluded) rest(ingesting, medium.medium_hash);  // what is left of it is not for workers
                continue;
            }
            if (leases != nullptr) {
                TRY_ASSIGN(options_.work.first, leases->take(medium.medium_hash, options_.copy.worker_id, options_.work.lease, options_.work.since));
                if (!options_.work.first) {
                    TRY_ASSIGN(const bool leased, leases->is_leased(medium.medium_hash));
                    waiting = waiting || leased;
                    continue;
                }
            }
            if (limit_ != 0) options_.copy.limit = limit_ - files_;
            const Result<IngestReport> report = copy_medium(ingesting.context(), medium.medium_hash, options_);
            if (leases != nullptr && !report.ok()) leases->give_back(*options_.work.first).ignore("it is given back already, or runs out by itself");
            if (!report.ok() && report.error().code == ErrorCode::unavailable) return report.error();
            if (!report.ok() && report.error().code == ErrorCode::busy) {  // it is being listed
                waiting = true;
                continue;
            }
            ++media_;
            TRY_ASSIGN(const Exit exit, ingesting.tell(medium.medium_hash, report));
            if (report.ok()) files_ += report->copy.files;
            // What is pending for now may be others' work: that is seen at the end.
            if (exit != Exit::work_left) exit_ = worst(exit_, exit);
            bool others_work = false;
            if (leases != nullptr) {
                TRY_ASSIGN(others_work, leases->is_leased(medium.medium_hash));
            }
            // Without leases what this run has tried is not tried again; with them, the rounds see to that.
            const bool tried = follow_ ? exit == Exit::work_left && !others_work : leases == nullptr;
            if (tried || !report.ok() || report->copy.parked || report->copy.untried)
                rest(ingesting, medium.medium_hash);
            else
                resting_.erase(medium.medium_hash);
            return true;
        }
        return false;
    }

    // Media that are enumerated and not copied.
    static Result<std::vector<MediumWork>> to_do(Catalog& catalog) {
        if (catalog.leases() != nullptr) return catalog.leases()->media_with_work();
        std::vector<MediumWork> out;
        TRY_ASSIGN(const std::vector<MediumRow> media, catalog.media());
        for (const MediumRow& medium : media) {
            if (!medium.enum_done) continue;
            TRY_ASSIGN(const MediumKey key, catalog.medium_key(medium.medium_hash));
            TRY_ASSIGN(const Totals totals, catalog.totals(key));
            if (totals.pending > 0 || !medium.copy_done) out.push_back({medium.medium_hash, medium.image_path, 0, totals.pending > 0, medium.copy_done.has_value()});
        }
        return out;
    }

    // In this run; with --follow, until its rest is over.
    bool is_resting(const Ingesting& ingesting, const std::string& medium_hash) const {
        const auto resting = resting_.find(medium_hash);
        return resting != resting_.end() && (!follow_ || ingesting.context().clock.monotonic_us() < resting->second.until_us);
    }
    void rest(const Ingesting& ingesting, const std::string& medium_hash) {
        Rest& rest = resting_[medium_hash];
        rest.length_us = std::clamp(2 * rest.length_us, kFirstRestUs, kLongestRestUs);
        rest.until_us = ingesting.context().clock.monotonic_us() + rest.length_us;
    }

    // --follow: what was put back into the queue, or could not be had, is due again.
    Result<void> begin_anew(Catalog& catalog) {
        if (catalog.leases() == nullptr) return {};
        TRY_ASSIGN(options_.work.since, catalog.leases()->now());
        return {};
    }

    bool limit_reached() const { return limit_ != 0 && files_ >= limit_; }

    bool follow_ = false;
    std::string worker_id_;
    CopyingOptions copying_;
    IngestOptions options_;
    uint64_t limit_ = 0, files_ = 0, media_ = 0;
    struct Rest {
        int64_t until_us = 0, length_us = 0;
    };
    std::map<std::string, Rest> resting_;  // media of which something is not to be had on this host
    Exit exit_ = Exit::done;
    bool progressed_ = false;
    bool shares_ = false;  // the catalog, with others
};

}  // namespace

std::unique_ptr<Command> make_work_command() { return std::make_unique<WorkCommand>(); }

}  // namespace ntt::cli
