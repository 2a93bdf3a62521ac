// The schema's numbered versions, compiled in from schema/<dialect>/NNNN_name.sql.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ntt {

struct Migration {
    int version = 0;
    std::string_view name;
    std::string_view sql;

    std::string digest() const;  // BLAKE3 of the text, hex
};

// A row of schema_migration.
struct AppliedMigration {
    int64_t version = 0;
    std::string digest;
};

// How many of `migrations` the catalog at `place` has; `applied` in order of version. schema: it was made by a newer program,
// lacks a version in the middle, or has one that is not the one known here.
Result<size_t> applied_count(const std::vector<AppliedMigration>& applied, const std::vector<Migration>& migrations, const std::string& place);

}  // namespace ntt
