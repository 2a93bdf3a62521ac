// Metadata on sectors that were not read, where the image holds what stood there before: right here, but nobody knows.
#include <fmt/format.h>

#include <filesystem>

#include "acceptance/ntt.h"
#include "support/images.h"

namespace ntt::test {
namespace {

TEST(StaleInodes, of_ext4_on_unread_sectors_are_not_believed) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    std::filesystem::create_directory(dir / "t");
    for (int i = 0; i < 40; ++i) write_file(dir / fmt::format("t/f{:02}", i), chosen_bytes(static_cast<unsigned>(i) + 1, 5000));
    const std::string image = dir / "e.img";
    make_ext(image, "ext4", 8 << 10, dir / "t", "-b 1024 -I 256");
    const std::string imap = must("debugfs -R 'imap /f20' e.img 2>/dev/null", dir.path().string());
    // "Inode 32 is part of block group 0\n\tlocated at block 102, offset 0x0300"
    const uint64_t block = std::stoull(imap.substr(imap.find("at block ") + 9));
    write_file(image + ".map", rescue_map(8 << 20, {{block * 1024, 1024}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", image, "--name", "stale"}).exit, 3);
    const auto files = ntt.files("stale");
    EXPECT_EQ(files.count("f20"), 0u);
    EXPECT_GE(files.size(), 36u);
    EXPECT_LT(files.size(), 40u);
    for (const auto& [path, file] : files) EXPECT_EQ(file["status"], "stored") << path;
    EXPECT_GE(std::stoi(ntt.sql("SELECT count(*) FROM finding WHERE code = 'inode_unreadable' AND evidence LIKE '%BAD_SECTOR%'")), 1);
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "partial\n");
}

TEST(StaleInodes, of_NTFS_on_unread_sectors_are_not_believed) {
    NTT_NEED_TOOL("ntfscp");
    const TempDir dir;
    const std::string image = dir / "n.img";
    must("truncate -s 8M n.img && mkntfs -q -F n.img", dir.path().string());
    for (int i = 0; i < 4; ++i) {
        write_file(dir / fmt::format("name{}", i), chosen_bytes(static_cast<unsigned>(i) + 1, 9000));
        must(fmt::format("ntfscp -q -f n.img name{0} name{0}", i), dir.path().string());
    }
    const std::string bytes = read_file(image);
    const std::string name("n\0a\0m\0e\0" "2\0", 10);
    uint64_t record = 0;
    for (uint64_t at = 0; at + 1024 <= bytes.size(); at += 1024)
        if (bytes.compare(at, 4, "FILE") == 0 && bytes.substr(at, 1024).find(name) != std::string::npos) record = at;
    ASSERT_NE(record, 0u);
    write_file(image + ".map", rescue_map(8 << 20, {{record, 512}}, '/'));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", image, "--name", "stale"}).exit, 3);
    const auto files = ntt.files("stale");
    EXPECT_EQ(files.count("name2"), 0u);
    EXPECT_EQ(files.at("name1")["status"], "stored");
    EXPECT_EQ(files.at("name3")["status"], "stored");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'inode_unreadable' AND evidence LIKE '%NOT_SCRAPED%'"), "1\n");
}

TEST(StaleRecords, of_an_ISO_9660_folder_on_unread_sectors_are_not_believed_and_the_path_table_has_the_folders_below) {
    NTT_NEED_TOOL("genisoimage");
    NTT_NEED_TOOL("isoinfo");
    const TempDir dir;
    // Two discs with one layout: what the second holds in its root folder is the stale content of the first one's.
    for (const unsigned generation : {1u, 2u}) {
        must("rm -rf t; mkdir -p t/folder/inner", dir.path().string());
        for (unsigned i = 0; i < 4; ++i) write_file(dir / fmt::format("t/f{}", i), chosen_bytes(generation * 10 + i, 4'000 + i * generation * 900));
        write_file(dir / "t/folder/inner/deep", chosen_bytes(generation * 10 + 9, 3'000));
        must(fmt::format("genisoimage -quiet -R -o {}.iso t", generation), dir.path().string());
    }
    const std::string listing = must("isoinfo -l -i 1.iso", dir.path().string());
    const uint64_t root = std::stoull(listing.substr(listing.find('[') + 1)) * 2048;
    patch_file(dir / "1.iso", root, read_file(dir / "2.iso").substr(root, 2048));
    write_file(dir / "1.iso.map", rescue_map(std::filesystem::file_size(dir / "1.iso"), {{root, 2048}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", dir / "1.iso", "--name", "stale"}).exit, 3);
    const auto files = ntt.files_by_volume("stale");
    ASSERT_EQ(files.size(), 2u) << "one file in each of two views";
    EXPECT_EQ(files.at({1, "FOLDER/inner/deep"})["blobid"], files.at({2, "FOLDER/INNER/DEEP"})["blobid"]);
    EXPECT_EQ(read_file(ntt.blob_path(files.at({1, "FOLDER/inner/deep"})["blobid"])), chosen_bytes(19, 3'000));
    EXPECT_EQ(ntt.sql("SELECT code, count(*) FROM finding GROUP BY 1 ORDER BY 1"), "directory_by_path_table|2\ndirectory_on_missing_sectors|2\n");
}

}  // namespace
}  // namespace ntt::test
