#include "catalog/postgres/transfer.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "catalog/postgres/connection.h"
#include "catalog/postgres/fields.h"
#include "catalog/postgres/migrations.h"
#include "catalog/timestamps.h"

namespace ntt::postgres {
namespace {

constexpr size_t kStreamBytes = size_t{4} << 20;  // of rows that wait to be sent

// Statements whose cost grows with the catalog: no limit on their time.
constexpr ConnectionOptions kUnhurried{60'000, 0};
// Names are read in the order of their entries, which no index has: the server sorts them, and not in 4 MB.
constexpr const char* kSortInMemory = "SET LOCAL work_mem = '256MB'";

std::string storable(const std::string& json) { return storable_json(storable_text(json)); }

// text[] has nothing but text.
std::string storable_texts(const std::string& json) {
    const nlohmann::json array = nlohmann::json::parse(storable(json), nullptr, false);
    if (!array.is_array()) return "[]";
    nlohmann::json out = nlohmann::json::array();
    for (const nlohmann::json& entry : array) out.push_back(storable_text(entry.is_string() ? entry.get<std::string>() : entry.dump()));
    return out == array ? json : out.dump();
}

Result<TransferValue> in_range(const TransferColumn& column, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return TransferValue(value);
    return make_error(ErrorCode::invalid_argument, fmt::format("column {}: PostgreSQL cannot hold {} there", column.name, value));
}

Result<TransferValue> fit_number(const TransferColumn& column, int64_t value) {
    switch (column.type) {
        case ColumnType::int2: return in_range(column, value, INT16_MIN, INT16_MAX);
        case ColumnType::int4: return in_range(column, value, INT32_MIN, INT32_MAX);
        case ColumnType::count4: return TransferValue(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
        case ColumnType::owner4: {
            const std::optional<int64_t> owner = owner_number(value);
            return owner ? TransferValue(*owner) : TransferValue();
        }
        case ColumnType::hash32: return in_range(column, value, 0, UINT32_MAX);
        default: return TransferValue(value);
    }
}

Result<TransferValue> fit_text(const TransferColumn& column, const std::string& value) {
    switch (column.type) {
        case ColumnType::text: return TransferValue(storable_text(value));
        case ColumnType::json: return TransferValue(storable(value));
        case ColumnType::texts: return TransferValue(storable_texts(value));
        case ColumnType::time:
            if (auto time = catalog_time(value)) return TransferValue(*std::move(time));
            return make_error(ErrorCode::invalid_argument, fmt::format("column {}: '{}' is no time", column.name, to_terminal_text(value)),
                              "set it to a time like 2025-10-08T12:00:00.000000Z, or to NULL");
        default: return TransferValue(value);
    }
}

// --- reading ---

std::string select_sql(const TransferTable& table) {
    std::string columns, order;
    const auto type_of = [&](const char* name) {
        for (const TransferColumn& column : table.columns)
            if (std::string_view(column.name) == name) return column.type;
        return ColumnType::int8;
    };
    for (const TransferColumn& column : table.columns) {
        if (!columns.empty()) columns += ", ";
        if (column.type == ColumnType::texts) columns += fmt::format("array_to_json(\"{}\")::text", column.name);
        else columns += column.usual ? fmt::format("coalesce(\"{}\", {})", column.name, *column.usual) : fmt::format("\"{}\"", column.name);
    }
    // By bytes, as SQLite does it.
    for (const char* name : table.key)
        order += fmt::format("{}\"{}\"{}", order.empty() ? "" : ", ", name, type_of(name) == ColumnType::text ? " COLLATE \"C\"" : "");
    return fmt::format("SELECT {} FROM {} ORDER BY {}", columns, table.in_postgres, order);
}

// Compact, unless that would round a number.
std::string json_text(std::string text) {
    bool has_fractions = false;
    const auto look = [&](int, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
        if (event == nlohmann::json::parse_event_t::value && parsed.is_number_float()) has_fractions = true;
        return true;
    };
    const nlohmann::json value = nlohmann::json::parse(text, look, false);
    return value.is_discarded() || has_fractions ? text : value.dump();
}

class Cursor final : public RowCursor {
public:
    Cursor(Connection& connection, const TransferTable& table, std::string name) : connection_(connection), table_(table), name_(std::move(name)) {}
    ~Cursor() override { connection_.execute("CLOSE " + name_).ignore("the transaction's end closes it"); }

    Result<bool> next(TransferRow& row) override {
        if (!rows_ || !rows_->next()) {
            rows_.reset();
            TRY_ASSIGN(Rows fetched, connection_.query("FETCH 2000 FROM " + name_));
            rows_.emplace(std::move(fetched));
            if (!rows_->next()) return false;
        }
        row.resize(table_.columns.size());
        for (size_t i = 0; i < row.size(); ++i) row[i] = value(table_.columns[i].type);
        return true;
    }

private:
    TransferValue value(ColumnType type) {
        switch (type) {
            case ColumnType::text:
            case ColumnType::texts: return value_of(rows_->maybe_text());
            case ColumnType::bytes: return value_of(rows_->maybe_bytes());
            case ColumnType::time: return value_of(rows_->maybe_time());
            case ColumnType::json: {
                std::optional<std::string> text = rows_->maybe_text();
                return text ? TransferValue(json_text(*std::move(text))) : TransferValue();
            }
            case ColumnType::boolean: {
                const std::optional<std::string> text = rows_->maybe_text();
                return text ? TransferValue(int64_t{*text == "t"}) : TransferValue();
            }
            case ColumnType::hash32: {
                const std::optional<int64_t> bits = rows_->maybe_integer();
                return bits ? TransferValue(int64_t{static_cast<uint32_t>(*bits)}) : TransferValue();
            }
            default: return value_of(rows_->maybe_integer());
        }
    }
    template <typename T>
    static TransferValue value_of(std::optional<T> value) {
        return value ? TransferValue(*std::move(value)) : TransferValue();
    }

    Connection& connection_;
    const TransferTable& table_;
    const std::string name_;
    std::optional<Rows> rows_;
};

class Tables {
public:
    Tables(std::unique_ptr<Connection> connection, Scope scope) : connection_(std::move(connection)), scope_(std::move(scope)) {}

    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) {
        const std::string name = fmt::format("transfer{}", ++cursors_);
        TRY(connection_->query(fmt::format("DECLARE {} NO SCROLL CURSOR FOR {}", name, select_sql(table))));
        return std::unique_ptr<RowCursor>(new Cursor(*connection_, table, name));
    }
    Connection& connection() { return *connection_; }
    Result<void> commit() { return scope_.commit(); }

private:
    std::unique_ptr<Connection> connection_;
    Scope scope_;
    int cursors_ = 0;
};

class Source final : public TableSource {
public:
    explicit Source(Tables tables) : tables_(std::move(tables)) {}
    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) override { return tables_.rows(table); }

private:
    Tables tables_;
};

// --- writing ---

std::string copy_sql(const TransferTable& table) {
    std::string names;
    for (const TransferColumn& column : table.columns) names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", column.name);
    return fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", table.in_postgres, names);
}

void put(CopyStream& to, const TransferColumn& column, const TransferValue& value) {
    const int64_t* number = std::get_if<int64_t>(&value);
    const std::string* text = std::get_if<std::string>(&value);
    if (std::holds_alternative<std::monostate>(value) || (column.usual && number != nullptr && *number == *column.usual)) return to.put_null();
    switch (column.type) {
        case ColumnType::int2: return to.put_int2(*number);
        case ColumnType::int4:
        case ColumnType::count4: return to.put_int4(*number);
        case ColumnType::int8: return to.put_int8(*number);
        case ColumnType::owner4: return to.put_uint4(*number);
        case ColumnType::hash32: return to.put_int4(static_cast<int32_t>(static_cast<uint32_t>(*number)));
        case ColumnType::boolean: return to.put_bool(*number != 0);
        case ColumnType::text: return to.put_text(*text);
        case ColumnType::bytes: return to.put_bytes(*text);
        case ColumnType::json: return to.put_json(*text);
        case ColumnType::time: return to.put_time(*text);
        case ColumnType::texts: return to.put_texts(nlohmann::json::parse(*text, nullptr, false).get<std::vector<std::string>>());
    }
}

class Sink final : public TableSink {
public:
    explicit Sink(Tables tables) : tables_(std::move(tables)) {}

    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) override { return tables_.rows(table); }
    Fit fit() const override { return postgres::fit; }

    Result<void> add(const TransferTable& table, const TransferRow& row) override {
        stream_.start_row(static_cast<int>(row.size()));
        for (size_t i = 0; i < row.size(); ++i) put(stream_, table.columns[i], row[i]);
        return stream_.size_bytes() < kStreamBytes ? Result<void>() : flush(table);
    }

    Result<void> finish(const TransferTable& table) override {
        TRY(flush(table));
        if (table.identity == nullptr) return {};
        // Rows that brought their numbers did not move the sequence.
        TRY(tables_.connection().query(fmt::format("SELECT setval(pg_get_serial_sequence('{0}', '{1}'), greatest(max({1}), 1)) FROM {0} HAVING max({1}) IS NOT NULL",
                                                   table.in_postgres, table.identity)));
        return {};
    }

    Result<void> commit() override {
        TRY(tables_.commit());
        for (const TransferTable& table : transfer_tables()) TRY(tables_.connection().execute(fmt::format("ANALYZE (SKIP_LOCKED) {}", table.in_postgres)));
        return {};
    }

private:
    Result<void> flush(const TransferTable& table) {
        if (stream_.empty()) return {};
        TRY(tables_.connection().copy_in(copy_sql(table), stream_.take()));
        return {};
    }

    Tables tables_;
    CopyStream stream_;
};

}  // namespace

Result<TransferValue> fit(const TransferColumn& column, const TransferValue& value) {
    if (const int64_t* number = std::get_if<int64_t>(&value)) return fit_number(column, *number);
    if (const std::string* text = std::get_if<std::string>(&value)) return fit_text(column, *text);
    return value;
}

Result<std::unique_ptr<TableSource>> find_table_source(const std::string& url) {
    TRY_ASSIGN(auto connection, Connection::open(url, kUnhurried));
    TRY_ASSIGN(Scope scope, connection->begin());
    TRY(connection->execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"));
    TRY(connection->execute(kSortInMemory));
    TRY_ASSIGN(const size_t count, applied_version(*connection));
    if (count == 0) return std::unique_ptr<TableSource>();
    // It is not brought up to date here: that would change it.
    if (count != embedded_migrations().size())
        return make_error(ErrorCode::schema, fmt::format("the catalog {} has an older schema", connection->place()), "any other command of this ntt brings it up to date");
    return std::unique_ptr<TableSource>(new Source(Tables(std::move(connection), std::move(scope))));
}

Result<std::unique_ptr<TableSink>> open_table_sink(const Clock& clock, const std::string& url) {
    TRY_ASSIGN(auto connection, Connection::open(url, kUnhurried));
    TRY(migrate(*connection, clock));
    TRY_ASSIGN(Scope scope, connection->begin());
    // Others may read; who would write waits, or fails, as long as the rows are on their way.
    TRY(connection->execute("LOCK TABLE medium, store, blob_row IN SHARE ROW EXCLUSIVE MODE"));
    TRY(connection->execute(kSortInMemory));
    return std::unique_ptr<TableSink>(new Sink(Tables(std::move(connection), std::move(scope))));
}

}  // namespace ntt::postgres
