#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/support.h"

namespace ntt::test {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
const std::string kReplaced = "\xEF\xBF\xBD";

TEST(Bytes, CheckedArithmeticSaysWhenItOverflows) {
    EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
    EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
    EXPECT_EQ(checked_mul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), kMax - ((uint64_t{1} << 32) - 1));
    EXPECT_EQ(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
    EXPECT_EQ(checked_mul(0, kMax), 0u);
}

TEST(Bytes, RangesIntersectInWhatBothHave) {
    EXPECT_EQ(intersect({0, 10}, {5, 10}), (ByteRange{5, 5}));
    EXPECT_EQ(intersect({5, 10}, {0, 100}), (ByteRange{5, 10}));
    EXPECT_TRUE(intersect({0, 10}, {10, 5}).empty());
    EXPECT_TRUE(intersect({20, 1}, {0, 10}).empty());
    EXPECT_TRUE(intersect({3, 0}, {0, 10}).empty());
    EXPECT_EQ(intersect({kMax - 1, 1}, {0, kMax}), (ByteRange{kMax - 1, 1}));
}

TEST(Bytes, HexIsLowerCaseAndReadsBack) {
    const std::string bytes = chosen_bytes(1, 300);
    const std::string hex = to_hex(as_bytes(bytes));
    EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_EQ(from_hex(hex), bytes);
    EXPECT_EQ(to_hex(as_bytes(std::string_view("\x00\x0f\xf0\xff", 4))), "000ff0ff");
    EXPECT_EQ(from_hex("FfAa"), "\xff\xaa");
    EXPECT_EQ(from_hex(""), "");
}

TEST(Bytes, WhatIsNotHexIsRefused) {
    for (const char* text : {"0", "abc", "0g", "g0", " 0", "0x", "--", "0\n"}) EXPECT_EQ(from_hex(text), std::nullopt) << text;
    EXPECT_EQ(from_hex(std::string_view("0\0", 2)), std::nullopt);
}

TEST(Bytes, Utf8IsWellFormedExactlyWhereUnicodeSaysSo) {
    // The borders of every row of Unicode 15, table 3-7.
    for (const char* text : {"", "a", "\x7f", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80",
                             "\xEC\xBF\xBF", "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
                             "\xF0\xBF\xBF\xBF", "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF", "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(is_utf8(text)) << to_hex(as_bytes(text));
    for (const char* text : {"\x80",
                             "\xBF",
                             "\xC0\x80",
                             "\xC1\xBF",
                             "\xC2",
                             "\xC2\x7F",
                             "\xC2\xC0",
                             "\xDF",
                             "\xE0\x9F\xBF",
                             "\xE0\xA0",
                             "\xE1\x80",
                             "\xE1\x80\x7F",
                             "\xED\xA0\x80",
                             "\xED\xBF\xBF",
                             "\xF0\x8F\xBF\xBF",
                             "\xF0\x90\x80",
                             "\xF4\x90\x80\x80",
                             "\xF5\x80\x80\x80",
                             "\xFE",
                             "\xFF",
                             "a\x80",
                             "\xE2\x82"})
        EXPECT_FALSE(is_utf8(text)) << to_hex(as_bytes(text));
    EXPECT_TRUE(is_utf8(std::string_view("\0", 1)));
}

TEST(Bytes, EveryCodePointIsUtf8ButSurrogates) {
    for (uint32_t c = 0; c < 0x110000; ++c) {
        std::string text;
        const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
        if (c < 0x80) {
            text += static_cast<char>(c);
        } else if (c < 0x800) {
            text += static_cast<char>(0xC0 | c >> 6), tail(0);
        } else if (c < 0x10000) {
            text += static_cast<char>(0xE0 | c >> 12), tail(6), tail(0);
        } else {
            text += static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0);
        }
        const bool surrogate = c >= 0xD800 && c < 0xE000;
        ASSERT_EQ(is_utf8(text), !surrogate) << c;
        for (size_t cut = 1; cut < text.size(); ++cut) ASSERT_FALSE(is_utf8(text.substr(0, cut))) << c;
    }
}

TEST(Bytes, EachIllFormedByteIsShownAsOneReplacement) {
    EXPECT_EQ(to_display_utf8("NI\xD1O.DOC"), "NI" + kReplaced + "O.DOC");
    EXPECT_EQ(to_display_utf8("\xED\xA0\x80"), kReplaced + kReplaced + kReplaced);
    EXPECT_EQ(to_display_utf8("\xE2\x82"), kReplaced + kReplaced);
    EXPECT_EQ(to_display_utf8("a\nb\x1b"), "a\nb\x1b");
    for (uint32_t seed = 0; seed < 200; ++seed) EXPECT_TRUE(is_utf8(to_display_utf8(chosen_bytes(seed, 100))));
}

TEST(Bytes, TerminalTextHasNoControlsAndNoTurnedWriting) {
    EXPECT_EQ(to_terminal_text("a\x1b[31mb"), "a" + kReplaced + "[31mb");
    EXPECT_EQ(to_terminal_text("a\r\n\t\x7f"), "a" + kReplaced + kReplaced + kReplaced + kReplaced);
    EXPECT_EQ(to_terminal_text("\xC2\x9B"
                               "31m"),
              kReplaced + "31m");                                                    // CSI as one C1 control
    EXPECT_EQ(to_terminal_text("exe.\xE2\x80\xAEgpj"), "exe." + kReplaced + "gpj");  // right-to-left override
    EXPECT_EQ(to_terminal_text("\xC3\xB1 \xE2\x82\xAC"), "\xC3\xB1 \xE2\x82\xAC");
    for (uint32_t seed = 0; seed < 200; ++seed) {
        const std::string shown = to_terminal_text(chosen_bytes(seed, 100));
        EXPECT_TRUE(is_utf8(shown));
        for (const char c : shown) EXPECT_FALSE(static_cast<uint8_t>(c) < 0x20 || c == 0x7F);
    }
}

}  // namespace
}  // namespace ntt::test
