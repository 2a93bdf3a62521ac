// Sound volumes: what the reader gives is what mtools gives.
#include <gmock/gmock.h>

#include <set>

#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

using ::testing::ElementsAre;

struct Format {
    std::string name, make;
    int fat_bits;
};
void PrintTo(const Format& format, std::ostream* out) { *out << format.name; }

class Formats : public ::testing::TestWithParam<Format> {};

TEST_P(Formats, GivesTheFilesThatMtoolsGives) {
    NTT_NEED_TOOL("mcopy");
    NTT_NEED_TOOL("mkfs.fat");
    FatMaker maker(GetParam().make);
    maker.make_dir("SUB");
    maker.make_dir("SUB/A longer name of a folder");
    uint32_t seed = 0;
    for (const size_t size : {0u, 1u, 511u, 512u, 513u, 4096u, 20000u, 70001u}) {
        maker.put("F" + std::to_string(size), chosen_bytes(++seed, size));
        maker.put("SUB/A longer name of a folder/Gr\u00fc\u00dfe " + std::to_string(size) + ".text", chosen_bytes(++seed, size));
    }
    maker.run("mdel -i IMG ::F4096 ::F20000");
    maker.put("fragmented.bin", chosen_bytes(99, 150000));
    maker.run("for i in $(seq 0 99); do echo $i > N$i.TXT; done; mcopy -i IMG N*.TXT ::SUB");

    const std::string image = maker.image();
    const Listing listing = list_fat(image);
    ASSERT_OK(listing.outcome);
    EXPECT_EQ(listing.detail["fat_bits"], GetParam().fat_bits);
    EXPECT_EQ(listing.all_findings(), "");
    expect_covered(listing);
    const auto expected = maker.oracle();
    ASSERT_EQ(expected.size(), 115u);
    size_t files = 0;
    for (const NameEntry& name : listing.names) {
        const InodeEntry& inode = listing.at(name.path);
        if (inode.fs_type == 'd') continue;
        ++files;
        const auto found = expected.find(name.path);
        ASSERT_NE(found, expected.end()) << name.path;
        EXPECT_EQ(inode.size, found->second.size()) << name.path;
        EXPECT_TRUE(content(image, inode) == found->second) << name.path;
        EXPECT_TRUE(inode.faults.empty()) << name.path;
    }
    EXPECT_EQ(files, expected.size());
    EXPECT_GE(listing.detail["deleted_entries"], 1);
}

INSTANTIATE_TEST_SUITE_P(Fat, Formats,
                         ::testing::Values(Format{"Floppy1440", "mformat -C -f 1440 -i IMG ::", 12},
                                           Format{"Floppy720", "mformat -C -f 720 -i IMG ::", 12},
                                           Format{"Floppy2880", "mformat -C -f 2880 -i IMG ::", 12},
                                           Format{"AtariFloppy", "mkfs.fat -A -C IMG 720", 12},
                                           Format{"OneFat", "mkfs.fat -f 1 -F 16 -C IMG 16384", 16},
                                           Format{"FourFats", "mkfs.fat -f 4 -F 16 -C IMG 16384", 16},
                                           Format{"Fat16", "mkfs.fat -F 16 -C IMG 32768", 16},
                                           Format{"Clusters64K", "mkfs.fat -F 12 -s 128 -C IMG 20000", 12},
                                           Format{"Fat16OddRoot", "mkfs.fat -F 16 -r 500 -C IMG 16384", 16},
                                           Format{"Fat32", "mkfs.fat -F 32 -s 1 -C IMG 40000", 32},
                                           Format{"Sectors4096", "mkfs.fat -S 4096 -F 16 -s 1 -C IMG 65536", 16},
                                           Format{"Clusters256K", "mkfs.fat -S 4096 -s 64 -F 12 -C IMG 48000", 12}),
                         [](const auto& name) { return name.param.name; });

TEST(FatReader, ListsParentsBeforeChildrenAndEntriesInTheOrderOfTheDisk) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("Z.TXT", "z");
    maker.make_dir("D");
    maker.put("A.TXT", "a");
    maker.make_dir("C");
    maker.put("D/Y.TXT", "y");
    maker.make_dir("D/E");
    maker.put("D/E/X.TXT", "x");
    maker.put("C/W.TXT", "w");
    EXPECT_THAT(list_fat(maker.image()).paths(),
                ElementsAre("Z.TXT", "D", "A.TXT", "C", "D/Y.TXT", "D/E", "D/E/X.TXT", "C/W.TXT"));
}

TEST(FatReader, NumbersInodesByThePlaceOfTheirEntryInTheVolume) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("ONE.TXT", "1");
    maker.make_dir("SUB");
    maker.put("SUB/TWO.TXT", "2");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.name("ONE.TXT").ino, static_cast<int64_t>(patch.find("ONE     TXT") / 32));
    EXPECT_EQ(listing.name("SUB/TWO.TXT").ino, static_cast<int64_t>(patch.find("TWO     TXT") / 32));
    EXPECT_EQ(listing.at("SUB/TWO.TXT").fs_ino, std::to_string(listing.name("SUB/TWO.TXT").ino));

    // The same volume behind 16384 bytes, as on a Zip disk: same numbers, other places.
    const Listing shifted = list_fat(std::string(16384, '\0') + image, {16384, {}});
    EXPECT_EQ(shifted.name("SUB/TWO.TXT").ino, listing.name("SUB/TWO.TXT").ino);
    ASSERT_EQ(shifted.at("ONE.TXT").extents.size(), 1u);
    EXPECT_EQ(shifted.at("ONE.TXT").extents[0].image_offset, listing.at("ONE.TXT").extents[0].image_offset + 16384);
}

TEST(FatReader, MergesClustersThatFollowEachOtherAndClipsTheLastToTheSize) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("A.BIN", chosen_bytes(1, 5000));
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const InodeEntry inode = list_fat(image).at("A.BIN");
    EXPECT_THAT(inode.extents,
                ElementsAre(Extent{0, patch.cluster_offset(patch.start_of("A       BIN")), 5000, ExtentKind::data}));
}

TEST(FatReader, GivesTheSameListingTwice) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("A.BIN", "a");
    maker.make_dir("SUB");
    const auto source = memory_image(maker.image());
    Volume volume;
    volume.size_bytes = source->size_bytes();
    Listing first, second;
    const CancelToken cancel;
    ASSERT_OK_ASSIGN(const auto reader, open_fat(*source, volume, {}, first));
    ASSERT_OK(reader->list(first, cancel));
    ASSERT_OK(reader->list(second, cancel));
    EXPECT_EQ(first.paths(), second.paths());
    EXPECT_EQ(second.all_findings(), "");
}

TEST(FatReader, EndsWithCancelledWhenCancelled) {
    NTT_NEED_TOOL("mformat");
    const auto source = memory_image(FatMaker::floppy().image());
    Volume volume;
    Listing listing;
    ASSERT_OK_ASSIGN(const auto reader, open_fat(*source, volume, {}, listing));
    CancelToken cancel;
    cancel.cancel();
    const auto outcome = reader->list(listing, cancel);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
}

TEST(FatReader, GivesTimesInUtcByTheConfiguredZone) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.run("printf x > f && touch -d '1994-06-15 12:34:56' f && mcopy -m -i IMG f ::F.TXT");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const size_t entry = patch.find("F       TXT");
    patch.put16(entry + 14, 0x6000 | 30 << 5 | 1);  // created 12:30:02 …
    image[entry + 13] = static_cast<char>(150);     // … and 1.5 s
    patch.put16(entry + 16, (1994 - 1980) << 9 | 6 << 5 | 14);
    patch.put16(entry + 18, (1994 - 1980) << 9 | 6 << 5 | 16);
    const auto seconds = [](const std::string& date) { return std::stoll(must("date -u +%s -d '" + date + "'")); };

    const InodeEntry utc = list_fat(image).at("F.TXT");
    EXPECT_EQ(utc.mtime, seconds("1994-06-15 12:34:56"));
    EXPECT_EQ(utc.crtime, seconds("1994-06-14 12:30:03"));
    EXPECT_EQ(utc.atime, seconds("1994-06-16 00:00:00"));
    EXPECT_FALSE(utc.ctime.has_value());

    ReaderOptions berlin;
    berlin.fat_timezone = "Europe/Berlin";
    const Listing listing = list_fat(image, {0, berlin});
    EXPECT_EQ(listing.at("F.TXT").mtime, seconds("1994-06-15 10:34:56"));
    EXPECT_EQ(listing.detail["timezone"], "Europe/Berlin");
}

TEST(FatReader, HasNoTimeForDatesNoCalendarHasAndCountsThem) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (const char* name : {"MONTH13", "DAY31", "FUTURE", "UNSET", "FINE"}) maker.put(name, "x");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    patch.put16(patch.find("MONTH13    ") + 24, 10 << 9 | 13 << 5 | 1);
    patch.put16(patch.find("DAY31      ") + 24, 10 << 9 | 2 << 5 | 31);
    patch.put16(patch.find("FUTURE     ") + 24, static_cast<uint16_t>(121 << 9 | 1 << 5 | 1));
    patch.put16(patch.find("FUTURE     ") + 22, 0);
    for (const size_t field : {16u, 18u, 24u}) patch.put16(patch.find("UNSET      ") + field, 0);
    const Listing listing = list_fat(image);
    EXPECT_FALSE(listing.at("MONTH13").mtime.has_value());
    EXPECT_FALSE(listing.at("DAY31").mtime.has_value());
    EXPECT_FALSE(listing.at("UNSET").mtime.has_value());
    EXPECT_EQ(listing.at("FUTURE").mtime, 4133980800);  // 2101-01-01
    EXPECT_TRUE(listing.at("FINE").mtime.has_value());
    EXPECT_EQ(listing.detail["implausible_dates"], 3);
}

TEST(FatReader, KeepsAttributesAndGivesTheLabelAsDetailOnly) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker("mformat -C -f 1440 -v 'MY DISK' -i IMG ::");
    maker.put("A.TXT", "a");
    maker.run("mattrib -i IMG +h +s +r -a ::A.TXT");
    const Listing listing = list_fat(maker.image());
    EXPECT_THAT(listing.paths(), ElementsAre("A.TXT"));
    EXPECT_EQ(listing.at("A.TXT").attributes, 0x07);
    EXPECT_EQ(listing.at("A.TXT").nlink, 1u);
    EXPECT_FALSE(listing.at("A.TXT").mode.has_value());
    EXPECT_EQ(listing.detail["label"], "MY DISK");
}

TEST(FatReader, CountsDeletedFilesOnceEachAndDoesNotListThem) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("GONE.TXT", "1");
    maker.put("A long name that goes as well.text", "2");
    maker.put("STAYS.TXT", "3");
    maker.run("mdel -i IMG ::GONE.TXT '::A long name that goes as well.text'");
    const Listing listing = list_fat(maker.image());
    EXPECT_THAT(listing.paths(), ElementsAre("STAYS.TXT"));
    EXPECT_EQ(listing.detail["deleted_entries"], 2);
    EXPECT_EQ(listing.all_findings(), "");
}

TEST(FatReader, NeedsNoSignatureAndGoesByTheClustersNotByTheTypeText) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("A.TXT", "content");
    std::string image = maker.image();
    image.replace(510, 2, std::string(2, '\0'));
    image.replace(54, 8, "FAT16   ");
    image[38] = 0x29;
    const Listing listing = list_fat(image);
    ASSERT_OK(listing.outcome);
    EXPECT_EQ(content(image, listing.at("A.TXT")), "content");
    EXPECT_EQ(listing.detail["fat_bits"], 12);
    EXPECT_THAT(listing.detail["oddities"].dump(), ::testing::HasSubstr("FAT16"));
}

TEST(FatReader, RefusesUnknownCodePagesAndZonesAndWhatIsNoFat) {
    NTT_NEED_TOOL("mformat");
    const std::string image = FatMaker::floppy().image();
    ReaderOptions page, zone, climbing;
    page.fat_codepage = "klingon";
    zone.fat_timezone = "Europe/Atlantis";
    climbing.fat_timezone = "../../../etc/passwd";
    for (const ReaderOptions& options : {page, zone, climbing}) {
        const Listing listing = list_fat(image, {0, options});
        ASSERT_FALSE(listing.outcome.ok());
        EXPECT_EQ(listing.outcome.error().code, ErrorCode::invalid_argument);
    }
    for (const std::string& no_fat : {std::string(1 << 20, '\0'), std::string(1 << 20, '\xF6'), std::string(100, 'x')}) {
        const Listing listing = list_fat(no_fat);
        ASSERT_FALSE(listing.outcome.ok());
        EXPECT_EQ(listing.outcome.error().code, ErrorCode::unsupported);
    }
}

TEST(FatReader, UsesTheActiveFatWhereMirroringIsOff) {
    NTT_NEED_TOOL("mkfs.fat");
    FatMaker maker("mkfs.fat -F 32 -s 1 -C IMG 40000");
    maker.put("A.BIN", chosen_bytes(1, 5 * 512));
    std::string image = maker.image();
    FatPatch patch(image, 32);
    const auto chain = patch.chain_of("A       BIN");
    patch.put16(40, 0x0081);            // copy 1 alone is kept
    patch.set_in_copy(chain[1], 0, 0);  // the other one is old
    const Listing listing = list_fat(image);
    EXPECT_TRUE(listing.at("A.BIN").faults.empty());
    EXPECT_EQ(listing.detail["active_fat"], 1);
    EXPECT_EQ(listing.all_findings(), "");
}

TEST(FatReader, ReadsFat32WithFewClustersAsDriversDo) {
    NTT_NEED_TOOL("mkfs.fat");
    NTT_NEED_TOOL("7z");
    FatMaker maker("mkfs.fat -F 32 -s 1 -C IMG 40000");
    maker.make_dir("SUB");
    maker.put("SUB/Long name.text", chosen_bytes(1, 3000));
    std::string image = maker.image();
    // mtools would take it for FAT12 or FAT16, and so cannot make it: the total is reduced by hand, and 7z is the oracle.
    const uint32_t sectors = 2048 + 20000;
    FatPatch(image, 32).put32(32, sectors);
    image.resize(sectors * 512);
    const Listing listing = list_fat(image);
    ASSERT_OK(listing.outcome);
    EXPECT_EQ(listing.detail["fat_bits"], 32);
    EXPECT_THAT(listing.paths(), ElementsAre("SUB", "SUB/Long name.text"));
    const TempDir dir;
    write_file(dir / "image.img", image);
    must("7z x -y -tfat image.img", dir.path());
    EXPECT_TRUE(content(image, listing.at("SUB/Long name.text")) == read_file(dir / "SUB/Long name.text"));
}

TEST(FatReader, GivesTheFilesOfRealImagesAsMtoolsDoes) {
    NTT_NEED_TOOL("mcopy");
    const auto corpus = corpus_dir();
    if (!corpus) GTEST_SKIP() << "no corpus ($NTT_TEST_CORPUS)";
    size_t images = 0;
    for (const char* name :
         {"lde-test.fat", "lde-test.fat16", "lde-test.msdos", "lde-test.vfat", "lde-test.vfat32", "rust-fatfs-fat12.img",
          "rust-fatfs-fat16.img", "sampler-atari-st-floppy.img", "sampler-fat12-floppy.img"}) {
        const std::string packed = (*corpus / (std::string(name) + ".gz")).string();
        if (!std::filesystem::exists(packed)) continue;
        SCOPED_TRACE(name);
        ++images;
        FatMaker maker("gzip -dc " + shell_quoted(packed) + " > IMG");
        const std::string image = maker.image();
        const Listing listing = list_fat(image);
        ASSERT_OK(listing.outcome);
        expect_covered(listing);
        const auto expected = maker.oracle();
        std::set<std::string> expected_paths, paths;
        for (const auto& [path, bytes] : expected) expected_paths.insert(path);
        for (const NameEntry& entry : listing.names) {
            const InodeEntry& inode = listing.at(entry.path);
            if (inode.fs_type == 'd') continue;
            paths.insert(entry.path);
            const auto found = expected.find(entry.path);
            if (found != expected.end()) {
                EXPECT_TRUE(content(image, inode) == found->second) << entry.path;
            }
        }
        EXPECT_EQ(paths, expected_paths);
    }
    if (images == 0) GTEST_SKIP() << "the corpus has no FAT image";
}

}  // namespace
}  // namespace ntt::test
