// What enumeration writes, and verdicts made anew.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catalog/names.h"
#include "catalog/row_readers.h"
#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt::sqlite {
namespace {

std::optional<std::string_view> cause_text(std::optional<Cause> cause) {
    return cause ? std::optional(to_string(*cause)) : std::nullopt;
}

// JSON array of strings; NULL if empty. What is not UTF-8 becomes U+FFFD.
std::optional<std::string> errors_json(const std::vector<std::string>& errors) {
    if (errors.empty()) return std::nullopt;
    return nlohmann::json(errors).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<void> SqliteCatalog::insert_missing(const std::string& medium_hash, int volume, int64_t ino,
                                           std::span<const MissingRow> missing) {
    for (const MissingRow& range : missing) {
        if (range.length == 0) continue;
        TRY(
            db_->run("INSERT INTO missing_range (medium_hash, volume, ino, file_offset, length, image_offset, cause) "
                     "VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT DO UPDATE SET length = max(length, excluded.length)",
                     medium_hash, volume, ino, range.file_offset, range.length, range.image_offset, to_string(range.cause)));
    }
    return {};
}

Result<void> SqliteCatalog::replace_missing(const std::string& medium_hash, int volume, int64_t ino,
                                            std::span<const MissingRow> missing) {
    TRY(db_->run("DELETE FROM missing_range WHERE medium_hash=?1 AND volume=?2 AND ino=?3", medium_hash, volume, ino));
    return insert_missing(medium_hash, volume, ino, missing);
}

Result<void> SqliteCatalog::add_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) {
    std::optional<Scope> scope;  // one statement alone needs none
    if (!missing.empty()) {
        TRY_ASSIGN(Scope begun, db_->begin());
        scope.emplace(std::move(begun));
    }
    const std::optional<std::string_view> fs_ino = row.own_fs_ino();
    const std::optional<Blob> extents = row.extents.empty() ? std::nullopt : std::optional(Blob{row.extents});
    TRY(db_->run(
        "INSERT INTO inode_row (medium, volume, ino, image_id, fs_type, fs_ino, stream, allocated, dev, nlink, size, mtime, "
        "mtime_ns, "
        "atime, ctime, crtime, mode, uid, gid, attributes, target, access, first_offset, extents, status, copied, claimed_by, "
        "claimed_at, blobid, partial_blobid, missing_bytes, cause, evidence, error_type, errors, mime_type, processed_at) VALUES "
        "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29,?30,?31,?32,"
        "?33,"
        "?34,?35,?36,?37)",
        static_cast<int64_t>(medium), row.volume, row.ino, row.image_id == 0 ? std::nullopt : std::optional(row.image_id),
        std::string_view(&row.fs_type, 1), fs_ino, or_null(row.stream), row.allocated, row.dev, row.nlink, row.size, row.mtime,
        row.mtime_ns, row.atime, row.ctime, row.crtime, row.mode, row.uid, row.gid, row.attributes, blob_of(row.target),
        row.access, row.first_offset, extents, to_string(row.status), row.copied, row.claimed_by, row.claimed_at, row.blobid,
        row.partial_blobid, row.missing_bytes, cause_text(row.cause), row.evidence, row.error_type, errors_json(row.errors),
        row.mime_type, row.processed_at));
    if (!scope) return {};
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY(insert_missing(hash, row.volume, row.ino, missing));
    return scope->commit();
}

Result<void> SqliteCatalog::replace_inode(MediumKey medium, const InodeRow& row, std::span<const MissingRow> missing) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    const std::optional<std::string_view> fs_ino = row.own_fs_ino();
    const std::optional<Blob> extents = row.extents.empty() ? std::nullopt : std::optional(Blob{row.extents});
    TRY_ASSIGN(Scope scope, db_->begin());
    TRY(replace_missing(hash, row.volume, row.ino, missing));
    TRY_ASSIGN(
        const uint64_t changed,
        db_->run("UPDATE inode_row SET image_id=?4, fs_type=?5, fs_ino=?6, stream=?7, allocated=?8, dev=?9, nlink=?10, size=?11, "
                 "mtime=?12, mtime_ns=?13, atime=?14, ctime=?15, crtime=?16, mode=?17, uid=?18, gid=?19, attributes=?20, target=?21, "
                 "access=?22, first_offset=?23, extents=?24, status=?25, copied=?26, claimed_by=?27, claimed_at=NULL, blobid=?28, "
                 "partial_blobid=?29, cause=?30, evidence=?31, error_type=?32, mime_type=?33, processed_at=?34, "
                 "errors_before_requeue=coalesce(json_array_length(errors), 0) WHERE medium=?1 AND ino=?2 AND volume=?3",
                 static_cast<int64_t>(medium), row.ino, row.volume, row.image_id == 0 ? std::nullopt : std::optional(row.image_id),
                 std::string_view(&row.fs_type, 1), fs_ino, or_null(row.stream), row.allocated, row.dev, row.nlink, row.size, row.mtime,
                 row.mtime_ns, row.atime, row.ctime, row.crtime, row.mode, row.uid, row.gid, row.attributes, blob_of(row.target),
                 row.access, row.first_offset, extents, to_string(row.status), row.copied, row.claimed_by, row.blobid,
                 row.partial_blobid, cause_text(row.cause), row.evidence, row.error_type, row.mime_type, row.processed_at));
    if (changed == 0)
        return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode {} on volume {}", hash, row.ino, row.volume));
    // After the trigger of rows that go back into the queue.
    TRY(db_->run("UPDATE inode_row SET cause=?4, missing_bytes=?5 WHERE medium=?1 AND ino=?2 AND volume=?3",
                 static_cast<int64_t>(medium), row.ino, row.volume, cause_text(row.cause), row.missing_bytes));
    return scope.commit();
}

Result<void> SqliteCatalog::add_path(MediumKey medium, const PathRow& row) {
    TRY(
        db_->run("INSERT INTO path_row (medium, volume, entry, ino, path, short_name, exclude_reason, name_hash) "
                 "VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
                 static_cast<int64_t>(medium), row.volume, row.entry, row.ino, Blob{row.path}, blob_of(row.short_name),
                 row.exclude_reason, int64_t{name_hash(row.path)}));
    return {};
}

Result<void> SqliteCatalog::add_finding(MediumKey medium, const Finding& finding, const std::string& at) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY(db_->run("INSERT INTO finding (medium_hash, volume, ino, code, message, evidence, at) VALUES (?1,?2,?3,?4,?5,?6,?7)",
                 hash, finding.volume, finding.ino, finding.code, to_display_utf8(finding.message), finding.evidence, at));
    return {};
}

Result<uint64_t> SqliteCatalog::mark_excluded(MediumKey medium) {
    // EXCEPT reads the medium's paths once for each side, whatever the number of excluded ones is.
    return db_->run(
        "UPDATE inode_row SET status='excluded', copied=1, claimed_by='EXCLUDED', claimed_at=NULL, cause=NULL, blobid=NULL, "
        "partial_blobid=NULL "
        "WHERE medium=?1 AND copied=0 AND claimed_by IS NULL AND (ino, volume) IN ("
        "SELECT ino, volume FROM path_row WHERE medium=?1 AND exclude_reason IS NOT NULL EXCEPT "
        "SELECT ino, volume FROM path_row WHERE medium=?1 AND exclude_reason IS NULL)",
        static_cast<int64_t>(medium));
}

Result<void> SqliteCatalog::analyze() { return db_->execute("ANALYZE"); }

Result<void> SqliteCatalog::for_each_inode(MediumKey medium, std::optional<int> volume,
                                           const std::function<Result<void>(const InodeRow&)>& visit) {
    // The medium's row keys from the index alone, then each row by its key: in the order of rows without sorting rows.
    TRY_ASSIGN(Query keys, db_->query("SELECT row FROM inode_row WHERE medium=?1 AND (?2 IS NULL OR volume=?2) ORDER BY row"));
    TRY_ASSIGN(Query rows, db_->query(fmt::format("SELECT {} FROM inode_row i WHERE row=?1 AND fs_type='f'", kInodeColumns)));
    keys.bind(static_cast<int64_t>(medium), volume);
    for (;;) {
        TRY_ASSIGN(const bool key, keys.next());
        if (!key) return {};
        TRY_ASSIGN(const bool found, rows.first(keys.integer()));
        if (!found) continue;
        const InodeRow row = read_inode(rows);
        TRY(rows.row_is_sound());
        TRY(visit(row));
    }
}

Result<void> SqliteCatalog::set_verdict(MediumKey medium, int volume, int64_t ino, std::optional<Cause> cause,
                                        uint64_t missing_bytes, const std::optional<std::string>& evidence,
                                        std::span<const MissingRow> missing, Requeue requeue) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(Scope scope, db_->begin());
    TRY(replace_missing(hash, volume, ino, missing));
    // First into the queue (a trigger then makes the row fresh), then the verdict. An excluded row shows no cause.
    if (requeue == Requeue::yes)
        TRY(db_->run("UPDATE inode_row SET copied=0, claimed_by=NULL WHERE medium=?1 AND ino=?2 AND volume=?3 AND fs_type='f'",
                     static_cast<int64_t>(medium), ino, volume));
    TRY_ASSIGN(
        const uint64_t changed,
        db_->run("UPDATE inode_row SET cause = CASE WHEN copied=1 AND status='excluded' THEN NULL ELSE ?4 END, missing_bytes=?5, "
                 "evidence=?6 WHERE medium=?1 AND ino=?2 AND volume=?3",
                 static_cast<int64_t>(medium), ino, volume, cause_text(cause), missing_bytes, evidence));
    if (changed == 0)
        return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode {} on volume {}", hash, ino, volume));
    return scope.commit();
}

}  // namespace ntt::sqlite
