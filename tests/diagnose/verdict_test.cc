#include "diagnose/verdict.h"

#include <nlohmann/json.hpp>

#include "support/support.h"

namespace ntt {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kFloppy = 2880 * kSector;

InodeEntry file_of(uint64_t size, std::vector<Extent> extents) {
    InodeEntry inode;
    inode.size = size;
    inode.access = ContentAccess::extents;
    inode.extents = std::move(extents);
    return inode;
}

RescueMap map_of(const std::string& blocks) {
    auto map = RescueMap::parse("# Mapfile. Created by GNU ddrescue version 1.27\n# current_pos  current_status  current_pass\n0x0 + 1\n" + blocks);
    NTT_CHECK(map.ok(), "a bad map in a test");
    return std::move(map).value();
}

const ByteRange kWhole{0, kFloppy};

TEST(Verdict, a_file_whose_extents_lie_in_the_image_is_clean) {
    const DamageMap damage(kFloppy, nullptr, {});
    const Verdict verdict = damage.judge(file_of(1000, {{0, 33 * kSector, 1000, ExtentKind::data}}), kWhole);
    EXPECT_TRUE(verdict.clean());
    EXPECT_TRUE(verdict.missing.empty());
    EXPECT_EQ(verdict.evidence, "");
}

TEST(Verdict, bytes_beyond_the_images_end_are_BEYOND_EOF_from_the_exact_byte) {
    const DamageMap damage(841 * kSector, nullptr, {});
    const uint64_t start = 738 * kSector;
    const Verdict verdict = damage.judge(file_of(671'744, {{0, start, 671'744, ExtentKind::data}}), kWhole);
    ASSERT_EQ(verdict.missing.size(), 1u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{841 * kSector - start, 671'744 - (841 * kSector - start), 841 * kSector, Cause::BEYOND_EOF}));
    EXPECT_EQ(verdict.cause, Cause::BEYOND_EOF);
    const auto evidence = nlohmann::json::parse(verdict.evidence);
    EXPECT_EQ(evidence["missing_ranges"][0]["sector"], 841);
    EXPECT_EQ(evidence["missing_ranges"][0]["limit"], 841);
}

TEST(Verdict, ranges_of_the_map_are_exact_to_the_byte_and_name_the_maps_line) {
    const RescueMap map = map_of("0x0 0x10000 +\n0x10000 0x5000 -\n0x15000 0x200 ?\n0x15200 0x152E00 +\n");
    const DamageMap damage(kFloppy, &map, {});
    const Verdict verdict = damage.judge(file_of(0x20000, {{0, 0x8000, 0x20000, ExtentKind::data}}), kWhole);
    ASSERT_EQ(verdict.missing.size(), 2u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{0x8000, 0x5000, 0x10000, Cause::BAD_SECTOR}));
    EXPECT_EQ(verdict.missing[1], (MissingRange{0xD000, 0x200, 0x15000, Cause::NOT_TRIED}));
    EXPECT_EQ(verdict.missing_bytes, 0x5200u);
    EXPECT_EQ(verdict.cause, Cause::BAD_SECTOR) << "the cause that hides most bytes";
    const auto evidence = nlohmann::json::parse(verdict.evidence);
    EXPECT_EQ(evidence["missing_ranges"][0]["map"], "0x10000 0x5000 -");
    EXPECT_EQ(evidence["missing_ranges"][0]["map_line"], 5);
}

TEST(Verdict, a_file_in_pieces_collects_the_damage_of_each) {
    const RescueMap map = map_of("0x0 0x1000 +\n0x1000 0x200 *\n0x1200 0xE00 +\n0x2000 0x200 /\n0x2200 0x165E00 +\n");
    const DamageMap damage(kFloppy, &map, {});
    const Verdict verdict = damage.judge(
        file_of(0x800, {{0, 0x2000, 0x400, ExtentKind::data}, {0x400, 0x1000, 0x400, ExtentKind::data}}), kWhole);
    ASSERT_EQ(verdict.missing.size(), 2u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{0, 0x200, 0x2000, Cause::NOT_SCRAPED}));
    EXPECT_EQ(verdict.missing[1], (MissingRange{0x400, 0x200, 0x1000, Cause::NOT_TRIMMED}));
}

TEST(Verdict, neighbouring_sectors_are_one_range) {
    const RescueMap map = map_of("0x0 0x1000 +\n0x1000 0x200 -\n0x1200 0x200 -\n0x1400 0x166C00 +\n");
    const DamageMap damage(kFloppy, &map, {});
    const Verdict verdict = damage.judge(file_of(0x1000, {{0, 0x1000, 0x1000, ExtentKind::data}}), kWhole);
    ASSERT_EQ(verdict.missing.size(), 1u);
    EXPECT_EQ(verdict.missing[0].length, 0x400u);
}

TEST(Verdict, holes_of_the_filesystem_are_not_missing) {
    const RescueMap map = map_of("0x0 0x168000 -\n");
    const DamageMap damage(kFloppy, &map, {});
    const InodeEntry sparse = file_of(8192, {{0, 0, 8192, ExtentKind::hole}});
    EXPECT_TRUE(damage.judge(sparse, kWhole).clean());
}

TEST(Verdict, an_extent_outside_its_volume_is_FS_CORRUPT) {
    const DamageMap damage(kFloppy, nullptr, {});
    const Verdict verdict = damage.judge(file_of(2000, {{0, 0x10000 - 1000, 2000, ExtentKind::data}}), {0, 0x10000});
    ASSERT_EQ(verdict.missing.size(), 1u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{1000, 1000, 0x10000, Cause::FS_CORRUPT}));
}

TEST(Verdict, a_fault_of_the_filesystem_stands_beside_damage_of_the_image) {
    const DamageMap damage(0x2000, nullptr, {});
    InodeEntry inode = file_of(0x3000, {{0, 0x1000, 0x2000, ExtentKind::data}});
    inode.faults.push_back({Cause::FAT_CHAIN_LOOP, 0x2000, 0x1000, R"({"cluster":7})"});
    const Verdict verdict = damage.judge(inode, kWhole);
    ASSERT_EQ(verdict.missing.size(), 2u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{0x1000, 0x1000, 0x2000, Cause::BEYOND_EOF}));
    EXPECT_EQ(verdict.missing[1], (MissingRange{0x2000, 0x1000, std::nullopt, Cause::FAT_CHAIN_LOOP}));
    EXPECT_EQ(nlohmann::json::parse(verdict.evidence)["faults"][0]["cluster"], 7);
}

TEST(Verdict, bytes_that_nothing_accounts_for_are_missing_never_invented) {
    const DamageMap damage(kFloppy, nullptr, {});
    const Verdict verdict = damage.judge(file_of(3000, {{1000, 0x8000, 1000, ExtentKind::data}}), kWhole);
    ASSERT_EQ(verdict.missing.size(), 2u);
    EXPECT_EQ(verdict.missing[0], (MissingRange{0, 1000, std::nullopt, Cause::FS_CORRUPT}));
    EXPECT_EQ(verdict.missing[1], (MissingRange{2000, 1000, std::nullopt, Cause::FS_CORRUPT}));
}

TEST(Verdict, one_bad_byte_under_decoded_content_hides_the_whole_of_it) {
    const RescueMap map = map_of("0x0 0x1000 +\n0x1000 0x200 -\n0x1200 0x166E00 +\n");
    const DamageMap damage(kFloppy, &map, {});
    InodeEntry inode = file_of(100'000, {{0, 0x800, 0x1000, ExtentKind::opaque}});
    inode.access = ContentAccess::through_reader;
    const Verdict verdict = damage.judge(inode, kWhole);
    EXPECT_EQ(verdict.missing_bytes, 100'000u);
    EXPECT_TRUE(nothing_readable(inode, verdict));
}

TEST(Verdict, ranges_that_the_container_reports_as_damaged_count_where_the_map_does_not_name_them) {
    const RescueMap map = map_of("0x0 0x1000 +\n0x1000 0x200 ?\n0x1200 0x166E00 +\n");
    const DamageMap damage(kFloppy, &map, {{0xF00, 0x400}});
    const auto missing = damage.missing_in({0, kFloppy});
    ASSERT_EQ(missing.size(), 3u);
    EXPECT_EQ(missing[0], (MissingRange{0xF00, 0x100, 0xF00, Cause::BAD_SECTOR}));
    EXPECT_EQ(missing[1], (MissingRange{0x1000, 0x200, 0x1000, Cause::NOT_TRIED}));
    EXPECT_EQ(missing[2], (MissingRange{0x1200, 0x100, 0x1200, Cause::BAD_SECTOR}));
}

TEST(Verdict, every_byte_of_a_file_is_judged_as_a_look_up_byte_by_byte_would) {
    // An independent reference: one cause for each byte of the image.
    const uint64_t image = 4096;
    const RescueMap map = map_of("0x0 0x100 +\n0x100 0x80 -\n0x180 0x280 +\n0x400 0x100 ?\n0x500 0x300 +\n0x800 0x10 /\n0x810 0x9F0 +\n");
    const auto cause_at = [](uint64_t place) -> std::optional<Cause> {
        if (place >= 4096) return Cause::BEYOND_EOF;
        if (place >= 0x100 && place < 0x180) return Cause::BAD_SECTOR;
        if (place >= 0x400 && place < 0x500) return Cause::NOT_TRIED;
        if (place >= 0x800 && place < 0x810) return Cause::NOT_SCRAPED;
        if (place >= 0x1200) return Cause::NOT_TRIED;
        return std::nullopt;
    };
    const DamageMap damage(image, &map, {});
    const std::string dice = test::chosen_bytes(7, 4000);
    size_t next = 0;
    const auto byte = [&] { return uint64_t{static_cast<uint8_t>(dice[next++ % dice.size()])}; };
    const auto roll = [&](uint64_t most) {
        const uint64_t high = byte();
        return (high * 256 + byte()) % most;
    };
    for (int round = 0; round < 300; ++round) {
        InodeEntry inode = file_of(0, {});
        while (inode.extents.size() < 1 + roll(5)) {
            const uint64_t length = 1 + roll(700);
            inode.extents.push_back({inode.size, roll(5000), length, ExtentKind::data});
            inode.size += length;
        }
        const Verdict verdict = damage.judge(inode, {0, 10'000});
        std::vector<std::optional<Cause>> expected(inode.size), got(inode.size);
        for (const Extent& extent : inode.extents)
            for (uint64_t i = 0; i < extent.length; ++i) expected[extent.file_offset + i] = cause_at(extent.image_offset + i);
        uint64_t bytes = 0, end = 0;
        for (const MissingRange& range : verdict.missing) {
            EXPECT_GE(range.file_offset, end) << "sorted and disjoint";
            end = range.file_offset + range.length;
            bytes += range.length;
            for (uint64_t i = 0; i < range.length; ++i) got[range.file_offset + i] = range.cause;
        }
        ASSERT_EQ(got, expected) << "round " << round;
        EXPECT_EQ(bytes, verdict.missing_bytes);
    }
}

}  // namespace
}  // namespace ntt
