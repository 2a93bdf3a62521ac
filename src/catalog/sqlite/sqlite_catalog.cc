#include "catalog/sqlite/sqlite_catalog.h"

#include <algorithm>

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

}  // namespace

Result<std::unique_ptr<Catalog>> open_sqlite_catalog(Env& env, const Clock& clock, const std::string& file,
                                                     const CatalogOptions& options) {
    if (const size_t slash = file.rfind('/'); slash != std::string::npos && slash > 0)
        TRY(env.make_dirs(file.substr(0, slash), 0755));
    TRY_ASSIGN(auto database, Database::open(file, options.vfs, options.busy_timeout_ms));
    TRY(migrate(*database, clock));
    return std::unique_ptr<Catalog>(new SqliteCatalog(env, std::move(database)));
}

Result<std::unique_ptr<CatalogTransaction>> SqliteCatalog::begin() {
    NTT_CHECK(!db_->in_transaction(), "a transaction is begun inside another");
    TRY_ASSIGN(Scope scope, db_->begin());
    return std::unique_ptr<CatalogTransaction>(new SqliteTransaction(std::move(scope)));
}

Result<FileLock> SqliteCatalog::lock(const std::string& name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (name.empty() || !plain) return make_error(ErrorCode::invalid_argument, fmt::format("'{}' cannot name a lock", name));
    const std::string folder = db_->file() + ".locks";
    TRY(env_.make_dir(folder, 0755));
    return env_.try_lock(folder + "/" + name);
}

}  // namespace ntt::sqlite
