#include "catalog/catalog.h"

#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt {

Result<std::unique_ptr<Catalog>> open_catalog(Env& env, const Clock& clock, const std::string& url,
                                              const CatalogOptions& options) {
    constexpr std::string_view kSqlite = "sqlite:";
    if (url.starts_with("postgresql:") || url.starts_with("postgres:"))
        return make_error(ErrorCode::unsupported, "PostgreSQL catalogs come with a later version", "use sqlite:FILE");
    if (!url.starts_with(kSqlite))
        return make_error(ErrorCode::invalid_argument, "'" + url + "' is not the address of a catalog", "use sqlite:FILE");
    std::string file = url.substr(kSqlite.size());
    if (file.starts_with("///")) file.erase(0, 2);
    if (file.empty() || file.starts_with("//") || file.ends_with('/') || file == ":memory:")
        return make_error(ErrorCode::invalid_argument, "'" + url + "' names no file", "use sqlite:FILE");
    return sqlite::open_sqlite_catalog(env, clock, file, options);
}

}  // namespace ntt
