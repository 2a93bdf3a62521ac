// A boot sector that was not read, with another one in its place: what shifts contents must not pass for them.
#include "fs/fat/boot_proof.h"
#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

constexpr ByteRange kBoot{0, 512};
constexpr size_t kSectorsPerClusterAt = 13, kRootEntriesAt = 17;

// Two directories and files of several clusters.
struct Floppy : FatMaker {
    Floppy() : FatMaker("mformat -C -f 1440 -i IMG ::") {
        put("ALONE.BIN", chosen_bytes(1, 2000));
        make_dir("A");
        make_dir("B");
        put("A/LONG.BIN", chosen_bytes(2, 5000));
        put("B/SHORT.BIN", chosen_bytes(3, 300));
        put("B/EMPTY", "");
    }
};

void expect_nothing_believed(const Listing& listing) {
    ASSERT_OK(listing.outcome);
    ASSERT_FALSE(listing.names.empty());
    for (const InodeEntry& inode : listing.inodes) {
        if (inode.fs_type != 'f' || inode.size == 0) continue;
        EXPECT_TRUE(inode.extents.empty()) << inode.fs_ino;
        ASSERT_EQ(inode.faults.size(), 1u);
        EXPECT_EQ(inode.faults[0].cause, Cause::BAD_SECTOR);
        EXPECT_NE(inode.faults[0].evidence.find("boot_sector_unread"), std::string::npos);
    }
    EXPECT_EQ(listing.count("boot_sector_unproven"), 1u);
    expect_covered(listing);
}

TEST(FatBootProof, AStaleBootSectorThatDirectoriesBearOutIsBelieved) {
    NTT_NEED_TOOL("mformat");
    const Floppy maker;
    const std::string image = maker.image();
    const Listing listing = list_with_unread(image, kBoot);
    EXPECT_EQ(listing.count("boot_sector_unproven"), 0u);
    EXPECT_EQ(content(image, listing.at("ALONE.BIN")), chosen_bytes(1, 2000));
    EXPECT_EQ(content(image, listing.at("A/LONG.BIN")), chosen_bytes(2, 5000));
    EXPECT_EQ(listing.names.size(), list_fat(image).names.size());
}

TEST(FatBootProof, AnotherSizeOfTheRootDirectoryShiftsContentsWhichAreNotBelieved) {
    NTT_NEED_TOOL("mformat");
    const Floppy maker;
    for (const int entries : {16, 112, 192, 240}) {
        std::string image = maker.image();
        image[kRootEntriesAt] = static_cast<char>(entries);
        expect_nothing_believed(list_with_unread(image, kBoot));
        const Listing read = list_fat(image);  // a sector that was read is what the medium says
        EXPECT_EQ(read.count("boot_sector_unproven"), 0u);
        EXPECT_FALSE(read.at("ALONE.BIN").extents.empty());
    }
}

TEST(FatBootProof, AnotherSizeOfAClusterIsNotBelievedThoughADirectoryStandsRight) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("FIRST");  // at cluster 2, which begins where it begins
    maker.put("LONG.BIN", chosen_bytes(2, 5000));
    std::string image = maker.image();
    image[kSectorsPerClusterAt] = 2;
    expect_nothing_believed(list_with_unread(image, kBoot));
}

TEST(FatBootProof, WithoutDirectoriesNothingSpeaksForIt) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("ALONE.BIN", chosen_bytes(1, 2000));
    expect_nothing_believed(list_with_unread(maker.image(), kBoot));
}

TEST(FatBootProof, DirectoriesAndChainsDecide) {
    const auto proof = [](int right, int wrong, int fit, int unfit) {
        BootProof out;
        for (int i = 0; i < right; ++i) out.add_directory(i % 2 == 0 ? Dots::right : Dots::wrong_parent);
        for (int i = 0; i < wrong; ++i) out.add_directory(Dots::wrong_self);
        for (int i = 0; i < fit; ++i) out.add_chain(true);
        for (int i = 0; i < unfit; ++i) out.add_chain(false);
        return out.bears_out();
    };
    EXPECT_FALSE(proof(0, 0, 9, 0));
    EXPECT_FALSE(proof(1, 0, 0, 0));
    EXPECT_TRUE(proof(1, 0, 1, 0));
    EXPECT_TRUE(proof(2, 0, 0, 0));
    EXPECT_TRUE(proof(2, 1, 1, 1));
    EXPECT_FALSE(proof(2, 2, 1, 0)) << "as many elsewhere";
    EXPECT_FALSE(proof(2, 0, 1, 2)) << "most chains do not fit";
}

}  // namespace
}  // namespace ntt::test
