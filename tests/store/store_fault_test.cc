// Every operation fails once; the power goes at every operation.
#include <set>

#include "store/store.h"
#include "store/store_fixture.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMoreThanAnyRun = 3000;  // operations; a loop that gets there does not end by itself

class StoreFault : public testing::TestWithParam<Terrain> {
protected:
    static void SetUpTestSuite() { use_memory_for_temporary_files(); }

    // A day's work: two groups with a duplicate, a file in the way, a content in pieces. `committed` gets what commit reported.
    Result<void> work(Env& env, const std::string& dir, std::set<std::string>& committed) {
        TRY_ASSIGN(const auto store, Store::open(env, dir, {GetParam().fanout_levels}));
        TRY(put(*store, first_));
        committed.insert(first_.begin(), first_.end());
        TRY_ASSIGN(StagedWriter writer, store->start(BlobKind::whole));
        TRY(writer.append(as_bytes(pieces_).first(10)));
        TRY(writer.append_hole(5000));
        TRY(writer.append(as_bytes(pieces_).subspan(5010, 10)));
        TRY(writer.append_hole(pieces_.size() - 5020));
        TRY_ASSIGN(StagedBlob blob, writer.finish(id_of(pieces_)));
        std::vector<StagedBlob> group;
        group.push_back(std::move(blob));
        for (const std::string& content : second_) {
            TRY_ASSIGN(StagedBlob staged, store->stage(BlobKind::whole, id_of(content), as_bytes(content)));
            group.push_back(std::move(staged));
        }
        TRY(store->commit(std::move(group)));
        committed.insert(second_.begin(), second_.end());
        committed.insert(pieces_);
        return {};
    }

    void put_something_in_the_way(const std::string& dir) const {
        const std::string path = contract_path(dir, second_[0], GetParam().fanout_levels);
        fs::create_directories(fs::path(path).parent_path());
        write_file(path, in_the_way_);
    }

    // No name with other bytes than it says, but for the file that was put there; every content in `committed` is there.
    void expect_promises_kept(const std::string& dir, const std::set<std::string>& committed) const {
        const std::string blocked = contract_path(dir, second_[0], GetParam().fanout_levels);
        size_t copies = 0;
        for (const std::string& path : files_below(dir, "by-hash")) {
            const std::string bytes = read_file(path);
            if (path == blocked && bytes == in_the_way_)
                ++copies;
            else
                EXPECT_EQ(id_of(bytes).hex(), fs::path(path).filename().string());
        }
        for (const std::string& path : files_below(dir, "quarantine")) copies += read_file(path) == in_the_way_ ? 1u : 0u;
        EXPECT_EQ(copies, 1u) << "the file that was in the way is lost or doubled";
        for (const std::string& content : committed)
            EXPECT_EQ(read_file(contract_path(dir, content, GetParam().fanout_levels)), content) << "reported as committed";
    }

    void expect_a_rerun_succeeds(const std::string& dir) {
        const TempDir grave;
        FaultEnv env(grave.path().string());  // without faults; it spares us the real syncs
        settle(env, GetParam());
        std::set<std::string> committed;
        const auto rerun = work(env, dir, committed);
        ASSERT_OK(rerun);
        expect_promises_kept(dir, committed);
        expect_sound(dir);
        expect_tidy(dir);
    }

    const std::vector<std::string> first_ = some_contents(1, 3);
    const std::vector<std::string> second_ = {chosen_bytes(50, 4000), first_[1], chosen_bytes(51, 3)};
    const std::string pieces_ = chosen_bytes(60, 10) + std::string(5000, '\0') + chosen_bytes(61, 10) + std::string(3000, '\0');
    const std::string in_the_way_ = "in the way";
};

INSTANTIATE_TEST_SUITE_P(Terrains, StoreFault, testing::ValuesIn(terrains()),
                         [](const auto& terrain) { return terrain.param.name; });

TEST_P(StoreFault, AnyOperationMayFailOnceAndARerunMakesItGood) {
    const std::vector<std::pair<int, ErrorCode>> errors = {
        {EIO, ErrorCode::io}, {ENOSPC, ErrorCode::no_space}, {EMFILE, ErrorCode::io}, {EINTR, ErrorCode::io}};
    for (const auto& [sys_errno, code] : errors) {
        size_t failed = 0;
        for (size_t n = 1;; ++n) {
            ASSERT_LT(n, kMoreThanAnyRun);
            const TempDir temp, grave;
            const std::string dir = temp / "store";
            put_something_in_the_way(dir);
            FaultEnv env(grave.path().string());
            settle(env, GetParam());
            env.set_fault({n, sys_errno, std::nullopt, Lasting::once});
            std::set<std::string> committed;
            const auto result = work(env, dir, committed);
            if (!env.fault_fired()) {
                ASSERT_OK(result);
                break;
            }
            if (!result.ok()) {  // a few may fail without harm: a sweep, a trial's name, a temporary name
                ++failed;
                EXPECT_EQ(result.error().code, code) << result.error().text();
                EXPECT_EQ(result.error().sys_errno, sys_errno);
            }
            expect_promises_kept(dir, committed);
            expect_a_rerun_succeeds(dir);
            if (HasFailure()) FAIL() << "operation " << n << " with errno " << sys_errno;
        }
        EXPECT_GT(failed, 20u);
    }
}

TEST_P(StoreFault, AfterPowerLossAtAnyOperationNamesAreTrueAndCommittedContentsAreThere) {
    struct Loss {
        Survival survival;
        uint32_t seed;
    };
    const std::vector<Loss> losses = {{Survival::none, 1}, {Survival::none, 2}, {Survival::all, 3},
                                      {Survival::some, 4}, {Survival::some, 5}, {Survival::some, 6}};
    for (const Loss& loss : losses) {
        for (size_t n = 1;; ++n) {
            ASSERT_LT(n, kMoreThanAnyRun);
            const TempDir temp, grave;
            const std::string dir = temp / "store";
            put_something_in_the_way(dir);
            FaultEnv env(grave.path().string());
            settle(env, GetParam());
            env.set_fault({n, EIO, std::nullopt, Lasting::from_then_on});
            std::set<std::string> committed;
            const bool finished = work(env, dir, committed).ok();
            const bool fired = env.fault_fired();
            env.lose_power(loss.survival, loss.seed + static_cast<uint32_t>(n));
            expect_promises_kept(dir, committed);
            expect_a_rerun_succeeds(dir);
            if (HasFailure()) FAIL() << "operation " << n << " of a run that kept " << static_cast<int>(loss.survival);
            if (finished && !fired) break;
        }
    }
}

// The double must be able to show what the store prevents.
TEST(FaultEnvTest, ANameThatIsGivenBeforeItsBytesAreSyncedCanLoseThem) {
    bool lost = false;
    for (uint32_t seed = 0; seed < 20; ++seed) {
        const TempDir temp, grave;
        FaultEnv env(grave.path().string());
        {
            ASSERT_OK_ASSIGN(const Fd dir, env.open_dir(temp.path().string()));
            ASSERT_OK_ASSIGN(const Fd file, env.open_unnamed(dir, 0444));
            ASSERT_OK(env.write_at(file, as_bytes("content"), 0));
            ASSERT_OK(env.link_unnamed(file, dir, "name"));
        }
        env.lose_power(Survival::some, seed);
        lost = lost || (fs::exists(temp / "name") && read_file(temp / "name") != "content");
    }
    EXPECT_TRUE(lost);
}

TEST(FaultEnvTest, PowerLossUndoesNamesRenamesRemovalsAndFolders) {
    const TempDir temp, grave;
    write_file(temp / "old", "old");
    write_file(temp / "replaced", "replaced");
    write_file(temp / "removed", "removed");
    FaultEnv env(grave.path().string());
    {
        ASSERT_OK_ASSIGN(const Fd dir, env.open_dir(temp.path().string()));
        ASSERT_OK(env.make_dir(temp / "folder", 0755));
        ASSERT_OK_ASSIGN(const Fd made, env.open_create_at(dir, "folder/made", 0644, Existing::fail));
        ASSERT_OK(env.write_at(made, as_bytes("made"), 0));
        ASSERT_OK(env.rename_at(dir, "old", dir, "replaced"));
        ASSERT_OK(env.unlink_at(dir, "removed"));
    }
    env.lose_power(Survival::none, 1);
    EXPECT_EQ(must("find . -type f | sort | xargs head -v", temp.path().string()),
              "==> ./old <==\nold\n==> ./removed <==\nremoved\n==> ./replaced <==\nreplaced");
    EXPECT_FALSE(fs::exists(temp / "folder"));
}

TEST(FaultEnvTest, WhatWasSyncedSurvives) {
    const TempDir temp, grave;
    FaultEnv env(grave.path().string());
    {
        ASSERT_OK_ASSIGN(const Fd dir, env.open_dir(temp.path().string()));
        ASSERT_OK_ASSIGN(const Fd file, env.open_create_at(dir, "synced", 0644, Existing::fail));
        ASSERT_OK(env.write_at(file, as_bytes("before"), 0));
        ASSERT_OK(env.sync_file(file));
        ASSERT_OK(env.sync_file(dir));
        ASSERT_OK(env.write_at(file, as_bytes(" after"), 6));
    }
    bool rolled_back = false;
    env.lose_power(Survival::none, 3);
    ASSERT_TRUE(fs::exists(temp / "synced"));
    rolled_back = read_file(temp / "synced") != "before after";
    EXPECT_TRUE(rolled_back);
}

TEST(FaultEnvTest, OnlyTheChosenOperationFails) {
    const TempDir temp, grave;
    FaultEnv env(grave.path().string());
    env.set_fault({2, ENOSPC, Op::make_dir, Lasting::once});
    EXPECT_TRUE(env.make_dir(temp / "a", 0755).ok());
    EXPECT_TRUE(env.stat_path(temp / "a").ok());
    const auto failed = env.make_dir(temp / "b", 0755);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::no_space);
    EXPECT_TRUE(env.make_dir(temp / "c", 0755).ok());
    EXPECT_EQ(env.count(Op::make_dir), 3u);
    EXPECT_EQ(env.count(), 4u);
}

}  // namespace
}  // namespace ntt::test
