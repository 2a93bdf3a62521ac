// The promises of fs_reader.h, one broken at a time; hostile_reader_test.cc sends the same lies through a whole run.
#include "fs/isolated/entry_checker.h"

#include <gtest/gtest.h>

namespace ntt {
namespace {

InodeEntry file(int64_t ino, uint64_t size, std::vector<Extent> extents, std::vector<ContentFault> faults = {}) {
    InodeEntry inode;
    inode.ino = ino;
    inode.size = size;
    inode.access = ContentAccess::extents;
    inode.extents = std::move(extents);
    inode.faults = std::move(faults);
    return inode;
}

bool accepted(const InodeEntry& inode) { return !EntryChecker().check(inode); }

TEST(FlatJson, may_hold_anything_but_depth_without_end) {
    EXPECT_TRUE(is_flat_json(R"({"a":[{"b":"]]]}}}[[["}],"c\"[":1})"));
    EXPECT_TRUE(is_flat_json(std::string(32, '[') + std::string(32, ']')));
    EXPECT_FALSE(is_flat_json(std::string(33, '[') + std::string(33, ']')));
    EXPECT_TRUE(is_flat_json('"' + std::string(1000, '[') + '"'));
    EXPECT_FALSE(is_flat_json("{"));
    EXPECT_FALSE(is_flat_json(""));
    EXPECT_FALSE(is_flat_json("\"abc\"", 4));
}

TEST(EntryChecker, takes_what_covers_the_content_with_extents_and_faults) {
    EXPECT_TRUE(accepted(file(1, 0, {})));
    EXPECT_TRUE(accepted(file(1, 100, {{0, 512, 100, ExtentKind::data}})));
    EXPECT_TRUE(accepted(file(1, 100, {{0, 512, 40, ExtentKind::data}, {60, 0, 40, ExtentKind::hole}}, {{Cause::CHECKSUM, 40, 20, "{}"}})));
    EXPECT_TRUE(accepted(file(1, 100, {{50, 512, 50, ExtentKind::data}}, {{Cause::CHECKSUM, 0, 30, "{}"}, {Cause::FS_CORRUPT, 20, 40, "{}"}})));
    EXPECT_TRUE(accepted(file(1, 100, {}, {{Cause::CHECKSUM, 0, 100, "{}"}})));
    EXPECT_TRUE(accepted(file(1, 100, {{0, 4096, 1024, ExtentKind::opaque}, {0, 512, 100, ExtentKind::data}})));
}

TEST(EntryChecker, refuses_bytes_under_nothing_wherever_they_are) {
    EXPECT_FALSE(accepted(file(1, 100, {})));
    EXPECT_FALSE(accepted(file(1, 100, {{1, 512, 99, ExtentKind::data}})));
    EXPECT_FALSE(accepted(file(1, 100, {{0, 512, 99, ExtentKind::data}})));
    EXPECT_FALSE(accepted(file(1, 100, {{0, 512, 40, ExtentKind::data}, {41, 600, 59, ExtentKind::data}})));
    EXPECT_FALSE(accepted(file(1, 100, {{0, 512, 40, ExtentKind::data}}, {{Cause::CHECKSUM, 50, 50, "{}"}})));
}

TEST(EntryChecker, refuses_a_path_that_leaves_its_folder_or_an_inode_that_was_not_there) {
    EntryChecker checker;
    ASSERT_FALSE(checker.check(file(1, 0, {})));
    for (const char* path : {"a", "a/b/c", "...", "a/..b", " ", "\xFF\xFE", "C:\\x"}) EXPECT_FALSE(checker.check(NameEntry{path, "", 1})) << path;
    for (const char* path : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "./a"}) EXPECT_TRUE(checker.check(NameEntry{path, "", 1})) << path;
    EXPECT_TRUE(checker.check(NameEntry{"a", "", 2}));
    EXPECT_TRUE(checker.check(file(1, 0, {}))) << "the same inode again";
}

}  // namespace
}  // namespace ntt
