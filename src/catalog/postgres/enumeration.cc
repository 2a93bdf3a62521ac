// What enumeration writes, and verdicts made anew.
//
// Rows that are added go out by COPY in binary form, some MiB at a time: one answer of the server for many rows.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "catalog/names.h"
#include "catalog/postgres/postgres_catalog.h"
#include "catalog/row_readers.h"

namespace ntt::postgres {
namespace {

// Fewer are left to autovacuum.
constexpr uint64_t kInodesToAnalyze = 5'000;
constexpr size_t kStreamBytes = size_t{4} << 20;  // of rows that wait to be sent

#define NTT_ADDED_INODE                                                                                                       \
    "medium, volume, ino, image_id, fs_type, fs_ino, stream, allocated, dev, nlink, size, mtime, mtime_ns, atime, ctime, "    \
    "crtime, mode, uid, gid, attributes, target, access, first_offset, extents, status, copied, claimed_by, claimed_at, "     \
    "blobid, partial_blobid, missing_bytes, cause, evidence, error_type, errors, mime_type, processed_at"
constexpr int kInodeFields = 37, kPathFields = 8, kRangeFields = 7;

std::optional<std::string_view> cause_text(std::optional<Cause> cause) {
    return cause ? std::optional(to_string(*cause)) : std::nullopt;
}

std::optional<std::string> json(const std::optional<std::string>& text) { return text ? std::optional(storable_json(*text)) : std::nullopt; }

Result<void> analyze_tables(Connection& connection) {
    TRY_ASSIGN(const auto limit, connection.scaled_limit());
    // A third of the usual sample, for a fifth of the time: it is taken while files are read. Autovacuum takes a whole one.
    TRY(connection.execute("SET default_statistics_target = 30"));
    for (const char* table : {"inode_row", "path_row", "missing_range", "blob_row"}) TRY(connection.execute(fmt::format("ANALYZE (SKIP_LOCKED) {}", table)));
    return {};
}

void put_id(CopyStream& to, const std::optional<BlobId>& id) { to.put_maybe(id, &CopyStream::put_blob_id); }

// The schema has NULL for what is usual.
std::optional<int64_t> unless(uint64_t value, uint64_t usual) {
    return value == usual ? std::nullopt : std::optional(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX)));
}
std::optional<int64_t> image_of(const InodeRow& row) { return unless(static_cast<uint64_t>(row.image_id), 0); }
std::optional<int64_t> owner(const std::optional<int64_t>& id) { return id ? owner_number(*id) : std::nullopt; }

}  // namespace

Result<void> PostgresCatalog::flush() {
    if (!inodes_.empty()) {
        TRY_ASSIGN(const uint64_t rows, db_->copy_in("COPY inode_row (" NTT_ADDED_INODE ") FROM STDIN (FORMAT binary)", inodes_.take()));
        inodes_added_ += rows;
        rows_added_ += rows;
    }
    if (!paths_.empty()) {
        TRY_ASSIGN(const uint64_t rows, db_->copy_in("COPY path_row (medium, volume, entry, ino, path, short_name, exclude_reason, name_hash) FROM STDIN (FORMAT binary)", paths_.take()));
        rows_added_ += rows;
    }
    if (!ranges_.empty())
        TRY(db_->copy_in("COPY missing_range (medium_hash, volume, ino, file_offset, length, image_offset, cause) FROM STDIN (FORMAT binary)", ranges_.take()));
    return {};
}

// Outside a transaction every row is one of its own.
Result<void> PostgresCatalog::flush_if_due() {
    if (db_->in_transaction() && inodes_.size_bytes() + paths_.size_bytes() + ranges_.size_bytes() < kStreamBytes) return {};
    TRY_ASSIGN(std::optional<Scope> own, scope());
    Result<void> sent = flush();
    if (!sent.ok()) {
        forget_added();
        return sent;
    }
    if (!own) return {};
    TRY(check_added_paths());
    return commit(own);
}

void PostgresCatalog::forget_added() {
    inodes_.clear();
    paths_.clear();
    ranges_.clear();
    added_.clear();
    inodes_added_ = rows_added_ = 0;
    analyze_at_end_ = false;
}

// What a foreign key would say, asked once for all names that were added to a medium: one look into the key's index for each, which LATERAL
// and LIMIT see to while there are no statistics yet.
Result<void> PostgresCatalog::check_added_paths() {
    const AddedPaths added = std::exchange(added_, {});
    if (added.empty()) return {};
    TRY_ASSIGN(const auto limit, db_->scaled_limit(static_cast<int64_t>(rows_added_)));
    for (const auto& [medium, of_volumes] : added) {
        Array volumes(Array::Of::int4), entries(Array::Of::int8);
        for (const auto& [volume, entry] : of_volumes) {
            volumes.put_int4(volume);
            entries.put_int8(entry);
        }
        TRY_ASSIGN(Rows orphan, db_->run("SELECT volume, entry, p.ino FROM path_row p LEFT JOIN LATERAL (SELECT true AS found FROM inode_row i WHERE i.medium=$1 AND "
                                         "i.volume=p.volume AND i.ino=p.ino LIMIT 1) i ON true WHERE medium=$1 AND "
                                         "entry >= ($3::bigint[])[array_position($2::int[], volume::int)] AND found IS NULL ORDER BY volume, entry LIMIT 1",
                                         static_cast<int64_t>(medium), volumes, entries));
        if (!orphan.next()) continue;
        const int64_t volume = orphan.integer(), lost = orphan.integer(), ino = orphan.integer();
        return make_error(ErrorCode::invalid_argument, fmt::format("entry {} of volume {} is a name of inode {}, which is not there", lost, volume, ino));
    }
    return {};
}

// Two ranges of one beginning and one cause are one, the longer: the table's key.
Result<void> PostgresCatalog::add_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing) {
    std::map<std::pair<uint64_t, Cause>, const MissingRow*> longest;
    for (const MissingRow& range : missing) {
        if (range.length == 0) continue;
        const MissingRow*& known = longest[{range.file_offset, range.cause}];
        if (known == nullptr || known->length < range.length) known = &range;
    }
    for (const auto& [key, range] : longest) {
        ranges_.start_row(kRangeFields);
        ranges_.put_text(medium_hash);
        ranges_.put_int4(volume);
        ranges_.put_int8(ino);
        ranges_.put_size(range->file_offset);
        ranges_.put_size(range->length);
        ranges_.put_maybe(range->image_offset, &CopyStream::put_size);
        ranges_.put_text(to_string(range->cause));
    }
    return {};
}

Result<void> PostgresCatalog::replace_missing(const std::string& medium_hash, int volume, int64_t ino, std::span<const MissingRow> missing) {
    TRY(flush());
    TRY(db_->run("DELETE FROM missing_range WHERE medium_hash=$1 AND volume=$2 AND ino=$3", medium_hash, volume, ino));
    TRY(add_missing(medium_hash, volume, ino, missing));
    return flush();
}

Result<void> PostgresCatalog::add_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) {
    CopyStream& to = inodes_;
    to.start_row(kInodeFields);
    to.put_int4(static_cast<int64_t>(medium));
    to.put_int2(row.volume);
    to.put_int8(row.ino);
    to.put_maybe(image_of(row), &CopyStream::put_int4);
    to.put_text(std::string_view(&row.fs_type, 1));
    to.put_maybe(row.own_fs_ino(), &CopyStream::put_text);
    to.put_maybe(or_null(row.stream), &CopyStream::put_text);
    to.put_bool(row.allocated);
    to.put_maybe(row.dev, &CopyStream::put_int8);
    to.put_maybe(unless(row.nlink, 1), &CopyStream::put_int4);
    to.put_size(row.size);
    to.put_maybe(row.mtime, &CopyStream::put_int8);
    to.put_maybe(unless(static_cast<uint64_t>(row.mtime_ns), 0), &CopyStream::put_int4);
    to.put_maybe(row.atime, &CopyStream::put_int8);
    to.put_maybe(row.ctime, &CopyStream::put_int8);
    to.put_maybe(row.crtime, &CopyStream::put_int8);
    to.put_maybe(row.mode, &CopyStream::put_int4);
    to.put_maybe(owner(row.uid), &CopyStream::put_uint4);
    to.put_maybe(owner(row.gid), &CopyStream::put_uint4);
    to.put_maybe(row.attributes, &CopyStream::put_int4);
    to.put_maybe(row.target, &CopyStream::put_bytes);
    to.put_int2(row.access);
    to.put_maybe(row.first_offset, &CopyStream::put_size);
    to.put_maybe(or_null(row.extents), &CopyStream::put_bytes);
    to.put_text(to_string(row.status));
    to.put_bool(row.copied);
    to.put_maybe(row.claimed_by, &CopyStream::put_text);
    to.put_maybe(row.claimed_at, &CopyStream::put_time);
    put_id(to, row.blobid);
    put_id(to, row.partial_blobid);
    to.put_maybe(unless(row.missing_bytes, 0), &CopyStream::put_int8);
    to.put_maybe(cause_text(row.cause), &CopyStream::put_text);
    to.put_maybe(row.evidence, &CopyStream::put_json);
    to.put_maybe(row.error_type, &CopyStream::put_text);
    to.put_maybe(row.errors.empty() ? std::nullopt : std::optional(row.errors), &CopyStream::put_texts);
    to.put_maybe(row.mime_type, &CopyStream::put_text);
    to.put_maybe(row.processed_at, &CopyStream::put_time);
    if (!missing.empty()) {
        TRY_ASSIGN(const std::string hash, hash_of(medium));
        TRY(add_missing(hash, row.volume, row.ino, missing));
    }
    return flush_if_due();
}

Result<void> PostgresCatalog::add_path(MediumKey medium, const PathRow& row) {
    const auto [first, is_new] = added_[medium].try_emplace(row.volume, row.entry);
    first->second = std::min(first->second, row.entry);
    paths_.start_row(kPathFields);
    paths_.put_int4(static_cast<int64_t>(medium));
    paths_.put_int2(row.volume);
    paths_.put_int4(row.entry);
    paths_.put_int8(row.ino);
    paths_.put_bytes(row.path);
    paths_.put_maybe(row.short_name, &CopyStream::put_bytes);
    paths_.put_maybe(row.exclude_reason, &CopyStream::put_text);
    paths_.put_int4(static_cast<int32_t>(name_hash(row.path)));
    return flush_if_due();
}

Result<void> PostgresCatalog::replace_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(std::optional<Scope> own, scope());
    TRY(replace_missing(hash, row.volume, row.ino, missing));
    const std::optional<Bytes> extents = row.extents.empty() ? std::nullopt : std::optional(Bytes{row.extents});
    TRY_ASSIGN(
        const Rows replaced,
        db_->run("UPDATE inode_row SET image_id=$4, fs_type=$5, fs_ino=$6, stream=$7, allocated=$8, dev=$9, nlink=$10, size=$11, mtime=$12, "
                 "mtime_ns=$13, atime=$14, ctime=$15, crtime=$16, mode=$17, uid=$18, gid=$19, attributes=$20, target=$21, access=$22, "
                 "first_offset=$23, extents=$24, status=$25, copied=$26, claimed_by=$27, claimed_at=NULL, blobid=$28, partial_blobid=$29, cause=$30, "
                 "evidence=$31, error_type=$32, mime_type=$33, processed_at=$34, errors_before_requeue=cardinality(errors) "
                 "WHERE medium=$1 AND ino=$2 AND volume=$3",
                 static_cast<int64_t>(medium), row.ino, row.volume, image_of(row),
                 std::string_view(&row.fs_type, 1), row.own_fs_ino(), or_null(row.stream), row.allocated, row.dev, unless(std::min<uint64_t>(row.nlink, INT32_MAX), 1),
                 row.size, row.mtime, unless(static_cast<uint64_t>(row.mtime_ns), 0), row.atime, row.ctime, row.crtime, row.mode, owner(row.uid), owner(row.gid), row.attributes, bytes_of(row.target),
                 row.access, row.first_offset, extents, to_string(row.status), row.copied, row.claimed_by, row.blobid, row.partial_blobid,
                 cause_text(row.cause), json(row.evidence), row.error_type, row.mime_type, row.processed_at));
    if (replaced.changed() == 0)
        return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode {} on volume {}", hash, row.ino, row.volume));
    // After the trigger of rows that go back into the queue.
    TRY(db_->run("UPDATE inode_row SET cause=$4, missing_bytes=$5 WHERE medium=$1 AND ino=$2 AND volume=$3",
                                           static_cast<int64_t>(medium), row.ino, row.volume, cause_text(row.cause), unless(row.missing_bytes, 0)));
    return commit(own);
}

Result<void> PostgresCatalog::add_finding(MediumKey medium, const Finding& finding, const std::string& at) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY(db_->run("INSERT INTO finding (medium_hash, volume, ino, code, message, evidence, at) VALUES ($1,$2,$3,$4,$5,$6,$7)", hash,
                                         finding.volume, finding.ino, finding.code, finding.message, storable_json(finding.evidence), at));
    return {};
}

Result<uint64_t> PostgresCatalog::mark_excluded(MediumKey medium) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit(static_cast<int64_t>(rows_added_)));
    TRY_ASSIGN(const Rows done,
               db_->query(fmt::format("UPDATE inode_row i SET status='excluded', copied=true, claimed_by='EXCLUDED', claimed_at=NULL, cause=NULL, blobid=NULL, "
                                      "partial_blobid=NULL FROM (SELECT DISTINCT ino, volume FROM path_row p WHERE medium={0} AND exclude_reason IS NOT NULL AND NOT EXISTS "
                                      "(SELECT 1 FROM path_row o WHERE o.medium={0} AND o.ino=p.ino AND o.volume=p.volume AND o.exclude_reason IS NULL OFFSET 0)) x "
                                      "WHERE i.medium={0} AND i.ino=x.ino AND i.volume=x.volume AND NOT i.copied AND i.claimed_by IS NULL",
                                      static_cast<int64_t>(medium))));
    return done.changed();
}

bool PostgresCatalog::take_analysis_due() {
    const bool many = std::exchange(inodes_added_, 0) >= kInodesToAnalyze;
    rows_added_ = 0;
    return std::exchange(analyze_at_end_, false) || many;
}

// The lock that ANALYZE takes is held to the end of a transaction, and would make other loads wait.
Result<void> PostgresCatalog::analyze() {
    if (!db_->in_transaction()) return analyze_tables(*db_);
    analyze_at_end_ = true;
    return {};
}

// No plan of ours waits for it. That it fails costs nothing: autovacuum makes statistics too.
void PostgresCatalog::analyze_beside() {
    if (analysis_.valid()) analysis_.wait();
    analysis_ = std::async(std::launch::async, [url = url_, options = options_]() -> Result<void> {
        TRY_ASSIGN(const auto connection, Connection::open(url, options));
        return analyze_tables(*connection);
    });
}

Result<void> PostgresCatalog::for_each_inode(MediumKey medium, std::optional<int> volume, const std::function<Result<void>(const InodeRow&)>& visit) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    const auto one = [&](Rows& row) -> Result<void> {
        const InodeRow inode = read_inode(row);
        TRY(row.row_is_sound());
        return visit(inode);
    };
    return each_row(fmt::format("SELECT {} FROM inode_row i WHERE medium=$1 AND ($2::int IS NULL OR volume=$2) AND fs_type='f' ORDER BY ino, volume", kInodeColumns),
                    one, static_cast<int64_t>(medium), volume);
}

Result<void> PostgresCatalog::set_verdict(MediumKey medium, int volume, int64_t ino, std::optional<Cause> cause, uint64_t missing_bytes,
                                          const std::optional<std::string>& evidence, std::span<const MissingRow> missing, Requeue requeue) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(std::optional<Scope> own, scope());
    TRY(replace_missing(hash, volume, ino, missing));
    // First into the queue (a trigger then makes the row fresh), then the verdict. An excluded row shows no cause.
    if (requeue == Requeue::yes)
        TRY(db_->run("UPDATE inode_row SET copied=false, claimed_by=NULL WHERE medium=$1 AND ino=$2 AND volume=$3 AND fs_type='f'",
                            static_cast<int64_t>(medium), ino, volume));
    TRY_ASSIGN(const Rows done,
               db_->run("UPDATE inode_row SET cause = CASE WHEN copied AND status='excluded' THEN NULL ELSE $4 END, missing_bytes=nullif($5::bigint, 0), evidence=$6 "
                        "WHERE medium=$1 AND ino=$2 AND volume=$3",
                        static_cast<int64_t>(medium), ino, volume, cause_text(cause), missing_bytes, json(evidence)));
    if (done.changed() == 0) return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode {} on volume {}", hash, ino, volume));
    return commit(own);
}

}  // namespace ntt::postgres
