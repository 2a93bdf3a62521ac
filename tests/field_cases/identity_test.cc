// Field cases A: what a medium is, and which one. docs/field-cases.md has the whole list.
#include <filesystem>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/images.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

TEST(FieldCase_A2, an_empty_image_has_no_identity_and_erased_disks_of_two_sizes_are_two_media) {
    const TempDir dir;
    write_file(dir / "empty.img", "");
    write_file(dir / "one.img", std::string(737'280, '\xF6'));
    write_file(dir / "two.img", std::string(1'474'560, '\xF6'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "empty.img"}).exit, 1);
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img", dir / "two.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(DISTINCT medium_hash), sum(medium_hash LIKE 'af1349b9%') FROM medium"), "2|0\n") << "af1349b9…: the BLAKE3 of nothing";
}

TEST(FieldCase_A3, an_identity_can_be_computed_again_from_the_image_and_says_how) {
    NTT_NEED_TOOL("b3sum");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.TXT", "a"}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT medium_hash, hash_method FROM medium"),
              must("b3sum --no-names one.img", dir.path().string()).substr(0, 32) + "|image_blake3\n");
    EXPECT_EQ(ntt.sql("SELECT digest FROM image"), must("b3sum --no-names one.img", dir.path().string()));
}

TEST(FieldCase_A5, one_image_under_two_paths_is_one_medium_and_its_paths_are_relative) {
    const TempDir dir;
    must("mkdir -p a/x b", dir.path().string());
    make_floppy(dir / "a/x/one.img", {{"A.TXT", "a"}});
    fs::copy_file(dir / "a/x/one.img", dir / "b/other.img");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "a/x/one.img", dir / "b/other.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium"), "1\n");
    EXPECT_EQ(ntt.sql("SELECT CAST(path AS TEXT) FROM path"), "A.TXT\n");
}

TEST(FieldCase_A6, names_are_found_on_whatever_medium_they_are) {
    const TempDir dir;
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 100; ++i) files.push_back({fmt::format("F{}.TXT", i), fmt::format("content {}", i)});
    make_floppy(dir / "sought.img", files);
    make_floppy(dir / "other.img", {{"F1.DOC", "another"}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "sought.img", dir / "other.img"}).exit, 0);
    const std::string medium = blake3_of(as_bytes(read_file(dir / "sought.img"))).hex().substr(0, 32);
    for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(ntt.json({"find", fmt::format("f{}.txt", i)}).object("file")["medium_hash"], medium);
}

TEST(FieldCase_A8, without_an_identity_nothing_starts) {
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.TXT", "a"}});
    Ntt ntt;
    for (const char* hash : {"", "UNNAMED", "12", "../../../etc", "0123456789ABCDEF"})
        EXPECT_EQ(ntt.run({"ingest", dir / "one.img", "--medium-hash", hash}).exit, 2) << hash;
    EXPECT_EQ(ntt.run({"ingest", dir / "no such.img"}).exit, 1);
    EXPECT_TRUE(!fs::exists(ntt.home() + "/catalog.db") || ntt.sql("SELECT count(*) FROM medium") == "0\n");
}

TEST(FieldCase_A9, nothing_that_a_user_can_run_removes_a_medium) {
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.TXT", "a"}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    fs::remove(dir / "one.img");
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 1);
    EXPECT_EQ(ntt.run({"verify", "--strict"}).exit, 0);
    EXPECT_EQ(ntt.run({"requeue", "one.img", "--status", "stored"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium; SELECT count(*) FROM inode; SELECT count(*) FROM path; SELECT count(*) FROM blob"), "1\n1\n1\n1\n");
}

}  // namespace
}  // namespace ntt::test
