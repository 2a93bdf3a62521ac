// The arguments: nothing but the forms of the help does anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <regex>

#include "mount_helper/world.h"
#include "request.h"

namespace ntt::mount_helper {
namespace {

using ::testing::HasSubstr;

const std::vector<std::vector<std::string>> kWrong = {
    {},
    {""},
    {"mount"},
    {"mount", kHash},
    {"mount", kHash, ""},
    {"mount", kHash, "relative.img"},
    {"mount", kHash, "./relative.img"},
    {"mount", kHash, "/a.img", "/b.img"},
    {"mount", "/a.img", kHash},
    {"mount", "0123456789abcde", "/a.img"},
    {"mount", std::string(65, 'a'), "/a.img"},
    {"mount", "0123456789ABCDEF", "/a.img"},
    {"mount", "0123456789abcdeg", "/a.img"},
    {"mount", kHash + "\n", "/a.img"},
    {"mount", "../../../../etc/passwd", "/a.img"},
    {"mount", kHash + "/..", "/a.img"},
    {"mount", "--help"},
    {"mount", "-o", "rw"},
    {"mount", kHash, "/" + std::string(5000, 'a')},
    {"unmount"},
    {"unmount", kHash, "/a.img"},
    {"unmount", ""},
    {"status", "-h"},
    {"status", kHash, kHash},
    {"umount", kHash},
    {"MOUNT", kHash, "/a.img"},
    {"--help", "mount"},
    {"--version", "--help"},
    {"-h"},
    {"--config", "/tmp/x"},
    {"--", "status", kHash},
};

class Arguments : public World {};

TEST(Requests, FormsOfTheHelpAreTaken) {
    const auto mount = parse_request({"mount", "0123456789abcdef", "/data/images/x.img"});
    ASSERT_TRUE(mount);
    EXPECT_EQ(mount->verb, Verb::mount);
    EXPECT_EQ(mount->medium_hash, "0123456789abcdef");
    EXPECT_EQ(mount->image_path, "/data/images/x.img");
    const std::string longest(64, 'f');
    EXPECT_TRUE(parse_request({"unmount", longest}));
    EXPECT_TRUE(parse_request({"status", longest}));
    EXPECT_TRUE(parse_request({"--help"}));
    EXPECT_TRUE(parse_request({"--version"}));
}

TEST(Requests, EverythingElseIsRefused) {
    for (const auto& arguments : kWrong)
        EXPECT_FALSE(parse_request({arguments.begin(), arguments.end()})) << ::testing::PrintToString(arguments);
}

TEST_F(Arguments, WrongOnesEndInUsage) {
    for (const auto& arguments : kWrong) {
        const test::CommandResult result = helper(arguments);
        EXPECT_EQ(result.exit, 2) << ::testing::PrintToString(arguments);
        EXPECT_EQ(result.out, "");
        EXPECT_THAT(result.err, HasSubstr("usage: ntt-mount-helper"));
    }
    EXPECT_FALSE(std::filesystem::exists("/run/ntt"));
}

TEST_F(Arguments, HelpAndVersionComeOnStdout) {
    const test::CommandResult help = helper({"--help"});
    EXPECT_EQ(help.exit, 0);
    EXPECT_THAT(help.out, HasSubstr("usage: ntt-mount-helper"));
    EXPECT_EQ(help.err, "");
    const test::CommandResult version = helper({"--version"});
    EXPECT_EQ(version.exit, 0);
    EXPECT_EQ(version.out, "ntt-mount-helper " NTT_VERSION "\n");
}

// A fuzz of the arguments: pieces of right ones and bytes, in any order and number.
TEST_F(Arguments, RandomOnesEndInUsageAndTouchNothing) {
    std::mt19937 random(20251118);
    const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
    const std::vector<std::string> pieces = {"mount", "unmount",   "status",      "--help", "--version", kHash, kOtherHash,
                                             "/",     "/dev/null", "/etc/passwd", "..",     "-o",        "rw",  "",
                                             "$(id)", "; id",      "`id`",        "%s%n",   "\xff\xfe",  "\n"};
    const std::regex hash("[a-f0-9]{16,64}", std::regex::extended);
    const auto is_right = [&](const std::vector<std::string>& a) {
        if (a.size() == 1) return a[0] == "--help" || a[0] == "--version";
        if (a.size() == 2) return (a[0] == "unmount" || a[0] == "status") && std::regex_match(a[1], hash);
        return a.size() == 3 && a[0] == "mount" && std::regex_match(a[1], hash) && a[2].starts_with("/");
    };
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    int tried = 0;
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::string> arguments(below(6));
        for (std::string& argument : arguments) {
            argument = pieces[below(pieces.size())];
            for (size_t edits = below(4); edits > 1; --edits)
                argument.insert(below(argument.size() + 1), 1, static_cast<char>(1 + below(255)));
        }
        if (is_right(arguments)) continue;
        ++tried;
        std::vector<char*> argv = {const_cast<char*>(NTT_MOUNT_HELPER)};
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        char* const environment[] = {nullptr};
        pid_t pid = -1;
        ASSERT_EQ(::posix_spawn(&pid, NTT_MOUNT_HELPER, &files, nullptr, argv.data(), environment), 0);
        ASSERT_EQ(end_of(pid), 2) << ::testing::PrintToString(arguments);
    }
    posix_spawn_file_actions_destroy(&files);
    EXPECT_GT(tried, 2500);
    EXPECT_FALSE(std::filesystem::exists("/mnt/ntt"));
    EXPECT_FALSE(std::filesystem::exists("/run/ntt"));
}

}  // namespace
}  // namespace ntt::mount_helper
