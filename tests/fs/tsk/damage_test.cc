// Not what is found in damaged images, but that reading ends, and that every file that is listed accounts for its bytes
// (Listing checks that on each).
#include <random>

#include "fs/reader_listing.h"

namespace ntt::test {
namespace {

struct Case {
    const char* name;
    const char* make;  // dir/i from dir/t
};

class Damage : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    All, Damage,
    testing::Values(Case{"ext2", "mkfs.ext2 -q -F -b 1024 -d t i 2M"}, Case{"ext4", "mkfs.ext4 -q -F -b 1024 -d t i 2M"},
                    Case{"ufs1", "makefs -t ffs -s 2m -o version=1 i t"}, Case{"ufs2", "makefs -t ffs -s 2m -o version=2 i t"},
                    Case{"iso", "genisoimage -quiet -R -J -o i t"},
                    Case{"ntfs", "truncate -s 4M i && mkfs.ntfs -q -F i && ntfscp i t/big big && ntfscp i t/small small"}),
    [](const auto& suite) { return std::string(suite.param.name); });

TEST_P(Damage, AnyDamageIsSurvived) {
    TempDir dir;
    must("mkdir -p t/sub && ln -s small t/link", dir.path().string());
    write_file(dir / "t/big", chosen_bytes(1, 200'000));
    write_file(dir / "t/small", "small");
    for (int i = 0; i < 30; ++i)
        write_file(dir / ("t/sub/file" + std::to_string(i)), std::string(static_cast<size_t>(i) * 100, 'x'));
    if (sh(GetParam().make, dir.path().string()).exit != 0) GTEST_SKIP() << "not made here: " << GetParam().make;
    const std::string whole = read_file(dir / "i");
    std::mt19937 random(11);
    int opened = 0;
    for (int round = 0; round < 120; ++round) {
        std::string image = whole;
        const int kind = round % 4;
        if (kind == 0) image.resize(random() % whole.size() + 1);
        if (kind == 1)
            for (int i = 0; i < 5; ++i) image.replace(random() % (whole.size() / 512) * 512, 512, std::string(512, '\0'));
        if (kind >= 2)
            for (int i = 0; i < (kind == 2 ? 30 : 3000); ++i) image[random() % whole.size()] = static_cast<char>(random());
        const auto source = memory_image(std::move(image));
        FindingList findings;
        const auto detection = detect_volumes(*source, findings);
        ASSERT_TRUE(detection.ok()) << why(detection);
        for (const Volume& volume : detection->volumes) {
            if (!volume.readable || volume.fs_type == "fat") continue;
            Listing list;
            const auto reader = open_reader(*source, volume, {}, list);
            if (!reader.ok()) continue;
            ++opened;
            const auto listed = (*reader)->list(list, CancelToken());
            ASSERT_TRUE(listed.ok() || listed.error().code == ErrorCode::limit) << why(listed);
        }
    }
    EXPECT_GT(opened, 30);
}

}  // namespace
}  // namespace ntt::test
