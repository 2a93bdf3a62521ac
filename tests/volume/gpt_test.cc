// GUID partition tables with defects, and beside an MBR that says something else.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "detection.h"
#include "support/containers.h"

namespace ntt::test {
namespace {

using nlohmann::json;

constexpr size_t kSize = 16 << 20;

class GptTest : public ::testing::Test {
protected:
    void SetUp() override {
        for (const char* tool : {"sfdisk", "mkfs.ext2"})
            if (!have_tool(tool)) GTEST_SKIP() << "needs the tool " << tool;
    }
    // An image with this table and an ext2 filesystem "first" of 4 MiB in the partition at sector 2048.
    std::string image(const std::string& script, const std::string& options = "") {
        write_file(dir_ / "script", script);
        must("rm -f i && truncate -s 16M i && sfdisk -q " + options + " i < script && rm -f fs && truncate -s 4M fs && mkfs.ext2 -q -L first fs", dir_.path().string());
        std::string out = read_file(dir_ / "i");
        out.replace(1 << 20, 4 << 20, read_file(dir_ / "fs"));
        return out;
    }
    std::string gpt() { return image("label: gpt\nstart=2048,size=8192,name=first\nstart=12288,size=4096,name=second\n"); }

    TempDir dir_;
};

// Both partitions of gpt() are seen, whatever was done to it.
void expect_both(const Detected& found) {
    EXPECT_EQ(found.detection.table, "gpt");
    ASSERT_EQ(found.views(), (std::vector<std::string>{"ext2", "-"}));
    EXPECT_EQ(found.first().label, "first");
    EXPECT_EQ(found.detection.volumes[1].offset_bytes, 12288u * 512);
    EXPECT_EQ(found.detection.volumes[1].size_bytes, 4096u * 512);
}

TEST_F(GptTest, PlacesNamesTypesAndGuidsAreSfdisks) {
    const std::string image = gpt();
    const json theirs = json::parse(must("sfdisk --json i", dir_.path().string()))["partitiontable"];
    const Detected found = detect_bytes(image);
    expect_both(found);
    EXPECT_TRUE(found.findings.findings.empty());
    const auto lower = [](std::string text) {
        std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        return text;
    };
    for (size_t i = 0; i < 2; ++i) {
        const json ours = json::parse(found.detection.volumes[i].detail), &wanted = theirs["partitions"][i];
        EXPECT_EQ(ours["name"], wanted["name"]);
        EXPECT_EQ(ours["type"], lower(wanted["type"]));
        EXPECT_EQ(ours["partition_uuid"], lower(wanted["uuid"]));
        EXPECT_EQ(ours["disk_id"], lower(theirs["id"]));
        EXPECT_EQ(found.detection.volumes[i].offset_bytes, wanted["start"].get<uint64_t>() * 512);
    }
}

TEST_F(GptTest, ATableThatFailsItsChecksumIsReadFromItsCopy) {
    const std::string whole = gpt();
    for (const size_t at : {512u + 20, 512u + 72, 1024u + 40, 1024u + 128}) {  // header, place of the entries, an entry's end, an entry's type
        SCOPED_TRACE(at);
        std::string image = whole;
        image[at] ^= 0x10;
        const Detected found = detect_bytes(image);
        expect_both(found);
        ASSERT_EQ(found.findings.count("partition_table_damaged"), 1u);
        EXPECT_EQ(json::parse(found.findings.findings[0].evidence)["chosen"], "copy");
    }
}

TEST_F(GptTest, ADamagedCopyIsAFindingAndNothingIsLost) {
    const std::string whole = gpt();
    for (const size_t at : {kSize - 512 + 60, kSize - 512, kSize - 33 * 512 + 40}) {
        std::string image = whole;
        image[at] ^= 0x10;
        const Detected found = detect_bytes(image);
        expect_both(found);
        EXPECT_EQ(found.findings.count("partition_table_copy_damaged"), 1u);
        EXPECT_FALSE(found.findings.has("partition_table_damaged"));
    }
}

TEST_F(GptTest, WithoutTheFirst34SectorsTheCopyIsEnough) {
    std::string image = gpt();
    image.replace(0, 34 * 512, std::string(34 * 512, '\0'));
    const Detected found = detect_bytes(image);
    expect_both(found);
    EXPECT_TRUE(found.findings.has("partition_table_damaged"));
}

TEST_F(GptTest, WhereBothAreDamagedWhatMakesSenseIsUsed) {
    std::string image = gpt();
    image[1024 + 56] = 'F';                       // the name of the first partition
    image[kSize - 33 * 512 + 128 + 56] = 'S';     // and in the copy the second's
    expect_both(detect_bytes(image));
    EXPECT_TRUE(detect_bytes(image).findings.has("partition_table_damaged"));
}

TEST_F(GptTest, EntriesThatMakeSenseAreFoundWithoutTheirHeaders) {
    const std::string whole = gpt();
    for (const int kind : {0, 1, 2}) {
        SCOPED_TRACE(kind);
        std::string image = whole;
        image.replace(512, 512, std::string(512, '\0'));
        image.replace(kSize - 512, 512, std::string(512, '\0'));
        if (kind == 1) image.replace(0, 34 * 512, std::string(34 * 512, '\0'));  // those before the last sector are left
        if (kind == 2) image.resize(kSize - 64 * 512);
        const Detected found = detect_bytes(image);
        expect_both(found);
        ASSERT_EQ(found.findings.count("partition_table_damaged"), 1u);
        EXPECT_EQ(json::parse(found.findings.findings[0].evidence)["entries_sector"], kind == 1 ? kSize / 512 - 33 : 2);
    }
    // One of them impossible: then the others are no table either.
    std::string image = whole;
    image.replace(512, 512, std::string(512, '\0'));
    image.replace(kSize - 34 * 512, 34 * 512, std::string(34 * 512, '\0'));
    image[1024 + 128 + 47] = '\x7f';  // where the second ends
    const Detected found = detect_bytes(image);
    EXPECT_TRUE(found.findings.has("partition_table_damaged"));
    for (const Volume& volume : found.detection.volumes) EXPECT_NE(json::parse(volume.detail)["type"], "0xee");
}

TEST_F(GptTest, AnImageThatEndsEarlyHasADamagedNothing) {
    std::string image = gpt();
    image.resize(7 << 20);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.views(), (std::vector<std::string>{"ext2", "-"}));
    EXPECT_EQ(found.detection.volumes[1].outcome, Outcome::truncated);
    EXPECT_FALSE(found.findings.has("partition_table_copy_damaged"));
    EXPECT_FALSE(found.findings.has("partition_table_damaged"));
}

TEST_F(GptTest, SectorsOf4096BytesAreUnderstood) {
    // The same table as a disk with large sectors has it, without its copy: all sector numbers are an eighth.
    std::string image = gpt(), header = image.substr(512, 512), entries = image.substr(1024, 128 * 128);
    image.replace(0, 1 << 20, std::string(1 << 20, '\0'));
    image.replace(kSize - 512, 512, std::string(512, '\0'));
    put_le64(entries, 32, 256);
    put_le64(entries, 40, 1279);
    put_le64(entries, 128 + 32, 1536);
    put_le64(entries, 128 + 40, 2047);
    put_le32(header, 88, ~crc32_bits(~0u, entries));
    put_le32(header, 16, 0);
    put_le32(header, 16, ~crc32_bits(~0u, header.substr(0, 92)));
    image.replace(4096, 512, header);
    image.replace(8192, entries.size(), entries);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "gpt");
    ASSERT_EQ(found.views(), (std::vector<std::string>{"ext2", "-"}));
    EXPECT_EQ(found.first().offset_bytes, 1u << 20);
    EXPECT_EQ(found.first().size_bytes, 4u << 20);
    EXPECT_EQ(found.detection.volumes[1].offset_bytes, 1536u * 4096);
}

TEST_F(GptTest, AHybridMbrThatSaysTheSameIsNoContradiction) {
    if (!have_tool("sgdisk")) GTEST_SKIP() << "needs the tool sgdisk";
    write_file(dir_ / "i", gpt());
    must("sgdisk -h 1 i", dir_.path().string());
    const Detected found = detect_file(dir_ / "i");
    expect_both(found);
    EXPECT_TRUE(found.findings.findings.empty()) << found.findings.findings.at(0).evidence;
}

TEST_F(GptTest, WhatOnlyAHybridMbrListsIsTakenWhereTheGptHasNothing) {
    std::string image = gpt();
    const auto entry = [&](size_t slot, uint32_t start, uint32_t count) {
        image[446 + slot * 16 + 4] = static_cast<char>(0x83);
        put_le32(image, 446 + slot * 16 + 8, start);
        put_le32(image, 446 + slot * 16 + 12, count);
    };
    entry(1, 20480, 2048);  // free in the GPT
    entry(2, 4096, 8192);   // across its partitions
    image.replace(20480 * 512, 1 << 20, read_file(dir_ / "fs").substr(0, 1 << 20));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "gpt");
    EXPECT_EQ(found.views(), (std::vector<std::string>{"ext2", "-", "ext2"}));
    ASSERT_EQ(found.findings.count("partition_tables_differ"), 1u);
}

TEST_F(GptTest, OfAnMbrAndAGptThatDifferTheOneWithMoreFilesystemsIsTaken) {
    for (const bool mbr_is_right : {true, false}) {
        SCOPED_TRACE(mbr_is_right);
        // The other table's partition has no filesystem.
        std::string with_gpt = image(mbr_is_right ? "label: gpt\nstart=10240,size=4096\n" : "label: gpt\nstart=2048,size=8192\n");
        const std::string with_mbr = image(mbr_is_right ? "label: dos\nstart=2048,size=8192,type=83\n" : "label: dos\nstart=10240,size=4096,type=83\n");
        with_gpt.replace(0, 512, with_mbr.substr(0, 512));
        const Detected found = detect_bytes(with_gpt);
        EXPECT_EQ(found.detection.table, mbr_is_right ? "dos" : "gpt");
        EXPECT_EQ(found.only().label, "first");
        ASSERT_EQ(found.findings.count("partition_tables_differ"), 1u);
    }
}

TEST_F(GptTest, AnOldCopyAtTheEndOfADiskThatWasPartitionedAnewIsIgnored) {
    std::string with_gpt = gpt();
    const std::string with_mbr = image("label: dos\nstart=2048,size=8192,type=83\n");
    with_gpt.replace(0, 34 * 512, with_mbr.substr(0, 34 * 512));
    const Detected found = detect_bytes(with_gpt);
    EXPECT_EQ(found.detection.table, "dos");
    EXPECT_EQ(found.only().label, "first");
    EXPECT_TRUE(found.findings.findings.empty());
}

TEST_F(GptTest, AFilesystemOverTheWholeDiskIsBelievedBeforeAnOldCopy) {
    std::string with_gpt = gpt();
    must("rm -f w && truncate -s 15M w && mkfs.ext2 -q -L whole w", dir_.path().string());
    with_gpt.replace(0, 15 << 20, read_file(dir_ / "w"));
    const Detected found = detect_bytes(with_gpt);
    EXPECT_EQ(found.only().label, "whole");
    EXPECT_EQ(found.detection.table, "none");
}

TEST_F(GptTest, DamagedTablesAreSurvived) {
    const std::string whole = gpt();
    std::mt19937 random(5);
    for (int round = 0; round < 40; ++round) {
        std::string image = whole;
        for (int i = 0; i < 6; ++i) image[random() % (4 * 512)] = static_cast<char>(random() % 2 != 0 ? 0xFF : random());
        if (round % 2 != 0)  // the header's checksum is made to fit again
            for (const size_t at : {size_t{512}, kSize - 512}) {
                put_le32(image, at + 16, 0);
                put_le32(image, at + 16, ~crc32_bits(~0u, image.substr(at, 92)));
            }
        for (const Volume& volume : detect_bytes(image).detection.volumes) ASSERT_GE(volume.range().end(), volume.offset_bytes);
    }
}

}  // namespace
}  // namespace ntt::test
