// Every way a filesystem can fail: it ends in bounded time, with the right cause, the right totals and exit code, and what could be
// read is stored.
#include <gmock/gmock.h>

#include <filesystem>

#include "acceptance/ntt.h"
#include "fs/isolated/trees.h"
#include "support/faulty_fs.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kPage = 4096;

// Twelve small files around BAD.BIN, which the rules speak of.
class FaultyTree : public ::testing::Test {
protected:
    FaultyTree() : faulty_(source_.path().string()) {
        for (int i = 0; i < 12; ++i) write_file(source_ / ("GOOD" + std::to_string(10 + i)), chosen_bytes(static_cast<uint32_t>(i), 3000));
        write_file(source_ / "BAD.BIN", bad_);
        write_file(config_.path() / "ntt.toml", "retry_wait_ms = 1\nretry_wait_max_ms = 4\n[reader]\npatience_seconds = 1\n");
    }

    // Lists the good tree; from then on the rules hold.
    void begin(const std::string& rules) {
        ASSERT_EQ(ntt_.run({"ingest", faulty_.mount_point(), "--name", "tree", "--enumerate-only"}).exit, 4);
        faulty_.behave(rules);
    }
    Ran copy(const std::string& level = "predict") {
        return ntt_.run({"copy", "--medium-hash", "tree", "--diagnostics", level, "--config", (config_.path() / "ntt.toml").string()});
    }
    std::string bad_row() const { return ntt_.sql("SELECT status, cause, claimed_by, missing_bytes FROM inode JOIN path USING (ino) WHERE CAST(path AS TEXT)='BAD.BIN'"); }
    std::string count(const std::string& status) const { return ntt_.sql("SELECT count(*) FROM inode WHERE fs_type='f' AND copied AND status='" + status + "'"); }
    std::string salvaged() const {
        const std::string id = ntt_.sql("SELECT partial_blobid FROM inode WHERE partial_blobid IS NOT NULL");
        return read_file(ntt_.blob_path(id.substr(0, 64), "partial"));
    }

    const std::string bad_ = chosen_bytes(99, 10 * kPage + 100);
    TempDir source_, config_;
    FaultyFs faulty_;
    mutable Ntt ntt_;
};

TEST_F(FaultyTree, AnErrorThatPassesCostsATryAndNothingElse) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("eio_once *");
    const Ran ran = copy();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(count("stored"), "13\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM diagnostic_event"), "0\n");
    EXPECT_THAT(ran.err, Not(HasSubstr("CHECKPOINT")));
}

TEST_F(FaultyTree, AFileThatNeverReadsIsGivenUpAfterFiftyTries) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("eio BAD.BIN");
    const Ran ran = copy();
    EXPECT_EQ(ran.exit, 3) << ran.err;
    EXPECT_EQ(bad_row(), "unreadable|IO_ERROR|MAX_RETRIES_EXCEEDED|41060\n");
    EXPECT_EQ(count("stored"), "12\n");
    EXPECT_LE(faulty_.reads_of("BAD.BIN"), 50u * 2 + 2 * (2 + 11)) << "each try asks twice at most, and so does each page when it is salvaged";
    EXPECT_EQ(ntt_.sql("SELECT action, retry_count FROM diagnostic_event ORDER BY id"), "continuing|10\nmax_retries|50\n");
    EXPECT_THAT(ntt_.sql("SELECT errors FROM inode WHERE status='unreadable'"), HasSubstr("50 attempts, last: "));
    const size_t before = faulty_.reads_of("BAD.BIN");
    EXPECT_EQ(copy().exit, 3);
    EXPECT_EQ(faulty_.reads_of("BAD.BIN"), before) << "it is decided";
}

TEST_F(FaultyTree, WhatLiesAroundABadRangeIsSalvaged) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("eio_range BAD.BIN 9000 100");
    EXPECT_EQ(copy().exit, 3);
    EXPECT_EQ(bad_row(), "damaged|IO_ERROR|MAX_RETRIES_EXCEEDED|4096\n");
    EXPECT_EQ(ntt_.sql("SELECT file_offset, length, cause FROM missing_range"), "8192|4096|IO_ERROR\n");
    std::string expected = bad_;
    expected.replace(2 * kPage, kPage, std::string(kPage, '\0'));
    EXPECT_EQ(salvaged(), expected);
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE status='damaged' AND blobid IS NOT NULL"), "0\n");
}

TEST_F(FaultyTree, PermissionIsNamed) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("eperm BAD.BIN");
    EXPECT_EQ(copy().exit, 3);
    EXPECT_EQ(bad_row(), "unreadable|PERMISSION|MAX_RETRIES_EXCEEDED|41060\n");
    EXPECT_EQ(ntt_.sql("SELECT error_type FROM inode WHERE status='unreadable'"), "permission_error\n");
    EXPECT_EQ(count("stored"), "12\n");
}

TEST_F(FaultyTree, OneFileThatIsGoneIsMissing) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("enoent BAD.BIN");
    EXPECT_EQ(copy().exit, 3);
    EXPECT_EQ(bad_row(), "unreadable|MISSING_FILE|MAX_RETRIES_EXCEEDED|41060\n");
    EXPECT_EQ(count("stored"), "12\n");
}

// V12, E9: a thousand files that are not there after a good enumeration are no thousand lost files.
TEST_F(FaultyTree, WhenEverythingIsGoneTheMediumIsParkedAtOnceAndNothingIsLost) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("enoent GOOD*\nenoent BAD*");  // the root itself stays
    const Ran ran = copy();
    EXPECT_EQ(ran.exit, 4) << ran.err;
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE fs_type='f' AND copied"), "0\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE errors IS NOT NULL AND errors <> '[]'"), "0\n") << "no file is blamed";
    EXPECT_THAT(ran.err, HasSubstr("is parked"));
    EXPECT_EQ(ran.err.find("is parked"), ran.err.rfind("is parked")) << "one message";
    faulty_.behave("");
    EXPECT_EQ(copy().exit, 0);
    EXPECT_EQ(count("stored"), "13\n");
}

TEST_F(FaultyTree, AFileThatEndsEarlyIsNotWhole) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("short BAD.BIN 5000");
    EXPECT_EQ(copy().exit, 3);
    EXPECT_EQ(bad_row(), "damaged|IO_ERROR|MAX_RETRIES_EXCEEDED|36060\n");
    EXPECT_EQ(salvaged(), bad_.substr(0, 5000) + std::string(bad_.size() - 5000, '\0'));
}

class Unanswered : public FaultyTree, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Rule, Unanswered, ::testing::Values("slow BAD.BIN 100", "hang BAD.BIN"),
                         [](const auto& rule) { return rule.param.substr(0, 4); });

TEST_P(Unanswered, AReadThatDoesNotComeBackParksTheMediumAndTheRunGoesOn) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin(GetParam());
    TempDir other;
    write_file(other / "FINE", "fine");
    const Ran ran = ntt_.run({"ingest", faulty_.mount_point(), other.path().string(), "--config", (config_.path() / "ntt.toml").string()});
    EXPECT_EQ(ran.exit, 4) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("is parked"));
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode JOIN path USING (ino) WHERE CAST(path AS TEXT)='FINE' AND status='stored'"), "1\n");
    EXPECT_THAT(ntt_.sql("SELECT errors FROM inode WHERE errors <> '[]'"), HasSubstr("timed out"));
    for (int run = 2; run <= 5; ++run) EXPECT_EQ(copy().exit, 4);
    EXPECT_EQ(copy().exit, 3) << "after five runs it is given up at start, and the others are stored";
    EXPECT_EQ(ntt_.sql("SELECT claimed_by, status, cause FROM inode JOIN path USING (ino) WHERE CAST(path AS TEXT)='BAD.BIN'"), "MAX_RETRIES_EXCEEDED|unreadable|TIMEOUT\n");
    EXPECT_EQ(ntt_.sql("SELECT DISTINCT action, cause FROM diagnostic_event WHERE action <> 'max_retries'"), "continuing|TIMEOUT\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE fs_type='f' AND status='stored'"), "13\n");
}

// The folder is there all the time.
TEST(FieldCase_V21, a_mount_is_known_by_the_mount_table_and_by_its_answers_and_not_by_its_folder) {
    TempDir source;
    write_file(source / "a", "a");
    auto faulty = std::make_unique<FaultyFs>(source.path().string());
    NTT_NEED_FAULTY_FS(*faulty);
    const CancelToken never;
    Trees trees(nullptr);
    ASSERT_OK(trees.open({{1, faulty->mount_point()}}));
    EXPECT_TRUE(trees.all_mounted());
    EXPECT_TRUE(trees.all_accessible(never));
    faulty->kill_server();
    EXPECT_TRUE(trees.all_mounted());
    EXPECT_FALSE(trees.all_accessible(never)) << "a driver that died leaves its mount in the table";
    faulty.reset();
    EXPECT_FALSE(trees.all_mounted());
}

TEST_F(FaultyTree, AServerThatDiesParksTheMedium) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("die BAD.BIN");
    const Ran ran = copy();
    EXPECT_EQ(ran.exit, 4) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("is parked"));
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE copied AND status IN ('unreadable', 'damaged')"), "0\n");
}

TEST_F(FaultyTree, AFolderThatCannotBeListedIsSaid) {
    NTT_NEED_FAULTY_FS(faulty_);
    fs::create_directories(source_.path() / "DIR");
    write_file(source_ / "DIR/INSIDE", "x");
    faulty_.behave("opendir_eio DIR");
    EXPECT_EQ(ntt_.run({"ingest", faulty_.mount_point(), "--name", "tree"}).exit, 3);
    EXPECT_EQ(ntt_.sql("SELECT json_extract(evidence, '$.path'), json_extract(evidence, '$.cause') FROM finding WHERE code='directory_unreadable'"), "/DIR|IO_ERROR\n");
    EXPECT_EQ(ntt_.sql("SELECT outcome FROM volume"), "partial\n");
    EXPECT_EQ(count("stored"), "13\n");
}

TEST_F(FaultyTree, ObserveEndsAndLeavesItToBeDone) {
    NTT_NEED_FAULTY_FS(faulty_);
    begin("eio BAD.BIN");
    const Ran ran = copy("observe");
    EXPECT_EQ(ran.exit, 4);
    EXPECT_THAT(ran.err, HasSubstr("(WOULD SKIP IN FUTURE PHASE)"));
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE copied=0 AND claimed_by IS NULL"), "1\n");
}

}  // namespace
}  // namespace ntt::test
