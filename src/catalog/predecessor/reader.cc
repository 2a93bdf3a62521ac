#include "catalog/predecessor/reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ntt::predecessor {

using postgres::Connection;
using postgres::ConnectionOptions;
using postgres::Rows;
using postgres::Scope;

namespace {

// A server's cursor, some rows at a time.
class Fetched {
public:
    Fetched(Connection& connection, std::string name) : connection_(connection), name_(std::move(name)) {}
    ~Fetched() { connection_.execute("CLOSE " + name_).ignore("the transaction's end closes it"); }

    // The next row; null after the last.
    Result<Rows*> next() {
        if (!rows_ || !rows_->next()) {
            rows_.reset();
            TRY_ASSIGN(Rows fetched, connection_.query("FETCH 2000 FROM " + name_));
            rows_.emplace(std::move(fetched));
            if (!rows_->next()) return static_cast<Rows*>(nullptr);
        }
        return &*rows_;
    }

private:
    Connection& connection_;
    const std::string name_;
    std::optional<Rows> rows_;
};

// text[] as a JSON array.
std::vector<std::string> texts_from(const std::optional<std::string>& array) {
    std::vector<std::string> out;
    const nlohmann::json parsed = array ? nlohmann::json::parse(*array, nullptr, false) : nlohmann::json();
    if (!parsed.is_array()) return out;
    for (const nlohmann::json& entry : parsed)
        if (!entry.is_null()) out.push_back(entry.is_string() ? entry.get<std::string>() : entry.dump());
    return out;
}

TheirInode read_inode(Rows& row) {
    TheirInode out;
    out.ino = row.integer();
    out.dev = row.maybe_integer();
    out.nlink = row.maybe_integer();
    out.size = row.maybe_integer();
    out.mtime = row.maybe_integer();
    const std::optional<std::string> copied = row.maybe_text();
    if (copied) out.copied = *copied == "t";
    out.fs_type = row.maybe_text();
    out.blobid = row.maybe_text();
    out.status = row.maybe_text();
    out.error_type = row.maybe_text();
    out.claimed_by = row.maybe_text();
    out.claimed_at = row.maybe_time();
    out.mime_type = row.maybe_text();
    out.processed_at = row.maybe_time();
    out.errors = texts_from(row.maybe_text());
    return out;
}

TheirPath read_path(Rows& row) {
    TheirPath out;
    out.ino = row.integer();
    out.dev = row.maybe_integer();
    out.path = row.bytes();
    out.exclude_reason = row.maybe_text();
    return out;
}

// Inodes and paths side by side, both in the order of numbers.
class Groups final : public GroupCursor {
public:
    Groups(std::unique_ptr<Fetched> inodes, std::unique_ptr<Fetched> paths) : inodes_(std::move(inodes)), paths_(std::move(paths)) {}

    Result<bool> next(TheirGroup& group) override {
        group.inodes.clear();
        group.paths.clear();
        if (!started_) {
            TRY(fetch_inode());
            TRY(fetch_path());
            started_ = true;
        }
        if (!inode_ && !path_) return false;
        const int64_t number = std::min(inode_ ? inode_->ino : path_->ino, path_ ? path_->ino : inode_->ino);
        while (inode_ && inode_->ino == number) {
            group.inodes.push_back(*std::move(inode_));
            TRY(fetch_inode());
        }
        while (path_ && path_->ino == number) {
            group.paths.push_back(*std::move(path_));
            TRY(fetch_path());
        }
        return true;
    }

private:
    Result<void> fetch_inode() {
        inode_.reset();
        TRY_ASSIGN(Rows* const row, inodes_->next());
        if (row != nullptr) inode_ = read_inode(*row);
        return {};
    }
    Result<void> fetch_path() {
        path_.reset();
        TRY_ASSIGN(Rows* const row, paths_->next());
        if (row != nullptr) path_ = read_path(*row);
        return {};
    }

    std::unique_ptr<Fetched> inodes_, paths_;
    std::optional<TheirInode> inode_;
    std::optional<TheirPath> path_;
    bool started_ = false;
};

}  // namespace

Result<Reader::Types> Reader::types_of(const char* table) {
    TRY_ASSIGN(Rows rows, connection_->query("SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass($1) "
                                             "AND attnum > 0 AND NOT attisdropped",
                                             table));
    Types out;
    while (rows.next()) {
        std::string name = rows.text();
        out.emplace(std::move(name), rows.text());
    }
    return out;
}

std::string Reader::column(const Types& types, const std::string& name, const char* as) {
    const auto found = types.find(name);
    if (found == types.end()) return fmt::format("NULL::{}", as);
    const std::string& type = found->second;
    if (name == "errors") return type == "text[]" || type == "character varying[]" ? "array_to_json(errors)::text" : "json_build_array(errors)::text";
    if (name == "path") return type == "bytea" ? name : "convert_to(path::text, 'UTF8')";
    if (name == "blobid") return type == "bytea" ? "encode(blobid, 'escape')" : "trim(blobid::text)";  // early: bytea with the digits in it
    return fmt::format("{}::{}", name, as);
}

Result<std::unique_ptr<Reader>> Reader::open(const std::string& url) {
    if (!url.starts_with("postgresql://") && !url.starts_with("postgres://"))
        return make_error(ErrorCode::invalid_argument, "the predecessor's database is one of PostgreSQL", "postgresql://USER@HOST/DATABASE");
    constexpr ConnectionOptions kUnhurried{60'000, 0};
    TRY_ASSIGN(auto connection, Connection::open(url, kUnhurried));
    TRY_ASSIGN(Scope scope, connection->begin());
    TRY(connection->execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"));
    const std::string place = connection->place();
    std::unique_ptr<Reader> out(new Reader(std::move(connection), std::move(scope)));
    TRY_ASSIGN(out->medium_, out->types_of("medium"));
    TRY_ASSIGN(out->inode_, out->types_of("inode"));
    TRY_ASSIGN(out->path_, out->types_of("path"));
    if (out->inode_.contains("volume"))
        return make_error(ErrorCode::schema, fmt::format("{} is a catalog of ntt", place), "migrate it without --from-predecessor");
    for (const auto& [types, table] : {std::pair(&out->medium_, "medium"), std::pair(&out->inode_, "inode"), std::pair(&out->path_, "path")})
        if (!types->contains("medium_hash"))
            return make_error(ErrorCode::schema, fmt::format("{} has no table {} of the predecessor", place, table), "name its schema in the URL: ?options=-csearch_path%3DSCHEMA");
    if (!out->inode_.contains("ino") || !out->path_.contains("ino") || !out->path_.contains("path"))
        return make_error(ErrorCode::schema, fmt::format("{} lacks inode.ino, path.ino or path.path", place));
    return out;
}

Result<std::vector<TheirMedium>> Reader::media() {
    std::string columns = "medium_hash::text";
    for (const char* name : {"medium_human", "health", "image_path", "problems", "diagnostics", "message"}) columns += ", " + column(medium_, name, "text");
    for (const char* name : {"added_at", "enum_done", "copy_done"}) columns += ", " + column(medium_, name, "timestamptz");
    TRY_ASSIGN(Rows rows, connection_->query(fmt::format("SELECT {} FROM medium ORDER BY {} NULLS LAST, medium_hash", columns, column(medium_, "added_at", "timestamptz"))));
    std::vector<TheirMedium> out;
    while (rows.next()) {
        TheirMedium medium;
        medium.medium_hash = rows.text();
        medium.medium_human = rows.maybe_text();
        medium.health = rows.maybe_text();
        medium.image_path = rows.maybe_text();
        medium.problems = rows.maybe_text();
        medium.diagnostics = rows.maybe_text();
        medium.message = rows.maybe_text();
        medium.added_at = rows.maybe_time();
        medium.enum_done = rows.maybe_time();
        medium.copy_done = rows.maybe_time();
        out.push_back(std::move(medium));
    }
    TRY_ASSIGN(Rows lost, connection_->query("SELECT DISTINCT medium_hash::text FROM inode i WHERE NOT EXISTS (SELECT 1 FROM medium m WHERE m.medium_hash = i.medium_hash) "
                                             "ORDER BY 1"));
    while (lost.next()) {
        TheirMedium medium;
        medium.medium_hash = lost.text();
        medium.is_listed = false;
        out.push_back(std::move(medium));
    }
    return out;
}

Result<std::set<std::string>> Reader::blobs_of_two_sizes() {
    std::set<std::string> out;
    if (!inode_.contains("blobid") || !inode_.contains("size")) return out;
    TRY_ASSIGN(Rows rows, connection_->query(fmt::format("SELECT {0} FROM inode WHERE blobid IS NOT NULL GROUP BY 1 HAVING count(DISTINCT size) > 1", column(inode_, "blobid", "text"))));
    while (rows.next()) out.insert(rows.text());
    return out;
}

Result<MediumCarrier::Partitions> Reader::partitions(const std::string& medium_hash) {
    const std::string prefix = "/mnt/ntt/" + medium_hash;
    // By the first bytes behind the mount point; the mount point itself says nothing.
    TRY_ASSIGN(Rows row, connection_->query(fmt::format("SELECT count(*) > 0 AND bool_and(encode(substring(p FROM {0} + 1 FOR 6), 'escape') ~ '^/p[0-9]{{1,3}}(/|$)') "
                                                        "FROM (SELECT {1} AS p FROM path WHERE medium_hash = $1) x "
                                                        "WHERE substring(p FROM 1 FOR {0}) = $2 AND octet_length(p) > {0} + 1",
                                                        prefix.size(), column(path_, "path", "bytea")),
                                            medium_hash, postgres::Bytes{prefix}));
    row.next();
    return row.boolean() ? MediumCarrier::Partitions::by_folder : MediumCarrier::Partitions::none;
}

Result<std::unique_ptr<GroupCursor>> Reader::groups(const std::string& medium_hash) {
    std::string of_inode = "ino::bigint";
    for (const char* name : {"dev", "nlink", "size", "mtime"}) of_inode += ", " + column(inode_, name, "bigint");
    of_inode += ", " + column(inode_, "copied", "boolean");
    for (const char* name : {"fs_type", "blobid", "status", "error_type", "claimed_by"}) of_inode += ", " + column(inode_, name, "text");
    of_inode += ", " + column(inode_, "claimed_at", "timestamptz") + ", " + column(inode_, "mime_type", "text") + ", " + column(inode_, "processed_at", "timestamptz");
    of_inode += ", " + column(inode_, "errors", "text");
    const std::string path = column(path_, "path", "bytea"), dev = column(path_, "dev", "bigint");
    const std::string of_path = fmt::format("ino::bigint, {}, {}, {}", dev, path, column(path_, "exclude_reason", "text"));

    const std::string inodes = fmt::format("inodes{}", ++cursors_), paths = fmt::format("paths{}", cursors_);
    TRY(connection_->query(fmt::format("DECLARE {} NO SCROLL CURSOR FOR SELECT {} FROM inode WHERE medium_hash = $1 ORDER BY 1, 2", inodes, of_inode), medium_hash));
    auto inode_rows = std::make_unique<Fetched>(*connection_, inodes);
    TRY(connection_->query(fmt::format("DECLARE {} NO SCROLL CURSOR FOR SELECT {} FROM path WHERE medium_hash = $1 ORDER BY 1, 2, 3", paths, of_path), medium_hash));
    return std::unique_ptr<GroupCursor>(new Groups(std::move(inode_rows), std::make_unique<Fetched>(*connection_, paths)));
}

}  // namespace ntt::predecessor
