#include "catalog/transfer.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catalog/postgres/transfer.h"
#include "catalog/sqlite/transfer.h"

namespace ntt {

const std::vector<TransferTable>& transfer_tables() {
    using enum ColumnType;
    static const std::vector<TransferTable> kTables = {
        {.name = "medium",
         .in_sqlite = "medium",
         .in_postgres = "medium",
         .columns = {{"medium_key", int4},
                     {"medium_hash", text},
                     {"medium_human", text},
                     {"kind", text},
                     {"image_path", text},
                     {"map_path", text},
                     {"size_bytes", int8},
                     {"hash_method", text},
                     {"health", text},
                     {"rescued_bytes", int8},
                     {"message", text},
                     {"added_at", time},
                     {"enum_done", time},
                     {"copy_done", time},
                     {"problems", json},
                     {"diagnostics", json}},
         .key = {"medium_key"},
         .identity = "medium_key"},
        {.name = "medium_relation",
         .in_sqlite = "medium_relation",
         .in_postgres = "medium_relation",
         .columns = {{"medium_hash", text}, {"kind", text}, {"other_hash", text}, {"detail", json}},
         .key = {"medium_hash", "kind", "other_hash"}},
        {.name = "image",
         .in_sqlite = "image",
         .in_postgres = "image",
         .columns = {{"image_id", int8},
                     {"medium_hash", text},
                     {"path", text},
                     {"format", text},
                     {"size_bytes", int8},
                     {"digest", text},
                     {"map_path", text},
                     {"map_digest", text},
                     {"rescued_bytes", int8},
                     {"added_at", time}},
         .key = {"image_id"},
         .identity = "image_id"},
        {.name = "volume",
         .in_sqlite = "volume",
         .in_postgres = "volume",
         .columns = {{"medium_hash", text},
                     {"volume", int4},
                     {"image_id", int8},
                     {"offset_bytes", int8},
                     {"size_bytes", int8},
                     {"view", text},
                     {"role", text},
                     {"fs_type", text},
                     {"label", text},
                     {"uuid", text},
                     {"outcome", text},
                     {"detail", json}},
         .key = {"medium_hash", "volume"}},
        {.name = "store",
         .in_sqlite = "store",
         .in_postgres = "store",
         .columns = {{"store", int4}, {"store_id", text}},
         .key = {"store"},
         .identity = "store"},
        {.name = "blob",
         .in_sqlite = "blob",
         .in_postgres = "blob_row",
         .columns = {{"id", bytes}, {"kind", text}, {"size", int8}, {"first_seen", time}, {"last_verified", time}, {"store", int4}},
         .key = {"id", "kind"}},
        {.name = "blob_elsewhere",
         .in_sqlite = "blob_elsewhere",
         .in_postgres = "blob_elsewhere",
         .columns = {{"id", bytes}, {"kind", text}, {"store", int4}},
         .key = {"id", "kind", "store"}},
        {.name = "inode",
         .in_sqlite = "inode_row",
         .in_postgres = "inode_row",
         .columns = {{"medium", int4},
                     {"ino", int8},
                     {"volume", int2},
                     {"image_id", int4},
                     {"fs_type", text},
                     {"fs_ino", text},
                     {"stream", text},
                     {"allocated", boolean},
                     {"dev", int8},
                     {"nlink", count4, 1},
                     {"size", int8},
                     {"mtime", int8},
                     {"mtime_ns", int4, 0},
                     {"atime", int8},
                     {"ctime", int8},
                     {"crtime", int8},
                     {"mode", int4},
                     {"uid", owner4},
                     {"gid", owner4},
                     {"attributes", int4},
                     {"target", bytes},
                     {"access", int2},
                     {"first_offset", int8},
                     {"extents", bytes},
                     {"status", text},
                     {"copied", boolean},
                     {"claimed_by", text},
                     {"claimed_at", time},
                     {"blobid", bytes},
                     {"partial_blobid", bytes},
                     {"missing_bytes", int8, 0},
                     {"cause", text},
                     {"evidence", json},
                     {"error_type", text},
                     {"errors", texts},
                     {"errors_before_requeue", int4, 0},
                     {"mime_type", text},
                     {"processed_at", time}},
         .key = {"medium", "ino", "volume"}},
        {.name = "path",
         .in_sqlite = "path_row",
         .in_postgres = "path_row",
         .columns = {{"medium", int4},
                     {"volume", int2},
                     {"entry", int4},
                     {"ino", int8},
                     {"path", bytes},
                     {"short_name", bytes},
                     {"exclude_reason", text},
                     {"name_hash", hash32}},
         .key = {"medium", "volume", "entry"}},
        {.name = "missing_range",
         .in_sqlite = "missing_range",
         .in_postgres = "missing_range",
         .columns = {{"medium_hash", text},
                     {"volume", int4},
                     {"ino", int8},
                     {"file_offset", int8},
                     {"length", int8},
                     {"image_offset", int8},
                     {"cause", text}},
         .key = {"medium_hash", "volume", "ino", "file_offset", "cause"}},
        {.name = "finding",
         .in_sqlite = "finding",
         .in_postgres = "finding",
         .columns = {{"id", int8},
                     {"medium_hash", text},
                     {"volume", int4},
                     {"ino", int8},
                     {"code", text},
                     {"message", text},
                     {"evidence", json},
                     {"at", time}},
         .key = {"id"},
         .identity = "id"},
        {.name = "diagnostic_event",
         .in_sqlite = "diagnostic_event",
         .in_postgres = "diagnostic_event",
         .columns = {{"id", int8},
                     {"medium_hash", text},
                     {"volume", int4},
                     {"ino", int8},
                     {"retry_count", int4},
                     {"checks", json},
                     {"action", text},
                     {"cause", text},
                     {"evidence", json},
                     {"exception_type", text},
                     {"exception_msg", text},
                     {"worker_id", text},
                     {"timestamp", time}},
         .key = {"id"},
         .identity = "id"},
    };
    return kTables;
}

bool TransferTable::is_key(const TransferColumn& column) const {
    return std::any_of(key.begin(), key.end(), [&](const char* one) { return std::strcmp(one, column.name) == 0; });
}

uint64_t TransferReport::rows(std::string_view table) const {
    for (const TransferredTable& one : tables)
        if (one.name == table) return one.rows;
    return 0;
}

namespace {

bool is_postgres(const std::string& url) { return url.starts_with("postgresql://") || url.starts_with("postgres://"); }

// As open_catalog() understands "sqlite:FILE".
Result<std::string> sqlite_file(const std::string& url) {
    constexpr std::string_view kSqlite = "sqlite:";
    std::string file = url.starts_with(kSqlite) ? url.substr(kSqlite.size()) : std::string();
    if (file.starts_with("///")) file.erase(0, 2);
    if (file.empty() || file.starts_with("//") || file.ends_with('/') || file == ":memory:")
        return make_error(ErrorCode::invalid_argument, fmt::format("'{}' is not the address of a catalog", shown_url(url)),
                          "use sqlite:FILE or postgresql://USER@HOST/DATABASE");
    return file;
}

// Null where there is no catalog.
Result<std::unique_ptr<TableSource>> find_table_source(Env& env, const std::string& url) {
    if (is_postgres(url)) return postgres::find_table_source(url);
    TRY_ASSIGN(const std::string file, sqlite_file(url));
    return sqlite::find_table_source(env, file);
}

std::string shown(const TransferColumn& column, const TransferValue& value) {
    if (std::holds_alternative<std::monostate>(value)) return "NULL";
    if (const int64_t* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
    const std::string& text_of = std::get<std::string>(value);
    return column.type == ColumnType::bytes ? to_hex(as_bytes(text_of)) : to_terminal_text(text_of);
}

// "medium=1 ino=12 volume=1"
std::string key_of(const TransferTable& table, const TransferRow& row) {
    std::string out;
    for (size_t i = 0; i < table.columns.size(); ++i)
        if (table.is_key(table.columns[i])) out += fmt::format("{}{}={}", out.empty() ? "" : " ", table.columns[i].name, shown(table.columns[i], row[i]));
    return out;
}

Error with_place(const Error& error, const TransferTable& table, const TransferRow& row) {
    Error out = error;
    out.message = fmt::format("table {}, row {}: {}", table.name, key_of(table, row), error.message);
    return out;
}

// Replaces the row's values by what the target can hold.
Result<void> fit_row(const TransferTable& table, Fit fit, TransferRow& row, TransferredTable* counted) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
        const TransferColumn& column = table.columns[i];
        Result<TransferValue> fitted = fit(column, row[i]);
        if (!fitted.ok()) return with_place(fitted.error(), table, row);
        if (*fitted == row[i]) continue;
        if (table.is_key(column))
            return with_place(make_error(ErrorCode::invalid_argument, fmt::format("the target cannot hold the key's column {} as it is", column.name)), table, row);
        if (counted != nullptr) ++counted->replaced[column.name];
        row[i] = *std::move(fitted);
    }
    return {};
}

bool same(const TransferColumn& column, const TransferValue& a, const TransferValue& b) {
    if (a == b) return true;
    if (column.type != ColumnType::json && column.type != ColumnType::texts) return false;
    const std::string* one = std::get_if<std::string>(&a);
    const std::string* other = std::get_if<std::string>(&b);
    if (one == nullptr || other == nullptr) return false;
    const auto first = nlohmann::json::parse(*one, nullptr, false), second = nlohmann::json::parse(*other, nullptr, false);
    return !first.is_discarded() && !second.is_discarded() && first == second;
}

Error difference(const TransferTable& table, const TransferRow& row, std::string_view what) {
    return make_error(ErrorCode::catalog_damaged, fmt::format("source and target are not equal: table {}, row {}: {}", table.name, key_of(table, row), what),
                      "the target was not kept; if this comes again, it is a defect of ntt");
}

// Visits each fitted row.
template <typename Visit>
Result<TransferredTable> each_fitted(const TransferTable& table, TableSource& source, Fit fit, const CancelToken& cancel, Visit visit) {
    TransferredTable out;
    out.name = table.name;
    TRY_ASSIGN(const std::unique_ptr<RowCursor> rows, source.rows(table));
    TransferRow row;
    for (;;) {
        TRY(cancel.check());
        TRY_ASSIGN(const bool more, rows->next(row));
        if (!more) return out;
        TRY(fit_row(table, fit, row, &out));
        ++out.rows;
        TRY(visit(row));
    }
}

Result<void> prove_table(const TransferTable& table, TableSource& source, TableSource& target, Fit fit, const CancelToken& cancel) {
    TRY_ASSIGN(const std::unique_ptr<RowCursor> there, target.rows(table));
    TransferRow other;
    const auto compare = [&](const TransferRow& row) -> Result<void> {
        TRY_ASSIGN(const bool found, there->next(other));
        if (!found) return difference(table, row, "is missing in the target");
        for (size_t i = 0; i < table.columns.size(); ++i)
            if (!same(table.columns[i], row[i], other[i])) return difference(table, row, fmt::format("column {} differs", table.columns[i].name));
        return {};
    };
    TRY(each_fitted(table, source, fit, cancel, compare));
    TRY_ASSIGN(const bool more, there->next(other));
    if (more) return difference(table, other, "is in the target only");
    return {};
}

Result<void> check_without_rows(TableSource& source, const std::string& url) {
    TransferRow row;
    for (const TransferTable& table : transfer_tables()) {
        TRY_ASSIGN(const std::unique_ptr<RowCursor> rows, source.rows(table));
        TRY_ASSIGN(const bool found, rows->next(row));
        if (found)
            return make_error(ErrorCode::already_exists, fmt::format("the target {} is not empty: its table {} has rows", shown_url(url), table.name),
                              "give a new file or an empty database; a migration adds to nothing");
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<TableSource>> open_table_source(Env& env, const std::string& url) {
    TRY_ASSIGN(std::unique_ptr<TableSource> found, find_table_source(env, url));
    if (found == nullptr) return make_error(ErrorCode::not_found, fmt::format("there is no catalog {}", shown_url(url)));
    return found;
}

Result<std::unique_ptr<TableSink>> open_table_sink(Env& env, const Clock& clock, const std::string& url) {
    std::unique_ptr<TableSink> sink;
    if (is_postgres(url)) {
        TRY_ASSIGN(sink, postgres::open_table_sink(clock, url));
    } else {
        TRY_ASSIGN(const std::string file, sqlite_file(url));
        TRY_ASSIGN(sink, sqlite::open_table_sink(env, clock, file));
    }
    TRY(check_without_rows(*sink, url));
    return sink;
}

Result<void> check_transfer_target(Env& env, const std::string& url) {
    TRY_ASSIGN(const std::unique_ptr<TableSource> there, find_table_source(env, url));
    return there == nullptr ? Result<void>() : check_without_rows(*there, url);
}

Result<std::set<std::string>> media_in(Env& env, const std::string& url) {
    std::set<std::string> out;
    TRY_ASSIGN(const std::unique_ptr<TableSource> there, find_table_source(env, url));
    if (there == nullptr) return out;
    const TransferTable& medium = transfer_tables().front();
    TRY_ASSIGN(const std::unique_ptr<RowCursor> rows, there->rows(medium));
    TransferRow row;
    for (;;) {
        TRY_ASSIGN(const bool more, rows->next(row));
        if (!more) return out;
        for (size_t i = 0; i < row.size(); ++i)
            if (std::string_view(medium.columns[i].name) == "medium_hash") out.insert(std::get<std::string>(row[i]));
    }
}

Fit fit_of(const std::string& url) { return is_postgres(url) ? postgres::fit : sqlite::fit; }

Result<void> copy_tables(TableSource& source, TableSink& sink, const CancelToken& cancel, TransferReport& report) {
    for (const TransferTable& table : transfer_tables()) {
        TRY_ASSIGN(TransferredTable copied, each_fitted(table, source, sink.fit(), cancel, [&](const TransferRow& row) { return sink.add(table, row); }));
        TRY(sink.finish(table));
        report.tables.push_back(std::move(copied));
    }
    return {};
}

Result<void> prove_equal(TableSource& source, TableSource& target, Fit fit, const CancelToken& cancel) {
    for (const TransferTable& table : transfer_tables()) TRY(prove_table(table, source, target, fit, cancel));
    return {};
}

Result<void> transfer(TableSource& source, TableSink& sink, const CancelToken& cancel, TransferReport& report) {
    TRY(copy_tables(source, sink, cancel, report));
    // Before the commit, so that a target with a difference never comes to be.
    Result<void> proven = prove_equal(source, sink, sink.fit(), cancel);
    if (proven.ok() || proven.error().code == ErrorCode::catalog_damaged) report.equal = proven.ok();
    TRY(std::move(proven));
    return sink.commit();
}

Result<void> count_tables(TableSource& source, Fit fit, const CancelToken& cancel, TransferReport& report) {
    for (const TransferTable& table : transfer_tables()) {
        TRY_ASSIGN(TransferredTable counted, each_fitted(table, source, fit, cancel, [](const TransferRow&) { return Result<void>(); }));
        report.tables.push_back(std::move(counted));
    }
    return {};
}

std::string shown_url(const std::string& url) {
    const size_t scheme = url.find("://");
    if (scheme == std::string::npos || url.starts_with("sqlite:")) return url;
    const size_t from = scheme + 3, end = url.find('?', from);
    const std::string begin = url.substr(0, from);
    const std::string place = url.substr(from, end == std::string::npos ? end : end - from);
    const size_t at = place.rfind('@');
    if (at != std::string::npos) return begin + place.substr(at + 1);
    // An '@' behind a '?' may end a password with a '?' in it.
    return url.find('@') == std::string::npos ? begin + place : begin + "…";
}

}  // namespace ntt
