#include "catalog/postgres/migrations.h"

#include <fmt/format.h>

namespace ntt::postgres {

Result<size_t> applied_version(Connection& connection, const std::vector<Migration>& migrations) {
    // A look into pg_class, not to_regclass(): that may remember from before the lock that a table was not there.
    TRY_ASSIGN(Rows there, connection.query("SELECT bool_or(relname = 'schema_migration'), min(relname) FILTER (WHERE relname <> 'schema_migration') FROM pg_class "
                                            "WHERE relname IN ("
                                            "'schema_migration', 'medium', 'medium_relation', 'image', 'volume', 'inode', 'inode_row', 'path', 'path_row', 'blobs', 'blob', "
                                            "'blob_row', 'missing_range', 'finding', 'diagnostic_event', 'store', 'worker', 'lease') AND pg_table_is_visible(oid)"));
    there.next();
    const bool ours = there.boolean();
    const std::optional<std::string> in_the_way = there.maybe_text();
    if (!ours && in_the_way)
        return make_error(ErrorCode::schema, fmt::format("{} holds tables of another program ({})", connection.place(), *in_the_way),
                          "give ntt a database of its own: createdb NAME; 'ntt migrate --from-predecessor' takes over the predecessor's");
    if (!ours) return size_t{0};
    TRY_ASSIGN(Rows rows, connection.query("SELECT version, digest FROM schema_migration ORDER BY version"));
    std::vector<AppliedMigration> applied;
    while (rows.next()) {
        AppliedMigration one;
        one.version = rows.integer();
        one.digest = rows.text();
        applied.push_back(std::move(one));
    }
    return applied_count(applied, migrations, connection.place());
}

Result<void> migrate(Connection& connection, const Clock& clock, const std::vector<Migration>& migrations) {
    for (;;) {
        // Read first without the lock: opening a catalog that is up to date waits for nobody, and needs no right to write.
        TRY_ASSIGN(size_t version, applied_version(connection, migrations));
        if (version == migrations.size()) return {};
        TRY_ASSIGN(Scope scope, connection.begin());
        TRY(connection.query("SELECT pg_advisory_xact_lock(hashtextextended(current_schema()::text || '/ntt-migration', 0))"));
        TRY_ASSIGN(version, applied_version(connection, migrations));  // another process may have been first
        if (version == migrations.size()) return {};
        const Migration& next = migrations[version];
        TRY(connection.execute(std::string(next.sql)));
        TRY(connection.query("INSERT INTO schema_migration (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)",
                                                      next.version, next.name, next.digest(), iso8601_utc(clock.wall_us())));
        TRY(scope.commit());
    }
}

}  // namespace ntt::postgres
