// Two copies of the FAT that were read and differ: which one is believed, sector by sector.
#include <gmock/gmock.h>

#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

// A volume of each width with folders and files of many sizes, spread over several sectors of the table.
class Copies : public ::testing::TestWithParam<int> {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mkfs.fat");
        NTT_NEED_TOOL("mcopy");
        FatMaker maker(GetParam() == 12   ? "mformat -C -f 1440 -i IMG ::"
                       : GetParam() == 16 ? "mkfs.fat -F 16 -s 1 -C IMG 8192"
                                          : "mkfs.fat -F 32 -s 1 -C IMG 40000");
        for (const char* folder : {"ONE", "TWO"}) maker.make_dir(folder);
        for (uint32_t i = 0; i < 40; ++i) maker.put(fmt_path(i), chosen_bytes(i, 300 + 1500 * (i % 13) + i));
        contents_ = maker.oracle();
        ASSERT_EQ(contents_.size(), 40u);
        image_ = maker.image();
        patch_.emplace(image_, GetParam());
        used_sectors_ = 0;
        for (uint32_t cluster = 2; cluster < 900; ++cluster)
            if (patch_->entry(cluster) != 0) used_sectors_ = cluster * static_cast<uint32_t>(GetParam()) / 8 / 512 + 1;
        ASSERT_GE(used_sectors_, 2u);
    }
    static std::string fmt_path(uint32_t i) {
        const std::string name = "F" + std::to_string(i) + ".BIN";
        return i % 3 == 0 ? name : (i % 3 == 1 ? "ONE/" : "TWO/") + name;
    }
    void spoil(int copy, uint32_t sector, std::string_view how) {
        const size_t at = patch_->fat_offset(copy) + size_t{sector} * 512;
        for (size_t i = at; i < at + 512; ++i)
            image_[i] = how == "zeros" ? '\0' : how == "inverted" ? static_cast<char>(~image_[i]) : chosen_bytes(sector + 77, 512)[i - at];
    }
    // Every file comes out as it was put in, and is whole.
    void expect_all_whole(const Listing& listing) {
        ASSERT_TRUE(listing.outcome.ok()) << why(listing.outcome);
        for (const auto& [path, bytes] : contents_) {
            EXPECT_TRUE(listing.at(path).faults.empty()) << path;
            EXPECT_EQ(content(image_, listing.at(path)), bytes) << path;
        }
    }

    std::map<std::string, std::string> contents_;
    std::string image_;
    std::optional<FatPatch> patch_;
    uint32_t used_sectors_ = 0;
};

TEST_P(Copies, TheSecondIsUsedWhereTheFirstIsSpoilt) {
    const std::string sound = image_;
    for (const char* how : {"zeros", "inverted", "garbage"}) {
        SCOPED_TRACE(how);
        image_ = sound;
        for (uint32_t sector = 0; sector < used_sectors_; ++sector) spoil(0, sector, how);
        const Listing listing = list_fat(image_);
        expect_all_whole(listing);
        EXPECT_EQ(listing.count("repaired"), 1u);
        EXPECT_EQ(listing.detail["fat_sectors_of_second_copy"], used_sectors_);
    }
}

TEST_P(Copies, EachSectorIsTakenFromTheCopyThatHasItRight) {
    for (uint32_t sector = 0; sector < used_sectors_; ++sector) spoil(static_cast<int>(sector % 2), sector, "garbage");
    const Listing listing = list_fat(image_);
    expect_all_whole(listing);
    EXPECT_EQ(listing.detail["fat_sectors_of_second_copy"], (used_sectors_ + 1) / 2);
}

TEST_P(Copies, ASecondCopyThatWasNotKeptUpToDateIsNotUsed) {
    for (uint32_t sector = 0; sector < used_sectors_; ++sector) spoil(1, sector, "zeros");
    const Listing listing = list_fat(image_);
    expect_all_whole(listing);
    EXPECT_EQ(listing.count("repaired"), 0u);
    EXPECT_EQ(listing.count("fat_copies_differ"), 1u);
}

TEST_P(Copies, AreListedAlikeTwice) {
    spoil(0, 0, "garbage");
    const Listing once = list_fat(image_), again = list_fat(image_);
    EXPECT_EQ(once.paths(), again.paths());
    expect_all_whole(again);
}

INSTANTIATE_TEST_SUITE_P(OfEachWidth, Copies, ::testing::Values(12, 16, 32), [](const auto& width) { return "Fat" + std::to_string(width.param); });

}  // namespace
}  // namespace ntt::test
