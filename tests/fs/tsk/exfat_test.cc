// exFAT: what libtsk believes of a directory and the volume does not bear out.
#include <set>
#include <tuple>

#include "fs/reader_listing.h"
#include "support/exfat_image.h"

namespace ntt::test {
namespace {

// 60 files in the root, whose entries go over the end of a cluster, and 50 in a folder of two clusters.
class ExfatVolume : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mkfs.exfat");
        image_ = std::make_unique<ExfatImage>();
        for (uint32_t i = 0; i < 60; ++i) add("a file with number " + std::to_string(i) + ".bin", 3000 + 100 * i);
        const auto folder = image_->add_folder("folder", 2);
        for (uint32_t i = 0; i < 50; ++i) add("another file of this kind " + std::to_string(i), 10 + i, folder.cluster, "folder/");
        add("empty", 0);
    }
    void add(const std::string& name, size_t size, uint64_t in = 0, const std::string& above = "") {
        contents_[above + name] = chosen_bytes(static_cast<uint32_t>(contents_.size()), size);
        entries_[above + name] = image_->add_file(name, contents_[above + name], in);
    }
    // How many come out whole; none that is called whole is another than was put in.
    size_t expect_what_was_put_in(const Listing& list) const {
        size_t whole = 0;
        for (const auto& [path, ino] : list.names) {
            const InodeEntry& inode = list.inodes.at(ino);
            if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
            const auto put_in = contents_.find(path);
            EXPECT_NE(put_in, contents_.end()) << path;
            EXPECT_EQ(list.content(inode), put_in == contents_.end() ? "" : put_in->second) << path;
            ++whole;
        }
        return whole;
    }
    static bool says_that_files_are_missing(const Listing& list) {
        return list.findings.has("directory_unreadable") || list.findings.has("inode_unreadable") || list.findings.has("directory_checksum_failed");
    }
    std::unique_ptr<ExfatImage> image_;
    std::map<std::string, std::string> contents_;
    std::map<std::string, ExfatImage::Entry> entries_;
};

TEST_F(ExfatVolume, InOrderIsListedWithoutAFinding) {
    TempDir dir;
    write_file(dir / "i", image_->bytes);
    NTT_NEED_TOOL("fsck.exfat");
    EXPECT_NE(must("fsck.exfat -n i", dir.path().string()).find("clean"), std::string::npos);
    const auto list = list_bytes(image_->bytes);
    EXPECT_EQ(expect_what_was_put_in(*list), contents_.size());
    EXPECT_EQ(contents_.size(), 111u);
    EXPECT_TRUE(list->findings.findings.empty()) << list->findings.findings[0].code << list->findings.findings[0].evidence;
}

TEST_F(ExfatVolume, AFileWhoseEntriesDoNotFitTheirChecksumIsNotBelieved) {
    const auto file = entries_.at("a file with number 7.bin");
    const uint64_t others = entries_.at("a file with number 8.bin").cluster;
    for (const auto& [offset, value, width] : {std::tuple<size_t, uint64_t, int>{ExfatImage::kLength, 1000, 8}, {ExfatImage::kFirstCluster, others, 4}}) {
        ExfatImage damaged = *image_;
        damaged.set_in_stream(file, offset, value, width);
        const auto list = list_bytes(damaged.bytes);
        EXPECT_EQ(expect_what_was_put_in(*list), contents_.size() - 1);
        const InodeEntry& inode = list->at("a file with number 7.bin");
        ASSERT_EQ(inode.faults.size(), 1u);
        EXPECT_EQ(inode.faults[0].cause, Cause::CHECKSUM);
        EXPECT_EQ(inode.faults[0].length, inode.size);
    }
    ExfatImage damaged = *image_;
    damaged.set_in_stream(file, ExfatImage::kLength, 0, 8);
    damaged.set_in_stream(file, ExfatImage::kValidLength, 0, 8);
    const auto list = list_bytes(damaged.bytes);
    EXPECT_EQ(expect_what_was_put_in(*list), contents_.size() - 1);
    EXPECT_FALSE(list->has("a file with number 7.bin"));
    EXPECT_NE(list->evidence("inode_unreadable").find("CHECKSUM"), std::string::npos);
}

TEST_F(ExfatVolume, AFolderWhoseEntriesDoNotFitTheirChecksumIsListedAndSaysSo) {
    ExfatImage damaged = *image_;
    const size_t at = damaged.bytes.find(std::string("f\0o\0l\0d\0e\0r\0", 12));
    ASSERT_NE(at, std::string::npos);
    damaged.bytes[at - 2 - 64 + 4] ^= 1;  // its attributes: read-only
    const auto list = list_bytes(damaged.bytes);
    EXPECT_EQ(expect_what_was_put_in(*list), contents_.size());
    EXPECT_TRUE(list->findings.has("directory_checksum_failed"));
}

TEST_F(ExfatVolume, ASectorOfADirectoryThatIsLostIsSaid) {
    constexpr size_t kSector = 512;
    std::set<size_t> sectors;
    for (const auto& [path, entry] : entries_) sectors.insert(entry.at / kSector * kSector);
    for (const size_t sector : sectors)
        for (const std::string& fill : {std::string(kSector, '\0'), chosen_bytes(static_cast<uint32_t>(sector), kSector)}) {
            std::string damaged = image_->bytes;
            damaged.replace(sector, kSector, fill);
            Listing list;
            list.source = memory_image(std::move(damaged));
            list.volume.size_bytes = list.source->size_bytes();
            list.volume.view = list.volume.fs_type = "exfat";
            const auto reader = open_reader(*list.source, list.volume, {}, list);
            if (!reader.ok()) continue;
            ASSERT_OK((*reader)->list(list, CancelToken()));
            const size_t whole = expect_what_was_put_in(list);
            EXPECT_TRUE(says_that_files_are_missing(list)) << sector << " " << whole;
            EXPECT_GE(whole + 70, contents_.size()) << sector;
        }
}

TEST_F(ExfatVolume, ClustersInUseThatAreNobodysAreCounted) {
    ExfatImage damaged = *image_;
    const auto file = entries_.at("a file with number 30.bin");  // 6000 bytes
    for (size_t i = 0; i < 4; ++i) damaged.bytes[file.at + 32 * i] &= 0x7F;  // deleted, but for the bitmap
    const auto list = list_bytes(damaged.bytes);
    EXPECT_EQ(list->findings.count("lost_clusters"), 1u);
    EXPECT_NE(list->evidence("lost_clusters").find("\"clusters\":2"), std::string::npos) << list->evidence("lost_clusters");
    EXPECT_NE(list->evidence("lost_clusters").find("\"first_cluster\":" + std::to_string(file.cluster)), std::string::npos);
}

TEST_F(ExfatVolume, AFileThatRunsIntoAFolderIsSaid) {
    ExfatImage damaged = *image_;
    const auto file = entries_.at("a file with number 30.bin");
    const size_t folder = damaged.bytes.find(std::string("f\0o\0l\0d\0e\0r\0", 12)) - 2 - 64;
    damaged.set_in_stream(file, ExfatImage::kFirstCluster, damaged.get(folder + 32 + ExfatImage::kFirstCluster, 4), 4);
    damaged.mend_checksum(file);
    EXPECT_TRUE(list_bytes(damaged.bytes)->findings.has("directory_cross_link"));
}

}  // namespace
}  // namespace ntt::test
