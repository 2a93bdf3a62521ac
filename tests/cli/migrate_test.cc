// ntt migrate as a command: both ways, dry runs, refusals, and the predecessor's database. What each rule does is tested with
// the catalog (transfer_test, predecessor_test).
#include <gmock/gmock.h>

#include <algorithm>

#include "support/postgres.h"
#include "world.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class Migrate : public World {
protected:
    void SetUp() override { NTT_NEED_POSTGRES(); }

    std::string file() const { return "sqlite:" + home() + "/catalog.db"; }
    std::string server() const { return postgres_url(dir); }
    Ran migrate(std::vector<std::string> args) {
        args.insert(args.begin(), "migrate");
        return ntt(std::move(args));
    }
    static Json summary(const Ran& ran) {
        const std::vector<Json> lines = ran.lines();
        EXPECT_FALSE(lines.empty()) << ran.out << ran.err;
        return lines.empty() ? Json() : lines.back();
    }
    void add_some() {
        add_medium({{.path = "letters/a.txt", .ino = 5, .content = "a letter"},
                    {.path = "letters/b.txt", .ino = 6, .content = "half of it", .missing = {missing(4, 6, 1000, Cause::BAD_SECTOR)}},
                    {.path = "letters", .ino = 7, .fs_type = 'd'},
                    {.path = "later.txt", .ino = 8, .content = "later", .copied = false}});
    }
    // What `ntt files --json` says through that catalog.
    std::string listed(const std::string& catalog) { return ntt({"files", kHash, "--json", "--catalog", catalog}).out; }
};

TEST_F(Migrate, to_a_server_and_back_shows_the_same_files) {
    add_some();
    const Ran there = migrate({file(), server(), "--json"});
    EXPECT_EQ(there.exit, 0) << there.out << there.err;
    const Json told = summary(there);
    EXPECT_EQ(told["type"], "migrate");
    EXPECT_EQ(told["media"], 1);
    EXPECT_EQ(told["inodes"], 4);
    EXPECT_EQ(told["paths"], 4);
    EXPECT_EQ(told["equal"], true);
    EXPECT_EQ(told["dry_run"], false);
    EXPECT_EQ(told["exit"], 0);
    EXPECT_EQ(psql(server(), "SELECT status, count(*) FROM inode GROUP BY 1 ORDER BY 1").out, "damaged|1\nnonfile|1\npending|1\nstored|1\n");

    const std::string back = "sqlite:" + dir / "back.db";
    const Ran returned = migrate({server(), back});
    EXPECT_EQ(returned.exit, 0) << returned.out << returned.err;
    EXPECT_THAT(returned.out, HasSubstr("1 media, 4 inodes, 4 names; both sides are equal"));
    EXPECT_NE(listed(file()), "");
    EXPECT_EQ(listed(server()), listed(file()));
    EXPECT_EQ(listed(back), listed(file()));
}

TEST_F(Migrate, a_dry_run_counts_the_same_and_writes_nothing) {
    add_some();
    for (const std::string& to : {server(), "sqlite:" + dir / "new.db"}) {
        const Ran ran = migrate({file(), to, "--dry-run", "--json"});
        EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
        EXPECT_EQ(summary(ran)["inodes"], 4);
        EXPECT_EQ(summary(ran)["equal"], nullptr);
        EXPECT_EQ(summary(ran)["dry_run"], true);
    }
    EXPECT_EQ(psql(server(), "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace").out, "0\n");
    EXPECT_FALSE(std::filesystem::exists(dir / "new.db"));
}

TEST_F(Migrate, a_target_with_a_row_in_it_is_refused_and_stays_as_it_is) {
    add_some();
    ASSERT_EQ(migrate({file(), server()}).exit, 0);
    const std::string before = psql(server(), "TABLE inode_row").out;
    const Ran again = migrate({file(), server(), "--json"});
    EXPECT_EQ(again.exit, 1);
    EXPECT_EQ(summary(again)["exit"], 1);
    EXPECT_EQ(summary(again)["inodes"], 0);
    EXPECT_THAT(again.out, HasSubstr("already_exists"));
    EXPECT_EQ(psql(server(), "TABLE inode_row").out, before);
}

TEST_F(Migrate, passwords_are_not_printed) {
    const Ran ran = migrate({"postgresql://someone:secret@127.0.0.1:1/none", server(), "--json"});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("secret")));
    EXPECT_EQ(summary(ran)["type"], "migrate");
}

TEST_F(Migrate, a_source_that_is_not_there_is_not_made) {
    const Ran ran = migrate({"sqlite:" + dir / "none.db", server()});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_FALSE(std::filesystem::exists(dir / "none.db"));
}

TEST_F(Migrate, the_predecessors_defects_are_counted_first_and_become_pending) {
    const TempDir theirs;
    const std::string old = postgres_url(theirs);
    ASSERT_EQ(psql(old, "CREATE TABLE medium (medium_hash text PRIMARY KEY, medium_human text, image_path text, health text);"
                        "CREATE TABLE inode (medium_hash text, ino bigint, dev bigint, size bigint, mtime bigint, fs_type char(1), blobid text, copied boolean, "
                        "claimed_by text, status text, errors text[]);"
                        "CREATE TABLE path (medium_hash text, dev bigint, ino bigint, path bytea, exclude_reason text);"
                        "INSERT INTO medium VALUES ('" + std::string(kHash) + "', 'Alicia', '/images/a.img', 'ok');"
                        "INSERT INTO inode VALUES ('" + std::string(kHash) + "', 5, 1, 8, 0, 'f', repeat('ab', 32), true, 'w', 'success', '{}'), "
                        "('" + std::string(kHash) + "', 6, 1, 8, 0, 'f', NULL, true, 'w', 'success', '{}');"
                        "INSERT INTO path VALUES ('" + std::string(kHash) + "', 1, 5, '/mnt/ntt/" + std::string(kHash) + "/a', NULL), "
                        "('" + std::string(kHash) + "', 1, 6, '/mnt/ntt/" + std::string(kHash) + "/b', NULL)").exit, 0);
    const auto counted = [](const Ran& ran) {
        std::map<std::string, uint64_t> out;
        for (const Json& line : ran.lines())
            if (line["type"] == "migrate_rule") out[line["rule"]] = line["rows"];
        return out;
    };
    const Ran dry = migrate({"--from-predecessor", old, server(), "--dry-run", "--json"});
    EXPECT_EQ(dry.exit, 3) << dry.out << dry.err;
    EXPECT_EQ(psql(server(), "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace").out, "0\n");
    const Ran ran = migrate({"--from-predecessor", old, server(), "--json", "--store-id", "old-disk"});
    EXPECT_EQ(ran.exit, 3) << ran.out << ran.err;
    EXPECT_EQ(counted(ran)["success_without_blobid"], 1u);
    EXPECT_EQ(counted(ran)["stored"], 1u);
    EXPECT_EQ(counted(dry), counted(ran));
    EXPECT_EQ(psql(server(), "SELECT ino, status FROM inode ORDER BY ino").out, "5|stored\n6|pending\n");
    EXPECT_EQ(psql(server(), "SELECT store_id FROM blob_location").out, "old-disk\n");
    const Ran again = migrate({"--from-predecessor", old, server(), "--json"});
    EXPECT_EQ(summary(again)["inodes"], 0) << "the medium is there";
    EXPECT_EQ(again.exit, 0);
}

}  // namespace
}  // namespace ntt::test
