// Env against the real kernel.
#include "os/env.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "support/support.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
}

class EnvTest : public testing::Test {
protected:
    void SetUp() override {
        auto dir = env_.open_dir(temp_.path().string());
        ASSERT_OK(dir);
        dir_ = std::move(*dir);
    }
    void TearDown() override { ::umask(022); }

    // An unnamed file with a content; ends the test where the filesystem has none.
    Result<Fd> unnamed(std::string_view content, mode_t mode = 0444) {
        TRY_ASSIGN(Fd fd, env_.open_unnamed(dir_, mode));
        TRY(env_.write_at(fd, as_bytes(content), 0));
        return fd;
    }

    template <typename T>
    static void expect_error(const Result<T>& result, ErrorCode code, int sys_errno) {
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, code) << result.error().text();
        EXPECT_EQ(result.error().sys_errno, sys_errno) << result.error().text();
    }

    Env& env_ = Env::host();
    TempDir temp_;
    Fd dir_;
};

TEST_F(EnvTest, ADescriptorIsClosedWithItsOwner) {
    int raw = -1;
    {
        ASSERT_OK_ASSIGN(Fd fd, env_.open_dir("/"));
        raw = fd.raw();
        Fd other = std::move(fd);
        EXPECT_FALSE(fd.valid());  // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(other.raw(), raw);
        EXPECT_NE(::fcntl(raw, F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST_F(EnvTest, UnnamedFilesAndFoldersHaveExactlyTheirModeWhateverTheUmask) {
    for (const mode_t mask : {mode_t{077}, mode_t{0}, mode_t{0777}}) {
        const std::string name = "m" + std::to_string(mask);
        ::umask(mask);
        const auto file = unnamed("x");
        const auto made = env_.make_dirs(temp_ / (name + "d/e/f"), 0755);
        ::umask(022);
        ASSERT_OK(file);
        ASSERT_OK(made);
        ASSERT_OK(env_.link_unnamed(*file, dir_, name));
        EXPECT_EQ(mode_of(temp_ / name), 0444u);
        for (const char* part : {"d", "d/e", "d/e/f"}) EXPECT_EQ(mode_of(temp_ / (name + part)), 0755u) << part;
    }
}

TEST_F(EnvTest, AnExistingFolderIsLeftAsItIsAndAFileInItsPlaceIsAnError) {
    fs::create_directory(temp_ / "open");
    fs::permissions(temp_ / "open", fs::perms(0700));
    ASSERT_OK(env_.make_dir(temp_ / "open", 0755));
    EXPECT_EQ(mode_of(temp_ / "open"), 0700u);
    write_file(temp_ / "file", "");
    expect_error(env_.make_dir(temp_ / "file", 0755), ErrorCode::not_found, ENOTDIR);
    expect_error(env_.make_dir(temp_ / "a/b", 0755), ErrorCode::not_found, ENOENT);
}

TEST_F(EnvTest, AnUnnamedFileGetsANameOnlyOnce) {
    ASSERT_OK_ASSIGN(const Fd first, unnamed("first"));
    ASSERT_OK_ASSIGN(const Fd second, unnamed("second"));
    EXPECT_TRUE(fs::is_empty(temp_.path()));
    ASSERT_OK(env_.link_unnamed(first, dir_, "name"));
    expect_error(env_.link_unnamed(second, dir_, "name"), ErrorCode::already_exists, EEXIST);
    expect_error(env_.link_unnamed(second, dir_, "no/folder"), ErrorCode::not_found, ENOENT);
    EXPECT_EQ(read_file(temp_ / "name"), "first");
    fs::create_directory(temp_ / "no");
    ASSERT_OK(env_.link_unnamed(second, dir_, "no/folder"));
    EXPECT_EQ(read_file(temp_ / "no/folder"), "second");
}

TEST_F(EnvTest, AnUnprivilegedUserCanNameAnUnnamedFileToo) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    ASSERT_EQ(::chmod(temp_.path().c_str(), 0777), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
        const auto file = unnamed("theirs");
        ::_exit(file.ok() && env_.link_unnamed(*file, dir_, "theirs").ok() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(read_file(temp_ / "theirs"), "theirs");
}

TEST_F(EnvTest, AFilesystemWithoutUnnamedFilesSaysUnsupported) {
    ASSERT_OK_ASSIGN(const Fd proc, env_.open_dir("/proc"));
    const auto file = env_.open_unnamed(proc, 0444);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, ErrorCode::unsupported) << file.error().text();
}

TEST_F(EnvTest, ReadsStopAtTheEndOfTheFileAndWritesGoWhereTheyShould) {
    ASSERT_OK_ASSIGN(const Fd fd, env_.open_create_at(dir_, "file", 0644, Existing::fail));
    ASSERT_OK(env_.write_at(fd, as_bytes("tail"), 8));
    ASSERT_OK(env_.write_at(fd, as_bytes("head"), 0));
    ASSERT_OK(env_.write_at(fd, {}, 100));
    ASSERT_OK(env_.truncate(fd, 14));
    EXPECT_EQ(read_file(temp_ / "file"), std::string("head\0\0\0\0tail\0\0", 14));
    std::string bytes(10, '#');
    ASSERT_OK_ASSIGN(const size_t size, env_.read_at(fd, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, 8));
    EXPECT_EQ(bytes.substr(0, size), std::string("tail\0\0", 6));
    ASSERT_OK_ASSIGN(const size_t beyond, env_.read_at(fd, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, 100));
    EXPECT_EQ(beyond, 0u);
}

TEST_F(EnvTest, AFullDeviceIsNoSpace) {
    if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "needs /dev/full";
    const Fd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
    expect_error(env_.write_at(full, as_bytes("x"), 0), ErrorCode::no_space, ENOSPC);
}

TEST_F(EnvTest, OpeningToReadNeitherCreatesNorBlocksNorFollowsALink) {
    expect_error(env_.open_read(temp_ / "none"), ErrorCode::not_found, ENOENT);
    EXPECT_TRUE(fs::is_empty(temp_.path()));
    ASSERT_EQ(::mkfifo((temp_ / "pipe").c_str(), 0644), 0);
    EXPECT_TRUE(env_.open_read(temp_ / "pipe").ok());
    write_file(temp_ / "file", "x");
    fs::create_symlink("file", temp_ / "link");
    EXPECT_TRUE(env_.open_read(temp_ / "link").ok());
    expect_error(env_.open_read_at(dir_, "link"), ErrorCode::io, ELOOP);
    expect_error(env_.open_dir(temp_ / "file"), ErrorCode::not_found, ENOTDIR);
}

TEST_F(EnvTest, StatOfANameDoesNotFollowALinkButStatOfAPathDoes) {
    write_file(temp_ / "file", "four");
    fs::create_symlink("file", temp_ / "link");
    ASSERT_OK_ASSIGN(const struct stat by_name, env_.stat_at(dir_, "link"));
    EXPECT_TRUE(S_ISLNK(by_name.st_mode));
    ASSERT_OK_ASSIGN(const struct stat by_path, env_.stat_path(temp_ / "link"));
    EXPECT_EQ(by_path.st_size, 4);
    expect_error(env_.stat_at(dir_, "none"), ErrorCode::not_found, ENOENT);
}

TEST_F(EnvTest, AListingHasEveryNameOnceAndItsKind) {
    write_file(temp_ / "file", "");
    write_file(temp_ / "\xff\n", "");
    fs::create_directory(temp_ / "folder");
    fs::create_symlink("folder", temp_ / "link");
    ASSERT_OK_ASSIGN(auto entries, env_.list_dir(temp_.path().string()));
    std::sort(entries.begin(), entries.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    ASSERT_EQ(entries.size(), 4u);
    EXPECT_TRUE(entries[0].name == "file" && entries[0].is_regular && !entries[0].is_directory);
    EXPECT_TRUE(entries[1].name == "folder" && entries[1].is_directory && !entries[1].is_regular);
    EXPECT_TRUE(entries[2].name == "link" && !entries[2].is_directory && !entries[2].is_regular);
    EXPECT_TRUE(entries[3].name == "\xff\n" && entries[3].is_regular);
    expect_error(env_.list_dir(temp_ / "none"), ErrorCode::not_found, ENOENT);
}

TEST_F(EnvTest, CreatingRespectsWhatIsThere) {
    write_file(temp_ / "file", "there");
    expect_error(env_.open_create_at(dir_, "file", 0644, Existing::fail), ErrorCode::already_exists, EEXIST);
    ASSERT_OK_ASSIGN(const Fd fd, env_.open_create_at(dir_, "file", 0644, Existing::open));
    EXPECT_EQ(read_file(temp_ / "file"), "there");
    fs::create_symlink("elsewhere", temp_ / "link");
    EXPECT_FALSE(env_.open_create_at(dir_, "link", 0644, Existing::open).ok());
    EXPECT_FALSE(fs::exists(temp_ / "elsewhere"));
}

TEST_F(EnvTest, LinksRenamesAndRemovals) {
    write_file(temp_ / "a", "a");
    ASSERT_OK(env_.link_at(dir_, "a", dir_, "b"));
    expect_error(env_.link_at(dir_, "a", dir_, "b"), ErrorCode::already_exists, EEXIST);
    ASSERT_OK(env_.unlink_at(dir_, "a"));
    expect_error(env_.unlink_at(dir_, "a"), ErrorCode::not_found, ENOENT);
    ASSERT_OK(env_.make_dir(temp_ / "folder", 0755));
    ASSERT_OK(env_.rename_at(dir_, "b", dir_, "folder/c"));
    EXPECT_EQ(read_file(temp_ / "folder/c"), "a");
    EXPECT_FALSE(env_.remove_dir_at(dir_, "folder").ok());
    ASSERT_OK(env_.unlink_at(dir_, "folder/c"));
    ASSERT_OK(env_.remove_dir_at(dir_, "folder"));
    EXPECT_TRUE(fs::is_empty(temp_.path()));
}

TEST_F(EnvTest, CopyingARangeStopsWithAnErrorWhereTheSourceEnds) {
    write_file(temp_ / "from", chosen_bytes(1, 100'000));
    ASSERT_OK_ASSIGN(const Fd from, env_.open_read(temp_ / "from"));
    ASSERT_OK_ASSIGN(const Fd to, env_.open_create_at(dir_, "to", 0644, Existing::fail));
    const auto copied = env_.copy_range(from, 1000, to, 5, 90'000);
    if (!copied.ok() && copied.error().code == ErrorCode::unsupported) GTEST_SKIP() << "no copy_file_range here";
    ASSERT_OK(copied);
    EXPECT_EQ(read_file(temp_ / "to"), std::string(5, '\0') + chosen_bytes(1, 100'000).substr(1000, 90'000));
    const auto beyond = env_.copy_range(from, 50'000, to, 0, 60'000);
    ASSERT_FALSE(beyond.ok());
    EXPECT_EQ(beyond.error().code, ErrorCode::source_changed);
}

TEST_F(EnvTest, SyncsWorkOnFilesAndFolders) {
    ASSERT_OK_ASSIGN(const Fd fd, env_.open_create_at(dir_, "file", 0644, Existing::fail));
    EXPECT_TRUE(env_.sync_file(fd).ok());
    EXPECT_TRUE(env_.sync_file(dir_).ok());
    EXPECT_TRUE(env_.sync_filesystem(dir_).ok());
    EXPECT_FALSE(env_.sync_file(Fd()).ok());
}

TEST_F(EnvTest, ALockExcludesOtherHoldersUntilItGoes) {
    const std::string path = temp_ / "lock";
    {
        ASSERT_OK_ASSIGN(const FileLock lock, env_.try_lock(path));
        const auto second = env_.try_lock(path);
        ASSERT_FALSE(second.ok());
        EXPECT_EQ(second.error().code, ErrorCode::busy);
    }
    EXPECT_TRUE(env_.try_lock(path).ok());
}

TEST_F(EnvTest, TheLockOfAKilledProcessIsFree) {
    const std::string path = temp_ / "lock";
    int pipe_ends[2] = {};
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto lock = env_.try_lock(path);
        const char word = lock.ok() ? 'y' : 'n';
        if (::write(pipe_ends[1], &word, 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    ::close(pipe_ends[1]);
    char word = 0;
    ASSERT_EQ(::read(pipe_ends[0], &word, 1), 1);
    EXPECT_EQ(word, 'y');
    const auto held = env_.try_lock(path);
    ASSERT_FALSE(held.ok());
    EXPECT_EQ(held.error().code, ErrorCode::busy);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(env_.try_lock(path).ok());
    ::close(pipe_ends[0]);
}

// Children take the lock, remove its file while they hold it, and let go: never may two be inside at once.
TEST_F(EnvTest, ALockFileThatIsRemovedByItsHolderStillExcludes) {
    const std::string lock_path = temp_ / "lock";
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            for (int taken = 0; taken < 200;) {
                const auto lock = env_.try_lock(lock_path);
                if (!lock.ok()) continue;
                ++taken;
                if (!env_.open_create_at(dir_, "inside", 0644, Existing::fail).ok()) ::_exit(1);
                if (!env_.unlink_at(dir_, "inside").ok() || !env_.unlink_at(dir_, "lock").ok()) ::_exit(2);
            }
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "two held the lock at once";
    }
}

TEST_F(EnvTest, MessagesNameThePath) {
    EXPECT_THAT(env_.open_read(temp_ / "none").error().text(), testing::HasSubstr((temp_ / "none") + ": No such file"));
}

}  // namespace
}  // namespace ntt::test
