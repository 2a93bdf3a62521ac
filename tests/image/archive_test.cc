#include "image/archive.h"

#include "support/support.h"

namespace ntt {
namespace {

using test::must;
using test::TempDir;

// Each look at it is a second later.
struct RacingClock final : Clock {
    int64_t wall_us() const override { return 0; }
    int64_t monotonic_us() const override { return now += 1'000'000; }
    mutable int64_t now = 0;
};

Result<ArchiveContents> contents_of(std::string bytes, ArchiveLimits limits = {}, const Clock& clock = Clock::system(), const CancelToken& cancel = {}) {
    const auto source = memory_image(std::move(bytes));
    return look_into_archive(*source, limits, clock, cancel);
}

std::string tar_of_many(const TempDir& dir, const char* filter) {
    must("mkdir d && for i in $(seq 500); do echo $i > d/f$i; done", dir.path().string());
    return must(std::string("tar cf - d | ") + filter, dir.path().string());
}

TEST(Archive, counts_all_entries_and_names_the_first_ten) {
    const TempDir dir;
    ASSERT_OK_ASSIGN(const ArchiveContents inside, contents_of(tar_of_many(dir, "bzip2")));
    EXPECT_EQ(inside.type, "tar.bz2");
    EXPECT_EQ(inside.entries, 501u);
    EXPECT_EQ(inside.first.size(), 10u);
    EXPECT_EQ(inside.first.front(), "d/");
    EXPECT_TRUE(inside.complete);
    EXPECT_EQ(inside.text(), "tar.bz2 with 501 entries, first: d/");
}

TEST(Archive, ends_at_each_limit_and_says_so) {
    const TempDir dir;
    const std::string tar = tar_of_many(dir, "cat");
    ASSERT_OK_ASSIGN(const ArchiveContents few, contents_of(tar, {.entries = 7}));
    EXPECT_EQ(few.text(), "tar with at least 7 entries, first: d/; the look into it ended after 7 entries");
    ASSERT_OK_ASSIGN(const ArchiveContents bytes, contents_of(tar, {.input_bytes = 100'000}));
    EXPECT_FALSE(bytes.complete);
    EXPECT_GT(bytes.entries, 20u);
    EXPECT_LT(bytes.entries, 200u);
    ASSERT_OK_ASSIGN(const ArchiveContents late, contents_of(tar, {.time_us = 30'000'000}, RacingClock{}));
    EXPECT_FALSE(late.complete);
    EXPECT_NE(late.stopped.find("30 seconds"), std::string::npos) << late.stopped;
}

// A gigabyte of zeros in a megabyte: its one entry must not be unpacked to the end when the time is over.
TEST(Archive, that_unpacks_to_a_thousand_times_its_size_is_left_when_time_is_up) {
    const TempDir dir;
    must("truncate -s 1G zeros && tar cSf /dev/null zeros && tar cf - zeros | gzip -1 > bomb", dir.path().string());
    ASSERT_OK_ASSIGN(const ArchiveContents inside, contents_of(test::read_file(dir / "bomb"), {.time_us = 20'000'000}, RacingClock{}));
    EXPECT_EQ(inside.entries, 1u);
    EXPECT_EQ(inside.bytes, uint64_t{1} << 30);
    EXPECT_FALSE(inside.complete);
}

TEST(Archive, cut_anywhere_gives_what_stands_before_the_cut) {
    const TempDir dir;
    const std::string whole = tar_of_many(dir, "gzip");
    for (size_t length = 20; length < whole.size(); length += 97) {
        ASSERT_OK_ASSIGN(const ArchiveContents inside, contents_of(whole.substr(0, length)));
        EXPECT_LE(inside.entries, 501u);
        EXPECT_TRUE(!inside.complete || inside.single || inside.entries == 501) << length << ": " << inside.text();
    }
}

TEST(Archive, that_is_cancelled_is_an_error_and_no_description) {
    const TempDir dir;
    CancelToken cancel;
    cancel.cancel();
    const auto outcome = contents_of(tar_of_many(dir, "gzip"), {}, Clock::system(), cancel);
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ntt
