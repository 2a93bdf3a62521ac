// Field cases V: partitions, filesystems and what stands around them. docs/field-cases.md has the whole list.
#include <filesystem>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

// dir/part: an ext filesystem of 4 MiB with the file "f".
void make_part(const TempDir& dir, const std::string& type, const std::string& content) {
    must("rm -rf t; mkdir t", dir.path().string());
    write_file(dir / "t/f", content);
    make_ext(dir / "part", type, 4096, dir / "t");
}

class FieldCase_V6 : public testing::TestWithParam<const char*> {};

// V7 is the same on ext3.
TEST_P(FieldCase_V6, a_journal_that_wants_recovery_is_no_obstacle_and_stays_as_it_is) {
    NTT_NEED_TOOL("debugfs");
    const TempDir dir;
    make_part(dir, GetParam(), chosen_bytes(1, 50'000));
    must("debugfs -w -R 'feature needs_recovery' part 2>&1", dir.path().string());
    ASSERT_NE(must("dumpe2fs -h part 2>/dev/null", dir.path().string()).find("needs_recovery"), std::string::npos);
    const std::string before = b3(read_file(dir / "part"));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "part"}).exit, 0);
    EXPECT_EQ(ntt.files("part")["f"]["blobid"], b3(chosen_bytes(1, 50'000)));
    EXPECT_EQ(b3(read_file(dir / "part")), before);
}

INSTANTIATE_TEST_SUITE_P(V7, FieldCase_V6, testing::Values("ext4", "ext3"));

TEST(FieldCase_V1, a_zip_disk_whose_filesystem_begins_at_sector_32_is_read) {
    const TempDir dir;
    make_floppy(dir / "fat", {{"A.TXT", "on a Zip disk"}});
    write_file(dir / "zip.img", std::string(16'384, '\0') + read_file(dir / "fat"));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "zip.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT offset_bytes, view FROM volume"), "16384|fat12\n");
    EXPECT_EQ(ntt.files("zip.img")["A.TXT"]["blobid"], b3("on a Zip disk"));
}

TEST(FieldCase_V1, behind_a_table_that_was_not_read_every_filesystem_is_searched_for) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    make_floppy(dir / "fat", {{"A.TXT", "on a disk without its table"}});
    must("truncate -s 16M disk.img; printf 'start=37,size=2880,type=1\nstart=8192,size=8192,type=83\n' | sfdisk -q disk.img; dd if=fat of=disk.img bs=512 seek=37 conv=notrunc status=none",
         dir.path().string());
    make_part(dir, "ext2", chosen_bytes(1, 20'000));
    must("dd if=part of=disk.img bs=512 seek=8192 conv=notrunc status=none; dd if=/dev/zero of=disk.img bs=512 count=1 conv=notrunc status=none", dir.path().string());
    write_file(dir / "disk.img.map", "0 + 1\n0 512 -\n512 16776704 +\n");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 3) << "there may be others";
    EXPECT_EQ(ntt.sql("SELECT offset_bytes, view FROM volume WHERE role = 'filesystem' ORDER BY volume"), "18944|fat12\n4194304|ext2\n");
    EXPECT_EQ(ntt.files("disk.img")["A.TXT"]["blobid"], b3("on a disk without its table"));
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode WHERE status = 'stored' AND blobid = '{}'", b3(chosen_bytes(1, 20'000)))), "1\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'filesystem_found_by_scan'"), "2\n");
}

// A disc with UDF, Rock Ridge, Joliet and ISO 9660 names over one tree, and what genisoimage put into it.
std::string make_bridge_disc(const TempDir& dir) {
    must("mkdir -p 't/Informe CEH'", dir.path().string());
    write_file(dir / "t/Informe CEH/a.doc", chosen_bytes(1, 30'000));
    write_file(dir / "t/b.doc", chosen_bytes(2, 3'000));
    must("genisoimage -quiet -udf -R -J -o disc.iso t", dir.path().string());
    return dir / "disc.iso";
}

TEST(FieldCase_V2, of_a_bridge_disc_whose_UDF_has_lost_its_root_every_view_is_read) {
    NTT_NEED_TOOL("genisoimage");
    const TempDir dir;
    const std::string disc = make_bridge_disc(dir);
    ASSERT_EQ(read_file(disc).substr(257 * 2048, 2), std::string("\x00\x01", 2)) << "the file set descriptor (ECMA-167, 4/14.1)";
    patch_file(disc, 257 * 2048, std::string(2048, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", disc}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT view FROM volume WHERE outcome = 'read' ORDER BY volume"), "rockridge\njoliet\niso9660\nudf\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'udf_file_set_lost'"), "1\n");
    EXPECT_NE(ntt.sql("SELECT problems ->> '$.udf_corruption' FROM medium").find("volume 4: "), std::string::npos);
    EXPECT_EQ(ntt.files_by_volume("disc.iso").at({1, "Informe CEH/a.doc"})["blobid"], b3(chosen_bytes(1, 30'000)));
}

TEST(FieldCase_V3, a_UDF_directory_entry_without_a_CRC_ends_the_reading_of_no_other) {
    NTT_NEED_TOOL("genisoimage");
    const TempDir dir;
    const std::string disc = make_bridge_disc(dir), bytes = read_file(disc);
    // A file identifier descriptor (tag 257) other than that of the parent (ECMA-167, 4/14.4: characteristics at 18, bit 3).
    uint64_t at = 257 * 2048;
    while (at < bytes.size() && (bytes.compare(at, 2, std::string("\x01\x01", 2)) != 0 || (bytes[at + 18] & 8) != 0 || bytes[at + 16] != 1)) at += 4;
    ASSERT_LT(at, bytes.size());
    std::string tag = bytes.substr(at, 16);
    tag[8] = tag[9] = tag[10] = tag[11] = '\0';
    uint8_t sum = 0;
    for (size_t i = 0; i < 16; ++i) sum = static_cast<uint8_t>(sum + (i == 4 ? 0 : static_cast<uint8_t>(tag[i])));
    tag[4] = static_cast<char>(sum);
    patch_file(disc, at, tag);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", disc}).exit, 0) << "a folder's name is in doubt, and every file is read";
    EXPECT_NE(ntt.sql("SELECT problems ->> '$.udf_corruption' FROM medium").find("volume 4: "), std::string::npos);
    const std::string a = b3(chosen_bytes(1, 30'000)), b = b3(chosen_bytes(2, 3'000));
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode WHERE status = 'stored' AND size > 0 AND blobid NOT IN ('{}', '{}')", a, b)), "0\n");
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(DISTINCT blobid) FROM inode WHERE blobid IN ('{}', '{}')", a, b)), "2\n");
}

TEST(FieldCase_V16, a_ReiserFS_is_named_though_it_cannot_be_read) {
    NTT_NEED_TOOL("mkreiserfs");
    const TempDir dir;
    must("truncate -s 40M r.img; mkreiserfs -q -ff -l chad r.img 2>&1", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "r.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT view, outcome, label FROM volume"), "reiserfs|unsupported|chad\n");
}

TEST(FieldCase_V19, of_a_UFS_whose_root_directory_is_lost_the_rest_is_read_and_the_structure_is_named) {
    NTT_NEED_TOOL("makefs");
    const TempDir dir;
    must("mkdir -p t/sub; makefs -t ffs -s 4m probe t 2>&1", dir.path().string());
    write_file(dir / "t/sub/inner.txt", chosen_bytes(1, 20'000));
    write_file(dir / "t/outer.txt", chosen_bytes(2, 20'000));
    must("makefs -t ffs -s 4m ufs.img t 2>&1", dir.path().string());
    // istat of inode 2 lists the root directory's fragment.
    const std::string stat = must("istat -f ufs ufs.img 2", dir.path().string());
    const uint64_t fragment = std::stoull(stat.substr(stat.find("Direct Blocks:") + 14));
    const uint64_t size = std::stoull([&] { const std::string text = must("fsstat -f ufs ufs.img", dir.path().string()); return text.substr(text.find("Fragment Size: ") + 15); }());
    patch_file(dir / "ufs.img", fragment * size, std::string(512, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "ufs.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "partial\n");
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode WHERE blobid IN ('{}', '{}')", b3(chosen_bytes(1, 20'000)), b3(chosen_bytes(2, 20'000)))), "2\n");
}

TEST(FieldCase_V20, a_filesystem_1_MiB_inside_its_partition_is_found) {
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    make_floppy(dir / "fat", {{"SYSLINUX.CFG", "boot"}});
    must("truncate -s 8M disk.img; echo start=2048,size=10000,type=6 | sfdisk -q disk.img; dd if=fat of=disk.img bs=512 seek=4096 conv=notrunc status=none", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT offset_bytes FROM volume WHERE role = 'filesystem'"), "2097152\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "1\n");
}

TEST(FieldCase_V20, a_filesystem_at_an_odd_sector_of_its_partition_is_searched_for) {
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    make_floppy(dir / "fat", {{"SYSLINUX.CFG", "boot"}});
    must("truncate -s 8M disk.img; echo start=2048,size=10000,type=6 | sfdisk -q disk.img; dd if=fat of=disk.img bs=512 seek=2071 conv=notrunc status=none", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT offset_bytes FROM volume WHERE role = 'filesystem'"), "1060352\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "1\n");
}

TEST(FieldCase_V8, every_partition_of_a_disk_is_read) {
    NTT_NEED_TOOL("mke2fs");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    must("truncate -s 21M disk.img; printf 'start=2048,size=8192,type=83\nstart=10240,size=8192,type=83\nstart=18432,size=8192,type=83\nstart=26624,size=8192,type=83\n' | sfdisk -q disk.img",
         dir.path().string());
    for (uint32_t i = 0; i < 4; ++i) {
        make_part(dir, i % 2 == 0 ? "ext2" : "ext4", chosen_bytes(i, 10'000));
        must(fmt::format("dd if=part of=disk.img bs=512 seek={} conv=notrunc status=none", 2048 + i * 8192), dir.path().string());
    }
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 0);
    const auto files = ntt.files_by_volume("disk.img");
    ASSERT_EQ(files.size(), 4u);
    for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(files.at({static_cast<int>(i) + 1, "f"})["blobid"], b3(chosen_bytes(i, 10'000)));
}

TEST(FieldCase_V10, extended_container_swap_and_logical_partition_have_their_roles) {
    NTT_NEED_TOOL("mkswap");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    must("truncate -s 30M disk.img; printf 'start=2048,size=8192,type=83\nstart=10240,size=8192,type=82\nstart=18432,size=32768,type=5\nstart=20480,size=8192,type=83\n' | sfdisk -q disk.img;"
         "truncate -s 4M swap; mkswap swap; dd if=swap of=disk.img bs=512 seek=10240 conv=notrunc status=none", dir.path().string());
    make_part(dir, "ext2", "primary");
    must("dd if=part of=disk.img bs=512 seek=2048 conv=notrunc status=none", dir.path().string());
    make_part(dir, "ext2", "logical");
    must("dd if=part of=disk.img bs=512 seek=20480 conv=notrunc status=none", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 0) << "swap and containers are no failures";
    EXPECT_EQ(ntt.sql("SELECT offset_bytes / 512, role FROM volume ORDER BY volume"), "2048|filesystem\n10240|swap\n18432|extended\n20480|filesystem\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "2\n");
}

TEST(FieldCase_V12, paths_are_relative_to_their_volume_and_found_again_whatever_the_numbering) {
    NTT_NEED_TOOL("mke2fs");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    make_part(dir, "ext2", "hello");
    must("truncate -s 6M disk.img; echo start=2048,size=8192,type=83 | sfdisk -q disk.img; dd if=part of=disk.img bs=512 seek=2048 conv=notrunc status=none", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "part", dir / "disk.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT DISTINCT CAST(path AS TEXT) FROM path ORDER BY 1"), "f\nlost+found\n");
    EXPECT_EQ(ntt.run({"requeue", "disk.img", "--status", "stored"}).exit, 0);
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 0) << "no ENOENT in a second run";
}

TEST(FieldCase_V13, no_loop_device_and_no_mount_is_made) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    make_part(dir, "ext4", "hello");
    const auto state = [&] { return read_file("/proc/self/mountinfo") + sh("losetup -a").out; };
    const auto names_us = [&](const std::string& text) { return text.find(dir.path().string()) != std::string::npos; };
    ASSERT_FALSE(names_us(state()));
    Ntt ntt;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(ntt.run({"ingest", dir / "part"}).exit, 0);
    EXPECT_FALSE(names_us(state()));
}

}  // namespace
}  // namespace ntt::test
