#include "catalog/postgres/postgres_catalog.h"

#include <fmt/format.h>

#include "base/check.h"
#include "catalog/postgres/migrations.h"

namespace ntt::postgres {

// By the schema that the tables lie in, however a user's search_path leads there.
#define NTT_LOCK_KEY "hashtextextended((SELECT relnamespace FROM pg_class WHERE oid='medium'::regclass)::text || '/' || $1::text, 0)"

class PostgresTransaction final : public CatalogTransaction {
public:
    PostgresTransaction(PostgresCatalog& catalog, Scope scope) : catalog_(catalog), scope_(std::move(scope)) {}
    ~PostgresTransaction() override {
        if (!committed_) catalog_.forget_added();
    }
    Result<void> commit() override {
        TRY(catalog_.flush());
        TRY(catalog_.check_added_paths());
        // Whoever lost its locks is not alone any more.
        if (!catalog_.held_.empty()) TRY(catalog_.locks_->run("SELECT 1"));
        committed_ = true;
        const bool analyze = catalog_.take_analysis_due();
        TRY(scope_.commit());
        if (analyze) catalog_.analyze_beside();
        return {};
    }

private:
    PostgresCatalog& catalog_;
    Scope scope_;
    bool committed_ = false;
};

// An advisory lock of the connection for locks.
class AdvisoryLock final : public CatalogLock {
public:
    AdvisoryLock(PostgresCatalog& catalog, std::string name, Catalog::Sharing sharing) : catalog_(catalog), name_(std::move(name)), sharing_(sharing) {}
    ~AdvisoryLock() override {
        catalog_.held_.erase(name_);
        const char* sql = sharing_ == Catalog::Sharing::alone ? "SELECT pg_advisory_unlock(" NTT_LOCK_KEY ")"
                                                              : "SELECT pg_advisory_unlock_shared(" NTT_LOCK_KEY ")";
        catalog_.locks_->run(sql, name_).ignore("a connection that is lost has lost its locks");
    }

private:
    PostgresCatalog& catalog_;
    const std::string name_;
    const Catalog::Sharing sharing_;
};

Result<std::unique_ptr<Catalog>> open_postgres_catalog(const Clock& clock, const std::string& url, const CatalogOptions& options) {
    ConnectionOptions of_connection;
    of_connection.lock_timeout_ms = options.busy_timeout_ms;
    TRY_ASSIGN(auto connection, Connection::open(url, of_connection));
    TRY(migrate(*connection, clock));
    return std::unique_ptr<Catalog>(new PostgresCatalog(url, of_connection, std::move(connection)));
}

Result<int> PostgresCatalog::schema_version() {
    TRY(flush());
    TRY_ASSIGN(Rows row, db_->run("SELECT max(version) FROM schema_migration"));
    row.next();
    return static_cast<int>(row.integer());
}

Result<std::unique_ptr<CatalogTransaction>> PostgresCatalog::begin() {
    NTT_CHECK(!db_->in_transaction(), "a transaction is begun inside another");
    TRY_ASSIGN(Scope scope, db_->begin());
    return std::unique_ptr<CatalogTransaction>(new PostgresTransaction(*this, std::move(scope)));
}

Result<std::unique_ptr<CatalogLock>> PostgresCatalog::lock(const std::string& name, Sharing sharing) {
    TRY(check_lock_name(name));
    if (locks_ == nullptr || !locks_->is_alive()) {
        if (locks_ != nullptr && !held_.empty())
            return make_error(ErrorCode::unavailable, fmt::format("catalog {}: the connection that holds its locks is lost", locks_->place()), "run again");
        TRY_ASSIGN(locks_, Connection::open(url_, options_));
    }
    const Error taken = make_error(ErrorCode::busy, fmt::format("'{}' is in the hands of another process", name), "wait for it, or look who it is: ntt workers");
    // Within one session PostgreSQL gives a lock twice.
    if (held_.contains(name)) return taken;
    const char* sql = sharing == Sharing::alone ? "SELECT pg_try_advisory_lock(" NTT_LOCK_KEY ")"
                                                : "SELECT pg_try_advisory_lock_shared(" NTT_LOCK_KEY ")";
    TRY_ASSIGN(Rows rows, locks_->run(sql, name));
    rows.next();
    if (!rows.boolean()) return taken;
    held_.insert(name);
    return std::unique_ptr<CatalogLock>(new AdvisoryLock(*this, name, sharing));
}

Result<std::optional<Scope>> PostgresCatalog::scope() {
    if (db_->in_transaction()) return std::optional<Scope>();
    TRY_ASSIGN(Scope begun, db_->begin());
    return std::optional<Scope>(std::move(begun));
}

}  // namespace ntt::postgres
