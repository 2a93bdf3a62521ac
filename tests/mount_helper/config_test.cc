// The configuration: its keys, and who may have written it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "config.h"
#include "mount_helper/world.h"

namespace ntt::mount_helper {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ConfigText, EveryKeyIsRead) {
    ASSERT_OK_ASSIGN(const Config config, parse_config(R"(
        image_roots = ["/data/images", "/more"]
        mount_root = "/srv/ntt"
        timeout_seconds = 7
        fuse_after_refusal = true
        [fuse]
        vfat = ""
        hfsplus = "/opt/fusehfs"
    )",
                                                       "t"));
    EXPECT_THAT(config.image_roots, ElementsAre("/data/images", "/more"));
    EXPECT_EQ(config.mount_root, "/srv/ntt");
    EXPECT_EQ(config.timeout_seconds, 7);
    EXPECT_TRUE(config.fuse_after_refusal);
    EXPECT_EQ(config.fuse.at("vfat"), "");
    EXPECT_EQ(config.fuse.at("hfsplus"), "/opt/fusehfs");
    EXPECT_EQ(config.fuse.at("ext4"), "/usr/bin/fuse2fs") << "what is not named keeps its default";
}

TEST(ConfigText, AnEmptyOneIsTheDefaults) {
    ASSERT_OK_ASSIGN(const Config config, parse_config("", "t"));
    EXPECT_TRUE(config.image_roots.empty());
    EXPECT_EQ(config.mount_root, "/mnt/ntt");
    EXPECT_EQ(config.timeout_seconds, 30);
    EXPECT_FALSE(config.fuse_after_refusal);
}

TEST(ConfigText, WhatIsNotUnderstoodIsRefusedWithItsLine) {
    for (const char* text : {"image_root = []", "image_roots = \"/a\"", "image_roots = [\"a\"]", "image_roots = [1]",
                             "mount_root = \"mnt\"", "mount_root = \"/\"", "timeout_seconds = 0", "timeout_seconds = 1e9",
                             "timeout_seconds = \"7\"", "fuse_after_refusal = 1", "fuse = 1", "[fuse]\nvfat = \"fusefat\"",
                             "[fuse]\n\"../x\" = \"/a\"", "[other]", "image_roots = ["}) {
        const Result<Config> config = parse_config(text, "t");
        ASSERT_FALSE(config.ok()) << text;
        EXPECT_EQ(config.error().code, ErrorCode::malformed);
        EXPECT_THAT(config.error().message, HasSubstr("t:"));
    }
}

class ConfigFile : public World {
protected:
    // mount with a configuration that is not to be believed.
    void expect_refused(const std::string& image, const std::string& reason) {
        const test::CommandResult result = helper({"mount", kHash, image});
        EXPECT_EQ(result.exit, 1);
        EXPECT_EQ(result.out, "");
        EXPECT_THAT(result.err, HasSubstr(reason));
        EXPECT_EQ(mountinfo_of(kFolder), "");
    }
};

TEST_F(ConfigFile, OneThatOthersCanWriteIsRefused) {
    const std::string image = ext_image("a.img", "a");
    write_config("");
    for (const mode_t mode : {mode_t{0664}, mode_t{0646}}) {
        ASSERT_EQ(::chmod("/etc/ntt/mount-helper.toml", mode), 0);
        expect_refused(image, "can be written by others");
    }
    ASSERT_EQ(::chmod("/etc/ntt/mount-helper.toml", 0644), 0);
    EXPECT_EQ(helper({"mount", kHash, image}).exit, 0);
}

TEST_F(ConfigFile, OneOfAnotherOwnerIsRefused) {
    const std::string image = ext_image("a.img", "a");
    write_config("");
    ASSERT_EQ(::chown("/etc/ntt/mount-helper.toml", 1000, 0), 0);
    expect_refused(image, "does not belong to root");
}

TEST_F(ConfigFile, AFolderThatOthersCanWriteIsRefused) {
    const std::string image = ext_image("a.img", "a");
    write_config("");
    ASSERT_EQ(::chmod("/etc/ntt", 0777), 0);
    expect_refused(image, "/etc/ntt can be written by others");
}

TEST_F(ConfigFile, SymlinksAndOtherThingsAreNoConfiguration) {
    const std::string image = ext_image("a.img", "a");
    write_config("");
    std::filesystem::rename("/etc/ntt/mount-helper.toml", "/etc/ntt/real.toml");
    std::filesystem::create_symlink("real.toml", "/etc/ntt/mount-helper.toml");
    expect_refused(image, "mount-helper.toml");
    std::filesystem::remove("/etc/ntt/mount-helper.toml");
    ASSERT_EQ(::mkfifo("/etc/ntt/mount-helper.toml", 0644), 0);
    expect_refused(image, "no regular file");
}

TEST_F(ConfigFile, AnUnknownKeyIsRefused) {
    write_config("image_roost = []\n");
    expect_refused(ext_image("a.img", "a"), "mount-helper.toml:1: unknown key image_roost");
}

TEST_F(ConfigFile, AnotherMountRootIsObeyed) {
    const std::string image = ext_image("a.img", "a");
    write_config("mount_root = \"/mnt/elsewhere\"\n");
    EXPECT_EQ(mount(image).at("mount_point"), "/mnt/elsewhere/" + kHash);
    EXPECT_EQ(test::read_file("/mnt/elsewhere/" + kHash + "/hello.txt"), "a");
    EXPECT_EQ(status().at("mounted"), true);
    unmount();
    EXPECT_FALSE(std::filesystem::exists("/mnt/elsewhere/" + kHash));
}

TEST_F(ConfigFile, AMountRootThatOthersCanWriteOrASymlinkIsRefused) {
    const std::string image = ext_image("a.img", "a");
    std::filesystem::create_directory("/mnt/open");
    ASSERT_EQ(::chmod("/mnt/open", 01777), 0);
    write_config("mount_root = \"/mnt/open/ntt\"\n");
    expect_refused(image, "/mnt/open can be written by others");
    ASSERT_EQ(::chmod("/mnt/open", 0755), 0);
    std::filesystem::create_symlink("open", "/mnt/link");
    write_config("mount_root = \"/mnt/link/ntt\"\n");
    expect_refused(image, "symlinks are not followed");
    std::filesystem::remove("/mnt/link");
    std::filesystem::remove_all("/mnt/open");
}

}  // namespace
}  // namespace ntt::mount_helper
