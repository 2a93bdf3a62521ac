// The filesystem that fails on request does what its rules say, seen through plain system calls.
#include "support/faulty_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include <gmock/gmock.h>

namespace ntt::test {
namespace {

using ::testing::UnorderedElementsAre;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(20);

// What a system call gave: bytes, or an errno.
struct Answer {
    std::string bytes;
    int sys_errno = 0;
    bool operator==(const Answer&) const = default;
};
void PrintTo(const Answer& answer, std::ostream* out) {
    *out << (answer.sys_errno != 0 ? ::strerrorname_np(answer.sys_errno) : std::to_string(answer.bytes.size()) + " bytes");
}
Answer failed(int sys_errno) { return {"", sys_errno}; }

Fd open_file(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

Answer read_at(const Fd& fd, size_t offset, size_t size) {
    Answer out{std::string(size, '\0'), 0};
    const ssize_t n = ::pread(fd.raw(), out.bytes.data(), size, static_cast<off_t>(offset));
    if (n < 0) return failed(errno);
    out.bytes.resize(static_cast<size_t>(n));
    return out;
}

Answer list(const std::string& path, std::vector<std::string>& names) {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return failed(errno);
    errno = 0;
    while (const dirent* entry = ::readdir(folder))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    const int sys_errno = errno;
    ::closedir(folder);
    return failed(sys_errno);
}

int stat_errno(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? 0 : errno;
}

bool comes_true(const std::function<bool()>& condition) {
    for (const auto limit = Clock::now() + kPatience; !condition(); ::sched_yield())
        if (Clock::now() > limit) return false;
    return true;
}

bool is_mounted(const std::string& path) { return read_file("/proc/self/mountinfo").find(" " + path + " ") != std::string::npos; }

// Whether the child ends in time; it is reaped then.
bool ends(pid_t child) {
    return comes_true([&] { return ::waitpid(child, nullptr, WNOHANG) == child; });
}

class FaultyFsTest : public ::testing::Test {
protected:
    void SetUp() override {
        write_file(source_ / "a", a_);
        write_file(source_ / "b", b_);
        std::filesystem::create_directories(source_ / "dir/deep");
        write_file(source_ / "dir/deep/c", "content of c");
        NTT_NEED_FAULTY_FS(fs_);
    }

    std::string at(const std::string& name) const { return fs_.mount_point() + "/" + name; }
    Answer read(const std::string& name, size_t offset = 0, size_t size = 1000) const {
        const Fd fd = open_file(at(name));
        return fd.valid() ? read_at(fd, offset, size) : failed(errno);
    }
    // Reads for ever, in a process of its own.
    pid_t start_reader(const std::string& name) const {
        const pid_t child = ::fork();
        if (child != 0) return child;
        const Fd fd = open_file(at(name));
        char byte = 0;
        _exit(::pread(fd.raw(), &byte, 1, 0) == 1 ? 0 : 1);
    }

    const std::string a_ = chosen_bytes(1, 10'000), b_ = chosen_bytes(2, 10'000);
    const Answer good_{a_.substr(0, 1000)}, good_b_{b_.substr(0, 1000)};
    TempDir source_;
    FaultyFs fs_{source_.path()};
};

TEST_F(FaultyFsTest, WithoutRulesTheFolderIsShownAsItIsAndCannotBeWritten) {
    ASSERT_EQ(::symlink("dir/deep", (source_ / "link").c_str()), 0);
    ASSERT_EQ(::link((source_ / "a").c_str(), (source_ / "dir/a again").c_str()), 0);
    EXPECT_EQ(must("ls -liR", source_.path()), must("ls -liR", fs_.mount_point()));
    EXPECT_EQ(must("cat a b dir/deep/c 'dir/a again'", fs_.mount_point()), a_ + b_ + "content of c" + a_);
    EXPECT_EQ(read("link/c"), Answer{"content of c"});
    EXPECT_EQ(::open(at("a").c_str(), O_WRONLY | O_CLOEXEC), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(read("nothing"), failed(ENOENT));
}

TEST_F(FaultyFsTest, NothingIsCachedNeitherContentNorSize) {
    const Fd fd = open_file(at("a"));
    EXPECT_EQ(read_at(fd, 0, 1000), good_);
    write_file(source_ / "a", "new");
    EXPECT_EQ(read_at(fd, 0, 1000), Answer{"new"});
    struct stat info {};
    ASSERT_EQ(::stat(at("a").c_str(), &info), 0);
    EXPECT_EQ(info.st_size, 3);
    EXPECT_EQ(fs_.reads_of("a"), 2u);
}

TEST_F(FaultyFsTest, TheLogHasEachReadWithItsResult) {
    fs_.behave("eio b\nshort dir/* 5");
    read("a", 9'500, 600);
    read("b", 0, 100);
    read("dir/deep/c");
    read("a", 20'000, 10);
    std::string seen;
    for (const auto& [path, offset, size, result] : fs_.reads())
        seen += path + " " + std::to_string(offset) + " " + std::to_string(size) + " " + std::to_string(result.value_or(-1000)) +
                "\n";
    EXPECT_EQ(seen,
              "a 9500 600 500\n"
              "b 0 100 -5\n"
              "dir/deep/c 0 1000 5\n"
              "a 20000 10 0\n");
    EXPECT_EQ(fs_.reads_of("a"), 2u);
    EXPECT_EQ(fs_.reads_of("dir"), 0u);
}

TEST_F(FaultyFsTest, EioOnceFailsTheFirstReadOfEachPath) {
    fs_.behave("eio_once *");
    EXPECT_EQ(read("a"), failed(EIO));
    EXPECT_EQ(read("a"), good_);
    EXPECT_EQ(read("b"), failed(EIO));
    EXPECT_EQ(read("b"), good_b_);
    EXPECT_EQ(read("a"), good_);
}

TEST_F(FaultyFsTest, EioFailsEachReadAndNoOpening) {
    fs_.behave("eio a");
    const Fd fd = open_file(at("a"));
    ASSERT_TRUE(fd.valid());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(read_at(fd, 100, 10), failed(EIO));
    EXPECT_EQ(read("b"), good_b_);
}

TEST_F(FaultyFsTest, EioRangeFailsTheReadsThatTouchTheRange) {
    fs_.behave("eio_range a 1000 10");
    EXPECT_EQ(read("a", 0, 1000), good_);
    EXPECT_EQ(read("a", 0, 1001), failed(EIO));
    EXPECT_EQ(read("a", 0, 5000), failed(EIO));
    EXPECT_EQ(read("a", 1009, 1), failed(EIO));
    EXPECT_EQ(read("a", 1010, 50), Answer{a_.substr(1010, 50)});
}

TEST_F(FaultyFsTest, EpermFailsEachReadWithEperm) {
    fs_.behave("eperm a");
    EXPECT_EQ(read("a"), failed(EPERM));
    EXPECT_EQ(read("a"), failed(EPERM));
}

TEST_F(FaultyFsTest, EnoentOfEverythingLeavesNothingNotEvenForThoseWhoHaveItOpen) {
    const Fd fd = open_file(at("a"));
    ASSERT_EQ(read_at(fd, 0, 1000), good_);
    fs_.behave("enoent *");
    EXPECT_EQ(read_at(fd, 0, 1000), failed(ENOENT));
    struct stat info {};
    EXPECT_EQ(::fstat(fd.raw(), &info), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(read("a"), failed(ENOENT));
    for (const char* name : {"a", "dir", "dir/deep/c", ""}) EXPECT_EQ(stat_errno(at(name)), ENOENT) << name;
    std::vector<std::string> names;
    EXPECT_EQ(list(fs_.mount_point(), names), failed(ENOENT));
}

TEST_F(FaultyFsTest, EnoentOfAFileLeavesItsNameInTheListing) {
    fs_.behave("enoent a");
    EXPECT_EQ(stat_errno(at("a")), ENOENT);
    std::vector<std::string> names;
    EXPECT_EQ(list(fs_.mount_point(), names), Answer{});
    EXPECT_THAT(names, UnorderedElementsAre("a", "b", "dir"));
}

TEST_F(FaultyFsTest, ShortEndsTheContentBeforeTheSize) {
    fs_.behave("short a 600");
    EXPECT_EQ(read("a"), Answer{a_.substr(0, 600)});
    EXPECT_EQ(read("a", 600, 10), Answer{});
    EXPECT_EQ(read("a", 5000, 10), Answer{});
    struct stat info {};
    ASSERT_EQ(::stat(at("a").c_str(), &info), 0);
    EXPECT_EQ(info.st_size, 10'000);
}

// The only rule about time; a slow machine cannot make it fail.
TEST_F(FaultyFsTest, SlowTakesAtLeastItsTime) {
    fs_.behave("slow a 10000");
    const auto begin = Clock::now();
    EXPECT_EQ(read("a"), good_);
    EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(100));
}

TEST_F(FaultyFsTest, HangGivesNoAnswerButItsReaderCanBeKilled) {
    fs_.behave("hang a");
    const pid_t reader = start_reader("a");
    ASSERT_TRUE(comes_true([&] { return fs_.reads_of("a") == 1; }));
    EXPECT_FALSE(fs_.reads()[0].result);
    EXPECT_EQ(read("b"), good_b_);
    EXPECT_EQ(::waitpid(reader, nullptr, WNOHANG), 0);
    ::kill(reader, SIGKILL);
    EXPECT_TRUE(ends(reader));
    EXPECT_EQ(fs_.reads_of("a"), 1u);
}

TEST_F(FaultyFsTest, ManyCanHangAndOthersAreServed) {
    fs_.behave("hang a");
    std::vector<pid_t> readers(30);
    for (pid_t& reader : readers) reader = start_reader("a");
    EXPECT_TRUE(comes_true([&] { return fs_.reads_of("a") == readers.size(); }));
    EXPECT_EQ(read("b"), good_b_);
    for (const pid_t reader : readers) ::kill(reader, SIGKILL);
    for (const pid_t reader : readers) EXPECT_TRUE(ends(reader));
}

TEST_F(FaultyFsTest, DieTakesTheConnectionAway) {
    fs_.behave("die a");
    const Fd fd = open_file(at("b"));
    EXPECT_EQ(read("a").sys_errno, ECONNABORTED);  // who waits for an answer
    EXPECT_EQ(read("a"), failed(ENOTCONN));
    EXPECT_EQ(read_at(fd, 0, 10), failed(ENOTCONN));
    EXPECT_EQ(stat_errno(fs_.mount_point()), ENOTCONN);
    ASSERT_EQ(fs_.reads_of("a"), 1u);
    EXPECT_FALSE(fs_.reads()[0].result);
}

TEST_F(FaultyFsTest, CountFailsTheFirstReadsWithItsErrno) {
    fs_.behave("count a 2 ETIMEDOUT");
    EXPECT_EQ(read("a"), failed(ETIMEDOUT));
    EXPECT_EQ(read("b"), good_b_);
    EXPECT_EQ(read("a"), failed(ETIMEDOUT));
    EXPECT_EQ(read("a"), good_);
}

TEST_F(FaultyFsTest, OpendirEioFailsTheListingOfTheFolderAlone) {
    fs_.behave("opendir_eio dir");
    std::vector<std::string> names;
    EXPECT_EQ(list(at("dir"), names), failed(EIO));
    EXPECT_EQ(list(at("dir/deep"), names), Answer{});
    EXPECT_THAT(names, UnorderedElementsAre("c"));
    EXPECT_EQ(stat_errno(at("dir")), 0);
    EXPECT_EQ(read("dir/deep/c"), Answer{"content of c"});
}

TEST_F(FaultyFsTest, TheFirstRuleThatMatchesWins) {
    fs_.behave("# a is fine\ncount a 0 EIO\nopendir_eio *\neperm dir/*\nenoent *");
    EXPECT_EQ(read("a"), good_);
    EXPECT_EQ(read("dir/deep/c"), failed(ENOENT));  // as dir is
    EXPECT_EQ(stat_errno(at("b")), ENOENT);
    std::vector<std::string> names;
    EXPECT_EQ(list(fs_.mount_point(), names), failed(EIO));
    fs_.behave("eperm dir/*\neio *");
    EXPECT_EQ(read("dir/deep/c"), failed(EPERM));
    EXPECT_EQ(read("a"), failed(EIO));
}

TEST_F(FaultyFsTest, NewRulesHoldForOpenFilesTooAndCountAnew) {
    const Fd fd = open_file(at("a"));
    for (int i = 0; i < 100; ++i) {
        fs_.behave("eio_once a");
        ASSERT_EQ(read_at(fd, 0, 1000), failed(EIO)) << i;
        ASSERT_EQ(read_at(fd, 0, 1000), good_) << i;
        fs_.behave("");
        ASSERT_EQ(read_at(fd, 0, 1000), good_) << i;
    }
}

TEST_F(FaultyFsTest, ARuleThatIsNoneEndsTheProgram) {
    for (const char* rule : {"eio_twice a", "eio", "short a", "short a 5 6", "eio_range a 5 0", "slow a 0", "count a 3 EWHAT"}) {
        FaultyFs other(source_.path());
        ASSERT_TRUE(other.start());
        ASSERT_EQ(stat_errno(other.mount_point()), 0);
        other.behave(rule);
        EXPECT_NE(stat_errno(other.mount_point()), 0) << rule;
    }
}

TEST_F(FaultyFsTest, AServerThatIsKilledLeavesADeadMountAndTheEndTakesItAway) {
    std::string mount_point;
    {
        FaultyFs other(source_.path());
        ASSERT_TRUE(other.start());
        mount_point = other.mount_point();
        other.kill_server();
        EXPECT_EQ(stat_errno(mount_point), ENOTCONN);
        EXPECT_TRUE(is_mounted(mount_point));
    }
    EXPECT_FALSE(is_mounted(mount_point));
    EXPECT_EQ(stat_errno(mount_point), ENOENT);
    EXPECT_EQ(read("a"), good_);  // of its own connection
}

TEST_F(FaultyFsTest, TheEndReleasesWhoHangs) {
    Answer answer;
    Fd fd;
    std::thread reader;
    {
        FaultyFs other(source_.path());
        ASSERT_TRUE(other.start());
        other.behave("hang *");
        fd = open_file(other.mount_point() + "/a");
        reader = std::thread([&] { answer = read_at(fd, 0, 10); });
        EXPECT_TRUE(comes_true([&] { return other.reads_of("a") == 1; }));
    }
    reader.join();
    EXPECT_NE(answer.sys_errno, 0);
}

TEST_F(FaultyFsTest, ATestThatIsKilledLeavesNoMountBehind) {
    const std::string note = source_ / "note";
    const pid_t child = ::fork();
    if (child == 0) {
        ::setpgid(0, 0);
        FaultyFs other(source_.path());
        if (other.start()) write_file(note, other.mount_point());
        ::kill(0, SIGKILL);  // all of its group, as a terminal does
    }
    ASSERT_TRUE(ends(child));
    const std::string mount_point = read_file(note);
    ASSERT_NE(mount_point, "");
    EXPECT_TRUE(comes_true([&] { return !is_mounted(mount_point); }));
    std::filesystem::remove_all(std::filesystem::path(mount_point).parent_path());
}

}  // namespace
}  // namespace ntt::test
