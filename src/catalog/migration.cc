#include "catalog/migration.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace ntt {

std::string Migration::digest() const { return blake3_of(as_bytes(sql)).hex(); }

Result<size_t> applied_count(const std::vector<AppliedMigration>& applied, const std::vector<Migration>& migrations, const std::string& place) {
    size_t count = 0;
    for (const AppliedMigration& one : applied) {
        if (one.version > static_cast<int64_t>(migrations.size()))
            return make_error(ErrorCode::schema,
                              fmt::format("the catalog {} has schema version {}; this program knows up to {}", place, one.version, migrations.size()),
                              "use a newer ntt");
        if (one.version != static_cast<int64_t>(count) + 1)
            return make_error(ErrorCode::schema, fmt::format("the catalog {} lacks schema version {}", place, count + 1));
        const Migration& known = migrations[count++];
        if (one.digest != known.digest())
            return make_error(ErrorCode::schema,
                              fmt::format("schema version {} ({}) of the catalog {} is not the one this program has", one.version, known.name, place),
                              "use the ntt that made this catalog");
    }
    return count;
}

}  // namespace ntt
