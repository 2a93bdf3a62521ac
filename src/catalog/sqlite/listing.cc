// Reading: files, inodes, findings, events, blobs.
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catalog/names.h"
#include "catalog/row_readers.h"
#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt::sqlite {

namespace {

// A visitor's ErrorCode::limit means "enough".
Result<void> unless_limit(Result<void> result) {
    if (!result.ok() && result.error().code == ErrorCode::limit) return {};
    return result;
}

// The statement for one medium: ?1 medium key, ?2 volume, ?3 ino, ?4 status, ?5 cause, ?6 hash of the name, ?7 medium hash.
std::string files_sql(const FileFilter& filter, bool by_name) {
    // By entry, with a look at each inode; but from the inodes where an index makes those few.
    const bool damage = filter.cause || filter.status == Status::damaged || filter.status == Status::unreadable;
    const bool pending = filter.status == Status::pending;
    const bool by_inode = filter.ino || damage || pending;
    constexpr const char* kJoin = "p.medium = i.medium AND p.ino = i.ino AND p.volume = i.volume";
    std::string sql =
        fmt::format("SELECT p.volume, p.entry, p.ino, p.path, p.short_name, p.exclude_reason, {} FROM ", kInodeColumns);
    if (by_inode && !by_name)
        sql += fmt::format("inode_row i CROSS JOIN path_row p ON {} WHERE i.medium = ?1 ", kJoin);
    else
        // Without statistics the order would be taken for the dearest part, and all of the medium's names be read for it.
        sql += fmt::format("path_row p {} CROSS JOIN inode_row i ON {} WHERE p.medium = ?1 ", by_name ? "INDEXED BY path_name" : "", kJoin);
    if (by_name) sql += "AND p.name_hash = ?6 ";
    if (filter.volume) sql += "AND p.volume = ?2 ";
    if (filter.ino) sql += "AND i.ino = ?3 ";
    if (damage) sql += "AND i.cause IS NOT NULL ";
    if (pending) sql += "AND i.copied = 0 AND i.claimed_by IS NULL ";
    if (filter.status && !pending) sql += "AND i.copied = 1 AND i.status = ?4 ";
    if (filter.cause) sql += "AND i.cause = ?5 ";
    if (filter.suspect)
        sql +=
            "AND EXISTS (SELECT 1 FROM finding f WHERE f.medium_hash = ?7 AND f.volume = i.volume AND f.ino = i.ino AND "
            "(f.code GLOB 'suspect*' OR f.code IN ('fat_chain_long', 'fat_chain_unterminated', 'cross_link'))) ";
    return sql + "AND ?7 IS NOT NULL ORDER BY p.volume, p.entry";  // ?7 in every form: all parameters are bound
}

}  // namespace

Result<void> SqliteCatalog::files_of(const MediumRow& medium, const FileFilter& filter,
                                     const std::function<Result<void>(const FileRow&)>& visit) {
    TRY_ASSIGN(const MediumKey key, medium_key(medium.medium_hash));
    const std::optional<int64_t> hash = name_hash_of(filter);
    TRY_ASSIGN(Query rows, db_->query(files_sql(filter, hash.has_value())));
    rows.bind(static_cast<int64_t>(key), filter.volume, filter.ino,
              filter.status ? std::optional(to_string(*filter.status)) : std::nullopt,
              filter.cause ? std::optional(to_string(*filter.cause)) : std::nullopt, hash, medium.medium_hash);
    FileRow file;
    file.medium_hash = medium.medium_hash;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return {};
        file.path.volume = static_cast<int>(rows.integer());
        file.path.entry = rows.integer();
        file.path.ino = rows.integer();
        file.path.path = rows.text();
        if (!name_matches(filter, file.path.path)) continue;
        file.path.short_name = rows.maybe_text();
        file.path.exclude_reason = rows.maybe_text();
        file.inode = read_inode(rows);
        TRY(rows.row_is_sound());
        file.missing.clear();
        if (file.inode.cause || file.inode.missing_bytes > 0) {
            TRY_ASSIGN(file.missing, missing_ranges(medium.medium_hash, file.inode.volume, file.inode.ino));
        }
        TRY(visit(file));
    }
}

Result<void> SqliteCatalog::files(const FileFilter& filter, const std::function<Result<void>(const FileRow&)>& visit) {
    std::vector<MediumRow> in;
    if (filter.medium_hash) {
        TRY_ASSIGN(auto one, medium(*filter.medium_hash));
        if (!one) return make_error(ErrorCode::not_found, fmt::format("the catalog has no medium '{}'", *filter.medium_hash));
        in.push_back(*std::move(one));
    } else {
        TRY_ASSIGN(in, media());
    }
    for (const MediumRow& medium : in) {
        Result<void> result = files_of(medium, filter, visit);
        if (!result.ok()) return unless_limit(std::move(result));
    }
    return {};
}

Result<std::optional<InodeRow>> SqliteCatalog::inode(const std::string& medium_hash, int volume, int64_t ino) {
    TRY_ASSIGN(const MediumKey medium, medium_key(medium_hash));
    TRY_ASSIGN(Query row,
               db_->query(fmt::format("SELECT {} FROM inode_row i WHERE medium=?1 AND ino=?2 AND volume=?3", kInodeColumns)));
    TRY_ASSIGN(const bool found, row.first(static_cast<int64_t>(medium), ino, volume));
    if (!found) return std::optional<InodeRow>();
    InodeRow out = read_inode(row);
    TRY(row.row_is_sound());
    return std::optional(std::move(out));
}

Result<std::vector<MissingRow>> SqliteCatalog::missing_ranges(const std::string& medium_hash, int volume, int64_t ino) {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT " NTT_RANGE_COLUMNS " FROM missing_range "
                                         "WHERE medium_hash=?1 AND volume=?2 AND ino=?3 ORDER BY file_offset"));
    rows.bind(medium_hash, volume, ino);
    std::vector<MissingRow> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) break;
        const MissingRow range = read_range(rows);
        TRY(rows.row_is_sound());
        out.push_back(range);
    }
    return merged(std::move(out));
}

Result<std::vector<FindingRow>> SqliteCatalog::findings(const std::string& medium_hash) {
    TRY_ASSIGN(
        Query rows,
        db_->prepared(
            "SELECT " NTT_FINDING_COLUMNS " FROM finding WHERE medium_hash=?1 ORDER BY id"));
    rows.bind(medium_hash);
    std::vector<FindingRow> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return out;
        out.push_back(read_finding(rows));
    }
}

Result<void> SqliteCatalog::events(const EventFilter& filter, const std::function<Result<void>(const EventRow&)>& visit) {
    std::string sql = "SELECT " NTT_EVENT_COLUMNS " FROM diagnostic_event WHERE true";
    if (filter.medium_hash) sql += " AND medium_hash = ?1";
    if (filter.volume) sql += " AND volume = ?2";
    if (filter.ino) sql += " AND ino = ?3";
    TRY_ASSIGN(Query rows, db_->query(sql + " ORDER BY id LIMIT ?4"));
    rows.bind(filter.medium_hash, filter.volume, filter.ino, -1);  // ?4 last, so that every parameter exists
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return {};
        const EventRow event = read_event(rows);
        TRY(rows.row_is_sound());
        if (Result<void> result = visit(event); !result.ok()) return unless_limit(std::move(result));
    }
}

Result<void> SqliteCatalog::add_events(std::span<const EventRow> events) {
    if (events.empty()) return {};
    TRY_ASSIGN(Scope scope, db_->begin());
    for (const EventRow& event : events) {
        const auto message = event.exception_msg ? std::optional(to_display_utf8(*event.exception_msg)) : std::nullopt;
        TRY(
            db_->run("INSERT INTO diagnostic_event (medium_hash, volume, ino, retry_count, checks, action, cause, evidence, "
                     "exception_type, "
                     "exception_msg, worker_id, timestamp) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
                     event.medium_hash, event.volume, event.ino, event.retry_count, event.checks, event.action,
                     event.cause ? std::optional(to_string(*event.cause)) : std::nullopt, event.evidence, event.exception_type,
                     message, event.worker_id, event.timestamp));
    }
    return scope.commit();
}

Result<void> SqliteCatalog::rebuild_problem_events(const std::string& medium_hash) {
    TRY(db_->run(
        "UPDATE medium SET problems = json_set(coalesce(problems, '{}'), '$.diagnostic_events', json((SELECT "
        "json_group_array(json_object("
        "'ino', ino, 'volume', volume, 'retry_count', retry_count, 'checks', json(checks), 'action', action, 'timestamp', "
        "timestamp, "
        "'worker_id', worker_id, 'exception_type', exception_type, 'exception_msg', exception_msg, 'cause', cause)) "
        "FROM (SELECT * FROM (SELECT * FROM diagnostic_event WHERE medium_hash=?1 ORDER BY id DESC LIMIT 1000) ORDER BY id))), "
        "'$.diagnostic_events_total', (SELECT count(*) FROM diagnostic_event WHERE medium_hash=?1)) "
        "WHERE medium_hash=?1 AND EXISTS (SELECT 1 FROM diagnostic_event WHERE medium_hash=?1)",
        medium_hash));
    return {};
}

Result<std::optional<BlobRow>> SqliteCatalog::blob(BlobKind kind, const BlobId& id) {
    TRY_ASSIGN(Query row, db_->prepared("SELECT " NTT_BLOB_COLUMNS " FROM blob WHERE kind=?1 AND id=?2"));
    TRY_ASSIGN(const bool found, row.first(to_string(kind), id));
    if (!found) return std::optional<BlobRow>();
    return std::optional(read_blob(row));
}

Result<std::vector<BlobRow>> SqliteCatalog::known_blobs(BlobKind kind, std::span<const BlobId> ids) {
    std::vector<BlobRow> out;
    for (const BlobId& id : std::set(ids.begin(), ids.end())) {
        TRY_ASSIGN(std::optional<BlobRow> known, blob(kind, id));
        if (known) out.push_back(*std::move(known));
    }
    return out;
}

Result<void> SqliteCatalog::for_each_blob(const std::function<Result<void>(const BlobRow&)>& visit, const std::optional<std::string>& store_id) {
    for (const BlobKind kind : {BlobKind::whole, BlobKind::partial}) {
        TRY_ASSIGN(Query rows, db_->query("SELECT " NTT_BLOB_COLUMNS " FROM blob b WHERE kind=?1 AND ((SELECT store FROM store WHERE store_id=?2) IS NULL OR "
                                           "store=(SELECT store FROM store WHERE store_id=?2) OR EXISTS (SELECT 1 FROM blob_elsewhere e WHERE e.kind=b.kind AND "
                                           "e.id=b.id AND e.store=(SELECT store FROM store WHERE store_id=?2))) ORDER BY id"));
        rows.bind(to_string(kind), store_id);
        for (;;) {
            TRY_ASSIGN(const bool row, rows.next());
            if (!row) break;
            const BlobRow blob = read_blob(rows);
            TRY(rows.row_is_sound());
            TRY(visit(blob));
        }
    }
    return {};
}

Result<void> SqliteCatalog::mark_verified(std::span<const BlobRow> blobs, const std::string& at) {
    TRY_ASSIGN(Scope scope, db_->begin());
    for (const BlobRow& blob : blobs)
        TRY(db_->run("UPDATE blob SET last_verified=?3 WHERE kind=?1 AND id=?2", to_string(blob.kind), blob.blobid, at));
    return scope.commit();
}

Result<std::vector<BlobProblem>> SqliteCatalog::rows_without_blob(size_t limit) {
    TRY_ASSIGN(Query rows,
               db_->prepared(
                   "SELECT m.medium_hash, b.volume, b.ino, b.id, b.kind FROM ("
                   "SELECT medium, volume, ino, blobid AS id, 'whole' AS kind FROM inode_row WHERE blobid IS NOT NULL UNION ALL "
                   "SELECT medium, volume, ino, partial_blobid, 'partial' FROM inode_row WHERE partial_blobid IS NOT NULL) b "
                   "JOIN medium m ON m.medium_key = b.medium "
                   "WHERE NOT EXISTS (SELECT 1 FROM blob WHERE blob.kind = b.kind AND blob.id = b.id) LIMIT ?1"));
    rows.bind(uint64_t{limit});
    std::vector<BlobProblem> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return out;
        BlobProblem problem = read_blob_problem(rows);
        TRY(rows.row_is_sound());
        out.push_back(std::move(problem));
    }
}

}  // namespace ntt::sqlite
