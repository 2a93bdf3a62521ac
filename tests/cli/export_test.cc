// export: what is made, and that nothing a medium says leads out of the folder.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "os/safe_tree.h"
#include "world.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class Export : public World {
protected:
    // The last line of --json.
    Json run(int exit, const std::vector<std::string>& more = {}) {
        std::vector<std::string> args = {"export", kHash, out(), "--json"};
        args.insert(args.end(), more.begin(), more.end());
        const Ran ran = ntt(args);
        EXPECT_EQ(ran.exit, exit) << ran.out << ran.err;
        lines = ran.lines();
        EXPECT_FALSE(lines.empty());
        return lines.empty() ? Json() : lines.back();
    }
    std::string out() const { return dir / "out"; }
    std::string file(const std::string& path) const { return read_file(out() + "/" + path); }
    // Everything below the test's folder but the home and the export.
    std::vector<std::string> strangers() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(dir.path()))
            if (entry.path().filename() != "home" && entry.path().filename() != "out") found.push_back(entry.path().string());
        return found;
    }
    std::vector<Json> of_type(const std::string& type) const {
        std::vector<Json> found;
        for (const Json& line : lines)
            if (line["type"] == type) found.push_back(line);
        return found;
    }

    std::vector<Json> lines;
};

TEST_F(Export, makes_folders_files_symlinks_and_hard_links_with_their_times) {
    add_medium({{.path = "D", .ino = 1, .fs_type = 'd', .mtime = 500'000'000},
                {.path = "D/A.TXT", .ino = 2, .content = "alpha", .nlink = 2},
                {.path = "D/B.TXT", .ino = 2, .content = "alpha", .nlink = 2},
                {.path = "EMPTY", .ino = 3},
                {.path = "LINK", .ino = 4, .fs_type = 'l', .mtime = 600'000'000, .target = "/etc/passwd"},
                {.path = "D/OLD", .ino = 5, .content = "before 1970", .mtime = -86'400}});
    EXPECT_EQ(run(0), Json::parse(R"({"type":"export","files":4,"bytes":21,"damaged":0,"left_out":0})"));
    EXPECT_EQ(file("D/A.TXT"), "alpha");
    EXPECT_TRUE(fs::exists(out() + "/EMPTY"));
    EXPECT_EQ(fs::hard_link_count(out() + "/D/A.TXT"), 2u);
    EXPECT_TRUE(fs::equivalent(out() + "/D/A.TXT", out() + "/D/B.TXT"));
    EXPECT_EQ(fs::read_symlink(out() + "/LINK"), "/etc/passwd");
    const auto mtime = [&](const std::string& path) {
        struct stat info {};
        EXPECT_EQ(lstat((out() + "/" + path).c_str(), &info), 0);
        return info.st_mtime;
    };
    EXPECT_EQ(mtime("D/A.TXT"), 894'000'000);
    EXPECT_EQ(mtime("D"), 500'000'000);
    EXPECT_EQ(mtime("LINK"), 600'000'000);
    EXPECT_EQ(mtime("D/OLD"), -86'400);
}

TEST_F(Export, hostile_names_make_nothing_outside_and_none_is_dropped_in_silence) {
    const std::vector<std::string> hostile = {"../x",
                                              "/etc/ntt-was-here",
                                              "a/../../b",
                                              "..",
                                              ".",
                                              "a//b",
                                              "a/./b",
                                              "",
                                              "a/",
                                              std::string("nul\0byte", 8),
                                              std::string(256, 'n'),
                                              dir / "absolute"};
    std::vector<FileSpec> files;
    for (const std::string& path : hostile)
        files.push_back({.path = path, .ino = static_cast<int64_t>(files.size()) + 1, .content = "evil"});
    files.push_back({.path = "good", .ino = 100, .content = "good"});
    add_medium(files);
    const Json summary = run(1);
    EXPECT_EQ(summary["left_out"], hostile.size());
    EXPECT_EQ(of_type("left_out").size(), hostile.size());
    EXPECT_EQ(summary["files"], 1);
    EXPECT_EQ(file("good"), "good");
    EXPECT_TRUE(strangers().empty());
    EXPECT_FALSE(fs::exists("/etc/ntt-was-here"));
}

TEST_F(Export, odd_but_harmless_names_are_made_byte_for_byte) {
    const std::vector<std::string> odd = {"new\nline",           "tab\there", "NI\xA5O.DOC", "a\\b", "\x1C",
                                          std::string(255, 'x'), "-rf",       "...",         " "};
    std::vector<FileSpec> files;
    for (const std::string& path : odd)
        files.push_back({.path = path, .ino = static_cast<int64_t>(files.size()) + 1, .content = path});
    add_medium(files);
    EXPECT_EQ(run(0)["files"], odd.size());
    for (const std::string& path : odd) EXPECT_EQ(file(path), path);
}

TEST_F(Export, a_symlink_of_the_medium_never_stands_in_the_way_of_its_files) {
    fs::create_directory(dir / "target");
    add_medium({{.path = "a", .ino = 1, .fs_type = 'l', .target = dir / "target"},
                {.path = "a/b", .ino = 2, .content = "b"},
                {.path = "a/c", .ino = 3, .fs_type = 'd'}});
    run(0);
    EXPECT_TRUE(fs::is_empty(dir / "target"));
    EXPECT_EQ(file("a/b"), "b");
    EXPECT_EQ(fs::read_symlink(out() + "/a~2"), fs::path(dir / "target"));
}

TEST_F(Export, doubled_names_get_a_number_and_are_reported) {
    const std::string longest(255, 'y');
    add_medium({{.path = "A", .ino = 1, .content = "one"},
                {.path = "A", .ino = 2, .content = "two"},
                {.path = "A", .ino = 3, .content = "three"},
                {.path = "A~2", .ino = 4, .content = "was called so"},
                {.path = longest, .ino = 5, .content = "l1"},
                {.path = longest, .ino = 6, .content = "l2"}});
    EXPECT_EQ(run(0)["files"], 6);
    EXPECT_EQ(file("A"), "one");
    EXPECT_EQ(file("A~2"), "two");
    EXPECT_EQ(file("A~3"), "three");
    EXPECT_EQ(file("A~2~2"), "was called so");
    EXPECT_EQ(file(longest.substr(2) + "~2"), "l2");
    const auto renamed = of_type("renamed");
    ASSERT_EQ(renamed.size(), 4u);
    EXPECT_EQ(renamed[0]["written_as"], "A~2");
    EXPECT_EQ(renamed[0]["ino"], 2);
}

TEST_F(Export, a_file_gives_way_to_a_folder_of_its_name) {
    add_medium({{.path = "X", .ino = 1, .content = "file"},
                {.path = "X", .ino = 2, .fs_type = 'd'},
                {.path = "X/IN", .ino = 3, .content = "inside"}});
    EXPECT_EQ(run(0)["files"], 2);
    EXPECT_EQ(file("X/IN"), "inside");
    EXPECT_EQ(file("X~2"), "file");
}

class ExportDamaged : public Export {
protected:
    void SetUp() override {
        add_medium({{.path = "GOOD", .ino = 1, .content = "good"},
                    {.path = "damaged", .ino = 2, .fs_type = 'd'},
                    {.path = "damaged/LIST.tsv", .ino = 3, .content = "the medium's own"},
                    {.path = "HURT\tTAB",
                     .ino = 4,
                     .content = hurt_,
                     .missing = {missing(4, 4, 512, Cause::BAD_SECTOR), missing(20, 2, 1024, Cause::NOT_TRIED)}},
                    {.path = "LIST.tsv", .ino = 5, .content = hurt_, .missing = {missing(4, 4, 512, Cause::BAD_SECTOR)}},
                    {.path = "GONE",
                     .ino = 6,
                     .content = "....",
                     .missing = {missing(0, 4, 2048, Cause::BAD_SECTOR)},
                     .salvaged = false},
                    {.path = "LATER", .ino = 7, .content = "later", .copied = false},
                    {.path = "fifo", .ino = 8, .fs_type = 'p'},
                    {.path = "x.sys", .ino = 9, .content = "x", .exclude_reason = "pattern"}});
    }
    std::string hurt_ = "abcd" + std::string(4, '\0') + "0123456789ab" + std::string(2, '\0');
};

TEST_F(ExportDamaged, without_the_option_only_whole_files_are_written) {
    const Json summary = run(3);
    EXPECT_EQ(summary, Json::parse(R"({"type":"export","files":2,"bytes":20,"damaged":3,"left_out":6})"));
    EXPECT_EQ(file("damaged/LIST.tsv"), "the medium's own");
    EXPECT_FALSE(fs::exists(out() + "/LIST.tsv"));
    EXPECT_EQ(of_type("left_out").size(), 6u);
}

TEST_F(ExportDamaged, with_the_option_salvaged_files_stand_apart_with_a_list) {
    const Json summary = run(3, {"--damaged"});
    EXPECT_EQ(summary["files"], 4);
    EXPECT_EQ(summary["damaged"], 3);
    EXPECT_EQ(summary["left_out"], 4);
    EXPECT_EQ(file("damaged/HURT\tTAB"), hurt_);
    EXPECT_EQ(file("damaged/LIST.tsv~2"), hurt_);
    EXPECT_EQ(file("damaged~2/LIST.tsv"), "the medium's own");
    EXPECT_EQ(file("damaged/LIST.tsv"),
              "path\tcause\tmissing\twritten_as\n"
              "HURT\\x09TAB\tNOT_TRIED\t4+4,20+2\tdamaged/HURT\\x09TAB\n"
              "LIST.tsv\tBAD_SECTOR\t4+4\tdamaged/LIST.tsv~2\n"
              "GONE\tBAD_SECTOR\t0+4\t\n");
}

TEST_F(Export, pending_files_leave_work_and_a_lost_content_is_damage_of_the_store) {
    add_medium({{.path = "A", .ino = 1, .content = "a"}, {.path = "B", .ino = 2, .content = "b", .copied = false}});
    run(4);
    fs::remove_all(out());
    fs::remove(blob_path("a"));
    run(5);
    EXPECT_TRUE(fs::is_empty(out()));
}

TEST_F(Export, a_flipped_content_is_not_left_in_the_folder) {
    add_medium({{.path = "A", .ino = 1, .content = "content"}});
    fs::permissions(blob_path("content"), fs::perms::owner_all);
    patch_file(blob_path("content"), 3, "!");
    run(5);
    EXPECT_TRUE(fs::is_empty(out()));
}

TEST_F(Export, a_folder_that_has_something_in_it_is_refused) {
    add_medium({{.path = "A", .ino = 1, .content = "a"}});
    fs::create_directory(out());
    EXPECT_EQ(ntt({"export", kHash, out()}).exit, 0);
    const Ran again = ntt({"export", kHash, out()});
    EXPECT_EQ(again.exit, 1);
    EXPECT_THAT(again.err, HasSubstr("not empty"));
    EXPECT_EQ(file("A"), "a");
}

TEST_F(Export, each_volume_is_a_folder_when_there_are_several) {
    add_medium({{.path = "A", .ino = 1, .content = "one"}, {.path = "A", .ino = 1, .content = "two", .volume = 2}});
    run(0);
    EXPECT_EQ(file("p1/A"), "one");
    EXPECT_EQ(file("p2/A"), "two");
}

TEST_F(Export, long_runs_of_zeros_come_out_right) {
    const std::string content = std::string(3 << 20, '\0') + "middle" + std::string(2 << 20, '\0');
    add_medium({{.path = "Z", .ino = 1, .content = content}});
    run(0);
    EXPECT_EQ(file("Z"), content);
}

// --- the folder by itself ---

TEST(SafeTreeTest, a_symlink_that_somebody_puts_in_the_way_is_not_followed) {
    const TempDir dir;
    fs::create_directory(dir / "elsewhere");
    ASSERT_OK_ASSIGN(SafeTree tree, SafeTree::create(Env::host(), dir / "out"));
    fs::create_directory_symlink(dir / "elsewhere", dir / "out/a");
    EXPECT_FALSE(tree.make_file("a/b").ok());
    EXPECT_FALSE(tree.make_dir("a").ok());
    EXPECT_FALSE(tree.make_dir("a/b").ok());
    EXPECT_FALSE(tree.make_symlink("x", "a/b").ok());
    EXPECT_FALSE(tree.set_times("a/b", {}).ok());
    EXPECT_FALSE(tree.remove_file("a/b").ok());
    ASSERT_OK_ASSIGN(const auto beside, tree.make_file("a"));
    EXPECT_EQ(beside.path, "a~2");
    EXPECT_TRUE(fs::is_empty(dir / "elsewhere"));
}

TEST(SafeTreeTest, parts_are_checked_for_every_path) {
    for (const std::string_view bad : {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"})
        EXPECT_FALSE(safe_parts(bad).ok()) << bad;
    EXPECT_FALSE(safe_parts(std::string_view("a\0b", 3)).ok());
    EXPECT_FALSE(safe_parts(std::string(256, 'x')).ok());
    EXPECT_TRUE(safe_parts(std::string(255, 'x')).ok());
    ASSERT_OK_ASSIGN(const auto parts, safe_parts("a/...b/c "));
    EXPECT_THAT(parts, ::testing::ElementsAre("a", "...b", "c "));
    std::string deep = "d";
    for (size_t i = 1; i < kMaxDepth; ++i) deep += "/d";
    EXPECT_TRUE(safe_parts(deep).ok());
    EXPECT_FALSE(safe_parts(deep + "/d").ok());
}

TEST(SafeTreeTest, very_deep_folders_need_few_open_files) {
    const TempDir dir;
    ASSERT_OK_ASSIGN(SafeTree tree, SafeTree::create(Env::host(), dir / "out"));
    std::string deep = "d";
    for (int i = 1; i < 1200; ++i) deep += "/d";
    EXPECT_TRUE(tree.make_dir(deep).ok());
    EXPECT_TRUE(tree.make_file(deep + "/f").ok());
}

}  // namespace
}  // namespace ntt::test
