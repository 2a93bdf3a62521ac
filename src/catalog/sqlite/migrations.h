// The schema's numbered versions, compiled in from schema/sqlite/NNNN_name.sql.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "catalog/migration.h"
#include "catalog/sqlite/database.h"

namespace ntt::sqlite {

// In order of version, from 1 without gaps.
const std::vector<Migration>& embedded_migrations();

// How many of `migrations` the database has; 0 for an empty one. Changes nothing. schema: as migrate().
Result<size_t> applied_version(Database& database, const std::vector<Migration>& migrations = embedded_migrations());

// Brings a database to the newest of `migrations`: each in one transaction with its row in schema_migration (version,
// name, BLAKE3 of the text, time). Waits for another process that migrates. schema: the database is another
// program's, was made by a newer program, or an applied migration is not the one known here.
Result<void> migrate(Database& database, const Clock& clock, const std::vector<Migration>& migrations = embedded_migrations());

}  // namespace ntt::sqlite
