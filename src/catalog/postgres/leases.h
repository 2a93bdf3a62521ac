#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "catalog/leases.h"
#include "catalog/postgres/connection.h"

namespace ntt::postgres {

// The part of a range that a lease gives, in the order of inode_pending.
struct QueueRange {
    int64_t first_offset = 0, first_ino = 0;
    int first_volume = 0;
    std::optional<int64_t> end_offset, end_ino;  // absent: to the end
    std::optional<int> end_volume;
};

// `connection` outlives it; `url` is where heartbeats go.
class PostgresLeases final : public LeaseTable {
public:
    PostgresLeases(Connection& connection, std::string url) : db_(connection), url_(std::move(url)) {}

    Result<std::string> now() override;
    Result<std::unique_ptr<Heartbeat>> start_worker(const std::string& worker_id, const std::string& host, int process, const LeaseTerms& terms,
                                                    const std::atomic<uint64_t>& signs_of_life) override;
    Result<void> end_worker(const std::string& worker_id) override;
    Result<std::vector<WorkerRow>> workers() override;
    Result<std::vector<MediumWork>> media_with_work() override;
    Result<std::optional<Lease>> take(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms, const std::string& since) override;
    Result<bool> is_leased(const std::string& medium_hash) override;
    Result<void> finish(const Lease& lease) override;
    Result<void> give_back(const Lease& lease) override;
    Result<ToldDigest> ask_for_digest(const std::string& image, const std::string& worker_id, std::chrono::milliseconds end) override;
    Result<void> put_digest(const std::string& image, const std::string& worker_id, const std::optional<BlobId>& digest) override;
    void hold_image(const std::optional<std::string>& image) override;

    // What the heartbeat's thread is to know.
    struct HeldImage {
        std::mutex mutex;
        std::optional<std::string> image;
    };

    // lease_lost if it has another fence by now. Inside a transaction nobody takes the lease until that ends.
    Result<QueueRange> range_of(const Lease& lease);
    // As range_of(), and counts what is committed.
    Result<void> hold(const Lease& lease, uint64_t files, uint64_t bytes);

private:
    Result<std::optional<Lease>> take_over(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms);
    Result<std::optional<Lease>> take_next(const std::string& medium_hash, const std::string& worker_id, const LeaseTerms& terms, const std::string& since);

    Result<void> note_drained(const std::string& medium_hash);
    Result<uint64_t> files_of_range(const std::string& worker_id, const LeaseTerms& terms);

    Connection& db_;
    const std::string url_;
    const std::shared_ptr<HeldImage> held_ = std::make_shared<HeldImage>();
    std::chrono::milliseconds end_ = LeaseTerms().end;  // of the leases that were taken here
};

}  // namespace ntt::postgres
