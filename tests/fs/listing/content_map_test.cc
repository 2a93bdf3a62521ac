#include "fs/listing/content_map.h"

#include <gtest/gtest.h>

namespace ntt {
namespace {

InodeEntry finish(ContentMap& map, ContentMap::Gap gap) {
    InodeEntry out;
    map.finish(gap, out);
    return out;
}

TEST(ContentMap, NeighboursInFileAndImageBecomeOneExtent) {
    ContentMap map(300, 1000);
    map.add_data(100, 600, 100);
    map.add_data(0, 500, 100);
    map.add_data(200, 800, 500);
    const InodeEntry out = finish(map, ContentMap::Gap::missing);
    const std::vector<Extent> expected = {{0, 500, 200, ExtentKind::data}, {200, 800, 100, ExtentKind::data}};
    EXPECT_EQ(out.extents, expected);
    EXPECT_TRUE(out.faults.empty());
}

TEST(ContentMap, AGapIsAHoleOrAFault) {
    for (const auto gap : {ContentMap::Gap::hole, ContentMap::Gap::missing}) {
        ContentMap map(300, 1000);
        map.add_data(100, 500, 100);
        const InodeEntry out = finish(map, gap);
        if (gap == ContentMap::Gap::hole) {
            EXPECT_EQ(out.extents.size(), 3u);
            EXPECT_TRUE(out.faults.empty());
        } else {
            EXPECT_EQ(out.extents.size(), 1u);
            ASSERT_EQ(out.faults.size(), 2u);
            EXPECT_EQ(out.faults[0].cause, Cause::FS_CORRUPT);
            EXPECT_EQ(out.faults[1].file_offset, 200u);
            EXPECT_EQ(out.faults[1].length, 100u);
        }
    }
}

TEST(ContentMap, WhatIsNotMappedOfAFileLargerThanItsVolumeHasAnImplausibleSize) {
    ContentMap map(5000, 1000);
    map.add_data(0, 500, 100);
    const InodeEntry out = finish(map, ContentMap::Gap::missing);
    ASSERT_EQ(out.faults.size(), 1u);
    EXPECT_EQ(out.faults[0].cause, Cause::IMPLAUSIBLE_SIZE);
    EXPECT_EQ(out.faults[0].length, 4900u);
}

TEST(ContentMap, AFaultKeepsAHoleFromBeingSeenThere) {
    ContentMap map(300, 1000);
    map.add_fault(100, 100, Cause::FS_CORRUPT, "{}");
    const InodeEntry out = finish(map, ContentMap::Gap::hole);
    const std::vector<Extent> expected = {{0, 0, 100, ExtentKind::hole}, {200, 0, 100, ExtentKind::hole}};
    EXPECT_EQ(out.extents, expected);
    ASSERT_EQ(out.faults.size(), 1u);
}

TEST(ContentMap, TwoRunsForTheSameBytesAreAFault) {
    ContentMap map(300, 1000);
    map.add_data(0, 500, 200);
    map.add_data(100, 900, 200);
    const InodeEntry out = finish(map, ContentMap::Gap::missing);
    const std::vector<Extent> expected = {{0, 500, 200, ExtentKind::data}, {200, 1000, 100, ExtentKind::data}};
    EXPECT_EQ(out.extents, expected);
    ASSERT_EQ(out.faults.size(), 1u);
    EXPECT_EQ(out.faults[0].file_offset, 100u);
    EXPECT_EQ(out.faults[0].length, 100u);
}

TEST(ContentMap, AnAddressThatOverflowsIsAFault) {
    ContentMap map(100, 1000);
    map.add_data(0, UINT64_MAX - 10, 100);
    const InodeEntry out = finish(map, ContentMap::Gap::hole);
    EXPECT_TRUE(out.extents.empty());
    EXPECT_EQ(out.faults.size(), 1u);
}

}  // namespace
}  // namespace ntt
