// How an image is looked at: what counts as a volume, and in what state the process is that looks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "image.h"
#include "mount_helper/world.h"
#include "volumes.h"

namespace ntt::mount_helper {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Clock::time_point in_seconds(int seconds) { return Clock::now() + std::chrono::seconds(seconds); }

class Probe : public World {};

TEST_F(Probe, ADiscThatIsAlsoAMacDiskHasItsOwnFilesystemAsTheFirstVolume) {
    NTT_NEED_TOOL("xorriso");
    fs::create_directory(path("tree"));
    test::write_file(path("tree/a"), "x");
    test::must("xorriso -as mkisofs -quiet -V DISC -hfsplus -o disc.iso tree", path(""));
    ASSERT_OK_ASSIGN(const Image image, open_image(path("disc.iso"), 0, {}));
    ASSERT_OK_ASSIGN(const std::vector<Volume> volumes, find_volumes(image, in_seconds(60)));
    ASSERT_GE(volumes.size(), 2U);
    EXPECT_EQ(volumes[0].number, 1);
    EXPECT_EQ(volumes[0].range, (ByteRange{0, image.size_bytes}));
    EXPECT_EQ(volumes[0].signature.fs_type, "iso9660");
    EXPECT_EQ(volumes[0].signature.label, "DISC");
    const auto mac =
        std::find_if(volumes.begin(), volumes.end(), [](const Volume& v) { return v.signature.fs_type == "hfsplus"; });
    ASSERT_NE(mac, volumes.end());
    EXPECT_EQ(mac->reason, "");
}

TEST_F(Probe, OldTracesBesideATableAreNoVolume) {
    // The disk had one filesystem all over, and was partitioned later: the superblock at 1024 is still there.
    const std::string whole = ext_image("whole", "old", "-t ext2", 8);
    const std::string image =
        disk("disk.img", 8, "label: dos\nstart=4096, size=8192, type=83\n", {{4096, ext_image("one", "new")}});
    test::patch_file(image, 1024, test::read_file(whole).substr(1024, 1024));
    watch(image);
    ASSERT_OK_ASSIGN(const Image opened, open_image(image, 0, {}));
    ASSERT_OK_ASSIGN(const std::vector<Volume> volumes, find_volumes(opened, in_seconds(60)));
    ASSERT_THAT(volumes, SizeIs(1));
    EXPECT_EQ(volumes[0].range.offset, 4096U * 512);
}

TEST_F(Probe, RaidMembersAreNamedAndNotMounted) {
    // An md superblock 1.2; only what libblkid looks at. Source: Linux include/uapi/linux/raid/md_p.h.
    std::string member(4 << 20, '\0');  // libblkid looks for no RAID on what could be a floppy
    constexpr size_t kSuper = 4096;
    member.replace(kSuper, 8, std::string("\xfc\x4e\x2b\xa9\x01\x00\x00\x00", 8));
    member[kSuper + 128 + 16] = 8;  // super_offset, in sectors
    test::write_file(path("md.img"), member);
    ASSERT_OK_ASSIGN(const Image opened, open_image(path("md.img"), 0, {}));
    ASSERT_OK_ASSIGN(const std::vector<Volume> volumes, find_volumes(opened, in_seconds(60)));
    ASSERT_THAT(volumes, SizeIs(1));
    EXPECT_EQ(volumes[0].signature.fs_type, "linux_raid_member");
    EXPECT_EQ(volumes[0].reason, "linux_raid_member is no filesystem");
}

// A file on a FUSE filesystem whose process has been stopped: whoever reads it waits.
TEST_F(Probe, AnImageThatDoesNotAnswerIsGivenUpByAChildWithoutPrivileges) {
    NTT_NEED_FUSE("vfat", "/usr/bin/fusefat");
    const std::string device = mount(fat_image("a.img", "fat")).at("mounts").at(0).at("device");
    const int raw = ::open((kFolder + "/HELLO.TXT").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(raw, 0);
    const pid_t driver =
        std::stoi(test::must("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^/usr/bin/fusefat .*" +
                             device + " ' && echo ${p#/proc/}; done; true"));
    ASSERT_EQ(::kill(driver, SIGSTOP), 0);
    // On every way out it goes on: closing the file waits for it, too.
    const std::unique_ptr<const pid_t, void (*)(const pid_t*)> go_on(&driver, [](const pid_t* pid) { ::kill(*pid, SIGCONT); });

    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t looking = ::fork();
    if (looking == 0) {
        const Fd file(raw);
        const Result<Signature> signature = probe_signature(file, {0, 4096}, in_seconds(3), OnInterrupt::stop);
        const char verdict = signature.ok() ? 'a' : signature.error().code == ErrorCode::parser_timeout ? 't' : 'e';
        ::_exit(::write(ends[1], &verdict, 1) == 1 ? 0 : 1);
    }
    ::close(ends[1]);
    const pid_t child = child_of(looking);
    std::string status;
    for (int i = 0; i < 400 && status.find("NoNewPrivs:\t1") == std::string::npos; ++i) {
        ::usleep(5000);
        // No other process: its end would close a copy of the file, and wait.
        status = test::read_file("/proc/" + std::to_string(child) + "/status");
    }
    EXPECT_THAT(status, HasSubstr("Uid:\t65534\t65534\t65534\t65534"));
    EXPECT_THAT(status, HasSubstr("Gid:\t65534\t65534\t65534\t65534"));
    EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
    char verdict = 0;
    EXPECT_EQ(::read(ends[0], &verdict, 1), 1);
    EXPECT_EQ(verdict, 't') << "a: it got an answer; e: another error";
    ::kill(driver, SIGCONT);
    EXPECT_EQ(end_of(looking), 0);
    ::close(ends[0]);
    ::close(raw);
}

}  // namespace
}  // namespace ntt::mount_helper
