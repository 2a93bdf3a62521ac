// Media, images, volumes.
#include <fmt/format.h>

#include "catalog/postgres/postgres_catalog.h"
#include "catalog/row_readers.h"

namespace ntt::postgres {
namespace {

template <typename Read>
auto all_rows(Rows rows, Read read) {
    std::vector<decltype(read(rows))> out;
    while (rows.next()) out.push_back(read(rows));
    return out;
}

std::optional<int64_t> id_or_null(int64_t id) { return id == 0 ? std::nullopt : std::optional(id); }

std::optional<std::string> json(const std::optional<std::string>& text) { return text ? std::optional(storable_json(*text)) : std::nullopt; }

// Paths are opened again: one that the database cannot hold as it is must not be changed.
Result<void> check_place(const std::string& path) {
    if (is_utf8(path) && path.find('\0') == std::string::npos) return {};
    return make_error(ErrorCode::invalid_argument, fmt::format("the path {} is not UTF-8, and PostgreSQL holds text in UTF-8 only", to_terminal_text(path)),
                      "reach the source by another path, for example through a symbolic link");
}

}  // namespace

Result<MediumKey> PostgresCatalog::add_medium(const MediumRow& row) {
    TRY(check_place(row.image_path));
    TRY(check_place(row.map_path.value_or("")));
    TRY(flush());
    TRY_ASSIGN(Rows added, db_->run("INSERT INTO medium (" NTT_MEDIUM_COLUMNS ") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15) "
                                    "RETURNING medium_key",
                                    row.medium_hash, row.medium_human, row.kind, row.image_path, row.map_path, row.size_bytes, row.hash_method,
                                    row.health, row.rescued_bytes, row.message, row.added_at, row.enum_done, row.copy_done, json(row.problems),
                                    json(row.diagnostics)));
    added.next();
    return MediumKey{added.integer()};
}

Result<void> PostgresCatalog::update_medium(const MediumRow& row) {
    TRY(check_place(row.image_path));
    TRY(check_place(row.map_path.value_or("")));
    TRY(flush());
    TRY_ASSIGN(const Rows done,
               db_->run("UPDATE medium SET medium_human=$2, kind=$3, image_path=$4, map_path=$5, size_bytes=$6, hash_method=$7, "
                        "health=$8, rescued_bytes=$9, message=$10, enum_done=$11, copy_done=$12, problems=$13, diagnostics=$14 "
                        "WHERE medium_hash=$1",
                        row.medium_hash, row.medium_human, row.kind, row.image_path, row.map_path, row.size_bytes, row.hash_method, row.health,
                        row.rescued_bytes, row.message, row.enum_done, row.copy_done, json(row.problems), json(row.diagnostics)));
    if (done.changed() == 0) return unknown_medium(row.medium_hash);
    if (!row.copy_done) TRY(db_->run("UPDATE queue_position SET drained=false WHERE medium_hash=$1 AND drained", row.medium_hash));
    return {};
}

Result<void> PostgresCatalog::rename_medium(MediumKey medium, const std::string& medium_hash) {
    TRY(flush());
    hash_of_medium_.clear();
    // Foreign keys take the other tables along.
    TRY_ASSIGN(const Rows done, db_->run("UPDATE medium SET medium_hash=$2 WHERE medium_key=$1", static_cast<int64_t>(medium), medium_hash));
    if (done.changed() == 0) return unknown_medium(fmt::format("number {}", static_cast<int64_t>(medium)));
    return {};
}

Result<std::optional<MediumRow>> PostgresCatalog::medium(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT " NTT_MEDIUM_COLUMNS " FROM medium WHERE medium_hash=$1", medium_hash));
    if (!row.next()) return std::optional<MediumRow>();
    return std::optional(read_medium(row));
}

Result<std::vector<MediumRow>> PostgresCatalog::media() {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_MEDIUM_COLUMNS " FROM medium ORDER BY added_at, medium_key"));
    return all_rows(std::move(rows), read_medium<Rows>);
}

Result<std::optional<MediumRow>> PostgresCatalog::medium_at(const std::string& image_path) {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT " NTT_MEDIUM_COLUMNS " FROM medium WHERE image_path=$1 AND hash_method='image_blake3' "
                                  "ORDER BY added_at DESC, medium_key DESC LIMIT 1",
                                  image_path));
    if (!row.next()) return std::optional<MediumRow>();
    return std::optional(read_medium(row));
}

Result<MediumKey> PostgresCatalog::medium_key(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT medium_key FROM medium WHERE medium_hash=$1", medium_hash));
    if (!row.next()) return unknown_medium(medium_hash);
    return MediumKey{row.integer()};
}

Result<std::string> PostgresCatalog::hash_of(MediumKey medium) {
    if (medium == hashed_medium_ && !hash_of_medium_.empty()) return hash_of_medium_;
    TRY_ASSIGN(Rows row, db_->run("SELECT medium_hash FROM medium WHERE medium_key=$1", static_cast<int64_t>(medium)));
    if (!row.next()) return unknown_medium(fmt::format("number {}", static_cast<int64_t>(medium)));
    hashed_medium_ = medium;
    hash_of_medium_ = row.text();
    return hash_of_medium_;
}

Result<MediumRow> PostgresCatalog::resolve_medium(const std::string& text) {
    TRY_ASSIGN(auto exact, medium(text));
    if (exact) return *std::move(exact);
    // Whatever the database's collation: hashes that begin with `text`, by their first letters.
    const std::optional<std::string> prefix = text.size() >= kShortestPrefix ? std::optional(text) : std::nullopt;
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_MEDIUM_COLUMNS " FROM medium WHERE left(medium_hash, length($1)) = $1 OR medium_human = $2 "
                                   "ORDER BY added_at, medium_key",
                                   prefix, text));
    return only_candidate(text, all_rows(std::move(rows), read_medium<Rows>));
}

Result<int64_t> PostgresCatalog::add_image(const ImageRow& row) {
    TRY(check_place(row.path));
    TRY(check_place(row.map_path.value_or("")));
    TRY(flush());
    TRY_ASSIGN(Rows added, db_->run("INSERT INTO image (medium_hash, path, format, size_bytes, digest, map_path, map_digest, rescued_bytes, added_at) "
                                    "VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) RETURNING image_id", row.medium_hash,
                                    row.path, row.format, row.size_bytes, row.digest, row.map_path, row.map_digest, row.rescued_bytes, row.added_at));
    added.next();
    return added.integer();
}

Result<void> PostgresCatalog::update_image(const ImageRow& row) {
    TRY(check_place(row.path));
    TRY(check_place(row.map_path.value_or("")));
    TRY(flush());
    TRY_ASSIGN(const Rows done, db_->run("UPDATE image SET path=$2, map_path=$3, map_digest=$4, rescued_bytes=$5, digest=$6 WHERE image_id=$1", row.image_id,
                                         row.path, row.map_path, row.map_digest, row.rescued_bytes, row.digest));
    if (done.changed() == 0) return make_error(ErrorCode::not_found, fmt::format("the catalog has no image {}", row.image_id));
    return {};
}

Result<std::vector<ImageRow>> PostgresCatalog::images(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_IMAGE_COLUMNS " FROM image WHERE medium_hash=$1 ORDER BY image_id", medium_hash));
    return all_rows(std::move(rows), read_image<Rows>);
}

Result<bool> PostgresCatalog::has_image_of_size(uint64_t size_bytes) {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT 1 FROM image WHERE size_bytes=$1 LIMIT 1", size_bytes));
    return row.next();
}

Result<void> PostgresCatalog::put_volume(const VolumeRow& row) {
    TRY(flush());
    TRY(
               db_->run("INSERT INTO volume (" NTT_VOLUME_COLUMNS ") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) "
                        "ON CONFLICT (medium_hash, volume) DO UPDATE SET image_id=$3, offset_bytes=$4, size_bytes=$5, view=$6, role=$7, "
                        "fs_type=$8, label=$9, uuid=$10, outcome=$11, detail=$12",
                        row.medium_hash, row.volume, id_or_null(row.image_id), row.offset_bytes, row.size_bytes, or_null(row.view), or_null(row.role),
                        or_null(row.fs_type), or_null(row.label),
                        or_null(row.uuid), or_null(row.outcome), storable_json(row.detail)));
    return {};
}

Result<std::vector<VolumeRow>> PostgresCatalog::volumes(const std::string& medium_hash) {
    TRY(flush());
    TRY_ASSIGN(Rows rows, db_->run("SELECT " NTT_VOLUME_COLUMNS " FROM volume WHERE medium_hash=$1 ORDER BY volume", medium_hash));
    return all_rows(std::move(rows), read_volume<Rows>);
}

}  // namespace ntt::postgres
