#include "copy/segments.h"

#include "support/support.h"

namespace ntt {
namespace {

constexpr auto kData = SegmentKind::data;
constexpr auto kHole = SegmentKind::hole;
constexpr auto kMissing = SegmentKind::missing;

TEST(Segments, an_empty_file_has_none) { EXPECT_TRUE(segments_of(0, {}, {}).empty()); }

TEST(Segments, runs_that_follow_each_other_in_the_image_are_read_as_one) {
    const auto segments = segments_of(3000, {{0, 1000, 1000, ExtentKind::data}, {1000, 2000, 2000, ExtentKind::data}}, {});
    EXPECT_EQ(segments, (std::vector<Segment>{{0, 3000, 1000, kData}}));
}

TEST(Segments, a_missing_range_is_cut_out_of_the_data_around_it) {
    const auto segments = segments_of(3000, {{0, 10'000, 3000, ExtentKind::data}}, {{512, 1024, 10'512, Cause::BAD_SECTOR}});
    EXPECT_EQ(segments, (std::vector<Segment>{{0, 512, 10'000, kData}, {512, 1024, 0, kMissing}, {1536, 1464, 11'536, kData}}));
}

TEST(Segments, holes_stay_holes_and_an_uncovered_tail_is_missing) {
    const auto segments = segments_of(4000, {{0, 0, 1000, ExtentKind::hole}, {1000, 5000, 1000, ExtentKind::data}}, {{2000, 2000, std::nullopt, Cause::FAT_CHAIN_SHORT}});
    EXPECT_EQ(segments, (std::vector<Segment>{{0, 1000, 0, kHole}, {1000, 1000, 5000, kData}, {2000, 2000, 0, kMissing}}));
}

TEST(Segments, an_extent_longer_than_the_file_is_clipped) {
    EXPECT_EQ(segments_of(100, {{0, 512, 512, ExtentKind::data}}, {}), (std::vector<Segment>{{0, 100, 512, kData}}));
}

TEST(Segments, bytes_under_nothing_are_missing) {
    EXPECT_EQ(segments_of(1000, {{500, 512, 500, ExtentKind::data}}, {}), (std::vector<Segment>{{0, 500, 0, kMissing}, {500, 500, 512, kData}}));
}

TEST(Segments, missing_ranges_of_several_causes_in_one_extent_are_all_cut_out) {
    const auto segments = segments_of(1000, {{0, 0, 1000, ExtentKind::data}},
                                      {{0, 100, 0, Cause::BAD_SECTOR}, {100, 100, 100, Cause::NOT_TRIED}, {900, 100, 900, Cause::BEYOND_EOF}});
    EXPECT_EQ(segments, (std::vector<Segment>{{0, 200, 0, kMissing}, {200, 700, 200, kData}, {900, 100, 0, kMissing}}));
}

}  // namespace
}  // namespace ntt
