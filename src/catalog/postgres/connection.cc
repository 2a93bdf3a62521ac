#include "catalog/postgres/connection.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"

namespace ntt::postgres {
namespace {

// Server messages end with a line feed and may have further lines (DETAIL, HINT).
std::string first_line(std::string_view text) {
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    const size_t end = text.find('\n');
    std::string line(text.substr(0, end));
    if (line.starts_with("ERROR:  ") || line.starts_with("FATAL:  ")) line.erase(0, 8);
    return line;
}

struct Meaning {
    std::string_view state;  // an SQLSTATE, or its class of two letters
    ErrorCode code;
    const char* hint;
};
// Source: PostgreSQL documentation, appendix A. The first that fits counts.
constexpr std::array kMeanings = {
    Meaning{"23505", ErrorCode::already_exists, ""},
    Meaning{"23", ErrorCode::invalid_argument, ""},
    Meaning{"22", ErrorCode::invalid_argument, ""},
    Meaning{"55P03", ErrorCode::busy, "another process holds what is needed; try again"},
    Meaning{"57014", ErrorCode::busy, "the statement took longer than its time limit; try again when the database is less busy, after ANALYZE"},
    Meaning{"40", ErrorCode::busy, "two processes stood in each other's way; try again"},
    Meaning{"53300", ErrorCode::busy, "the server has no connection left; try again, or raise max_connections"},
    Meaning{"53100", ErrorCode::no_space, "make room where the database lies, then run again: nothing that was committed is lost"},
    Meaning{"53", ErrorCode::busy, "the server lacks resources; try again"},
    Meaning{"28", ErrorCode::permission, "check user and password: in the URL, in PGPASSWORD, or in ~/.pgpass"},
    Meaning{"42501", ErrorCode::permission, "the database's owner can grant the rights"},
    Meaning{"25006", ErrorCode::permission, "the database is read-only: use the primary server"},
    Meaning{"3D000", ErrorCode::not_found, "create it: createdb NAME"},
    Meaning{"3F000", ErrorCode::permission, "the schema of search_path is not there, or this user may not use it: CREATE SCHEMA, GRANT USAGE, CREATE ON SCHEMA"},
    Meaning{"42P01", ErrorCode::schema, "the tables are not those of a catalog: check --catalog"},
    Meaning{"42703", ErrorCode::schema, "the tables are not those of a catalog: check --catalog"},
    Meaning{"25P03", ErrorCode::unavailable, "run again: the server ended a transaction that took too long for its settings"},
    Meaning{"57P", ErrorCode::unavailable, "the server is stopping or starting; run again"},
    Meaning{"08", ErrorCode::unavailable, "run again when the server can be reached: nothing that was committed is lost"},
    Meaning{"XX001", ErrorCode::catalog_damaged, "restore the database from a backup"},
    Meaning{"XX002", ErrorCode::catalog_damaged, "REINDEX the database"},
};

Error connect_error(const PGconn* connection, const std::string& place) {
    const std::string words = first_line(PQerrorMessage(connection));
    const std::string message = fmt::format("catalog {}: {}", place, words);
    const auto says = [&words](const char* text) { return words.find(text) != std::string::npos; };
    if (says("too many") || says("connection slots")) return make_error(ErrorCode::unavailable, message, "try again, or raise max_connections");
    if (says("database") && says("does not exist")) return make_error(ErrorCode::not_found, message, "create it: createdb NAME");
    if (says("role") && says("does not exist")) return make_error(ErrorCode::permission, message, "give the user in the URL: postgresql://USER@HOST/DATABASE");
    if (PQconnectionNeedsPassword(connection) == 1 || says("authentication failed") || says("no password supplied") || says("pg_hba.conf"))
        return make_error(ErrorCode::permission, message, "check user and password (in the URL, in PGPASSWORD, or in ~/.pgpass), and the server's pg_hba.conf");
    return make_error(ErrorCode::unavailable, message, "check --catalog, and that the server runs and accepts connections from here");
}

std::string place_of(const PGconn* connection, const std::string& url) {
    const char* host = PQhost(connection);
    const char* port = PQport(connection);
    const char* database = PQdb(connection);
    if (database == nullptr) {  // the URL itself is wrong; it may hold a password
        const size_t at = url.find('@');
        return at == std::string::npos ? url.substr(0, url.find('?')) : "postgresql://…" + url.substr(at, url.find('?') - at);
    }
    return fmt::format("postgresql://{}:{}/{}", host != nullptr && *host != 0 ? host : "localhost", port != nullptr && *port != 0 ? port : "5432", database);
}

void no_notices(void*, const PGresult*) {}

int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// The four digits behind "\u" at `at`; nullopt if that is no such escape.
std::optional<unsigned> escape_at(std::string_view json, size_t at) {
    if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return std::nullopt;
    unsigned out = 0;
    const auto parsed = std::from_chars(json.data() + at + 2, json.data() + at + 6, out, 16);
    return parsed.ptr == json.data() + at + 6 ? std::optional(out) : std::nullopt;
}

// Half a pair of surrogates is no character, and jsonb refuses it: \ufffd.
std::string with_whole_pairs(std::string json) {
    constexpr size_t kEscape = 6;
    const auto is_high = [](unsigned unit) { return unit >= 0xD800 && unit < 0xDC00; };
    const auto is_low = [](unsigned unit) { return unit >= 0xDC00 && unit < 0xE000; };
    for (size_t at = json.find('\\'); at != std::string::npos; at = json.find('\\', at)) {
        const std::optional<unsigned> unit = escape_at(json, at);
        if (!unit) {
            at += 2;  // another escape
            continue;
        }
        const std::optional<unsigned> next = escape_at(json, at + kEscape);
        if (is_high(*unit) && next && is_low(*next)) {
            at += 2 * kEscape;
            continue;
        }
        if (is_high(*unit) || is_low(*unit)) json.replace(at, kEscape, "\\ufffd");
        at += kEscape;
    }
    return json;
}

}  // namespace

std::string storable_text(std::string_view text) {
    std::string out = is_utf8(text) ? std::string(text) : to_display_utf8(text);
    for (size_t at = out.find('\0'); at != std::string::npos; at = out.find('\0', at + 3)) out.replace(at, 1, "\xEF\xBF\xBD");
    return out;
}

std::string storable_json(std::string_view json) {
    std::string out(json);
    for (size_t at = out.find("\\u0000"); at != std::string::npos; at = out.find("\\u0000", at + 1)) {
        size_t slashes = 0;  // an escaped backslash before u0000 is no escape of NUL
        while (slashes < at && out[at - 1 - slashes] == '\\') ++slashes;
        if (slashes % 2 == 0) out.replace(at, 6, "\\ufffd");
    }
    return with_whole_pairs(std::move(out));
}

// --- Rows ---

void Rows::Clear::operator()(pg_result* result) const { PQclear(result); }

bool Rows::next() {
    column_ = 0;
    unknown_word_.reset();
    return ++row_ < PQntuples(result_.get());
}

uint64_t Rows::changed() const {
    const std::string_view text = PQcmdTuples(result_.get());
    uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

bool Rows::is_null() const { return PQgetisnull(result_.get(), row_, column_) != 0; }

std::string_view Rows::raw() {
    const int column = column_++;
    return {PQgetvalue(result_.get(), row_, column), static_cast<size_t>(PQgetlength(result_.get(), row_, column))};
}

int64_t Rows::integer() {
    const std::string_view text = raw();
    int64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

bool Rows::boolean() { return raw() == "t"; }
std::string Rows::text() { return std::string(raw()); }

std::string Rows::bytes() {
    const std::string_view text = raw();
    if (!text.starts_with("\\x")) return std::string(text);
    std::string out;
    out.reserve(text.size() / 2);
    for (size_t i = 2; i + 1 < text.size(); i += 2) out.push_back(static_cast<char>(hex_digit(text[i]) << 4 | hex_digit(text[i + 1])));
    return out;
}

std::string Rows::json() {
    const std::string_view text = raw();
    if (text.empty()) return {};
    const nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
    return value.is_discarded() ? std::string(text) : value.dump();
}

// "2025-10-08 12:00:00.5+00", as it comes with DateStyle ISO and TimeZone UTC.
std::string Rows::time() {
    std::string out(raw());
    const size_t zone = out.rfind('+');
    if (out.size() < 19 || zone == std::string::npos) return out;
    std::string fraction = zone > 20 ? out.substr(20, zone - 20) : "";
    fraction.resize(6, '0');
    out.resize(19);
    out[10] = 'T';
    return out + "." + fraction + "Z";
}

uint64_t Rows::sum() {
    const std::string_view text = raw();
    uint64_t out = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
    return parsed.ec == std::errc::result_out_of_range ? UINT64_MAX : out;
}

// {a,"b \"c\" \\",NULL}: source: PostgreSQL documentation, 8.15.6.
std::vector<std::string> Rows::texts() {
    const std::string_view text = raw();
    std::vector<std::string> out;
    if (text.size() < 3) return out;
    std::string entry;
    bool quoted = false;
    for (size_t i = 1; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && i + 1 < text.size()) {
            entry.push_back(text[++i]);
        } else if (!quoted && (c == ',' || c == '}')) {
            out.push_back(std::exchange(entry, {}));
        } else {
            entry.push_back(c);
        }
    }
    return out;
}

std::optional<int64_t> Rows::maybe_integer() {
    if (is_null()) return ++column_, std::nullopt;
    return integer();
}
std::optional<int> Rows::maybe_int() {
    const std::optional<int64_t> value = maybe_integer();
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}
std::optional<uint64_t> Rows::maybe_size() {
    const std::optional<int64_t> value = maybe_integer();
    return value ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
}
std::optional<std::string> Rows::maybe_text() {
    if (is_null()) return ++column_, std::nullopt;
    return text();
}
std::optional<std::string> Rows::maybe_bytes() {
    if (is_null()) return ++column_, std::nullopt;
    return bytes();
}
std::optional<std::string> Rows::maybe_json() {
    if (is_null()) return ++column_, std::nullopt;
    return json();
}
std::optional<std::string> Rows::maybe_time() {
    if (is_null()) return ++column_, std::nullopt;
    return time();
}
std::optional<BlobId> Rows::maybe_blob_id() {
    const std::optional<std::string> value = maybe_bytes();
    BlobId out;
    if (!value || value->size() != out.bytes.size()) return std::nullopt;
    std::copy(value->begin(), value->end(), reinterpret_cast<char*>(out.bytes.data()));
    return out;
}

Result<void> Rows::row_is_sound() const {
    if (unknown_word_) return make_error(ErrorCode::catalog_damaged, fmt::format("the catalog holds '{}' where this program knows no such word", *unknown_word_), "use a newer ntt");
    return {};
}

// --- Scope ---

Scope::Scope(Scope&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)), depth_(other.depth_) {}

Scope::~Scope() {
    if (connection_ != nullptr) connection_->end_scope(depth_, false).ignore("what is not committed is undone by the server in any case");
}

Result<void> Scope::commit() {
    NTT_CHECK(connection_ != nullptr, "a scope is committed twice");
    return std::exchange(connection_, nullptr)->end_scope(depth_, true);
}

// --- Connection ---

Result<std::unique_ptr<Connection>> Connection::open(const std::string& url, const ConnectionOptions& options) {
    // libpq's own words about an address that is none quote it, with the password.
    PQconninfoOption* parsed = PQconninfoParse(url.c_str(), nullptr);
    if (parsed == nullptr)
        return make_error(ErrorCode::invalid_argument, fmt::format("catalog {}: this is no address of a PostgreSQL database", place_of(nullptr, url)),
                          "postgresql://USER@HOST:PORT/DATABASE; write % in a password as %25");
    PQconninfoFree(parsed);
    // What stands in the URL counts over what stands before it here. A connection that was cut off is noticed at both ends,
    // so that the locks of a lost host end.
    const std::array<const char*, 9> names = {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                                              "fallback_application_name", "dbname", "client_encoding", nullptr};
    const std::array<const char*, 9> values = {"10", "10", "5", "3", "30000", "ntt", url.c_str(), "UTF8", nullptr};
    PGconn* handle = PQconnectdbParams(names.data(), values.data(), 1);
    if (handle == nullptr) return make_error(ErrorCode::io, "connect to PostgreSQL: no memory");
    std::unique_ptr<Connection> out(new Connection(handle, place_of(handle, url), options));
    PQsetNoticeReceiver(handle, no_notices, nullptr);
    if (PQstatus(handle) != CONNECTION_OK) return connect_error(handle, out->place_);
    if (PQserverVersion(handle) < 130000)
        return make_error(ErrorCode::schema, fmt::format("catalog {}: the server's version is {}", out->place_, PQserverVersion(handle) / 10000), "PostgreSQL 13 or newer is needed");
    // Plans do not depend on how many rows an array brings: few, so that they are looked up by the key one by one.
    TRY(out->execute(fmt::format("SET statement_timeout = {}; SET lock_timeout = {}; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex'; "
                                 "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
                                 "SET tcp_user_timeout = 30000; SET jit = off; SET plan_cache_mode = force_generic_plan; "
                                 "SET default_transaction_isolation = 'read committed'; SET idle_in_transaction_session_timeout = 0",
                                 options.statement_timeout_ms, options.lock_timeout_ms)));
    // The server ends a statement whose client is gone; a connection that only holds locks is not idle for nothing. Since version 14.
    if (PQserverVersion(handle) >= 140000) TRY(out->execute("SET client_connection_check_interval = '2s'; SET idle_session_timeout = 0"));
    return out;
}

Connection::~Connection() { PQfinish(handle_); }

bool Connection::is_alive() const { return PQstatus(handle_) == CONNECTION_OK && PQsocket(handle_) >= 0; }

Error Connection::error(const pg_result* result) const {
    const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* primary = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const std::string words = fmt::format("catalog {}: {}", place_, primary != nullptr ? std::string(primary) : first_line(PQerrorMessage(handle_)));
    // What libpq says of its own has no SQLSTATE, and is about the connection; PQstatus() does not always know by then.
    if (state == nullptr || (!is_alive() && std::string_view(state) != "53100"))
        return make_error(ErrorCode::unavailable, words, "the connection is lost; run again when the server can be reached: nothing that was committed is lost");
    for (const Meaning& meaning : kMeanings)
        if (std::string_view(state).starts_with(meaning.state)) return make_error(meaning.code, words, meaning.hint);
    return make_error(ErrorCode::io, fmt::format("{} (SQLSTATE {})", words, state));
}

Result<Rows> Connection::taken(pg_result* result) {
    Rows rows(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return rows;
    return error(result);
}

namespace {

struct Arguments {
    std::vector<const char*> values;
    std::vector<int> lengths;
};

template <typename Values>
Arguments arguments_of(const Values& from) {
    Arguments out;
    for (const std::optional<std::string>& value : from) {
        out.values.push_back(value ? value->c_str() : nullptr);
        out.lengths.push_back(value ? static_cast<int>(value->size()) : 0);
    }
    return out;
}

}  // namespace

Result<Rows> Connection::run_prepared(const char* sql, const Bound& bound) {
    std::string& name = prepared_[sql];
    if (name.empty()) {
        std::string chosen = fmt::format("s{}", ++statements_);
        const Result<Rows> prepared = taken(PQprepare(handle_, chosen.c_str(), sql, 0, nullptr));
        if (!prepared.ok()) return prepared.error();
        name = std::move(chosen);
    }
    const Arguments arguments = arguments_of(bound.values);
    return taken(PQexecPrepared(handle_, name.c_str(), static_cast<int>(bound.values.size()), arguments.values.data(), arguments.lengths.data(),
                                bound.formats.data(), 0));
}

Result<Rows> Connection::run_once(const std::string& sql, const Bound& bound) {
    const Arguments arguments = arguments_of(bound.values);
    return taken(PQexecParams(handle_, sql.c_str(), static_cast<int>(bound.values.size()), nullptr, arguments.values.data(), arguments.lengths.data(),
                              bound.formats.data(), 0));
}

Result<void> Connection::execute(const std::string& script) {
    TRY(taken(PQexec(handle_, script.c_str())));
    return {};
}

Result<uint64_t> Connection::copy_in(const std::string& sql, std::string_view stream) {
    pg_result* started = PQexec(handle_, sql.c_str());
    const Rows guard(started);
    if (PQresultStatus(started) != PGRES_COPY_IN) return error(started);
    constexpr size_t kPiece = size_t{1} << 20;
    bool sent = true;
    for (size_t at = 0; at < stream.size() && sent; at += kPiece) {
        const std::string_view piece = stream.substr(at, kPiece);
        sent = PQputCopyData(handle_, piece.data(), static_cast<int>(piece.size())) == 1;
    }
    if (!sent || PQputCopyEnd(handle_, nullptr) != 1) return error(nullptr);
    std::optional<Error> failed;
    uint64_t rows = 0;
    while (pg_result* result = PQgetResult(handle_)) {
        Result<Rows> ended = taken(result);
        if (!ended.ok() && !failed) failed = std::move(ended).take_error();
        if (ended.ok()) rows = ended.value().changed();
        if (!is_alive()) break;
    }
    if (failed) return *failed;
    return rows;
}

Result<Scope> Connection::begin() {
    const int depth = depth_;
    TRY(execute(depth == 0 ? "BEGIN" : fmt::format("SAVEPOINT s{}", depth)));
    depth_ = depth + 1;
    return Scope(this, depth);
}

Result<void> Connection::end_scope(int depth, bool commit) {
    NTT_CHECK(depth == depth_ - 1, "scopes end in the wrong order");
    depth_ = depth;
    if (depth > 0) return execute(fmt::format("{} SAVEPOINT s{}", commit ? "RELEASE" : "ROLLBACK TO", depth));
    if (!commit) return execute("ROLLBACK");
    // COMMIT of a transaction in which a statement failed is a ROLLBACK, and no error for PostgreSQL.
    const bool broken = PQtransactionStatus(handle_) == PQTRANS_INERROR;
    Result<void> done = execute("COMMIT");
    if (broken && done.ok()) return make_error(ErrorCode::io, "catalog " + place_ + ": a transaction in which a statement had failed was undone");
    return done;
}

Result<Connection::LongerLimit> Connection::scaled_limit(int64_t rows_unknown) {
    // Rows as the statistics know them: 100 µs for each beside the usual limit, and no less than ten minutes.
    TRY_ASSIGN(Rows rows, run("SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class "
                              "WHERE oid IN (to_regclass('inode_row'), to_regclass('path_row'))"));
    rows.next();
    const int64_t limit_ms = std::min<int64_t>(std::max<int64_t>(600'000, options_.statement_timeout_ms + (rows.integer() + rows_unknown) / 10), INT32_MAX);
    TRY(execute(fmt::format("SET statement_timeout = {}", limit_ms)));
    return LongerLimit(this);
}

Connection::LongerLimit::~LongerLimit() {
    if (connection_ != nullptr)
        connection_->execute(fmt::format("SET statement_timeout = {}", connection_->options_.statement_timeout_ms)).ignore("the next statement says why");
}

}  // namespace ntt::postgres
