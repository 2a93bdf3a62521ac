// The tables of a PostgreSQL catalog as they stand: see ../transfer.h.
#pragma once

#include <memory>
#include <string>

#include "catalog/transfer.h"

namespace ntt::postgres {

// Null where the database has no tables of ours, nor others in their place.
Result<std::unique_ptr<TableSource>> find_table_source(const std::string& url);
Result<std::unique_ptr<TableSink>> open_table_sink(const Clock& clock, const std::string& url);
// What PostgreSQL cannot hold: text that is not UTF-8 or has NUL in it (U+FFFD), JSON with \u0000 or half of a pair of
// surrogates (\ufffd), times in other forms, entries of an array that are not text. invalid_argument: numbers beyond their column, text
// that is no time.
Result<TransferValue> fit(const TransferColumn& column, const TransferValue& value);

}  // namespace ntt::postgres
