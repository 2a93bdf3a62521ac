// A catalog from one kind of database into another: every row of every table, and the proof that they arrived.
//
// The interface Catalog says what the rows mean; this does not ask. One list says which tables and columns there are; the two
// databases read and write them as they stand (sqlite/transfer.h, postgres/transfer.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

// What a column holds, and how wide PostgreSQL has it; SQLite has numbers of 64 bits.
enum class ColumnType : uint8_t {
    int2,
    int4,
    int8,
    count4,   // int4; what is larger becomes the largest there
    owner4,   // 32 bits without a sign, in PostgreSQL oid; what is none becomes NULL there
    hash32,   // 32 bits without a sign; in PostgreSQL the same bits as int4
    boolean,  // in SQLite 0 and 1
    text,
    bytes,
    json,   // in SQLite text
    time,   // in SQLite text as iso8601_utc() gives it
    texts,  // text[]; in SQLite a JSON array
};

struct TransferColumn {
    const char* name;
    ColumnType type;
    std::optional<int64_t> usual = {};  // for which PostgreSQL has NULL
};

struct TransferTable {
    const char* name;  // for people
    const char* in_sqlite;
    const char* in_postgres;
    std::vector<TransferColumn> columns;
    std::vector<const char*> key;
    const char* identity = nullptr;  // the column that PostgreSQL numbers

    bool is_key(const TransferColumn& column) const;
};

// Everything but what belongs to one database only: its schema's versions, workers, their leases, what they told each other. What others refer to comes first.
const std::vector<TransferTable>& transfer_tables();

// NULL, a number (booleans too), or text, bytes, JSON text, a time.
using TransferValue = std::variant<std::monostate, int64_t, std::string>;
using TransferRow = std::vector<TransferValue>;  // in the order of the table's columns

// A value as the target can hold it. What changes is counted; invalid_argument for what has no equal there.
using Fit = Result<TransferValue> (*)(const TransferColumn& column, const TransferValue& value);

class RowCursor {
public:
    virtual ~RowCursor() = default;
    // false: that was the last.
    virtual Result<bool> next(TransferRow& row) = 0;
};

// The tables of a catalog in one state, whatever others do meanwhile. Nothing is changed.
class TableSource {
public:
    virtual ~TableSource() = default;
    // All rows in their order. One cursor of a source at a time; it must not outlive the source.
    virtual Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) = 0;
};

// A catalog without a row, in a transaction that nobody sees the inside of. What is added can be read back.
class TableSink : public TableSource {
public:
    virtual Fit fit() const = 0;
    virtual Result<void> add(const TransferTable& table, const TransferRow& row) = 0;  // fitted
    virtual Result<void> finish(const TransferTable& table) = 0;                       // after its last row
    virtual Result<void> commit() = 0;
};

// Errors: not_found where there is no catalog; schema for one of another version (it is not brought up to date: that would
// change it), or a database of another program.
Result<std::unique_ptr<TableSource>> open_table_source(Env& env, const std::string& url);
// Makes the tables where there are none. already_exists if one has a row.
Result<std::unique_ptr<TableSink>> open_table_sink(Env& env, const Clock& clock, const std::string& url);
// already_exists as open_table_sink(); makes nothing.
Result<void> check_transfer_target(Env& env, const std::string& url);
// The hashes of the media in a catalog, for which nothing is made or changed; none where there is no catalog.
Result<std::set<std::string>> media_in(Env& env, const std::string& url);
// How values fit into a catalog at `url`.
Fit fit_of(const std::string& url);

struct TransferredTable {
    std::string name;
    uint64_t rows = 0;
    std::map<std::string, uint64_t> replaced;  // column, and how many values do not fit as they are
};

struct TransferReport {
    std::vector<TransferredTable> tables;
    std::optional<bool> equal;  // what the proof said; nullopt: it did not come to that

    uint64_t rows(std::string_view table) const;
};

// Copies, proves and commits. After an error the target is as it was; catalog_damaged with report.equal = false for a difference.
Result<void> transfer(TableSource& source, TableSink& sink, const CancelToken& cancel, TransferReport& report);
// The parts of it. `fit` of the target.
Result<void> copy_tables(TableSource& source, TableSink& sink, const CancelToken& cancel, TransferReport& report);
// Reads both sides in their order and compares value by value. catalog_damaged naming table, key and column of the first difference.
Result<void> prove_equal(TableSource& source, TableSource& target, Fit fit, const CancelToken& cancel);
// Reads everything, and writes nothing.
Result<void> count_tables(TableSource& source, Fit fit, const CancelToken& cancel, TransferReport& report);

// The address without user and password, for people and logs.
std::string shown_url(const std::string& url);

}  // namespace ntt
