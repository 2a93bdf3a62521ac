#include "catalog/sqlite/migrations.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "catalog/catalog.h"
#include "os/env.h"
#include "support/support.h"

namespace ntt::sqlite {
namespace {

using test::must;
using test::shell_quoted;
using test::TempDir;
using test::why;
using ::testing::HasSubstr;

class Migrations : public ::testing::Test {
protected:
    std::string sql(const std::string& text) { return must("sqlite3 " + shell_quoted(file_) + " " + shell_quoted(text)); }
    Result<void> migrate_to(const std::vector<Migration>& migrations) {
        TRY_ASSIGN(auto database, Database::open(file_, "", 60'000));
        return migrate(*database, Clock::system(), migrations);
    }
    std::vector<Migration> with(Migration next) {
        std::vector<Migration> out = embedded_migrations();
        out.push_back(next);
        return out;
    }
    TempDir dir_;
    std::string file_ = dir_ / "c.db";
};

TEST_F(Migrations, versions_run_from_1_without_gaps) {
    int version = 0;
    for (const Migration& migration : embedded_migrations()) EXPECT_EQ(migration.version, ++version);
    EXPECT_GE(version, 1);
}

TEST_F(Migrations, each_is_recorded_with_its_digest) {
    ASSERT_OK(migrate_to(embedded_migrations()));
    std::string expected;
    for (const Migration& migration : embedded_migrations())
        expected += std::to_string(migration.version) + "|" + std::string(migration.name) + "|" +
                    blake3_of(as_bytes(migration.sql)).hex() + "\n";
    EXPECT_EQ(sql("SELECT version, name, digest FROM schema_migration"), expected);
    EXPECT_THAT(sql("SELECT applied_at FROM schema_migration"), HasSubstr("Z"));
    ASSERT_OK(migrate_to(embedded_migrations()));
    EXPECT_EQ(sql("SELECT count(*) FROM schema_migration"), std::to_string(embedded_migrations().size()) + "\n");
}

TEST_F(Migrations, a_later_one_is_applied_to_a_catalog_in_use) {
    ASSERT_OK(migrate_to(embedded_migrations()));
    sql("INSERT INTO store (store_id) VALUES ('kept')");
    const int next = static_cast<int>(embedded_migrations().size()) + 1;
    ASSERT_OK(migrate_to(with({next, "more", "CREATE TABLE more (a);"})));
    EXPECT_EQ(sql("SELECT store_id FROM store; SELECT count(*) FROM more"), "kept\n0\n");
}

TEST_F(Migrations, one_that_fails_leaves_nothing) {
    const int next = static_cast<int>(embedded_migrations().size()) + 1;
    EXPECT_FALSE(migrate_to(with({next, "broken", "CREATE TABLE half (a); CREATE TABLE half (b);"})).ok());
    EXPECT_EQ(sql("SELECT count(*) FROM sqlite_master WHERE name = 'half'"), "0\n");
    ASSERT_OK(migrate_to(embedded_migrations()));
}

TEST_F(Migrations, a_newer_schema_is_refused) {
    const int next = static_cast<int>(embedded_migrations().size()) + 1;
    ASSERT_OK(migrate_to(with({next, "future", "CREATE TABLE future (a);"})));
    const auto opened = open_catalog(Env::host(), Clock::system(), "sqlite:" + file_);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::schema);
    EXPECT_THAT(opened.error().message, HasSubstr("version " + std::to_string(next)));
    EXPECT_THAT(opened.error().hint, HasSubstr("newer ntt"));
}

TEST_F(Migrations, an_applied_one_that_is_not_ours_is_refused) {
    ASSERT_OK(migrate_to(embedded_migrations()));
    sql("UPDATE schema_migration SET digest = 'changed' WHERE version = 1");
    const auto result = migrate_to(embedded_migrations());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::schema);
}

TEST_F(Migrations, the_database_of_another_program_is_refused_and_left_alone) {
    sql("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
    const auto result = migrate_to(embedded_migrations());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::schema);
    EXPECT_THAT(result.error().message, HasSubstr("another program"));
    EXPECT_EQ(sql("SELECT name FROM sqlite_master"), "theirs\n");
}

TEST_F(Migrations, several_processes_may_make_one_catalog_at_once) {
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) ::_exit(open_catalog(Env::host(), Clock::system(), "sqlite:" + file_).ok() ? 0 : 1);
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    EXPECT_EQ(sql("SELECT count(*) FROM schema_migration"), std::to_string(embedded_migrations().size()) + "\n");
}

}  // namespace
}  // namespace ntt::sqlite
