// The tables of an SQLite catalog as they stand: see ../transfer.h.
#pragma once

#include <memory>
#include <string>

#include "catalog/transfer.h"

namespace ntt::sqlite {

// Null where there is no file.
Result<std::unique_ptr<TableSource>> find_table_source(Env& env, const std::string& file);
Result<std::unique_ptr<TableSink>> open_table_sink(Env& env, const Clock& clock, const std::string& file);
// SQLite holds everything as it is.
Result<TransferValue> fit(const TransferColumn& column, const TransferValue& value);

}  // namespace ntt::sqlite
