// Leases: who has which range of a medium's queue, and what happens to one who is too late.
#include <gmock/gmock.h>

#include <thread>

#include "base/hash.h"
#include "catalog/catalog_contract.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Leases : public CatalogTest {
protected:
    void SetUp() override {
        NTT_NEED_POSTGRES();
        open({"postgres", [](const TempDir& dir) { return postgres_url(dir); }});
        for (int64_t ino = 1; ino <= 5; ++ino) add(file_row(ino));
        ASSERT_OK_ASSIGN(since_, table().now());
    }
    LeaseTable& table() { return *catalog_->leases(); }
    std::optional<Lease> take(const std::string& worker, Catalog* catalog = nullptr) {
        const auto taken = (catalog != nullptr ? *catalog->leases() : table()).take(kHash, worker, terms_, since_);
        EXPECT_TRUE(taken.ok()) << why(taken);
        return taken.ok() ? *taken : std::nullopt;
    }
    // The inodes of a lease's range that are still pending.
    std::vector<int64_t> range(const Lease& lease) {
        catalog_->work_under(lease);
        const auto rows = catalog_->pending_rows(medium_);
        EXPECT_TRUE(rows.ok()) << why(rows);
        const auto items = catalog_->work_items(medium_, rows.value());
        EXPECT_TRUE(items.ok()) << why(items);
        std::vector<int64_t> out;
        for (const WorkItem& item : items.value()) out.push_back(item.ino);
        catalog_->work_under(std::nullopt);
        return out;
    }
    Result<void> commit_under(const Lease& lease, int64_t ino) {
        const CopyOutcome outcome = stored(ino);
        catalog_->work_under(lease);
        Result<void> done = catalog_->commit_outcomes(medium_, "store-1", std::vector{outcome}, {}, kTime);
        catalog_->work_under(std::nullopt);
        return done;
    }
    void run_out(const Lease& lease) {
        EXPECT_EQ(psql(url_, "UPDATE lease SET expires_at = clock_timestamp() - interval '1 s' WHERE lease_id = " + std::to_string(lease.id)).exit, 0);
    }

    LeaseTerms terms_{std::chrono::milliseconds(100), std::chrono::milliseconds(60'000), std::chrono::milliseconds(300'000), 2};
    std::string since_;
    std::atomic<uint64_t> signs_of_life_{0};
};

TEST_F(Leases, are_ranges_in_disk_order_that_nobody_has_twice) {
    const auto other = another();
    const auto a = take("a"), b = take("b", other.get()), c = take("a");
    ASSERT_TRUE(a && b && c);
    EXPECT_THAT(range(*a), ElementsAre(1, 2));
    EXPECT_THAT(range(*b), ElementsAre(3, 4));
    EXPECT_THAT(range(*c), ElementsAre(5));
    EXPECT_FALSE(take("b", other.get()));
}

TEST_F(Leases, files_without_a_place_come_first_and_only_once) {
    InodeRow nowhere = file_row(9);
    nowhere.first_offset.reset();
    add(nowhere);
    nowhere.ino = 8;
    add(nowhere);
    const auto a = take("a"), b = take("a");
    ASSERT_TRUE(a && b);
    EXPECT_THAT(range(*a), ElementsAre(8, 9));
    EXPECT_THAT(range(*b), ElementsAre(1, 2));
}

TEST_F(Leases, one_that_ran_out_is_taken_over_and_its_first_owner_is_too_late) {
    const auto first = take("a");
    ASSERT_TRUE(first);
    ASSERT_OK(commit_under(*first, 1));
    run_out(*first);
    ASSERT_OK(commit_under(*first, 2));  // nobody has taken it: what is late is still right, and it is alive again
    EXPECT_EQ(psql(url_, "SELECT expires_at > clock_timestamp() + interval '50 s' FROM lease").out, "t\n");
    run_out(*first);
    ASSERT_OK(catalog_->requeue({kHash, {}, 2, {}, {}}));
    const auto second = take("b");
    ASSERT_TRUE(second);
    EXPECT_EQ(second->id, first->id);
    EXPECT_GT(second->fence, first->fence);
    EXPECT_THAT(range(*second), ElementsAre(2)) << "what was committed counts";
    EXPECT_EQ(commit_under(*first, 2).error().code, ErrorCode::lease_lost);
    EXPECT_EQ(get(2).counted_as(), Status::pending);
    EXPECT_EQ(table().finish(*first).error().code, ErrorCode::lease_lost);
    ASSERT_OK(commit_under(*second, 2));
    ASSERT_OK(table().finish(*second));
}

TEST_F(Leases, a_range_that_is_given_back_is_anybodys_at_once) {
    const auto first = take("a");
    ASSERT_TRUE(first);
    ASSERT_OK(table().give_back(*first));
    const auto second = take("b");
    ASSERT_TRUE(second);
    EXPECT_THAT(range(*second), ElementsAre(1, 2));
}

TEST_F(Leases, what_stays_pending_waits_for_a_run_that_begins_after_the_round_did) {
    for (int i = 0; i < 3; ++i) {
        const auto lease = take("a");
        ASSERT_TRUE(lease);
        ASSERT_OK(table().finish(*lease));
    }
    EXPECT_FALSE(take("a")) << "this run has been through the queue";
    ASSERT_OK_ASSIGN(since_, table().now());
    const auto again = take("a");
    ASSERT_TRUE(again);
    EXPECT_THAT(range(*again), ElementsAre(1, 2));
}

TEST_F(Leases, a_new_round_begins_only_when_nobody_has_a_range_of_the_old_one) {
    terms_.files = 100;
    const auto all = take("a");
    ASSERT_TRUE(all);
    ASSERT_OK_ASSIGN(since_, table().now());
    EXPECT_FALSE(take("b"));
    ASSERT_OK_ASSIGN(const bool leased, table().is_leased(kHash));
    EXPECT_TRUE(leased);
    ASSERT_OK(table().finish(*all));
    EXPECT_TRUE(take("b"));
}

TEST_F(Leases, a_heartbeat_keeps_a_lease_and_only_while_it_lasts) {
    terms_.end = std::chrono::milliseconds(500);
    ASSERT_OK_ASSIGN(auto heartbeat, table().start_worker("a", "host", 1, terms_, signs_of_life_));
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    terms_.files = 100;
    const auto rest = take("b");
    ASSERT_TRUE(rest);
    EXPECT_THAT(range(*rest), ElementsAre(3, 4, 5)) << "the first two are kept alive";
    heartbeat.reset();
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    const auto taken = take("b");
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->id, lease->id);
}

TEST_F(Leases, one_that_lives_and_does_not_get_on_keeps_no_lease) {
    terms_.end = std::chrono::milliseconds(500);
    terms_.stall = std::chrono::milliseconds(300);
    ASSERT_OK_ASSIGN(const auto heartbeat, table().start_worker("a", "host", 1, terms_, signs_of_life_));
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    for (int i = 0; i < 9; ++i) {
        ++signs_of_life_;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    terms_.files = 100;
    const auto rest = take("b");
    ASSERT_TRUE(rest);
    EXPECT_NE(rest->id, lease->id) << "it got on";
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    const auto taken = take("b");
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->id, lease->id) << "it hangs";
    ASSERT_OK_ASSIGN(const auto workers, table().workers());
    EXPECT_LT(workers.at(0).silent_seconds, 1) << "it still says that it lives";
}

TEST_F(Leases, a_worker_that_begins_again_under_its_name_has_lost_what_it_had) {
    ASSERT_OK_ASSIGN(auto first, table().start_worker("a", "host", 1, terms_, signs_of_life_));
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    first.reset();  // killed
    ASSERT_OK_ASSIGN(const auto second, table().start_worker("a", "host", 2, terms_, signs_of_life_));
    const auto taken = take("b");
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->id, lease->id);
    EXPECT_EQ(commit_under(*lease, 1).error().code, ErrorCode::lease_lost);
}

TEST_F(Leases, workers_are_listed_with_what_they_have_and_did) {
    ASSERT_OK_ASSIGN(const auto heartbeat, table().start_worker("lab-1", "lab", 42, terms_, signs_of_life_));
    ASSERT_OK_ASSIGN(const auto idle, table().workers());
    ASSERT_EQ(idle.size(), 1u);
    EXPECT_EQ(idle[0].medium_hash, std::nullopt);
    const auto lease = take("lab-1");
    ASSERT_TRUE(lease);
    ASSERT_OK(commit_under(*lease, 1));
    ASSERT_OK_ASSIGN(const auto busy, table().workers());
    ASSERT_EQ(busy.size(), 1u);
    EXPECT_EQ(busy[0].worker_id, "lab-1");
    EXPECT_EQ(busy[0].host, "lab");
    EXPECT_EQ(busy[0].process, 42);
    EXPECT_EQ(busy[0].medium_hash, kHash);
    EXPECT_EQ(busy[0].first_offset, 512);
    EXPECT_EQ(busy[0].files, 1u);
    EXPECT_EQ(busy[0].bytes, 7u);
    EXPECT_GT(busy[0].lease_seconds_left.value_or(0), 30);
    ASSERT_OK(table().end_worker("lab-1"));
    ASSERT_OK_ASSIGN(const auto none, table().workers());
    EXPECT_THAT(none, IsEmpty());
}

TEST_F(Leases, media_with_work_are_those_that_are_enumerated_fewest_workers_first) {
    ASSERT_OK_ASSIGN(const auto not_yet, table().media_with_work());
    EXPECT_THAT(not_yet, IsEmpty()) << "it is not enumerated";
    MediumRow row = medium_row(kHash);
    row.enum_done = kTime;
    ASSERT_OK(catalog_->update_medium(row));
    row = medium_row(kOtherHash);
    row.enum_done = kTime;
    ASSERT_OK_ASSIGN(const MediumKey other, catalog_->add_medium(row));
    ASSERT_OK(catalog_->add_inode(other, file_row(1), {}));
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    ASSERT_OK_ASSIGN(const auto media, table().media_with_work());
    ASSERT_EQ(media.size(), 2u);
    EXPECT_EQ(media[0].medium_hash, kOtherHash);
    EXPECT_EQ(media[1].medium_hash, kHash);
    EXPECT_EQ(media[1].leases, 1u);
    EXPECT_TRUE(media[1].has_pending);
}

// Concluded as a copy's end does it.
class DrainedLeases : public Leases {
protected:
    void SetUp() override {
        Leases::SetUp();
        if (IsSkipped()) return;
        MediumRow row = medium_row(kHash);
        row.enum_done = row.copy_done = kTime;
        ASSERT_OK(catalog_->update_medium(row));
        terms_.files = 10;
    }
    bool has_work() {
        const auto media = table().media_with_work();
        EXPECT_TRUE(media.ok()) << why(media);
        return media.ok() && !media->empty() && media->front().has_pending;
    }
    std::string drained() { return psql(url_, "SELECT drained FROM queue_position").out; }
    void copy_everything(std::initializer_list<int64_t> inos = {1, 2, 3, 4, 5}) {
        const auto lease = take("a");
        ASSERT_TRUE(lease);
        for (const int64_t ino : inos) ASSERT_OK(commit_under(*lease, ino));
        ASSERT_OK(table().finish(*lease));
    }
};

TEST_F(DrainedLeases, a_medium_without_anything_pending_has_no_work_and_that_is_remembered) {
    copy_everything();
    EXPECT_FALSE(has_work());
    EXPECT_EQ(drained(), "t\n");
    EXPECT_FALSE(has_work());
}

TEST_F(DrainedLeases, what_is_put_back_is_work_again_whoever_puts_it_back) {
    copy_everything();
    EXPECT_FALSE(has_work());
    EXPECT_EQ(psql(url_, "UPDATE inode SET copied = false, claimed_by = NULL WHERE ino = 2").exit, 0);
    EXPECT_EQ(drained(), "f\n");
    EXPECT_TRUE(has_work());
    ASSERT_OK_ASSIGN(since_, table().now());
    copy_everything({2});
    EXPECT_FALSE(has_work());
    ASSERT_OK(catalog_->requeue({kHash, {}, 3, {}, {}}));
    EXPECT_TRUE(has_work());
}

TEST_F(DrainedLeases, what_is_being_put_back_while_one_looks_is_not_forgotten) {
    copy_everything();
    const auto other = another();
    ASSERT_OK_ASSIGN(const auto transaction, other->begin());
    ASSERT_OK(other->requeue({kHash, {}, 2, {}, {}}));
    EXPECT_FALSE(has_work()) << "it is not committed";
    EXPECT_EQ(drained(), "f\n");
    ASSERT_OK(transaction->commit());
    EXPECT_TRUE(has_work());
}

TEST_F(DrainedLeases, whoever_puts_rows_back_from_an_older_snapshot_is_told_to_do_it_again) {
    copy_everything();
    PsqlInSteps user(url_, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM medium", "UPDATE inode SET copied = false, claimed_by = NULL WHERE ino = 2; COMMIT");
    EXPECT_FALSE(has_work());
    EXPECT_EQ(drained(), "t\n");
    const CommandResult late = user.finish();
    EXPECT_NE(late.exit, 0);
    EXPECT_THAT(late.err, ::testing::HasSubstr("could not serialize"));
    EXPECT_FALSE(has_work());
}

TEST_F(DrainedLeases, a_range_whose_worker_died_and_files_that_were_left_are_work) {
    copy_everything({1, 2, 4, 5});
    EXPECT_TRUE(has_work()) << "3 was left";
    ASSERT_OK_ASSIGN(since_, table().now());
    const auto lease = take("a");
    ASSERT_TRUE(lease);
    run_out(*lease);
    EXPECT_TRUE(has_work());
}

TEST(LeasesOfOneMachine, there_are_none) {
    const TempDir dir;
    ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), "sqlite:" + dir / "c.db"));
    EXPECT_EQ(catalog->leases(), nullptr);
}

constexpr char kImage[] = "00000000000000000000000000000000000000000000000000000000000000ab";

TEST_F(Leases, the_digest_of_an_image_is_taken_by_one_worker_and_told_to_all) {
    enum class Answer { take_it, wait, told };
    const BlobId digest = blake3_of(as_bytes("image"));
    const auto ask = [&](const std::string& worker, std::chrono::milliseconds end = std::chrono::milliseconds(60'000)) {
        const auto told = table().ask_for_digest(kImage, worker, end);
        EXPECT_TRUE(told.ok()) << why(told);
        if (!told.ok()) return Answer::wait;
        EXPECT_EQ(told->digest.value_or(digest), digest);
        return told->digest ? Answer::told : told->is_being_taken ? Answer::wait : Answer::take_it;
    };
    const std::chrono::milliseconds at_once(0);
    EXPECT_EQ(ask("a"), Answer::take_it);
    EXPECT_EQ(ask("a"), Answer::take_it) << "the same worker, begun again";
    EXPECT_EQ(ask("b"), Answer::wait);
    ASSERT_OK(table().put_digest(kImage, "b", std::nullopt));
    EXPECT_EQ(ask("b"), Answer::wait) << "nobody lets go of another's claim";
    ASSERT_OK(table().put_digest(kImage, "a", std::nullopt));
    EXPECT_EQ(ask("b"), Answer::take_it) << "it could not be read: each tries for himself";
    EXPECT_EQ(ask("c"), Answer::take_it);
    EXPECT_EQ(ask("c", at_once), Answer::take_it) << "no sign of life came for so long: it is c's";
    EXPECT_EQ(ask("b"), Answer::wait);
    ASSERT_OK(table().put_digest(kImage, "c", digest));
    for (const char* worker : {"a", "b", "c"}) EXPECT_EQ(ask(worker), Answer::told) << worker;
    ASSERT_OK(table().put_digest(kImage, "c", std::nullopt));
    EXPECT_EQ(ask("a"), Answer::told) << "what is told is not taken back";
    EXPECT_EQ(ask("a", at_once), Answer::take_it) << "nobody has it open any more";
    EXPECT_EQ(ask("b"), Answer::wait);
}

TEST_F(Leases, a_heartbeat_keeps_what_is_said_of_the_image_in_hand_and_of_no_other) {
    ASSERT_OK_ASSIGN(const auto heartbeat, table().start_worker("a", "host", 1, terms_, signs_of_life_));
    ASSERT_OK_ASSIGN(const ToldDigest first, table().ask_for_digest(kImage, "a", terms_.end));
    ASSERT_FALSE(first.is_being_taken);
    const auto silent = [&] { return psql(url_, "SELECT count(*) FROM image_digest WHERE alive_at < clock_timestamp() - interval '1 hour'").out == "1\n"; };
    const auto age = [&] { ASSERT_EQ(psql(url_, "UPDATE image_digest SET alive_at = clock_timestamp() - interval '2 hours'").exit, 0); };
    const auto wait = [&](bool until) {
        for (int i = 0; i < 500 && silent() != until; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return silent() == until;
    };
    table().hold_image(kImage);
    age();
    EXPECT_TRUE(wait(false)) << "held";
    table().hold_image(std::nullopt);
    std::this_thread::sleep_for(3 * terms_.heartbeat);  // one beat may have begun before
    age();
    std::this_thread::sleep_for(3 * terms_.heartbeat);
    EXPECT_TRUE(silent()) << "not held";
}

TEST_F(Leases, a_worker_that_begins_again_takes_no_digest_yet) {
    ASSERT_OK(table().ask_for_digest(kImage, "a", terms_.end));
    ASSERT_OK_ASSIGN(const auto heartbeat, table().start_worker("a", "host", 1, terms_, signs_of_life_));
    ASSERT_OK_ASSIGN(const ToldDigest told, table().ask_for_digest(kImage, "b", terms_.end));
    EXPECT_FALSE(told.is_being_taken);
}

}  // namespace
}  // namespace ntt::test
