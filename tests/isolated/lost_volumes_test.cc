// A volume whose reader was lost is no loss for good: later runs list it again, without end only if somebody asks for it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "acceptance/ntt.h"
#include "support/images.h"

namespace ntt::test {
namespace {

using testing::HasSubstr;

constexpr const char* kRows =
    "SELECT volume, ino, fs_type, size, hex(extents), status, copied, claimed_by, blobid, partial_blobid, missing_bytes, cause FROM inode ORDER BY volume, ino; "
    "SELECT volume, entry, ino, hex(path) FROM path ORDER BY volume, entry; SELECT * FROM missing_range ORDER BY ino, file_offset; "
    "SELECT volume, offset_bytes, size_bytes, view, role, fs_type, label, uuid, outcome, detail FROM volume";
constexpr const char* kListedAgain = "SELECT count(*) FROM finding WHERE code = 'volume_listed_again'";

// An ext4 with more entries than fit in a few messages, and names that share an inode.
class LostVolume : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mke2fs");
        std::filesystem::create_directory(dir_ / "tree");
        for (uint32_t i = 0; i < 4000; ++i) write_file(dir_ / fmt::format("tree/a-name-that-is-long-enough-to-fill-messages-{:05}.txt", i), fmt::format("content {}", i / 2));
        for (uint32_t i = 0; i < 5; ++i) std::filesystem::create_hard_link(dir_ / "tree/a-name-that-is-long-enough-to-fill-messages-00007.txt", dir_ / fmt::format("tree/link{}", i));
        write_file(dir_ / "tree/large.bin", chosen_bytes(1, 3'000'000));
        make_ext(image_, "ext4", 40'960, dir_ / "tree", "-N 5000");
        ASSERT_EQ(quiet_.run({"ingest", image_}).exit, 0);
    }

    // One ingest with a reader that does `what` at its `nth` message where it is asked for `where`; "" does nothing.
    Ran ingest(const std::string& what, int nth = 1, const std::string& where = "list:1", const std::string& limits = "") {
        ntt_.variables.erase("NTT_READER");
        if (!what.empty()) {
            write_file(dir_ / "reader", fmt::format("#!/bin/sh\nexec {} {} {} {} {}\n", NTT_HOSTILE_READER, shell_quoted(reader_program()), what, nth, where));
            must("chmod +x " + shell_quoted(dir_ / "reader"));
            ntt_.variables["NTT_READER"] = dir_ / "reader";
        }
        write_file(dir_ / "ntt.toml", "[reader]\n" + (limits.empty() ? "patience_seconds = 1\n" : limits));
        return ntt_.run({"ingest", image_, "--config", dir_ / "ntt.toml"});
    }
    std::string count(const std::string& query) { return ntt_.sql(query); }
    std::string listings() { return ntt_.sql("SELECT json_extract(detail, '$.listings') FROM volume"); }

    TempDir dir_;
    const std::string image_ = dir_ / "e.img";
    Ntt ntt_, quiet_;
};

TEST_F(LostVolume, is_listed_again_by_the_next_run_and_then_is_what_it_is_for_one_that_was_never_lost) {
    for (const char* what : {"kill", "stop", "no_memory"}) {
        for (const int nth : {1, 3}) {
            SCOPED_TRACE(fmt::format("{} at message {}", what, nth));
            std::filesystem::remove_all(ntt_.home());
            const Ran lost = ingest(what, nth);
            EXPECT_EQ(lost.exit, 3) << lost.err;
            EXPECT_THAT(lost.out, HasSubstr("the next run lists it again"));
            EXPECT_EQ(listings(), "1\n");
            if (nth == 3) {
                EXPECT_NE(count("SELECT count(*) FROM inode WHERE status = 'stored'"), "0\n") << "what arrived was copied";
            }
            const std::string events = count("SELECT count(*) FROM diagnostic_event");
            const Ran again = ingest("");
            EXPECT_EQ(again.exit, 0) << again.out << again.err;
            EXPECT_EQ(ntt_.sql(kRows), quiet_.sql(kRows));
            EXPECT_EQ(count(kListedAgain), "1\n");
            EXPECT_EQ(count("SELECT count(*) FROM finding WHERE code IN ('parser_crash', 'parser_timeout', 'budget_exceeded')"), "1\n") << "what was found stays";
            EXPECT_EQ(count("SELECT count(*) FROM diagnostic_event"), events);
            EXPECT_EQ(count("SELECT problems FROM medium"), quiet_.sql("SELECT problems FROM medium"));
            EXPECT_EQ(count("SELECT copy_done IS NOT NULL FROM medium"), "1\n");
            EXPECT_EQ(ntt_.run({"verify", "--strict"}).exit, 0);
            EXPECT_EQ(ingest("").exit, 0);
            EXPECT_EQ(count(kListedAgain), "1\n") << "once";
        }
    }
}

TEST_F(LostVolume, whose_reader_is_lost_always_is_listed_three_times_then_only_when_it_is_requeued_or_a_limit_is_raised) {
    for (int run = 1; run <= 5; ++run) {
        EXPECT_EQ(ingest("kill", 3).exit, 3);
        EXPECT_EQ(listings(), fmt::format("{}\n", std::min(run, 3)));
    }
    EXPECT_EQ(count(kListedAgain), "2\n");
    EXPECT_EQ(count("SELECT count(*) FROM finding WHERE code = 'parser_crash'"), "1\n") << "the same finding once";
    EXPECT_EQ(count("SELECT count(*) - count(DISTINCT path) FROM path"), "0\n");
    EXPECT_THAT(ingest("").out, HasSubstr("listed 3 times; ntt requeue"));

    EXPECT_EQ(ntt_.json({"requeue", "e.img", "--status", "damaged"}).object("requeue")["volumes"], 0);
    EXPECT_EQ(ntt_.json({"requeue", "e.img", "--volume", "2"}).object("requeue")["volumes"], 0);
    EXPECT_EQ(ingest("").exit, 3);
    EXPECT_EQ(ntt_.json({"requeue", "e.img"}).object("requeue")["volumes"], 1);
    EXPECT_EQ(ingest("kill", 3).exit, 3);
    EXPECT_EQ(listings(), "1\n");
    for (int run = 0; run < 3; ++run) ingest("kill", 3);
    EXPECT_EQ(listings(), "3\n");

    for (const char* higher : {"memory_mib = 1025", "cpu_seconds = 3601"})
        EXPECT_EQ(ingest("kill", 3, "list:1", fmt::format("patience_seconds = 1\n{}\n", higher)).exit, 3);
    EXPECT_EQ(listings(), "5\n") << "memory, then time";
    EXPECT_EQ(ingest("kill", 3, "list:1", "patience_seconds = 1\nmemory_mib = 1025\n").exit, 3);
    EXPECT_EQ(listings(), "5\n") << "no limit is higher than any before";
    EXPECT_EQ(ingest("", 1, "list:1", "patience_seconds = 2\n").exit, 0) << "a higher patience";
    EXPECT_EQ(ntt_.sql(kRows), quiet_.sql(kRows));
}

TEST_F(LostVolume, is_looked_for_again_where_the_search_for_volumes_was_lost) {
    EXPECT_EQ(ingest("kill", 1, "detect").exit, 3);
    EXPECT_EQ(count("SELECT outcome, view IS NULL FROM volume"), "parser_crash|1\n");
    EXPECT_EQ(ingest("kill", 1, "detect").exit, 3);
    EXPECT_EQ(listings(), "2\n");
    EXPECT_EQ(ingest("").exit, 0);
    EXPECT_EQ(ntt_.sql(kRows), quiet_.sql(kRows));
    EXPECT_EQ(count("SELECT count(*) FROM finding WHERE code = 'parser_crash'"), "1\n");
}

TEST_F(LostVolume, is_listed_again_under_a_map_that_came_meanwhile) {
    EXPECT_EQ(ingest("kill", 3).exit, 3);
    write_file(image_ + ".map", rescue_map(40'960 * 1024, {{8 << 20, 65'536}, {20 << 20, 1 << 20}}, '-'));
    EXPECT_EQ(ingest("").exit, 3);
    Ntt quiet;
    EXPECT_EQ(quiet.run({"ingest", image_}).exit, 3);
    EXPECT_NE(quiet.sql("SELECT count(*) FROM missing_range"), "0\n");
    EXPECT_EQ(ntt_.sql(kRows), quiet.sql(kRows));
    EXPECT_EQ(count("SELECT count(*) FROM finding WHERE code = 'map_changed'"), "1\n");
    EXPECT_EQ(count("SELECT count(*) = (SELECT count(*) FROM inode WHERE cause IS NOT NULL) FROM diagnostic_event"), "1\n");
}

TEST_F(LostVolume, keeps_what_was_decided_of_its_files) {
    EXPECT_EQ(ingest("kill", 3).exit, 3);
    const std::string some = "FROM inode WHERE volume = 1 AND status = 'stored' ORDER BY ino LIMIT 1";
    const std::string row = count("SELECT ino, processed_at, blobid " + some);
    EXPECT_EQ(ingest("").exit, 0);
    EXPECT_EQ(count("SELECT ino, processed_at, blobid " + some), row) << "it was not copied again";
}

}  // namespace
}  // namespace ntt::test
