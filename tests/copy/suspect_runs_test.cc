#include "copy/suspect_runs.h"

#include <cstdio>

#include "support/support.h"

namespace ntt {
namespace {

using test::chosen_bytes;

// Bytes without a run of their own, so that nothing but what a test puts there is one.
std::string noise(size_t size) {
    std::string out(size, '\0');
    uint32_t state = 12345;
    for (char& c : out) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(state >> 24 | 1);
    }
    return out;
}

std::vector<SuspectRun> runs_in(const std::string& content, size_t piece = SIZE_MAX, uint64_t min_bytes = 4096) {
    SuspectRuns finder(min_bytes);
    finder.begin(content.size());
    for (size_t at = 0; at < content.size(); at += std::min(piece, content.size() - at))
        finder.take(at, as_bytes(content).subspan(at, std::min(piece, content.size() - at)));
    return finder.finish();
}

std::string with(size_t offset, const std::string& run, size_t size = 100'000) {
    std::string out = noise(size);
    out.replace(offset, run.size(), run);
    return out;
}

std::string repeated(std::string_view word, size_t size) {
    std::string out;
    while (out.size() < size) out += word;
    out.resize(size);
    return out;
}

TEST(SuspectRuns, from_sector_to_sector_are_found_with_their_place_whatever_the_pieces) {
    for (const char byte : {'\0', '\xF6', '\x55'}) {
        for (const size_t piece : {size_t{512}, size_t{4096}, size_t{16'384}, SIZE_MAX}) {
            const auto runs = runs_in(with(20 * 512, std::string(4096, byte)), piece);
            ASSERT_EQ(runs.size(), 1u) << piece;
            EXPECT_EQ(runs[0].file_offset, 20u * 512);
            EXPECT_EQ(runs[0].length, 4096u);
            EXPECT_FALSE(runs[0].at_start || runs[0].at_end);
        }
    }
}

TEST(SuspectRuns, shorter_than_asked_for_are_none) {
    EXPECT_TRUE(runs_in(with(20 * 512, std::string(4096 - 512, '\0'))).empty());
    EXPECT_EQ(runs_in(with(20 * 512, std::string(4096 - 512, '\0')), SIZE_MAX, 2048).size(), 1u);
}

// A program's padding begins or ends where its data does.
TEST(SuspectRuns, that_begin_or_end_inside_a_sector_are_a_programs) {
    for (const auto& [from, length] : {std::pair<size_t, size_t>{20 * 512 - 100, 8192}, {20 * 512 + 7, 8192 - 7}, {20 * 512, 8192 + 100}, {20 * 512 - 16, 8192 + 16}})
        EXPECT_TRUE(runs_in(with(from, std::string(length, '\0'))).empty()) << from << " " << length;
}

TEST(SuspectRuns, may_touch_bytes_that_are_alike_by_chance) {
    std::string content = with(20 * 512, std::string(8192, '\0'));
    content[20 * 512 - 1] = content[20 * 512 - 2] = '\0';
    content[20 * 512 + 8192] = '\0';
    EXPECT_EQ(runs_in(content).size(), 1u);
}

// ddrescue --fill-mode=- with a file of ten bytes: the word goes on from sector to sector.
TEST(SuspectRuns, of_a_word_are_found_like_those_of_a_byte) {
    for (const std::string word : {"BADSECTOR ", "\xDE\xAD\xBE\xEF", "0123456789abcdefghi"}) {
        for (const size_t first : {16u, 17u, 23u}) {
            const auto runs = runs_in(with(first * 512, repeated(word, 8192)));
            ASSERT_EQ(runs.size(), 1u) << word << first;
            EXPECT_EQ(runs[0].file_offset, first * 512);
            EXPECT_EQ(runs[0].length, 8192u);
        }
    }
}

TEST(SuspectRuns, of_ddrescues_location_data_are_found_from_one_sector_on) {
    const auto runs = runs_in(with(30 * 512, "\n# position 0x00004000 sector 0x00000020 status - " + repeated("x", 462)));
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_EQ(runs[0].pattern, "ddrescue location data");
    EXPECT_EQ(runs[0].length, 512u);
}

TEST(SuspectRuns, at_the_end_need_only_one_end_and_no_more_than_inside) {
    for (const char byte : {'\0', '\xF6'}) {
        const auto runs = runs_in(noise(20'480) + std::string(4096 + 100, byte));
        ASSERT_EQ(runs.size(), 1u);
        EXPECT_TRUE(runs[0].at_end);
        EXPECT_EQ(runs[0].length, 4196u);
        EXPECT_TRUE(runs_in(noise(20'480) + std::string(4000, byte)).empty());
        EXPECT_TRUE(runs_in(noise(20'480 + 300) + std::string(8192, byte)).empty()) << "a program's padding begins inside a sector";
    }
}

// As tar writes it: a header whose checksum is right, one file, zeros.
TEST(SuspectRuns, of_zeros_at_the_end_of_a_tar_archive_must_be_longer_than_its_trailer) {
    std::string header(512, '\0');
    header.replace(0, 5, "a.bin");
    header.replace(124, 11, "00000050000");
    uint32_t sum = 8 * ' ';
    for (const char c : header) sum += static_cast<uint8_t>(c);
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum);
    header.replace(148, 6, digits);
    EXPECT_TRUE(runs_in(header + noise(20'480) + std::string(10'752, '\0')).empty());
    EXPECT_EQ(runs_in(header + noise(20'480) + std::string(16'384, '\0')).size(), 1u);
    EXPECT_EQ(runs_in(header + noise(20'480) + std::string(8192, '\xF6')).size(), 1u);
    header[0] = 'b';
    EXPECT_EQ(runs_in(header + noise(20'480) + std::string(8192, '\0')).size(), 1u) << "no tar";
}

TEST(SuspectRuns, at_the_beginning_need_only_one_end) {
    const auto runs = runs_in(with(0, std::string(8192, '\0')));
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_TRUE(runs[0].at_start);
}

TEST(SuspectRuns, of_the_whole_content_are_left_to_what_stands_around_it) {
    const auto runs = runs_in(std::string(8000, '\0'));
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_TRUE(runs[0].at_start && runs[0].at_end);
}

TEST(SuspectRuns, that_are_interrupted_are_none) {
    const std::string content = with(20 * 512, std::string(8192, '\0'));
    SuspectRuns finder(4096);
    finder.begin(content.size());
    finder.take(0, as_bytes(content).first(24 * 512));
    finder.interrupt();
    finder.take(24 * 512, as_bytes(content).subspan(24 * 512));
    EXPECT_TRUE(finder.finish().empty());
}

TEST(SuspectRuns, are_bounded_in_number) {
    std::string content = noise(64 * 16'384);
    for (size_t i = 0; i < 64; ++i) content.replace(i * 16'384 + 512, 4096, std::string(4096, '\0'));
    EXPECT_EQ(runs_in(content).size(), SuspectRuns::kMaxRuns);
}

}  // namespace
}  // namespace ntt
