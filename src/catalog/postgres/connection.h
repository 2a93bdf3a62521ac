// A connection to PostgreSQL as the rest of this folder wants it: prepared statements with typed parameters, Results for
// every call, transactions that roll back by themselves, COPY in. The twin of ../sqlite/database.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "catalog/postgres/fields.h"

struct pg_conn;
struct pg_result;

namespace ntt::postgres {

// Bytes to be sent as bytea; plain strings are sent as text. Borrowed until the statement has run.
struct Bytes {
    std::string_view bytes;
};
inline std::optional<Bytes> bytes_of(const std::optional<std::string>& bytes) { return bytes ? std::optional(Bytes{*bytes}) : std::nullopt; }
// The empty string as NULL.
inline std::optional<std::string_view> or_null(std::string_view text) { return text.empty() ? std::nullopt : std::optional(text); }

// Text as PostgreSQL can hold it: UTF-8 without NUL; what is not becomes U+FFFD. For what is shown, never for what is opened.
std::string storable_text(std::string_view text);
// JSON text as jsonb can hold it: without \u0000, and without the half of a pair of surrogates.
std::string storable_json(std::string_view json);

// The rows of an answer, or how many rows a statement changed. Columns of the current row are taken in order.
class Rows {
public:
    // Moves to the next row; false: that was the last.
    bool next();
    uint64_t changed() const;

    int64_t integer();
    uint64_t size() { return static_cast<uint64_t>(integer()); }
    bool boolean();
    std::string text();   // NULL as empty
    std::string bytes();  // of bytea; NULL as empty
    std::string json();   // compact, keys sorted; NULL as empty
    std::string time();   // of timestamptz, as iso8601_utc() gives it; NULL as empty
    uint64_t sum();       // of numeric; above 2^64-1: that
    std::optional<int64_t> maybe_integer();
    std::optional<int> maybe_int();
    std::optional<uint64_t> maybe_size();
    std::optional<std::string> maybe_text();
    std::optional<std::string> maybe_bytes();
    std::optional<std::string> maybe_json();
    std::optional<std::string> maybe_time();
    std::vector<std::string> texts();  // of text[]; NULL as empty
    std::optional<BlobId> maybe_blob_id();
    // Values that the schema's CHECKs allow and this program does not know mean a damaged catalog; row_is_sound() says so.
    template <typename T, typename Parse>
    std::optional<T> maybe_word(Parse parse) {
        const std::optional<std::string> word = maybe_text();
        if (!word) return std::nullopt;
        const std::optional<T> value = parse(*word);
        if (!value) unknown_word_ = *word;
        return value;
    }
    Result<void> row_is_sound() const;

private:
    friend class Connection;
    struct Clear {
        void operator()(pg_result* result) const;
    };
    explicit Rows(pg_result* result) : result_(result) {}
    std::string_view raw();  // the next column's text; empty for NULL
    bool is_null() const;

    std::unique_ptr<pg_result, Clear> result_;
    int row_ = -1, column_ = 0;
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
    friend class Connection;
    Scope(class Connection* connection, int depth) : connection_(connection), depth_(depth) {}
    class Connection* connection_;  // nullptr: done
    int depth_;                     // 0: the transaction itself
};

struct ConnectionOptions {
    int lock_timeout_ms = 60'000;        // a lock that another holds: then busy
    int statement_timeout_ms = 120'000;  // of statements whose cost does not grow with the catalog
};

// Used by one thread at a time. Errors: unavailable (no server, or the connection was lost), permission (password, rights),
// not_found (no such database), busy (locks, time limits, too many connections), no_space, already_exists,
// invalid_argument (a constraint), schema, catalog_damaged, io.
class Connection {
public:
    static Result<std::unique_ptr<Connection>> open(const std::string& url, const ConnectionOptions& options = {});
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // A statement that is prepared once; `sql` must be a string literal (its address is the key). Parameters are $1, $2 ...
    template <typename... Parameters>
    Result<Rows> run(const char* sql, const Parameters&... parameters) {
        Bound bound;
        (bound.add(parameters), ...);
        return run_prepared(sql, bound);
    }
    // A statement for one use.
    template <typename... Parameters>
    Result<Rows> query(const std::string& sql, const Parameters&... parameters) {
        Bound bound;
        (bound.add(parameters), ...);
        return run_once(sql, bound);
    }
    // Several statements without parameters.
    Result<void> execute(const std::string& script);

    // COPY … FROM STDIN: `stream` holds all of it. Returns how many rows.
    Result<uint64_t> copy_in(const std::string& sql, std::string_view stream);

    Result<Scope> begin();
    bool in_transaction() const { return depth_ > 0; }
    // Lets the statements until the guard's end run longer: their cost grows with the rows of the tables.
    class LongerLimit {
    public:
        LongerLimit(LongerLimit&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
        LongerLimit& operator=(LongerLimit&&) = delete;
        ~LongerLimit();

    private:
        friend class Connection;
        explicit LongerLimit(Connection* connection) : connection_(connection) {}
        Connection* connection_;
    };
    // `rows_unknown`: added since the tables' statistics were made.
    Result<LongerLimit> scaled_limit(int64_t rows_unknown = 0);

    // "host:port/database", without the password.
    const std::string& place() const { return place_; }
    bool is_alive() const;

private:
    friend class Scope;
    // Parameters in their order, in the form that libpq takes; text as storable_text() makes it.
    struct Bound {
        void add(std::string_view text) { put(storable_text(text), 0); }
        void add(const std::string& text) { put(storable_text(text), 0); }
        void add(const char* text) { put(text, 0); }
        void add(Bytes bytes) { put(std::string(bytes.bytes), 1); }
        void add(const Array& column) { put(column.value(), 1); }
        void add(const BlobId& id) { put(std::string(as_text(id.bytes)), 1); }
        void add(int64_t value) { put(std::to_string(value), 0); }
        void add(int value) { put(std::to_string(value), 0); }
        void add(uint64_t value) { put(std::to_string(value > INT64_MAX ? INT64_MAX : value), 0); }
        void add(bool value) { put(value ? "t" : "f", 0); }
        template <typename T>
        void add(const std::optional<T>& value) {
            if (value) return add(*value);
            values.emplace_back();
            formats.push_back(0);
        }
        void put(std::string value, int format) {
            values.emplace_back(std::move(value));
            formats.push_back(format);
        }
        std::vector<std::optional<std::string>> values;
        std::vector<int> formats;
    };

    Connection(pg_conn* handle, std::string place, ConnectionOptions options)
        : handle_(handle), place_(std::move(place)), options_(options) {}
    Result<Rows> run_prepared(const char* sql, const Bound& bound);
    Result<Rows> run_once(const std::string& sql, const Bound& bound);
    Result<Rows> taken(pg_result* result);
    Error error(const pg_result* result) const;
    Result<void> end_scope(int depth, bool commit);

    pg_conn* handle_;
    const std::string place_;
    const ConnectionOptions options_;
    std::unordered_map<const char*, std::string> prepared_;
    int statements_ = 0;
    int depth_ = 0;  // of scopes
};

}  // namespace ntt::postgres
