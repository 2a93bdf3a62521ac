#include "catalog/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ntt {
namespace {

using ::testing::ElementsAre;

TEST(Status, words_and_values_are_the_contracts) {
    for (const char* word : {"pending", "stored", "damaged", "unreadable", "excluded", "nonfile"}) {
        ASSERT_TRUE(status_from(word).has_value()) << word;
        EXPECT_EQ(to_string(*status_from(word)), word);
    }
    EXPECT_FALSE(status_from("success").has_value());
}

TEST(Merged, neighbours_of_one_cause_become_one_range) {
    EXPECT_THAT(merged({{512, 512, 1536, Cause::BAD_SECTOR}, {0, 512, 1024, Cause::BAD_SECTOR}}),
                ElementsAre(MissingRow{0, 1024, 1024, Cause::BAD_SECTOR}));
}

TEST(Merged, another_cause_or_another_place_stays_a_range_of_its_own) {
    const std::vector<MissingRow> causes = {{0, 512, 0, Cause::BAD_SECTOR}, {512, 512, 512, Cause::NOT_TRIED}};
    EXPECT_EQ(merged(causes), causes);
    const std::vector<MissingRow> places = {{0, 512, 0, Cause::BAD_SECTOR}, {512, 512, 9999, Cause::BAD_SECTOR}};
    EXPECT_EQ(merged(places), places);
    const std::vector<MissingRow> nowhere = {{0, 512, std::nullopt, Cause::FAT_CHAIN_SHORT},
                                             {512, 512, 0, Cause::FAT_CHAIN_SHORT}};
    EXPECT_EQ(merged(nowhere), nowhere);
}

TEST(Merged, a_byte_is_counted_once) {
    EXPECT_THAT(merged({{0, 1000, 0, Cause::BAD_SECTOR},
                        {500, 1000, 500, Cause::NOT_TRIED},
                        {100, 10, 100, Cause::CHECKSUM},
                        {7, 0, 7, Cause::CHECKSUM}}),
                ElementsAre(MissingRow{0, 1000, 0, Cause::BAD_SECTOR}, MissingRow{1000, 500, 1000, Cause::NOT_TRIED}));
}

TEST(Merged, ranges_up_to_the_last_number_do_not_overflow) {
    EXPECT_THAT(merged({{UINT64_MAX - 1, UINT64_MAX, std::nullopt, Cause::IMPLAUSIBLE_SIZE},
                        {UINT64_MAX - 1, 5, std::nullopt, Cause::FS_CORRUPT}}),
                ElementsAre(MissingRow{UINT64_MAX - 1, UINT64_MAX, std::nullopt, Cause::IMPLAUSIBLE_SIZE}));
}

}  // namespace
}  // namespace ntt
