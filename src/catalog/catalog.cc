#include "catalog/catalog.h"

#include <algorithm>

#include <fmt/format.h>

#include "catalog/postgres/postgres_catalog.h"
#include "catalog/sqlite/sqlite_catalog.h"

namespace ntt {

Result<std::unique_ptr<Catalog>> open_catalog(Env& env, const Clock& clock, const std::string& url,
                                              const CatalogOptions& options) {
    constexpr std::string_view kSqlite = "sqlite:";
    if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return postgres::open_postgres_catalog(clock, url, options);
    if (!url.starts_with(kSqlite))
        return make_error(ErrorCode::invalid_argument, "'" + url + "' is not the address of a catalog", "use sqlite:FILE or postgresql://USER@HOST/DATABASE");
    std::string file = url.substr(kSqlite.size());
    if (file.starts_with("///")) file.erase(0, 2);
    if (file.empty() || file.starts_with("//") || file.ends_with('/') || file == ":memory:")
        return make_error(ErrorCode::invalid_argument, "'" + url + "' names no file", "use sqlite:FILE");
    return sqlite::open_sqlite_catalog(env, clock, file, options);
}

Error unknown_medium(const std::string& text) {
    return make_error(ErrorCode::not_found, fmt::format("the catalog has no medium '{}'", text), "'ntt media' lists them");
}

Result<MediumRow> only_candidate(const std::string& text, std::vector<MediumRow> candidates) {
    constexpr size_t kMostNamed = 5;
    if (candidates.empty()) return unknown_medium(text);
    if (candidates.size() == 1) return std::move(candidates.front());
    std::string names;
    for (size_t i = 0; i < candidates.size() && i < kMostNamed; ++i)
        names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", candidates[i].medium_hash, candidates[i].medium_human);
    if (candidates.size() > kMostNamed) names += ", …";
    return make_error(ErrorCode::invalid_argument, fmt::format("'{}' can be {} media: {}", text, candidates.size(), names), "give more digits of the hash");
}

Result<void> check_lock_name(const std::string& name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (name.empty() || !plain) return make_error(ErrorCode::invalid_argument, fmt::format("'{}' cannot name a lock", name));
    return {};
}

}  // namespace ntt
