// media, show, files, find, why, events, cat, requeue on a catalog that is filled through its interface.
#include <gmock/gmock.h>

#include "world.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

// U+FFFD in UTF-8.
const std::string kReplacement = "\xEF\xBF\xBD";

class Reading : public World {
protected:
    void SetUp() override {
        add_medium({
            {.path = "DOS", .ino = 1, .fs_type = 'd'},
            {.path = "DOS/GOOD.TXT", .ino = 2, .content = "all of it"},
            {.path = "DOS/ALICIA.XLS",
             .ino = 3455,
             .content = salvaged_,
             .missing = {missing(512, 512, 430'592, Cause::BEYOND_EOF), missing(1024, 100, 431'104, Cause::BEYOND_EOF)}},
            {.path = "LOST.DOC",
             .ino = 4,
             .content = std::string(600, '\0'),
             .missing = {missing(0, 600, 1024, Cause::NOT_TRIED)},
             .salvaged = false},
            {.path = "TODO.DOC", .ino = 5, .content = "later", .copied = false},
            {.path = "pagefile.sys", .ino = 6, .content = "swap", .exclude_reason = "pattern *.sys"},
            {.path = std::string("NI\xA5O\n.DOC"), .ino = 7, .content = "raw name", .mtime = std::nullopt},
        });
    }
    Json only(const std::vector<std::string>& args, int exit = 0) {
        const Ran ran = ntt(args);
        EXPECT_EQ(ran.exit, exit) << ran.err;
        const auto lines = ran.lines();
        EXPECT_EQ(lines.size(), 1u);
        return lines.empty() ? Json() : lines[0];
    }

    std::string salvaged_ = chosen_bytes(1, 512) + std::string(612, '\0');
};

TEST_F(Reading, media_json_has_every_column_of_medium_and_null_for_what_is_absent) {
    const Json medium = only({"media", "--json"});
    EXPECT_EQ(medium["type"], "medium");
    EXPECT_EQ(medium["medium_hash"], kHash);
    EXPECT_EQ(medium["medium_human"], "Alicia's disk");
    EXPECT_EQ(medium["health"], "corrupt");
    EXPECT_EQ(medium["size_bytes"], 430'592);
    for (const char* key : {"kind", "image_path", "map_path", "hash_method", "rescued_bytes", "message", "added_at", "enum_done",
                            "copy_done", "problems", "diagnostics"})
        EXPECT_TRUE(medium.contains(key)) << key;
    EXPECT_TRUE(medium["copy_done"].is_null());
}

TEST_F(Reading, media_is_a_table_for_people) {
    const Ran ran = ntt({"media"});
    EXPECT_EQ(ran.exit, 0);
    EXPECT_THAT(ran.out, HasSubstr("f95834a4b718f54e"));
    EXPECT_THAT(ran.out, HasSubstr("Alicia's disk"));
}

TEST_F(Reading, show_adds_volumes_totals_problems_and_findings) {
    {
        const auto open = catalog();
        ASSERT_OK_ASSIGN(const MediumKey key, open->medium_key(kHash));
        ASSERT_OK(open->add_finding(key, {"suspect_name", "a control character\x1B[2J in a name", R"({"entry":7})", 1, 7},
                                    "2025-01-01T00:00:00.000000Z"));
    }
    const Json medium = only({"show", "f958", "--json"});
    EXPECT_EQ(
        medium["totals"],
        Json::parse(R"({"paths":7,"inodes":7,"stored":2,"damaged":1,"unreadable":1,"excluded":1,"nonfile":1,"pending":1})"));
    ASSERT_EQ(medium["volumes"].size(), 1u);
    EXPECT_EQ(medium["volumes"][0]["view"], "fat12");
    EXPECT_EQ(medium["findings"][0]["code"], "suspect_name");
    EXPECT_EQ(medium["findings"][0]["evidence"]["entry"], 7);
    EXPECT_TRUE(medium.contains("problems"));
    EXPECT_EQ(medium["health"], "corrupt");
    const Ran text = ntt({"show", "Alicia's disk"});
    EXPECT_EQ(text.exit, 0);
    EXPECT_THAT(text.out, HasSubstr("unreadable"));
    EXPECT_THAT(text.out, HasSubstr("suspect_name"));
    EXPECT_THAT(text.out, Not(HasSubstr("\x1B")));
    EXPECT_EQ(ntt({"show", "nobody's"}).exit, 1);
}

TEST_F(Reading, files_json_is_the_contracts_object_key_by_key) {
    const auto lines = ntt({"files", kHash, "--json", "--cause", "BEYOND_EOF"}).lines();
    ASSERT_EQ(lines.size(), 1u);
    Json expected =
        Json::parse(R"({"type":"file","volume":1,"ino":3455,"stream":null,"kind":"f","path":"DOS/ALICIA.XLS","path_hex":null,
        "size":1124,"mtime":894000000,"status":"damaged","blobid":null,"cause":"BEYOND_EOF","missing_bytes":612,
        "missing":[{"offset":512,"length":612,"cause":"BEYOND_EOF"}]})");
    expected["medium_hash"] = kHash;
    expected["partial_blobid"] = blake3_of(as_bytes(salvaged_)).hex();
    EXPECT_EQ(lines[0], expected);
}

TEST_F(Reading, a_path_that_is_not_utf8_is_shown_with_replacements_and_its_bytes_stand_beside_it) {
    const auto lines = ntt({"files", kHash, "--json", "--path", "NI*"}).lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0]["path"], "NI" + kReplacement + "O\n.DOC");
    EXPECT_EQ(lines[0]["path_hex"], to_hex(as_bytes("NI\xA5O\n.DOC")));
    EXPECT_TRUE(lines[0]["mtime"].is_null());
}

TEST_F(Reading, no_name_breaks_a_line_for_people) {
    const Ran ran = ntt({"files", kHash});
    EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 7);
    EXPECT_TRUE(is_utf8(ran.out));
    EXPECT_THAT(ran.out, HasSubstr("[BEYOND_EOF, 612 bytes missing]"));
}

TEST_F(Reading, files_narrow_by_status_cause_glob_and_suspicion) {
    const auto count = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"files", kHash, "--json"});
        return ntt(more).lines().size();
    };
    EXPECT_EQ(count({}), 7u);
    EXPECT_EQ(count({"--status", "stored"}), 2u);
    EXPECT_EQ(count({"--status", "pending"}), 1u);
    EXPECT_EQ(count({"--status", "excluded"}), 1u);
    EXPECT_EQ(count({"--status", "damaged", "--cause", "NOT_TRIED"}), 0u);
    EXPECT_EQ(count({"--path", "DOS/*"}), 2u);
    EXPECT_EQ(count({"--volume", "2"}), 0u);
    EXPECT_EQ(count({"--suspect"}), 0u);
    {
        const auto open = catalog();
        ASSERT_OK_ASSIGN(const MediumKey key, open->medium_key(kHash));
        ASSERT_OK(open->add_finding(key, {"suspect_fill", "all one byte", "{}", 1, 2}, "2025-01-01T00:00:00.000000Z"));
    }
    EXPECT_EQ(count({"--suspect"}), 1u);
}

TEST_F(Reading, find_looks_on_all_media_without_regard_to_case) {
    add_medium({{.path = "COPY/Good.txt", .ino = 1, .content = "another"}}, std::string(32, 'b'), "second");
    const auto lines = ntt({"find", "good.txt", "--json"}).lines();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0]["path"], "DOS/GOOD.TXT");
    EXPECT_EQ(lines[1]["medium_hash"], std::string(32, 'b'));
    EXPECT_EQ(ntt({"find", "*.XLS", "--json"}).lines().size(), 1u);
    const Ran none = ntt({"find", "nothing"});
    EXPECT_EQ(none.exit, 0);
    EXPECT_EQ(none.out, "");
}

TEST_F(Reading, why_gives_cause_evidence_ranges_with_sectors_and_events) {
    {
        const auto open = catalog();
        EventRow event;
        event.medium_hash = kHash;
        event.volume = 1;
        event.ino = 3455;
        event.checks = R"(["extent:beyond_eof"])";
        event.action = "skipped";
        event.cause = Cause::BEYOND_EOF;
        event.worker_id = "w1";
        event.timestamp = "2025-10-08T12:00:00.000000Z";
        ASSERT_OK(open->add_events({&event, 1}));
    }
    const Json why = only({"why", kHash, "DOS/ALICIA.XLS", "--json"});
    EXPECT_EQ(why["type"], "why");
    EXPECT_EQ(why["status"], "damaged");
    EXPECT_EQ(why["cause"], "BEYOND_EOF");
    EXPECT_EQ(why["claimed_by"], "DIAGNOSTIC_SKIP:BEYOND_EOF");
    EXPECT_EQ(why["evidence"]["missing_ranges"][0]["map_line"], 7);
    EXPECT_EQ(why["missing"][0]["image_offset"], 430'592);
    EXPECT_EQ(why["missing"][0]["sector"], 841);
    EXPECT_EQ(why["events"][0]["checks"][0], "extent:beyond_eof");

    const Ran text = ntt({"why", kHash, "3455"});
    EXPECT_EQ(text.exit, 0);
    for (const char* part : {"DOS/ALICIA.XLS", "BEYOND_EOF: the image ends before", "612 bytes in", "841", "limit 841 sectors",
                             "map line 7: 0x400 0x200 -", "/images/f95834a4b718f54edc7b549ca854aef8.img.map",
                             "DIAGNOSTIC_SKIP:BEYOND_EOF", "ntt cat --damaged", "skipped"})
        EXPECT_THAT(text.out, HasSubstr(part));
}

TEST_F(Reading, why_names_the_ddrescue_call_that_may_help) {
    const Ran text = ntt({"why", kHash, "LOST.DOC"});
    EXPECT_THAT(text.out,
                HasSubstr("ddrescue --input-position=1024 --size=1024 DEVICE /images/f95834a4b718f54edc7b549ca854aef8.img"));
}

TEST_F(Reading, why_takes_raw_bytes_as_a_path_and_says_when_there_is_none) {
    EXPECT_EQ(only({"why", kHash, "NI\xA5O\n.DOC", "--json"})["ino"], 7);
    const Ran none = ntt({"why", kHash, "NO\xA5\n"});
    EXPECT_EQ(none.exit, 1);
    EXPECT_EQ(std::count(none.err.begin(), none.err.end(), '\n'), 2);
}

TEST_F(Reading, cat_writes_whole_bytes_by_path_by_inode_and_by_content) {
    EXPECT_EQ(ntt({"cat", kHash, "DOS/GOOD.TXT"}).out, "all of it");
    EXPECT_EQ(ntt({"cat", kHash, "2"}).out, "all of it");
    EXPECT_EQ(ntt({"cat", blake3_of(as_bytes("all of it")).hex()}).out, "all of it");
    EXPECT_EQ(ntt({"cat", kHash, "NI\xA5O\n.DOC"}).out, "raw name");
}

TEST_F(Reading, cat_refuses_a_damaged_file_unless_it_is_asked_for) {
    for (const std::vector<std::string>& target :
         {std::vector<std::string>{kHash, "DOS/ALICIA.XLS"}, {blake3_of(as_bytes(salvaged_)).hex()}}) {
        std::vector<std::string> args = {"cat"};
        args.insert(args.end(), target.begin(), target.end());
        const Ran refused = ntt(args);
        EXPECT_EQ(refused.exit, 1);
        EXPECT_EQ(refused.out, "");
        EXPECT_THAT(refused.err, HasSubstr("--damaged"));
        args.emplace_back("--damaged");
        const Ran given = ntt(args);
        EXPECT_EQ(given.exit, 0);
        EXPECT_EQ(given.out, salvaged_);
    }
}

TEST_F(Reading, cat_says_what_is_the_matter_with_a_file_of_which_there_is_nothing) {
    for (const char* path : {"DOS", "LOST.DOC", "TODO.DOC", "pagefile.sys", "ABSENT"}) {
        const Ran ran = ntt({"cat", kHash, path, "--damaged"});
        EXPECT_EQ(ran.exit, 1) << path;
        EXPECT_EQ(ran.out, "") << path;
    }
    EXPECT_THAT(ntt({"cat", kHash, "TODO.DOC"}).err, HasSubstr("pending"));
    EXPECT_EQ(ntt({"cat", std::string(64, '0')}).exit, 1);
    EXPECT_EQ(ntt({"cat", kHash}).exit, 1);
}

TEST_F(Reading, cat_of_a_content_that_the_store_lost_or_flipped_is_damage_of_the_store) {
    std::filesystem::permissions(blob_path("all of it"), std::filesystem::perms::owner_all);
    patch_file(blob_path("all of it"), 0, "A");
    EXPECT_EQ(ntt({"cat", kHash, "DOS/GOOD.TXT"}).exit, 5);
    std::filesystem::remove(blob_path("all of it"));
    EXPECT_EQ(ntt({"cat", kHash, "DOS/GOOD.TXT"}).exit, 5);
}

TEST_F(Reading, a_name_that_stands_twice_is_shown_twice_and_cat_asks_which) {
    add_medium({{.path = "ASC.WP", .ino = 10, .content = "one"}, {.path = "ASC.WP", .ino = 11, .content = "two"}},
               std::string(32, 'c'), "doubled");
    EXPECT_EQ(ntt({"why", "doubled", "ASC.WP", "--json"}).lines().size(), 2u);
    const Ran ran = ntt({"cat", "doubled", "ASC.WP"});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_THAT(ran.err, HasSubstr("inode 11"));
    EXPECT_EQ(ntt({"cat", "doubled", "11"}).out, "two");
}

TEST_F(Reading, a_file_that_is_called_by_digits_goes_before_the_inode_of_that_number) {
    add_medium({{.path = "11", .ino = 10, .content = "by name"}, {.path = "B", .ino = 11, .content = "by number"}},
               std::string(32, 'd'), "digits");
    EXPECT_EQ(ntt({"cat", "digits", "11"}).out, "by name");
}

TEST_F(Reading, with_several_volumes_paths_begin_with_the_volume) {
    add_medium({{.path = "A", .ino = 12, .content = "first"},
                {.path = "A", .ino = 12, .content = "second", .volume = 2},
                {.path = "p2/B", .ino = 13, .content = "b"}},
               std::string(32, 'e'), "two");
    EXPECT_EQ(ntt({"cat", "two", "p1/A"}).out, "first");
    EXPECT_EQ(ntt({"cat", "two", "p2/A"}).out, "second");
    EXPECT_EQ(ntt({"cat", "two", "p2/12"}).out, "second");
    EXPECT_EQ(ntt({"cat", "two", "12", "--volume", "1"}).out, "first");
    EXPECT_EQ(ntt({"cat", "two", "p1/p2/B"}).out, "b");
    EXPECT_EQ(ntt({"cat", "two", "A"}).exit, 1);
    EXPECT_THAT(ntt({"files", "two"}).out, HasSubstr("  p2/A\n"));
    EXPECT_EQ(ntt({"files", "two", "--path", "p2/*", "--json"}).lines().size(), 1u);
}

TEST_F(Reading, events_lists_the_columns_of_the_table_for_one_medium_or_all) {
    add_medium({{.path = "A", .ino = 1, .content = "a"}}, std::string(32, 'b'), "second");
    {
        const auto open = catalog();
        std::vector<EventRow> events(2);
        events[0].medium_hash = kHash;
        events[1].medium_hash = std::string(32, 'b');
        for (EventRow& event : events) {
            event.action = "continuing";
            event.worker_id = "w";
            event.timestamp = "2025-10-08T12:00:00.000000Z";
        }
        ASSERT_OK(open->add_events(events));
    }
    const Json event = only({"events", kHash, "--json"});
    for (const char* key : {"type", "id", "medium_hash", "volume", "ino", "retry_count", "checks", "action", "cause", "evidence",
                            "exception_type", "exception_msg", "worker_id", "timestamp"})
        EXPECT_TRUE(event.contains(key)) << key;
    EXPECT_TRUE(event["ino"].is_null());
    EXPECT_EQ(ntt({"events", "--json"}).lines().size(), 2u);
    EXPECT_THAT(ntt({"events"}).out, HasSubstr("continuing"));
}

TEST_F(Reading, requeue_puts_back_what_is_asked_for_and_nothing_else) {
    const auto pending = [&] { return only({"show", kHash, "--json"})["totals"]["pending"].get<int>(); };
    EXPECT_EQ(only({"requeue", kHash, "--json", "--cause", "BAD_SECTOR"})["inodes"], 0);
    EXPECT_EQ(pending(), 1);
    EXPECT_EQ(only({"requeue", kHash, "--json"})["inodes"], 2);  // damaged and unreadable
    EXPECT_EQ(pending(), 3);
    EXPECT_EQ(only({"requeue", kHash, "DOS/GOOD.TXT", "--json"})["inodes"], 1);
    EXPECT_EQ(pending(), 4);
    EXPECT_EQ(ntt({"requeue", kHash, "ABSENT"}).exit, 1);
}

TEST_F(Reading, requeue_by_status_cause_and_volume_must_all_fit) {
    EXPECT_EQ(only({"requeue", kHash, "--status", "unreadable", "--cause", "BEYOND_EOF", "--json"})["inodes"], 0);
    EXPECT_EQ(only({"requeue", kHash, "--volume", "2", "--json"})["inodes"], 0);
    EXPECT_THAT(ntt({"requeue", kHash, "--status", "unreadable"}).out, HasSubstr("1 inode back"));
}

}  // namespace
}  // namespace ntt::test
