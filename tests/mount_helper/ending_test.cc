// How mounts end: by unmount, and after everything that can happen to a run of mount.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "mount_helper/world.h"

namespace ntt::mount_helper {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Ending : public World {
protected:
    // A FUSE program for FAT that never comes to an end.
    void configure_driver_that_hangs(int timeout_seconds) {
        test::write_file("/mnt/hanging-driver", "#!/bin/sh\nexec sleep 100000\n");
        ASSERT_EQ(::chmod("/mnt/hanging-driver", 0755), 0);
        write_config(fmt::format("timeout_seconds = {}\n[fuse]\nvfat = \"/mnt/hanging-driver\"\n", timeout_seconds));
    }
    // ext in front, which the kernel mounts; FAT behind, whose driver hangs.
    std::string disk_that_hangs() {
        return disk("disk.img", 12, "label: dos\nstart=2048, size=8192, type=83\nstart=10240, size=8192, type=6\n",
                    {{2048, ext_image("one", "first")}, {10240, fat_image("two", "second")}});
    }
    // Starts a mount and waits until it is in the middle: p1 is mounted, the driver of p2 hangs. Returns its process.
    pid_t start_and_wait(const std::string& image, pid_t& driver) {
        const pid_t pid = start({"mount", kHash, image});
        for (int i = 0; i < 4000; ++i) {
            driver = child_of(pid);
            std::ifstream words(fmt::format("/proc/{}/cmdline", driver));
            std::string line;
            std::getline(words, line);
            if (line.find("sleep") != std::string::npos) return pid;
            ::usleep(5000);
        }
        ADD_FAILURE() << "the driver did not start";
        return pid;
    }
    static bool ends(pid_t pid) {
        for (int i = 0; i < 4000 && ::kill(pid, 0) == 0; ++i) {
            // A zombie of a process that init has not looked at yet is gone, too.
            std::ifstream stat(fmt::format("/proc/{}/stat", pid));
            std::string line;
            std::getline(stat, line);
            if (line.find(") Z ") != std::string::npos) return true;
            ::usleep(5000);
        }
        return ::kill(pid, 0) != 0;
    }
};

// --- unmount and status ---

TEST_F(Ending, UnmountOfWhatIsNotMountedIsDone) {
    EXPECT_EQ(unmount(), (Json{{"medium_hash", kHash}, {"unmounted", Json::array()}, {"lazy", false}}));
}

TEST_F(Ending, StatusTellsBeforeAndAfter) {
    EXPECT_EQ(status(), (Json{{"medium_hash", kHash}, {"mounted", false}, {"mounts", Json::array()}}));
    const Json mounted = mount(ext_image("a.img", "hello"));
    EXPECT_EQ(status(), (Json{{"medium_hash", kHash}, {"mounted", true}, {"mounts", mounted.at("mounts")}}));
    EXPECT_EQ(unmount(), (Json{{"medium_hash", kHash}, {"unmounted", {kFolder}}, {"lazy", false}}));
    EXPECT_EQ(status().at("mounted"), false);
    EXPECT_TRUE(fs::is_empty("/run/ntt")) << "the lock file goes with the mount";
}

TEST_F(Ending, StatusKnowsAMountFromAnEmptyFolder) {
    fs::create_directories(kFolder);
    EXPECT_EQ(status().at("mounted"), false);
}

TEST_F(Ending, ABusyMountIsDetachedAndItsLoopGoesWithTheLastUser) {
    const std::string image = ext_image("a.img", "hello");
    mount(image);
    const int user = ::open((kFolder + "/hello.txt").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(user, 0);
    const Json report = unmount();
    EXPECT_EQ(report.at("lazy"), true);
    EXPECT_EQ(report.at("unmounted"), Json::array({kFolder}));
    EXPECT_EQ(status().at("mounted"), false);
    EXPECT_THAT(loops_of(image), SizeIs(1)) << "the user still reads";
    char bytes[8] = {};
    EXPECT_EQ(::read(user, bytes, sizeof bytes), 5);
    EXPECT_EQ(std::string(bytes), "hello");
    // And the medium can be mounted again meanwhile.
    EXPECT_EQ(mount(image).at("already_mounted"), false);
    EXPECT_EQ(unmount().at("lazy"), false);
    ::close(user);
    EXPECT_TRUE(loops_go(image));
}

TEST_F(Ending, StackedAndInnerMountsGoToo) {
    const std::string image = ext_image("a.img", "hello");
    mount(image);
    // As runs without a lock would leave it.
    test::must("loop=$(losetup --show -r -f " + image + ") && mount -t ext4 -o ro,noload $loop " + kFolder +
               " && losetup -d $loop && mount --bind /mnt/etc " + kFolder + "/lost+found");
    EXPECT_EQ(unmount().at("unmounted"), Json::array({kFolder, kFolder + "/lost+found"}));
    EXPECT_EQ(mountinfo_of(kFolder), "");
    EXPECT_TRUE(loops_go(image));
}

TEST_F(Ending, OnlyEmptyFoldersAreRemoved) {
    fs::create_directories(kFolder + "/p3");
    fs::create_directories(kFolder + "/p1");
    test::write_file(kFolder + "/p1/keep", "x");
    test::write_file(kFolder + "/keep", "x");
    unmount();
    EXPECT_FALSE(fs::exists(kFolder + "/p3"));
    EXPECT_EQ(test::read_file(kFolder + "/p1/keep"), "x");
    EXPECT_EQ(test::read_file(kFolder + "/keep"), "x");
    fs::remove_all(kFolder);
}

TEST_F(Ending, AFuseProcessThatWasKilledLeavesNothingAfterUnmount) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    const std::string image = fat_image("a.img", "fat");
    const std::string device = mount(image).at("mounts").at(0).at("device");
    test::must("for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q \"^/usr/bin/fusefat .*" + device +
               " \"; then kill -9 ${p#/proc/}; fi; done");
    EXPECT_EQ(unmount().at("unmounted"), Json::array({kFolder}));
    EXPECT_TRUE(loops_go(image));
}

// --- runs of mount that come to no good end ---

TEST_F(Ending, AMountThatHangsIsGivenUpAndUndone) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    configure_driver_that_hangs(1);
    const std::string image = disk_that_hangs();
    const test::CommandResult result = helper({"mount", kHash, image});
    EXPECT_EQ(result.exit, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("did not end within its time limit"));
    EXPECT_EQ(mountinfo_of(kFolder + "/p1"), "") << "what this run had mounted";
    EXPECT_TRUE(loops_go(image));
    EXPECT_FALSE(fs::exists(kFolder));
}

TEST_F(Ending, SignalsUndoWhatWasDone) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    configure_driver_that_hangs(600);
    const std::string image = disk_that_hangs();
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        pid_t driver = -1;
        const pid_t pid = start_and_wait(image, driver);
        EXPECT_NE(mountinfo_of(kFolder + "/p1"), "");
        ::kill(pid, signal);
        EXPECT_EQ(end_of(pid), 1);
        EXPECT_TRUE(ends(driver));
        EXPECT_EQ(mountinfo_of(kFolder + "/p1"), "");
        EXPECT_TRUE(loops_go(image));
        EXPECT_FALSE(fs::exists(kFolder));
    }
}

TEST_F(Ending, AfterKill9InMidMountUnmountCleans) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    configure_driver_that_hangs(600);
    const std::string image = disk_that_hangs();
    pid_t driver = -1;
    const pid_t pid = start_and_wait(image, driver);
    ::kill(pid, SIGKILL);
    EXPECT_EQ(end_of(pid), 128 + SIGKILL);
    EXPECT_TRUE(ends(driver)) << "what the helper started dies with it";
    EXPECT_EQ(status().at("mounted"), true) << "p1 had been mounted, and status tells the truth";
    EXPECT_EQ(unmount().at("unmounted"), Json::array({kFolder + "/p1"}));
    EXPECT_TRUE(loops_go(image));
    EXPECT_FALSE(fs::exists(kFolder));
}

TEST_F(Ending, NobodyElseCanHoldTheLock) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    configure_driver_that_hangs(600);
    pid_t driver = -1;
    const pid_t pid = start_and_wait(disk_that_hangs(), driver);
    struct stat status {};
    EXPECT_EQ(::stat(("/run/ntt/mount-" + kHash + ".lock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U) << "who can open a file can lock it";
    EXPECT_EQ(status.st_uid, 0U);
    ::kill(pid, SIGTERM);
    EXPECT_EQ(end_of(pid), 1);
}

TEST_F(Ending, AMountWhoseReportNobodyGetsIsUndone) {
    const std::string image = ext_image("a.img", "hello");
    const test::CommandResult result = helper({"mount", kHash, image}, "", ">/dev/full");
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("write the report"));
    EXPECT_EQ(mountinfo_of(kFolder), "");
    EXPECT_FALSE(fs::exists(kFolder));
}

TEST_F(Ending, TheImageIsOpenReadOnlyAndOfTheLockTheChildHasNothing) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    configure_driver_that_hangs(600);
    const std::string image = disk_that_hangs();
    pid_t driver = -1;
    const pid_t pid = start_and_wait(image, driver);
    bool found = false;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
        if (fs::read_symlink(entry.path()) != image) continue;
        found = true;
        const std::string info = test::read_file(fmt::format("/proc/{}/fdinfo/{}", pid, entry.path().filename().string()));
        const size_t at = info.find("flags:\t");
        ASSERT_NE(at, std::string::npos);
        EXPECT_EQ(std::stoul(info.substr(at + 7), nullptr, 8) & O_ACCMODE, static_cast<unsigned long>(O_RDONLY));
    }
    EXPECT_TRUE(found);
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", driver)))
        EXPECT_LE(std::stoi(entry.path().filename()), 2) << fs::read_symlink(entry.path());
    ::kill(pid, SIGTERM);
    EXPECT_EQ(end_of(pid), 1);
}

}  // namespace
}  // namespace ntt::mount_helper
