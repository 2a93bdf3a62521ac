// ISO 9660 with and without its extensions, compared with the tree that the disc was made from.
#include "fs/tsk/iso9660_directory.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <set>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

class Iso9660 : public testing::Test {
protected:
    void SetUp() override {
        if (!have_tool("genisoimage")) GTEST_SKIP() << "needs the tool genisoimage";
        must("mkdir -p t/folder/inner", dir_.path().string());
        write_file(dir_ / "t/folder/inner/A long name, with ünïcode.text", chosen_bytes(1, 5'000));
        write_file(dir_ / "t/small.txt", "small");
        write_file(dir_ / "t/empty.txt", "");
        must("touch -d '2001-02-03 04:05:06 UTC' t/small.txt", dir_.path().string());
    }
    std::unique_ptr<Listing> make(const std::string& options) {
        must("genisoimage -quiet " + options + " -o i t", dir_.path().string());
        return list_file(dir_ / "i");
    }
    TempDir dir_;
};

TEST_F(Iso9660, RockRidgeGivesNamesModesLinksAndTimes) {
    must(
        "ln -s 'folder/inner/A long name, with ünïcode.text' t/link && ln -s ../../a/./b t/up && ln -s /root/x t/abs && chmod "
        "640 t/small.txt",
        dir_.path().string());
    for (const char* options : {"-R", "-R -J", "-R -D -T"}) {
        SCOPED_TRACE(options);
        const auto list = make(options);
        EXPECT_EQ(list->volume.view, "rockridge");
        size_t count = 0;
        for (const auto& entry : fs::recursive_directory_iterator(dir_ / "t")) {
            const std::string path = entry.path().lexically_relative(dir_ / "t").string();
            SCOPED_TRACE(path);
            ++count;
            const InodeEntry& inode = list->at(path);
            struct stat st {};
            ASSERT_EQ(lstat(entry.path().c_str(), &st), 0);
            EXPECT_EQ(inode.mode, static_cast<int>(st.st_mode));
            EXPECT_EQ(inode.mtime, st.st_mtime);
            if (S_ISREG(st.st_mode)) {
                EXPECT_EQ(list->content(path), read_file(entry.path().string()));
            }
            if (S_ISLNK(st.st_mode)) {
                EXPECT_EQ(inode.target, fs::read_symlink(entry.path()).string());
            }
        }
        EXPECT_GE(list->names.size(), count);
        EXPECT_TRUE(list->findings.findings.empty());
    }
}

TEST_F(Iso9660, FoldersThatLieTooDeepForTheDiscStandWhereTheyBelong) {
    must("mkdir -p t/1/2/3/4/5/6/7/8/9/10 && echo deep > t/1/2/3/4/5/6/7/8/9/10/file", dir_.path().string());
    const auto list = make("-R");
    EXPECT_EQ(list->content("1/2/3/4/5/6/7/8/9/10/file"), "deep\n");
    for (const auto& [path, ino] : list->names)
        EXPECT_EQ(std::count(path.begin(), path.end(), '/') > 0 && path.rfind("rr_moved/", 0) == 0, false) << path;
}

TEST_F(Iso9660, LongNamesAndLinksThatNeedContinuationAreWhole) {
    const std::string name(240, 'n'), target = std::string(200, 'a') + "/" + std::string(200, 'b') + "/" + std::string(100, 'c');
    write_file(dir_ / ("t/" + name), "x");
    NTT_NEED_TOOL("xorriso");  // genisoimage cuts such a link
    must("ln -s " + target + " t/long_link && xorriso -as mkisofs -quiet -o i t", dir_.path().string());
    const auto list = list_file(dir_ / "i");
    EXPECT_EQ(list->content(name), "x");
    EXPECT_EQ(list->at("long_link").target, target);
}

TEST_F(Iso9660, JolietGivesItsNames) {
    const auto list = make("-J");
    EXPECT_EQ(list->volume.view, "joliet");
    EXPECT_EQ(list->content("folder/inner/A long name, with ünïcode.text"), chosen_bytes(1, 5'000));
    EXPECT_EQ(list->at("small.txt").mtime, std::stol(must("date -u -d '2001-02-03 04:05:06' +%s")));
}

TEST_F(Iso9660, PlainNamesComeWithoutTheirVersion) {
    const auto list = make("-iso-level 1");
    EXPECT_EQ(list->volume.view, "iso9660");
    EXPECT_EQ(list->content("SMALL.TXT"), "small");
    EXPECT_EQ(list->at("EMPTY.TXT").size, 0u);
    EXPECT_EQ(list->names.size(), 5u);
}

TEST_F(Iso9660, TimesDoNotDependOnTheZoneOfThisComputer) {
    const char* before = getenv("TZ");
    const std::string kept = before ? before : "";
    setenv("TZ", "America/Guatemala", 1);
    tzset();
    const auto list = make("-R");
    EXPECT_EQ(list->at("small.txt").mtime, std::stol(must("date -u -d '2001-02-03 04:05:06' +%s")));
    before ? setenv("TZ", kept.c_str(), 1) : unsetenv("TZ");
    tzset();
}

TEST_F(Iso9660, AnUnreadSectorOfAFolderIsAFindingAndHidesOnlyItsOwnNames) {
    must("mkdir t/many && cd t/many && for i in $(seq 100); do echo $i > file_$i.txt; done", dir_.path().string());
    must("genisoimage -quiet -R -o i t", dir_.path().string());
    std::string image = read_file(dir_ / "i");
    const auto whole = list_bytes(image);
    // A record's number is its place: the sector of one in the middle.
    const auto sector = static_cast<size_t>(whole->at("many/file_50.txt").ino) / 2048 * 2048;
    image.replace(sector, 2048, std::string(2048, '\0'));
    const auto list = list_bytes(image);
    ASSERT_EQ(list->findings.count("directory_unreadable"), 1u);
    EXPECT_NE(list->findings.findings[0].evidence.find("\"path\":\"many\""), std::string::npos);
    EXPECT_LT(list->names.size(), whole->names.size());
    EXPECT_GT(list->names.size(), whole->names.size() - 30);
}

// What the path tables say: where each folder begins, in blocks, with its number from 0 on.
std::vector<size_t> folders_in_path_table(const std::string& image, size_t descriptor) {
    const auto le32 = [&](size_t at) {
        size_t out = 0;
        for (size_t i = 4; i-- > 0;) out = out << 8 | static_cast<uint8_t>(image[at + i]);
        return out;
    };
    std::vector<size_t> out;
    const size_t begin = le32(descriptor + 140) * 2048, end = begin + le32(descriptor + 132);
    for (size_t at = begin; at < end;) {
        const size_t length = static_cast<uint8_t>(image[at]);
        out.push_back(le32(at + 2));
        at += 8 + length + length % 2;
    }
    return out;
}

TEST_F(Iso9660, FoldersBelowSeveralThatAreLostAreReachedByThePathTable) {
    TempDir dir;
    must("mkdir -p t/A/B/C", dir.path().string());
    std::map<std::string, std::string> contents;
    for (const char* const folder : {"", "A/", "A/B/", "A/B/C/"})
        for (int i = 0; i < 4; ++i) {
            const std::string path = std::string(folder) + "F" + std::to_string(i) + ".BIN";
            contents[path] = chosen_bytes(static_cast<uint32_t>(contents.size()), 2500);
            write_file(dir / ("t/" + path), contents[path]);
        }
    for (const char* const maker : {"genisoimage -quiet -l", "genisoimage -quiet -J", "genisoimage -quiet -R", "xorriso -as mkisofs -quiet -R"}) {
        if (!have_tool(std::string(maker).substr(0, std::string(maker).find(' ')))) continue;
        must(std::string(maker) + " -o i t", dir.path().string());
        const std::string image = read_file(dir / "i");
        const bool joliet = std::string(maker).ends_with("J");
        const auto folders = folders_in_path_table(image, (joliet ? 17 : 16) * 2048);
        ASSERT_EQ(folders.size(), 4u);
        // How many of the first folders are lost; what is in the others stays.
        for (const size_t lost : {1u, 2u, 3u})
            for (const char fill : {'\0', '\xA5'}) {
                SCOPED_TRACE(std::string(maker) + " " + std::to_string(lost) + " " + std::to_string(static_cast<int>(fill)));
                std::string damaged = image;
                for (size_t i = 0; i < lost; ++i) damaged.replace(folders[i] * 2048, 2048, std::string(2048, fill));
                std::unique_ptr<Listing> list = list_bytes(damaged);
                std::set<std::string> whole;
                for (const auto& [path, content] : contents)
                    if (list->has(path)) {
                        EXPECT_EQ(list->content(path), content) << path;
                        whole.insert(path);
                    }
                EXPECT_EQ(whole.size(), 16 - 4 * lost);
                EXPECT_EQ(list->findings.count("directory_unreadable"), lost);
            }
        // Where the tables differ, a folder that is lost itself is not believed.
        if (joliet) continue;
        std::string damaged = image;
        for (size_t i = 0; i < 2; ++i) damaged.replace(folders[i] * 2048, 2048, std::string(2048, '\0'));
        const size_t big = (static_cast<uint8_t>(image[16 * 2048 + 150]) * 256u + static_cast<uint8_t>(image[16 * 2048 + 151])) * 2048;
        damaged[damaged.find('A', big)] = 'Z';
        EXPECT_FALSE(list_bytes(damaged)->has("A"));
    }
}

TEST_F(Iso9660, AFolderThatBeginsInsideAnotherOneNamesNothingTwice) {
    must("mkdir t/many && cd t/many && for i in $(seq 100); do echo $i > file_$i.txt; done", dir_.path().string());
    must("genisoimage -quiet -R -o i t", dir_.path().string());
    std::string image = read_file(dir_ / "i");
    const auto whole = list_bytes(image);
    // "folder" is made to be the third sector of "many"; block and size stand at 2 and 10 of a record, in both orders.
    const auto folder = static_cast<size_t>(whole->at("folder").ino), many = static_cast<size_t>(whole->at("many").ino);
    ASSERT_LT(image[many + 2], 100);
    image[folder + 2] = image[folder + 9] = static_cast<char>(image[many + 2] + 2);
    const auto list = list_bytes(image);  // fails at an inode that comes twice
    EXPECT_TRUE(list->findings.has("directory_loop"));
    EXPECT_EQ(list->names.size(), whole->names.size() + 1) << "the folder's own place is in the path table, under its plain name";
    EXPECT_TRUE(list->findings.has("directory_by_path_table"));
    EXPECT_TRUE(list->findings.has("directory_unreadable"));
}

TEST_F(Iso9660, AFileInSeveralRecordsIsOneFile) {
    // A sector by hand: "BIG.BIN;1" twice, the first one with the flag that more follows.
    std::string sector(2048, '\0');
    for (size_t i = 0; i < 2; ++i) {
        const size_t at = i * 42;
        sector[at] = 42;
        sector[at + 2] = static_cast<char>(40 + i);
        sector[at + 11] = 8;  // 2048 bytes
        sector[at + 25] = static_cast<char>(i == 0 ? 0x80 : 0);
        sector[at + 32] = 9;
        sector.replace(at + 33, 9, "BIG.BIN;1");
    }
    std::vector<IsoRecord> records;
    EXPECT_TRUE(read_iso_directory_sector(as_bytes(sector), 0, true, {}, records));
    ASSERT_EQ(records.size(), 2u);
    EXPECT_TRUE(records[0].more_follow);

    must("genisoimage -quiet -o i t", dir_.path().string());
    std::string image = read_file(dir_ / "i");
    const size_t root =
        size_t{static_cast<uint8_t>(image[32768 + 158])} * 2048 + size_t{static_cast<uint8_t>(image[32768 + 159])} * 2048 * 256;
    image.replace(root + 68, 84, sector.substr(0, 84));  // behind "." and ".."
    const auto list = list_bytes(image);
    EXPECT_EQ(list->at("BIG.BIN").size, 4096u);
    EXPECT_EQ(list->content("BIG.BIN"), image.substr(40 * 2048, 4096));
}

TEST_F(Iso9660, RecordsBehindAHoleInTheirSectorAreFoundAgainAndTheHoleIsAFinding) {
    must("mkdir -p t/many && for i in $(seq 100 180); do echo $i > t/many/name_$i; done && genisoimage -quiet -R -o i t", dir_.path().string());
    const auto whole = list_file(dir_ / "i");
    EXPECT_TRUE(whole->findings.findings.empty());
    std::string image = read_file(dir_ / "i");
    const auto record = static_cast<size_t>(whole->at("many").ino);
    const size_t many = static_cast<uint8_t>(image[record + 2]) * size_t{2048} + static_cast<uint8_t>(image[record + 3]) * size_t{2048} * 256;
    for (const size_t hole : {many + 512, many + 1536}) {  // in the middle of the first sector, and its end
        std::string damaged = image;
        damaged.replace(hole, 512, std::string(512, '\0'));
        const auto list = list_bytes(damaged);
        EXPECT_NE(list->evidence("directory_unreadable").find("many"), std::string::npos) << hole;
        const auto names = std::count_if(list->names.begin(), list->names.end(), [](const auto& name) { return name.first.starts_with("many/"); });
        EXPECT_GE(names, 81 - 8) << hole;
        EXPECT_LT(names, 81) << hole;
        for (const auto& [path, ino] : list->names)
            if (path.starts_with("many/") && path.find("__") == std::string::npos) {  // a record that lost its Rock Ridge part has its plain name
                EXPECT_EQ(list->content(list->inodes.at(ino)), path.substr(10) + "\n");
            }
    }
}

TEST(IsoDirectory, DamagedSectorsAreToldFromSoundOnes) {
    std::vector<IsoRecord> records;
    EXPECT_FALSE(read_iso_directory_sector(as_bytes(std::string(2048, '\0')), 0, false, {}, records));
    EXPECT_FALSE(read_iso_directory_sector(as_bytes(std::string(2048, '\xF6')), 0, false, {}, records));
    EXPECT_FALSE(read_iso_directory_sector(as_bytes(chosen_bytes(3, 2048)), 0, false, {}, records));
}

}  // namespace
}  // namespace ntt::test
