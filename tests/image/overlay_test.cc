#include "image/overlay.h"

#include "image/sources.h"

namespace ntt {
namespace {

using test::chosen_bytes;
using test::read_all;
using test::read_piece;

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

class AnOverlay : public ::testing::Test {
protected:
    const std::string below_ = chosen_bytes(5, 4096);
    const std::unique_ptr<ByteSource> source_ = memory_image(below_);
};

TEST_F(AnOverlay, shows_given_and_copied_bytes_in_any_piece_and_the_rest_as_it_is) {
    ASSERT_OK_ASSIGN(const auto overlay, Overlay::over(*source_, {Patch::copied({1000, 512}, 3000), Patch::given(10, bytes_of("abc")), Patch::given(4095, bytes_of("z"))}));
    std::string expected = below_;
    expected.replace(1000, 512, below_.substr(3000, 512));
    expected.replace(10, 3, "abc");
    expected[4095] = 'z';
    EXPECT_EQ(read_all(*overlay), expected);
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{511}, size_t{1500}}) {
        std::string whole;
        for (uint64_t at = 0; at < expected.size(); at += piece) whole += read_piece(*overlay, at, std::min<size_t>(piece, expected.size() - at));
        EXPECT_EQ(whole, expected) << piece;
    }
    EXPECT_EQ(read_all(*source_), below_);
    EXPECT_EQ(overlay->size_bytes(), below_.size());
    EXPECT_EQ(overlay->format(), source_->format());
}

TEST_F(AnOverlay, copies_what_stands_below_and_not_what_another_patch_shows) {
    ASSERT_OK_ASSIGN(const auto overlay, Overlay::over(*source_, {Patch::copied({0, 16}, 16), Patch::copied({16, 16}, 0)}));
    EXPECT_EQ(read_piece(*overlay, 0, 32), below_.substr(16, 16) + below_.substr(0, 16));
}

TEST_F(AnOverlay, refuses_patches_that_overlap_or_leave_the_image) {
    const auto code = [&](std::vector<Patch> patches) {
        const auto overlay = Overlay::over(*source_, std::move(patches));
        return overlay.ok() ? std::string("ok") : std::string(to_string(overlay.error().code));
    };
    EXPECT_EQ(code({}), "ok");
    EXPECT_EQ(code({Patch::given(4095, bytes_of("ab"))}), "invalid_argument");
    EXPECT_EQ(code({Patch::given(UINT64_MAX, bytes_of("ab"))}), "invalid_argument");
    EXPECT_EQ(code({Patch::copied({0, 16}, 4090)}), "invalid_argument");
    EXPECT_EQ(code({Patch::copied({0, 16}, UINT64_MAX - 3)}), "invalid_argument");
    EXPECT_EQ(code({Patch::given(7, {})}), "invalid_argument");
    EXPECT_EQ(code({Patch{{0, 16}, bytes_of("short"), {}}}), "invalid_argument");
    EXPECT_EQ(code({Patch::given(10, bytes_of("abc")), Patch::given(12, bytes_of("c"))}), "invalid_argument");
    EXPECT_EQ(code({Patch::given(10, bytes_of("abc")), Patch::given(13, bytes_of("c"))}), "ok");
}

TEST_F(AnOverlay, names_the_file_below_only_where_no_patch_lies) {
    const test::TempDir dir;
    test::write_file(dir / "i.img", below_);
    ASSERT_OK_ASSIGN(const auto raw, open_image(Env::host(), dir / "i.img"));
    ASSERT_OK_ASSIGN(const auto overlay, Overlay::over(*raw, {Patch::given(512, bytes_of("abc"))}));
    uint64_t at = 0;
    EXPECT_NE(overlay->plain_file({0, 512}, &at), nullptr);
    EXPECT_NE(overlay->plain_file({515, 100}, &at), nullptr);
    EXPECT_EQ(at, 515u);
    EXPECT_EQ(overlay->plain_file({0, 513}, &at), nullptr);
    EXPECT_EQ(overlay->plain_file({514, 1}, &at), nullptr);
    EXPECT_EQ(overlay->parts().size(), 1u);
}

TEST_F(AnOverlay, fails_as_the_source_below_does_beyond_its_end) {
    ASSERT_OK_ASSIGN(const auto overlay, Overlay::over(*source_, {Patch::given(0, bytes_of("abc"))}));
    uint8_t two[2];
    const auto read = overlay->read(4095, two);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ntt
