// ext4's metadata checksums: every structure that mke2fs and e2fsck write passes, and a byte changed in one is found out.
#include <sstream>

#include "fs/reader_listing.h"
#include "fs/unix/ext_checksums.h"

namespace ntt::test {
namespace {

TEST(ExtChecksums, AreTheKnownOnes) {
    EXPECT_EQ(crc32c(~0u, as_bytes("123456789")), ~0xE3069283u);  // the check value of CRC-32C, before its final inversion
    EXPECT_EQ(crc32c(crc32c(~0u, as_bytes("12345")), as_bytes("6789")), ~0xE3069283u);
    EXPECT_EQ(crc16(0, as_bytes("123456789")), 0xBB3D);  // CRC-16/ARC
}

struct Case {
    const char* name;
    const char* options;
};

// dir/i with t/: a folder of 300 files, in pieces so small that it needs extent nodes, and a file in pieces.
class ExtFeatures : public testing::TestWithParam<Case> {
protected:
    void SetUp() override {
        must("mkdir -p t/many && cd t/many && for i in $(seq 300); do echo $i > a_file_with_a_longish_name_$i; done", dir_.path().string());
        write_file(dir_ / "t/plain", chosen_bytes(1, 40'000));
        make_pieces(dir_ / "t/pieces", 150);
        must(std::string("mke2fs -q -F -t ext4 ") + GetParam().options + " -d t i 24M", dir_.path().string());
    }
    TempDir dir_;
};
INSTANTIATE_TEST_SUITE_P(All, ExtFeatures,
                         testing::Values(Case{"default", "-b 1024"}, Case{"blocks_of_4k", "-b 4096"}, Case{"meta_bg", "-b 1024 -g 1024 -O meta_bg,^resize_inode"},
                                         Case{"no_64bit", "-b 1024 -O ^64bit"}, Case{"checksum_seed", "-b 1024 -O metadata_csum_seed"},
                                         Case{"inodes_of_128", "-b 1024 -I 128"}, Case{"group_checksums_only", "-b 1024 -O ^metadata_csum,uninit_bg"},
                                         Case{"bigalloc", "-b 1024 -O bigalloc -C 16384"}, Case{"inline_data", "-b 1024 -O inline_data"},
                                         Case{"sparse_super2", "-b 1024 -O sparse_super2,^resize_inode"}, Case{"orphan_file", "-b 1024 -O orphan_file"},
                                         Case{"no_flex_bg", "-b 1024 -O ^flex_bg"}, Case{"casefold", "-b 1024 -O casefold"}),
                         [](const auto& suite) { return std::string(suite.param.name); });

void expect_all(const TempDir& dir, const Listing& list) {
    for (int i = 1; i <= 300; ++i)
        EXPECT_EQ(list.content("many/a_file_with_a_longish_name_" + std::to_string(i)), std::to_string(i) + "\n");
    EXPECT_EQ(list.content("plain"), read_file(dir / "t/plain"));
    EXPECT_EQ(list.content("pieces"), read_file(dir / "t/pieces"));
    for (const Finding& finding : list.findings.findings) ADD_FAILURE() << finding.code << ' ' << finding.evidence;
}

TEST_P(ExtFeatures, ASoundFilesystemPassesEveryCheck) {
    expect_all(dir_, *list_file(dir_ / "i"));
}

TEST_P(ExtFeatures, AnIndexMadeByE2fsckPassesToo) {
    const CommandResult fsck = sh("e2fsck -fyD i", dir_.path().string());
    ASSERT_LE(fsck.exit, 1) << fsck.out << fsck.err;
    expect_all(dir_, *list_file(dir_ / "i"));
}

// --- damage ---

std::vector<uint64_t> numbers(const std::string& text) {
    std::istringstream in(text);
    std::vector<uint64_t> out;
    for (uint64_t n; in >> n;) out.push_back(n);
    return out;
}

class DamagedExt4 : public testing::Test {
protected:
    void SetUp() override {
        must("mkdir -p t/many && cd t/many && for i in $(seq 200); do echo $i > a_file_with_a_longish_name_$i; done", dir_.path().string());
        write_file(dir_ / "t/plain", chosen_bytes(1, 40'000));
        write_file(dir_ / "t/other", chosen_bytes(2, 40'000));
        make_pieces(dir_ / "t/pieces", 500);
        must("mke2fs -q -F -t ext4 -b 1024 -d t i 16M", dir_.path().string());
        image_ = read_file(dir_ / "i");
    }
    std::string debugfs(const std::string& request) {
        return must("debugfs -R " + shell_quoted(request) + " i 2>/dev/null", dir_.path().string());
    }
    // By debugfs: "Inode 32 is part of block group 0\n\tlocated at block 102, offset 0x0300".
    size_t inode_offset(const std::string& path) {
        const std::string imap = debugfs("imap " + path);
        return std::stoull(imap.substr(imap.find("at block ") + 9)) * 1024 + std::stoull(imap.substr(imap.find("offset ") + 7), nullptr, 16);
    }
    void flip(size_t at) { image_[at] = static_cast<char>(image_[at] ^ 0x10); }
    // Blocks of extent nodes of /pieces, in file order: the leaves of its tree as debugfs shows them.
    std::vector<uint64_t> extent_nodes() {
        std::vector<uint64_t> out;
        std::istringstream lines(must("debugfs -R 'ex -n /pieces' i 2>/dev/null", dir_.path().string()));
        for (std::string line; std::getline(lines, line);) {
            int level = -1, depth = -1;
            if (std::sscanf(line.c_str(), "%d/%d", &level, &depth) != 2 || level + 1 != depth) continue;
            const auto tail = numbers(line.substr(line.find('-') + 1));  // "last  physical  length"
            if (tail.size() >= 2) out.push_back(tail[1]);
        }
        return out;
    }
    TempDir dir_;
    std::string image_;
};

TEST_F(DamagedExt4, AnInodeThatPointsElsewhereIsNotBelieved) {
    // The extent of one file patched to lie where the other's is: libtsk gives the other's bytes without a word.
    const size_t plain = inode_offset("/plain"), other = inode_offset("/other");
    image_.replace(plain + 0x28, 60, image_.substr(other + 0x28, 60));
    const auto list = list_bytes(image_);
    const InodeEntry& inode = list->at("plain");
    EXPECT_EQ(inode.access, ContentAccess::unreadable);
    ASSERT_EQ(inode.faults.size(), 1u);
    EXPECT_EQ(inode.faults[0].cause, Cause::CHECKSUM);
    EXPECT_EQ(inode.faults[0].length, 40'000u);
    EXPECT_NE(list->evidence("checksum_failed").find("\"image_offset\":" + std::to_string(plain)), std::string::npos);
    EXPECT_EQ(list->content("other"), read_file(dir_ / "t/other"));
    EXPECT_EQ(sh("e2fsck -fn i", dir_.path().string()).exit, 0);  // the oracle agrees with what was there before
}

TEST_F(DamagedExt4, EveryByteOfAnInodeIsCovered) {
    const size_t at = inode_offset("/plain");
    const std::string whole = image_;
    for (size_t byte = 0; byte < 256; byte += 5) {
        image_ = whole;
        flip(at + byte);
        const auto list = list_bytes(image_);
        if (!list->has("plain")) continue;  // no longer in use, or no longer a type: inode_unreadable
        if (list->at("plain").fs_type != 'f') {
            EXPECT_TRUE(list->findings.has("checksum_failed")) << byte;
            continue;
        }
        ASSERT_EQ(list->at("plain").faults.size(), 1u) << byte;
        EXPECT_EQ(list->at("plain").faults[0].cause, Cause::CHECKSUM) << byte;
    }
}

TEST_F(DamagedExt4, AnExtentNodeHidesOnlyItsOwnPart) {
    const auto nodes = extent_nodes();
    ASSERT_GT(nodes.size(), 3u);
    const auto sound = list_bytes(image_)->at("pieces");
    EXPECT_TRUE(sound.faults.empty());
    flip(nodes[1] * 1024 + 12 + 8);  // a start block
    const auto list = list_bytes(image_);
    const InodeEntry& inode = list->at("pieces");
    ASSERT_EQ(inode.faults.size(), 1u);
    EXPECT_EQ(inode.faults[0].cause, Cause::CHECKSUM);
    EXPECT_GT(inode.faults[0].file_offset, 0u);
    EXPECT_LT(inode.faults[0].file_offset + inode.faults[0].length, inode.size);
    EXPECT_NE(inode.faults[0].evidence.find(std::to_string(nodes[1] * 1024)), std::string::npos);
    // What is not under it reads as it was.
    const std::string before = read_file(dir_ / "t/pieces"), now = list->content("pieces");
    const size_t begin = inode.faults[0].file_offset, end = begin + inode.faults[0].length;
    EXPECT_EQ(now.substr(0, begin), before.substr(0, begin));
    EXPECT_EQ(now.substr(end), before.substr(end));
}

TEST_F(DamagedExt4, AnExtentNodeOnUnreadSectorsIsNotBelievedThoughItLooksRight) {
    const auto nodes = extent_nodes();
    ASSERT_GT(nodes.size(), 3u);
    const auto list = list_with_unread(image_, {{nodes[1] * 1024 + 512, 512}}, Cause::NOT_SCRAPED);
    ASSERT_EQ(list->at("pieces").faults.size(), 1u);
    EXPECT_EQ(list->at("pieces").faults[0].cause, Cause::NOT_SCRAPED);
}

TEST_F(DamagedExt4, NamesInADirectoryBlockThatFailsItsChecksumAreListedAndAFindingSaysSo) {
    const auto blocks = numbers(debugfs("blocks /many"));
    ASSERT_GT(blocks.size(), 4u);
    const size_t name = image_.find("a_file_with_a_longish_name_", blocks[2] * 1024);
    ASSERT_LT(name, (blocks[2] + 1) * 1024);
    image_[name] = 'X';
    const auto list = list_bytes(image_);
    EXPECT_EQ(list->names.size(), 205u);
    ASSERT_EQ(list->findings.count("directory_checksum_failed"), 1u);
    const std::string evidence = list->evidence("directory_checksum_failed");
    EXPECT_NE(evidence.find("\"path\":\"many\""), std::string::npos) << evidence;
    EXPECT_NE(evidence.find("\"image_offset\":" + std::to_string(blocks[2] * 1024)), std::string::npos) << evidence;
}

TEST_F(DamagedExt4, AnIndexThatFailsItsChecksumCostsNoNames) {
    ASSERT_LE(sh("e2fsck -fyD i", dir_.path().string()).exit, 1);
    image_ = read_file(dir_ / "i");
    const auto blocks = numbers(debugfs("blocks /many"));
    flip(blocks[1] * 1024 + 32 + 8);  // a hash in the root; the first of the blocks is the extent node's
    const auto list = list_bytes(image_);
    EXPECT_EQ(list->names.size(), 205u);
    EXPECT_NE(list->evidence("checksum_failed").find("directory index"), std::string::npos);
    EXPECT_FALSE(list->findings.has("directory_checksum_failed"));
}

TEST_F(DamagedExt4, SuperblockDescriptorsAndBitmapsAreFindingsAndFilesAreReadAllTheSame) {
    const std::string whole = image_, dump = must("dumpe2fs i 2>/dev/null", dir_.path().string());
    const auto block_of = [&](const std::string& words) {
        const auto at = dump.find(words);
        EXPECT_NE(at, std::string::npos) << words;
        return std::stoull(dump.substr(at + words.size()));
    };
    const struct {
        const char* structure;
        size_t at;
    } cases[] = {{"superblock", 1024 + 0x30},
                 {"group descriptor", block_of("Group descriptors at ") * 1024 + 0xC},
                 {"inode bitmap", block_of("Inode bitmap at ") * 1024 + 100},
                 {"block bitmap", block_of("Block bitmap at ") * 1024 + 900}};
    for (const auto& damage : cases) {
        SCOPED_TRACE(damage.structure);
        image_ = whole;
        flip(damage.at);
        const auto list = list_bytes(image_);
        ASSERT_EQ(list->findings.count("checksum_failed"), 1u);
        EXPECT_NE(list->evidence("checksum_failed").find(damage.structure), std::string::npos) << list->evidence("checksum_failed");
        EXPECT_EQ(list->content("plain"), read_file(dir_ / "t/plain"));
        EXPECT_EQ(list->names.size(), 205u);
    }
}

TEST_F(DamagedExt4, AFlippedFeatureBitDoesNotSwitchTheChecksOff) {
    const size_t plain = inode_offset("/plain"), other = inode_offset("/other");
    image_.replace(plain + 0x28, 60, image_.substr(other + 0x28, 60));
    image_[1024 + 0x65] = static_cast<char>(image_[1024 + 0x65] & ~0x04);  // METADATA_CSUM
    const auto list = list_bytes(image_);
    ASSERT_EQ(list->at("plain").faults.size(), 1u);
    EXPECT_EQ(list->at("plain").faults[0].cause, Cause::CHECKSUM);
    EXPECT_NE(list->evidence("checksum_failed").find("superblock"), std::string::npos);
}

TEST_F(DamagedExt4, FilesOfALostDirectoryComeOutBelowLost) {
    const auto blocks = numbers(debugfs("blocks /"));
    const std::string many = debugfs("stat /many");
    const std::string number = many.substr(many.find("Inode: ") + 7, many.find(' ', many.find("Inode: ") + 7) - many.find("Inode: ") - 7);
    for (const uint64_t block : blocks) image_.replace(block * 1024, 1024, std::string(1024, '\0'));
    const auto list = list_bytes(image_);
    EXPECT_TRUE(list->findings.has("directory_unreadable"));
    EXPECT_TRUE(list->findings.has("lost_files"));
    // The folder keeps its names below its own number; the others have numbers only.
    EXPECT_EQ(list->content("$lost/ino-" + number + "/a_file_with_a_longish_name_77"), "77\n");
    EXPECT_EQ(list->names.size(), 205u);
    int whole = 0;
    for (const auto& [path, ino] : list->names)
        if (list->inodes.at(ino).fs_type == 'f') {
            const std::string content = list->content(list->inodes.at(ino));
            whole += content == read_file(dir_ / "t/plain") || content == read_file(dir_ / "t/other") || content == read_file(dir_ / "t/pieces");
        }
    EXPECT_EQ(whole, 3);
}

TEST_F(DamagedExt4, DeletedFilesDoNotComeBack) {
    must("debugfs -w -R 'rm /plain' i", dir_.path().string());
    const auto list = list_file(dir_ / "i");
    EXPECT_EQ(list->names.size(), 204u);
    EXPECT_FALSE(list->findings.has("lost_files"));
}

TEST_F(DamagedExt4, StaleNamesOnUnreadSectorsAreNotBelieved) {
    const auto blocks = numbers(debugfs("blocks /many"));
    const auto list = list_with_unread(image_, {{blocks[2] * 1024, 1024}});
    EXPECT_LT(list->names.size(), 205u + 30u);
    size_t lost = 0;
    for (const auto& [path, ino] : list->names) lost += path.starts_with("$lost/");
    EXPECT_GT(lost, 10u);  // the files are there; their names are not
    EXPECT_EQ(list->names.size(), 205u);
    EXPECT_FALSE(list->findings.has("directory_unreadable"));  // whoever has the map says it, by the place of the directory
    EXPECT_FALSE(list->findings.has("directory_checksum_failed"));
}

TEST(ExtGroupChecksums, ATableThatAFailedDescriptorPointsToIsNotBelieved) {
    TempDir dir;
    must("mkdir t && mke2fs -q -F -t ext4 -O ^metadata_csum,uninit_bg -b 1024 -d t i 4M", dir.path().string());
    write_file(dir / "f", chosen_bytes(1, 20'000));
    must("debugfs -w -R 'write f f' i", dir.path().string());
    std::string image = read_file(dir / "i");
    EXPECT_EQ(list_bytes(image)->content("f"), read_file(dir / "f"));
    image[2048 + 0xC] = static_cast<char>(image[2048 + 0xC] ^ 1);  // free blocks
    const auto list = list_bytes(image);
    ASSERT_EQ(list->at("f").faults.size(), 1u);
    EXPECT_EQ(list->at("f").faults[0].cause, Cause::CHECKSUM);
    EXPECT_NE(list->evidence("checksum_failed").find("group descriptor"), std::string::npos);
}

TEST(ExtMetaBg, InodesOnUnreadSectorsAreNotBelieved) {
    TempDir dir;
    must("mkdir t && for i in $(seq 40); do echo $i > t/f$i; done", dir.path().string());
    must("mke2fs -q -F -t ext4 -b 1024 -O meta_bg,^resize_inode -d t i 16M", dir.path().string());
    const std::string imap = must("debugfs -R 'imap /f20' i 2>/dev/null", dir.path().string());
    const uint64_t block = std::stoull(imap.substr(imap.find("at block ") + 9));
    const auto list = list_with_unread(read_file(dir / "i"), {{block * 1024, 1024}});
    EXPECT_FALSE(list->has("f20"));
    EXPECT_GE(list->names.size(), 37u);
    EXPECT_NE(list->evidence("inode_unreadable").find("BAD_SECTOR"), std::string::npos);
}

TEST(ExtFlags, EncryptionIsAPropertyOfAFileNotOfTheVolume) {
    TempDir dir;
    must("mkdir t && echo secret > t/secret && echo open > t/open && mke2fs -q -F -t ext4 -O encrypt -d t i 8M", dir.path().string());
    must("debugfs -w -R 'sif /secret flags 0x80800' i", dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->content("open"), "open\n");
    ASSERT_EQ(list->at("secret").faults.size(), 1u);
    EXPECT_EQ(list->at("secret").faults[0].cause, Cause::ENCRYPTED);
    EXPECT_TRUE(list->findings.has("encryption_in_use"));
}

TEST(ExtInline, AFileThatFillsItsInodeAndADirectoryInOneAreRead) {
    TempDir dir;
    write_file(dir / "x", std::string(130, 'x') + "end");
    must("mkdir -p t/d && cp x t/f && echo 1 > t/d/a && echo 2 > t/d/a_longer_name && echo 3 > t/d/another_name_that_needs_more_room", dir.path().string());
    must("mke2fs -q -F -t ext4 -I 256 -O inline_data -d t i 8M", dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->content("f"), read_file(dir / "x"));
    EXPECT_EQ(list->content("d/a"), "1\n");
    EXPECT_EQ(list->content("d/another_name_that_needs_more_room"), "3\n");
    EXPECT_TRUE(list->findings.findings.empty());
}

TEST(ExtInline, ContentInAnInodeIsTiedToItsPlace) {
    TempDir dir;
    must("mkdir t && echo small > t/f && mke2fs -q -F -t ext4 -b 1024 -I 256 -O inline_data -d t i 8M", dir.path().string());
    const auto list = list_file(dir / "i");
    ASSERT_EQ(list->at("f").extents.size(), 1u);
    const std::string imap = must("debugfs -R 'imap /f' i 2>/dev/null", dir.path().string());
    EXPECT_EQ(list->at("f").extents[0].image_offset / 1024, std::stoull(imap.substr(imap.find("at block ") + 9)));
    EXPECT_EQ(list->at("f").extents[0].kind, ExtentKind::opaque);
}

}  // namespace
}  // namespace ntt::test
