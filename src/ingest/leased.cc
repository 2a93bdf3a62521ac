#include "ingest/leased.h"

#include <chrono>
#include <thread>
#include <utility>

#include "ingest/ingest.h"

namespace ntt {

namespace {

constexpr auto kPoll = std::chrono::milliseconds(500);

// The next range; nullopt: there is none for this run, or it was cancelled. While others have the rest it may still come back: a worker
// that dies leaves it.
Result<std::optional<Lease>> next_lease(const IngestContext& context, LeaseTable& leases, const std::string& medium_hash, const std::string& worker_id,
                                        const WorkTerms& terms) {
    for (bool told = false; !context.cancel.cancelled();) {
        TRY_ASSIGN(std::optional<Lease> lease, leases.take(medium_hash, worker_id, terms.lease, terms.since));
        if (lease || !terms.waits) return lease;
        TRY_ASSIGN(const bool others_work, leases.is_leased(medium_hash));
        if (!others_work) return lease;
        if (!std::exchange(told, true)) context.log.info("the rest of {} is in the hands of other workers; waiting for them (ntt workers)", medium_hash);
        std::this_thread::sleep_for(kPoll);
    }
    return std::optional<Lease>();
}

}  // namespace

Result<CopyReport> copy_leased(const IngestContext& context, const std::string& medium_hash, const CopyOptions& options, const WorkTerms& terms,
                               const std::function<Result<CopyReport>(const CopyOptions&)>& copy) {
    LeaseTable* const leases = context.catalog.leases();
    if (leases == nullptr) return copy(options);
    CopyReport sum;
    std::optional<Lease> lease = terms.first;
    CopyOptions of_range = options;
    while (!context.cancel.cancelled() && !sum.parked && !sum.untried) {
        if (options.limit != 0 && sum.files >= options.limit) break;
        if (options.limit != 0) of_range.limit = options.limit - sum.files;
        if (!lease) {
            TRY_ASSIGN(lease, next_lease(context, *leases, medium_hash, options.worker_id, terms));
        }
        if (!lease) break;
        ++context.progress.signs_of_life;  // else one that had waited for long would not keep it
        context.log.debug("lease {} of {} with fence {}", lease->id, medium_hash, lease->fence);
        context.catalog.work_under(lease);
        const Result<CopyReport> copied = copy(of_range);
        context.catalog.work_under(std::nullopt);
        if (!copied.ok() && copied.error().code == ErrorCode::lease_lost) {
            context.log.warn("{}", copied.error().text());
            lease.reset();
            continue;
        }
        if (!copied.ok()) {
            leases->give_back(*lease).ignore("it runs out by itself");
            return copied.error();
        }
        sum.add(*copied);
        // What was not tried here is somebody else's, or another run's.
        const bool is_done = !copied->interrupted && !copied->parked && !copied->untried;
        const Result<void> ended = is_done ? leases->finish(*lease) : leases->give_back(*lease);
        if (!ended.ok() && ended.error().code != ErrorCode::lease_lost) return ended.error();
        lease.reset();
    }
    if (lease) leases->give_back(*lease).ignore("it runs out by itself");
    sum.interrupted = sum.interrupted || context.cancel.cancelled();
    return sum;
}

}  // namespace ntt
