#include "image/fill.h"

#include "support/support.h"

namespace ntt {
namespace {

const CancelToken kGoOn;

TEST(FillPattern, is_the_shortest_word_that_repeats_wherever_the_look_begins) {
    std::string text;
    while (text.size() < 4096) text += "abcdefg";
    const auto from_start = FillPattern::of(as_bytes(text), 0);
    ASSERT_TRUE(from_start);
    EXPECT_EQ(from_start->text(), "0x61626364656667");
    EXPECT_EQ(FillPattern::of(as_bytes(text).subspan(1000, 700), 1000), from_start);
    EXPECT_TRUE(from_start->gives(as_bytes(text).subspan(1234, 99), 1234));
    EXPECT_FALSE(from_start->gives(as_bytes(text).subspan(1234, 99), 1235));
    EXPECT_FALSE(FillPattern::of(as_bytes(test::chosen_bytes(1, 4096)), 0));
    EXPECT_EQ(FillPattern::of(as_bytes(std::string(600, '\xF6')), 7)->byte(), 0xF6);
}

TEST(FillPattern, has_a_word_for_its_byte) {
    const auto word = [](char byte) { return FillPattern::of(as_bytes(std::string(64, byte)), 0)->word(); };
    EXPECT_EQ(word('\0'), "blank");
    EXPECT_EQ(word('\xF6'), "erased");
    EXPECT_EQ(word('\x55'), "wiped");
    EXPECT_EQ(word('\xFF'), "wiped");
}

TEST(Fill, counts_exactly_and_names_the_sectors_that_hold_something_else) {
    std::string image(10 << 20, '\x55');
    image[5'000'000] = 'x';
    image.replace(9 << 20, 1024, std::string(1024, 'y'));
    const auto source = memory_image(image);
    ASSERT_OK_ASSIGN(const auto fill, fill_of(*source, {0, image.size()}, {}, kGoOn));
    ASSERT_TRUE(fill);
    EXPECT_EQ(fill->filled_bytes, image.size() - 3 * 512);
    EXPECT_FALSE(fill->whole());
    EXPECT_EQ(fill->other_ranges, 2u);
    ASSERT_EQ(fill->others.size(), 2u);
    EXPECT_EQ(fill->others[0], (ByteRange{5'000'000 / 512 * 512, 512}));
    EXPECT_EQ(fill->others[1], (ByteRange{9 << 20, 1024}));
}

TEST(Fill, of_any_size_down_to_one_byte) {
    for (const size_t size : {1u, 2u, 511u, 512u, 513u, 4097u, 262'145u, 3'000'001u}) {
        const auto source = memory_image(std::string(size, '\xF6'));
        ASSERT_OK_ASSIGN(const auto fill, fill_of(*source, {0, size}, {}, kGoOn));
        ASSERT_TRUE(fill) << size;
        EXPECT_TRUE(fill->whole()) << size;
        EXPECT_EQ(fill->pattern.byte(), 0xF6);
    }
    const auto source = memory_image("xy");
    ASSERT_OK_ASSIGN(const auto none, fill_of(*source, {0, 0}, {}, kGoOn));
    EXPECT_FALSE(none);
    ASSERT_OK_ASSIGN(const auto one, fill_of(*source, {1, 1}, {}, kGoOn));
    EXPECT_EQ(one->pattern.byte(), 'y');
}

TEST(Fill, is_told_of_what_was_read_if_that_is_nearly_all) {
    std::string image(1 << 20, '\xF6');
    image.replace(0, 512, std::string(512, '\0'));
    image.replace(500'000, 1000, std::string(1000, '\0'));
    const auto source = memory_image(image);
    ASSERT_OK_ASSIGN(const auto fill, fill_of(*source, {0, image.size()}, {{0, 512}, {500'000, 1000}}, kGoOn));
    ASSERT_TRUE(fill);
    EXPECT_TRUE(fill->whole());
    EXPECT_EQ(fill->share(), 1.0);
    EXPECT_EQ(fill->unread_bytes, 512u + 3 * 512);  // whole sectors
    ASSERT_OK_ASSIGN(const auto little, fill_of(*source, {0, image.size()}, {{1000, 200'000}}, kGoOn));
    EXPECT_FALSE(little);
    ASSERT_OK_ASSIGN(const auto nothing, fill_of(*source, {0, image.size()}, {{0, image.size()}}, kGoOn));
    EXPECT_FALSE(nothing);
}

TEST(Fill, is_none_where_more_than_a_megabyte_is_something_else) {
    std::string image(200 << 20, '\0');
    image.replace(5'000'000, 3 << 19, test::chosen_bytes(1, 3 << 19));
    const auto source = memory_image(image);
    ASSERT_OK_ASSIGN(const auto fill, fill_of(*source, {0, image.size()}, {}, kGoOn));
    EXPECT_FALSE(fill);
}

TEST(Fill, is_none_where_a_fiftieth_is_something_else) {
    std::string image(1 << 20, '\0');
    image.replace(500'000, 20'480, test::chosen_bytes(1, 20'480));
    const auto source = memory_image(image);
    ASSERT_OK_ASSIGN(const auto fill, fill_of(*source, {0, image.size()}, {}, kGoOn));
    EXPECT_FALSE(fill);
}

}  // namespace
}  // namespace ntt
