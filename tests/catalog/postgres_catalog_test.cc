// The PostgreSQL catalog: the contract suite, and what only a server can show (connections, rights, schemas of others).
#include <gmock/gmock.h>

#include "catalog/catalog_contract.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

const CatalogKind kPostgres{"postgres", [](const TempDir& dir) { return postgres_url(dir); }, [] { return postgres_server().has_value(); }};

INSTANTIATE_TEST_SUITE_P(Postgres, CatalogContract, ::testing::Values(kPostgres), [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace ntt::test
