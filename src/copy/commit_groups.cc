#include "copy/commit_groups.h"

#include <algorithm>
#include <utility>

#include "base/kill_point.h"
#include "copy/records.h"
#include "diagnose/verdict.h"

namespace ntt {

Result<bool> claim(Finished& out, InFlight& in_flight, Store& store) {
    if (!in_flight.claim(out.kind(), out.id(), out.outcome)) {
        out.waits = true;
        return false;
    }
    TRY_ASSIGN(const Presence presence, store.look(out.kind(), out.id(), out.outcome.blob_size));
    return presence != Presence::present;
}

size_t CommitGroups::files_of_a_group(const Store& store, const CopyOptions& options) {
    const size_t possible = store.max_group() / 2;
    return std::max<size_t>(1, options.group_files == 0 ? possible : std::min(options.group_files, possible));
}

CommitGroups::CommitGroups(const CopyTarget& target, const CopyOptions& options, CopyReport& report, std::function<void(size_t, uint64_t)> published)
    : target_(target), options_(options), report_(report), published_(std::move(published)), group_files_(files_of_a_group(target.store, options)) {}

Result<void> CommitGroups::add(Finished item) {
    ++target_.progress.files_done;
    ++target_.progress.signs_of_life;
    target_.progress.bytes_done += item.outcome.blob_size;
    report_.bytes += item.bytes_read;
    ++report_.files;
    if (item.waits) return {};
    if (group_.empty()) group_since_us_ = target_.clock.monotonic_us();
    if (item.staged) {
        ++group_staged_;
        group_bytes_ += item.staged->size();
    }
    group_.push_back(std::move(item));
    return group_staged_ >= group_files_ ? commit() : Result<void>();
}

bool CommitGroups::is_due() const {
    if (group_.empty()) return false;
    return group_staged_ >= group_files_ || group_.size() >= 4 * group_files_ || group_bytes_ >= options_.group_bytes ||
           target_.clock.monotonic_us() - group_since_us_ >= options_.group_us;
}

Result<void> CommitGroups::commit() {
    std::optional<Publishing> before = std::exchange(publishing_, std::nullopt);
    if (before) before->done.wait();
    if (!group_.empty() || !events_.empty()) publishing_ = publish();
    return before ? record(std::move(*before)) : Result<void>();
}

Result<void> CommitGroups::finish() {
    TRY(commit());
    return commit();  // the one that is being published
}

CommitGroups::Publishing CommitGroups::publish() {
    Publishing out;
    std::vector<StagedBlob> staged;
    for (Finished& item : group_) {
        if (item.staged) {
            out.staged.push_back(out.outcomes.size());
            staged.push_back(std::move(*item.staged));
        }
        if (item.outcome.cause && !item.outcome.is_told) events_.push_back(skip_event(target_.medium_hash, item.outcome, options_.worker_id, ""));
        out.outcomes.push_back(std::move(item.outcome));
    }
    out.events = std::exchange(events_, {});
    group_.clear();
    group_staged_ = 0;
    const uint64_t bytes = std::exchange(group_bytes_, 0);
    out.done = std::async(std::launch::async, [this, bytes, group = std::move(staged)]() mutable {
        const size_t count = group.size();
        Result<std::vector<Published>> published = target_.store.commit(std::move(group));
        published_(count, bytes);
        return published;
    });
    return out;
}

// The rows that name what is stored.
Result<void> CommitGroups::record(Publishing group) {
    TRY_ASSIGN(const std::vector<Published> published, group.done.get());
    kill_point("copy.published");
    std::vector<CopyOutcome>& outcomes = group.outcomes;
    for (size_t i = 0; i < published.size(); ++i) {
        CopyOutcome& outcome = outcomes[group.staged[i]];
        outcome.fresh = published[i] == Published::fresh;
        if (!outcome.fresh) continue;
        ++report_.fresh_blobs;
        report_.fresh_bytes += outcome.blob_size;
    }
    const std::string now = iso8601_utc(target_.clock.wall_us());
    const size_t with_blob = outcomes.size();
    for (size_t i = 0; i < with_blob; ++i) {
        const std::optional<BlobId> whole = outcomes[i].blobid, partial = outcomes[i].partial_blobid;
        if (!whole && !partial) continue;
        for (CopyOutcome& waiter : in_flight_.settle(partial ? BlobKind::partial : BlobKind::whole, partial ? *partial : *whole)) {
            if (waiter.cause && !waiter.is_told) group.events.push_back(skip_event(target_.medium_hash, waiter, options_.worker_id, now));
            outcomes.push_back(std::move(waiter));
        }
    }
    for (const CopyOutcome& outcome : outcomes)
        if ((outcome.blobid || outcome.partial_blobid) && !outcome.fresh) ++report_.deduplicated;
    for (EventRow& event : group.events)
        if (event.timestamp.empty()) event.timestamp = now;
    TRY(target_.catalog.commit_outcomes(target_.medium, target_.store.id(), outcomes, group.events, now));
    for (const QuarantineEvent& event : target_.store.take_quarantine_events())
        TRY(target_.catalog.add_finding(target_.medium, quarantine_finding(event), now));
    kill_point("copy.committed");
    for (const EventRow& event : group.events)
        if (event.action == "skipped")
            target_.log.debug("⏭️  SKIPPED ino={} reason={} retry={}", event.ino.value_or(0), reason_of(*event.cause), event.retry_count);
    return {};
}

}  // namespace ntt
