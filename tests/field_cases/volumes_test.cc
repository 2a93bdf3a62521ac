// Field cases V: partitions, filesystems and what stands around them. docs/field-cases.md has the whole list.
#include <unistd.h>

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
