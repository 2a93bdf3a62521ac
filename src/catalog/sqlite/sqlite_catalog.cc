#include "catalog/sqlite/sqlite_catalog.h"

#include <fmt/format.h>

#include "base/check.h"
#include "catalog/sqlite/migrations.h"

namespace ntt::sqlite {
namespace {

class SqliteTransaction final : public CatalogTransaction {
public:
    explicit SqliteTransaction(Scope scope) : scope_(std::move(scope)) {}
    Result<void> commit() override { return scope_.commit(); }

private:
    Scope scope_;
};

class LockedFile final : public CatalogLock {
public:
    explicit LockedFile(FileLock lock) : lock_(std::move(lock)) {}

private:
    FileLock lock_;
};

}  // namespace

Result<std::unique_ptr<Catalog>> open_sqlite_catalog(Env& env, const Clock& clock, const std::string& file,
                                                     const CatalogOptions& options) {
    if (const size_t slash = file.rfind('/'); slash != std::string::npos && slash > 0)
        TRY(env.make_dirs(file.substr(0, slash), 0755));
    TRY_ASSIGN(auto database, Database::open(file, options.vfs, options.busy_timeout_ms));
    TRY(migrate(*database, clock));
    return std::unique_ptr<Catalog>(new SqliteCatalog(env, std::move(database)));
}

Result<int> SqliteCatalog::schema_version() {
    TRY_ASSIGN(Query row, db_->prepared("SELECT max(version) FROM schema_migration"));
    TRY(row.next());
    return static_cast<int>(row.integer());
}

Result<std::unique_ptr<CatalogTransaction>> SqliteCatalog::begin() {
    NTT_CHECK(!db_->in_transaction(), "a transaction is begun inside another");
    TRY_ASSIGN(Scope scope, db_->begin());
    return std::unique_ptr<CatalogTransaction>(new SqliteTransaction(std::move(scope)));
}

// There are no leases here, so nobody shares: a lock is always of one alone.
Result<std::unique_ptr<CatalogLock>> SqliteCatalog::lock(const std::string& name, Sharing /*sharing*/) {
    TRY(check_lock_name(name));
    const std::string folder = db_->file() + ".locks";
    TRY(env_.make_dir(folder, 0755));
    TRY_ASSIGN(FileLock lock, env_.try_lock(folder + "/" + name));
    return std::unique_ptr<CatalogLock>(new LockedFile(std::move(lock)));
}

}  // namespace ntt::sqlite
