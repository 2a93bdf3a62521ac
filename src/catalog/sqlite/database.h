// A connection to SQLite as the rest of this folder wants it: prepared statements with typed binding, Results for every
// call, transactions that roll back by themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ntt::sqlite {

class Database;

// Bytes to be bound as BLOB; plain strings are bound as TEXT. Borrowed until the statement has run.
struct Blob {
    std::string_view bytes;
};
inline std::optional<Blob> blob_of(const std::optional<std::string>& bytes) {
    return bytes ? std::optional(Blob{*bytes}) : std::nullopt;
}
// The empty string as NULL.
inline std::optional<std::string_view> or_null(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

// One use of a prepared statement. Parameters ?1, ?2 ... are bound in order; columns of the current row are taken in
// order too. Resets (cached statement) or finalizes when it goes. Must not outlive its Database.
class Query {
public:
    Query(Query&& other) noexcept;
    Query& operator=(Query&&) = delete;
    ~Query();

    // Starts anew with these parameters. uint64_t above 2^63-1, which only absurd evidence has, is bound as 2^63-1.
    template <typename... Parameters>
    Query& bind(const Parameters&... parameters) {
        rewind();
        int index = 0;
        (bind_one(++index, parameters), ...);
        return *this;
    }
    // Binds, runs to the end, and is ready for the next parameters. Returns how many rows changed.
    template <typename... Parameters>
    Result<uint64_t> run(const Parameters&... parameters) {
        bind(parameters...);
        return run_bound();
    }
    // Binds and moves to the first row; false: there is none.
    template <typename... Parameters>
    Result<bool> first(const Parameters&... parameters) {
        bind(parameters...);
        return next();
    }
    // Moves to the next row; false: that was the last.
    Result<bool> next();

    // The next column of the current row.
    int64_t integer();
    uint64_t size() { return static_cast<uint64_t>(integer()); }
    bool boolean() { return integer() != 0; }
    std::string text();  // NULL as empty; also for BLOB
    std::optional<int64_t> maybe_integer();
    std::optional<int> maybe_int();
    std::optional<uint64_t> maybe_size();
    std::optional<std::string> maybe_text();
    std::optional<BlobId> maybe_blob_id();
    // SQLite holds these as they are written: the names are those of postgres::Rows.
    std::string bytes() { return text(); }
    std::string json() { return text(); }
    std::string time() { return text(); }
    std::optional<std::string> maybe_bytes() { return maybe_text(); }
    std::optional<std::string> maybe_json() { return maybe_text(); }
    std::optional<std::string> maybe_time() { return maybe_text(); }
    // A JSON array; text of other types in it, which only somebody's own SQL can have put there, is shown as JSON. NULL as empty.
    std::vector<std::string> texts();
    // Values that the schema's CHECKs allow and this program does not know mean a damaged catalog; next() reports it.
    template <typename T, typename Parse>
    std::optional<T> maybe_word(Parse parse) {
        const std::optional<std::string> word = maybe_text();
        if (!word) return std::nullopt;
        const std::optional<T> value = parse(*word);
        if (!value) unknown_word_ = *word;
        return value;
    }
    // catalog_damaged when a column of this row held a value that is not known.
    Result<void> row_is_sound() const;

private:
    friend class Database;
    enum class Owner { cache, query };
    Query(Database* database, sqlite3_stmt* statement, Owner owner) : database_(database), statement_(statement), owner_(owner) {}

    void rewind();
    Result<uint64_t> run_bound();
    void bind_integer(int index, int64_t value);
    void bind_text(int index, std::string_view value);
    void bind_blob(int index, std::string_view value);
    void bind_null(int index);

    void bind_one(int index, int value) { bind_integer(index, value); }
    void bind_one(int index, int64_t value) { bind_integer(index, value); }
    void bind_one(int index, uint64_t value) { bind_integer(index, value > INT64_MAX ? INT64_MAX : static_cast<int64_t>(value)); }
    void bind_one(int index, bool value) { bind_integer(index, value ? 1 : 0); }
    void bind_one(int index, std::string_view value) { bind_text(index, value); }
    void bind_one(int index, const std::string& value) { bind_text(index, value); }
    void bind_one(int index, Blob value) { bind_blob(index, value.bytes); }
    void bind_one(int index, const BlobId& value) { bind_blob(index, as_text(value.bytes)); }
    template <typename T>
    void bind_one(int index, const std::optional<T>& value) {
        if (value)
            bind_one(index, *value);
        else
            bind_null(index);
    }

    Database* database_;
    sqlite3_stmt* statement_;
    Owner owner_;
    int bind_status_ = 0;
    int column_ = 0;
    std::optional<std::string> unknown_word_;
};

// A transaction, or a savepoint inside one; undoes itself unless commit() succeeded.
class Scope {
public:
    Scope(Scope&& other) noexcept;
    Scope& operator=(Scope&&) = delete;
    ~Scope();
    Result<void> commit();

private:
    friend class Database;
    enum class Kind { transaction, savepoint };
    Scope(Database* database, Kind kind) : database_(database), kind_(kind) {}
    Database* database_;  // nullptr: done
    Kind kind_;
};

class Database {
public:
    // Opens or creates `file`. `vfs`: empty for SQLite's own. Sets what this program relies on: WAL, synchronous=FULL,
    // foreign keys, a cache of 64 MiB at most (a larger transaction spills to the log).
    static Result<std::unique_ptr<Database>> open(const std::string& file, const std::string& vfs, int busy_timeout_ms);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // A statement that is prepared once; `sql` must be a string literal (its address is the key).
    Result<Query> prepared(const char* sql);
    // A statement for one use: for text made at run time, and for reads during which others may run.
    Result<Query> query(const std::string& sql);
    // prepared() and run().
    template <typename... Parameters>
    Result<uint64_t> run(const char* sql, const Parameters&... parameters) {
        TRY_ASSIGN(Query statement, prepared(sql));
        return statement.run(parameters...);
    }
    // Several statements without parameters.
    Result<void> execute(const std::string& script);

    // Takes the write lock at once, so that no statement inside can find the catalog busy.
    Result<Scope> begin();
    // For many reads: they see one state, and SQLite takes its lock once. Ends with the Scope; needs no commit.
    Result<Scope> begin_reading();
    bool in_transaction() const;
    int64_t last_row() const;
    const std::string& file() const { return file_; }

    // What the last call's failure means; `status` is SQLite's extended result code.
    Error error(int status) const;

private:
    Database(sqlite3* handle, std::string file) : handle_(handle), file_(std::move(file)) {}
    friend class Query;
    Result<void> use_wal(int busy_timeout_ms);

    sqlite3* handle_;
    std::string file_;
    std::unordered_map<const char*, sqlite3_stmt*> cache_;
};

}  // namespace ntt::sqlite
