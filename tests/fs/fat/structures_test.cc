// Boot sector, table and dates, without an image around them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>

#include "fs/fat/allocation_table.h"
#include "fs/fat/boot_sector.h"
#include "fs/fat/chain.h"
#include "fs/fat/timestamps.h"
#include "image/byte_source.h"
#include "support/support.h"

namespace ntt::test {
namespace {

struct Fields {
    uint32_t sector = 512, per_cluster = 1, reserved = 1, fats = 2, root = 224, total16 = 2880, media = 0xF0, fat16 = 9,
             total32 = 0, fat32 = 0, root_cluster = 0;
};

std::string boot_sector(const Fields& f) {
    std::string out(512, '\0');
    const auto put = [&](size_t at, size_t bytes, uint32_t value) {
        for (size_t i = 0; i < bytes; ++i) out[at + i] = static_cast<char>(value >> (8 * i) & 0xFF);
    };
    put(11, 2, f.sector), put(13, 1, f.per_cluster), put(14, 2, f.reserved), put(16, 1, f.fats), put(17, 2, f.root);
    put(19, 2, f.total16), put(21, 1, f.media), put(22, 2, f.fat16), put(32, 4, f.total32), put(36, 4, f.fat32),
        put(44, 4, f.root_cluster);
    return out;
}

std::optional<FatGeometry> parse(const Fields& fields, uint64_t volume_size = 0) {
    return parse_boot_sector(as_bytes(boot_sector(fields)), volume_size);
}

// A volume with exactly that many clusters of 512 bytes.
Fields with_clusters(uint32_t clusters) {
    Fields f;
    f.fat16 = 512, f.root = 512, f.total16 = 0;
    f.total32 = 1 + 2 * 512 + 32 + clusters;
    return f;
}

TEST(FatBootSector, PlacesThePartsOfAFloppy) {
    const auto g = parse({});
    ASSERT_TRUE(g.has_value());
    EXPECT_EQ(g->fat_bits, 12);
    EXPECT_EQ(g->fat_offset, 512u);
    EXPECT_EQ(g->root_offset, 19u * 512);
    EXPECT_EQ(g->data_offset, 33u * 512);
    EXPECT_EQ(g->cluster_count, 2847u);
    EXPECT_EQ(g->cluster_offset(2), 33u * 512);
    EXPECT_TRUE(g->oddities.empty());
}

TEST(FatBootSector, TakesTheTypeFromTheNumberOfClusters) {
    EXPECT_EQ(parse(with_clusters(4084))->fat_bits, 12);
    EXPECT_EQ(parse(with_clusters(4085))->fat_bits, 16);
    EXPECT_EQ(parse(with_clusters(65524))->fat_bits, 16);
    Fields f = with_clusters(70000);
    f.fat16 = 0, f.root = 0, f.fat32 = 600, f.root_cluster = 2;
    EXPECT_EQ(parse(f)->fat_bits, 32);
}

TEST(FatBootSector, HasNoMoreClustersThanTheTableHasEntries) {
    Fields f = with_clusters(4000);
    f.fat16 = 1;
    const auto g = parse(f);
    ASSERT_TRUE(g.has_value());
    EXPECT_EQ(g->fat_bits, 16);  // 1022 sectors of the tables are clusters now
    EXPECT_EQ(g->cluster_count, 254u);
    EXPECT_EQ(g->oddities.size(), 1u);
}

TEST(FatBootSector, UsesTheVolumesSizeWhereNoTotalIsGiven) {
    Fields f;
    f.total16 = 0;
    EXPECT_FALSE(parse(f).has_value());
    const auto g = parse(f, 1474560);
    ASSERT_TRUE(g.has_value());
    EXPECT_EQ(g->cluster_count, 2847u);
}

TEST(FatBootSector, RoundsARootDirectoryUpToWholeSectors) {
    Fields f;
    f.root = 100;
    EXPECT_EQ(parse(f)->data_offset, (19u + 7) * 512);
    EXPECT_EQ(parse(f)->root_entries, 100u);
}

TEST(FatBootSector, RefusesNumbersNoVolumeHas) {
    const auto refused = [](auto change) {
        Fields f;
        change(f);
        return !parse(f, 1 << 20).has_value();
    };
    EXPECT_TRUE(refused([](Fields& f) { f.sector = 0; }));
    EXPECT_TRUE(refused([](Fields& f) { f.sector = 500; }));
    EXPECT_TRUE(refused([](Fields& f) { f.sector = 32768; }));
    EXPECT_TRUE(refused([](Fields& f) { f.per_cluster = 0; }));
    EXPECT_TRUE(refused([](Fields& f) { f.per_cluster = 3; }));
    EXPECT_TRUE(refused([](Fields& f) { f.fats = 0; }));
    EXPECT_TRUE(refused([](Fields& f) { f.root = 0; }));
    EXPECT_TRUE(refused([](Fields& f) { f.fat16 = 0; }));
    EXPECT_TRUE(refused([](Fields& f) { f.fat16 = 20000; }));
    EXPECT_FALSE(parse_boot_sector(ByteView{}, 0).has_value());
}

TEST(FatTable, ClassifiesEveryValueOfEveryWidth) {
    for (const int bits : {12, 16, 32}) {
        FatGeometry g;
        g.fat_bits = bits, g.cluster_count = 1000, g.fat_count = 1, g.fat_offset = 512, g.fat_length = 8192;
        const auto source = memory_image(std::string(65536, '\0'));
        FindingList findings;
        ASSERT_OK_ASSIGN(const AllocationTable table, AllocationTable::load({*source, 0, 1}, g, findings));
        const uint32_t mask = bits == 12 ? 0xFFF : bits == 16 ? 0xFFFF : 0x0FFFFFFF;
        EXPECT_EQ(table.classify(0), LinkKind::free);
        EXPECT_EQ(table.classify(1), LinkKind::reserved);
        EXPECT_EQ(table.classify(2), LinkKind::next);
        EXPECT_EQ(table.classify(1001), LinkKind::next);
        EXPECT_EQ(table.classify(1002), LinkKind::out_of_range);
        EXPECT_EQ(table.classify(mask - 16), LinkKind::out_of_range);
        EXPECT_EQ(table.classify(mask - 15), LinkKind::reserved);
        EXPECT_EQ(table.classify(mask - 9), LinkKind::reserved);
        EXPECT_EQ(table.classify(mask - 8), LinkKind::bad);
        EXPECT_EQ(table.classify(mask - 7), LinkKind::end);
        EXPECT_EQ(table.classify(mask), LinkKind::end);
        EXPECT_EQ(table.classify(mask + 1), LinkKind::out_of_range);
    }
}

TEST(FatTable, ReadsEntriesOnEveryPageOfALargeTable) {
    // More pages than are cached, so that pages are dropped and read again.
    const uint32_t clusters = static_cast<uint32_t>(AllocationTable::kPageBytes / 4 * (AllocationTable::kCachedPages + 3));
    FatGeometry g;
    g.fat_bits = 32, g.cluster_count = clusters, g.fat_count = 1, g.fat_offset = 512,
    g.fat_length = (uint64_t{clusters} + 128) * 4;
    std::string image(512 + g.fat_length, '\0');
    const auto step = static_cast<uint32_t>(AllocationTable::kPageBytes / 4);
    for (uint32_t cluster = 5; cluster < clusters; cluster += step)
        for (size_t i = 0; i < 4; ++i) image[512 + cluster * 4 + i] = static_cast<char>((cluster + 2) >> (8 * i) & 0xFF);
    const auto source = memory_image(std::move(image));
    FindingList findings;
    ASSERT_OK_ASSIGN(AllocationTable table, AllocationTable::load({*source, 0, 1}, g, findings));
    for (int round = 0; round < 2; ++round) {
        for (uint32_t cluster = 5; cluster < clusters - 2; cluster += step) {
            ASSERT_OK_ASSIGN(const FatLink link, table.link(cluster));
            ASSERT_EQ(link.value, cluster + 2);
        }
    }
}

TEST(FatTable, TakesFromTheSecondCopyWhatTheImageLacksOfTheFirst) {
    FatGeometry g;
    g.fat_bits = 16, g.cluster_count = 100, g.fat_count = 2, g.fat_length = 512;
    g.active_fat = 1;
    g.fat_offset = 0;
    std::string image(512, '\x05');  // copy 2 would begin here
    const auto source = memory_image(image);
    FindingList findings;
    ASSERT_OK_ASSIGN(AllocationTable table, AllocationTable::load({*source, 0, 1}, g, findings));
    ASSERT_OK_ASSIGN(const FatLink link, table.link(7));
    EXPECT_EQ(link.value, 0x0505u);
    EXPECT_EQ(findings.count("fat_beyond_image"), 1u);
}

TEST(FatTable, EntriesBeyondTheImageAreAbsentAndWhatHangsOnThemIsBeyondTheEnd) {
    FatGeometry g;
    g.fat_bits = 16, g.cluster_count = 100, g.fat_count = 1, g.fat_length = 512, g.fat_offset = 1024;
    const auto source = memory_image(std::string(1024 + 10, '\0') + std::string(2, '\0'));
    FindingList findings;
    ASSERT_OK_ASSIGN(AllocationTable table, AllocationTable::load({*source, 0, 1}, g, findings));
    ASSERT_OK_ASSIGN(const FatLink last, table.link(5));
    EXPECT_EQ(last.kind, LinkKind::free);
    ASSERT_OK_ASSIGN(const FatLink absent, table.link(6));
    EXPECT_EQ(absent.kind, LinkKind::absent);
    ChainFollower chains(table, g, 0);
    ASSERT_OK_ASSIGN(const FileLayout layout, chains.lay_out(6, 1500));
    ASSERT_EQ(layout.faults.size(), 1u);
    EXPECT_EQ(layout.faults[0].cause, Cause::BEYOND_EOF);
    EXPECT_EQ(layout.faults[0].file_offset, 512u);
}

TEST(FatDates, GiveTheSecondsThatDateGives) {
    std::string dates;
    std::vector<int64_t> ours;
    for (int year = 1980; year <= 2107; year += 3) {
        for (int month = 1; month <= 12; ++month) {
            const int day = 1 + (year + month) % 28, hour = (year * month) % 24, minute = month * 4, second = month * 2;
            dates += fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}\n", year, month, day, hour, minute, second);
            const auto seconds = fat_local_seconds(static_cast<uint16_t>((year - 1980) << 9 | month << 5 | day),
                                                   static_cast<uint16_t>(hour << 11 | minute << 5 | second / 2));
            ASSERT_TRUE(seconds.has_value());
            ours.push_back(*seconds);
        }
    }
    const TempDir dir;
    write_file(dir / "dates", dates);
    std::istringstream lines(must("date -u -f dates +%s", dir.path()));
    for (const int64_t seconds : ours) {
        int64_t expected = 0;
        ASSERT_TRUE(lines >> expected);
        EXPECT_EQ(seconds, expected);
    }
}

TEST(FatDates, RefuseFieldsNoCalendarHas) {
    const auto date = [](int year, int month, int day) { return static_cast<uint16_t>((year - 1980) << 9 | month << 5 | day); };
    EXPECT_TRUE(fat_local_seconds(date(1996, 2, 29), 0).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 2, 29), 0).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 0, 1), 0).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 13, 1), 0).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 1, 0), 0).has_value());
    EXPECT_FALSE(fat_local_seconds(0, 0).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 1, 1), 24 << 11).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 1, 1), 60 << 5).has_value());
    EXPECT_FALSE(fat_local_seconds(date(1997, 1, 1), 30).has_value());
}

class Zones : public ::testing::TestWithParam<std::string> {};

TEST_P(Zones, AgreeWithDateOnWallClockTimes) {
    ASSERT_OK_ASSIGN(const TimeZone zone, TimeZone::load(GetParam()));
    std::string dates;
    std::vector<int64_t> ours;
    // Noon of every fifth day: no zone changes its clock at noon.
    for (int64_t local = 315576000; local < 2114380800; local += 5 * 86400) {
        dates += "1970-01-01 UTC " + std::to_string(local) + " seconds\n";
        ours.push_back(zone.to_utc(local));
    }
    const TempDir dir;
    write_file(dir / "utc", dates);
    must("date -u -f utc '+%Y-%m-%d %H:%M:%S' > local", dir.path());
    std::istringstream lines(must("TZ=" + GetParam() + " date -f local +%s", dir.path()));
    for (const int64_t seconds : ours) {
        int64_t expected = 0;
        ASSERT_TRUE(lines >> expected);
        ASSERT_EQ(seconds, expected);
    }
}

INSTANTIATE_TEST_SUITE_P(Fat, Zones,
                         ::testing::Values("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney",
                                           "Pacific/Apia"),
                         [](const auto& name) {
                             std::string out = name.param;
                             for (char& c : out) c = c == '/' ? '_' : c;
                             return out;
                         });

TEST(FatDates, TakeFixedOffsets) {
    ASSERT_OK_ASSIGN(const TimeZone east, TimeZone::load("+02:00"));
    ASSERT_OK_ASSIGN(const TimeZone west, TimeZone::load("-05:30"));
    EXPECT_EQ(east.to_utc(100000), 100000 - 7200);
    EXPECT_EQ(west.to_utc(100000), 100000 + 19800);
    for (const char* wrong : {"+2", "+02:60", "+99:00", "02:00", "", "/etc/passwd", "Europe"})
        EXPECT_FALSE(TimeZone::load(wrong).ok()) << wrong;
}

TEST(FatDates, TakeAnHourThatComesTwiceAsTheFirstAndCountOnThroughOneThatIsSkipped) {
    ASSERT_OK_ASSIGN(const TimeZone berlin, TimeZone::load("Europe/Berlin"));
    EXPECT_EQ(berlin.to_utc(846383400), 846376200);  // 1996-10-27 02:30 is first 00:30 UTC
    EXPECT_EQ(berlin.to_utc(828239400), 828235800);  // 1996-03-31 02:30 is no time; 01:30 UTC
}

}  // namespace
}  // namespace ntt::test
