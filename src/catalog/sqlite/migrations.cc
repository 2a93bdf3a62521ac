#include "catalog/sqlite/migrations.h"

#include <fmt/format.h>

namespace ntt::sqlite {
namespace {

constexpr int64_t kApplicationId = 0x6e747463;  // "nttc", set by migration 1

// Whether the tables are ours; false for an empty database.
Result<bool> is_catalog(Database& database) {
    int64_t application = 0, objects = 0;
    {
        TRY_ASSIGN(Query pragma, database.query("PRAGMA application_id"));
        TRY(pragma.next());
        application = pragma.integer();
    }
    TRY_ASSIGN(Query count, database.query("SELECT count(*) FROM sqlite_master"));
    TRY(count.next());
    objects = count.integer();
    if (application == kApplicationId) return true;
    if (application == 0 && objects == 0) return false;
    return make_error(ErrorCode::schema, fmt::format("{} is an SQLite database of another program", database.file()),
                      "check --catalog");
}

}  // namespace

Result<size_t> applied_version(Database& database, const std::vector<Migration>& migrations) {
    TRY_ASSIGN(const bool ours, is_catalog(database));
    std::vector<AppliedMigration> applied;
    if (!ours) return size_t{0};
    TRY_ASSIGN(Query rows, database.query("SELECT version, digest FROM schema_migration ORDER BY version"));
    for (;;) {
        TRY_ASSIGN(const bool row, rows.next());
        if (!row) return applied_count(applied, migrations, database.file());
        AppliedMigration one;
        one.version = rows.integer();
        one.digest = rows.text();
        applied.push_back(std::move(one));
    }
}

Result<void> migrate(Database& database, const Clock& clock, const std::vector<Migration>& migrations) {
    for (;;) {
        // Read first without the write lock: opening a catalog that is up to date waits for nobody.
        TRY_ASSIGN(size_t version, applied_version(database, migrations));
        if (version == migrations.size()) return {};
        TRY_ASSIGN(Scope scope, database.begin());
        TRY_ASSIGN(version, applied_version(database, migrations));  // another process may have been first
        if (version == migrations.size()) return {};
        const Migration& next = migrations[version];
        TRY(database.execute(std::string(next.sql)));
        {
            TRY_ASSIGN(
                Query insert,
                database.query("INSERT INTO schema_migration (version, name, digest, applied_at) VALUES (?1, ?2, ?3, ?4)"));
            TRY(insert.run(next.version, next.name, next.digest(), iso8601_utc(clock.wall_us())));
        }
        TRY(scope.commit());
    }
}

}  // namespace ntt::sqlite
