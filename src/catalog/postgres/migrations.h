// Brings a database to the schema of this program.
#pragma once

#include <vector>

#include "base/clock.h"
#include "catalog/migration.h"
#include "catalog/postgres/connection.h"

namespace ntt::postgres {

// In order of version, from 1 without gaps.
const std::vector<Migration>& embedded_migrations();

// How many of `migrations` the database has; 0 where there are no tables of a catalog. Changes nothing. schema: as migrate().
Result<size_t> applied_version(Connection& connection, const std::vector<Migration>& migrations = embedded_migrations());

// Applies what is missing of `migrations`: each in one transaction with its row in schema_migration. Waits for another
// process that migrates. schema: the database holds tables of another program under our names, was made by a newer
// program, or an applied migration is not the one known here.
Result<void> migrate(Connection& connection, const Clock& clock, const std::vector<Migration>& migrations = embedded_migrations());

}  // namespace ntt::postgres
