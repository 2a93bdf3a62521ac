// UFS1 and UFS2 as makefs writes them, sound and damaged.
#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

TEST(Ufs, BothVersionsInBothByteOrdersAreRead) {
    NTT_NEED_TOOL("makefs");
    TempDir dir;
    make_tree(dir);
    for (const char* version : {"1", "2"}) {
        for (const char* order : {"le", "be"}) {
            for (const char* sizes : {"bsize=8192,fsize=1024", "bsize=16384,fsize=2048", "bsize=4096,fsize=4096"}) {
                SCOPED_TRACE(std::string(version) + order + sizes);
                must(std::string("makefs -t ffs -B ") + order + " -s 8m -o version=" + version + "," + sizes + " i t",
                     dir.path().string());
                const auto list = list_file(dir / "i");
                EXPECT_EQ(list->volume.view, std::string("ufs") + version);
                EXPECT_EQ(list->names.size(), 7u);
                expect_tree(dir, *list);
                EXPECT_TRUE(list->findings.findings.empty());
            }
        }
    }
}

TEST(Ufs, ARootFolderThatCannotBeReadIsNotSilent) {
    NTT_NEED_TOOL("makefs");
    TempDir dir;
    make_tree(dir);
    must("makefs -t ffs -s 8m -o version=1 i t", dir.path().string());
    std::string image = read_file(dir / "i");
    // The folder's first block begins with "." and "..".
    const size_t at = image.find(std::string("\2\0\0\0\x0c\0\4\1.\0\0\0\2\0\0\0", 16));
    ASSERT_NE(at, std::string::npos);
    image.replace(at, 512, std::string(512, '\0'));
    const auto list = list_bytes(image);
    EXPECT_TRUE(list->findings.has("directory_unreadable"));
    EXPECT_NE(list->evidence("directory_unreadable").find("\"image_offset\":" + std::to_string(at)), std::string::npos);
    // What the root named comes out by number, and what stands below a folder keeps its name there.
    std::vector<std::string> contents;
    bool medium = false;
    for (const auto& [path, ino] : list->names) {
        EXPECT_TRUE(path.starts_with("$lost/ino-")) << path;
        if (list->inodes.at(ino).fs_type == 'f') contents.push_back(list->content(list->inodes.at(ino)));
        medium = medium || path.ends_with("/medium");
    }
    EXPECT_TRUE(medium);
    for (const char* name : {"t/small", "t/sub/medium", "t/sub/deep/large"})
        EXPECT_EQ(std::count(contents.begin(), contents.end(), read_file(dir / name)), 1) << name;
}

class DamagedUfs : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("makefs");
        make_tree(dir_);
        must(std::string("makefs -t ffs -s 8m -o version=") + GetParam() + ",bsize=8192,fsize=1024 i t", dir_.path().string());
        image_ = read_file(dir_ / "i");
    }
    // Where two addresses stand beside each other that lead to blocks `block` and `block + 1` of a file: in its inode, or in an
    // indirect block of it. Found by the contents; no tool here reads UFS2 of makefs.
    size_t place_of_addresses(const std::string& path, size_t block) {
        const std::string content = read_file(dir_ / ("t/" + path));
        std::string addresses;
        for (size_t i = block; i < block + 2; ++i) {
            const size_t address = image_.find(content.substr(i * 8192, 64)) / 1024, width = GetParam() == std::string("1") ? 4 : 8;
            for (size_t k = 0; k < width; ++k) addresses += static_cast<char>(k < 4 ? address >> (8 * k) : 0);
        }
        const size_t at = image_.find(addresses);
        EXPECT_NE(at, std::string::npos);
        return at;
    }
    TempDir dir_;
    std::string image_;
};
INSTANTIATE_TEST_SUITE_P(All, DamagedUfs, testing::Values("1", "2"), [](const auto& suite) { return std::string("ufs") + suite.param; });

TEST_P(DamagedUfs, AnIndirectBlockOfZerosIsNotAHole) {
    const size_t indirect = place_of_addresses("sub/deep/large", 12);
    EXPECT_TRUE(list_bytes(image_)->at("sub/deep/large").faults.empty());
    image_.replace(indirect, 8192, std::string(8192, '\0'));
    const auto list = list_bytes(image_);
    ASSERT_FALSE(list->at("sub/deep/large").faults.empty());
    EXPECT_EQ(list->at("sub/deep/large").faults[0].cause, Cause::FS_CORRUPT);
    EXPECT_EQ(list->at("sub/deep/large").faults[0].file_offset, 12u * 8192);
}

TEST_P(DamagedUfs, AnIndirectBlockThatWasNotReadIsNotBelieved) {
    const size_t indirect = place_of_addresses("sub/deep/large", 12);
    const auto list = list_with_unread(image_, {{indirect, 512}});
    const InodeEntry& inode = list->at("sub/deep/large");
    ASSERT_FALSE(inode.faults.empty());
    EXPECT_EQ(inode.faults[0].cause, Cause::BAD_SECTOR);
    // Addresses in the sectors that were read are good.
    const uint64_t hidden = 512u / (GetParam() == std::string("1") ? 4 : 8) * 8192;
    EXPECT_EQ(inode.faults[0].length, std::min(hidden, inode.size - 12u * 8192));
}

TEST_P(DamagedUfs, InodesOnUnreadSectorsAreNotBelieved) {
    const size_t at = place_of_addresses("sub/medium", 0);
    const auto list = list_with_unread(image_, {{at / 512 * 512, 512}});
    EXPECT_FALSE(list->has("sub/medium"));
    EXPECT_NE(list->evidence("inode_unreadable").find("BAD_SECTOR"), std::string::npos);
}

// The superblock of another filesystem stands on the unread sectors: with blocks of another size every longer file would be wrong.
TEST_P(DamagedUfs, ASuperblockThatWasNotReadIsTakenFromItsCopy) {
    const auto sound = list_bytes(image_);
    std::string stale = image_;
    stale[8192 + 49] = '\x40';  // fs_bsize: 16384 in place of 8192
    const auto list = list_with_unread(stale, {{8192, 1536}});
    EXPECT_EQ(list->paths(), sound->paths());
    for (const char* name : {"small", "sub/medium", "sub/deep/large"}) EXPECT_EQ(list->content(name), read_file(dir_ / ("t/" + std::string(name)))) << name;
    EXPECT_FALSE(list->evidence("superblock_on_missing_sectors").empty());
}

TEST_P(DamagedUfs, ASuperblockThatWasNotReadIsNotBelievedWithoutItsCopy) {
    const auto source = memory_image(image_);
    FindingList findings;
    ReaderOptions options;
    options.unread = std::make_shared<const std::vector<UnreadRange>>(std::vector<UnreadRange>{{{8192, size_t{1} << 20}, Cause::BAD_SECTOR}});
    Volume volume;
    volume.number = 1;
    volume.view = GetParam() == std::string("1") ? "ufs1" : "ufs2";
    volume.fs_type = "ufs";
    volume.size_bytes = image_.size();
    volume.readable = true;
    const auto opened = open_reader(*source, volume, options, findings);
    EXPECT_FALSE(opened.ok());
}

}  // namespace
}  // namespace ntt::test
