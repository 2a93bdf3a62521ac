#include "catalog/sqlite/transfer.h"

#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "catalog/sqlite/database.h"
#include "catalog/sqlite/migrations.h"

namespace ntt::sqlite {
namespace {

// Of all tables together the widest has fewer columns. Every statement has so many parameters, so that one call binds any row.
constexpr size_t kParameters = 48;
using Parameters = std::array<std::optional<Blob>, kParameters>;

std::string select_sql(const TransferTable& table) {
    std::string columns, order;
    for (const TransferColumn& column : table.columns) columns += fmt::format("{}\"{}\"", columns.empty() ? "" : ", ", column.name);
    for (const char* name : table.key) order += fmt::format("{}\"{}\"", order.empty() ? "" : ", ", name);
    return fmt::format("SELECT {} FROM {} ORDER BY {}", columns, table.in_sqlite, order);
}

// All values are bound as bytes and made what they are by SQL.
std::string insert_sql(const TransferTable& table) {
    NTT_CHECK(table.columns.size() < kParameters, "a table has more columns than parameters");
    std::string names, values;
    int index = 0;
    for (const TransferColumn& column : table.columns) {
        ++index;
        const char* before = names.empty() ? "" : ", ";
        names += fmt::format("{}\"{}\"", before, column.name);
        switch (column.type) {
            case ColumnType::bytes: values += fmt::format("{}?{}", before, index); break;
            case ColumnType::text:
            case ColumnType::json:
            case ColumnType::time:
            case ColumnType::texts: values += fmt::format("{}CAST(?{} AS TEXT)", before, index); break;
            default: values += fmt::format("{}CAST(CAST(?{} AS TEXT) AS INTEGER)", before, index); break;
        }
    }
    return fmt::format("INSERT INTO {} ({}) SELECT {} WHERE ?{} IS NULL", table.in_sqlite, names, values, kParameters);
}

template <size_t... kIndex>
Result<uint64_t> run_with(Query& statement, const Parameters& parameters, std::index_sequence<kIndex...>) {
    return statement.run(parameters[kIndex]...);
}

class Cursor final : public RowCursor {
public:
    Cursor(const TransferTable& table, Query query) : table_(table), query_(std::move(query)) {}

    Result<bool> next(TransferRow& row) override {
        TRY_ASSIGN(const bool found, query_.next());
        if (!found) return false;
        row.resize(table_.columns.size());
        for (size_t i = 0; i < row.size(); ++i) row[i] = value(table_.columns[i].type);
        return true;
    }

private:
    TransferValue value(ColumnType type) {
        switch (type) {
            case ColumnType::text:
            case ColumnType::bytes:
            case ColumnType::json:
            case ColumnType::time:
            case ColumnType::texts: return value_of(query_.maybe_text());
            default: return value_of(query_.maybe_integer());
        }
    }
    template <typename T>
    static TransferValue value_of(std::optional<T> value) {
        return value ? TransferValue(*std::move(value)) : TransferValue();
    }

    const TransferTable& table_;
    Query query_;
};

Result<std::unique_ptr<RowCursor>> rows_of(Database& database, const TransferTable& table) {
    TRY_ASSIGN(Query query, database.query(select_sql(table)));
    return std::unique_ptr<RowCursor>(new Cursor(table, std::move(query)));
}

class Source final : public TableSource {
public:
    Source(std::unique_ptr<Database> database, Scope reading) : database_(std::move(database)), reading_(std::move(reading)) {}
    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) override { return rows_of(*database_, table); }

private:
    std::unique_ptr<Database> database_;
    Scope reading_;
};

class Sink final : public TableSink {
public:
    Sink(std::unique_ptr<Database> database, Scope writing) : database_(std::move(database)), writing_(std::move(writing)) {}

    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) override { return rows_of(*database_, table); }
    Fit fit() const override { return sqlite::fit; }

    Result<void> add(const TransferTable& table, const TransferRow& row) override {
        if (!insert_) {
            TRY_ASSIGN(Query prepared, database_->query(insert_sql(table)));
            insert_.emplace(std::move(prepared));
        }
        Parameters parameters;
        for (size_t i = 0; i < row.size(); ++i) {
            if (const std::string* text = std::get_if<std::string>(&row[i])) parameters[i] = Blob{*text};
            const int64_t* number = std::get_if<int64_t>(&row[i]);
            if (number == nullptr) continue;
            digits_[i] = std::to_string(*number);
            parameters[i] = Blob{digits_[i]};
        }
        TRY(run_with(*insert_, parameters, std::make_index_sequence<kParameters>()));
        return {};
    }

    Result<void> finish(const TransferTable&) override {
        insert_.reset();
        return {};
    }

    Result<void> commit() override {
        TRY(writing_.commit());
        return database_->execute("ANALYZE");
    }

private:
    std::unique_ptr<Database> database_;
    Scope writing_;
    std::optional<Query> insert_;  // for the table that is being filled
    std::array<std::string, kParameters> digits_;
};

constexpr int kBusyTimeoutMs = 60'000;

// Another version is not brought up to date: that would change it.
Result<void> check_version(Database& database) {
    TRY_ASSIGN(const size_t count, applied_version(database));
    if (count == 0) return make_error(ErrorCode::schema, fmt::format("{} is no catalog", database.file()));
    if (count == embedded_migrations().size()) return {};
    return make_error(ErrorCode::schema, fmt::format("the catalog {} has an older schema", database.file()), "any other command of this ntt brings it up to date");
}

}  // namespace

Result<TransferValue> fit(const TransferColumn& /*column*/, const TransferValue& value) { return value; }

Result<std::unique_ptr<TableSource>> find_table_source(Env& env, const std::string& file) {
    if (const auto info = env.stat_path(file); !info.ok()) {
        if (info.error().code == ErrorCode::not_found) return std::unique_ptr<TableSource>();
        return info.error();
    }
    TRY_ASSIGN(auto database, Database::open(file, "", kBusyTimeoutMs));
    TRY(database->execute("PRAGMA query_only = ON"));
    TRY_ASSIGN(Scope reading, database->begin_reading());
    TRY(check_version(*database));
    return std::unique_ptr<TableSource>(new Source(std::move(database), std::move(reading)));
}

Result<std::unique_ptr<TableSink>> open_table_sink(Env& env, const Clock& clock, const std::string& file) {
    if (const size_t slash = file.rfind('/'); slash != std::string::npos && slash > 0) TRY(env.make_dirs(file.substr(0, slash), 0755));
    TRY_ASSIGN(auto database, Database::open(file, "", kBusyTimeoutMs));
    TRY(migrate(*database, clock));
    TRY_ASSIGN(Scope writing, database->begin());
    return std::unique_ptr<TableSink>(new Sink(std::move(database), std::move(writing)));
}

}  // namespace ntt::sqlite
