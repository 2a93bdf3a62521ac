// Who asks, and what the helper takes over from whoever starts it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "mount_helper/world.h"

namespace ntt::mount_helper {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kAsNobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";

class Start : public World {};

TEST_F(Start, WithoutRootNothingIsDone) {
    NTT_NEED_TOOL("setpriv");
    const std::string program = reachable_program();
    // SUDO_UID is a claim that only root is believed.
    const test::CommandResult result = test::sh(fmt::format("{} env SUDO_UID=0 {} mount {} /a.img", kAsNobody, program, kHash));
    EXPECT_EQ(result.exit, 1);
    EXPECT_THAT(result.err, HasSubstr("this needs root"));
    EXPECT_EQ(test::sh(fmt::format("{} {} --help", kAsNobody, program)).exit, 0);
    EXPECT_FALSE(fs::exists("/run/ntt"));
}

TEST_F(Start, ThroughSudoARootIsNeeded) {
    NTT_NEED_TOOL("setpriv");
    NTT_NEED_TOOL("sudo");
    const std::string program = reachable_program();
    test::write_file("/etc/sudoers.d/ntt", fmt::format("nobody ALL=(root) NOPASSWD: {}\n", program));
    ASSERT_EQ(::chmod("/etc/sudoers.d/ntt", 0440), 0);
    const std::string image = ext_image("a.img", "hello"), sudo = fmt::format("{} sudo -n {} ", kAsNobody, program);
    if (const test::CommandResult works = test::sh(sudo + "--help"); works.exit != 0)
        GTEST_SKIP() << "sudo does not work here: " << works.err;

    const test::CommandResult refused = test::sh(sudo + "mount " + kHash + " " + image);
    EXPECT_EQ(refused.exit, 1);
    EXPECT_THAT(refused.err, HasSubstr("none is configured"));
    write_config(fmt::format("image_roots = [\"{}\"]\n", fs::path(image).parent_path().string()));
    const test::CommandResult mounted = test::sh(sudo + "mount " + kHash + " " + image);
    EXPECT_EQ(mounted.exit, 0) << mounted.err;
    EXPECT_EQ(test::must(fmt::format("{} cat {}/hello.txt", kAsNobody, kFolder)), "hello");
    EXPECT_EQ(test::sh(sudo + "unmount " + kHash).exit, 0);
    fs::remove("/etc/sudoers.d/ntt");
}

TEST_F(Start, AUserThatIsNoNumberIsRefused) {
    const std::string image = ext_image("a.img", "hello");
    for (const char* user : {"SUDO_UID=", "SUDO_UID=root", "SUDO_UID=-1", "SUDO_UID=0x0", "SUDO_UID=' 0'", "SUDO_UID=4294967295",
                             "SUDO_UID=4294967296"}) {
        const test::CommandResult result = helper({"mount", kHash, image}, user);
        EXPECT_EQ(result.exit, 1) << user;
        EXPECT_THAT(result.err, HasSubstr("SUDO_UID is no user's number")) << user;
    }
}

TEST_F(Start, FilesEnvironmentAndUmaskOfTheCallerDoNotMatter) {
    const std::string image = ext_image("a.img", "hello");
    const test::CommandResult result = helper({"mount", kHash, image},
                                              "umask 077; cd /mnt/etc; exec 7</etc/passwd; env LIBMOUNT_FSTAB=/x BLKID_DEBUG=all "
                                              "LIBBLKID_DEBUG=all LIBMOUNT_DEBUG=all PATH=/x");
    EXPECT_EQ(result.exit, 0) << result.err;
    EXPECT_EQ(result.err, "") << "the libraries' debugging is for who starts them, not for who may call sudo";
    struct stat status {};
    ASSERT_EQ(::stat("/mnt/ntt", &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0755U);
    ASSERT_EQ(::stat("/run/ntt", &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0755U);
}

TEST_F(Start, ClosedStandardFilesAreNotTakenForOthers) {
    const std::string image = ext_image("a.img", "hello");
    // stdout is closed: what is opened first must not become it.
    EXPECT_EQ(helper({"mount", kHash, image}, "", "<&- >&- 2>&-").exit, 0);
    EXPECT_EQ(test::read_file(kFolder + "/hello.txt"), "hello");
}

// A /dev with a log of our own, on a tmpfs.
class Log : public World {
protected:
    void SetUp() override {
        World::SetUp();
        if (IsSkipped()) return;
        ASSERT_EQ(::mount("tmpfs", "/dev", "tmpfs", 0, "mode=755"), 0);
        ASSERT_EQ(::mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)), 0);
        ASSERT_EQ(::mknod("/dev/loop-control", S_IFCHR | 0600, makedev(10, 237)), 0);
        for (unsigned i = 0; i < 256; ++i)
            ASSERT_EQ(::mknod(fmt::format("/dev/loop{}", i).c_str(), S_IFBLK | 0600, makedev(7, i)), 0);
        socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_un address{AF_UNIX, "/dev/log"};
        ASSERT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    void TearDown() override {
        World::TearDown();
        if (socket_ < 0) return;
        ::close(socket_);
        ::umount2("/dev", MNT_DETACH);
    }
    // The next line of the log; empty if there is none.
    std::string line() const {
        char bytes[4096];
        const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
        return {bytes, n > 0 ? static_cast<size_t>(n) : 0};
    }

private:
    int socket_ = -1;
};

TEST_F(Log, EachRequestAndItsUserIsOneLine) {
    const std::string image = ext_image("a.img", "hello");
    constexpr const char* kInfo = "<86>";  // LOG_AUTHPRIV, LOG_INFO
    constexpr const char* kWarning = "<84>";
    helper({"mount", kHash, image}, "SUDO_UID=0");
    std::string said = line();
    EXPECT_TRUE(said.starts_with(kInfo)) << said;
    EXPECT_THAT(said, HasSubstr("uid 0: mount " + kHash + " " + image));
    EXPECT_EQ(line(), "");

    helper({"mount", kOtherHash, "/etc/passwd\nforged"}, "SUDO_UID=1000");
    said = line();
    EXPECT_TRUE(said.starts_with(kWarning)) << said;
    EXPECT_THAT(said, HasSubstr("uid 1000: mount " + kOtherHash + " /etc/passwd"));
    EXPECT_THAT(said, HasSubstr("refused: "));
    EXPECT_EQ(said.find('\n'), std::string::npos) << "one line, whatever the names";
    EXPECT_EQ(line(), "");

    helper({"mount", "../x", image}, "SUDO_UID=1000");
    EXPECT_THAT(line(), HasSubstr("uid 1000: refused: wrong arguments"));
}

}  // namespace
}  // namespace ntt::mount_helper
