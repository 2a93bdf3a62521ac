#include "mount_helper/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <fmt/format.h>

namespace ntt::mount_helper {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTmpfsOptions = "mode=755";
constexpr useconds_t kPauseMicroseconds = 5000;
constexpr int kPauses = 4000;

bool wait_for(const std::function<bool()>& condition) {
    for (int i = 0; i < kPauses; ++i) {
        if (condition()) return true;
        ::usleep(kPauseMicroseconds);
    }
    return false;
}

bool put_tmpfs_over(const char* folder) { return ::mount("tmpfs", folder, "tmpfs", 0, kTmpfsOptions) == 0; }

// Once for the process; empty, or why it is not possible.
std::string enter_own_namespace() {
    if (::geteuid() != 0) return "needs root";
    if (::access("/dev/loop-control", R_OK | W_OK) != 0) return "needs loop devices";
    if (::unshare(CLONE_NEWNS) != 0) return fmt::format("needs a mount namespace of its own: {}", strerror(errno));
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "cannot make mounts private";
    if (!put_tmpfs_over("/mnt") || !put_tmpfs_over("/run")) return "cannot put a tmpfs over /mnt and /run";
    if (::mkdir("/mnt/etc", 0755) != 0 || ::mkdir("/mnt/etc/changes", 0755) != 0 || ::mkdir("/mnt/etc/work", 0755) != 0)
        return "cannot make folders in a tmpfs";
    if (::mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/mnt/etc/changes,workdir=/mnt/etc/work") != 0)
        return fmt::format("cannot put an overlay over /etc: {}", strerror(errno));
    return {};
}

size_t digest_of(const std::string& file) { return std::hash<std::string>()(test::read_file(file)); }

}  // namespace

std::string no_mounts_because() {
    static const std::string reason = enter_own_namespace();
    return reason;
}

bool kernel_lacks(const std::string& fs_type) {
    // Without a device, and with a folder that is there: only a missing driver gives ENODEV.
    if (::mount("none", "/mnt/etc", fs_type.c_str(), MS_RDONLY, nullptr) == 0) {
        ::umount("/mnt/etc");
        return false;
    }
    return errno == ENODEV;
}

bool fuse_works() { return ::access("/dev/fuse", R_OK | W_OK) == 0; }

void World::SetUp() {
    if (const std::string reason = no_mounts_because(); !reason.empty()) GTEST_SKIP() << reason;
    fs::remove_all("/etc/ntt");
    fs::remove_all("/run/ntt");
    ::rmdir("/mnt/ntt");
    for (const char* tool : {"losetup", "mke2fs"}) NTT_NEED_TOOL(tool);
}

void World::TearDown() {
    if (!no_mounts_because().empty()) return;
    if (!IsSkipped()) {
        fs::remove_all("/etc/ntt");
        for (const std::string& hash : {kHash, kOtherHash}) {
            const test::CommandResult ended = helper({"unmount", hash});
            EXPECT_EQ(ended.exit, 0) << ended.err;
            EXPECT_FALSE(fs::exists("/mnt/ntt/" + hash)) << "a folder is left";
        }
    }
    for (const auto& [image, digest] : watched_) {
        EXPECT_TRUE(loops_go(image)) << "a loop device is left for " << image;
        EXPECT_EQ(digest_of(image), digest) << image << " has changed";
    }
    fs::remove_all("/mnt/bin");
}

test::CommandResult World::helper(const std::vector<std::string>& arguments, const std::string& before,
                                  const std::string& after) const {
    std::string line = before + " " + test::shell_quoted(NTT_MOUNT_HELPER);
    for (const std::string& argument : arguments) line += " " + test::shell_quoted(argument);
    return test::sh(line + " " + after);
}

Json World::mount(const std::string& image, const std::string& hash) {
    const test::CommandResult result = helper({"mount", hash, image});
    EXPECT_EQ(result.exit, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return Json::parse(result.out, nullptr, false);
}

Json World::unmount(const std::string& hash) {
    const test::CommandResult result = helper({"unmount", hash});
    EXPECT_EQ(result.exit, 0) << result.err;
    return Json::parse(result.out, nullptr, false);
}

Json World::status(const std::string& hash) {
    const test::CommandResult result = helper({"status", hash});
    Json out = Json::parse(result.out, nullptr, false);
    EXPECT_EQ(result.exit, out.value("mounted", false) ? 0 : 1) << result.out << result.err;
    return out;
}

pid_t World::start(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {NTT_MOUNT_HELPER};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    char* const environment[] = {nullptr};
    pid_t pid = -1;
    EXPECT_EQ(::posix_spawn(&pid, NTT_MOUNT_HELPER, &files, nullptr, argv.data(), environment), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

void World::write_config(const std::string& text) {
    fs::create_directories("/etc/ntt");
    ASSERT_EQ(::chmod("/etc/ntt", 0755), 0);
    test::write_file("/etc/ntt/mount-helper.toml", text);
    ASSERT_EQ(::chmod("/etc/ntt/mount-helper.toml", 0644), 0);
}

std::string World::reachable_program() const {
    const std::string copy = "/mnt/bin/ntt-mount-helper";
    fs::create_directories("/mnt/bin");
    fs::copy_file(NTT_MOUNT_HELPER, copy, fs::copy_options::overwrite_existing);
    return copy;
}

void World::watch(const std::string& image) { watched_[image] = digest_of(image); }

std::string World::ext_image(const std::string& name, const std::string& text, const std::string& options, int size_mib) {
    const std::string image = path(name), content = path(name + ".content");
    fs::create_directories(content);
    test::write_file(content + "/hello.txt", text);
    test::must(fmt::format("mke2fs -q -F {} -d {} {} {}M", options, content, image, size_mib));
    watch(image);
    return image;
}

std::string World::fat_image(const std::string& name, const std::string& text) {
    const std::string image = path(name);
    test::write_file(path("hello.txt"), text);
    test::must(
        fmt::format("truncate -s 4M {0} && mkfs.vfat -n LABEL {0} && mcopy -i {0} {1} ::hello.txt", image, path("hello.txt")));
    watch(image);
    return image;
}

std::string World::disk(const std::string& name, int size_mib, const std::string& script,
                        const std::map<uint64_t, std::string>& files) {
    const std::string image = path(name);
    test::must(
        fmt::format("truncate -s {}M {} && printf %s {} | sfdisk -q {}", size_mib, image, test::shell_quoted(script), image));
    for (const auto& [sector, file] : files) test::patch_file(image, sector * 512, test::read_file(file));
    watch(image);
    return image;
}

std::string World::mountinfo_of(const std::string& target) {
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);)
        if (line.find(" " + target + " ") != std::string::npos) return line;
    return {};
}

std::vector<std::string> World::loops_of(const std::string& image) {
    std::istringstream lines(test::sh("losetup -n -O NAME -j " + test::shell_quoted(image)).out);
    std::vector<std::string> out;
    for (std::string line; std::getline(lines, line);) out.push_back(line);
    return out;
}

bool World::loops_go(const std::string& image) {
    return wait_for([&] { return loops_of(image).empty(); });
}

int end_of(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t child_of(pid_t pid) {
    pid_t child = -1;
    wait_for([&] {
        std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", pid));
        return static_cast<bool>(list >> child);
    });
    return child;
}

}  // namespace ntt::mount_helper
