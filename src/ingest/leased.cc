#include "ingest/leased.h"

#include "ingest/ingest.h"

namespace ntt {

Result<CopyReport> copy_leased(const IngestContext& context, const std::string& medium_hash, const CopyOptions& options, const WorkTerms& terms,
                               const std::function<Result<CopyReport>(const CopyOptions&)>& copy) {
    LeaseTable* const leases = context.catalog.leases();
    if (leases == nullptr) return copy(options);
    CopyReport sum;
    std::optional<Lease> lease = terms.first;
    CopyOptions of_range = options;
    while (!context.cancel.cancelled() && !sum.parked) {
        if (options.limit != 0 && sum.files >= options.limit) break;
        if (options.limit != 0) of_range.limit = options.limit - sum.files;
        if (!lease) {
            TRY_ASSIGN(lease, leases->take(medium_hash, options.worker_id, terms.lease, terms.since));
        }
        if (!lease) return sum;
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
        const Result<void> ended = copied->interrupted ? leases->give_back(*lease) : leases->finish(*lease);
        if (!ended.ok() && ended.error().code != ErrorCode::lease_lost) return ended.error();
        lease.reset();
    }
    if (lease) leases->give_back(*lease).ignore("it runs out by itself");
    sum.interrupted = sum.interrupted || context.cancel.cancelled();
    return sum;
}

}  // namespace ntt
