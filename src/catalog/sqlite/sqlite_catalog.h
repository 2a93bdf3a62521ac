// The catalog in one SQLite file. Schema: ../schema/sqlite. Its parts: sqlite_catalog.cc (opening, transactions, locks),
// media.cc, enumeration.cc, copying.cc, listing.cc.
#pragma once

#include <memory>
#include <string>

#include "catalog/catalog.h"
#include "catalog/sqlite/database.h"

namespace ntt::sqlite {

Result<std::unique_ptr<Catalog>> open_sqlite_catalog(Env& env, const Clock& clock, const std::string& file,
                                                     const CatalogOptions& options);

class SqliteCatalog final : public Catalog {
public:
    SqliteCatalog(Env& env, std::unique_ptr<Database> database) : env_(env), db_(std::move(database)) {}

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
    Result<std::string> hash_of(MediumKey medium);
    Result<void> insert_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing);
    Result<void> replace_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing);
    Result<int64_t> store_key(const std::string& store_id);
    Result<void> record_blob(BlobKind kind, const BlobId& id, uint64_t size, int64_t store, const std::string& at);
    enum class Damage { none, some };  // whether the medium has rows in missing_range
    Result<void> record_outcome(MediumKey medium, const std::string& medium_hash, int64_t store, Damage damage,
                                const CopyOutcome& outcome, const std::string& at);
    Result<void> files_of(const MediumRow& medium, const FileFilter& filter,
                          const std::function<Result<void>(const FileRow&)>& visit);

    Env& env_;
    std::unique_ptr<Database> db_;
    MediumKey hashed_medium_{};  // hash_of() remembers one
    std::string hash_of_medium_;
};

}  // namespace ntt::sqlite
