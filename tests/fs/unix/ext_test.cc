// ext2, ext3 and ext4: made by mke2fs from a tree of real files, compared with the tree and with debugfs.
#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

std::vector<uint64_t> numbers(const std::string& text) {
    std::istringstream in(text);
    std::vector<uint64_t> out;
    for (uint64_t n; in >> n;) out.push_back(n);
    return out;
}

class Ext : public testing::TestWithParam<const char*> {
protected:
    // Makes dir/i from dir/t.
    void make(const std::string& size, const std::string& options = "") {
        must(std::string("mkfs.") + GetParam() + " -q -F -b 1024 " + options + " -d t i " + size, dir_.path().string());
    }
    std::string debugfs(const std::string& request) {
        return must("debugfs -R " + shell_quoted(request) + " i 2>/dev/null", dir_.path().string());
    }
    bool has_extents() const { return GetParam() == std::string("ext4"); }
    TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(All, Ext, testing::Values("ext2", "ext3", "ext4"),
                         [](const auto& suite) { return std::string(suite.param); });

TEST_P(Ext, NamesContentsLinksAndTimesAreThoseOfTheTree) {
    must(
        "mkdir -p t/sub/deep t/empty_folder && ln -s sub/deep t/short_link && ln -s $(head -c 300 /dev/zero | tr '\\0' x) "
        "t/long_link && mkfifo t/pipe",
        dir_.path().string());
    write_file(dir_ / "t/empty", "");
    write_file(dir_ / "t/small", chosen_bytes(1, 100));
    write_file(dir_ / "t/big", chosen_bytes(2, 3'000'001));  // ext2: double indirect blocks
    write_file(dir_ / "t/sub/deep/medium", chosen_bytes(3, 50'000));
    must("ln t/big t/sub/hard && chmod 4750 t/small && touch -d '1999-12-31 23:59:58.5 UTC' t/small", dir_.path().string());
    make("16M", "-I 256");
    const auto list = list_file(dir_ / "i");

    std::vector<std::string> expected = {"lost+found"};
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / "t")) {
        const std::string path = entry.path().lexically_relative(dir_ / "t").string();
        SCOPED_TRACE(path);
        expected.push_back(path);
        const InodeEntry& inode = list->at(path);
        struct stat st {};
        ASSERT_EQ(lstat(entry.path().c_str(), &st), 0);
        EXPECT_EQ(inode.mode, static_cast<int>(st.st_mode));
        EXPECT_EQ(inode.mtime, st.st_mtime);
        if (S_ISREG(st.st_mode)) {
            EXPECT_EQ(inode.fs_type, 'f');
            EXPECT_EQ(inode.nlink, st.st_nlink);
            EXPECT_EQ(list->content(path), read_file(entry.path().string()));
            EXPECT_TRUE(inode.faults.empty());
        }
        if (S_ISLNK(st.st_mode)) {
            EXPECT_EQ(inode.fs_type, 'l');
            EXPECT_EQ(inode.target, fs::read_symlink(entry.path()).string());
        }
        if (S_ISFIFO(st.st_mode)) {
            EXPECT_EQ(inode.fs_type, 'p');
        }
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(list->paths(), expected);
    EXPECT_EQ(list->names.find("big")->second, list->names.find("sub/hard")->second);
    EXPECT_EQ(list->at("big").fs_ino, std::to_string(list->at("big").ino));
    EXPECT_TRUE(list->findings.findings.empty());
}

TEST_P(Ext, NamesAreRawBytes) {
    must("mkdir t", dir_.path().string());
    std::vector<std::string> expected = {"lost+found"};
    for (int byte = 1; byte < 256; ++byte) {
        if (byte == '/') continue;
        const std::string name = "a" + std::string(1, static_cast<char>(byte)) + "z";
        write_file(dir_ / ("t/" + name), name);
        expected.push_back(name);
    }
    for (const std::string name : {"\\n", "\\N", " ", "Icon\r", ".HFS+ Private Directory Data\r"}) {
        write_file(dir_ / ("t/" + name), name);
        expected.push_back(name);
    }
    make("4M");
    const auto list = list_file(dir_ / "i");
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(list->paths(), expected);
    for (const std::string& name : expected) {
        if (name != "lost+found") {
            EXPECT_EQ(list->content(name), name);
        }
    }
}

TEST_P(Ext, ASparseFileHasHolesAndItsDataInPlace) {
    must("mkdir t && truncate -s 5G t/sparse && printf abc | dd of=t/sparse bs=1 seek=4500000000 conv=notrunc status=none",
         dir_.path().string());
    make("16M");
    const auto list = list_file(dir_ / "i");
    const InodeEntry& inode = list->at("sparse");
    EXPECT_EQ(inode.size, uint64_t{5} << 30);
    EXPECT_TRUE(inode.faults.empty());
    uint64_t data = 0;
    for (const Extent& e : inode.extents) {
        if (e.kind != ExtentKind::data) continue;
        data += e.length;
        std::string bytes(e.length, '\0');
        ASSERT_OK(list->source->read(e.image_offset, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
        EXPECT_EQ(e.file_offset + bytes.find("abc"), 4'500'000'000u);
    }
    EXPECT_EQ(data, 1024u);
}

TEST_P(Ext, AFolderWithManyFilesIsListedAndABadBlockOfItHidesOnlyItsOwnNames) {
    must("mkdir -p t/many && cd t/many && for i in $(seq 600); do echo $i > file_with_a_longish_name_$i; done",
         dir_.path().string());
    make("8M", "-N 2000");
    std::string image = read_file(dir_ / "i");
    EXPECT_EQ(list_bytes(image)->names.size(), 602u);

    const auto blocks = numbers(debugfs("blocks /many"));
    ASSERT_GT(blocks.size(), 14u);
    image.replace(blocks[5] * 1024, 1024, std::string(1024, '\0'));  // as an unread sector leaves it
    const auto list = list_bytes(image);
    ASSERT_EQ(list->findings.count("directory_unreadable"), 1u);
    const Finding& finding = list->findings.findings[0];
    EXPECT_NE(finding.evidence.find("\"image_offset\":" + std::to_string(blocks[5] * 1024)), std::string::npos)
        << finding.evidence;
    EXPECT_NE(finding.evidence.find("\"path\":\"many\""), std::string::npos);
    EXPECT_EQ(finding.volume, 1);
    const auto of_many = std::count_if(list->names.begin(), list->names.end(), [](const auto& name) { return name.first.starts_with("many/"); });
    EXPECT_LT(of_many, 600);
    EXPECT_GT(of_many, 560);
    EXPECT_EQ(list->names.size(), 602u);  // the files are there, below "$lost"
}

TEST_P(Ext, AFolderThatStandsInTwoPlacesIsListedOnce) {
    must("mkdir -p t/a/b && echo x > t/a/b/f", dir_.path().string());
    make("2M");
    must("debugfs -w -R 'ln /a /a/b/again' i", dir_.path().string());
    const auto list = list_file(dir_ / "i");
    EXPECT_EQ(list->paths(), (std::vector<std::string>{"a", "a/b", "a/b/again", "a/b/f", "lost+found"}));
    EXPECT_EQ(list->findings.count("directory_loop"), 1u);
}

TEST_P(Ext, ANameWithoutAnInodeInUseIsAFinding) {
    must("mkdir t && echo x > t/lost && echo y > t/kept", dir_.path().string());
    make("2M");
    must("debugfs -w -R 'clri /lost' i", dir_.path().string());
    const auto list = list_file(dir_ / "i");
    EXPECT_EQ(list->paths(), (std::vector<std::string>{"kept", "lost+found"}));
    ASSERT_EQ(list->findings.count("inode_unreadable"), 1u);
    EXPECT_NE(list->findings.findings[0].evidence.find("\"path\":\"lost\""), std::string::npos);
}

TEST_P(Ext, FilesOutliveTheBitmapOfTheirInodes) {
    must("mkdir t && echo kept > t/kept", dir_.path().string());
    make("2M");
    const std::string stats = must("dumpe2fs i 2>/dev/null | grep -m1 'Inode bitmap at'", dir_.path().string());
    const size_t block = std::stoul(stats.substr(stats.find("Inode bitmap at") + 16));
    std::string image = read_file(dir_ / "i");
    image.replace(block * 1024, 1024, std::string(1024, '\0'));
    const auto list = list_bytes(image);
    EXPECT_EQ(list->content("kept"), "kept\n");
    // Where the bitmap has a checksum it is known to say nothing.
    EXPECT_TRUE(list->findings.has(has_extents() ? "checksum_failed" : "inode_marked_free"));
}

// Found by fuzzing: the sector may hold an older superblock, and everything would be looked for in the wrong place.
TEST_P(Ext, ASuperblockThatWasNotReadIsNotBelieved) {
    must("mkdir t && echo kept > t/kept", dir_.path().string());
    make("2M");
    const auto source = memory_image(read_file(dir_ / "i"));
    FindingList findings;
    const auto detection = detect_volumes(*source, findings);
    ASSERT_OK(detection);
    ReaderOptions options;
    options.unread = std::make_shared<std::vector<UnreadRange>>(std::vector<UnreadRange>{{{1024, 512}, Cause::BAD_SECTOR}});
    const auto reader = open_reader(*source, detection->volumes.at(0), options, findings);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code, ErrorCode::unsupported);
    EXPECT_NE(why(reader).find("not read from the medium"), std::string::npos) << why(reader);
}

TEST_P(Ext, ANameWithASlashInItCannotLeaveItsFolder) {
    must("mkdir t && echo x > t/.._.._etc", dir_.path().string());
    make("2M");
    std::string image = read_file(dir_ / "i");
    const size_t at = image.find(".._.._etc");
    ASSERT_NE(at, std::string::npos);
    image.replace(at, 9, "../../etc");
    const auto list = list_bytes(image);
    EXPECT_EQ(list->paths(), (std::vector<std::string>{".._.._etc", "lost+found"}));
    EXPECT_TRUE(list->findings.has("name_invalid"));
}

TEST_P(Ext, TheMetadataThatAFilesBlocksDependOnIsKnown) {
    must("mkdir t", dir_.path().string());
    // Every second block of 1 KiB: more pieces than an inode holds.
    make_pieces(dir_ / "t/f", 151);
    make("8M");
    const std::string original = read_file(dir_ / "i");
    const auto list = list_bytes(original);
    EXPECT_EQ(list->content("f"), read_file(dir_ / "t/f"));
    // What debugfs shows beside the data: the blocks of pointers, or the extent tree's.
    std::vector<uint64_t> all = numbers(debugfs("blocks /f"));
    std::vector<uint64_t> metadata;
    for (const uint64_t block : all) {
        const bool is_data = std::any_of(list->at("f").extents.begin(), list->at("f").extents.end(), [&](const Extent& e) {
            return e.kind == ExtentKind::data && e.image_offset <= block * 1024 && block * 1024 < e.image_offset + e.length;
        });
        if (!is_data) metadata.push_back(block);
    }
    if (!has_extents()) {
        ASSERT_FALSE(metadata.empty());
        for (const uint64_t block : metadata) {
            EXPECT_TRUE(std::any_of(list->at("f").extents.begin(), list->at("f").extents.end(), [&](const Extent& e) {
                return e.kind == ExtentKind::opaque && e.image_offset == block * 1024 && e.length == 1024;
            })) << block;
        }
        return;
    }
    // An extent tree tells damage itself: of a whole node, and of a part in the middle of one.
    const std::string dump = debugfs("ex /f");
    std::istringstream lines(dump);
    std::string line;
    uint64_t leaf = 0;
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string a, b, level_end, slash;
        int level = -1;
        if (fields >> level && level == 0) {  // " 0/ 1   1/  2     0 -  201   13123         202"
            std::string rest;
            std::getline(fields, rest);
            const auto dash = rest.find('-');
            std::istringstream tail(rest.substr(dash + 1));
            uint64_t last = 0;
            tail >> last >> leaf;
            break;
        }
    }
    ASSERT_NE(leaf, 0u) << dump;
    for (const auto& [at, length] : {std::pair<size_t, size_t>{0, 1024}, {256, 256}}) {
        std::string image = original;
        image.replace(leaf * 1024 + at, length, std::string(length, '\0'));
        const auto damaged = list_bytes(image);
        ASSERT_FALSE(damaged->at("f").faults.empty()) << at;
        EXPECT_EQ(damaged->at("f").faults[0].cause, Cause::CHECKSUM);
        EXPECT_EQ(damaged->at("f").faults[0].file_offset, 0u);
    }
    // And without checksums.
    must("tune2fs -O ^metadata_csum i", dir_.path().string());
    const std::string unchecked = read_file(dir_ / "i");
    for (const auto& [at, length] : {std::pair<size_t, size_t>{0, 1024}, {256, 256}}) {
        std::string image = unchecked;
        image.replace(leaf * 1024 + at, length, std::string(length, '\0'));
        const auto damaged = list_bytes(image);
        ASSERT_FALSE(damaged->at("f").faults.empty()) << at;
        EXPECT_EQ(damaged->at("f").faults[0].cause, Cause::FS_CORRUPT);
        EXPECT_EQ(damaged->at("f").faults[0].file_offset == 0, at == 0);
    }
}

TEST(Ext4, UnwrittenExtentsAreHolesWhateverTheirBlocksHold) {
    TempDir dir;
    must(
        "mkdir t && head -c 4096 /dev/urandom > t/f && mkfs.ext4 -q -F -b 1024 -d t i 4M && debugfs -w -R 'fallocate /f 4 99' i "
        "&& "
        "debugfs -w -R 'sif /f size 102400' i",
        dir.path().string());
    std::string image = read_file(dir / "i");
    std::istringstream blocks(must("debugfs -R 'bmap /f 50' i 2>/dev/null", dir.path().string()));
    uint64_t block = 0;
    ASSERT_TRUE(blocks >> block);
    ASSERT_NE(block, 0u);
    image.replace(block * 1024, 1024, std::string(1024, 'G'));
    const auto list = list_bytes(image);
    EXPECT_EQ(list->at("f").size, 102400u);
    const std::string written = read_file(dir / "t/f");
    EXPECT_EQ(list->content("f"), written + std::string(102400 - written.size(), '\0'));
    EXPECT_TRUE(list->at("f").faults.empty());
}

TEST(Ext4, TimesHaveTheirNanoseconds) {
    TempDir dir;
    must(
        "mkdir t && echo x > t/f && mkfs.ext4 -q -F -I 256 -d t i 4M && debugfs -w -R 'sif /f mtime_extra 2000000000' i && "
        "debugfs -w -R 'sif /f mtime 1000' i",
        dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->at("f").mtime_ns, 500'000'000);
    EXPECT_EQ(list->at("f").mtime, 1000);
}

TEST(Ext4, InlineDataIsReadThroughTheReader) {
    TempDir dir;
    must("mkdir t && printf 'forty bytes of text, kept in the inode.' > t/f && mkfs.ext4 -q -F -I 256 -O inline_data -d t i 4M",
         dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->at("f").access, ContentAccess::through_reader);
    EXPECT_EQ(list->content("f"), "forty bytes of text, kept in the inode.");
}

TEST(Ext2, AnIndirectBlockOfZerosIsNotAHole) {
    TempDir dir;
    must("mkdir t && truncate -s 400K t/sparse && printf end >> t/sparse", dir.path().string());
    write_file(dir / "t/f", chosen_bytes(1, 600'000));
    must("mkfs.ext2 -q -F -b 1024 -d t i 4M", dir.path().string());
    const std::string whole = read_file(dir / "i"), stat = must("debugfs -R 'stat /f' i 2>/dev/null", dir.path().string());
    for (const char* level : {"(IND):", "(DIND):"}) {
        std::string image = whole;
        image.replace(std::stoull(stat.substr(stat.find(level) + std::string(level).size())) * 1024, 1024, std::string(1024, '\0'));
        const auto list = list_bytes(image);
        ASSERT_FALSE(list->at("f").faults.empty()) << level;
        EXPECT_EQ(list->at("f").faults[0].cause, Cause::FS_CORRUPT);
        EXPECT_TRUE(list->at("sparse").faults.empty());
    }
}

TEST(Ext2, NamesBehindDamageInADirectoryBlockAreFoundAgain) {
    TempDir dir;
    must("mkdir -p t/d && for i in $(seq 10 70); do echo $i > t/d/name_$i; done && mkfs.ext2 -q -F -b 4096 -d t i 4M", dir.path().string());
    std::string image = read_file(dir / "i");
    std::istringstream blocks(must("debugfs -R 'bmap /d 0' i 2>/dev/null", dir.path().string()));
    uint64_t block = 0;
    ASSERT_TRUE(blocks >> block);
    for (const std::string& damage : {std::string(512, '\0'), chosen_bytes(5, 512)}) {
        std::string damaged = image;
        damaged.replace(block * 4096, 512, damage);
        const auto list = list_bytes(damaged);
        EXPECT_TRUE(list->findings.has("directory_unreadable"));
        const auto named = std::count_if(list->names.begin(), list->names.end(), [](const auto& name) { return name.first.starts_with("d/name_"); });
        EXPECT_GE(named, 30);  // 61 entries of 16 bytes, of which 512 bytes hold 30
        EXPECT_LT(named, 61);
        for (const auto& [path, ino] : list->names) {
            if (path.starts_with("d/name_")) {
                EXPECT_EQ(list->content(list->inodes.at(ino)), path.substr(7) + "\n");
            }
        }
    }
    const auto unread = list_with_unread(image, {{block * 4096, 512}});
    EXPECT_TRUE(unread->has("d/name_70"));
    EXPECT_FALSE(unread->has("d/name_10"));
}

TEST(Ext2, TheFirstRevisionIsRead) {
    TempDir dir;
    must("mkdir t && head -c 30000 /dev/urandom > t/f && mkfs.ext2 -q -F -r 0 -b 1024 -d t i 2M", dir.path().string());
    const auto list = list_file(dir / "i");
    EXPECT_EQ(list->paths(), (std::vector<std::string>{"f", "lost+found"}));
    EXPECT_EQ(list->content("f"), read_file(dir / "t/f"));
}

TEST(Ext2, TheSameInodeNumberInTwoPartitionsIsTwoFiles) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    must(
        "mkdir a b && echo first > a/file && echo second > b/file && mkfs.ext2 -q -F -d a fa 2M && mkfs.ext2 -q -F -d b fb 2M && "
        "truncate -s 8M i && "
        "printf 'label: dos\\nstart=2048,size=4096\\nstart=8192,size=4096\\n' | sfdisk -q i",
        dir.path().string());
    std::string image = read_file(dir / "i");
    image.replace(2048 * 512, 2 << 20, read_file(dir / "fa"));
    image.replace(8192 * 512, 2 << 20, read_file(dir / "fb"));
    const auto one = list_bytes(image, 1), two = list_bytes(image, 2);
    EXPECT_EQ(one->at("file").ino, two->at("file").ino);
    EXPECT_EQ(one->content("file"), "first\n");
    EXPECT_EQ(two->content("file"), "second\n");
}

TEST(Ext2, AHostileFileThatCrossesItselfEnds) {
    TempDir dir;
    must("mkdir t && head -c 300000 /dev/zero | tr '\\0' x > t/f && mkfs.ext2 -q -F -b 1024 -d t i 2M", dir.path().string());
    std::istringstream blocks(must("debugfs -R 'bmap /f 12' i 2>/dev/null", dir.path().string()));
    uint64_t block = 0;
    ASSERT_TRUE(blocks >> block);
    // A block of pointers to itself as the triple indirect one, and the largest size.
    must("debugfs -w -R 'sif /f block[TIND] " + std::to_string(block) + "' i && debugfs -w -R 'sif /f size 17179869184' i",
         dir.path().string());
    std::string image = read_file(dir / "i");
    for (size_t i = 0; i < 1024; i += 4)
        for (size_t k = 0; k < 4; ++k) image[block * 1024 + i + k] = static_cast<char>(block >> (8 * k));
    const auto list = list_bytes(image);
    EXPECT_FALSE(list->at("f").faults.empty());
}

}  // namespace
}  // namespace ntt::test
