// Names: code pages, lower-case bits, long names, and what cannot stand in a path.
#include "fs/fat/names.h"

#include <gmock/gmock.h>

#include <set>

#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using namespace std::string_literals;

class CodePages : public ::testing::TestWithParam<std::string> {};

TEST_P(CodePages, MapEachByteToACharacterOfItsOwn) {
    const CodePage* page = CodePage::find(GetParam());
    ASSERT_NE(page, nullptr);
    std::set<char32_t> characters;
    for (int byte = 0; byte < 256; ++byte) characters.insert(page->to_unicode(static_cast<uint8_t>(byte)));
    EXPECT_EQ(characters.size(), 256u);
    for (uint8_t byte = 0; byte < 0x80; ++byte) EXPECT_EQ(page->to_unicode(byte), byte);
}

TEST_P(CodePages, AgreeWithIconv) {
    NTT_NEED_TOOL("iconv");
    std::string bytes;
    for (int byte = 0x80; byte < 256; ++byte) {
        const bool undefined =
            GetParam() == "cp1252" && (byte == 0x81 || byte == 0x8D || byte == 0x8F || byte == 0x90 || byte == 0x9D);
        if (!undefined) bytes += static_cast<char>(byte);
    }
    const TempDir dir;
    write_file(dir / "bytes", bytes);
    EXPECT_EQ(CodePage::find(GetParam())->to_utf8(as_bytes(bytes)),
              must("iconv -f " + GetParam() + " -t utf-8 bytes", dir.path()));
}

INSTANTIATE_TEST_SUITE_P(Fat, CodePages, ::testing::Values("cp437", "cp850", "cp852", "cp858", "cp1252", "latin1"),
                         [](const auto& name) { return name.param; });

// A floppy with the file PLACEHLD.BIN, and a patch of its entry's bytes.
struct OneFile {
    OneFile() : maker(FatMaker::floppy()) {
        maker.put("PLACEHLD.BIN", "content");
        image = maker.image();
        entry = FatPatch(image, 12).find("PLACEHLDBIN");
    }
    void rename(std::string_view eleven) { image.replace(entry, 11, eleven); }

    FatMaker maker;
    std::string image;
    size_t entry;
};

TEST(FatNames, ShortNamesReadThroughTheCodePageAndKeepTheirBytes) {
    NTT_NEED_TOOL("mformat");
    OneFile file;
    file.rename("NI\xA5O    DOC");
    const Listing listing = list_fat(file.image);
    EXPECT_THAT(listing.paths(), ElementsAre("NI\u00d1O.DOC"));
    EXPECT_EQ(listing.names[0].short_name, "NI\xA5O.DOC");
    ReaderOptions latin1;
    latin1.fat_codepage = "latin1";
    EXPECT_THAT(list_fat(file.image, {0, latin1}).paths(), ElementsAre("NI\u00a5O.DOC"));
}

TEST(FatNames, FirstByte05StandsForE5) {
    NTT_NEED_TOOL("mformat");
    OneFile file;
    file.rename("\x05TE     TXT");
    const Listing listing = list_fat(file.image);
    EXPECT_THAT(listing.paths(), ElementsAre("\u00d5TE.TXT"));
    EXPECT_EQ(listing.names[0].short_name, "\xE5TE.TXT");
    EXPECT_EQ(listing.all_findings(), "");
}

TEST(FatNames, LowerCaseBitsAreObeyed) {
    NTT_NEED_TOOL("mformat");
    OneFile file;
    for (const auto& [bits, expected] : {std::pair<int, std::string>{0x00, "PLACEHLD.BIN"},
                                         {0x08, "placehld.BIN"},
                                         {0x10, "PLACEHLD.bin"},
                                         {0x18, "placehld.bin"}}) {
        file.image[file.entry + 12] = static_cast<char>(bits);
        const Listing listing = list_fat(file.image);
        EXPECT_THAT(listing.paths(), ElementsAre(expected));
        EXPECT_EQ(listing.names[0].short_name, "PLACEHLD.BIN");
    }
}

TEST(FatNames, WhatCannotStandInAPathIsShownByALookalikeAndReported) {
    NTT_NEED_TOOL("mformat");
    for (const auto& [eleven, path, raw] :
         {std::tuple{"A/B     TXT"s, "A\u2215B.TXT", "A/B.TXT"s},
          std::tuple{"A\0B     TXT"s.substr(0, 11), "A\u2400B.TXT", "A\0B.TXT"s}, std::tuple{".          "s, "\u2024", "."s},
          std::tuple{"..         "s, "\u2024\u2024", ".."s}, std::tuple{"           "s, "\u2420", ""s}}) {
        OneFile file;
        file.rename(eleven);
        const Listing listing = list_fat(file.image);
        EXPECT_THAT(listing.paths(), ElementsAre(path));
        EXPECT_EQ(listing.names.at(0).short_name, raw);
        EXPECT_EQ(listing.count("name_invalid"), 1u);
        EXPECT_EQ(content(file.image, listing.inodes.at(0)), "content");
    }
}

TEST(FatNames, ControlBytesAreDeliveredAsTheyAreAndReported) {
    NTT_NEED_TOOL("mformat");
    OneFile file;
    file.rename("G\x1C\r\n    TXT");
    const Listing listing = list_fat(file.image);
    EXPECT_THAT(listing.paths(), ElementsAre("G\x1C\r\n.TXT"));
    EXPECT_EQ(listing.evidence("name_invalid")["short_name_hex"], "471c0d0a2e545854");
}

TEST(FatNames, LongNamesOfEveryKindAreThoseThatMtoolsWrote) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    const std::string longest = std::string(251, 'n') + ".txt";
    const std::vector<std::string> names = {
        "Thirteen.char",     "a.b.c.d",      "\u0416\u0443\u0440\u043d\u0430\u043b \u2014 \u65e5\u672c\u8a9e.txt",
        "with space at.all", "x[1]+=;,.tex", longest};
    for (const std::string& name : names) maker.put(name, name);
    const std::string image = maker.image();
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.paths(), names);
    for (const std::string& name : names) EXPECT_EQ(content(image, listing.at(name)), name);
    EXPECT_EQ(listing.name(longest).short_name, "NNNNNN~1.TXT");
    EXPECT_EQ(listing.all_findings(), "");
}

TEST(FatNames, ALongNameThatDoesNotBelongToItsEntryIsDroppedAndReportedOnceADirectory) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("A rather long name one.text", "1");
    maker.put("A rather long name two.text", "2");
    maker.put("A rather long name six.text", "6");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    image[patch.find("ARATHE~1TEX")] = 'B';          // checksum does not fit
    image[patch.find("ARATHE~2TEX") - 32] = '\x07';  // a part out of order
    const Listing listing = list_fat(image);
    EXPECT_THAT(listing.paths(), ElementsAre("BRATHE~1.TEX", "ARATHE~2.TEX", "A rather long name six.text"));
    EXPECT_EQ(listing.count("long_name_orphan"), 1u);
    EXPECT_EQ(listing.evidence("long_name_orphan")["count"], 2);
}

TEST(FatNames, LoneSurrogatesAreKept) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("Qlong name.text", "1");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    image.replace(patch.find("QLONGN~1TEX") - 32 + 1, 2, "\x00\xD8"s);
    EXPECT_THAT(list_fat(image).paths(), ElementsAre("\xED\xA0\x80long name.text"));
    image.replace(patch.find("QLONGN~1TEX") - 32 + 1, 2, "/\0"s);
    const Listing slash = list_fat(image);
    EXPECT_THAT(slash.paths(), ElementsAre("\u2215long name.text"));
    EXPECT_EQ(slash.count("name_invalid"), 1u);
}

TEST(FatNames, SurrogatePairsBecomeOneCharacterAndLoneOnesStay) {
    const auto convert = [](std::vector<uint16_t> units) { return utf16_to_wtf8(units); };
    EXPECT_EQ(convert({0xD83D, 0xDCBE}), "\U0001F4BE");
    EXPECT_EQ(convert({0xDCBE, 0xD83D}), "\xED\xB2\xBE\xED\xA0\xBD");
    EXPECT_EQ(convert({'a', 0xD83D}), "a\xED\xA0\xBD");
    EXPECT_EQ(convert({0xD83D, 'a'}),
              "\xED\xA0\xBD"
              "a");
    EXPECT_EQ(convert({0x00E9, 0x20AC, 0xFFFF}), "\u00e9\u20ac\xEF\xBF\xBF");
}

}  // namespace
}  // namespace ntt::test
