// NTFS as ntfs-3g writes it, with records, indexes and attributes damaged on purpose.
#include <sstream>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

constexpr int kMany = 150;

class DamagedNtfs : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("ntfs-3g");
        NTT_NEED_TOOL("mkntfs");
        make_tree(dir_);
        must("mkdir -p t/many/below && rm t/link", dir_.path().string());
        for (int i = 0; i < kMany; ++i) write_file(dir_ / ("t/many/a_file_with_a_longish_name_" + std::to_string(i)), chosen_bytes(static_cast<uint32_t>(i), 3000));
        write_file(dir_ / "t/many/below/f", "below");
        const CommandResult mounted = sh("truncate -s 12M i && mkntfs -q -F -s 512 -c 1024 -p 0 -H 16 -S 63 i && mkdir m && ntfs-3g i m", dir_.path().string());
        if (mounted.exit != 0) GTEST_SKIP() << "no NTFS can be mounted here: " << mounted.err;
        must("cp -r t/. m && sync -f m; umount m", dir_.path().string());
        image_ = read_file(dir_ / "i");
    }
    uint64_t number_of(const std::string& path) { return std::stoull(must("ifind -n " + shell_quoted(path) + " i", dir_.path().string())); }
    // $MFT lies in one piece in a new volume: records of 1 KiB from the first one on.
    size_t record(uint64_t number) const { return image_.find("FILE") + number * 1024; }
    // Clusters of the attribute that istat calls so.
    std::vector<uint64_t> clusters(const std::string& path, const std::string& attribute) {
        const std::string all = must("istat i " + std::to_string(number_of(path)), dir_.path().string());
        const size_t at = all.find("Type: " + attribute), line = all.find('\n', at);
        std::vector<uint64_t> out;
        std::istringstream in(all.substr(line));
        for (uint64_t n; in >> n;) out.push_back(n);
        return out;
    }
    size_t whole_files(const Listing& list) {
        size_t out = 0;
        for (const auto& [path, ino] : list.names) {
            const InodeEntry& inode = list.inodes.at(ino);
            if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
            EXPECT_EQ(list.content(inode), read_file(dir_ / ("t/" + path))) << path;
            ++out;
        }
        return out;
    }
    TempDir dir_;
    std::string image_;
};
constexpr size_t kFiles = kMany + 5;

TEST_F(DamagedNtfs, SoundItHasNoFindings) {
    const auto list = list_bytes(image_);
    EXPECT_EQ(whole_files(*list), kFiles);
    EXPECT_TRUE(list->findings.findings.empty()) << list->findings.findings[0].code << list->findings.findings[0].evidence;
}

TEST_F(DamagedNtfs, WithoutItsRootFilesAreFoundByTheirRecords) {
    for (const bool unread : {false, true}) {
        std::string damaged = image_;
        if (!unread) damaged.replace(record(5), 1024, std::string(1024, '\0'));
        const auto list = unread ? list_with_unread(damaged, {{record(5), 1024}}) : list_bytes(damaged);
        EXPECT_EQ(whole_files(*list), kFiles) << unread;
        EXPECT_NE(list->evidence("directory_unreadable").find("\"path\":\"\""), std::string::npos);
        EXPECT_NE(list->evidence("directory_unreadable").find(std::to_string(record(5))), std::string::npos);
        EXPECT_TRUE(list->findings.has("lost_files"));
        EXPECT_TRUE(list->has("many/below/f"));
    }
}

TEST_F(DamagedNtfs, ABlockOfAnIndexThatIsLostIsAFindingAndItsFilesAreFound) {
    const auto blocks = clusters("/many", "$INDEX_ALLOCATION");
    ASSERT_GT(blocks.size(), 7u);
    const size_t at = blocks[4] * 1024;
    for (const int kind : {0, 1, 2}) {
        std::string damaged = image_;
        if (kind == 0) damaged.replace(at, 4096, std::string(4096, '\0'));
        if (kind == 1) damaged[at + 510] = static_cast<char>(damaged[at + 510] ^ 1);  // an update sequence number
        const auto list = kind == 2 ? list_with_unread(damaged, {{at + 1024, 512}}, Cause::NOT_TRIED) : list_bytes(damaged);
        EXPECT_EQ(whole_files(*list), kFiles) << kind;
        EXPECT_EQ(list->names.size(), list_bytes(image_)->names.size()) << kind;
        EXPECT_NE(list->evidence("directory_unreadable").find("\"image_offset\":" + std::to_string(at)), std::string::npos) << kind;
    }
}

TEST_F(DamagedNtfs, ARecordThatIsTornZeroedOrUnreadLosesItsFileOnlyAndSaysWhere) {
    const uint64_t number = number_of("/sub/medium");
    const size_t at = record(number);
    for (const int kind : {0, 1, 2, 3}) {
        std::string damaged = image_;
        if (kind == 0) damaged.replace(at, 1024, std::string(1024, '\0'));
        if (kind == 1) damaged[at + 1022] = static_cast<char>(damaged[at + 1022] ^ 1);
        if (kind == 2) damaged[at + 6] = 0;  // no update sequence: libtsk checks nothing then
        const auto list = kind == 3 ? list_with_unread(damaged, {{at, 512}}) : list_bytes(damaged);
        EXPECT_FALSE(list->has("sub/medium")) << kind;
        EXPECT_EQ(whole_files(*list), kFiles - 1) << kind;
        EXPECT_NE(list->evidence("inode_unreadable").find("\"image_offset\":" + std::to_string(at)), std::string::npos) << kind;
    }
}

TEST_F(DamagedNtfs, ANameWhoseRecordBelongsToAnotherFileByNowIsNotThatFile) {
    const size_t at = record(number_of("/sub/medium"));
    std::string damaged = image_;
    damaged[at + 16] = static_cast<char>(damaged[at + 16] + 1);  // the sequence number
    const auto list = list_bytes(damaged);
    EXPECT_NE(list->evidence("inode_unreadable").find("belongs to another file"), std::string::npos);
}

TEST_F(DamagedNtfs, ARunListThatLeadsOutOfTheVolumeIsNoContent) {
    const size_t at = record(number_of("/sub/medium"));
    std::string damaged = image_;
    const size_t data = damaged.find(std::string("\x80\0\0\0", 4), at + 56);
    ASSERT_LT(data, at + 1024);
    const size_t runs = data + static_cast<uint8_t>(damaged[data + 32]);
    damaged[runs + 3] = '\x7F';  // "21 LL OO OO": the upper half of the first cluster's number
    const auto list = list_bytes(damaged);
    if (!list->has("sub/medium")) {
        EXPECT_NE(list->evidence("inode_unreadable").find("sub/medium"), std::string::npos);
        return;
    }
    for (const Extent& extent : list->at("sub/medium").extents) {
        EXPECT_FALSE(extent.kind == ExtentKind::data && extent.image_offset + extent.length <= damaged.size());
    }
}

TEST_F(DamagedNtfs, WhatEfsEncryptedIsNamedAndNotRead) {
    std::string damaged = image_;
    const size_t at = record(number_of("/sub/medium")), data = damaged.find(std::string("\x80\0\0\0", 4), at + 56);
    ASSERT_LT(data, at + 1024);
    damaged[data + 13] = static_cast<char>(damaged[data + 13] | 0x40);  // of the attribute's flags
    const auto list = list_bytes(damaged);
    ASSERT_EQ(list->at("sub/medium").faults.size(), 1u);
    EXPECT_EQ(list->at("sub/medium").faults[0].cause, Cause::ENCRYPTED);
}

TEST_F(DamagedNtfs, WhatWindowsCompressedBehindAReparsePointIsNamedAndNotReadAsZeros) {
    std::string damaged = image_;
    const size_t at = record(number_of("/sub/medium"));
    const auto le32 = [&](size_t place) {
        uint32_t out = 0;
        for (size_t i = 4; i-- > 0;) out = out << 8 | static_cast<uint8_t>(damaged[place + i]);
        return out;
    };
    const auto put32 = [&](size_t place, uint32_t value) {
        for (size_t i = 0; i < 4; ++i) damaged[place + i] = static_cast<char>(value >> (8 * i));
    };
    size_t end = at + static_cast<uint8_t>(damaged[at + 20]);
    while (le32(end) != 0xFFFFFFFF) end += le32(end + 4);
    // A resident $REPARSE_POINT: type, length, resident, no name, flags, id, size and place of the value.
    constexpr uint32_t kValue = 24, kLength = 48;
    ASSERT_LT(end + kLength + 8, at + 510);
    std::string attribute(kLength, '\0');
    damaged.replace(end, kLength, attribute);
    put32(end, 0xC0);
    put32(end + 4, kLength);
    put32(end + 12, 0x77 << 16);
    put32(end + 16, kValue);
    put32(end + 20, 24);
    put32(end + 24, 0x80000017);  // the tag of WOF
    put32(end + 28, 16);
    put32(end + kLength, 0xFFFFFFFF);
    put32(end + kLength + 4, 0);
    put32(at + 24, static_cast<uint32_t>(end + kLength + 8 - at));
    const auto list = list_bytes(damaged);
    ASSERT_EQ(list->at("sub/medium").faults.size(), 1u);
    EXPECT_EQ(list->at("sub/medium").faults[0].cause, Cause::UNSUPPORTED_COMPRESSION);
}

TEST_F(DamagedNtfs, ACompressedAndASparseFileHaveTheirContent) {
    NTT_NEED_TOOL("setfattr");
    must("ntfs-3g -o compression i m", dir_.path().string());
    const CommandResult made = sh("mkdir m/c && setfattr -h -n system.ntfs_attrib_be -v 0x00000800 m/c && (for i in $(seq 20000); do echo line $((i % 50)); done) > m/c/f && cp m/c/f f; truncate -s 3M m/sparse; "
                                  "printf end >> m/sparse; sync -f m; umount m; test -s f", dir_.path().string());
    if (made.exit != 0) GTEST_SKIP() << "no compressed file is made here: " << made.err;
    const auto list = list_file(dir_ / "i");
    EXPECT_EQ(list->content("c/f"), read_file(dir_ / "f"));
    EXPECT_EQ(list->content("sparse"), std::string(3 << 20, '\0') + "end");
}

TEST_F(DamagedNtfs, AFileThatNeedsSeveralRecordsIsNotBelievedWithoutOneOfThem) {
    // Pieces with gaps between them, until the list of runs does not fit into one record.
    must("ntfs-3g i m", dir_.path().string());
    make_pieces(dir_ / "pieces", 900);
    make_pieces(dir_ / "m/pieces", 900);
    must("sync -f m; umount m", dir_.path().string());
    image_ = read_file(dir_ / "i");
    const std::string all = must("istat i " + std::to_string(number_of("/pieces")), dir_.path().string());
    const auto whole = list_bytes(image_);
    EXPECT_EQ(whole->content("pieces"), read_file(dir_ / "pieces"));
    if (all.find("$ATTRIBUTE_LIST") == std::string::npos) GTEST_SKIP() << "the runs fit into one record here";
    // The records that continue it name it as their base; most hold $DATA, one may hold its name.
    const uint64_t base = number_of("/pieces");
    int continued = 0;
    for (uint64_t number = 24; record(number) + 1024 <= image_.size() && image_.compare(record(number), 4, "FILE") == 0; ++number) {
        if (static_cast<uint8_t>(image_[record(number) + 32]) != (base & 0xFF) || number == base) continue;
        const bool holds_data = image_[record(number) + static_cast<uint8_t>(image_[record(number) + 20])] == '\x80';
        continued += holds_data;
        if (holds_data) {
            std::string reused = image_;
            ++reused[record(number) + 16];  // its sequence number
            EXPECT_FALSE(list_bytes(reused)->at("pieces").faults.empty()) << number;
        }
        for (const bool unread : {false, true}) {
            std::string damaged = image_;
            if (!unread) damaged.replace(record(number), 1024, std::string(1024, '\0'));
            const auto list = unread ? list_with_unread(damaged, {{record(number) + 512, 512}}) : list_bytes(damaged);
            if (!list->has("pieces")) continue;  // inode_unreadable
            if (holds_data) {
                EXPECT_FALSE(list->at("pieces").faults.empty()) << number;
            } else {
                EXPECT_EQ(list->content("pieces"), read_file(dir_ / "pieces")) << number;  // it holds the name
            }
        }
    }
    EXPECT_GT(continued, 0);
}

}  // namespace
}  // namespace ntt::test
