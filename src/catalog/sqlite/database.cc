#include "catalog/sqlite/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace ntt::sqlite {
namespace {

constexpr int kBusyRetryMs = 10;

// Per connection. secure_delete (Debian's default) would write zeros over every row that moves.
constexpr const char* kSettings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA secure_delete = OFF;"
    "PRAGMA temp_store = FILE;"
    "PRAGMA cache_size = -65536;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA analysis_limit = 1000;";

}  // namespace

// --- Query ---

Query::Query(Query&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      owner_(other.owner_),
      bind_status_(other.bind_status_),
      column_(other.column_),
      unknown_word_(std::move(other.unknown_word_)) {}

Query::~Query() {
    // Both return the error of the last step, which next() has reported.
    if (owner_ == Owner::cache)
        sqlite3_reset(statement_);
    else
        sqlite3_finalize(statement_);
}

void Query::rewind() {
    sqlite3_reset(statement_);  // returns the error of the last step again
    bind_status_ = SQLITE_OK;
    unknown_word_.reset();
}

Result<bool> Query::next() {
    if (bind_status_ != SQLITE_OK) return database_->error(bind_status_);
    column_ = 0;
    const int status = sqlite3_step(statement_);
    if (status == SQLITE_ROW) return true;
    if (status == SQLITE_DONE) return false;
    Error error = database_->error(status);
    sqlite3_reset(statement_);
    return error;
}

Result<uint64_t> Query::run_bound() {
    for (;;) {
        TRY_ASSIGN(const bool row, next());
        if (!row) break;
    }
    const auto changes = static_cast<uint64_t>(sqlite3_changes64(database_->handle_));
    sqlite3_reset(statement_);  // the statement is done: OK
    return changes;
}

void Query::bind_integer(int index, int64_t value) {
    bind_status_ = std::max(bind_status_, sqlite3_bind_int64(statement_, index, value));
}
void Query::bind_null(int index) { bind_status_ = std::max(bind_status_, sqlite3_bind_null(statement_, index)); }

void Query::bind_text(int index, std::string_view value) {
    // A null pointer would bind NULL.
    const char* data = value.data() == nullptr ? "" : value.data();
    bind_status_ = std::max(bind_status_, sqlite3_bind_text64(statement_, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Query::bind_blob(int index, std::string_view value) {
    const char* data = value.data() == nullptr ? "" : value.data();
    bind_status_ = std::max(bind_status_, sqlite3_bind_blob64(statement_, index, data, value.size(), SQLITE_STATIC));
}

int64_t Query::integer() { return sqlite3_column_int64(statement_, column_++); }

std::string Query::text() {
    const int column = column_++;
    // sqlite3_column_blob gives the bytes of TEXT as they are; the size must be asked for after it.
    const void* data = sqlite3_column_blob(statement_, column);
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

std::optional<int64_t> Query::maybe_integer() {
    if (sqlite3_column_type(statement_, column_) == SQLITE_NULL) {
        ++column_;
        return std::nullopt;
    }
    return integer();
}

std::optional<int> Query::maybe_int() {
    const auto value = maybe_integer();
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<uint64_t> Query::maybe_size() {
    const auto value = maybe_integer();
    return value ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
}

std::optional<std::string> Query::maybe_text() {
    if (sqlite3_column_type(statement_, column_) == SQLITE_NULL) {
        ++column_;
        return std::nullopt;
    }
    return text();
}

std::vector<std::string> Query::texts() {
    std::vector<std::string> out;
    const std::optional<std::string> text = maybe_text();
    if (!text) return out;
    const nlohmann::json array = nlohmann::json::parse(*text, nullptr, false);
    if (!array.is_array()) return out;
    for (const nlohmann::json& entry : array) out.push_back(entry.is_string() ? entry.get<std::string>() : entry.dump());
    return out;
}

std::optional<BlobId> Query::maybe_blob_id() {
    const auto bytes = maybe_text();
    if (!bytes) return std::nullopt;
    BlobId id;
    if (bytes->size() != id.bytes.size()) {
        unknown_word_ = "a blob id of " + std::to_string(bytes->size()) + " bytes";
        return std::nullopt;
    }
    std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
    return id;
}

Result<void> Query::row_is_sound() const {
    if (!unknown_word_) return {};
    return make_error(ErrorCode::catalog_damaged,
                      fmt::format("the catalog {} holds a value that is not known: {}", database_->file(), *unknown_word_));
}

// --- Scope ---

Scope::Scope(Scope&& other) noexcept : database_(std::exchange(other.database_, nullptr)), kind_(other.kind_) {}

Scope::~Scope() {
    if (database_ == nullptr) return;
    // After some errors (disk full) SQLite has rolled back by itself.
    if (!database_->in_transaction()) return;
    database_->execute(kind_ == Kind::transaction ? "ROLLBACK" : "ROLLBACK TO ntt; RELEASE ntt")
        .ignore("nothing is left to undo");
}

Result<void> Scope::commit() {
    NTT_CHECK(database_ != nullptr, "a transaction is committed twice");
    TRY(database_->execute(kind_ == Kind::transaction ? "COMMIT" : "RELEASE ntt"));
    database_ = nullptr;
    return {};
}

// --- Database ---

Result<std::unique_ptr<Database>> Database::open(const std::string& file, const std::string& vfs, int busy_timeout_ms) {
    // SQLite reads "file:..." as a URI; "./file:..." is a file.
    const std::string name = file.starts_with('/') ? file : "./" + file;
    // Nobody asks SQLite how much memory it has; counting takes a lock at every allocation. Refused, and no loss, where
    // somebody has used SQLite before.
    [[maybe_unused]] static const int kUncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3* handle = nullptr;
    const int status = sqlite3_open_v2(name.c_str(), &handle, kFlags, vfs.empty() ? nullptr : vfs.c_str());
    NTT_CHECK(handle != nullptr, "out of memory");
    std::unique_ptr<Database> database(new Database(handle, file));
    if (status != SQLITE_OK) return database->error(status);
    if (const int timeout = sqlite3_busy_timeout(handle, busy_timeout_ms); timeout != SQLITE_OK) return database->error(timeout);
    TRY(database->use_wal(busy_timeout_ms));
    TRY(database->execute(kSettings));
    return database;
}

Database::~Database() {
    for (const auto& [sql, statement] : cache_) sqlite3_finalize(statement);
    // With all statements finalized this cannot fail; a failed last checkpoint leaves the log for the next to open.
    sqlite3_close(handle_);
}

Result<void> Database::use_wal(int busy_timeout_ms) {
    // SQLite does not wait here for another process that does the same, so we do.
    for (int waited_ms = 0;; waited_ms += kBusyRetryMs) {
        Result<bool> row = false;
        std::string mode;
        {
            TRY_ASSIGN(Query pragma, query("PRAGMA journal_mode = WAL"));
            row = pragma.next();
            if (row.ok() && *row) mode = pragma.text();
        }
        if (row.ok()) {
            if (mode == "wal") return {};
            return make_error(ErrorCode::unsupported, fmt::format("the catalog {} cannot use a write-ahead log", file_),
                              "put it on a local filesystem");
        }
        if (row.error().code != ErrorCode::busy || waited_ms >= busy_timeout_ms) return std::move(row).take_error();
        sqlite3_sleep(kBusyRetryMs);
    }
}

Result<Query> Database::prepared(const char* sql) {
    sqlite3_stmt*& statement = cache_[sql];
    if (statement == nullptr) {
        const int status = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
        if (status != SQLITE_OK) return error(status);
    }
    NTT_CHECK(sqlite3_stmt_busy(statement) == 0, "a cached statement is used twice at once");
    return Query(this, statement, Query::Owner::cache);
}

Result<Query> Database::query(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    const int status = sqlite3_prepare_v2(handle_, sql.c_str(), static_cast<int>(sql.size()) + 1, &statement, nullptr);
    if (status != SQLITE_OK) return error(status);
    return Query(this, statement, Query::Owner::query);
}

Result<void> Database::execute(const std::string& script) {
    const int status = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr);
    if (status != SQLITE_OK) return error(status);
    return {};
}

Result<Scope> Database::begin() {
    if (in_transaction()) {
        TRY(execute("SAVEPOINT ntt"));
        return Scope(this, Scope::Kind::savepoint);
    }
    TRY(execute("BEGIN IMMEDIATE"));
    return Scope(this, Scope::Kind::transaction);
}

Result<Scope> Database::begin_reading() {
    if (in_transaction()) return begin();
    TRY(execute("BEGIN"));
    return Scope(this, Scope::Kind::transaction);
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
int64_t Database::last_row() const { return sqlite3_last_insert_rowid(handle_); }

Error Database::error(int status) const {
    const std::string words = fmt::format("catalog {}: {}", file_, sqlite3_errmsg(handle_));
    switch (status) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID: return make_error(ErrorCode::already_exists, words);
        default: break;
    }
    switch (status & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return make_error(ErrorCode::busy, words, "another process is writing to the catalog; try again");
        case SQLITE_FULL: return make_error(ErrorCode::no_space, words, "make room where the catalog lies, then run again");
        case SQLITE_NOTADB:
            return make_error(ErrorCode::catalog_damaged, fmt::format("{} is not an SQLite database", file_),
                              "check --catalog; if this was a catalog, restore it from a backup");
        case SQLITE_CORRUPT:
            return make_error(ErrorCode::catalog_damaged, words,
                              "keep the file, and restore the catalog from a backup or with sqlite3 .recover");
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG: return make_error(ErrorCode::invalid_argument, words);
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH: return make_error(ErrorCode::permission, words);
        case SQLITE_CANTOPEN: {
            const int sys_errno = sqlite3_system_errno(handle_);
            return sys_errno != 0 ? errno_error(sys_errno, "open catalog " + file_) : make_error(ErrorCode::io, words);
        }
        default: return Error{ErrorCode::io, sqlite3_system_errno(handle_), words, {}};
    }
}

}  // namespace ntt::sqlite
