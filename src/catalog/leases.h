// How several workers share one medium's queue: time-limited rights to ranges of it, in disk order.
//
// A lease has an owner, an end, and a fence: a number that grows whenever a lease changes hands. A worker that was stopped past
// its end and goes on cannot do harm: its commit names an old fence and is refused (lease_lost). All times are the
// database's. Nothing is locked while files are read.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace ntt {

struct LeaseTerms {
    std::chrono::milliseconds heartbeat{10'000};  // between signs of life
    std::chrono::milliseconds end{60'000};        // without one: the lease is anybody's
    std::chrono::milliseconds stall{300'000};     // a worker that does not get on for so long keeps no lease: it hangs
    uint64_t files = 10'000;                      // in a range, at most; up to 16 times as many for a worker that is alone
};

// A range of one medium's queue. The range itself stands in the catalog.
struct Lease {
    int64_t id = 0;
    std::string medium_hash;
    int64_t fence = 0;
};

// A worker that has not ended, and what it has.
struct WorkerRow {
    std::string worker_id, host;
    int process = 0;
    std::string started_at, heartbeat_at;
    double silent_seconds = 0;                // since its last sign of life
    uint64_t files = 0, bytes = 0;            // committed since it started
    double files_a_second = 0;
    std::optional<std::string> medium_hash;   // of its lease
    std::optional<std::string> medium_human;
    std::optional<int64_t> first_offset;      // where its range begins
    std::optional<double> lease_seconds_left; // negative: it ran out
};

// A medium that is enumerated, and has files to be copied, is being copied, or ended without a word.
struct MediumWork {
    std::string medium_hash, image_path;
    uint64_t leases = 0;     // that have not run out
    bool has_pending = false;
    bool is_concluded = false;  // its end is recorded; else whoever finds nothing left to do does that
};

// What is known of an image's digest on a host. Without either: take it, and put_digest().
struct ToldDigest {
    std::optional<BlobId> digest;
    bool is_being_taken = false;  // by another worker
};

// Keeps a worker's row, its leases and its claims alive from a thread of its own, over a connection of its own, until it goes; the leases
// only while the worker gets on.
class Heartbeat {
public:
    virtual ~Heartbeat() = default;
};

class LeaseTable {
public:
    virtual ~LeaseTable() = default;

    // The database's time, as timestamps have it.
    virtual Result<std::string> now() = 0;

    // Says that a worker begins, and keeps saying that it lives. `signs_of_life` rises while it gets on, and outlives the
    // heartbeat. One that had this name before is replaced, and has
    // lost its leases.
    virtual Result<std::unique_ptr<Heartbeat>> start_worker(const std::string& worker_id, const std::string& host, int process, const LeaseTerms& terms,
                                                                    const std::atomic<uint64_t>& signs_of_life) = 0;
    virtual Result<void> end_worker(const std::string& worker_id) = 0;
    virtual Result<std::vector<WorkerRow>> workers() = 0;

    // Media to be worked on: those that fewest work on first, then the oldest.
    virtual Result<std::vector<MediumWork>> media_with_work() = 0;

    // A range of the medium's pending files that nobody has: one that ran out, else the next. nullopt: all of it is handed out.
    // When all ranges have been handed out and have ended, what is still pending is handed out once more, if the round that
    // ended began before `since`: so that what cannot be read now is not tried without end.
    virtual Result<std::optional<Lease>> take(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms, const std::string& since) = 0;
    // Whether somebody has a range of it.
    virtual Result<bool> is_leased(const std::string& medium_hash) = 0;
    // The range is done: what is still pending in it waits for the next round.
    virtual Result<void> finish(const Lease& lease) = 0;
    // The range is not done: anybody may take it at once.
    virtual Result<void> give_back(const Lease& lease) = 0;

    // So that not every worker reads all of an image for its digest. `image`: what fingerprint_of() (ingest/identify.h) says. Whoever takes
    // the digest, or has it in hand, says so with hold_image(); what nobody has held for `end` is forgotten.
    virtual Result<ToldDigest> ask_for_digest(const std::string& image, const std::string& worker_id, std::chrono::milliseconds end) = 0;
    // nullopt: it could not be taken. Then whoever waits tries for himself.
    virtual Result<void> put_digest(const std::string& image, const std::string& worker_id, const std::optional<BlobId>& digest) = 0;
    // From now on the heartbeat says that this worker has the image open; nullopt: none.
    virtual void hold_image(const std::optional<std::string>& image) = 0;
};

}  // namespace ntt
