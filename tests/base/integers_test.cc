#include "base/integers.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/clock.h"

namespace ntt::test {
namespace {

TEST(DiskIntegers, LieAsTheirNameSaysWithoutAlignment) {
    struct Header {
        uint8_t tag;
        Le16 le16;
        Be16 be16;
        Le32 le32;
        Be32 be32;
        Le64 le64;
        Be64 be64;
    };
    static_assert(sizeof(Header) == 1 + 2 + 2 + 4 + 4 + 8 + 8);
    static_assert(alignof(Header) == 1);
    uint8_t bytes[sizeof(Header)];
    for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<uint8_t>(0xE0 + i);
    Header header;
    std::memcpy(&header, bytes, sizeof header);
    EXPECT_EQ(header.le16, 0xE2E1);
    EXPECT_EQ(header.be16, 0xE3E4);
    EXPECT_EQ(header.le32, 0xE8E7E6E5u);
    EXPECT_EQ(header.be32, 0xE9EAEBECu);
    EXPECT_EQ(header.le64, 0xF4F3F2F1F0EFEEEDull);
    EXPECT_EQ(header.be64, 0xF5F6F7F8F9FAFBFCull);
    Header copy{bytes[0],
                uint16_t{header.le16},
                uint16_t{header.be16},
                uint32_t{header.le32},
                uint32_t{header.be32},
                uint64_t{header.le64},
                uint64_t{header.be64}};
    EXPECT_EQ(std::memcmp(&copy, bytes, sizeof copy), 0);
}

TEST(Iso8601, IsUtcWithMicroseconds) {
    EXPECT_EQ(iso8601_utc(0), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(iso8601_utc(1'759'926'896'123'456), "2025-10-08T12:34:56.123456Z");
    EXPECT_EQ(iso8601_utc(951'782'400'000'001), "2000-02-29T00:00:00.000001Z");
    EXPECT_EQ(iso8601_utc(4'102'444'799'999'999), "2099-12-31T23:59:59.999999Z");
}

TEST(Iso8601, BeforeTheEpochTheFractionStillCountsForward) {
    EXPECT_EQ(iso8601_utc(-1), "1969-12-31T23:59:59.999999Z");
    EXPECT_EQ(iso8601_utc(-1'000'000), "1969-12-31T23:59:59.000000Z");
}

}  // namespace
}  // namespace ntt::test
