#include "ingest/conclude.h"

#include <nlohmann/json.hpp>

#include "support/support.h"

namespace ntt {
namespace {

VolumeRow volume(Outcome outcome, const std::string& view, const std::string& detail = "{}") {
    VolumeRow row;
    row.outcome = to_string(outcome);
    row.view = view;
    row.detail = detail;
    return row;
}

Totals totals(uint64_t stored, uint64_t damaged, uint64_t pending) {
    Totals out;
    out.stored = stored;
    out.damaged = damaged;
    out.pending = pending;
    out.inodes = stored + damaged + pending;
    return out;
}

TEST(ExitCode, is_0_when_every_file_of_every_filesystem_is_stored) {
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::read, "fat12")}, {}), 0);
}

TEST(ExitCode, swap_empty_and_container_partitions_beside_a_filesystem_are_no_failure) {
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::skipped, "swap"), volume(Outcome::read, "ext2"), volume(Outcome::no_filesystem, "")}, {}), 0);
}

TEST(ExitCode, is_3_when_something_is_damaged_unsupported_partial_or_nothing_is_found) {
    EXPECT_EQ(exit_code_of(totals(3, 1, 0), {volume(Outcome::read, "fat12")}, {}), 3);
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::read, "fat12"), volume(Outcome::unsupported, "xfs")}, {}), 3);
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::partial, "fat12")}, {}), 3);
    EXPECT_EQ(exit_code_of(totals(0, 0, 0), {volume(Outcome::no_filesystem, "")}, {}), 3);
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::truncated, "ext2", R"({"unreadable_directories":1})")}, {}), 3);
}

TEST(ExitCode, damage_is_worse_than_work_left) {
    EXPECT_EQ(exit_code_of(totals(3, 0, 1), {volume(Outcome::read, "fat12")}, {}), 4);
    EXPECT_EQ(exit_code_of(totals(3, 1, 1), {volume(Outcome::read, "fat12")}, {}), 3);
}

TEST(ExitCode, is_3_for_a_partition_beyond_the_image_an_unknown_one_that_is_not_empty_and_a_damaged_table) {
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::read, "fat12"), volume(Outcome::truncated, "")}, {}), 3);
    EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::read, "fat12"), volume(Outcome::no_filesystem, "", R"({"not_empty":true})")}, {}), 3);
    for (const char* code : {"partition_table_damaged", "filesystem_found_by_scan", "scan_limit"}) {
        FindingRow table;
        table.finding.code = code;
        EXPECT_EQ(exit_code_of(totals(3, 0, 0), {volume(Outcome::read, "fat12")}, {table}), 3) << code;
    }
}

TEST(Health, without_a_map_an_image_shorter_than_its_filesystem_is_not_whole) {
    EXPECT_EQ(health_of_image(1'474'560, nullptr, 1'474'560).word, "ok");
    EXPECT_EQ(health_of_image(430'592, nullptr, 1'474'560).word, "corrupt");
    EXPECT_EQ(health_of_image(1'474'560, nullptr, 0).word, "ok") << "nothing declares an end";
}

TEST(Problems, are_recorded_under_the_missions_keys_and_keep_what_is_there) {
    EnumerationCounts counts;
    Assessment assessment;
    EXPECT_FALSE(problems_of(std::nullopt, counts, assessment, "now").has_value());
    counts.beyond_eof = 2;
    counts.doubled_entries = 101;
    counts.doubled_names = {"/A", "/B"};
    counts.root_lost = "the root directory of volume 1 (ufs1): …";
    assessment.boot_sector_lost = "{}";
    const auto problems = nlohmann::json::parse(problems_of(R"({"comment":"box 3"})", counts, assessment, "now").value());
    EXPECT_EQ(problems["beyond_eof_detected"], true);
    EXPECT_EQ(problems["skip_count"], 2);
    EXPECT_EQ(problems["message"], "2 files reach beyond the end of the image");
    EXPECT_EQ(problems["detected_at"], "now");
    EXPECT_EQ(problems["duplicate_paths"]["count"], 101);
    EXPECT_EQ(problems["duplicate_paths"]["names"].size(), 2u);
    EXPECT_EQ(problems["io_error"], *counts.root_lost);
    EXPECT_EQ(problems["boot_sector_corruption"], true);
    EXPECT_EQ(problems["comment"], "box 3");
}

TEST(ErrorRate, is_high_above_a_tenth_of_more_than_a_hundred_files_and_goes_when_it_no_longer_is) {
    EXPECT_FALSE(with_error_rate(std::nullopt, totals(90, 10, 0)).has_value()) << "just a hundred";
    EXPECT_FALSE(with_error_rate(std::nullopt, totals(180, 20, 0)).has_value()) << "just a tenth";
    const auto high = with_error_rate(R"({"comment":1})", totals(100, 100, 0));
    const auto problems = nlohmann::json::parse(high.value());
    EXPECT_EQ(problems, (nlohmann::json{{"comment", 1}, {"high_error_rate", true}, {"error_rate", 0.5}, {"errors", 100}, {"processed", 200}, {"threshold", 0.10}}));
    EXPECT_EQ(with_error_rate(high, totals(1000, 1, 0)), R"({"comment":1})");
}

}  // namespace
}  // namespace ntt
