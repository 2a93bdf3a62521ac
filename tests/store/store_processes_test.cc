// Several processes on one store; owners that die; filesystems that really have no unnamed files.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "store/store_fixture.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

// Runs `body` in a child, which exits with 0 if it returned true.
template <typename Body>
pid_t in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body() ? 0 : 1);
    return child;
}

int wait_for(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

class StoreProcesses : public testing::TestWithParam<Terrain> {
protected:
    static void SetUpTestSuite() { use_memory_for_temporary_files(); }

    Result<std::unique_ptr<Store>> open(FaultEnv& env) const {
        settle(env, GetParam());
        return Store::open(env, dir_, {GetParam().fanout_levels});
    }
    TempDir temp_, grave_;
    const std::string dir_ = temp_ / "store";
};

INSTANTIATE_TEST_SUITE_P(Terrains, StoreProcesses, testing::ValuesIn(terrains()),
                         [](const auto& terrain) { return terrain.param.name; });

// Another process opens the store, and so sweeps it, when the folder of a new owner is made but not its lock.
class SweptEarly : public FaultEnv {
public:
    SweptEarly(const std::string& grave, std::string store) : FaultEnv(grave), store_(std::move(store)) {}
    Result<void> make_dir(const std::string& path, mode_t mode) override {
        TRY(FaultEnv::make_dir(path, mode));
        if (swept || !path.starts_with(store_ + "/tmp/")) return {};
        swept = true;
        Env other;
        TRY(Store::open(other, store_, {}));
        return Env::stat_path(path).ok() ? Result<void>() : errno_error(ENOENT, "set the mode of " + path);
    }
    bool swept = false;

private:
    const std::string store_;
};

TEST_P(StoreProcesses, ASweepMayRemoveTheFolderOfAnOwnerThatIsBeingMade) {
    SweptEarly env(grave_.path().string(), dir_);
    ASSERT_OK_ASSIGN(const auto store, open(env));
    EXPECT_TRUE(put(*store, some_contents(7, 3)).ok());
    EXPECT_EQ(env.swept, !GetParam().refused.empty());
    expect_sound(dir_);
}

TEST_P(StoreProcesses, TwoProcessesMakeAndFillOneStore) {
    std::vector<pid_t> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(in_child([&] {
            FaultEnv env(grave_.path().string());
            const auto store = open(env);
            if (!store.ok()) return false;
            for (uint32_t round = 0; round < 10; ++round)  // all put the same
                if (!put(**store, some_contents(100 * round, 20)).ok()) return false;
            return true;
        }));
    }
    for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
    EXPECT_EQ(files_below(dir_, "by-hash").size(), 200u);
    EXPECT_TRUE(files_below(dir_, "quarantine").empty());
    expect_sound(dir_);
    expect_tidy(dir_);
}

TEST_P(StoreProcesses, ABadFileIsMovedAsideOnceWhenSeveralFindIt) {
    const auto contents = some_contents(1, 30);
    for (const std::string& content : contents) {
        const std::string path = contract_path(dir_, content, GetParam().fanout_levels);
        fs::create_directories(fs::path(path).parent_path());
        write_file(path, "");
    }
    std::vector<pid_t> children;
    for (int i = 0; i < 3; ++i) {
        children.push_back(in_child([&] {
            FaultEnv env(grave_.path().string());
            const auto store = open(env);
            return store.ok() && put(**store, contents).ok();
        }));
    }
    for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
    expect_sound(dir_);
    EXPECT_EQ(files_below(dir_, "quarantine").size(), contents.size());
    for (const std::string& path : files_below(dir_, "quarantine"))
        EXPECT_EQ(read_file(path), "") << "a good content in quarantine";
}

TEST_P(StoreProcesses, WhatAKilledProcessLeftIsSweptButNotWhatALivingOneHolds) {
    int pipe_ends[2] = {};
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const pid_t child = in_child([&] {
        FaultEnv env(grave_.path().string());
        const auto store = open(env);
        if (!store.ok()) return false;
        const auto blob = (*store)->stage(BlobKind::whole, id_of("dead"), as_bytes("dead"));
        if (!blob.ok() || ::write(pipe_ends[1], "x", 1) != 1) return false;
        for (;;) ::pause();
    });
    ::close(pipe_ends[1]);
    char ready = 0;
    ASSERT_EQ(::read(pipe_ends[0], &ready, 1), 1);
    ::close(pipe_ends[0]);

    FaultEnv env(grave_.path().string());
    ASSERT_OK_ASSIGN(auto store, open(env));
    ASSERT_OK_ASSIGN(StagedBlob mine, store->stage(BlobKind::whole, id_of("mine"), as_bytes("mine")));
    const size_t held = files_below(dir_, "tmp").size();
    EXPECT_EQ(held, GetParam().refused.empty() ? 0u : 4u) << "two locks, two contents";

    ASSERT_EQ(::kill(child, SIGKILL), 0);
    wait_for(child);
    FaultEnv other_env(grave_.path().string());
    ASSERT_OK(open(other_env));
    EXPECT_EQ(files_below(dir_, "tmp").size(), held / 2);
    EXPECT_TRUE(files_below(dir_, "by-hash").empty());

    std::vector<StagedBlob> group;
    group.push_back(std::move(mine));
    ASSERT_OK(store->commit(std::move(group)));
    store.reset();
    EXPECT_EQ(read_file(contract_path(dir_, "mine", GetParam().fanout_levels)), "mine");
    expect_tidy(dir_);
}

TEST_P(StoreProcesses, AProcessThatIsKilledAnywhereLeavesNoFalseName) {
    for (uint32_t round = 0; round < 12; ++round) {
        int pipe_ends[2] = {};
        ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
        const pid_t child = in_child([&] {
            FaultEnv env(grave_.path().string());
            const auto store = open(env);
            if (!store.ok()) return false;
            for (uint32_t i = 0;; ++i) {
                if (!put(**store, some_contents(round * 10'000 + i * 10, 10)).ok()) return false;
                if (i == 0 && ::write(pipe_ends[1], "x", 1) != 1) return false;
            }
        });
        ::close(pipe_ends[1]);
        char ready = 0;
        if (round % 2 == 1) {  // else it may be killed while it opens the store
            ASSERT_EQ(::read(pipe_ends[0], &ready, 1), 1);
        }
        ::usleep(round * 1500);
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        ::close(pipe_ends[0]);
        EXPECT_TRUE(WIFSIGNALED(wait_for(child)));
        expect_sound(dir_);
    }
    FaultEnv last(grave_.path().string());
    ASSERT_OK(open(last));
    EXPECT_TRUE(files_below(dir_, "tmp").empty());
    EXPECT_GE(files_below(dir_, "by-hash").size(), 60u);
}

// A real filesystem without O_TMPFILE; ntfs-3g has hard links.
TEST(StoreOnFuse, NtfsThroughFuseHoldsAStore) {
    NTT_NEED_TOOL("mkntfs");
    NTT_NEED_TOOL("ntfs-3g");
    NTT_NEED_TOOL("fusermount3");
    const TempDir temp;
    const std::string image = temp / "image", mount = temp / "mnt", dir = mount + "/store";
    fs::create_directory(mount);
    must("truncate -s 32M " + image + " && mkntfs -F -q -f " + image);
    const CommandResult mounted = sh("ntfs-3g -o permissions " + image + " " + mount);
    if (mounted.exit != 0) GTEST_SKIP() << "ntfs-3g cannot mount here: " << mounted.err;
    const auto contents = some_contents(1, 100);
    [&] {
        Env& env = Env::host();
        ASSERT_OK_ASSIGN(const Fd folder, env.open_dir(mount));
        EXPECT_FALSE(env.open_unnamed(folder, 0444).ok()) << "this filesystem has unnamed files: another one is needed here";
        for (const Published expected : {Published::fresh, Published::duplicate}) {
            ASSERT_OK_ASSIGN(const auto store, Store::open(env, dir));
            ASSERT_OK_ASSIGN(const auto published, put(*store, contents));
            EXPECT_EQ(published, std::vector<Published>(contents.size(), expected));
        }
        expect_sound(dir);
        expect_tidy(dir);
        EXPECT_EQ(files_below(dir, "by-hash").size(), contents.size());
        EXPECT_EQ(must("find " + dir + "/by-hash -type f ! -perm 0444"), "");
    }();
    must("fusermount3 -u " + mount + " || umount " + mount);
    if (HasFailure()) return;

    must("ntfs-3g -o permissions " + image + " " + mount);
    expect_sound(dir);
    EXPECT_EQ(files_below(dir, "by-hash").size(), contents.size());
    must("fusermount3 -u " + mount + " || umount " + mount);
}

}  // namespace
}  // namespace ntt::test
