// What was read goes into store and catalog in groups: contents first, then the rows that name them.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <vector>

#include "base/result.h"
#include "catalog/rows.h"
#include "copy/copier.h"
#include "copy/in_flight.h"
#include "store/store.h"

namespace ntt {

// One file's result on its way to the commit.
struct Finished {
    CopyOutcome outcome;
    std::optional<StagedBlob> staged;
    uint64_t bytes_read = 0;
    bool waits = false;  // its outcome travels with the first file of the same content

    BlobKind kind() const { return outcome.partial_blobid ? BlobKind::partial : BlobKind::whole; }
    const BlobId& id() const { return outcome.partial_blobid ? *outcome.partial_blobid : *outcome.blobid; }
};

// Whether the content must be staged: it is neither in the store nor on its way there. Thread-safe.
Result<bool> claim(Finished& out, InFlight& in_flight, Store& store);

// One thread, but for in_flight().
class CommitGroups {
public:
    // How many contents are committed together.
    static size_t files_of_a_group(const Store& store, const CopyOptions& options);

    // `published` is told, by another thread, how many contents and bytes have their names. `report` is kept up to date. All of it
    // outlives this.
    CommitGroups(const CopyTarget& target, const CopyOptions& options, CopyReport& report, std::function<void(size_t, uint64_t)> published);

    // Takes a result in; commits when the group is full.
    Result<void> add(Finished item);
    // To be written with the rows of the next group.
    void add_event(EventRow event) { events_.push_back(std::move(event)); }
    // Whether a group is large or old enough.
    bool is_due() const;
    // Sends the collected group to the store, and commits the rows of the one that went before.
    Result<void> commit();
    // Commits everything.
    Result<void> finish();

    InFlight& in_flight() { return in_flight_; }

private:
    // A group on its way: its contents are published by a thread of their own while this one commits the rows of the group
    // before and collects the one behind.
    struct Publishing {
        std::vector<CopyOutcome> outcomes;
        std::vector<size_t> staged;  // index into outcomes for each content that is being published
        std::vector<EventRow> events;
        std::future<Result<std::vector<Published>>> done;
    };
    Publishing publish();
    Result<void> record(Publishing group);

    const CopyTarget& target_;
    const CopyOptions& options_;
    CopyReport& report_;
    const std::function<void(size_t, uint64_t)> published_;
    const size_t group_files_;
    InFlight in_flight_;
    std::vector<Finished> group_;
    std::vector<EventRow> events_;
    size_t group_staged_ = 0;
    uint64_t group_bytes_ = 0;
    int64_t group_since_us_ = 0;
    std::optional<Publishing> publishing_;
};

}  // namespace ntt
