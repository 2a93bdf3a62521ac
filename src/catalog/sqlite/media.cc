// Media, images, volumes.
#include <fmt/format.h>

#include "catalog/row_readers.h"
#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt::sqlite {
namespace {

template <typename Read>
auto all_rows(Query& rows, Read read) -> Result<std::vector<decltype(read(rows))>> {
    std::vector<decltype(read(rows))> out;
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return out;
        out.push_back(read(rows));
    }
}

std::optional<int64_t> id_or_null(int64_t id) { return id == 0 ? std::nullopt : std::optional(id); }

}  // namespace

Result<MediumKey> SqliteCatalog::add_medium(const MediumRow& row) {
    TRY(db_->run("INSERT INTO medium (" NTT_MEDIUM_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
                 row.medium_hash, row.medium_human, row.kind, row.image_path, row.map_path, row.size_bytes, row.hash_method,
                 row.health, row.rescued_bytes, row.message, row.added_at, row.enum_done, row.copy_done, row.problems,
                 row.diagnostics));
    return MediumKey{db_->last_row()};
}

Result<void> SqliteCatalog::update_medium(const MediumRow& row) {
    TRY_ASSIGN(
        const uint64_t changed,
        db_->run("UPDATE medium SET medium_human=?2, kind=?3, image_path=?4, map_path=?5, size_bytes=?6, hash_method=?7, "
                 "health=?8, rescued_bytes=?9, message=?10, enum_done=?11, copy_done=?12, problems=?13, diagnostics=?14 "
                 "WHERE medium_hash=?1",
                 row.medium_hash, row.medium_human, row.kind, row.image_path, row.map_path, row.size_bytes, row.hash_method,
                 row.health, row.rescued_bytes, row.message, row.enum_done, row.copy_done, row.problems, row.diagnostics));
    if (changed == 0) return unknown_medium(row.medium_hash);
    return {};
}

Result<void> SqliteCatalog::rename_medium(MediumKey medium, const std::string& medium_hash) {
    TRY_ASSIGN(const std::string before, hash_of(medium));
    TRY_ASSIGN(Scope scope, db_->begin());
    TRY(db_->execute("PRAGMA defer_foreign_keys = ON"));  // until the end of the transaction: the tables below change one by one
    TRY(db_->run("UPDATE medium SET medium_hash=?2 WHERE medium_key=?1", static_cast<int64_t>(medium), medium_hash));
    TRY(db_->run("UPDATE image SET medium_hash=?2 WHERE medium_hash=?1", before, medium_hash));
    TRY(db_->run("UPDATE volume SET medium_hash=?2 WHERE medium_hash=?1", before, medium_hash));
    TRY(db_->run("UPDATE missing_range SET medium_hash=?2 WHERE medium_hash=?1", before, medium_hash));
    TRY(db_->run("UPDATE finding SET medium_hash=?2 WHERE medium_hash=?1", before, medium_hash));
    TRY(db_->run("UPDATE diagnostic_event SET medium_hash=?2 WHERE medium_hash=?1", before, medium_hash));
    hash_of_medium_.clear();
    return scope.commit();
}

Result<std::optional<MediumRow>> SqliteCatalog::medium(const std::string& medium_hash) {
    TRY_ASSIGN(Query row, db_->prepared("SELECT " NTT_MEDIUM_COLUMNS " FROM medium WHERE medium_hash=?1"));
    TRY_ASSIGN(const bool found, row.first(medium_hash));
    if (!found) return std::optional<MediumRow>();
    return std::optional(read_medium(row));
}

Result<std::vector<MediumRow>> SqliteCatalog::media() {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT " NTT_MEDIUM_COLUMNS " FROM medium ORDER BY added_at, medium_key"));
    return all_rows(rows, read_medium<Query>);
}

Result<std::optional<MediumRow>> SqliteCatalog::medium_at(const std::string& image_path) {
    TRY_ASSIGN(Query row, db_->prepared("SELECT " NTT_MEDIUM_COLUMNS " FROM medium WHERE image_path=?1 AND hash_method='image_blake3' "
                                        "ORDER BY added_at DESC, medium_key DESC LIMIT 1"));
    TRY_ASSIGN(const bool found, row.first(image_path));
    if (!found) return std::optional<MediumRow>();
    return std::optional(read_medium(row));
}

Result<MediumKey> SqliteCatalog::medium_key(const std::string& medium_hash) {
    TRY_ASSIGN(Query row, db_->prepared("SELECT medium_key FROM medium WHERE medium_hash=?1"));
    TRY_ASSIGN(const bool found, row.first(medium_hash));
    if (!found) return unknown_medium(medium_hash);
    return MediumKey{row.integer()};
}

Result<std::string> SqliteCatalog::hash_of(MediumKey medium) {
    if (medium == hashed_medium_ && !hash_of_medium_.empty()) return hash_of_medium_;
    TRY_ASSIGN(Query row, db_->prepared("SELECT medium_hash FROM medium WHERE medium_key=?1"));
    TRY_ASSIGN(const bool found, row.first(static_cast<int64_t>(medium)));
    if (!found) return unknown_medium(fmt::format("number {}", static_cast<int64_t>(medium)));
    hashed_medium_ = medium;
    hash_of_medium_ = row.text();
    return hash_of_medium_;
}

Result<MediumRow> SqliteCatalog::resolve_medium(const std::string& text) {
    TRY_ASSIGN(auto exact, medium(text));
    if (exact) return *std::move(exact);
    // Every hash that begins with `text` sorts before text + 'g', the letter after the hexadecimal digits.
    const std::optional<std::string> prefix = text.size() >= kShortestPrefix ? std::optional(text) : std::nullopt;
    TRY_ASSIGN(Query rows,
               db_->prepared("SELECT " NTT_MEDIUM_COLUMNS
                             " FROM medium WHERE (medium_hash >= ?1 AND medium_hash < ?1 || 'g') OR medium_human = ?2 "
                             "ORDER BY added_at, medium_key"));
    rows.bind(prefix, text);
    TRY_ASSIGN(auto candidates, all_rows(rows, read_medium<Query>));
    return only_candidate(text, std::move(candidates));
}

Result<int64_t> SqliteCatalog::add_image(const ImageRow& row) {
    TRY(db_->run("INSERT INTO image (" NTT_IMAGE_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)", id_or_null(row.image_id),
                 row.medium_hash, row.path, row.format, row.size_bytes, row.digest, row.map_path, row.map_digest,
                 row.rescued_bytes, row.added_at));
    return db_->last_row();
}

Result<void> SqliteCatalog::update_image(const ImageRow& row) {
    TRY_ASSIGN(const uint64_t changed,
               db_->run("UPDATE image SET path=?2, map_path=?3, map_digest=?4, rescued_bytes=?5, digest=?6 WHERE image_id=?1",
                        row.image_id, row.path, row.map_path, row.map_digest, row.rescued_bytes, row.digest));
    if (changed == 0) return make_error(ErrorCode::not_found, fmt::format("the catalog has no image {}", row.image_id));
    return {};
}

Result<std::vector<ImageRow>> SqliteCatalog::images(const std::string& medium_hash) {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT " NTT_IMAGE_COLUMNS " FROM image WHERE medium_hash=?1 ORDER BY image_id"));
    rows.bind(medium_hash);
    return all_rows(rows, read_image<Query>);
}

Result<bool> SqliteCatalog::has_image_of_size(uint64_t size_bytes) {
    TRY_ASSIGN(Query row, db_->prepared("SELECT 1 FROM image WHERE size_bytes=?1"));
    return row.first(size_bytes);
}

Result<void> SqliteCatalog::put_volume(const VolumeRow& row) {
    TRY(db_->run("INSERT INTO volume (" NTT_VOLUME_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) "
                 "ON CONFLICT (medium_hash, volume) DO UPDATE SET image_id=?3, offset_bytes=?4, size_bytes=?5, view=?6, role=?7, "
                 "fs_type=?8, label=?9, uuid=?10, outcome=?11, detail=?12",
                 row.medium_hash, row.volume, id_or_null(row.image_id), row.offset_bytes, row.size_bytes, or_null(row.view),
                 or_null(row.role), or_null(row.fs_type), or_null(row.label), or_null(row.uuid), or_null(row.outcome),
                 row.detail));
    return {};
}

Result<std::vector<VolumeRow>> SqliteCatalog::volumes(const std::string& medium_hash) {
    TRY_ASSIGN(Query rows, db_->prepared("SELECT " NTT_VOLUME_COLUMNS " FROM volume WHERE medium_hash=?1 ORDER BY volume"));
    rows.bind(medium_hash);
    return all_rows(rows, read_volume<Query>);
}

}  // namespace ntt::sqlite
