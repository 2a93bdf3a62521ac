// What is mounted where, and with which flags.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "mount_helper/world.h"

namespace ntt::mount_helper {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kMiB = 1 << 20;

class Mounting : public World {
protected:
    std::string hello(const std::string& folder) { return test::read_file(folder + "/hello.txt"); }
};

// --- one volume ---

TEST_F(Mounting, AFilesystemOnTheWholeImageIsMountedAtTheMediumsFolder) {
    const std::string image = ext_image("a.img", "hello", "-t ext4 -L Work -U 02a9075d-6b80-4a7c-9049-70cad6aa88b6");
    const Json report = mount(image);
    EXPECT_EQ(report.at("medium_hash"), kHash);
    EXPECT_EQ(report.at("mount_point"), kFolder);
    EXPECT_EQ(report.at("already_mounted"), false);
    EXPECT_THAT(report.at("not_mounted"), IsEmpty());
    ASSERT_THAT(report.at("mounts"), SizeIs(1));
    const Json& volume = report.at("mounts").at(0);
    EXPECT_EQ(volume.at("volume"), 1);
    EXPECT_EQ(volume.at("path"), kFolder);
    EXPECT_EQ(volume.at("offset_bytes"), 0);
    EXPECT_EQ(volume.at("size_bytes"), 4 * kMiB);
    EXPECT_EQ(volume.at("fs_type"), "ext4");
    EXPECT_EQ(volume.at("driver"), "kernel");
    EXPECT_EQ(volume.at("label"), "Work");
    EXPECT_EQ(volume.at("uuid"), "02a9075d-6b80-4a7c-9049-70cad6aa88b6");
    EXPECT_THAT(loops_of(image), ElementsAre(volume.at("device")));
    EXPECT_EQ(hello(kFolder), "hello");
}

TEST_F(Mounting, EveryLayerIsReadOnly) {
    const std::string image = ext_image("a.img", "hello");
    const std::string device = mount(image).at("mounts").at(0).at("device");
    EXPECT_THAT(mountinfo_of(kFolder),
                AllOf(HasSubstr(" ro,nosuid,nodev,noexec,noatime "), HasSubstr(" - ext4 " + device + " ro,norecovery")));
    EXPECT_EQ(test::must("losetup -n -O RO,AUTOCLEAR " + device + " | tr -d ' '"), "11\n");
    EXPECT_NE(test::sh("dd if=/dev/zero of=" + device + " bs=512 count=1 conv=notrunc").exit, 0);
    EXPECT_NE(test::sh("touch " + kFolder + "/new").exit, 0);
    EXPECT_NE(test::sh("mount -o remount,rw " + kFolder).exit, 0) << "the loop device must forbid what the mount forbids";
}

TEST_F(Mounting, ADirtyJournalIsNotReplayed) {
    for (const char* type : {"-t ext3", "-t ext4"}) {
        const std::string image = ext_image("a.img", "hello", type);
        test::must("debugfs -w -R 'feature needs_recovery' " + image);
        watch(image);
        mount(image);
        EXPECT_EQ(hello(kFolder), "hello");
        unmount();
    }
}

TEST_F(Mounting, Ext2AndTwoImagesOfOneXfsAreMounted) {
    mount(ext_image("a.img", "two", "-t ext2"));
    EXPECT_EQ(hello(kFolder), "two");
    unmount();
    NTT_NEED_TOOL("mkfs.xfs");
    if (kernel_lacks("xfs")) GTEST_SKIP() << "the kernel has no xfs";
    test::must("truncate -s 300M " + path("x.img") + " && mkfs.xfs -q " + path("x.img"));
    // Two images of one disk have one UUID.
    test::must("cp --sparse=always " + path("x.img") + " " + path("y.img"));
    EXPECT_EQ(mount(path("x.img")).at("mounts").at(0).at("fs_type"), "xfs");
    EXPECT_EQ(mount(path("y.img"), kOtherHash).at("mounts").at(0).at("fs_type"), "xfs");
    unmount(kOtherHash);
    unmount();
    EXPECT_TRUE(loops_go(path("x.img")) && loops_go(path("y.img")));
}

TEST_F(Mounting, AZipDisksFilesystemBehind16KiBIsFound) {
    const std::string inner = ext_image("inner.img", "zip", "-t ext2"), image = path("zip.img");
    test::write_file(image, std::string(16384, '\0') + test::read_file(inner));
    watch(image);
    const Json volume = mount(image).at("mounts").at(0);
    EXPECT_EQ(volume.at("path"), kFolder);
    EXPECT_EQ(volume.at("offset_bytes"), 16384);
    EXPECT_EQ(volume.at("size_bytes"), 4 * kMiB);
    EXPECT_EQ(hello(kFolder), "zip");
}

TEST_F(Mounting, ALabelThatIsNoUtf8IsStillJson) {
    const std::string image = ext_image("a.img", "hello", "-t ext2");  // without checksums
    constexpr uint64_t kLabel = 1024 + 0x78;                           // ext superblock, s_volume_name
    test::patch_file(image, kLabel, "A\xff\x80\"\\\n");
    watch(image);
    const std::string label = mount(image).at("mounts").at(0).at("label");
    EXPECT_THAT(label, AllOf(HasSubstr("A\xEF\xBF\xBD"), HasSubstr("\"\\")));
    EXPECT_EQ(status().at("mounts").at(0).at("label"), label);
}

// --- FUSE ---

TEST_F(Mounting, FatComesThroughFusefatWhereTheKernelHasNone) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    const std::string image = fat_image("a.img", "fat");
    const Json volume = mount(image).at("mounts").at(0);
    EXPECT_EQ(volume.at("fs_type"), "vfat");
    EXPECT_EQ(volume.at("driver"), "/usr/bin/fusefat");
    EXPECT_EQ(volume.at("label"), "LABEL");
    EXPECT_THAT(mountinfo_of(kFolder), HasSubstr(" ro,nosuid,nodev,noexec,noatime "));
    // Not only root reads it.
    NTT_NEED_TOOL("setpriv");
    EXPECT_EQ(test::must("setpriv --reuid=65534 --regid=65534 --clear-groups cat " + kFolder + "/HELLO.TXT"), "fat");
    EXPECT_EQ(status().at("mounts").at(0), volume);
    EXPECT_EQ(unmount().at("lazy"), false);
    EXPECT_THAT(loops_of(image), IsEmpty()) << "unmount returns when the FUSE process has let go";
}

TEST_F(Mounting, ExfatAndNtfsComeThroughFuseWithEveryFlag) {
    NTT_NEED_TOOL("mkfs.exfat");
    NTT_NEED_TOOL("mkntfs");
    NTT_NEED_FUSE("exfat", "/usr/sbin/mount.exfat-fuse");
    NTT_NEED_FUSE("ntfs", "/usr/bin/ntfs-3g");
    NTT_NEED_FUSE("ntfs3", "/usr/bin/ntfs-3g");
    test::must("truncate -s 8M e.img n.img && mkfs.exfat e.img && mkntfs -q -F n.img", path(""));
    for (const auto& [name, driver] :
         {std::pair{"e.img", "/usr/sbin/mount.exfat-fuse"}, std::pair{"n.img", "/usr/bin/ntfs-3g"}}) {
        watch(path(name));
        EXPECT_EQ(mount(path(name)).at("mounts").at(0).at("driver"), driver);
        EXPECT_THAT(mountinfo_of(kFolder), HasSubstr(" ro,nosuid,nodev,noexec,noatime "));
        unmount();
    }
}

TEST_F(Mounting, WithoutADriverTheReasonSaysSo) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    write_config("[fuse]\nvfat = \"\"\n");
    const test::CommandResult result = helper({"mount", kHash, fat_image("a.img", "fat")});
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("there is no driver for vfat"));
}

TEST_F(Mounting, AFuseProgramThatOthersCanWriteIsNotRun) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    std::filesystem::copy_file("/usr/bin/fusefat", "/mnt/driver");
    ASSERT_EQ(::chmod("/mnt/driver", 0757), 0);
    write_config("[fuse]\nvfat = \"/mnt/driver\"\n");
    const test::CommandResult result = helper({"mount", kHash, fat_image("a.img", "fat")});
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("/mnt/driver can be written by others"));
    std::filesystem::remove("/mnt/driver");
}

TEST_F(Mounting, WhatTheKernelRefusesGoesToFuseOnlyIfTheConfigurationSaysSo) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");  // for /dev/fuse; the driver below is fuse2fs
    if (::access("/usr/bin/fuse2fs", X_OK) != 0) GTEST_SKIP() << "needs /usr/bin/fuse2fs";
    // A group descriptor that points out of the filesystem: the kernel refuses it, fuse2fs does not look.
    const std::string image = ext_image("a.img", "hello", "-t ext2");
    constexpr uint64_t kInodeTable = 2048 + 8;  // group descriptor 0 of blocks of 1024 bytes, bg_inode_table
    test::patch_file(image, kInodeTable, "\xff\xff\xff\x7f");
    watch(image);
    const test::CommandResult refused = helper({"mount", kHash, image});
    EXPECT_EQ(refused.exit, 1);
    EXPECT_THAT(refused.err, HasSubstr("the kernel's ext2 refuses it: "));
    write_config("fuse_after_refusal = true\n");
    EXPECT_EQ(mount(image).at("mounts").at(0).at("driver"), "/usr/bin/fuse2fs");
    EXPECT_THAT(mountinfo_of(kFolder), HasSubstr(" ro,nosuid,nodev,noexec,noatime "))
        << "whatever the driver makes of its options";
}

// --- several volumes ---

TEST_F(Mounting, TwoPartitionsAreP1AndP2) {
    const std::string image =
        disk("disk.img", 12, "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=83\n",
             {{2048, ext_image("one", "first")}, {10240, ext_image("two", "second", "-t ext2")}});
    const Json report = mount(image);
    EXPECT_EQ(report.at("mount_point"), kFolder);
    ASSERT_THAT(report.at("mounts"), SizeIs(2));
    EXPECT_EQ(report.at("mounts").at(0).at("path"), kFolder + "/p1");
    EXPECT_EQ(report.at("mounts").at(0).at("offset_bytes"), 2048 * 512);
    EXPECT_EQ(report.at("mounts").at(1).at("path"), kFolder + "/p2");
    EXPECT_EQ(report.at("mounts").at(1).at("fs_type"), "ext2");
    EXPECT_EQ(hello(kFolder + "/p1"), "first");
    EXPECT_EQ(hello(kFolder + "/p2"), "second");
    EXPECT_THAT(loops_of(image), SizeIs(2));
    EXPECT_EQ(status().at("mounts"), report.at("mounts"));
    EXPECT_EQ(unmount().at("unmounted"), Json::array({kFolder + "/p1", kFolder + "/p2"}));
}

TEST_F(Mounting, OnePartitionIsMountedAtTheMediumsFolder) {
    const std::string image = disk("disk.img", 6, "label: gpt\nstart=2048, size=8192\n", {{2048, ext_image("one", "only")}});
    EXPECT_EQ(mount(image).at("mounts").at(0).at("path"), kFolder);
    EXPECT_EQ(hello(kFolder), "only");
}

TEST_F(Mounting, SwapAndContainersCountInTheNumbers) {
    test::must("truncate -s 1M swap && mkswap -q swap", path(""));
    const std::string image =
        disk("disk.img", 20,
             "label: dos\nstart=2048, size=2048, type=82\nstart=4096, size=32768, type=5\n"
             "start=6144, size=8192, type=83\nstart=16384, size=8192, type=83\n",
             {{2048, path("swap")}, {6144, ext_image("five", "logical 5")}, {16384, ext_image("six", "logical 6")}});
    const Json report = mount(image);
    ASSERT_THAT(report.at("mounts"), SizeIs(2));
    EXPECT_EQ(report.at("mounts").at(0).at("path"), kFolder + "/p3");
    EXPECT_EQ(report.at("mounts").at(1).at("path"), kFolder + "/p4");
    EXPECT_EQ(hello(kFolder + "/p3"), "logical 5");
    EXPECT_EQ(hello(kFolder + "/p4"), "logical 6");
    ASSERT_THAT(report.at("not_mounted"), SizeIs(2));
    EXPECT_EQ(report.at("not_mounted").at(0).at("volume"), 1);
    EXPECT_EQ(report.at("not_mounted").at(0).at("fs_type"), "swap");
    EXPECT_EQ(report.at("not_mounted").at(0).at("reason"), "swap is no filesystem");
    EXPECT_EQ(report.at("not_mounted").at(1).at("volume"), 2);
    EXPECT_EQ(report.at("not_mounted").at(1).at("fs_type"), "extended");
}

TEST_F(Mounting, SwapBesideOneFilesystemLeavesItItsNumber) {
    test::must("truncate -s 1M swap && mkswap -q swap", path(""));
    const std::string image = disk("disk.img", 8, "label: dos\nstart=2048, size=2048, type=82\nstart=4096, size=8192, type=83\n",
                                   {{2048, path("swap")}, {4096, ext_image("two", "second")}});
    const Json report = mount(image);
    ASSERT_THAT(report.at("mounts"), SizeIs(1));
    EXPECT_EQ(report.at("mounts").at(0).at("path"), kFolder + "/p2");
    EXPECT_FALSE(std::filesystem::exists(kFolder + "/p1"));
}

TEST_F(Mounting, ADamagedVolumeCostsOnlyItself) {
    const std::string bad = ext_image("bad", "first", "-t ext2");
    test::patch_file(bad, 2048 + 8, "\xff\xff\xff\x7f");  // its inode table, out of the filesystem
    watch(bad);
    const std::string image =
        disk("disk.img", 12, "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=83\n",
             {{2048, bad}, {10240, ext_image("two", "second")}});
    const Json report = mount(image);
    ASSERT_THAT(report.at("mounts"), SizeIs(1));
    EXPECT_EQ(report.at("mounts").at(0).at("path"), kFolder + "/p2");
    EXPECT_THAT(report.at("not_mounted").at(0).at("reason").get<std::string>(), HasSubstr("the kernel's ext2 refuses it"));
    EXPECT_FALSE(std::filesystem::exists(kFolder + "/p1")) << "an empty folder would look like an empty volume";
    EXPECT_THAT(loops_of(image), SizeIs(1));
}

TEST_F(Mounting, PartitionsBeyondTheImagesEndAreNamed) {
    const std::string image =
        disk("disk.img", 16,
             "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=83\nstart=20480, size=8192, type=83\n",
             {{2048, ext_image("one", "first")},
              {10240, ext_image("two", "second", "-t ext2")},
              {20480, ext_image("three", "third")}});
    constexpr uint64_t kLength = (10240 + 4096) * 512;
    std::filesystem::resize_file(image, kLength);
    watch(image);
    const Json report = mount(image);
    ASSERT_THAT(report.at("mounts"), SizeIs(1));
    EXPECT_EQ(hello(kFolder + "/p1"), "first");
    ASSERT_THAT(report.at("not_mounted"), SizeIs(2));
    // The kernel does not take an ext filesystem whose end is cut off.
    EXPECT_EQ(report.at("not_mounted").at(0).at("size_bytes"), 4096 * 512) << "cut at the image's end";
    EXPECT_THAT(report.at("not_mounted").at(0).at("reason").get<std::string>(), HasSubstr("refuses it"));
    EXPECT_EQ(report.at("not_mounted").at(1).at("reason"), "it lies beyond the image's end");
}

TEST_F(Mounting, ATruncatedPartitionIsMountedIfItsDriverTakesIt) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    const std::string image =
        disk("disk.img", 6, "label: dos\nstart=2048, size=8192, type=6\n", {{2048, fat_image("fat", "front")}});
    std::filesystem::resize_file(image, 3 * kMiB);
    watch(image);
    const Json volume = mount(image).at("mounts").at(0);
    EXPECT_EQ(volume.at("size_bytes"), 2 * kMiB);
    EXPECT_EQ(test::read_file(kFolder + "/HELLO.TXT"), "front");
}

// --- nothing to mount ---

TEST_F(Mounting, WhatIsNoFilesystemIsAnErrorAndLeavesNothing) {
    const std::string noise = path("noise.img"), zeros = path("zeros.img"), swap = path("swap.img"),
                      short_one = path("short.img");
    test::write_file(noise, test::chosen_bytes(7, kMiB));
    test::write_file(zeros, std::string(kMiB, '\0'));
    test::write_file(short_one, "x");
    test::must("truncate -s 1M " + swap + " && mkswap -q " + swap);
    for (const auto& [image, reason] : {std::pair{noise, "no known filesystem"}, std::pair{zeros, "no known filesystem"},
                                        std::pair{short_one, "no known filesystem"}, std::pair{swap, "swap is no filesystem"}}) {
        watch(image);
        const test::CommandResult result = helper({"mount", kHash, image});
        EXPECT_EQ(result.exit, 1);
        EXPECT_EQ(result.out, "");
        EXPECT_THAT(result.err, HasSubstr(reason));
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
        EXPECT_THAT(loops_of(image), IsEmpty());
        EXPECT_FALSE(std::filesystem::exists(kFolder));
    }
}

TEST_F(Mounting, AnImageCutAnywhereIsMountedOrRefused) {
    const std::string whole = ext_image("whole.img", "hello", "-t ext4", 2);
    const std::string bytes = test::read_file(whole);
    for (const size_t length : {size_t{1}, size_t{511}, size_t{512}, size_t{1024}, size_t{1500}, size_t{2048}, size_t{4096},
                                size_t{100'000}, bytes.size() - 1}) {
        const std::string image = path("cut.img");
        test::write_file(image, std::string_view(bytes).substr(0, length));
        watch(image);
        const test::CommandResult result = helper({"mount", kHash, image});
        EXPECT_EQ(result.exit, 1) << length;
        EXPECT_NE(result.err, "");
        EXPECT_FALSE(std::filesystem::exists(kFolder));
    }
}

// --- once for a medium ---

TEST_F(Mounting, ASecondMountFindsTheFirst) {
    const std::string image = ext_image("a.img", "hello");
    const Json first = mount(image), second = mount(image);
    EXPECT_EQ(second.at("already_mounted"), true);
    EXPECT_EQ(second.at("mounts"), first.at("mounts"));
    EXPECT_THAT(loops_of(image), SizeIs(1));
}

TEST_F(Mounting, AnotherImageUnderTheSameHashIsAnError) {
    const std::string image = ext_image("a.img", "hello"), other = ext_image("b.img", "other");
    mount(image);
    const test::CommandResult result = helper({"mount", kHash, other});
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("another image is mounted under " + kHash));
    EXPECT_THAT(loops_of(other), IsEmpty());
    EXPECT_EQ(hello(kFolder), "hello");
    // An image put in place of the first is another one, too.
    std::filesystem::rename(other, image);
    EXPECT_THAT(helper({"mount", kHash, image}).err, HasSubstr("another image"));
    unmount();
    test::must("cp " + image + " " + other);
    watch(image);
}

TEST_F(Mounting, SomebodyElsesMountIsLeftAlone) {
    std::filesystem::create_directories(kFolder);
    test::must("mount -t tmpfs tmpfs " + kFolder);
    const test::CommandResult result = helper({"mount", kHash, ext_image("a.img", "hello")});
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("something else is mounted"));
    EXPECT_THAT(mountinfo_of(kFolder), HasSubstr("tmpfs"));
}

TEST_F(Mounting, WhatAnEarlierRunLeftUndoneIsDone) {
    const std::string image =
        disk("disk.img", 12, "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=83\n",
             {{2048, ext_image("one", "first")}, {10240, ext_image("two", "second")}});
    mount(image);
    test::must("umount " + kFolder + "/p2");
    const Json report = mount(image);
    EXPECT_EQ(report.at("already_mounted"), false);
    EXPECT_THAT(report.at("mounts"), SizeIs(2));
    EXPECT_EQ(hello(kFolder + "/p2"), "second");
}

TEST_F(Mounting, TwentyStartsAtOnceGiveOneMount) {
    const std::string image =
        disk("disk.img", 12, "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=83\n",
             {{2048, ext_image("one", "first")}, {10240, ext_image("two", "second")}});
    std::vector<pid_t> started;
    for (int i = 0; i < 20; ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const test::CommandResult result = helper({"mount", kHash, image}, "", ">" + path(fmt::format("report{}", i)));
            ::_exit(result.exit);
        }
        started.push_back(pid);
    }
    for (const pid_t pid : started) EXPECT_EQ(end_of(pid), 0);
    int first = 0;
    std::set<std::string> mounts;
    for (int i = 0; i < 20; ++i) {
        const Json report = Json::parse(test::read_file(path(fmt::format("report{}", i))));
        if (!report.at("already_mounted")) ++first;
        mounts.insert(report.at("mounts").dump());
    }
    EXPECT_EQ(first, 1);
    EXPECT_THAT(mounts, SizeIs(1)) << "all report the same mounts";
    EXPECT_THAT(loops_of(image), SizeIs(2));
    test::must("umount " + kFolder + "/p1 " + kFolder + "/p2");
    EXPECT_EQ(mountinfo_of(kFolder + "/p1") + mountinfo_of(kFolder + "/p2"), "") << "none lies on another";
}

}  // namespace
}  // namespace ntt::mount_helper
