// libtsk on our sources: same bytes, clean ends, no failure that is lost.
#include "image/tsk_image.h"

#include <cerrno>

#include <gmock/gmock.h>

#include "image/sources.h"

namespace ntt {
namespace {

using ::testing::HasSubstr;

constexpr size_t kImageBytes = 300'000;  // no multiple of a sector

class TskImageOverMemory : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_OK_ASSIGN(image_, TskImage::open(*source_)); }

    const std::string content_ = test::chosen_bytes(1, kImageBytes);
    const std::unique_ptr<ByteSource> source_ = memory_image(content_);
    std::unique_ptr<TskImage> image_;
};

TEST_F(TskImageOverMemory, gives_libtsk_the_bytes_of_the_source) {
    EXPECT_EQ(image_->get()->size, static_cast<TSK_OFF_T>(kImageBytes));
    for (const size_t length : {size_t{1}, size_t{513}, size_t{65536}, size_t{65537}, size_t{131072}, kImageBytes}) {
        for (size_t at = 0; at + length <= kImageBytes; at += 10'111) {
            std::string bytes(length, 'x');
            ASSERT_EQ(tsk_img_read(image_->get(), static_cast<TSK_OFF_T>(at), bytes.data(), length),
                      static_cast<ssize_t>(length));
            ASSERT_TRUE(content_.compare(at, length, bytes) == 0) << length << " at " << at;
        }
    }
    EXPECT_EQ(image_->take_read_error(), std::nullopt);
}

TEST_F(TskImageOverMemory, reads_short_at_the_end_and_fails_beyond_it) {
    for (const size_t length : {size_t{1000}, size_t{131072}, size_t{131073}}) {
        std::string bytes(length, 'x');
        ASSERT_EQ(tsk_img_read(image_->get(), kImageBytes - 700, bytes.data(), length), 700);
        EXPECT_TRUE(content_.compare(kImageBytes - 700, 700, bytes, 0, 700) == 0);
    }
    std::string bytes(131072, 'x');
    EXPECT_EQ(tsk_img_read(image_->get(), kImageBytes, bytes.data(), 512), -1);
    EXPECT_EQ(tsk_img_read(image_->get(), kImageBytes, bytes.data(), bytes.size()), -1);
    EXPECT_THAT(take_tsk_error(), HasSubstr("beyond the image's 300000 bytes"));
    EXPECT_EQ(take_tsk_error(), "");
    EXPECT_EQ(image_->take_read_error(), std::nullopt) << "libtsk looks beyond the end of its own accord";
}

struct BadSource final : ByteSource {
    uint64_t size_bytes() const override { return uint64_t{1} << 30; }
    std::string_view format() const override { return "memory"; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    Result<void> read(uint64_t offset, ByteSpan) const override { return errno_error(EIO, "read at " + std::to_string(offset)); }
    std::vector<ImagePart> parts_;
};

TEST(TskImage, remembers_the_first_failed_read_until_it_is_taken) {
    const BadSource source;
    ASSERT_OK_ASSIGN(const auto image, TskImage::open(source));
    std::string sector(512, 'x');
    EXPECT_EQ(tsk_img_read(image->get(), 4096, sector.data(), 512), -1);
    EXPECT_EQ(tsk_img_read(image->get(), 8192, sector.data(), 512), -1);
    const auto error = image->take_read_error();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->sys_errno, EIO);
    EXPECT_THAT(error->message, HasSubstr("4096"));
    EXPECT_EQ(image->take_read_error(), std::nullopt);
}

TEST(TskImage, remembers_failures_that_libtsk_calls_success) {
    const BadSource source;
    ASSERT_OK_ASSIGN(const auto image, TskImage::open(source));
    for (const size_t length : {size_t{1}, size_t{513}, size_t{131073}}) {
        std::string bytes(length, 'x');
        EXPECT_EQ(tsk_img_read(image->get(), 0, bytes.data(), length), static_cast<ssize_t>(length))
            << "libtsk has become honest: the note in tsk_image.h can go";
        EXPECT_TRUE(bytes == std::string(length, '\0')) << "no bytes of old memory";
        EXPECT_TRUE(image->take_read_error().has_value());
    }
}

struct HugeSource final : ByteSource {
    uint64_t size_bytes() const override { return UINT64_MAX; }
    std::string_view format() const override { return "memory"; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    Result<void> read(uint64_t, ByteSpan) const override { return {}; }
    std::vector<ImagePart> parts_;
};

TEST(TskImage, refuses_a_size_that_libtsk_cannot_address) {
    const auto image = TskImage::open(HugeSource());
    ASSERT_FALSE(image.ok());
    EXPECT_EQ(image.error().code, ErrorCode::limit);
}

TEST(TskImage, libtsk_finds_the_filesystem_of_an_image_of_ours) {
    NTT_NEED_TOOL("mkfs.ext4");
    const test::TempDir dir;
    test::must("truncate -s 8M a.img && mkfs.ext4 -q -L LABEL a.img", dir.path().string());
    ASSERT_OK_ASSIGN(const auto source, open_image(Env::host(), dir / "a.img"));
    ASSERT_OK_ASSIGN(const auto image, TskImage::open(*source));
    TSK_FS_INFO* fs = tsk_fs_open_img(image->get(), 0, TSK_FS_TYPE_DETECT);
    ASSERT_NE(fs, nullptr) << take_tsk_error();
    EXPECT_EQ(fs->ftype, TSK_FS_TYPE_EXT4);
    tsk_fs_close(fs);
}

}  // namespace
}  // namespace ntt
