// The queue and what became of it.
//
// A group of outcomes goes to the server as arrays, one for each column: a statement's cost is then that of its rows.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "catalog/postgres/postgres_catalog.h"
#include "catalog/row_readers.h"

namespace ntt::postgres {
namespace {

// A stored file misses nothing, whatever was thought of it before; nullopt: the ranges stay as they are.
std::optional<std::vector<MissingRow>> new_ranges(const CopyOutcome& outcome) {
    if (outcome.status == Status::pending) return std::nullopt;
    if (outcome.status == Status::stored) return std::vector<MissingRow>();
    if (outcome.missing) return merged(*outcome.missing);
    return std::nullopt;
}

// The columns by which inodes are found, for unnest($2::int[], $3::bigint[]).
struct Keys {
    Array volumes{Array::Of::int4}, inos{Array::Of::int8};
    void put(int volume, int64_t ino) {
        volumes.put_int4(volume);
        inos.put_int8(ino);
    }
};

// In the order of their ids, so that two workers that bring the same contents wait for each other, and never both.
using SortedBlobs = std::map<std::pair<BlobId, BlobKind>, BlobRow>;

Error wrong_size(const std::string& id, uint64_t in_store, uint64_t in_catalog) {
    return make_error(ErrorCode::catalog_damaged, fmt::format("blob {} has {} bytes in the store and {} in the catalog", id, in_store, in_catalog),
                      "run 'ntt verify --strict'");
}

Result<void> add_to(SortedBlobs& blobs, const BlobRow& blob) {
    const auto [known, is_new] = blobs.try_emplace({blob.blobid, blob.kind}, blob);
    if (known->second.size != blob.size) return wrong_size(blob.blobid.hex(), blob.size, known->second.size);
    return {};
}

// What is said of files of which their status is decided.
struct Decided : Keys {
    Array statuses{Array::Of::text}, claimed_by{Array::Of::text}, blobids{Array::Of::bytes}, partial_blobids{Array::Of::bytes}, causes{Array::Of::text},
        missing_bytes{Array::Of::int8}, evidence{Array::Of::jsonb}, errors{Array::Of::text}, error_types{Array::Of::text};
    size_t count = 0;

    void put(const CopyOutcome& outcome) {
        Keys::put(outcome.volume, outcome.ino);
        statuses.put_text(to_string(outcome.status));
        claimed_by.put_maybe(or_null(outcome.claimed_by), &Array::put_text);
        blobids.put_maybe(outcome.blobid, &Array::put_blob_id);
        partial_blobids.put_maybe(outcome.partial_blobid, &Array::put_blob_id);
        causes.put_maybe(outcome.cause ? std::optional(to_string(*outcome.cause)) : std::nullopt, &Array::put_text);
        const auto missing = new_ranges(outcome);
        missing_bytes.put_maybe(missing ? std::optional(total_length(*missing)) : std::nullopt, &Array::put_size);
        evidence.put_maybe(outcome.evidence, &Array::put_json);
        errors.put_maybe(outcome.error, &Array::put_text);
        error_types.put_maybe(outcome.error_type, &Array::put_text);
        ++count;
    }
};

}  // namespace

Result<std::vector<int64_t>> PostgresCatalog::pending_rows(MediumKey medium, const std::set<int>* volumes) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    queue_.clear();
    std::vector<int64_t> out;
    const auto one = [&](Rows& row) -> Result<void> {
        const int volume = static_cast<int>(row.integer());
        if (volumes != nullptr && !volumes->contains(volume)) return {};
        out.push_back(static_cast<int64_t>(queue_.size()));
        queue_.emplace_back(volume, row.integer());
        return {};
    };
    QueueRange range{-1, INT64_MIN, 0, {}, {}, {}};
    if (lease_) {
        TRY_ASSIGN(range, leases_.range_of(*lease_));
    }
    std::string sql = "SELECT volume, ino FROM inode_row WHERE medium=$1 AND NOT copied AND claimed_by IS NULL "
                      "AND (coalesce(first_offset, -1), ino, volume) >= ($2::bigint, $3::bigint, $4::int) ";
    sql += range.end_offset ? "AND (coalesce(first_offset, -1), ino, volume) < ($5::bigint, $6::bigint, $7::int) "
                            : "AND coalesce($5::bigint, $6::bigint, $7::int) IS NULL ";
    TRY(each_row(sql + "ORDER BY coalesce(first_offset, -1), ino, volume", one, static_cast<int64_t>(medium), range.first_offset, range.first_ino,
                 range.first_volume, range.end_offset, range.end_ino, range.end_volume));
    return out;
}

Result<std::vector<WorkItem>> PostgresCatalog::work_items(MediumKey medium, std::span<const int64_t> rows) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    Keys keys;
    Array wanted(Array::Of::int8);
    for (const int64_t row : rows) {
        if (row < 0 || row >= static_cast<int64_t>(queue_.size())) return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode row {}", hash, row));
        const auto& [volume, ino] = queue_[static_cast<size_t>(row)];
        keys.put(volume, ino);
        wanted.put_int8(row);
    }
    TRY_ASSIGN(Rows query, db_->run("SELECT o.n, i.volume, i.ino, i.image_id, coalesce(i.fs_ino, i.ino::text), i.stream, i.size, i.mtime, coalesce(i.mtime_ns, 0), i.access, "
                                    "i.extents, coalesce(i.missing_bytes, 0), i.cause, coalesce(cardinality(i.errors), 0) - coalesce(i.errors_before_requeue, 0) "
                                    "FROM unnest($2::int[], $3::bigint[], $4::bigint[]) AS o(v, i, n) "
                                    "JOIN inode_row i ON i.medium=$1 AND i.ino=o.i AND i.volume=o.v",
                                    static_cast<int64_t>(medium), keys.volumes, keys.inos, wanted));
    std::vector<WorkItem> out;
    out.reserve(rows.size());
    while (query.next()) {
        const int64_t key = query.integer();
        WorkItem item = read_work_item(key, query);
        TRY(query.row_is_sound());
        out.push_back(std::move(item));
    }
    if (out.size() != rows.size()) return make_error(ErrorCode::not_found, fmt::format("medium {} lacks {} of the inodes that were pending", hash, rows.size() - out.size()));
    std::sort(out.begin(), out.end(), [](const WorkItem& a, const WorkItem& b) { return a.row < b.row; });
    for (WorkItem& item : out) {
        if (!item.cause && item.missing_bytes == 0) continue;
        TRY_ASSIGN(item.missing, missing_ranges(hash, item.volume, item.ino));
    }
    return out;
}

Result<std::vector<std::string>> PostgresCatalog::paths(MediumKey medium, int volume, int64_t ino) {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT path FROM path_row WHERE medium=$1 AND ino=$2 AND volume=$3 ORDER BY entry LIMIT $4", static_cast<int64_t>(medium), ino,
                                   volume, kMaxPathsTried));
    std::vector<std::string> out;
    while (rows.next()) out.push_back(rows.bytes());
    return out;
}

Result<int64_t> PostgresCatalog::store_key(const std::string& store_id) {
    for (;;) {
        TRY_ASSIGN(Rows row, db_->run("SELECT store FROM store WHERE store_id=$1", store_id));
        if (row.next()) return row.integer();
        TRY(db_->run("INSERT INTO store (store_id) VALUES ($1) ON CONFLICT DO NOTHING", store_id));
    }
}

Result<void> PostgresCatalog::record_blobs(std::span<const CopyOutcome> outcomes, int64_t store, const std::string& at) {
    SortedBlobs blobs;
    for (const CopyOutcome& outcome : outcomes) {
        for (const auto& [id, kind] : {std::pair(outcome.blobid, BlobKind::whole), std::pair(outcome.partial_blobid, BlobKind::partial)}) {
            if (!id || outcome.status == Status::pending) continue;
            TRY(add_to(blobs, {*id, kind, outcome.blob_size, at, std::nullopt}));
        }
    }
    return put_blobs(blobs, store);
}

Result<void> PostgresCatalog::add_blobs(const std::string& store_id, std::span<const BlobRow> blobs) {
    TRY(flush());
    TRY_ASSIGN(const int64_t store, store_key(store_id));
    SortedBlobs sorted;
    for (const BlobRow& blob : blobs) TRY(add_to(sorted, blob));
    TRY_ASSIGN(std::optional<Scope> own, scope());
    TRY(put_blobs(sorted, store));
    return commit(own);
}

Result<std::vector<BlobRow>> PostgresCatalog::known_blobs(BlobKind kind, std::span<const BlobId> ids) {
    TRY(flush());
    Array wanted(Array::Of::bytes);
    for (const BlobId& id : ids) wanted.put_blob_id(id);
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_BLOB_COLUMNS " FROM (SELECT DISTINCT id FROM unnest($2::bytea[]) AS w(id)) w JOIN blob_row USING (id) WHERE kind=$1",
                                   to_string(kind), wanted));
    std::vector<BlobRow> out;
    while (rows.next()) out.push_back(read_blob(rows));
    return out;
}

Result<void> PostgresCatalog::put_blobs(const SortedBlobs& blobs, int64_t store) {
    if (blobs.empty()) return {};
    Array ids(Array::Of::bytes), kinds(Array::Of::text), sizes(Array::Of::int8), times(Array::Of::time);
    for (const auto& [key, blob] : blobs) {
        ids.put_blob_id(blob.blobid);
        kinds.put_text(to_string(blob.kind));
        sizes.put_size(blob.size);
        times.put_time(blob.first_seen);
    }
    TRY_ASSIGN(Rows known, db_->run("WITH o AS (SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::timestamptz[]) AS o(id, kind, size, at)), "
                                    "added AS (INSERT INTO blob_row (id, kind, size, first_seen, store) SELECT id, kind, size, at, $5::int FROM o "
                                    "ON CONFLICT DO NOTHING RETURNING id, kind) "
                                    "SELECT o.id, o.kind, o.size FROM o LEFT JOIN added a ON a.id=o.id AND a.kind=o.kind WHERE a.id IS NULL",
                                    ids, kinds, sizes, times, store));
    Array known_ids(Array::Of::bytes), known_kinds(Array::Of::text), known_sizes(Array::Of::int8);
    while (known.next()) {
        known_ids.put_bytes(known.bytes());
        known_kinds.put_text(known.text());
        known_sizes.put_int8(known.integer());
    }
    if (known_ids.empty()) return {};
    TRY_ASSIGN(Rows wrong, db_->run("SELECT encode(o.id, 'hex'), o.size, r.size FROM unnest($1::bytea[], $2::text[], $3::bigint[]) AS o(id, kind, size) "
                                    "JOIN blob_row r ON r.id=o.id AND r.kind=o.kind WHERE r.size<>o.size LIMIT 1",
                                    known_ids, known_kinds, known_sizes));
    if (wrong.next()) {
        const std::string id = wrong.text();
        const uint64_t in_store = wrong.size();
        return wrong_size(id, in_store, wrong.size());
    }
    TRY(db_->run("INSERT INTO blob_elsewhere (id, kind, store) SELECT r.id, r.kind, $3::int FROM unnest($1::bytea[], $2::text[]) AS o(id, kind) "
                 "JOIN blob_row r ON r.id=o.id AND r.kind=o.kind WHERE r.store<>$3::int ON CONFLICT DO NOTHING",
                 known_ids, known_kinds, store));
    return {};
}

// Most media have no damage at all: then no file's old ranges need to be looked for.
Result<void> PostgresCatalog::record_ranges(const std::string& medium_hash, std::span<const CopyOutcome> outcomes) {
    // Ordered, because EXISTS is planned as if one in many rows were of this medium, and reads the table.
    TRY_ASSIGN(Rows some, db_->run("SELECT 1 FROM missing_range WHERE medium_hash=$1 ORDER BY volume, ino, file_offset, cause LIMIT 1", medium_hash));
    if (some.next()) {
        Keys renewed;
        for (const CopyOutcome& outcome : outcomes)
            if (new_ranges(outcome)) renewed.put(outcome.volume, outcome.ino);
        TRY(db_->run("DELETE FROM missing_range r USING unnest($2::int[], $3::bigint[]) AS o(v, i) WHERE r.medium_hash=$1 AND r.volume=o.v AND r.ino=o.i",
                     medium_hash, renewed.volumes, renewed.inos));
    }
    for (const CopyOutcome& outcome : outcomes)
        if (const auto ranges = new_ranges(outcome)) TRY(add_missing(medium_hash, outcome.volume, outcome.ino, *ranges));
    return flush();
}

Result<void> PostgresCatalog::commit_outcomes(MediumKey medium, const std::string& store_id, std::span<const CopyOutcome> outcomes,
                                              std::span<const EventRow> events, const std::string& at) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(const int64_t store, store_key(store_id));
    TRY_ASSIGN(std::optional<Scope> own, scope());
    if (lease_) {
        uint64_t bytes = 0;
        for (const CopyOutcome& outcome : outcomes) bytes += outcome.blob_size;
        TRY(leases_.hold(*lease_, outcomes.size(), bytes));
    }
    TRY(record_blobs(outcomes, store, at));
    Decided decided;
    Keys left, doubtful;
    Array errors(Array::Of::text), error_types(Array::Of::text), codes(Array::Of::text), messages(Array::Of::text), evidence(Array::Of::jsonb);
    for (const CopyOutcome& outcome : outcomes) {
        if (outcome.status != Status::pending) {
            decided.put(outcome);
        } else {
            left.put(outcome.volume, outcome.ino);
            errors.put_text(outcome.error.value_or("unknown"));
            error_types.put_maybe(outcome.error_type, &Array::put_text);
        }
        if (!outcome.doubt) continue;
        doubtful.put(outcome.volume, outcome.ino);
        codes.put_text(outcome.doubt->code);
        messages.put_text(outcome.doubt->message);
        evidence.put_json(outcome.doubt->evidence);
    }
    if (decided.count != 0) {
        TRY_ASSIGN(const Rows done,
                   db_->run("UPDATE inode_row i SET status=o.st::inode_status, copied=true, claimed_by=o.cb, claimed_at=NULL, blobid=o.b, partial_blobid=o.p, cause=o.c, "
                            "missing_bytes=nullif(coalesce(o.m, i.missing_bytes), 0), evidence=coalesce(o.e, i.evidence), "
                            "errors=CASE WHEN o.er IS NULL THEN i.errors ELSE array_append(i.errors, o.er) END, "
                            "error_type=CASE WHEN o.st='stored' THEN NULL ELSE coalesce(o.et, i.error_type) END, processed_at=$13 "
                            "FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::bigint[], $10::jsonb[], "
                            "$11::text[], $12::text[]) AS o(v, i, st, cb, b, p, c, m, e, er, et) WHERE i.medium=$1 AND i.ino=o.i AND i.volume=o.v",
                            static_cast<int64_t>(medium), decided.volumes, decided.inos, decided.statuses, decided.claimed_by, decided.blobids,
                            decided.partial_blobids, decided.causes, decided.missing_bytes, decided.evidence, decided.errors, decided.error_types, at));
        if (done.changed() != decided.count)
            return make_error(ErrorCode::not_found, fmt::format("medium {} has {} of the {} inodes that were copied", hash, done.changed(), decided.count));
    }
    if (!left.inos.empty())
        TRY(db_->run("UPDATE inode_row i SET errors=array_append(i.errors, o.er), error_type=o.et "
                     "FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[]) AS o(v, i, er, et) WHERE i.medium=$1 AND i.ino=o.i AND i.volume=o.v",
                     static_cast<int64_t>(medium), left.volumes, left.inos, errors, error_types));
    if (!doubtful.inos.empty())
        TRY(db_->run("INSERT INTO finding (medium_hash, volume, ino, code, message, evidence, at) SELECT $1, o.v, o.i, o.c, o.m, o.e, $7 "
                     "FROM unnest($2::int[], $3::bigint[], $4::text[], $5::text[], $6::jsonb[]) AS o(v, i, c, m, e) WHERE NOT EXISTS "
                     "(SELECT 1 FROM finding f WHERE f.medium_hash=$1 AND f.volume=o.v AND f.ino=o.i AND f.code=o.c)",
                     hash, doubtful.volumes, doubtful.inos, codes, messages, evidence, at));
    TRY(record_ranges(hash, outcomes));
    TRY(add_events(events));
    return commit(own);
}

Result<Totals> PostgresCatalog::totals(MediumKey medium) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    // With the medium as a part of the text: planned for it, and not for one of middle size.
    TRY_ASSIGN(Rows row, db_->query(fmt::format("SELECT (SELECT count(*) FROM path_row WHERE medium={0}), count(*), count(*) FILTER (WHERE copied AND status='stored'), "
                                                "count(*) FILTER (WHERE copied AND status='damaged'), count(*) FILTER (WHERE copied AND status='unreadable'), "
                                                "count(*) FILTER (WHERE copied AND status='excluded'), count(*) FILTER (WHERE copied AND status='nonfile'), "
                                                "count(*) FILTER (WHERE NOT copied OR status='pending'), coalesce(sum(size) FILTER (WHERE fs_type='f'), 0), "
                                                "coalesce(sum(missing_bytes) FILTER (WHERE cause IS NOT NULL), 0) FROM inode_row WHERE medium={0}",
                                                static_cast<int64_t>(medium))));
    row.next();
    Totals out;
    out.paths = row.size();
    out.inodes = row.size();
    out.stored = row.size();
    out.damaged = row.size();
    out.unreadable = row.size();
    out.excluded = row.size();
    out.nonfile = row.size();
    out.pending = row.size();
    out.content_bytes = row.sum();
    out.missing_bytes = row.sum();
    return out;
}

Result<uint64_t> PostgresCatalog::give_up_on_errors(MediumKey medium, int limit, const std::string& at) {
    TRY(flush());
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(const auto longer, db_->scaled_limit());
    TRY_ASSIGN(std::optional<Scope> own, scope());
    TRY_ASSIGN(Rows rows,
               db_->run("SELECT ino, volume, size, coalesce(cause, CASE WHEN error_type='permission_error' THEN 'PERMISSION' WHEN error_type='path_error' THEN "
                        "'MISSING_FILE' WHEN errors[cardinality(errors)] LIKE '%timed out%' THEN 'TIMEOUT' ELSE 'IO_ERROR' END), partial_blobid IS NOT NULL "
                        "FROM inode_row WHERE medium=$1 AND NOT copied AND claimed_by IS NULL AND errors IS NOT NULL "
                        "AND cardinality(errors) - coalesce(errors_before_requeue, 0) >= $2 AND (cause IS NULL OR coalesce(missing_bytes, 0) >= size OR partial_blobid IS NOT NULL) FOR UPDATE",
                        static_cast<int64_t>(medium), limit));
    uint64_t count = 0;
    for (; rows.next(); ++count) {
        const int64_t ino = rows.integer();
        const int volume = static_cast<int>(rows.integer());
        const uint64_t size = rows.size();
        const Cause cause = rows.maybe_word<Cause>(cause_from).value_or(Cause::IO_ERROR);
        if (!rows.boolean()) {
            // Nothing was read: what the evidence does not account for is missing for the last cause.
            TRY_ASSIGN(const auto known, missing_ranges(hash, volume, ino));
            TRY(add_missing(hash, volume, ino, rest_of(known, size, cause)));
        }
        TRY(flush());
        TRY(db_->run("UPDATE inode_row SET copied=true, status=(CASE WHEN partial_blobid IS NULL THEN 'unreadable' ELSE 'damaged' END)::inode_status, blobid=NULL, cause=$4, "
                     "claimed_by='MAX_RETRIES_EXCEEDED', processed_at=$5, missing_bytes=CASE WHEN partial_blobid IS NULL THEN nullif(size, 0) ELSE missing_bytes END "
                     "WHERE medium=$1 AND ino=$2 AND volume=$3",
                     static_cast<int64_t>(medium), ino, volume, to_string(cause), at));
    }
    TRY(commit(own));
    return count;
}

Result<uint64_t> PostgresCatalog::requeue(const RequeueFilter& filter) {
    TRY_ASSIGN(const MediumKey medium, medium_key(filter.medium_hash));
    if (filter.status == Status::pending || filter.status == Status::nonfile) return uint64_t{0};
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    // The trigger inode_requeued does the rest, as it does for a user's UPDATE. One inode is found by the key.
    const std::string of_inode = filter.ino ? "AND ino=$3 " : "AND $3::bigint IS NULL ";
    TRY_ASSIGN(const Rows done,
               db_->query("UPDATE inode_row SET copied=false, claimed_by=NULL WHERE medium=$1 " + of_inode +
                              "AND fs_type='f' AND (copied OR claimed_by IS NOT NULL) AND ($2::int IS NULL OR volume=$2) "
                              "AND ($4::text IS NULL OR (copied AND status=$4::text::inode_status)) AND ($5::text IS NULL OR cause=$5)",
                          static_cast<int64_t>(medium), filter.volume, filter.ino, filter.status ? std::optional(to_string(*filter.status)) : std::nullopt,
                          filter.cause ? std::optional(to_string(*filter.cause)) : std::nullopt));
    return done.changed();
}

}  // namespace ntt::postgres
