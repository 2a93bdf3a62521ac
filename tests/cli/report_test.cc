// Text and JSON of src/report by themselves.
#include <gmock/gmock.h>

#include "report/hints.h"
#include "report/output.h"
#include "report/progress.h"
#include "report/summary.h"
#include "report/table.h"
#include "world.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Report, width_counts_wide_and_combining_characters) {
    EXPECT_EQ(display_width("NIÑO"), 4u);
    EXPECT_EQ(display_width("日本"), 4u);
    EXPECT_EQ(display_width("e\xCC\x81"), 1u);
    EXPECT_EQ(display_width(""), 0u);
}

TEST(Report, columns_stand_under_each_other_whatever_the_script) {
    Table table({{"NAME"}, {"N", Table::Align::right}, {"LAST"}});
    table.add({"日本", "5", "x"});
    table.add({"plain", "12345", "y"});
    table.add({"evil\x1B[2J\n", "1", "z"});
    const std::string text = table.text();
    EXPECT_THAT(text, HasSubstr("\n日本           5  x\n"));
    EXPECT_THAT(text, HasSubstr("\nplain      12345  y\n"));
    EXPECT_THAT(text, Not(HasSubstr("\x1B")));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
}

TEST(Report, numbers_for_people) {
    EXPECT_EQ(with_commas(0), "0");
    EXPECT_EQ(with_commas(999), "999");
    EXPECT_EQ(with_commas(1'474'560), "1,474,560");
    EXPECT_EQ(with_commas(UINT64_MAX), "18,446,744,073,709,551,615");
    EXPECT_EQ(human_size(1023), "1023 B");
    EXPECT_EQ(human_size(1'474'560), "1.4 MiB");
    EXPECT_EQ(human_size(UINT64_MAX), "16.0 EiB");
    EXPECT_EQ(human_time(std::nullopt), "-");
    EXPECT_EQ(human_time(0), "1970-01-01 00:00");
    EXPECT_EQ(human_time(INT64_MAX), "@9223372036854775807");
}

TEST(Report, progress_shows_rates_and_the_time_left_once_they_mean_something) {
    EXPECT_EQ(progress_line({5, 100, 0, 0, 0}), "5 files  100 B");
    const std::string line = progress_line({1000, 10'000'000, 2000, 30'000'000, 2'000'000});
    EXPECT_THAT(line, HasSubstr("1,000 of 2,000 files"));
    EXPECT_THAT(line, HasSubstr("500 files/s"));
    EXPECT_THAT(line, HasSubstr("5.0 MB/s"));
    EXPECT_THAT(line, HasSubstr("00:04 left"));
}

TEST(Report, progress_draws_on_a_terminal_only_and_leaves_nothing_behind) {
    char* text = nullptr;
    size_t size = 0;
    std::FILE* terminal = open_memstream(&text, &size);
    const ProgressCounters counters;
    { const Progress none(nullptr, counters); }
    { const Progress progress(terminal, counters); }
    std::fclose(terminal);
    const std::string drawn(text, size);
    std::free(text);
    EXPECT_TRUE(drawn.size() >= 4 && drawn.substr(drawn.size() - 4) == kEraseLine) << drawn;
}

TEST(Report, the_summary_is_the_contracts_object_in_its_order) {
    IngestSummary summary;
    summary.source = "a\xFF.img";
    summary.medium_hash = "f95834a4b718f54edc7b549ca854aef8";
    summary.totals.inodes = summary.totals.stored = 2;
    summary.health = "ok";
    EXPECT_EQ(
        to_line(json_of(summary)),
        "{\"type\":\"summary\",\"source\":\"a\xEF\xBF\xBD.img\",\"medium_hash\":\"f95834a4b718f54edc7b549ca854aef8\",\"totals\":{"
        "\"paths\":0,"
        "\"inodes\":2,\"stored\":2,\"damaged\":0,\"unreadable\":0,\"excluded\":0,\"nonfile\":0,\"pending\":0},\"bytes\":{"
        "\"content\":0,"
        "\"missing\":0,\"unique_new\":0},\"blobs\":{\"new\":0,\"deduplicated\":0},\"volumes\":0,\"health\":\"ok\",\"exit\":0}\n");
    EXPECT_EQ(to_line(result_json(Exit::damaged, 2)), "{\"type\":\"result\",\"exit\":3,\"sources\":2}\n");
    EXPECT_THAT(closing_table(summary), HasSubstr("stored"));
    EXPECT_TRUE(is_utf8(closing_table(summary)));
}

TEST(Report, the_worst_exit_counts) {
    EXPECT_EQ(worst(Exit::done, Exit::work_left), Exit::work_left);
    EXPECT_EQ(worst(Exit::damaged, Exit::work_left), Exit::damaged);
    EXPECT_EQ(worst(Exit::damaged, Exit::failed), Exit::failed);
    EXPECT_EQ(worst(Exit::interrupted, Exit::failed), Exit::interrupted);
}

TEST(Report, json_columns_that_are_no_json_are_shown_as_text) {
    EXPECT_EQ(embedded(std::string_view("[1,2]")).size(), 2u);
    EXPECT_EQ(embedded(std::string_view("{broken")), "{broken");
    EXPECT_TRUE(embedded(std::optional<std::string>()).is_null());
}

TEST(Report, ranges_of_one_cause_that_touch_are_one) {
    const auto ranges = merged({missing(8, 4, 8, Cause::BAD_SECTOR), missing(0, 4, 0, Cause::BAD_SECTOR),
                                missing(4, 4, 4, Cause::BAD_SECTOR), missing(12, 4, 12, Cause::NOT_TRIED)});
    ASSERT_EQ(ranges.size(), 2u);
    EXPECT_EQ(ranges[0].file_offset, 0u);
    EXPECT_EQ(ranges[0].length, 12u);
}

TEST(Report, the_range_to_reimage_is_in_whole_sectors_and_only_of_what_imaging_may_give) {
    EXPECT_EQ(range_to_reimage({missing(0, 10, 700, Cause::NOT_TRIED), missing(10, 10, 2000, Cause::NOT_SCRAPED),
                                missing(20, 9, 90'000, Cause::BAD_SECTOR)}),
              (ByteRange{512, 1536}));
    EXPECT_EQ(range_to_reimage({missing(0, 10, 700, Cause::BAD_SECTOR)}), std::nullopt);
    EXPECT_EQ(range_to_reimage({missing(0, 10, UINT64_MAX - 3, Cause::NOT_TRIED)}), std::nullopt);
}

TEST(Report, words_for_a_shell_are_quoted_where_they_must_be) {
    EXPECT_EQ(shell_word("/a/b-1.img"), "/a/b-1.img");
    EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_word(""), "''");
}

}  // namespace
}  // namespace ntt::test
