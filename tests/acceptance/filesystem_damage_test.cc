// Damage inside filesystems, from the image to the catalog.
#include <fmt/format.h>

#include <filesystem>

#include "acceptance/ntt.h"
#include "support/images.h"

namespace ntt::test {
namespace {

// The mission's pattern 6, field case V19.
TEST(LostRoot, V19_of_UFS_is_an_io_error_that_names_the_structure_and_the_files_are_stored) {
    NTT_NEED_TOOL("makefs");
    const TempDir dir;
    std::filesystem::create_directories(dir.path() / "t/sub");
    for (int i = 0; i < 10; ++i) write_file(dir / fmt::format("t/sub/f{}", i), chosen_bytes(static_cast<unsigned>(i) + 1, 20'000));
    write_file(dir / "t/top", "at the top");
    must("makefs -t ffs -s 4m -o version=1 u.img t", dir.path().string());
    const std::string image = dir / "u.img", bytes = read_file(image);
    const size_t root = bytes.find(std::string("\2\0\0\0\x0c\0\4\1.\0\0\0\2\0\0\0", 16));
    ASSERT_NE(root, std::string::npos);
    patch_file(image, root, std::string(512, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", image, "--name", "lost"}).exit, 3);
    const auto files = ntt.files("lost");
    EXPECT_EQ(files.size(), 11u);
    for (const auto& [path, file] : files) {
        EXPECT_TRUE(path.starts_with("$lost/ino-")) << path;
        EXPECT_EQ(file["status"], "stored") << path;
    }
    const Json problems = Json::parse(ntt.sql("SELECT problems FROM medium"));
    EXPECT_NE(problems["io_error"].dump().find("root directory"), std::string::npos) << problems;
    EXPECT_NE(problems["io_error"].dump().find("ufs1"), std::string::npos) << problems;
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "partial\n");
}

TEST(Checksums, a_file_whose_inode_fails_its_checksum_is_never_stored) {
    const TempDir dir;
    std::filesystem::create_directory(dir.path() / "t");
    write_file(dir / "t/a", chosen_bytes(1, 30'000));
    write_file(dir / "t/b", chosen_bytes(2, 30'000));
    const std::string image = dir / "e.img";
    make_ext(image, "ext4", 8 << 10, dir / "t", "-b 1024 -I 256");
    const auto inode = [&](const std::string& path) {
        const std::string imap = must("debugfs -R 'imap " + path + "' e.img 2>/dev/null", dir.path().string());
        return std::stoull(imap.substr(imap.find("at block ") + 9)) * 1024 + std::stoull(imap.substr(imap.find("offset ") + 7), nullptr, 16);
    };
    patch_file(image, inode("/a") + 0x28, read_file(image).substr(inode("/b") + 0x28, 60));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", image, "--name", "sums"}).exit, 3);
    const auto files = ntt.files("sums");
    EXPECT_EQ(files.at("a")["status"], "unreadable");
    EXPECT_EQ(files.at("a")["cause"], "CHECKSUM");
    EXPECT_EQ(files.at("b")["status"], "stored");
}

}  // namespace
}  // namespace ntt::test
