// HFS+: the Mac side of a disc that xorriso makes, sound and damaged, and a volume that Mac OS wrote.
#include <set>
#include <sstream>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

class MacSide : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("xorriso");
        make_tree(dir_);
        must("mkdir t/many && echo x > 't/Año 日本'", dir_.path().string());
        for (int i = 0; i < 200; ++i) write_file(dir_ / ("t/many/a_file_with_a_longish_name_" + std::to_string(i)), chosen_bytes(static_cast<uint32_t>(i), 3000));
        must("xorriso -as mkisofs -quiet -hfsplus -o i t", dir_.path().string());
        image_ = read_file(dir_ / "i");
        const auto source = memory_image(image_);
        FindingList findings;
        const auto detection = detect_volumes(*source, findings);
        ASSERT_OK(detection);
        for (const Volume& volume : detection->volumes)
            if (volume.fs_type == "hfsplus") volume_ = volume;
        ASSERT_TRUE(volume_.readable) << "no HFS+ side was found";
        // The volume header, big endian: block size at 40, the first extent of the catalogue at 272 + 16, of the overflow file at 192 + 16.
        block_ = be32(volume_.offset_bytes + 1024 + 40);
        catalogue_ = volume_.offset_bytes + be32(volume_.offset_bytes + 1024 + 272 + 16) * block_;
        overflow_ = volume_.offset_bytes + be32(volume_.offset_bytes + 1024 + 192 + 16) * block_;
        nodes_ = be32(catalogue_ + 14 + 22);
        node_ = be32(catalogue_ + 14 + 18) >> 16;
    }
    uint64_t be32(size_t at) const {
        uint64_t out = 0;
        for (size_t i = 0; i < 4; ++i) out = out << 8 | static_cast<uint8_t>(image_[at + i]);
        return out;
    }
    std::vector<uint64_t> leaves() const {
        std::vector<uint64_t> out;
        for (uint64_t i = 1; i < nodes_; ++i)
            if (image_[catalogue_ + i * node_ + 8] == '\xFF') out.push_back(i);
        return out;
    }
    std::unique_ptr<Listing> list(std::string image, const ReaderOptions& options = {}) {
        auto out = std::make_unique<Listing>();
        out->source = memory_image(std::move(image));
        out->volume = volume_;
        auto reader = open_reader(*out->source, volume_, options, *out);
        EXPECT_TRUE(reader.ok()) << why(reader);
        if (!reader.ok()) return out;
        out->reader = *std::move(reader);
        const auto listed = out->reader->list(*out, CancelToken());
        EXPECT_TRUE(listed.ok()) << why(listed);
        return out;
    }
    // Every file that is listed has the content that was put in under its name; how many there are.
    size_t expect_contents_put_in(const Listing& list) {
        size_t files = 0;
        for (const auto& [path, ino] : list.names) {
            const InodeEntry& inode = list.inodes.at(ino);
            if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
            ++files;
            if (path.find("日本") != std::string::npos) {  // its n and its tilde are two characters now
                EXPECT_EQ(list.content(inode), "x\n");
                continue;
            }
            std::string in_tree = path;
            if (path.starts_with("$lost/")) {
                const std::string name = path.substr(path.rfind('/') + 1);
                in_tree = must("cd t && find . -name " + shell_quoted(name) + " -printf '%P'", dir_.path().string());
            }
            EXPECT_EQ(list.content(inode), read_file(dir_ / ("t/" + in_tree))) << path;
        }
        return files;
    }
    TempDir dir_;
    std::string image_;
    Volume volume_;
    uint64_t block_ = 0, catalogue_ = 0, overflow_ = 0, nodes_ = 0, node_ = 0;
};

constexpr size_t kFiles = 205;

TEST_F(MacSide, IsRead) {
    const auto whole = list(image_);
    EXPECT_EQ(expect_contents_put_in(*whole), kFiles);
    EXPECT_EQ(whole->at("link").target, "small");
    EXPECT_EQ(whole->at("sub/deep").fs_type, 'd');
    EXPECT_TRUE(whole->findings.findings.empty()) << whole->findings.findings[0].code << whole->findings.findings[0].evidence;
    EXPECT_TRUE(std::any_of(whole->names.begin(), whole->names.end(), [](const auto& name) { return name.first.find("日本") != std::string::npos; }));
}

// Field case N1.
TEST_F(MacSide, N1_ANodeOfTheCatalogueThatIsLostCostsItsOwnRecordsOnly) {
    const auto all = leaves();
    ASSERT_GT(all.size(), 8u);
    for (const uint64_t leaf : all) {
        std::string damaged = image_;
        damaged.replace(catalogue_ + leaf * node_, node_, std::string(node_, '\0'));
        const auto rest = list(damaged);
        EXPECT_GE(expect_contents_put_in(*rest), kFiles - 40) << leaf;
        EXPECT_NE(rest->evidence("directory_unreadable").find("records_missing"), std::string::npos) << leaf;
        EXPECT_NE(rest->evidence("directory_unreadable").find(std::to_string(catalogue_ + leaf * node_)), std::string::npos);
    }
}

TEST_F(MacSide, AnIndexNodeThatIsLostCostsNothing) {
    std::string damaged = image_;
    int damages = 0;
    for (uint64_t i = 1; i < nodes_; ++i)
        if (damaged[catalogue_ + i * node_ + 8] == 0 && be32(catalogue_ + i * node_ + 8) != 0) {
            damaged.replace(catalogue_ + i * node_, node_, std::string(node_, '\0'));
            ++damages;
        }
    ASSERT_GT(damages, 0);
    const auto rest = list(damaged);
    EXPECT_EQ(expect_contents_put_in(*rest), kFiles);
    EXPECT_TRUE(rest->findings.has("catalogue_node_damaged"));
    EXPECT_FALSE(rest->findings.has("directory_unreadable"));
}

TEST_F(MacSide, TheHeaderOfTheCatalogueOrTheOverflowFileThatIsLostCostsNoFile) {
    std::string damaged = image_;
    damaged.replace(catalogue_, node_, std::string(node_, '\0'));
    const auto without_header = list(damaged);
    EXPECT_EQ(expect_contents_put_in(*without_header), kFiles);
    EXPECT_TRUE(without_header->findings.has("directory_unreadable"));
    damaged = image_;
    damaged.replace(overflow_, node_, chosen_bytes(7, node_));
    EXPECT_EQ(expect_contents_put_in(*list(damaged)), kFiles);
}

TEST_F(MacSide, ACatalogueThatClaimsMoreThanItsExtentsHoldIsReadAsFarAsTheyGo) {
    std::string damaged = image_;
    damaged[volume_.offset_bytes + 1024 + 272 + 1] = '\x10';  // of its size, 64 bits, the second byte: a petabyte and more
    const auto rest = list(damaged);
    EXPECT_EQ(expect_contents_put_in(*rest), kFiles);
    EXPECT_EQ(rest->findings.count("catalogue_node_damaged"), 1u);  // by its header no record is missing
    EXPECT_NE(rest->evidence("catalogue_node_damaged").find("no extent has it"), std::string::npos);
}

TEST_F(MacSide, ANodeThatWasNotReadIsNotBelievedThoughItLooksRight) {
    const auto all = leaves();
    auto unread = std::make_shared<std::vector<UnreadRange>>();
    unread->push_back({{catalogue_ + all[3] * node_ + 512, 512}, Cause::NOT_TRIMMED});
    ReaderOptions options;
    options.unread = unread;
    const auto rest = list(image_, options);
    EXPECT_LT(expect_contents_put_in(*rest), kFiles);
    EXPECT_NE(rest->evidence("directory_unreadable").find("NOT_TRIMMED"), std::string::npos);
}

TEST_F(MacSide, AnyDamageToTheCatalogueIsSurvived) {
    for (uint32_t round = 0; round < 60; ++round) {
        std::string damaged = image_;
        const std::string noise = chosen_bytes(round, 600);
        for (size_t i = 0; i < 200; ++i) {
            const size_t at = catalogue_ + (static_cast<uint8_t>(noise[3 * i]) | static_cast<size_t>(static_cast<uint8_t>(noise[3 * i + 1])) << 8) % (nodes_ * node_);
            damaged[at] = noise[3 * i + 2];
        }
        Listing out;
        out.source = memory_image(std::move(damaged));
        const auto reader = open_reader(*out.source, volume_, {}, out);
        if (!reader.ok()) continue;
        const auto listed = (*reader)->list(out, CancelToken());
        EXPECT_TRUE(listed.ok() || listed.error().code == ErrorCode::limit) << why(listed);
    }
}

// A file record is longer than half a sector: often its later part is what is lost, and an empty file looks just so.
TEST_F(MacSide, ASectorOfALeafThatIsLostMakesNoFileEmpty) {
    constexpr size_t kSector = 512;
    write_file(dir_ / "t/many/empty", "");
    must("xorriso -as mkisofs -quiet -hfsplus -o i t", dir_.path().string());
    image_ = read_file(dir_ / "i");
    const std::string before = image_;
    size_t doubtful = 0;
    const auto all = leaves();
    for (const uint64_t leaf : {all.at(1), all.at(6), all.back()})
        for (size_t at = catalogue_ + leaf * node_; at < catalogue_ + (leaf + 1) * node_; at += kSector) {
            for (const std::string& fill : {std::string(kSector, '\0'), std::string(kSector, '\xA5'), chosen_bytes(static_cast<uint32_t>(at), kSector)}) {
                std::string damaged = before;
                damaged.replace(at, kSector, fill);
                const auto rest = list(std::move(damaged));
                EXPECT_GE(expect_contents_put_in(*rest), kFiles - 40) << at;
                doubtful += rest->findings.count("inode_unreadable");
            }
            ReaderOptions unread;
            unread.unread = std::make_shared<const std::vector<UnreadRange>>(std::vector<UnreadRange>{{{at, kSector}, Cause::BAD_SECTOR}});
            std::string stale = before;
            stale.replace(at, kSector, before.substr(at >= catalogue_ + (leaf + 1) * node_ - kSector ? at - kSector : at + kSector, kSector));
            const auto rest = list(std::move(stale), unread);
            EXPECT_GE(expect_contents_put_in(*rest), kFiles - 40) << at;
            EXPECT_TRUE(rest->findings.has("directory_unreadable") || rest->findings.has("catalogue_node_damaged")) << at;
        }
    EXPECT_GT(doubtful, 0u);
}

TEST_F(MacSide, WhatIsSoundInANodeThatWasReadInPartStays) {
    constexpr size_t kSector = 512;
    const uint64_t leaf = leaves().at(3);
    ReaderOptions unread;
    unread.unread = std::make_shared<const std::vector<UnreadRange>>(std::vector<UnreadRange>{{{catalogue_ + leaf * node_ + 3 * kSector, kSector}, Cause::BAD_SECTOR}});
    const auto rest = list(image_, unread);
    EXPECT_GE(expect_contents_put_in(*rest), kFiles - 4);
    EXPECT_LT(expect_contents_put_in(*rest), kFiles);
    EXPECT_NE(rest->evidence("directory_unreadable").find("records_missing"), std::string::npos);
}

TEST(HfsPlus, ASectorOfTheCatalogueThatIsLostHidesNoResourceForkInSilence) {
    const auto corpus = corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus beside the project or in $NTT_TEST_CORPUS";
    TempDir dir;
    must("gzip -dc " + shell_quoted((*corpus / "dfvfs-hfsplus.raw.gz").string()) + " > i", dir.path().string());
    const auto whole = list_file(dir / "i");
    const std::string image = read_file(dir / "i");
    std::map<std::string, std::string> contents;  // by path, as The Sleuth Kit has them
    for (const auto& [path, ino] : whole->names)
        if (whole->inodes.at(ino).fs_type == 'f') contents[path] = must("icat i " + whole->inodes.at(ino).fs_ino, dir.path().string());
    const auto catalogue = whole->directories.at(0).ranges;
    for (const ByteRange& range : catalogue)
        for (uint64_t at = range.offset; at < range.end(); at += 512) {
            if (image.find_first_not_of('\0', at) >= at + 512) continue;
            std::string damaged = image;
            damaged.replace(at, 512, std::string(512, '\0'));
            Listing rest;
            rest.source = memory_image(std::move(damaged));
            const auto reader = open_reader(*rest.source, whole->volume, {}, rest);
            if (!reader.ok()) continue;
            ASSERT_OK((*reader)->list(rest, CancelToken()));
            for (const auto& [path, content] : contents) {
                if (!rest.names.contains(path)) {
                    EXPECT_TRUE(rest.findings.has("directory_unreadable") || rest.findings.has("inode_unreadable")) << path << " " << at;
                    continue;
                }
                const InodeEntry& inode = rest.inodes.at(rest.names.find(path)->second);
                if (inode.faults.empty()) {
                    EXPECT_EQ(inode.size, content.size()) << path << " " << at;
                }
            }
        }
}

TEST(HfsPlus, ResourceForksAreStreams) {
    const auto corpus = corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus beside the project or in $NTT_TEST_CORPUS";
    TempDir dir;
    must("gzip -dc " + shell_quoted((*corpus / "dfvfs-hfsplus.raw.gz").string()) + " > i", dir.path().string());
    const auto list = list_file(dir / "i");
    int forks = 0;
    for (const auto& [path, ino] : list->names) {
        const InodeEntry& inode = list->inodes.at(ino);
        if (inode.fs_type == 'f' && inode.stream.empty()) {
            EXPECT_EQ(list->content(inode), must("icat i " + inode.fs_ino, dir.path().string())) << path;
        }
        if (inode.stream.empty()) continue;
        ++forks;
        EXPECT_EQ(path.substr(path.size() - 5), ":rsrc");
        const std::string oracle = must("icat i " + inode.fs_ino, dir.path().string());
        EXPECT_EQ(list->content(inode), oracle);
    }
    EXPECT_GT(forks, 0);
}

TEST(HfsPlus, AVolumeOfMacOsIsListedAsTheSleuthKitDoes) {
    const auto corpus = corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus beside the project or in $NTT_TEST_CORPUS";
    TempDir dir;
    must("gzip -dc " + shell_quoted((*corpus / "dfvfs-hfsplus.raw.gz").string()) + " > i", dir.path().string());
    const auto list = list_file(dir / "i");
    std::set<std::string> ours, theirs;
    for (const auto& [path, ino] : list->names)
        if (list->inodes.at(ino).stream.empty() && list->inodes.at(ino).fs_type == 'f' && path.find("HFS+ Private") == std::string::npos) ours.insert(path);
    std::istringstream lines(must("fls -rpF i", dir.path().string()));
    for (std::string line; std::getline(lines, line);) {  // "r/r 23-4352-0:\tpath"; the forks' type is 4353
        if (!line.starts_with("r/r") || line.find("HFS+ Private") != std::string::npos || line.find("\t$") != std::string::npos || line.find("-4353-") != std::string::npos) continue;
        theirs.insert(line.substr(line.find('\t') + 1));
    }
    EXPECT_EQ(ours, theirs);
    EXPECT_FALSE(ours.empty());
}

}  // namespace
}  // namespace ntt::test
