// Every operation of the store and of the catalog fails in turn, and power is lost at every one: a clean error, then a
// second run that ends right, with the same rows and blobs as a run that nothing ever disturbed.

#include <cerrno>

#include <fmt/format.h>
#include <sqlite3.h>

#include "acceptance/ntt.h"
#include "fault/ingest_state.h"
#include "support/fault_env.h"
#include "support/fault_vfs.h"
#include "support/images.h"

namespace ntt::test {
namespace {

constexpr uint64_t kMostOperations = 20'000;  // of one ingest here; more means that a run does not end

class Operations : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mformat");
        // The mission's floppy is small, damaged, and has doubled contents with its own copy.
        make_mission_floppy(image_);
        std::filesystem::create_directory(dir_ / "grave");
        Ntt quiet;
        ASSERT_EQ(quiet.run({"ingest", image_}).exit, 3);
        rows_ = rows_of(quiet.home());
        blobs_ = blobs_of(quiet.home());
    }

    // A run after the fault, without one: it must end as if there had been none.
    void expect_recovery(Ntt& ntt, const std::string& where) {
        const Ran again = ntt.run({"ingest", image_});
        ASSERT_EQ(again.exit, 3) << where << "\n" << again.err;
        EXPECT_EQ(rows_of(ntt.home()), rows_) << where;
        EXPECT_EQ(blobs_of(ntt.home()), blobs_) << where;
        EXPECT_EQ(ntt.run({"verify"}).exit, 0) << where;
    }

    // A failed run says why, and blames nothing on the medium.
    static void expect_clean_failure(const Ran& ran, const std::string& where) {
        EXPECT_TRUE(ran.exit == 1 || ran.exit == 3 || ran.exit == 5) << where << ": exit " << ran.exit << "\n" << ran.err;
        if (ran.exit != 3) {
            EXPECT_FALSE(ran.err.empty()) << where << ": it failed without a word";
        }
    }

    TempDir dir_;
    const std::string image_ = dir_ / "f95834a4b718f54edc7b549ca854aef8.img";
    std::string rows_;
    std::vector<std::string> blobs_;
};

class FailingSystemCall : public Operations, public testing::WithParamInterface<int> {};

TEST_P(FailingSystemCall, the_Nth_gives_a_clean_error_and_a_second_run_ends_right) {
    uint64_t n = 1;
    for (; n < kMostOperations; ++n) {
        FaultEnv env(dir_ / "grave");
        Ntt ntt(env);
        env.set_fault({n, GetParam(), std::nullopt, Lasting::once});
        const Ran ran = ntt.run({"ingest", image_});
        if (!env.fault_fired()) break;
        const std::string where = fmt::format("operation {} failed with errno {}", n, GetParam());
        expect_clean_failure(ran, where);
        env.clear_fault();
        expect_recovery(ntt, where);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_GT(n, 20u) << "hardly an operation went through the seam";
    EXPECT_LT(n, kMostOperations);
}

INSTANTIATE_TEST_SUITE_P(WithEveryErrno, FailingSystemCall, testing::Values(EIO, ENOSPC, EINTR));

class FailingCatalog : public Operations, public testing::WithParamInterface<int> {};

TEST_P(FailingCatalog, the_Nth_operation_of_SQLite_gives_a_clean_error_and_a_second_run_ends_right) {
    FaultVfs vfs;
    uint64_t n = 1;
    for (; n < kMostOperations; ++n) {
        Ntt ntt;
        vfs.fail_at(n, GetParam());
        const Ran ran = ntt.run({"ingest", image_});
        const bool failed = vfs.has_failed();
        vfs.fail_never();
        if (!failed) break;
        const std::string where = fmt::format("SQLite's operation {} failed with {}", n, GetParam());
        expect_clean_failure(ran, where);
        expect_recovery(ntt, where);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_GT(n, 20u);
    EXPECT_LT(n, kMostOperations);
}

INSTANTIATE_TEST_SUITE_P(WithEveryCode, FailingCatalog, testing::Values(SQLITE_IOERR_WRITE, SQLITE_FULL));

class PowerLoss : public Operations, public testing::WithParamInterface<Survival> {};

TEST_P(PowerLoss, at_every_system_call_of_the_store_loses_no_committed_content) {
    uint64_t n = 1;
    for (; n < kMostOperations; ++n) {
        FaultEnv env(dir_ / "grave");
        Ntt ntt(env);
        env.set_fault({n, EIO, std::nullopt, Lasting::from_then_on});
        const Ran ran = ntt.run({"ingest", image_});
        if (!env.fault_fired()) break;
        env.clear_fault();
        env.lose_power(GetParam(), static_cast<uint32_t>(n));
        expect_recovery(ntt, fmt::format("power lost at operation {}", n));
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_GT(n, 20u);
    EXPECT_LT(n, kMostOperations);
}

TEST_P(PowerLoss, at_every_operation_of_SQLite_leaves_no_row_without_its_content) {
    FaultVfs vfs;
    uint64_t n = 1;
    for (; n < kMostOperations; ++n) {
        FaultEnv env(dir_ / "grave");
        Ntt ntt(env);
        vfs.stop_at(n);
        ntt.run({"ingest", image_});
        const bool stopped = vfs.has_failed();
        vfs.undo();
        if (!stopped) break;
        env.lose_power(GetParam(), static_cast<uint32_t>(n));
        expect_recovery(ntt, fmt::format("power lost at SQLite's operation {}", n));
        if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
    EXPECT_GT(n, 20u);
    EXPECT_LT(n, kMostOperations);
}

INSTANTIATE_TEST_SUITE_P(WithEverySurvival, PowerLoss, testing::Values(Survival::none, Survival::some));

TEST_F(Operations, a_store_that_fills_up_ends_with_the_reason_blames_nothing_on_the_medium_and_is_completed_later) {
    FaultEnv env(dir_ / "grave");
    Ntt ntt(env);
    env.set_fault({3, ENOSPC, Op::write, Lasting::from_then_on});
    const Ran ran = ntt.json({"ingest", image_});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_EQ(ran.object("error")["code"], "no_space");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE errors <> '[]' OR cause NOT IN ('BEYOND_EOF')"), "0\n");
    env.clear_fault();
    expect_recovery(ntt, "after room was made");
}

}  // namespace
}  // namespace ntt::test
