// The catalog in a PostgreSQL database. Schema: ../schema/postgres. Its parts: postgres_catalog.cc (opening, transactions,
// locks, what is buffered), media.cc, enumeration.cc, copying.cc, listing.cc, leases.cc.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "catalog/catalog.h"
#include "catalog/postgres/connection.h"
#include "catalog/postgres/fields.h"
#include "catalog/postgres/leases.h"

namespace ntt::postgres {

Result<std::unique_ptr<Catalog>> open_postgres_catalog(const Clock& clock, const std::string& url, const CatalogOptions& options);

class PostgresCatalog final : public Catalog {
public:
    PostgresCatalog(std::string url, ConnectionOptions options, std::unique_ptr<Connection> connection)
        : url_(std::move(url)), options_(options), db_(std::move(connection)), leases_(*db_, url_) {}

    Result<int> schema_version() override;
    Result<std::unique_ptr<CatalogTransaction>> begin() override;
    Result<std::unique_ptr<CatalogLock>> lock(const std::string& name, Sharing sharing) override;

    Result<MediumKey> add_medium(const MediumRow& row) override;
    Result<void> update_medium(const MediumRow& row) override;
    Result<void> rename_medium(MediumKey medium, const std::string& medium_hash) override;
    Result<std::optional<MediumRow>> medium(const std::string& medium_hash) override;
    Result<std::vector<MediumRow>> media() override;
    Result<std::optional<MediumRow>> medium_at(const std::string& image_path) override;
    Result<MediumKey> medium_key(const std::string& medium_hash) override;
    Result<MediumRow> resolve_medium(const std::string& text) override;
    Result<int64_t> add_image(const ImageRow& row) override;
    Result<void> update_image(const ImageRow& row) override;
    Result<std::vector<ImageRow>> images(const std::string& medium_hash) override;
    Result<bool> has_image_of_size(uint64_t size_bytes) override;
    Result<void> put_volume(const VolumeRow& row) override;
    Result<std::vector<VolumeRow>> volumes(const std::string& medium_hash) override;

    Result<void> add_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) override;
    Result<void> add_path(MediumKey medium, const PathRow& row) override;
    Result<void> add_finding(MediumKey medium, const Finding& finding, const std::string& at) override;
    Result<uint64_t> mark_excluded(MediumKey medium) override;
    Result<void> analyze() override;

    Result<void> for_each_inode(MediumKey medium, std::optional<int> volume,
                                const std::function<Result<void>(const InodeRow&)>& visit) override;
    Result<void> set_verdict(MediumKey medium, int volume, int64_t ino, std::optional<Cause> cause, uint64_t missing_bytes,
                             const std::optional<std::string>& evidence, std::span<const MissingRow> missing,
                             Requeue requeue) override;
    Result<void> replace_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) override;

    Result<std::vector<int64_t>> pending_rows(MediumKey medium, const std::set<int>* volumes) override;
    Result<std::vector<WorkItem>> work_items(MediumKey medium, std::span<const int64_t> rows) override;
    Result<std::vector<std::string>> paths(MediumKey medium, int volume, int64_t ino) override;
    Result<void> commit_outcomes(MediumKey medium, const std::string& store_id, std::span<const CopyOutcome> outcomes,
                                 std::span<const EventRow> events, const std::string& at) override;
    LeaseTable* leases() override { return &leases_; }
    void work_under(std::optional<Lease> lease) override { lease_ = std::move(lease); }
    Result<Totals> totals(MediumKey medium) override;
    Result<uint64_t> give_up_on_errors(MediumKey medium, int limit, const std::string& at) override;
    Result<uint64_t> requeue(const RequeueFilter& filter) override;

    Result<void> files(const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit) override;
    Result<std::optional<InodeRow>> inode(const std::string& medium_hash, int volume, int64_t ino) override;
    Result<std::vector<MissingRow>> missing_ranges(const std::string& medium_hash, int volume, int64_t ino) override;
    Result<std::vector<FindingRow>> findings(const std::string& medium_hash) override;
    Result<void> events(const EventFilter& filter, const std::function<Result<void>(const EventRow&)>& visit) override;
    Result<void> add_events(std::span<const EventRow> events) override;
    Result<void> rebuild_problem_events(const std::string& medium_hash) override;

    Result<std::optional<BlobRow>> blob(BlobKind kind, const BlobId& id) override;
    Result<std::vector<BlobRow>> known_blobs(BlobKind kind, std::span<const BlobId> ids) override;
    Result<void> add_blobs(const std::string& store_id, std::span<const BlobRow> blobs) override;
    Result<void> for_each_blob(const std::function<Result<void>(const BlobRow&)>& visit, const std::optional<std::string>& store_id) override;
    Result<void> mark_verified(std::span<const BlobRow> blobs, const std::string& at) override;
    Result<std::vector<BlobProblem>> rows_without_blob(size_t limit) override;

private:
    friend class PostgresTransaction;
    friend class AdvisoryLock;

    // Of each medium: its volumes, and the first entry that was added to them in this transaction.
    using AddedPaths = std::map<MediumKey, std::map<int, int64_t>>;

    // A transaction of its own, or nothing inside one that has begun.
    Result<std::optional<Scope>> scope();
    static Result<void> commit(std::optional<Scope>& scope) { return scope ? scope->commit() : Result<void>(); }
    // Sends what add_inode() and add_path() gathered. Every other call that reads or writes begins with it.
    Result<void> flush();
    Result<void> flush_if_due();
    void forget_added();
    Result<void> check_added_paths();
    bool take_analysis_due();  // whether what the transaction added asks for ANALYZE behind it
    void analyze_beside();

    // Runs a query of any length in pieces, so that `visit` can ask the catalog for more meanwhile.
    template <typename... Parameters>
    Result<void> each_row(const std::string& sql, const std::function<Result<void>(Rows&)>& visit, const Parameters&... parameters);

    Result<std::string> hash_of(MediumKey medium);
    Result<void> add_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing);
    Result<void> replace_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing);
    Result<int64_t> store_key(const std::string& store_id);
    Result<void> record_blobs(std::span<const CopyOutcome> outcomes, int64_t store, const std::string& at);
    Result<void> put_blobs(const std::map<std::pair<BlobId, BlobKind>, BlobRow>& blobs, int64_t store);
    Result<void> record_ranges(const std::string& medium_hash, std::span<const CopyOutcome> outcomes);
    // nullopt: of all media, with a filter that knows the name.
    Result<void> files_of(const std::optional<std::string>& medium_hash, const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit);

    const std::string url_;
    const ConnectionOptions options_;
    std::unique_ptr<Connection> db_;
    std::unique_ptr<Connection> locks_;  // holds the advisory locks, whatever becomes of transactions
    std::set<std::string> held_;

    PostgresLeases leases_;
    std::optional<Lease> lease_;  // under which this works

    CopyStream inodes_, paths_, ranges_;
    AddedPaths added_;
    uint64_t inodes_added_ = 0, rows_added_ = 0;  // in this transaction; rows: names too
    bool analyze_at_end_ = false;
    std::future<Result<void>> analysis_;  // on a connection of its own
    int cursors_ = 0;

    std::vector<std::pair<int, int64_t>> queue_;  // volume and inode of each row key of the last pending_rows()
    MediumKey hashed_medium_{};                   // hash_of() remembers one
    std::string hash_of_medium_;
};

template <typename... Parameters>
Result<void> PostgresCatalog::each_row(const std::string& sql, const std::function<Result<void>(Rows&)>& visit, const Parameters&... parameters) {
    TRY(flush());
    TRY_ASSIGN(std::optional<Scope> own, scope());
    const std::string name = "c" + std::to_string(++cursors_);
    TRY(db_->query("DECLARE " + name + " NO SCROLL CURSOR FOR " + sql, parameters...));
    for (bool more = true; more;) {
        TRY_ASSIGN(Rows rows, db_->query("FETCH 2000 FROM " + name));
        more = false;
        while (rows.next()) {
            more = true;
            if (Result<void> visited = visit(rows); !visited.ok()) {
                if (!own) db_->execute("CLOSE " + name).ignore("the transaction's end closes it");
                return visited;
            }
        }
    }
    TRY(db_->execute("CLOSE " + name));
    return commit(own);
}

}  // namespace ntt::postgres
