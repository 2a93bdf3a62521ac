// A folder as a source: what it is called, what is recorded of it, what a second listing does.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "acceptance/ntt.h"
#include "ingest/folder.h"
#include "os/mount_table.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Folder : public ::testing::Test {
protected:
    Ran ingest(std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"ingest", dir_.path().string(), "--name", "folder"});
        return ntt_.run(more);
    }
    TempDir dir_;
    Ntt ntt_;
};

TEST_F(Folder, ASparseFileIsNoDenseOneInTheStore) {
    const int64_t size = int64_t{256} << 20;
    std::string middle(100'000, 'm');
    {
        std::ofstream file(dir_ / "disk.raw", std::ios::binary);
        file.seekp(128 << 20);
        file << middle;
    }
    fs::resize_file(dir_ / "disk.raw", static_cast<uintmax_t>(size));
    ASSERT_EQ(ingest().exit, 0);
    const std::string blob = ntt_.json({"files", "folder", "--path", "disk.raw"}).object("file")["blobid"];
    struct stat status {};
    ASSERT_EQ(::stat(ntt_.blob_path(blob).c_str(), &status), 0);
    EXPECT_EQ(status.st_size, size);
    EXPECT_LT(status.st_blocks * 512, int64_t{2} << 20);
    EXPECT_EQ(must("cmp " + shell_quoted(dir_ / "disk.raw") + " " + shell_quoted(ntt_.blob_path(blob))), "");
}

// find(1) is the oracle for names and what stat(2) says of them.
TEST_F(Folder, RecordsWhatFindDoesAndMore) {
    NTT_NEED_TOOL("find");
    fs::create_directories(dir_ / "sub/deep");
    write_file(dir_ / "a.txt", "hello");
    write_file(dir_ / "empty", "");
    fs::create_hard_link(dir_ / "a.txt", dir_ / "sub/hard");
    fs::create_symlink("../../etc/passwd", dir_ / "sub/link");
    ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
    const std::string hostile = "\x01 \xff\n\\ \x1c*";
    write_file(dir_.path().string() + "/sub/deep/" + hostile, "hostile");
    EXPECT_EQ(ingest().exit, 0);

    const std::string find = must("find " + shell_quoted(dir_.path().string()) + R"( -mindepth 1 -printf '%y|%i|%n|%s|%P\0')");
    std::set<std::string> expected;
    for (size_t at = 0; at < find.size();) {
        const size_t end = find.find('\0', at);
        std::string record = find.substr(at, end - at);
        const size_t path = record.rfind('|') + 1;
        expected.insert(record.substr(0, path) + to_hex(as_bytes(record.substr(path))));
        at = end + 1;
    }
    std::set<std::string> listed;
    std::string rows = ntt_.sql("SELECT fs_type, ino, nlink, size, lower(hex(path)) FROM inode JOIN path USING (ino)");
    for (size_t at = 0; at < rows.size(); at = rows.find('\n', at) + 1) listed.insert(rows.substr(at, rows.find('\n', at) - at));
    EXPECT_EQ(listed, expected);
    EXPECT_EQ(ntt_.sql("SELECT CAST(target AS TEXT) FROM inode WHERE fs_type='l'"), "../../etc/passwd\n");
    EXPECT_EQ(ntt_.sql("SELECT count(DISTINCT dev) FROM inode"), "1\n");
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE fs_type='f' AND status='stored'"), "3\n") << "a hard link is one inode";
}

TEST_F(Folder, ASecondListingAddsWhatIsNewAndChangedAndTakesNothingAway) {
    write_file(dir_ / "same", "same");
    write_file(dir_ / "grows", "a");
    write_file(dir_ / "goes", "goes");
    EXPECT_EQ(ingest().exit, 0);
    write_file(dir_ / "grows", "ab");
    write_file(dir_ / "new", "new");
    fs::remove(dir_ / "goes");
    const Json summary = ntt_.json({"ingest", dir_.path().string()}).object("summary");
    EXPECT_EQ(summary["exit"], 0);
    EXPECT_EQ(summary["totals"]["inodes"], 5) << "the earlier content of what grew stays a record of its own";
    EXPECT_EQ(summary["totals"]["stored"], 5);
    EXPECT_EQ(summary["blobs"]["new"], 2);
    EXPECT_EQ(ntt_.json({"media"}).objects().size(), 1u) << "the same folder is the same medium";
    EXPECT_EQ(ntt_.json({"ingest", dir_.path().string()}).object("summary")["blobs"]["new"], 0);
}

TEST_F(Folder, AFileThatChangesAfterItsListingWaitsForAnother) {
    write_file(dir_ / "changes", "a");
    EXPECT_EQ(ingest({"--enumerate-only"}).exit, 4);
    write_file(dir_ / "changes", "abc");
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", "folder"}).exit, 4);
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM finding WHERE code='changed_since_listed'"), "1\n");
    EXPECT_EQ(ntt_.sql("SELECT coalesce(json_array_length(errors), 0) FROM inode"), "0\n") << "no failure of its own";
    EXPECT_EQ(ingest().exit, 0);
}

// An inode's number is given to another file: the record of the first stays, and the second is read.
TEST_F(Folder, ANumberThatIsUsedAgainIsAnotherFile) {
    write_file(dir_ / "thesis.txt", "old content of thesis");
    EXPECT_EQ(ingest().exit, 0);
    const std::string before = ntt_.sql("SELECT ino, blobid FROM inode");
    struct stat old {};
    ASSERT_EQ(::stat((dir_ / "thesis.txt").c_str(), &old), 0);
    write_file(dir_ / "thesis.txt", "shopping");  // the same number, whatever the filesystem does with those of removed files
    fs::rename(dir_ / "thesis.txt", dir_ / "shopping.txt");
    EXPECT_EQ(ingest().exit, 0);
    EXPECT_EQ(ntt_.sql("SELECT ino, blobid FROM inode WHERE ino=" + std::to_string(old.st_ino)), before);
    EXPECT_EQ(ntt_.sql("SELECT count(*), count(DISTINCT blobid) FROM inode WHERE status='stored'"), "2|2\n");
    EXPECT_EQ(ntt_.sql("SELECT CAST(path AS TEXT) FROM path WHERE ino > 4611686018427387904"), "shopping.txt\n");
}

TEST_F(Folder, WhatIsGoneDoesNotStopWhatIsThere) {
    for (int i = 0; i < 60; ++i) write_file(dir_ / ("f" + std::to_string(100 + i)), chosen_bytes(static_cast<uint32_t>(i), 50));
    EXPECT_EQ(ingest({"--enumerate-only"}).exit, 4);
    for (int i = 0; i < 15; ++i) fs::remove(dir_ / ("f" + std::to_string(100 + i)));
    TempDir config;
    write_file(config / "ntt.toml", "retry_wait_ms = 1\nretry_wait_max_ms = 2\n");
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", "folder", "--config", config / "ntt.toml"}).exit, 3);
    EXPECT_EQ(ntt_.sql("SELECT status, cause, count(*) FROM inode GROUP BY 1, 2"), "stored||45\nunreadable|MISSING_FILE|15\n");
}

TEST_F(Folder, AnyNameOfAFileWillDo) {
    write_file(dir_ / "a", "linked");
    fs::create_hard_link(dir_ / "a", dir_ / "b");
    EXPECT_EQ(ingest({"--enumerate-only"}).exit, 4);
    fs::remove(dir_ / "a");
    EXPECT_EQ(ntt_.run({"copy", "--medium-hash", "folder"}).exit, 0);
}

TEST_F(Folder, AnInterruptedFileIsNotStored) {
    const std::string big = (dir_ / "big").c_str();
    write_file(big, "begins");
    fs::resize_file(big, uint64_t{3} << 30);
    CancelToken& cancel = ntt_.cancel;
    std::thread later([&cancel] {
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        cancel.cancel();
    });
    EXPECT_EQ(ingest().exit, 130);
    later.join();
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode WHERE copied"), "0\n");
}

TEST_F(Folder, TheStoreIsNotTakenIn) {
    write_file(dir_ / "a", "a");
    EXPECT_EQ(ntt_.run({"ingest", dir_.path().string(), "--store", dir_ / "store"}).exit, 1);
}

TEST_F(Folder, PatternsMarkAndNeverDrop) {
    fs::create_directories(dir_ / "cache");
    write_file(dir_ / "cache/junk", "junk");
    write_file(dir_ / "keep", "keep");
    TempDir patterns;
    write_file(patterns / "p", "cache/\n");
    EXPECT_EQ(ingest({"--exclude-from", patterns / "p"}).exit, 0);
    EXPECT_EQ(ntt_.sql("SELECT status, count(*) FROM inode WHERE fs_type='f' GROUP BY 1"), "excluded|1\nstored|1\n");
}

TEST_F(Folder, NothingIsFollowedOutOfIt) {
    TempDir outside;
    write_file(outside / "secret", "secret");
    fs::create_directory_symlink(outside.path(), dir_ / "way_out");
    write_file(dir_ / "inside", "inside");
    EXPECT_EQ(ingest().exit, 0);
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM path"), "2\n");
    // A folder that becomes a way out between listing and copying.
    fs::create_directories(dir_ / "sub");
    write_file(dir_ / "sub/secret", "inside");
    EXPECT_EQ(ingest({"--enumerate-only"}).exit, 4);
    fs::remove_all(dir_ / "sub");
    fs::create_directory_symlink(outside.path(), dir_ / "sub");
    ntt_.run({"copy", "--medium-hash", "folder", "--max-attempts", "1"});
    EXPECT_EQ(ntt_.sql("SELECT count(*) FROM inode JOIN path USING (ino) WHERE CAST(path AS TEXT)='sub/secret' AND status='stored'"), "0\n");
}

TEST(FolderIdentity, IsThePlaceInsideTheFilesystemAndNotTheMountPoint) {
    const MountEntry disk{30, 8, 1, "/", "/mnt/disk", "ext4", "/dev/sda1"}, bound{31, 8, 1, "/photos", "/home/me/photos", "ext4", "/dev/sda1"},
        root{1, 8, 2, "/", "/", "ext4", "/dev/sda2"};
    EXPECT_EQ(path_inside(disk, "/mnt/disk/photos/1999"), "/photos/1999");
    EXPECT_EQ(path_inside(bound, "/home/me/photos/1999"), "/photos/1999");
    EXPECT_EQ(path_inside(disk, "/mnt/disk"), "/");
    EXPECT_EQ(path_inside(bound, "/home/me/photos"), "/photos");
    EXPECT_EQ(path_inside(root, "/etc"), "/etc");
    EXPECT_EQ(path_inside(root, "/"), "/");
    EXPECT_NE(folder_identity("m", "uuid:1", "/a"), folder_identity("m", "uuid:2", "/a")) << "another stick at the same mount point";
    EXPECT_NE(folder_identity("ab", "c", "/"), folder_identity("a", "bc", "/"));
    EXPECT_EQ(folder_identity("m", "u", "/a").substr(0, 14), std::string("ntt-directory\0", 14));
}

TEST(MountTable, IsReadAsTheKernelWritesIt) {
    const auto table = parse_mount_table(
        "36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
        "no line\n"
        "40 36 0:45 / /mnt/ntt/f958 ro,nosuid - fuse.fusefat fusefat\\134x ro\n");
    ASSERT_EQ(table.size(), 2u);
    EXPECT_EQ(table[0].id, 36u);
    EXPECT_EQ(table[0].root, "/mnt1");
    EXPECT_EQ(table[0].mount_point, "/mnt two");
    EXPECT_EQ(table[0].source, "/dev/root");
    EXPECT_EQ(table[1].fs_type, "fuse.fusefat");
    EXPECT_EQ(table[1].source, "fusefat\\x");
    EXPECT_EQ(table[1].minor, 45u);
}

TEST(MountTable, OfThisMachineHasTheRoot) {
    ASSERT_OK_ASSIGN(const auto table, read_mount_table());
    EXPECT_TRUE(std::any_of(table.begin(), table.end(), [](const MountEntry& entry) { return entry.mount_point == "/"; }));
}

}  // namespace
}  // namespace ntt::test
