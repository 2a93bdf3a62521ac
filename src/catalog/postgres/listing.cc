// Reading: files, inodes, findings, events, blobs.
#include <fmt/format.h>

#include "catalog/names.h"
#include "catalog/postgres/postgres_catalog.h"
#include "catalog/row_readers.h"

namespace ntt::postgres {

namespace {

// A visitor's ErrorCode::limit means "enough".
Result<void> unless_limit(Result<void> result) {
    if (!result.ok() && result.error().code == ErrorCode::limit) return {};
    return result;
}

// As path_row has it.
std::optional<int64_t> signed_name_hash(const FileFilter& filter) {
    const std::optional<uint32_t> hash = name_hash_of(filter);
    return hash ? std::optional(int64_t{static_cast<int32_t>(*hash)}) : std::nullopt;
}

// $1 medium key, $2 volume, $3 ino, $4 status, $5 cause, $6 hash of the name, $7 medium hash. Of one medium: joined in the order of inodes and
// sorted, which is faster than to look up one by one what comes sorted. But by name of all media where $1 is NULL: a look into the
// index for each, which LATERAL and OFFSET see to, with or without statistics.
std::string files_sql(const FileFilter& filter, bool by_name) {
    const char* const medium_hash = by_name ? "m.medium_hash" : "$7::text";
    std::string sql = fmt::format("SELECT {}, p.volume, p.entry, p.ino, p.path, p.short_name, p.exclude_reason, {} FROM ", medium_hash, kInodeColumns);
    sql += by_name ? "medium m CROSS JOIN LATERAL (SELECT * FROM path_row WHERE medium = m.medium_key AND name_hash = $6::int OFFSET 0) p CROSS JOIN LATERAL "
                     "(SELECT * FROM inode_row WHERE medium = p.medium AND ino = p.ino AND volume = p.volume OFFSET 0) i WHERE ($1::int IS NULL OR m.medium_key = $1) "
                   : "path_row p JOIN inode_row i ON i.medium = p.medium AND i.ino = p.ino AND i.volume = p.volume WHERE p.medium = $1 ";
    const bool pending = filter.status == Status::pending;
    if (filter.volume) sql += "AND p.volume = $2 ";
    if (filter.ino) sql += "AND i.ino = $3 ";
    if (filter.cause || filter.status == Status::damaged || filter.status == Status::unreadable) sql += "AND i.cause IS NOT NULL ";
    if (pending) sql += "AND NOT i.copied AND i.claimed_by IS NULL ";
    if (filter.status && !pending) sql += "AND i.copied AND i.status = $4::text::inode_status ";
    if (filter.cause) sql += "AND i.cause = $5 ";
    if (filter.suspect)
        sql += fmt::format("AND EXISTS (SELECT 1 FROM finding f WHERE f.medium_hash = {} AND f.volume = i.volume AND f.ino = i.ino AND "
                           "(f.code LIKE 'suspect%' OR f.code IN ('fat_chain_long', 'fat_chain_unterminated', 'cross_link'))) ",
                           medium_hash);
    // In every form: all parameters are bound, and have a type.
    sql += "AND coalesce($2::int, $3::bigint, $6::int, length($4::text), length($5::text), length($7::text), 0) IS NOT NULL ";
    return sql + (by_name ? "ORDER BY m.added_at, m.medium_key, p.volume, p.entry" : "ORDER BY p.volume, p.entry");
}

}  // namespace

Result<void> PostgresCatalog::files_of(const std::optional<std::string>& medium_hash, const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit) {
    std::optional<int64_t> key;
    if (medium_hash) {
        TRY_ASSIGN(const MediumKey known, medium_key(*medium_hash));
        key = static_cast<int64_t>(known);
    }
    const std::optional<int64_t> hash = signed_name_hash(filter);
    FileRow file;
    const auto one = [&](Rows& rows) -> Result<void> {
        file.medium_hash = rows.text();
        file.path.volume = static_cast<int>(rows.integer());
        file.path.entry = rows.integer();
        file.path.ino = rows.integer();
        file.path.path = rows.bytes();
        if (!name_matches(filter, file.path.path)) return {};
        file.path.short_name = rows.maybe_bytes();
        file.path.exclude_reason = rows.maybe_text();
        file.inode = read_inode(rows);
        TRY(rows.row_is_sound());
        file.missing.clear();
        if (file.inode.cause || file.inode.missing_bytes > 0) {
            TRY_ASSIGN(file.missing, missing_ranges(file.medium_hash, file.inode.volume, file.inode.ino));
        }
        return visit(file);
    };
    return each_row(files_sql(filter, hash.has_value()), one, key, filter.volume, filter.ino,
                    filter.status ? std::optional(to_string(*filter.status)) : std::nullopt,
                    filter.cause ? std::optional(to_string(*filter.cause)) : std::nullopt,
                    hash, medium_hash);
}

Result<void> PostgresCatalog::files(const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    if (filter.medium_hash || signed_name_hash(filter)) return unless_limit(files_of(filter.medium_hash, filter, visit));
    // One medium after the other: what is sorted is that of one.
    TRY_ASSIGN(const std::vector<MediumRow> all, media());
    for (const MediumRow& medium : all) {
        Result<void> result = files_of(medium.medium_hash, filter, visit);
        if (!result.ok()) return unless_limit(std::move(result));
    }
    return {};
}

Result<std::optional<InodeRow>> PostgresCatalog::inode(const std::string& medium_hash, int volume, int64_t ino) {
    TRY_ASSIGN(const MediumKey medium, medium_key(medium_hash));
    TRY_ASSIGN(Rows row, db_->query(fmt::format("SELECT {} FROM inode_row i WHERE medium=$1 AND ino=$2 AND volume=$3", kInodeColumns),
                                    static_cast<int64_t>(medium), ino, volume));
    if (!row.next()) return std::optional<InodeRow>();
    InodeRow out = read_inode(row);
    TRY(row.row_is_sound());
    return std::optional(std::move(out));
}

Result<std::vector<MissingRow>> PostgresCatalog::missing_ranges(const std::string& medium_hash, int volume, int64_t ino) {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_RANGE_COLUMNS " FROM missing_range "
                                   "WHERE medium_hash=$1 AND volume=$2 AND ino=$3 ORDER BY file_offset",
                                   medium_hash, volume, ino));
    std::vector<MissingRow> out;
    while (rows.next()) {
        const MissingRow range = read_range(rows);
        TRY(rows.row_is_sound());
        out.push_back(range);
    }
    return merged(std::move(out));
}

Result<std::vector<FindingRow>> PostgresCatalog::findings(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_FINDING_COLUMNS " FROM finding WHERE medium_hash=$1 ORDER BY id", medium_hash));
    std::vector<FindingRow> out;
    while (rows.next()) out.push_back(read_finding(rows));
    return out;
}

Result<void> PostgresCatalog::events(const EventFilter& filter, const std::function<Result<void>(const EventRow&)>& visit) {
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    const auto one = [&](Rows& row) -> Result<void> {
        const EventRow event = read_event(row);
        TRY(row.row_is_sound());
        return visit(event);
    };
    return unless_limit(each_row("SELECT " NTT_EVENT_COLUMNS " FROM diagnostic_event WHERE ($1::text IS NULL OR medium_hash = $1) "
                                 "AND ($2::int IS NULL OR volume = $2) AND ($3::bigint IS NULL OR ino = $3) ORDER BY id",
                                 one, filter.medium_hash, filter.volume, filter.ino));
}

Result<void> PostgresCatalog::add_events(std::span<const EventRow> events) {
    if (events.empty()) return {};
    TRY(flush());
    Array media(Array::Of::text), volumes(Array::Of::int4), inos(Array::Of::int8), retries(Array::Of::int4), checks(Array::Of::jsonb), actions(Array::Of::text),
        causes(Array::Of::text), evidence(Array::Of::jsonb), types(Array::Of::text), messages(Array::Of::text), workers(Array::Of::text), times(Array::Of::text);
    for (const EventRow& event : events) {
        media.put_text(event.medium_hash);
        volumes.put_int4(event.volume);
        inos.put_maybe(event.ino, &Array::put_int8);
        retries.put_int4(event.retry_count);
        checks.put_json(event.checks);
        actions.put_text(event.action);
        causes.put_maybe(event.cause ? std::optional(to_string(*event.cause)) : std::nullopt, &Array::put_text);
        evidence.put_json(event.evidence);
        types.put_maybe(event.exception_type, &Array::put_text);
        messages.put_maybe(event.exception_msg, &Array::put_text);
        workers.put_text(event.worker_id);
        times.put_text(event.timestamp);
    }
    TRY(db_->run("INSERT INTO diagnostic_event (medium_hash, volume, ino, retry_count, checks, action, cause, evidence, exception_type, exception_msg, worker_id, "
                 "timestamp) SELECT h, v, i, r, ch, a, c, e, xt, xm, w, t::timestamptz FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::jsonb[], "
                 "$6::text[], $7::text[], $8::jsonb[], $9::text[], $10::text[], $11::text[], $12::text[]) AS o(h, v, i, r, ch, a, c, e, xt, xm, w, t)",
                 media, volumes, inos, retries, checks, actions, causes, evidence, types, messages, workers, times));
    return {};
}

Result<void> PostgresCatalog::rebuild_problem_events(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    TRY(db_->run("UPDATE medium SET problems = coalesce(problems, '{}') || jsonb_build_object('diagnostic_events', (SELECT jsonb_agg(jsonb_build_object("
                 "'ino', ino, 'volume', volume, 'retry_count', retry_count, 'checks', checks, 'action', action, "
                 "'timestamp', to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'worker_id', worker_id, "
                 "'exception_type', exception_type, 'exception_msg', exception_msg, 'cause', cause) ORDER BY id) "
                 "FROM (SELECT * FROM diagnostic_event WHERE medium_hash=$1 ORDER BY id DESC LIMIT 1000) newest), "
                 "'diagnostic_events_total', (SELECT count(*) FROM diagnostic_event WHERE medium_hash=$1)) "
                 "WHERE medium_hash=$1 AND EXISTS (SELECT 1 FROM diagnostic_event WHERE medium_hash=$1)",
                 medium_hash));
    return {};
}

Result<std::optional<BlobRow>> PostgresCatalog::blob(BlobKind kind, const BlobId& id) {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT " NTT_BLOB_COLUMNS " FROM blob_row WHERE kind=$1 AND id=$2::bytea", to_string(kind), id));
    if (!row.next()) return std::optional<BlobRow>();
    return std::optional(read_blob(row));
}

Result<void> PostgresCatalog::for_each_blob(const std::function<Result<void>(const BlobRow&)>& visit, const std::optional<std::string>& store_id) {
    TRY(flush());
    TRY_ASSIGN(const auto limit, db_->scaled_limit());
    const auto one = [&](Rows& row) -> Result<void> {
        const BlobRow blob = read_blob(row);
        TRY(row.row_is_sound());
        return visit(blob);
    };
    for (const BlobKind kind : {BlobKind::whole, BlobKind::partial})
        TRY(each_row("SELECT " NTT_BLOB_COLUMNS " FROM blob_row b WHERE kind=$1 AND ((SELECT store FROM store WHERE store_id=$2) IS NULL OR "
                     "store=(SELECT store FROM store WHERE store_id=$2) OR EXISTS (SELECT 1 FROM blob_elsewhere e WHERE e.id=b.id AND e.kind=b.kind AND "
                     "e.store=(SELECT store FROM store WHERE store_id=$2))) ORDER BY id",
                     one, to_string(kind), store_id));
    return {};
}

Result<void> PostgresCatalog::mark_verified(std::span<const BlobRow> blobs, const std::string& at) {
    TRY(flush());
    Array kinds(Array::Of::text), ids(Array::Of::bytes);
    for (const BlobRow& blob : blobs) {
        kinds.put_text(to_string(blob.kind));
        ids.put_blob_id(blob.blobid);
    }
    TRY(db_->run("UPDATE blob_row r SET last_verified=$3 FROM unnest($1::text[], $2::bytea[]) AS o(kind, id) WHERE r.id=o.id AND r.kind=o.kind", kinds, ids, at));
    return {};
}

Result<std::vector<BlobProblem>> PostgresCatalog::rows_without_blob(size_t limit) {
    TRY(flush());
    TRY_ASSIGN(const auto longer, db_->scaled_limit());
    TRY_ASSIGN(Rows rows,
               db_->run("SELECT m.medium_hash, b.volume, b.ino, b.id, b.kind FROM ("
                        "SELECT medium, volume, ino, blobid AS id, 'whole' AS kind FROM inode_row WHERE blobid IS NOT NULL UNION ALL "
                        "SELECT medium, volume, ino, partial_blobid, 'partial' FROM inode_row WHERE partial_blobid IS NOT NULL) b "
                        "JOIN medium m ON m.medium_key = b.medium "
                        "WHERE NOT EXISTS (SELECT 1 FROM blob_row r WHERE r.kind = b.kind AND r.id = b.id) LIMIT $1",
                        uint64_t{limit}));
    std::vector<BlobProblem> out;
    while (rows.next()) {
        BlobProblem problem = read_blob_problem(rows);
        TRY(rows.row_is_sound());
        out.push_back(std::move(problem));
    }
    return out;
}

}  // namespace ntt::postgres
