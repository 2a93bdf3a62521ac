#include "diagnose/cross_link.h"

#include "support/support.h"

namespace ntt {
namespace {

SectorClaim claim(int64_t ino, std::vector<Extent> extents, bool fits = true) { return {ino, std::move(extents), fits, false, SectorClaim::Owner::file}; }
Extent run(uint64_t file_offset, uint64_t image_offset, uint64_t length) { return {file_offset, image_offset, length, ExtentKind::data}; }

TEST(CrossLink, files_that_share_nothing_have_none) {
    EXPECT_TRUE(find_cross_links({claim(1, {run(0, 0, 512)}), claim(2, {run(0, 512, 512)})}).empty());
}

TEST(CrossLink, the_only_claimant_whose_chain_fits_keeps_the_sectors) {
    const auto links = find_cross_links({claim(1, {run(0, 0, 2048)}), claim(2, {run(0, 4096, 512), run(512, 1024, 512)}, false)});
    ASSERT_EQ(links.size(), 2u);
    EXPECT_TRUE(links[0].keeps);
    EXPECT_FALSE(links[1].keeps);
    EXPECT_EQ(links[1].shared, (std::vector<Extent>{run(512, 1024, 512)}));
    EXPECT_EQ(links[0].shared, (std::vector<Extent>{run(1024, 1024, 512)}));
    EXPECT_EQ(links[1].others, std::vector<int64_t>{1});
}

TEST(CrossLink, when_two_chains_fit_nobody_is_trusted) {
    const auto links = find_cross_links({claim(1, {run(0, 0, 1024)}), claim(2, {run(0, 512, 1024)})});
    ASSERT_EQ(links.size(), 2u);
    EXPECT_FALSE(links[0].keeps);
    EXPECT_FALSE(links[1].keeps);
}

TEST(CrossLink, of_two_entries_with_the_very_same_clusters_the_first_keeps_them) {
    const auto links = find_cross_links({claim(1, {run(0, 0, 1024)}), claim(2, {run(0, 0, 1024)}), claim(3, {run(0, 0, 1024)})});
    ASSERT_EQ(links.size(), 3u);
    EXPECT_TRUE(links[0].keeps);
    EXPECT_FALSE(links[1].keeps);
    EXPECT_FALSE(links[2].keeps);
}

TEST(CrossLink, a_third_claimant_of_a_part_spoils_the_twins_when_it_fits) {
    const auto links = find_cross_links({claim(1, {run(0, 0, 1024)}), claim(2, {run(0, 0, 1024)}), claim(3, {run(0, 512, 512)})});
    ASSERT_EQ(links.size(), 3u);
    for (const CrossLink& link : links) EXPECT_FALSE(link.keeps) << link.ino;
}

// One of two equal start clusters was perhaps another before it was damaged: then that chain is nobody's now.
TEST(CrossLink, of_two_entries_with_the_very_same_clusters_nobody_keeps_them_when_a_chain_of_that_length_is_lost) {
    SectorClaim one = claim(1, {run(0, 0, 1024)}), two = claim(2, {run(0, 0, 1024)});
    one.may_be_elsewhere = two.may_be_elsewhere = true;
    const auto links = find_cross_links({one, two});
    ASSERT_EQ(links.size(), 2u);
    EXPECT_FALSE(links[0].keeps);
    EXPECT_FALSE(links[1].keeps);
    EXPECT_TRUE(find_cross_links({one, claim(3, {run(0, 512, 512)}, false)})[0].keeps) << "it has no twin";
}

TEST(CrossLink, a_file_never_keeps_what_a_directory_says_is_its_own) {
    SectorClaim directory = claim(0, {run(0, 512, 512)});
    directory.owner = SectorClaim::Owner::directory;
    const auto links = find_cross_links({claim(1, {run(0, 0, 2048)}), directory});
    ASSERT_EQ(links.size(), 1u);
    EXPECT_FALSE(links[0].keeps);
    EXPECT_EQ(links[0].shared, (std::vector<Extent>{run(512, 512, 512)}));
    EXPECT_TRUE(links[0].others.empty());
}

TEST(CrossLink, thousands_of_claimants_of_one_cluster_end_soon_and_nobody_keeps_it) {
    std::vector<SectorClaim> claims;
    for (int64_t i = 0; i < 50'000; ++i) claims.push_back(claim(i, {run(0, 1024 + (i == 7 ? 1u : 0u), 4096)}, i == 7));
    const auto links = find_cross_links(std::move(claims));
    EXPECT_EQ(links.size(), 50'000u);
    for (const CrossLink& link : links) ASSERT_FALSE(link.keeps);
}

}  // namespace
}  // namespace ntt
