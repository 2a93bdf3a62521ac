// Damaged directories: what is lost is said, what nobody wrote is not listed, and what can speak for itself is found.
#include <gmock/gmock.h>

#include "fs/fat/directory_sector.h"
#include "fs/fat/table_trust.h"
#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string numbered(int i) { return "F" + std::to_string(i); }

// A/B/C/DEEP.TXT, A/B/MID.TXT and A/TOP.TXT on a floppy.
struct Nested : FatMaker {
    Nested() : FatMaker("mformat -C -f 1440 -i IMG ::") {
        make_dir("A");
        make_dir("A/B");
        make_dir("A/B/C");
        put("A/TOP.TXT", "top");
        put("A/B/MID.TXT", "mid");
        put("A/B/C/DEEP.TXT", chosen_bytes(1, 2000));
    }
};

TEST(FatDirectories, AZeroedSubdirectoryIsNotEmptyAndWhatWasInItIsFoundBelowLost) {
    NTT_NEED_TOOL("mformat");
    Nested maker;
    std::string image = maker.image();
    const FatPatch patch(image, 12);
    const uint32_t a = patch.start_of("A          "), b = patch.start_of("B          ");
    image.replace(patch.cluster_offset(a), 512, std::string(512, '\0'));
    const Listing listing = list_fat(image);
    ASSERT_OK(listing.outcome);
    const std::string lost = "$lost/cluster-" + std::to_string(b);
    EXPECT_THAT(listing.paths(), UnorderedElementsAre("A", lost, lost + "/MID.TXT", lost + "/C", lost + "/C/DEEP.TXT"));
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/A");
    EXPECT_EQ(listing.evidence("directory_unreadable")["kind"], "zeroed");
    EXPECT_EQ(content(image, listing.at(lost + "/C/DEEP.TXT")), chosen_bytes(1, 2000));
    EXPECT_EQ(listing.evidence("lost_clusters")["directories"], 2);  // B, and C below it
    EXPECT_EQ(listing.evidence("lost_clusters")["clusters"], 1 + 1 + 1 + 4 + 1);
    expect_covered(listing);
}

TEST(FatDirectories, AZeroedRootGivesItsSubdirectoriesBack) {
    NTT_NEED_TOOL("mformat");
    NTT_NEED_TOOL("mkfs.fat");
    Nested maker;
    std::string image = maker.image();
    const FatPatch patch(image, 12);
    const uint32_t a = patch.start_of("A          ");
    image.replace(patch.root_offset(), 14 * 512, std::string(14 * 512, '\0'));
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/");
    const std::string lost = "$lost/cluster-" + std::to_string(a);
    EXPECT_THAT(listing.paths(), UnorderedElementsAre(lost, lost + "/TOP.TXT", lost + "/B", lost + "/B/MID.TXT", lost + "/B/C", lost + "/B/C/DEEP.TXT"));
}

TEST(FatDirectories, ADeletedDirectoryIsNoLostOne) {
    NTT_NEED_TOOL("mdeltree");
    Nested maker;
    maker.run("mdeltree -i IMG ::A");
    const Listing listing = list_fat(maker.image());
    EXPECT_TRUE(listing.names.empty());
    EXPECT_EQ(listing.count("lost_clusters"), 0u);
    EXPECT_EQ(listing.count("directory_unreadable"), 0u);
}

TEST(FatDirectories, AGarbageSectorIsSkippedAndTheOthersAreRead) {
    NTT_NEED_TOOL("mformat");
    for (const std::string& garbage : {chosen_bytes(5, 512), std::string("It was the best of times, it was the worst of times, it was the age of wisdom, ") + std::string(433, 'x')}) {
        FatMaker maker = FatMaker::floppy();
        maker.make_dir("D");
        for (int i = 0; i < 60; ++i) maker.put("D/" + numbered(i), numbered(i));
        std::string image = maker.image();
        const FatPatch patch(image, 12);
        const auto chain = patch.chain_of("D          ");
        image.replace(patch.cluster_offset(chain[1]), 512, garbage);
        const Listing listing = list_fat(image);
        EXPECT_EQ(listing.names.size(), 1u + 60 - 16) << listing.all_findings();
        EXPECT_EQ(listing.evidence("directory_unreadable")["kind"], "garbage");
        EXPECT_EQ(listing.evidence("directory_unreadable")["image_offset"], patch.cluster_offset(chain[1]));
        EXPECT_EQ(listing.evidence("lost_clusters")["clusters"], 16);
    }
}

// The image has another floppy's sector where the medium was not read: sound entries that were never on this one.
TEST(FatDirectories, EntriesInSectorsThatWereNotReadAreNotBelieved) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (int i = 0; i < 40; ++i) maker.put(numbered(i), numbered(i));
    const std::string image = maker.image();
    std::string map_says = image;
    const size_t root = FatPatch(map_says, 12).root_offset();
    const Listing listing = list_with_unread(image, {root + 512, 512});
    EXPECT_EQ(listing.names.size(), 40u - 16);
    EXPECT_THAT(listing.paths(), Contains("F39"));
    EXPECT_THAT(listing.paths(), Not(Contains("F20")));
}

TEST(FatDirectories, ASectorThatWasNotReadIsNoEnd) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("D");
    for (int i = 0; i < 60; ++i) maker.put("D/" + numbered(i), numbered(i));
    std::string image = maker.image();
    const FatPatch patch(image, 12);
    const auto chain = patch.chain_of("D          ");
    image.replace(patch.cluster_offset(chain[0]), 512, std::string(512, '\0'));
    const Listing listing = list_with_unread(image, {patch.cluster_offset(chain[0]), 512});
    EXPECT_EQ(listing.names.size(), 1u + 60 - 14);
    EXPECT_EQ(listing.count("directory_unreadable"), 0u) << "that it lies on unread sectors is for the map to say";
}

TEST(FatDirectories, BehindAZeroedSectorEntriesOfFreedOrForeignClustersAreNotListed) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (int i = 0; i < 40; ++i) maker.put(numbered(i), numbered(i));
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const size_t root = patch.root_offset(), thirty_five = patch.find("F35        ");
    patch.set(patch.start_of("F39        "), 0);                                                // freed
    patch.put16(patch.find("F38        ") + 26, static_cast<uint16_t>(patch.start_of("F3         ")));  // another's
    patch.put32(thirty_five + 28, 5000);                                                        // longer than its chain
    image.replace(root + 512, 512, std::string(512, '\0'));
    const auto paths = list_fat(image).paths();
    EXPECT_EQ(paths.size(), 16u + 8 - 3);
    for (const char* gone : {"F39", "F38", "F35"}) EXPECT_THAT(paths, Not(Contains(gone)));
}

TEST(FatDirectories, AnEntryThatLeadsToAnothersClustersTakesNothingFromIt) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("FIRST");
    maker.make_dir("SECOND");
    maker.make_dir("SECOND/IN");
    maker.put("FIRST/ONE.TXT", "one");
    maker.put("SECOND/IN/TWO.TXT", "two");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const uint32_t first = patch.start_of("FIRST      ");
    patch.put16(patch.find("FIRST      ") + 26, static_cast<uint16_t>(patch.start_of("IN         ")));
    const Listing listing = list_fat(image);
    const std::string lost = "$lost/cluster-" + std::to_string(first);
    EXPECT_THAT(listing.paths(), UnorderedElementsAre("FIRST", "SECOND", "SECOND/IN", "SECOND/IN/TWO.TXT", lost, lost + "/ONE.TXT"));
    EXPECT_EQ(listing.evidence("directory_loop")["path"], "/FIRST");
}

TEST(FatDirectories, AFileThatRunsIntoADirectoryIsNamedWhereverItWasListed) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("BEFORE.BIN", chosen_bytes(1, 1500));
    maker.make_dir("D");
    maker.put("D/X.TXT", "x");
    maker.put("BEHIND.BIN", chosen_bytes(2, 1500));
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const uint32_t d = patch.start_of("D          ");
    for (const char* name : {"BEFORE  BIN", "BEHIND  BIN"}) patch.set(patch.chain_of(name)[1], d);
    const Listing listing = list_fat(image);
    const auto ranges = listing.evidence("directory_cross_link")["ranges"];
    ASSERT_EQ(ranges.size(), 1u);
    EXPECT_EQ(ranges[0]["image_offset"], patch.cluster_offset(d));
    EXPECT_EQ(ranges[0]["length"], 512);
}

// Pattern 4 and case N2: dates that cannot be.
TEST(FatDirectories, N2_DatesThatCannotBeAreFindingsAndNoTimes) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (const char* name : {"MONTH0", "MONTH13", "FEB31", "Y2101", "GOOD"}) maker.put(name, "x");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const auto date = [](unsigned year, unsigned month, unsigned day) { return static_cast<uint16_t>((year - 1980) << 9 | month << 5 | day); };
    patch.put16(patch.find("MONTH0     ") + 24, date(1994, 0, 7));
    patch.put16(patch.find("MONTH13    ") + 24, date(1994, 13, 7));
    patch.put16(patch.find("FEB31      ") + 24, date(1994, 2, 31));
    patch.put16(patch.find("Y2101      ") + 24, date(2101, 5, 1));
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.names.size(), 5u);
    EXPECT_EQ(listing.count("implausible_date"), 4u) << listing.all_findings();
    for (const char* none : {"MONTH0", "MONTH13", "FEB31"}) EXPECT_FALSE(listing.at(none).mtime) << none;
    EXPECT_TRUE(listing.at("Y2101").mtime) << "a date, if an unlikely one";
    EXPECT_TRUE(listing.at("GOOD").mtime);
    EXPECT_EQ(listing.evidence("implausible_date")["written"]["reads"], "1994-00-07");
    EXPECT_EQ(listing.detail["implausible_dates"], 4);
}

// A garbage table makes sound chains by chance; none of them may pass for a file's.
TEST(FatTable, OfGarbageIsNotBelieved) {
    NTT_NEED_TOOL("mkfs.fat");
    for (const int bits : {12, 16}) {
        FatMaker maker(bits == 12 ? "mkfs.fat -C -F 12 -s 4 IMG 7000" : "mkfs.fat -C -F 16 -s 4 IMG 20000");
        maker.make_dir("D");
        for (int i = 0; i < 200; ++i) maker.put("D/" + numbered(i), chosen_bytes(static_cast<uint32_t>(i), 2048u + static_cast<uint32_t>(i) * 61));
        const std::string good = maker.image();
        const std::map<std::string, std::string> oracle = maker.oracle();
        std::string copy = good;
        const FatPatch patch(copy, bits);
        const size_t from = patch.fat_offset(0), length = patch.fat_offset(1) - from;
        const std::string garbage = chosen_bytes(7, length);
        // All of the table, and a sector in the middle of what is in use.
        for (const auto& [inverted, first, end] : {std::tuple<bool, size_t, size_t>{true, 0, length}, {false, 0, length}, {true, 512, 1024}, {false, 512, 1024}}) {
            std::string image = good;
            for (const size_t table : {from, from + length})
                for (size_t i = first; i < end && i < length; ++i) image[table + i] = inverted ? static_cast<char>(~good[table + i]) : garbage[i];
            const Listing listing = list_fat(image);
            EXPECT_EQ(listing.count("fat_garbage"), 1u) << bits << " " << inverted << " " << first;
            for (const NameEntry& name : listing.names) {
                const InodeEntry& inode = listing.at(name.path);
                if (inode.fs_type != 'f' || !inode.faults.empty()) continue;
                const auto truth = oracle.find(name.path);
                ASSERT_NE(truth, oracle.end()) << name.path;
                EXPECT_TRUE(content(image, inode) == truth->second) << bits << (inverted ? " inverted " : " garbage ") << name.path;
            }
        }
    }
}

TEST(FatTable, OfAHealthyAndFragmentedVolumeIsBelieved) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (int i = 0; i < 60; ++i) maker.put(numbered(i), chosen_bytes(static_cast<uint32_t>(i), 3000));
    for (int i = 0; i < 60; i += 2) maker.run("mdel -i IMG ::" + numbered(i));
    for (int i = 0; i < 10; ++i) maker.put("G" + std::to_string(i), chosen_bytes(static_cast<uint32_t>(i) + 100, 8000));
    const Listing listing = list_fat(maker.image());
    EXPECT_EQ(listing.count("fat_garbage"), 0u);
    EXPECT_EQ(listing.count("lost_clusters"), 0u);
    for (const InodeEntry& inode : listing.inodes) EXPECT_TRUE(inode.faults.empty());
}

}  // namespace
}  // namespace ntt::test
