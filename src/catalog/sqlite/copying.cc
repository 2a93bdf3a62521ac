// The queue and what became of it.
#include <fmt/format.h>

#include "catalog/row_readers.h"
#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt::sqlite {

Result<std::vector<int64_t>> SqliteCatalog::pending_rows(MediumKey medium, const std::set<int>* volumes) {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT row, volume FROM inode_row WHERE medium=?1 AND copied=0 AND claimed_by IS NULL "
                                         "ORDER BY first_offset, row"));
    rows.bind(static_cast<int64_t>(medium));
    std::vector<int64_t> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return out;
        const int64_t key = rows.integer();
        if (volumes == nullptr || volumes->contains(static_cast<int>(rows.integer()))) out.push_back(key);
    }
}

Result<std::vector<WorkItem>> SqliteCatalog::work_items(MediumKey medium, std::span<const int64_t> rows) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(const Scope scope, db_->begin_reading());
    TRY_ASSIGN(Query query,
               db_->prepared("SELECT volume, ino, image_id, coalesce(fs_ino, CAST(ino AS TEXT)), stream, size, mtime, mtime_ns, access, extents, "
                             "missing_bytes, cause, coalesce(json_array_length(errors), 0) - errors_before_requeue FROM inode_row WHERE row=?1 AND medium=?2"));
    std::vector<WorkItem> out;
    out.reserve(rows.size());
    for (const int64_t row : rows) {
        TRY_ASSIGN(const bool found, query.first(row, static_cast<int64_t>(medium)));
        if (!found) return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode row {}", hash, row));
        WorkItem item = read_work_item(row, query);
        TRY(query.row_is_sound());
        if (item.cause || item.missing_bytes > 0) {
            TRY_ASSIGN(item.missing, missing_ranges(hash, item.volume, item.ino));
        }
        out.push_back(std::move(item));
    }
    return out;
}

Result<std::vector<std::string>> SqliteCatalog::paths(MediumKey medium, int volume, int64_t ino) {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT path FROM path_row WHERE medium=?1 AND ino=?2 AND volume=?3 ORDER BY entry LIMIT ?4"));
    rows.bind(static_cast<int64_t>(medium), ino, volume, kMaxPathsTried);
    std::vector<std::string> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return out;
        out.push_back(rows.text());
    }
}

Result<int64_t> SqliteCatalog::store_key(const std::string& store_id) {
    TRY(db_->run("INSERT INTO store (store_id) VALUES (?1) ON CONFLICT DO NOTHING", store_id));
    TRY_ASSIGN(Query row, db_->prepared("SELECT store FROM store WHERE store_id=?1"));
    TRY(row.first(store_id));
    return row.integer();
}

Result<void> SqliteCatalog::record_blob(BlobKind kind, const BlobId& id, uint64_t size, int64_t store, const std::string& at) {
    TRY_ASSIGN(const uint64_t inserted,
               db_->run("INSERT INTO blob (kind, id, size, first_seen, store) VALUES (?1,?2,?3,?4,?5) ON CONFLICT DO NOTHING",
                        to_string(kind), id, size, at, store));
    if (inserted == 1) return {};
    TRY_ASSIGN(Query row, db_->prepared("SELECT size, store FROM blob WHERE kind=?1 AND id=?2"));
    TRY_ASSIGN(const bool found, row.first(to_string(kind), id));
    const uint64_t known_size = found ? row.size() : 0;
    const int64_t known_store = found ? row.integer() : 0;
    if (!found || known_size != size)
        return make_error(ErrorCode::catalog_damaged,
                          fmt::format("blob {} has {} bytes in the store and {} in the catalog", id.hex(), size, known_size),
                          "run 'ntt verify --strict'");
    if (known_store == store) return {};
    TRY(db_->run("INSERT INTO blob_elsewhere (kind, id, store) VALUES (?1,?2,?3) ON CONFLICT DO NOTHING", to_string(kind), id,
                 store));
    return {};
}

Result<void> SqliteCatalog::add_blobs(const std::string& store_id, std::span<const BlobRow> blobs) {
    TRY_ASSIGN(Scope scope, db_->begin());
    TRY_ASSIGN(const int64_t store, store_key(store_id));
    for (const BlobRow& blob : blobs) TRY(record_blob(blob.kind, blob.blobid, blob.size, store, blob.first_seen));
    return scope.commit();
}

Result<void> SqliteCatalog::record_outcome(MediumKey medium, const std::string& medium_hash, int64_t store, Damage damage,
                                           const CopyOutcome& outcome, const std::string& at) {
    if (outcome.status == Status::pending) {
        const std::string error = to_display_utf8(outcome.error.value_or("unknown"));
        TRY(
            db_->run("UPDATE inode_row SET errors=json_insert(coalesce(errors, '[]'), '$[#]', ?3), error_type=?4 WHERE row=?1 "
                     "AND medium=?2",
                     outcome.row, static_cast<int64_t>(medium), error, outcome.error_type));
        return {};
    }
    if (outcome.blobid) TRY(record_blob(BlobKind::whole, *outcome.blobid, outcome.blob_size, store, at));
    if (outcome.partial_blobid) TRY(record_blob(BlobKind::partial, *outcome.partial_blobid, outcome.blob_size, store, at));

    // A stored file misses nothing, whatever was thought of it before.
    std::optional<std::vector<MissingRow>> missing;
    if (outcome.missing) missing = merged(*outcome.missing);
    if (outcome.status == Status::stored) missing.emplace();
    const uint64_t missing_bytes = missing ? total_length(*missing) : 0;
    const std::optional<std::string_view> cause = outcome.cause ? std::optional(to_string(*outcome.cause)) : std::nullopt;
    const std::optional<std::string> error = outcome.error ? std::optional(to_display_utf8(*outcome.error)) : std::nullopt;
    TRY_ASSIGN(
        const uint64_t changed,
        db_->run(
            "UPDATE inode_row SET status=?3, copied=1, claimed_by=?4, claimed_at=NULL, blobid=?5, partial_blobid=?6, cause=?7, "
            "missing_bytes=iif(?15, ?8, missing_bytes), evidence=coalesce(?9, evidence), "
            "errors=CASE WHEN ?10 IS NULL THEN errors ELSE json_insert(coalesce(errors, '[]'), '$[#]', ?10) END, "
            "error_type=CASE WHEN ?3 = 'stored' THEN NULL ELSE coalesce(?11, error_type) END, processed_at=?12 "
            "WHERE row=?1 AND medium=?2 AND volume=?13 AND ino=?14",
            outcome.row, static_cast<int64_t>(medium), to_string(outcome.status), or_null(outcome.claimed_by), outcome.blobid,
            outcome.partial_blobid, cause, missing_bytes, outcome.evidence, error, outcome.error_type, at, outcome.volume,
            outcome.ino, missing.has_value()));
    if (changed != 1)
        return make_error(ErrorCode::not_found, fmt::format("medium {} has no inode {} on volume {} in row {}", medium_hash,
                                                            outcome.ino, outcome.volume, outcome.row));
    if (outcome.doubt)
        TRY(db_->run("INSERT INTO finding (medium_hash, volume, ino, code, message, evidence, at) SELECT ?1,?2,?3,?4,?5,?6,?7 WHERE NOT EXISTS "
                     "(SELECT 1 FROM finding WHERE medium_hash=?1 AND volume=?2 AND ino=?3 AND code=?4)",
                     medium_hash, outcome.volume, outcome.ino, outcome.doubt->code, to_display_utf8(outcome.doubt->message), outcome.doubt->evidence, at));
    if (missing && (damage == Damage::some || !missing->empty()))
        TRY(replace_missing(medium_hash, outcome.volume, outcome.ino, *missing));
    return {};
}

Result<void> SqliteCatalog::commit_outcomes(MediumKey medium, const std::string& store_id, std::span<const CopyOutcome> outcomes,
                                            std::span<const EventRow> events, const std::string& at) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    TRY_ASSIGN(Scope scope, db_->begin());
    TRY_ASSIGN(const int64_t store, store_key(store_id));
    // Most media have no damage at all: then no file's old ranges need to be looked for.
    Damage damage = Damage::none;
    {
        TRY_ASSIGN(Query row, db_->prepared("SELECT 1 FROM missing_range WHERE medium_hash=?1 LIMIT 1"));
        TRY_ASSIGN(const bool some, row.first(hash));
        if (some) damage = Damage::some;
    }
    for (const CopyOutcome& outcome : outcomes) {
        TRY(record_outcome(medium, hash, store, damage, outcome, at));
        if (outcome.missing && !outcome.missing->empty()) damage = Damage::some;
    }
    TRY(add_events(events));
    return scope.commit();
}

Result<Totals> SqliteCatalog::totals(MediumKey medium) {
    // Sizes come from evidence and may be absurd: summed in two halves, because SQLite's sum() fails on overflow.
    TRY_ASSIGN(
        Query row,
        db_->prepared(
            "SELECT (SELECT count(*) FROM path_row WHERE medium=?1), count(*), total(copied AND status='stored'), "
            "total(copied AND status='damaged'), total(copied AND status='unreadable'), total(copied AND status='excluded'), "
            "total(copied AND status='nonfile'), total(NOT copied OR status='pending'), "
            "sum(iif(fs_type='f', size >> 32, 0)), sum(iif(fs_type='f', size & 4294967295, 0)), "
            "sum(iif(cause IS NULL, 0, missing_bytes >> 32)), sum(iif(cause IS NULL, 0, missing_bytes & 4294967295)) "
            "FROM inode_row WHERE medium=?1"));
    TRY(row.first(static_cast<int64_t>(medium)));
    const auto sum = [&row] {
        const uint64_t high = row.size(), low = row.size();
        return checked_add(checked_mul(high, uint64_t{1} << 32).value_or(UINT64_MAX), low).value_or(UINT64_MAX);
    };
    Totals out;
    out.paths = row.size();
    out.inodes = row.size();
    out.stored = row.size();
    out.damaged = row.size();
    out.unreadable = row.size();
    out.excluded = row.size();
    out.nonfile = row.size();
    out.pending = row.size();
    out.content_bytes = sum();
    out.missing_bytes = sum();
    return out;
}

Result<uint64_t> SqliteCatalog::give_up_on_errors(MediumKey medium, int limit, const std::string& at) {
    TRY_ASSIGN(const std::string hash, hash_of(medium));
    struct Hopeless {
        int64_t row, ino;
        int volume;
        uint64_t size;
        Cause cause;
        bool has_part;
    };
    std::vector<Hopeless> hopeless;
    TRY_ASSIGN(Scope scope, db_->begin());
    {
        TRY_ASSIGN(Query rows,
                   db_->prepared(
                       "SELECT row, ino, volume, size, coalesce(cause, CASE WHEN error_type='permission_error' THEN 'PERMISSION' "
                       "WHEN error_type='path_error' THEN 'MISSING_FILE' WHEN errors ->> '$[#-1]' LIKE '%timed out%' THEN 'TIMEOUT' ELSE 'IO_ERROR' END), partial_blobid IS NOT NULL "
                       "FROM inode_row WHERE medium=?1 AND copied=0 AND claimed_by IS NULL AND errors IS NOT NULL "
                       "AND json_array_length(errors) - errors_before_requeue >= ?2 "
                       "AND (cause IS NULL OR missing_bytes >= size OR partial_blobid IS NOT NULL)"));
        rows.bind(static_cast<int64_t>(medium), limit);
        for (;;) {
            TRY_ASSIGN(const bool row, rows.next());
            if (!row) break;
            Hopeless one{};
            one.row = rows.integer();
            one.ino = rows.integer();
            one.volume = static_cast<int>(rows.integer());
            one.size = rows.size();
            one.cause = rows.maybe_word<Cause>(cause_from).value_or(Cause::IO_ERROR);
            one.has_part = rows.boolean();
            hopeless.push_back(one);
        }
    }
    for (const Hopeless& one : hopeless) {
        if (!one.has_part) {
            // Nothing was read: what the evidence does not account for is missing for the last cause.
            TRY_ASSIGN(const auto known, missing_ranges(hash, one.volume, one.ino));
            TRY(insert_missing(hash, one.volume, one.ino, rest_of(known, one.size, one.cause)));
        }
        TRY(db_->run(
            "UPDATE inode_row SET copied=1, status=iif(partial_blobid IS NULL, 'unreadable', 'damaged'), blobid=NULL, cause=?2, "
            "claimed_by='MAX_RETRIES_EXCEEDED', processed_at=?3, missing_bytes=iif(partial_blobid IS NULL, size, missing_bytes) "
            "WHERE row=?1",
            one.row, to_string(one.cause), at));
    }
    TRY(scope.commit());
    return uint64_t{hopeless.size()};
}

Result<uint64_t> SqliteCatalog::requeue(const RequeueFilter& filter) {
    TRY_ASSIGN(const MediumKey medium, medium_key(filter.medium_hash));
    if (filter.status == Status::pending || filter.status == Status::nonfile) return uint64_t{0};
    // The trigger inode_requeued does the rest, as it does for a user's UPDATE.
    return db_->run(
        "UPDATE inode_row SET copied=0, claimed_by=NULL WHERE medium=?1 AND fs_type='f' AND (copied=1 OR claimed_by IS NOT NULL) "
        "AND (?2 IS NULL OR volume=?2) AND (?3 IS NULL OR ino=?3) AND (?4 IS NULL OR (copied=1 AND status=?4)) AND (?5 IS NULL "
        "OR cause=?5)",
        static_cast<int64_t>(medium), filter.volume, filter.ino,
        filter.status ? std::optional(to_string(*filter.status)) : std::nullopt,
        filter.cause ? std::optional(to_string(*filter.cause)) : std::nullopt);
}

}  // namespace ntt::sqlite
