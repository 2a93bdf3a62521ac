// ntt enum and ntt load: what is listed comes back, and what is doubled, damaged or another's fails nothing or everything.
#include <gmock/gmock.h>

#include <filesystem>

#include "acceptance/ntt.h"
#include "support/images.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kMedium = "00112233445566778899aabbccddeeff", kOther = "ffff2233445566778899aabbccddeeff";
constexpr const char* kRows = "SELECT ino, fs_type, nlink, size, mtime, hex(path) FROM inode JOIN path USING (ino) ORDER BY hex(path)";

class EnumAndLoad : public ::testing::Test {
protected:
    EnumAndLoad() {
        fs::create_directories(dir_ / "tree/sub");
        write_file(dir_ / "tree/a", "aaa");
        write_file(dir_ / "tree/sub/b \x1c\n\xff", "bb");
        fs::create_hard_link(dir_ / "tree/a", dir_ / "tree/sub/hard");
        fs::create_symlink("a", dir_ / "tree/link");
    }
    std::string in(const std::string& name) const { return dir_ / name; }
    TempDir dir_;
    Ntt ntt_;
};

TEST_F(EnumAndLoad, AFolderComesBackAsIngestListsIt) {
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("list")}).exit, 0);
    ASSERT_EQ(ntt_.run({"load", in("list"), kMedium}).exit, 4);
    Ntt direct;
    ASSERT_EQ(direct.run({"ingest", in("tree")}).exit, 0);
    EXPECT_EQ(ntt_.sql(kRows), direct.sql(kRows));
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", kMedium}).exit, 0);
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE status='stored'"), "2\n");
}

TEST_F(EnumAndLoad, AnImageComesBackAndItsVerdictsAreMadeByTheImageThatIsGiven) {
    NTT_NEED_TOOL("mformat");
    make_floppy(in("f.img"), {{"ONE.TXT", "one"}, {"BIG.BIN", chosen_bytes(1, 400'000)}});
    ASSERT_EQ(ntt_.run({"enum", in("f.img"), kMedium, in("list")}).exit, 0);
    const auto place = place_on_floppy(in("f.img"), "BIG.BIN");
    write_file(in("f.img.map"), rescue_map(1'474'560, {{place.at(0).offset + 512, 1024}}, '-'));
    EXPECT_EQ(ntt_.run({"load", in("list"), kMedium, "--image", in("f.img")}).exit, 4);
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", kMedium}).exit, 3);
    EXPECT_EQ(ntt_.sql("SELECT status, cause, missing_bytes FROM inode ORDER BY size"), "stored||0\ndamaged|BAD_SECTOR|1024\n");
}

TEST_F(EnumAndLoad, AnotherMediumAndAnotherImageAreRefused) {
    NTT_NEED_TOOL("mformat");
    make_floppy(in("f.img"), {{"ONE.TXT", "one"}});
    make_floppy(in("g.img"), {{"TWO.TXT", "two"}});
    ASSERT_EQ(ntt_.run({"enum", in("f.img"), kMedium, in("list")}).exit, 0);
    EXPECT_EQ(ntt_.run({"load", in("list"), kOther}).exit, 1);
    const Ran ran = ntt_.run({"load", in("list"), kMedium, "--image", in("g.img")});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.err, HasSubstr("another image"));
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM medium"), "0\n");
}

TEST_F(EnumAndLoad, ARecordIsNeverWrittenOver) {
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("list")}).exit, 0);
    const std::string before = read_file(in("list"));
    EXPECT_EQ(ntt_.run({"enum", in("tree"), kOther, in("list")}).exit, 1);
    EXPECT_EQ(read_file(in("list")), before);
    EXPECT_FALSE(fs::exists(in("list.part")));
}

TEST_F(EnumAndLoad, ALoadNeverReplaces) {
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("before")}).exit, 0);
    ASSERT_EQ(ntt_.run({"load", in("before"), kMedium}).exit, 4);
    const std::string rows = ntt_.sql(kRows);
    EXPECT_EQ(ntt_.run({"load", in("before"), kMedium}).exit, 4);
    EXPECT_EQ(ntt_.sql(kRows), rows) << "twice is once";
    write_file(in("tree/a"), "longer than it was");
    write_file(in("tree/new"), "new");
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("after")}).exit, 0);
    EXPECT_EQ(ntt_.run({"load", in("after"), kMedium}).exit, 4);
    EXPECT_EQ(ntt_.sql("SELECT size FROM inode JOIN path USING (ino) WHERE CAST(path AS TEXT)='a'"), "3\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM path WHERE CAST(path AS TEXT)='new'"), "1\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM finding WHERE code='load_differs'"), "1\n");
}

// Pattern 4: the predecessor's loader failed with "duplicate key".
TEST_F(EnumAndLoad, RawRecordsOfFindAreReadAndDoubledOnesFailNothing) {
    NTT_NEED_TOOL("find");
    must("find " + shell_quoted(in("tree")) + R"( -printf '%y\034%D\034%i\034%n\034%s\034%T@\034%p\0' > raw; cat raw raw > doubled)", dir_.path().string());
    EXPECT_EQ(ntt_.run({"load", in("raw"), kMedium, "--root", in("tree")}).exit, 4);
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", kMedium}).exit, 0);
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE status='stored'"), "2\n");
    Ntt other;
    EXPECT_EQ(other.run({"load", in("doubled"), kMedium, "--root", in("tree")}).exit, 4);
    EXPECT_EQ(other.sql("SELECT count(*), count(DISTINCT path) FROM path"), "10|5\n") << "kept apart";
    EXPECT_EQ(other.sql("SELECT json_extract(problems, '$.duplicate_paths.count') FROM medium"), "5\n");
}

TEST_F(EnumAndLoad, RawRecordsAreWrittenAsFindWritesThem) {
    NTT_NEED_TOOL("find");
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("raw"), "--format", "ntt-raw"}).exit, 0);
    const std::string find = must("find " + shell_quoted(in("tree")) + R"( -mindepth 1 -printf '%y\034%D\034%i\034%n\034%s\034%Ts\034%p\0' | sort -z)");
    const std::string ours = must("sort -z " + shell_quoted(in("raw")));
    EXPECT_EQ(ours, find);
}

TEST_F(EnumAndLoad, ACutFileIsRefusedAndNothingIsLoaded) {
    ASSERT_EQ(ntt_.run({"enum", in("tree"), kMedium, in("list")}).exit, 0);
    const std::string whole = read_file(in("list"));
    write_file(in("cut"), whole.substr(0, whole.size() - 1));
    const Ran ran = ntt_.run({"load", in("cut"), kMedium});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.err, HasSubstr("cut short in record"));
    write_file(in("old"), std::string("100644\x1c" "1\x1c" "2\x1c" "1\x1c" "3\x1c" "0\x1c/mnt/a") + '\0');
    EXPECT_THAT(ntt_.run({"load", in("old"), kMedium}).err, HasSubstr("older format"));
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM medium"), "0\n");
}

}  // namespace
}  // namespace ntt::test
