// Which images a user may have mounted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "mount_helper/world.h"

namespace ntt::mount_helper {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kAsUser = "SUDO_UID=1000";

class Refusal : public World {
protected:
    void SetUp() override {
        World::SetUp();
        if (IsSkipped()) return;
        fs::create_directories(path("images/deep"));
        write_config(fmt::format("image_roots = [\"/nowhere\", \"{}\"]\n", path("images")));
    }
    void expect_refused(const std::string& image, const std::string& reason = "no image below the image roots") {
        const test::CommandResult result = helper({"mount", kHash, image}, kAsUser);
        EXPECT_EQ(result.exit, 1) << image;
        EXPECT_EQ(result.out, "");
        EXPECT_THAT(result.err, HasSubstr(reason));
        EXPECT_FALSE(fs::exists(kFolder));
    }
};

TEST_F(Refusal, ImagesBelowTheRootsAreForEverybody) {
    const std::string image = ext_image("images/deep/a.img", "hello");
    const test::CommandResult result = helper({"mount", kHash, image}, kAsUser);
    EXPECT_EQ(result.exit, 0) << result.err;
    EXPECT_EQ(helper({"status", kHash}, kAsUser).exit, 0);
    EXPECT_EQ(helper({"unmount", kHash}, kAsUser).exit, 0);
    EXPECT_EQ(mountinfo_of(kFolder), "");
}

TEST_F(Refusal, OthersAreForRootOnly) {
    const std::string image = ext_image("a.img", "hello");
    expect_refused(image);
    EXPECT_EQ(helper({"mount", kHash, image}, "SUDO_UID=0").exit, 0);
}

TEST_F(Refusal, WithoutRootsOnlyRootMounts) {
    const std::string image = ext_image("images/a.img", "hello");
    fs::remove_all("/etc/ntt");
    expect_refused(image, "none is configured");
}

TEST_F(Refusal, AFolderWhoseNameBeginsLikeARootIsNotBelowIt) {
    fs::create_directories(path("images-of-others"));
    expect_refused(ext_image("images-of-others/a.img", "hello"));
}

TEST_F(Refusal, DotsDoNotLeadOut) {
    ext_image("a.img", "hello");
    expect_refused(path("images/../a.img"));
    expect_refused(path("images/deep/../../a.img"));
}

TEST_F(Refusal, SymlinksDoNotLeadOut) {
    const std::string image = ext_image("a.img", "hello");
    fs::create_symlink(image, path("images/link.img"));
    expect_refused(path("images/link.img"), "is a symlink");
    fs::create_directory_symlink(path(""), path("images/out"));
    expect_refused(path("images/out/a.img"));
    fs::create_symlink("/proc/self/fd", path("images/fds"));
    expect_refused(path("images/fds/0"));
}

TEST_F(Refusal, AFolderThatIsASymlinkInsideTheRootsIsFollowed) {
    ext_image("images/deep/a.img", "hello");
    fs::create_directory_symlink("deep", path("images/same"));
    EXPECT_EQ(helper({"mount", kHash, path("images/same/a.img")}, kAsUser).exit, 0);
}

TEST_F(Refusal, ARootMayBeASymlink) {
    fs::create_directory_symlink("images", path("alias"));
    write_config(fmt::format("image_roots = [\"{}\"]\n", path("alias")));
    ext_image("images/a.img", "hello");
    EXPECT_EQ(helper({"mount", kHash, path("alias/a.img")}, kAsUser).exit, 0);
}

TEST_F(Refusal, WhatExistsOutsideOfTheRootsIsNotTold) {
    const std::string there = helper({"mount", kHash, "/etc/passwd"}, kAsUser).err;
    std::string absent = helper({"mount", kHash, "/etc/passwx"}, kAsUser).err;
    absent.replace(absent.find("passwx"), 6, "passwd");
    EXPECT_EQ(there, absent);
}

TEST_F(Refusal, WhatIsNoRegularFileIsNoImage) {
    expect_refused(path("images/deep"), "is no regular file");
    ASSERT_EQ(::mkfifo(path("images/fifo").c_str(), 0644), 0);
    expect_refused(path("images/fifo"), "is no regular file");
    ASSERT_EQ(::mknod(path("images/null").c_str(), S_IFCHR | 0644, makedev(1, 3)), 0);
    expect_refused(path("images/null"), "is no regular file");
    test::write_file(path("images/empty.img"), "");
    expect_refused(path("images/empty.img"), "is empty");
    expect_refused(path("images/absent.img"));
}

TEST_F(Refusal, BlockDevicesAreForRootOnly) {
    const std::string image = ext_image("a.img", "hello");
    const std::string loop = test::must("losetup --show -r -f " + image);
    const std::string device = loop.substr(0, loop.size() - 1);
    struct stat status {};
    ASSERT_EQ(::stat(device.c_str(), &status), 0);
    ASSERT_EQ(::mknod(path("images/device").c_str(), S_IFBLK | 0644, status.st_rdev), 0);
    expect_refused(path("images/device"), "only root may mount those");
    const Json report = mount(device);
    EXPECT_EQ(test::read_file(kFolder + "/hello.txt"), "hello");
    EXPECT_EQ(mount(device).at("already_mounted"), true);
    unmount();
    test::must("losetup -d " + device);
}

}  // namespace
}  // namespace ntt::mount_helper
