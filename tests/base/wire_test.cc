#include "base/wire.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace ntt {
namespace {

std::string sample() {
    WireWriter out;
    out.number(0);
    out.number(300);
    out.number(UINT64_MAX);
    out.signed_number(INT64_MIN);
    out.signed_number(-1);
    out.signed_number(INT64_MAX);
    out.flag(true);
    out.text(std::string("a\0b", 3));
    out.text("");
    out.optional_number(std::nullopt);
    out.optional_number(-7);
    out.optional_text("there");
    return out.take();
}

// Everything of sample(), read; whether it all was there and right.
bool reads_as_sample(std::string_view message) {
    WireReader in(message);
    const bool same = in.number() == 0 && in.number() == 300 && in.number() == UINT64_MAX && in.signed_number() == INT64_MIN &&
                      in.signed_number() == -1 && in.signed_number() == INT64_MAX && in.flag() && in.text(3) == std::string_view("a\0b", 3) &&
                      in.text(0).empty() && !in.optional_number() && in.optional_number() == -7 && in.optional_text(5) == "there";
    return same && in.at_end();
}

TEST(Wire, fields_come_back_as_they_were_written) { EXPECT_TRUE(reads_as_sample(sample())); }

TEST(Wire, a_message_cut_anywhere_or_with_a_byte_more_is_not_good) {
    const std::string whole = sample();
    for (size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(reads_as_sample(std::string_view(whole).substr(0, length))) << length;
    EXPECT_FALSE(reads_as_sample(whole + '\0'));
}

TEST(Wire, numbers_too_long_flags_that_are_none_and_texts_over_their_limit_make_the_reader_bad_for_good) {
    const auto bad = [](std::string_view message, auto read) {
        WireReader in(message);
        read(in);
        return !in.ok() && in.number() == 0 && in.text(10).empty() && !in.at_end();
    };
    const std::string eleven(11, '\xFF'), beyond = std::string(9, '\xFF') + '\2';
    EXPECT_TRUE(bad(eleven, [](WireReader& in) { in.number(); }));
    EXPECT_TRUE(bad(beyond, [](WireReader& in) { in.number(); }));
    EXPECT_TRUE(bad("\2", [](WireReader& in) { in.flag(); }));
    EXPECT_TRUE(bad("\5abcde", [](WireReader& in) { in.text(4); }));
    EXPECT_TRUE(bad("\x7F" "abc", [](WireReader& in) { in.text(1000); }));
    EXPECT_TRUE(bad("\x0B", [](WireReader& in) { in.number_up_to(10); }));
}

}  // namespace
}  // namespace ntt
