// The world of a mount helper under test: a mount namespace with an /etc, a /mnt and a /run of its own, images, and the check
// after each test that no loop device is left and no image has changed.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/support.h"

namespace ntt::mount_helper {

using Json = nlohmann::json;

inline const std::string kHash = "f95834a4b718f54edc7b549ca854aef8";
inline const std::string kOtherHash = "0123456789abcdef";
inline const std::string kFolder = "/mnt/ntt/" + kHash;

// Why real mounts cannot be made here; empty if they can.
std::string no_mounts_because();
// Whether the kernel has no driver for a filesystem.
bool kernel_lacks(const std::string& fs_type);
bool fuse_works();

class World : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    // --- the helper ---
    // Runs it as root, with `before` put before the command ("SUDO_UID=1000") and `after` behind it (">/dev/full").
    test::CommandResult helper(const std::vector<std::string>& arguments, const std::string& before = "",
                               const std::string& after = "") const;
    // mount that must succeed; its report.
    Json mount(const std::string& image, const std::string& hash = kHash);
    Json unmount(const std::string& hash = kHash);
    Json status(const std::string& hash = kHash);
    // Started and not waited for.
    pid_t start(const std::vector<std::string>& arguments) const;
    static void write_config(const std::string& text);
    // A copy that every user can reach.
    std::string reachable_program() const;

    // --- images ---
    std::string path(std::string_view name) const { return dir_ / name; }
    // Their content must be the same when the test ends; done for every image that is made here.
    void watch(const std::string& image);
    // With a file hello.txt that holds `text`.
    std::string ext_image(const std::string& name, const std::string& text, const std::string& options = "-t ext4",
                          int size_mib = 4);
    std::string fat_image(const std::string& name, const std::string& text);
    // An image of sfdisk's script, with the files put where its partitions begin (in units of 512 bytes).
    std::string disk(const std::string& name, int size_mib, const std::string& script,
                     const std::map<uint64_t, std::string>& files);

    // --- what there is ---
    static std::string mountinfo_of(const std::string& target);  // its line; empty if there is none
    static std::vector<std::string> loops_of(const std::string& image);
    // Waits a while for the loop devices of an image to go.
    static bool loops_go(const std::string& image);

private:
    test::TempDir dir_;
    std::map<std::string, size_t> watched_;
};

// The exit code of a process, waited for: 128 + signal if one ended it.
int end_of(pid_t pid);
// Waits for a process to have a child, and returns it; -1 if it has none for long.
pid_t child_of(pid_t pid);

}  // namespace ntt::mount_helper

// Skips by name where the kernel has the driver that the test wants to be missing, or FUSE or its program is missing.
#define NTT_NEED_FUSE(fs_type, program)                                                                                \
    do {                                                                                                               \
        if (!::ntt::mount_helper::fuse_works()) GTEST_SKIP() << "needs /dev/fuse";                                     \
        if (!::ntt::mount_helper::kernel_lacks(fs_type)) GTEST_SKIP() << "this kernel has a driver for " << (fs_type); \
        if (::access(program, X_OK) != 0) GTEST_SKIP() << "needs " << (program);                                       \
    } while (false)
