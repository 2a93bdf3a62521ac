// The catalog: what was found on each medium and what became of it. Implementations: sqlite/ (one machine), postgres/ (many).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "catalog/leases.h"
#include "catalog/rows.h"
#include "os/env.h"

namespace ntt {

// Internal key of a medium.
enum class MediumKey : int64_t {};

// Ends with commit(); rolls back when destroyed without it.
class CatalogTransaction {
public:
    virtual ~CatalogTransaction() = default;
    virtual Result<void> commit() = 0;
};

// Something that one process has at a time; it ends with this object and with its process.
class CatalogLock {
public:
    virtual ~CatalogLock() = default;
};

// One connection. Used by one thread at a time. Errors: busy (another process writes; after a wait), schema,
// catalog_damaged, no_space, io; of a server also unavailable (the connection is lost: open another). Writing calls outside a
// transaction are each a transaction of their own. Inside one, errors of rows that are added may come with a later call,
// at the latest with commit().
class Catalog {
public:
    virtual ~Catalog() = default;

    virtual Result<int> schema_version() = 0;

    // --- transactions and locks ---
    virtual Result<std::unique_ptr<CatalogTransaction>> begin() = 0;
    // A lock that other processes on this catalog see and that dies with its owner. `name`: letters, digits, '-'.
    // busy if it is taken. Independent of transactions. Must not outlive the catalog.
    enum class Sharing { alone, with_others };
    virtual Result<std::unique_ptr<CatalogLock>> lock(const std::string& name, Sharing sharing = Sharing::alone) = 0;

    // --- media, images, volumes ---
    virtual Result<MediumKey> add_medium(const MediumRow& row) = 0;          // already_exists if the hash is known
    virtual Result<void> update_medium(const MediumRow& row) = 0;            // all columns but medium_hash and added_at
    // Gives a medium that is being enumerated its hash, once that is known; already_exists if it is taken.
    virtual Result<void> rename_medium(MediumKey medium, const std::string& medium_hash) = 0;
    virtual Result<std::optional<MediumRow>> medium(const std::string& medium_hash) = 0;
    virtual Result<std::vector<MediumRow>> media() = 0;                      // in order of added_at
    // The newest whose image or folder lies at this path and that was named by its content.
    virtual Result<std::optional<MediumRow>> medium_at(const std::string& image_path) = 0;
    virtual Result<MediumKey> medium_key(const std::string& medium_hash) = 0;
    // By hash, unique prefix of a hash, or label: not_found, or invalid_argument naming the candidates if several fit.
    virtual Result<MediumRow> resolve_medium(const std::string& text) = 0;
    virtual Result<int64_t> add_image(const ImageRow& row) = 0;
    virtual Result<void> update_image(const ImageRow& row) = 0;              // path, digest and map columns, by image_id
    virtual Result<std::vector<ImageRow>> images(const std::string& medium_hash) = 0;
    virtual Result<bool> has_image_of_size(uint64_t size_bytes) = 0;
    virtual Result<void> put_volume(const VolumeRow& row) = 0;               // insert, or update by (medium, volume)
    virtual Result<std::vector<VolumeRow>> volumes(const std::string& medium_hash) = 0;

    // --- enumeration: hot, prepared, meant for one long transaction ---
    virtual Result<void> add_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) = 0;
    virtual Result<void> add_path(MediumKey medium, const PathRow& row) = 0;
    virtual Result<void> add_finding(MediumKey medium, const Finding& finding, const std::string& at) = 0;
    // After all paths are in: inodes of which every path has an exclude_reason become excluded.
    virtual Result<uint64_t> mark_excluded(MediumKey medium) = 0;
    // Statistics for the query planner, after a large load.
    virtual Result<void> analyze() = 0;

    // --- verdicts made anew (a changed map), cross links, volumes that are listed again ---
    // Visits each regular file's inode, done ones too, in an order of the catalog's own. Do not write meanwhile.
    virtual Result<void> for_each_inode(MediumKey medium, std::optional<int> volume,
                                        const std::function<Result<void>(const InodeRow&)>& visit) = 0;
    // Replaces an inode's verdict and, when `requeue`, puts it back into the queue.
    enum class Requeue { no, yes };
    virtual Result<void> set_verdict(MediumKey medium, int volume, int64_t ino, std::optional<Cause> cause,
                                     uint64_t missing_bytes, const std::optional<std::string>& evidence,
                                     std::span<const MissingRow> missing, Requeue requeue) = 0;

    // An inode that is there and that another listing shows to be another: all of it but its recorded errors, which no
    // longer count. not_found if it is not there.
    virtual Result<void> replace_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) = 0;

    // --- copying ---
    // Row keys of all pending regular files (copied=false AND claimed_by IS NULL), in order of first_offset. Of use to this
    // object only, until the next call.
    // `volumes`: of these only; null: of all.
    virtual Result<std::vector<int64_t>> pending_rows(MediumKey medium, const std::set<int>* volumes = nullptr) = 0;
    virtual Result<std::vector<WorkItem>> work_items(MediumKey medium, std::span<const int64_t> rows) = 0;
    // The first names of an inode, kMaxPathsTried of them, for content that is reached by one of them.
    static constexpr int kMaxPathsTried = 64;
    virtual Result<std::vector<std::string>> paths(MediumKey medium, int volume, int64_t ino) = 0;
    // One transaction: blobs, blob_location, inode rows, missing ranges, events.
    virtual Result<void> commit_outcomes(MediumKey medium, const std::string& store_id, std::span<const CopyOutcome> outcomes,
                                         std::span<const EventRow> events, const std::string& at) = 0;
    // How several workers share media; null where a catalog is of one machine.
    virtual LeaseTable* leases() { return nullptr; }
    // Until the next call: pending_rows() are those of the lease's range, and commit_outcomes() is refused with lease_lost once
    // another has it. nullopt: everything, unasked.
    virtual void work_under(std::optional<Lease> /*lease*/) {}
    virtual Result<Totals> totals(MediumKey medium) = 0;
    // Inodes with `limit` or more recorded errors that are pending become MAX_RETRIES_EXCEEDED, but for those of which a verdict
    // says what can be read: that is still to be had. Returns how many.
    virtual Result<uint64_t> give_up_on_errors(MediumKey medium, int limit, const std::string& at) = 0;
    virtual Result<uint64_t> requeue(const RequeueFilter& filter) = 0;

    // --- reading ---
    // In order of medium, volume, entry. The visitor may stop early with ErrorCode::limit, which is then not an error.
    virtual Result<void> files(const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit) = 0;
    virtual Result<std::optional<InodeRow>> inode(const std::string& medium_hash, int volume, int64_t ino) = 0;
    virtual Result<std::vector<MissingRow>> missing_ranges(const std::string& medium_hash, int volume, int64_t ino) = 0;
    virtual Result<std::vector<FindingRow>> findings(const std::string& medium_hash) = 0;
    virtual Result<void> events(const EventFilter& filter, const std::function<Result<void>(const EventRow&)>& visit) = 0;
    virtual Result<void> add_events(std::span<const EventRow> events) = 0;
    // Rebuilds problems.diagnostic_events (newest 1000) and diagnostic_events_total from the table.
    virtual Result<void> rebuild_problem_events(const std::string& medium_hash) = 0;

    // --- blobs ---
    virtual Result<std::optional<BlobRow>> blob(BlobKind kind, const BlobId& id) = 0;
    // Those of `ids` that the catalog has, in any order.
    virtual Result<std::vector<BlobRow>> known_blobs(BlobKind kind, std::span<const BlobId> ids) = 0;
    // Contents that lie in a store already, for files that are added as stored. catalog_damaged for one that is known with another size.
    virtual Result<void> add_blobs(const std::string& store_id, std::span<const BlobRow> blobs) = 0;
    // By kind and blobid: all, or those that lie in this store. A store that the catalog does not know is one that lost everything:
    // all.
    virtual Result<void> for_each_blob(const std::function<Result<void>(const BlobRow&)>& visit, const std::optional<std::string>& store_id = {}) = 0;
    virtual Result<void> mark_verified(std::span<const BlobRow> blobs, const std::string& at) = 0;
    // Inodes whose blobid or partial_blobid has no row in blob.
    virtual Result<std::vector<BlobProblem>> rows_without_blob(size_t limit) = 0;
};

// Opens a catalog and migrates it to this program's schema; a file is created, a database of a server is not. URL:
// "sqlite:FILE" or "postgresql://…" as libpq takes it. schema: made by a newer program. `vfs` names an SQLite VFS, for tests.
struct CatalogOptions {
    std::string vfs;
    int busy_timeout_ms = 60'000;
};
Result<std::unique_ptr<Catalog>> open_catalog(Env& env, const Clock& clock, const std::string& url, const CatalogOptions& options = {});

// For implementations: the one medium that `text` can mean; not_found, or invalid_argument naming the candidates.
Result<MediumRow> only_candidate(const std::string& text, std::vector<MediumRow> candidates);
Error unknown_medium(const std::string& text);
// Whether `name` can name a lock.
Result<void> check_lock_name(const std::string& name);
constexpr size_t kShortestPrefix = 4;  // of a hash, that a medium is looked up by

}  // namespace ntt
