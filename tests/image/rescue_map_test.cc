// The mapfile of ddrescue: what is accepted, what is refused and in which words, and the numbers, against ddrescuelog.
#include "image/rescue_map.h"

#include <cmath>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/support.h"

namespace ntt {
namespace {

using test::FindingList;
using test::TempDir;
using test::write_file;
using ::testing::HasSubstr;

constexpr const char* kMap =
    "# Mapfile. Created by GNU ddrescue version 1.27\n"
    "# Command line: ddrescue /dev/sdb disk.img disk.map\n"
    "# current_pos  current_status  current_pass\n"
    "0x00000400     +               1\n"
    "#      pos        size  status\n"
    "0x00000000  0x00000200  +\n"
    "0x00000200  0x00000200  -\n"
    "0x00000400  0x00000400  /\n"
    "0x00000800  0x00000800  *\n"
    "0x00001000  0x00001000  ?\n"
    "0x00002000  0x00002000  +\n";

std::string statuses(const RescueMap& map) {
    std::string out;
    for (const MapBlock& block : map.blocks()) out += to_char(block.status);
    return out;
}

TEST(RescueMap, has_the_blocks_and_lines_of_its_text) {
    ASSERT_OK_ASSIGN(const RescueMap map, RescueMap::parse(kMap));
    EXPECT_EQ(statuses(map), "+-/*?+");
    EXPECT_EQ(map.blocks()[1].range, (ByteRange{0x200, 0x200}));
    EXPECT_EQ(map.blocks()[1].line, 7);
    EXPECT_EQ(map.lines()[6], "0x00000200  0x00000200  -");
    EXPECT_EQ(map.end(), 0x4000u);
    EXPECT_EQ(map.rescued_bytes(0x4000), 0x2200u);
    EXPECT_EQ(map.rescued_bytes(0x2001), 0x201u);
    EXPECT_EQ(map.digest().size(), 64u);
}

TEST(RescueMap, takes_every_form_that_ddrescue_reads) {
    for (const std::string text :
         {"0 ?\n0 512 +\n", "0x0 ? 1\r\n0x0 0x200 +\r\n", "\t0\tF\t2 \n \t0 \t01000\t+\t\n\n", "0 -\n#x\n\n0 0X200 +",
          "  # c\n0 G\n0 512 +", "0 *\n0 512 +\n", "0 /\n0 512 +\n", "0 + 3\n0 512 +\n"}) {
        const auto map = RescueMap::parse(text);
        ASSERT_TRUE(map.ok()) << text << test::why(map);
        EXPECT_EQ(map->end(), 512u) << text;
        EXPECT_EQ(statuses(*map), "+") << text;
    }
    const auto largest = RescueMap::parse("0 ?\n0 0x7FFFFFFFFFFFFFFF ?\n");
    ASSERT_OK(largest);
    EXPECT_EQ(largest->end(), uint64_t{INT64_MAX});
}

struct Bad {
    const char* text;
    int line;
    const char* fault;
};

class BadMap : public ::testing::TestWithParam<Bad> {};

TEST_P(BadMap, is_malformed_with_the_line_and_what_is_wrong) {
    const auto map = RescueMap::parse(GetParam().text);
    ASSERT_FALSE(map.ok()) << GetParam().text;
    EXPECT_EQ(map.error().code, ErrorCode::malformed);
    EXPECT_THAT(map.error().message, HasSubstr(fmt::format("line {}:", GetParam().line)));
    EXPECT_THAT(map.error().message, HasSubstr(GetParam().fault));
    EXPECT_EQ(map.error().message, to_terminal_text(map.error().message)) << "safe to show";
}

INSTANTIATE_TEST_SUITE_P(
    faults, BadMap,
    ::testing::Values(Bad{"", 0, "no status line"}, Bad{"# only a comment\n", 1, "no status line"}, Bad{"0 ?\n", 1, "no blocks"},
                      Bad{"0 512 +\n512 512 -\n", 1, "no status line before"}, Bad{"0\n", 1, "missing fields in the status line"},
                      Bad{"0 ? 1 2\n", 1, "extra fields in the status line"}, Bad{"0 ? 0\n0 1 +\n", 1, "pass"},
                      Bad{"0 ? x\n0 1 +\n", 1, "pass"}, Bad{"0 X\n0 1 +\n", 1, "unknown status 'X' in the status line"},
                      Bad{"-1 ?\n0 1 +\n", 1, "current position '-1'"}, Bad{"0 ?\n0 512\n", 2, "missing fields"},
                      Bad{"0 ?\n0\n", 2, "missing fields"}, Bad{"0 ?\n0 512 + 1\n", 2, "extra fields"},
                      Bad{"0 ?\n0 512 F\n", 2, "unknown status 'F'"}, Bad{"0 ?\n0 512 ++\n", 2, "unknown status '++'"},
                      Bad{"0 ?\n0 0 +\n", 2, "zero size"}, Bad{"0 ?\n0 512 +\n\n# c\n256 512 +\n", 5, "overlap"},
                      Bad{"0 ?\n0 512 +\n1024 512 +\n", 3, "gap"}, Bad{"0 ?\n512 512 +\n", 2, "gap"},
                      Bad{"0 ?\n0 512 +\n512 512 +\n0 512 +\n", 4, "out of order"}, Bad{"0 ?\n0 -512 +\n", 2, "size '-512'"},
                      Bad{"0 ?\n-1 512 +\n", 2, "position '-1'"},
                      Bad{"0 ?\n0 0x8000000000000000 +\n", 2, "size '0x8000000000000000'"},
                      Bad{"0 ?\n0 99999999999999999999 +\n", 2, "size '9999"}, Bad{"0 ?\n0 08 +\n", 2, "size '08'"},
                      Bad{"0 ?\n0 0x +\n", 2, "size '0x'"}, Bad{"0 ?\n0 12a +\n", 2, "size '12a'"},
                      Bad{"0 ?\n0 1 +\n1 0x7FFFFFFFFFFFFFFF +\n", 3, "overflow"}, Bad{"0 ?\n0 \x1b[31m +\n", 2, "size"}));

TEST(RescueMap, cut_at_any_length_is_malformed_or_a_prefix) {
    const std::string text = kMap;
    ASSERT_OK_ASSIGN(const RescueMap whole, RescueMap::parse(text));
    size_t parsed = 0;
    for (size_t length = 0; length < text.size(); ++length) {
        const auto map = RescueMap::parse(std::string_view(text).substr(0, length));
        if (!map.ok()) {
            EXPECT_EQ(map.error().code, ErrorCode::malformed);
            continue;
        }
        ++parsed;
        ASSERT_LE(map->blocks().size(), whole.blocks().size());
        for (size_t i = 0; i < map->blocks().size(); ++i) {
            EXPECT_EQ(map->blocks()[i].range, whole.blocks()[i].range);
            EXPECT_EQ(map->blocks()[i].status, whole.blocks()[i].status);
        }
    }
    EXPECT_GT(parsed, 5u);
}

TEST(RescueMap, overwritten_anywhere_it_is_malformed_or_without_gaps) {
    std::mt19937 random(1);
    for (int i = 0; i < 20'000; ++i) {
        std::string text = kMap;
        text[random() % text.size()] = static_cast<char>(random());
        const auto map = RescueMap::parse(text);
        if (!map.ok()) continue;
        uint64_t end = 0;
        for (const MapBlock& block : map->blocks()) {
            ASSERT_EQ(block.range.offset, end);
            end = block.range.end();
        }
    }
}

TEST(RescueMap, missing_merges_neighbours_of_one_status_and_keeps_the_line) {
    ASSERT_OK_ASSIGN(const RescueMap map, RescueMap::parse("0 ?\n0 10 -\n10 10 -\n20 10 ?\n30 10 +\n40 10 -\n"));
    const auto missing = map.missing();
    ASSERT_EQ(missing.size(), 3u);
    EXPECT_EQ(missing[0].range, (ByteRange{0, 20}));
    EXPECT_EQ(missing[0].line, 2);
    EXPECT_EQ(missing[1].status, BlockStatus::non_tried);
    EXPECT_EQ(missing[2].range, (ByteRange{40, 10}));
}

TEST(RescueMap, statuses_have_their_causes) {
    EXPECT_EQ(cause_of(BlockStatus::non_tried), Cause::NOT_TRIED);
    EXPECT_EQ(cause_of(BlockStatus::non_trimmed), Cause::NOT_TRIMMED);
    EXPECT_EQ(cause_of(BlockStatus::non_scraped), Cause::NOT_SCRAPED);
    EXPECT_EQ(cause_of(BlockStatus::bad_sector), Cause::BAD_SECTOR);
    EXPECT_EQ(cause_of(BlockStatus::finished), std::nullopt);
}

TEST(RescueMap, what_it_does_not_speak_of_is_not_tried) {
    ASSERT_OK_ASSIGN(RescueMap map, RescueMap::parse("0 ?\n0 1000 +\n"));
    FindingList findings;
    map.fit_to(4096, findings);
    ASSERT_EQ(map.missing().size(), 1u);
    EXPECT_EQ(map.missing()[0].range, (ByteRange{1000, 3096}));
    EXPECT_EQ(map.missing()[0].status, BlockStatus::non_tried);
    EXPECT_EQ(map.missing()[0].line, 0);
    EXPECT_TRUE(findings.has("map_shorter_than_image"));
    EXPECT_EQ(map.rescued_bytes(4096), 1000u);
}

TEST(RescueMap, beyond_the_image_it_stays_as_it_is) {
    ASSERT_OK_ASSIGN(RescueMap map, RescueMap::parse("0 ?\n0 1000 +\n1000 1000 -\n"));
    FindingList findings;
    map.fit_to(512, findings);
    EXPECT_TRUE(findings.has("image_shorter_than_map"));
    EXPECT_EQ(map.end(), 2000u);
    EXPECT_EQ(map.rescued_bytes(512), 512u);
    FindingList none;
    map.fit_to(2000, none);
    EXPECT_TRUE(none.findings.empty());
}

// --- health ---

TEST(Health, is_exact_at_the_limits) {
    EXPECT_EQ(health_of(0, 0), "unknown");
    EXPECT_EQ(health_of(0, 10'000), "failed");
    EXPECT_EQ(health_of(1'999, 10'000), "failed");
    EXPECT_EQ(health_of(2'000, 10'000), "corrupt");
    EXPECT_EQ(health_of(8'999, 10'000), "corrupt");
    EXPECT_EQ(health_of(9'000, 10'000), "incomplete");
    EXPECT_EQ(health_of(9'999, 10'000), "incomplete");
    EXPECT_EQ(health_of(10'000, 10'000), "ok");
    EXPECT_EQ(health_of(400'088'456'704, 400'088'457'216), "incomplete") << "99.9999 %, once recorded as failed";
    EXPECT_EQ(health_of(UINT64_MAX - 1, UINT64_MAX), "incomplete");
    EXPECT_EQ(health_of(UINT64_MAX, UINT64_MAX), "ok");
    EXPECT_EQ(health_of(UINT64_MAX / 5 - 1, UINT64_MAX), "failed");
}

// --- against ddrescuelog ---

struct Logged {
    uint64_t bytes = 0;  // exact below 100,000, where ddrescuelog prints no unit
    double percent = 0;  // of the map's extent
};

Logged rescued_says_ddrescuelog(const std::string& path) {
    const std::string out = test::must("ddrescuelog -t " + test::shell_quoted(path));
    const size_t at = out.find("rescued:");
    Logged logged;
    char unit[8] = {};
    unsigned long long bytes = 0;
    EXPECT_EQ(std::sscanf(out.c_str() + at, "rescued: %llu %7[A-Za-z], in %*s area(s) ( %lf", &bytes, unit, &logged.percent), 3)
        << out;
    EXPECT_STREQ(unit, "B");
    logged.bytes = bytes;
    return logged;
}

TEST(RescueMapOracle, rescued_bytes_agree_with_ddrescuelog_at_the_limits_of_health) {
    NTT_NEED_TOOL("ddrescuelog");
    const TempDir dir;
    constexpr uint64_t kSize = 10'000;
    for (const uint64_t rescued : {0u, 200u, 1'999u, 2'000u, 8'999u, 9'000u, 9'999u, 10'000u}) {
        std::string text = "0 ?\n";
        if (rescued > 0) text += fmt::format("0 {} +\n", rescued);
        if (rescued < kSize) text += fmt::format("{} {} -\n", rescued, kSize - rescued);
        write_file(dir / "m.map", text);
        ASSERT_OK_ASSIGN(const RescueMap map, RescueMap::load(Env::host(), dir / "m.map"));
        const Logged logged = rescued_says_ddrescuelog(dir / "m.map");
        EXPECT_EQ(map.rescued_bytes(kSize), logged.bytes);
        EXPECT_NEAR(100.0 * static_cast<double>(map.rescued_bytes(kSize)) / kSize, logged.percent, 0.011);
        const double percent = logged.percent;
        EXPECT_EQ(health_of(map.rescued_bytes(kSize), kSize), percent >= 100  ? "ok"
                                                              : percent >= 90 ? "incomplete"
                                                              : percent >= 20 ? "corrupt"
                                                                              : "failed");
    }
}

TEST(RescueMapOracle, rescued_bytes_agree_with_ddrescuelog_on_random_maps) {
    NTT_NEED_TOOL("ddrescuelog");
    const TempDir dir;
    std::mt19937 random(2);
    for (int round = 0; round < 40; ++round) {
        std::string text = "# Mapfile. Created by GNU ddrescue version 1.27\n0x0 ? 1\n";
        uint64_t at = 0;
        char status = '+';
        for (uint64_t i = 0, count = 1 + random() % 30; i < count; ++i) {
            const uint64_t length = 1 + random() % 3000;
            status = "?*/-+"[random() % 5];
            text += round % 2 == 0 ? fmt::format("{:#x} {:#x} {}\n", at, length, status)
                                   : fmt::format("{}  {}{:o}\t{}\r\n", at, "0", length, status);
            at += length;
        }
        write_file(dir / "m.map", text);
        ASSERT_OK_ASSIGN(const RescueMap map, RescueMap::load(Env::host(), dir / "m.map"));
        EXPECT_EQ(map.rescued_bytes(map.end()), rescued_says_ddrescuelog(dir / "m.map").bytes) << text;
    }
}

TEST(RescueMapOracle, ddrescuelog_refuses_what_is_refused_here_for_its_structure) {
    NTT_NEED_TOOL("ddrescuelog");
    const TempDir dir;
    for (const std::string text : {"0 ?\n0 512 +\n256 512 +\n", "0 ?\n0 512 +\n1024 512 +\n", "0 ?\n0 -512 +\n", "0 ?\n0 512 F\n",
                                   "0 X\n0 1 +\n", "0 ?\n0 512\n", "0 ? 0\n0 1 +\n"}) {
        write_file(dir / "m.map", text);
        EXPECT_NE(test::sh("ddrescuelog -t m.map", dir.path().string()).exit, 0) << text;
        EXPECT_FALSE(RescueMap::parse(text).ok()) << text;
    }
}

// --- files ---

TEST(RescueMap, load_names_the_file) {
    const TempDir dir;
    write_file(dir / "bad.map", "0 ?\n0 512\n");
    const auto map = RescueMap::load(Env::host(), dir / "bad.map");
    ASSERT_FALSE(map.ok());
    EXPECT_THAT(map.error().message, HasSubstr("bad.map"));
    EXPECT_EQ(RescueMap::load(Env::host(), dir / "none.map").error().code, ErrorCode::not_found);
    EXPECT_EQ(RescueMap::load(Env::host(), dir.path().string()).error().code, ErrorCode::invalid_argument);
    write_file(dir / "huge.map", "");
    std::filesystem::resize_file(dir / "huge.map", kMaxMapBytes + 1);
    EXPECT_EQ(RescueMap::load(Env::host(), dir / "huge.map").error().code, ErrorCode::limit);
}

TEST(FindMap, takes_the_candidates_in_order) {
    const TempDir dir;
    const std::vector<std::string> order = {"disk.img.map", "disk.img.mapfile", "disk.img.log",
                                            "disk.map",     "disk.mapfile",     "disk.log"};
    for (auto name = order.rbegin(); name != order.rend(); ++name) {
        write_file(dir / *name, kMap);
        ASSERT_OK_ASSIGN(const auto found, find_map_beside(Env::host(), dir / "disk.img"));
        EXPECT_EQ(found, dir / *name);
    }
}

TEST(FindMap, nothing_beside_is_no_map) {
    const TempDir dir;
    for (const std::string name : {"disk.img", "disk", ".hidden"}) {
        ASSERT_OK_ASSIGN(const auto found, find_map_beside(Env::host(), dir / name));
        EXPECT_EQ(found, std::nullopt);
    }
}

TEST(FindMap, does_not_cut_a_suffix_off_a_folder_or_take_the_image_itself) {
    const TempDir dir;
    std::filesystem::create_directory(dir / "a.b");
    write_file(dir / "a.map", kMap);
    ASSERT_OK_ASSIGN(const auto beside_folder, find_map_beside(Env::host(), dir / "a.b/disk"));
    EXPECT_EQ(beside_folder, std::nullopt);
    ASSERT_OK_ASSIGN(const auto itself, find_map_beside(Env::host(), dir / "a.map"));
    EXPECT_EQ(itself, std::nullopt);
}

TEST(FindMap, passes_over_what_is_no_mapfile) {
    const TempDir dir;
    write_file(dir / "disk.img.map", "");
    std::filesystem::create_directory(dir / "disk.img.mapfile");
    write_file(dir / "disk.img.log", "2024-01-01 read error at 5\n");
    write_file(dir / "disk.map", test::chosen_bytes(1, 3000));
    write_file(dir / "disk.mapfile", "");
    std::filesystem::resize_file(dir / "disk.mapfile", kMaxMapBytes + 1);
    write_file(dir / "disk.log", kMap);
    ASSERT_OK_ASSIGN(const auto found, find_map_beside(Env::host(), dir / "disk.img"));
    EXPECT_EQ(found, dir / "disk.log");
}

TEST(FindMap, a_damaged_mapfile_is_an_error_not_no_map) {
    const TempDir dir;
    for (const std::string text :
         {"# Mapfile. Created by GNU ddrescue version 1.27\n", "# Rescue Logfile. Created by GNU ddrescue version 1.16\n0 ?\n",
          "0 ?\n0 512 +\n512 garbage\n"}) {
        write_file(dir / "disk.img.map", text);
        const auto found = find_map_beside(Env::host(), dir / "disk.img");
        ASSERT_FALSE(found.ok()) << text;
        EXPECT_EQ(found.error().code, ErrorCode::malformed);
        EXPECT_THAT(found.error().message, HasSubstr("disk.img.map"));
    }
}

}  // namespace
}  // namespace ntt
