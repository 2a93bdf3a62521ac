#include "base/extent.h"

#include <gtest/gtest.h>

#include <random>

#include "support/support.h"

namespace ntt::test {
namespace {

using Extents = std::vector<Extent>;

// Extents as files have them, and now and then as only a hostile image has them.
Extents random_extents(std::mt19937_64& random) {
    Extents out(random() % 20);
    uint64_t file_end = 0;
    for (Extent& extent : out) {
        const bool wild = random() % 8 == 0;
        extent.kind = static_cast<ExtentKind>(random() % 3);
        extent.length = wild ? random() >> 2 : random() % 100'000;
        extent.file_offset = wild ? random() : file_end;
        if (extent.kind != ExtentKind::hole) extent.image_offset = wild ? random() : random() % 1'000'000'000;
        file_end = extent.file_offset + extent.length;
    }
    return out;
}

void expect_round_trip(const Extents& extents) {
    const std::string bytes = encode_extents(extents);
    ASSERT_OK_ASSIGN(const Extents back, decode_extents(bytes));
    EXPECT_EQ(back, extents);
}

TEST(ExtentEncoding, ReadsBackWhatItWrote) {
    constexpr uint64_t kTop = std::numeric_limits<uint64_t>::max();
    expect_round_trip({});
    expect_round_trip({{0, 0, 0, ExtentKind::data}});
    expect_round_trip({{0, 512, 100, ExtentKind::data}});
    expect_round_trip({{0, 512, 512, ExtentKind::data}, {512, 0, 4096, ExtentKind::hole}, {4608, 100, 5, ExtentKind::opaque}});
    expect_round_trip({{1000, 500, 10, ExtentKind::data}, {0, 5, 10, ExtentKind::data}});  // backwards
    expect_round_trip({{kTop, kTop, (uint64_t{1} << 62) - 1, ExtentKind::opaque}, {0, kTop / 2 + 1, 1, ExtentKind::data}});
}

TEST(ExtentEncoding, ReadsBackThousandsOfChosenLists) {
    std::mt19937_64 random(20);
    for (int i = 0; i < 5000; ++i) expect_round_trip(random_extents(random));
}

TEST(ExtentEncoding, TheCommonSingleRunIsSmall) {
    EXPECT_EQ(encode_extents({}).size(), 0u);
    EXPECT_LE(encode_extents({{0, 3'000'000'000, 3000, ExtentKind::data}}).size(), 9u);
}

TEST(ExtentEncoding, ATruncatedListIsAnErrorOrTheListsBeginning) {
    std::mt19937_64 random(21);
    for (int i = 0; i < 300; ++i) {
        const Extents extents = random_extents(random);
        const std::string bytes = encode_extents(extents);
        for (size_t size = 0; size < bytes.size(); ++size) {
            const auto cut = decode_extents(std::string_view(bytes).substr(0, size));
            if (!cut.ok()) {
                EXPECT_EQ(cut.error().code, ErrorCode::catalog_damaged);
                continue;
            }
            ASSERT_LT(cut->size(), extents.size());
            EXPECT_TRUE(std::equal(cut->begin(), cut->end(), extents.begin()));
        }
    }
}

TEST(ExtentEncoding, AnyBytesAreRefusedOrRead) {
    std::mt19937_64 random(22);
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes = chosen_bytes(static_cast<uint32_t>(random()), 1 + random() % 40);
        bytes[0] = 1;
        const auto read = decode_extents(bytes);
        if (read.ok()) continue;
        EXPECT_EQ(read.error().code, ErrorCode::catalog_damaged);
    }
}

TEST(ExtentEncoding, AnotherVersionAKindThatIsNoneAndANumberTooLongAreRefused) {
    const std::string good = encode_extents({{0, 512, 100, ExtentKind::data}});
    std::string other = good;
    other[0] = 2;
    EXPECT_FALSE(decode_extents(other).ok());
    EXPECT_FALSE(decode_extents(std::string("\x01\x03\x00\x00", 4)).ok());                       // kind 3
    EXPECT_FALSE(decode_extents("\x01" + std::string(9, '\x80') + "\x02").ok());                 // 2^64
    EXPECT_FALSE(decode_extents("\x01" + std::string(11, '\x80') + std::string(1, '\0')).ok());  // never ends
}

}  // namespace
}  // namespace ntt::test
