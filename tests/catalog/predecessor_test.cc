// The predecessor's database, made with psql as its own programs made it, and what becomes of each kind of row.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "catalog/catalog_contract.h"
#include "catalog/predecessor/import.h"
#include "catalog/predecessor/rules.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using namespace predecessor;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

const std::string kBlob = blake3_of(as_bytes(std::string_view("content"))).hex();
const std::string kFloppy = "f95834a4b718f54edc7b549ca854aef8", kDisk = "97239906e1d3a0ffb0c1d2e3f4a5b6c7";

TheirInode file(const std::string& status, const std::optional<std::string>& claimed_by = std::nullopt) {
    TheirInode out;
    out.ino = 12;
    out.dev = 1793;
    out.size = 100;
    out.fs_type = "f";
    out.status = status;
    out.claimed_by = claimed_by;
    out.copied = false;
    return out;
}

TheirInode success(const std::optional<std::string>& blobid) {
    TheirInode out = file("success", "worker-01");
    out.copied = true;
    out.blobid = blobid;
    return out;
}

// --- rules ---

TEST(PredecessorRules, success_with_a_blob_id_is_stored_whoever_had_claimed_it) {
    const Judgement judged = judge(success(kBlob), {});
    EXPECT_EQ(judged.rule, Rule::stored);
    EXPECT_EQ(judged.status, Status::stored);
    EXPECT_EQ(judged.blobid->hex(), kBlob);
    EXPECT_EQ(judged.claimed_by, std::nullopt);
    TheirInode older = success(kBlob);  // before there was a status
    older.status.reset();
    EXPECT_EQ(judge(older, {}).rule, Rule::stored);
    older.copied = false;
    EXPECT_EQ(judge(older, {}).rule, Rule::pending);
    TheirInode skipped = success(kBlob);
    skipped.claimed_by = "EXCLUDED";
    EXPECT_EQ(judge(skipped, {}).rule, Rule::stored);
}

TEST(PredecessorRules, success_without_a_blob_that_can_be_is_pending_again) {
    EXPECT_EQ(judge(success(std::nullopt), {}).rule, Rule::success_without_blobid);
    EXPECT_EQ(judge(success(""), {}).rule, Rule::success_without_blobid);
    EXPECT_EQ(judge(success(std::string(kEmptyFileHash)), {}).rule, Rule::empty_file_hash);
    EXPECT_EQ(judge(success(kBlob.substr(1)), {}).rule, Rule::blobid_malformed);
    EXPECT_EQ(judge(success("g" + kBlob.substr(1)), {}).rule, Rule::blobid_malformed);
    EXPECT_EQ(judge(success(kBlob), {.has_names_in_other_partitions = true}).rule, Rule::content_of_either_partition);
    EXPECT_EQ(judge(success(kBlob), {.blob_has_two_sizes = true}).rule, Rule::blob_of_two_sizes);
    TheirInode copied = file("pending");
    copied.copied = true;
    EXPECT_EQ(judge(copied, {}).rule, Rule::success_without_blobid);
    for (const auto& inode : {success(std::nullopt), success(std::string(kEmptyFileHash)), success("x"), copied}) {
        const Judgement judged = judge(inode, {});
        EXPECT_EQ(judged.status, Status::pending);
        EXPECT_EQ(judged.blobid, std::nullopt);
        EXPECT_EQ(judged.claimed_by, std::nullopt);
        EXPECT_TRUE(is_defect(judged.rule));
    }
}

TEST(PredecessorRules, what_was_given_up_is_unreadable_with_its_cause) {
    const auto cause = [](const std::string& claimed_by, const std::optional<std::string>& error_type = std::nullopt) {
        TheirInode inode = file("success", claimed_by);  // as their fix left it: success without a blob
        inode.copied = true;
        inode.error_type = error_type;
        const Judgement judged = judge(inode, {});
        EXPECT_EQ(judged.status, Status::unreadable) << claimed_by;
        EXPECT_EQ(judged.claimed_by, claimed_by);
        return judged.cause;
    };
    EXPECT_EQ(cause("DIAGNOSTIC_SKIP:BEYOND_EOF"), Cause::BEYOND_EOF);
    EXPECT_EQ(cause("DIAGNOSTIC_SKIP:SOMETHING"), Cause::IO_ERROR);
    EXPECT_EQ(cause("IO_ERROR_SKIP"), Cause::IO_ERROR);
    EXPECT_EQ(cause("FAT_ERROR_SKIP"), Cause::FAT_CHAIN_INVALID);
    EXPECT_EQ(cause("MAX_RETRIES_EXCEEDED"), Cause::IO_ERROR);
    EXPECT_EQ(cause("MAX_RETRIES_EXCEEDED", "permission_error"), Cause::PERMISSION);
    EXPECT_EQ(cause("MAX_RETRIES_EXCEEDED", "path_error"), Cause::MISSING_FILE);
    const Judgement permanent = judge(file("failed_permanent"), {});
    EXPECT_EQ(permanent.rule, Rule::failed_permanent);
    EXPECT_EQ(permanent.cause, Cause::IO_ERROR);
    EXPECT_EQ(permanent.claimed_by, "IO_ERROR_SKIP");
}

TEST(PredecessorRules, names_that_they_read_wrongly_are_tried_again) {
    EXPECT_EQ(judge(file("pending", "BACKSLASH_SKIP"), {}).rule, Rule::backslash_name);
    EXPECT_EQ(judge(file("pending", "MAX_RETRIES_EXCEEDED"), {.has_backslash_name = true}).rule, Rule::backslash_name);
    EXPECT_EQ(judge(file("failed_permanent"), {.has_backslash_name = true}).rule, Rule::backslash_name);
    EXPECT_EQ(judge(file("pending", "DIAGNOSTIC_SKIP:BEYOND_EOF"), {.has_backslash_name = true}).rule, Rule::given_up);
}

TEST(PredecessorRules, exclusions_and_what_is_no_file_keep_their_words) {
    EXPECT_EQ(judge(file("pending", "EXCLUDED"), {}).rule, Rule::excluded);
    EXPECT_EQ(judge(file("pending", "EXCLUDED: all_paths_pattern_match"), {}).claimed_by, "EXCLUDED: all_paths_pattern_match");
    EXPECT_EQ(judge(file("pending", "EXCLUDED: bad_health"), {}).rule, Rule::excluded_bad_health);
    TheirInode folder = file("pending", "NON_FILE");
    folder.copied = true;
    EXPECT_EQ(judge(folder, {}).rule, Rule::nonfile_is_file);
    folder.fs_type = "d";
    EXPECT_EQ(judge(folder, {}).rule, Rule::nonfile);
    EXPECT_EQ(judge(folder, {}).fs_type, 'd');
    folder.fs_type = "7";  // permission bits, as older records have them
    EXPECT_EQ(judge(folder, {}).fs_type, 'u');
    EXPECT_TRUE(judge(folder, {}).type_is_unknown);
    folder.claimed_by.reset();
    folder.copied = false;
    EXPECT_EQ(judge(folder, {}).rule, Rule::pending);
}

TEST(PredecessorRules, failures_that_may_pass_are_pending) {
    EXPECT_EQ(judge(file("failed_retryable"), {}).rule, Rule::failed_retryable);
    EXPECT_EQ(judge(file("pending", "worker-07"), {}).rule, Rule::pending);
    TheirInode both = file("failed_retryable");
    both.copied = true;
    EXPECT_EQ(judge(both, {}).rule, Rule::copied_but_failed);
    EXPECT_EQ(judge(both, {}).status, Status::pending);
}

TEST(PredecessorRules, every_rule_has_a_word_and_a_meaning) {
    std::set<std::string_view> words;
    for (int i = 0; i <= static_cast<int>(Rule::event_malformed); ++i) {
        const Rule rule = static_cast<Rule>(i);
        EXPECT_TRUE(words.insert(to_string(rule)).second);
        EXPECT_FALSE(explain(rule).empty());
    }
    const std::string document = read_file(std::string(NTT_DOCS_DIR) + "/migration.md");
    for (const std::string_view word : words) EXPECT_THAT(document, HasSubstr("`" + std::string(word) + "`"));
}

class CarrierTest : public ::testing::Test {
protected:
    TheirPath path(int64_t ino, const std::string& below, std::optional<int64_t> dev = 1793) { return {ino, dev, "/mnt/ntt/" + kDisk + below, {}}; }
    std::set<std::string> doubtful_;
    MediumCarrier partitions_{kDisk, MediumCarrier::Partitions::by_folder, doubtful_};
    MediumCarrier whole_{kDisk, MediumCarrier::Partitions::none, doubtful_};
};

TEST_F(CarrierTest, one_row_for_the_inodes_of_two_partitions_becomes_two_and_the_content_is_of_neither) {
    const Carried carried = partitions_.carry({{success(kBlob)}, {path(12, "/p1/a.txt"), path(12, "/p2/b.txt", 1794)}});
    ASSERT_EQ(carried.inodes.size(), 2u);
    EXPECT_EQ(carried.inodes[0].rule, Rule::content_of_either_partition);
    EXPECT_EQ(carried.inodes[1].rule, Rule::inode_of_other_partition);
    EXPECT_EQ(carried.inodes[0].row.volume, 1);
    EXPECT_EQ(carried.inodes[1].row.volume, 2);
    EXPECT_EQ(carried.inodes[0].row.ino, 12);
    EXPECT_EQ(carried.inodes[1].row.ino, 12);
    EXPECT_EQ(carried.paths[0].path, "a.txt");
    EXPECT_EQ(carried.paths[1].path, "b.txt");
    EXPECT_EQ(carried.paths[1].volume, 2);
}

TEST_F(CarrierTest, a_row_for_each_device_is_told_apart_by_its_names) {
    TheirInode second = success(kBlob);
    second.dev = 1794;
    const Carried carried = partitions_.carry({{success(kBlob), second}, {path(12, "/p1/a.txt"), path(12, "/p5/b.txt", 1794)}});
    ASSERT_EQ(carried.inodes.size(), 2u);
    EXPECT_EQ(carried.inodes[0].rule, Rule::stored);
    EXPECT_EQ(carried.inodes[1].rule, Rule::stored);
    EXPECT_EQ(carried.inodes[1].row.volume, 5);
    EXPECT_EQ(carried.inodes[1].row.ino, 12);
    EXPECT_THAT(partitions_.counts(), Not(Contains(Key(Rule::duplicate_ino))));
}

TEST_F(CarrierTest, two_devices_under_one_number_get_two_numbers) {
    TheirInode second = success(kBlob);
    second.dev = 1794;
    const Carried carried = whole_.carry({{success(kBlob), second}, {path(12, "/a"), path(12, "/b", 1794), path(12, "/c", 99)}});
    ASSERT_EQ(carried.inodes.size(), 2u);
    EXPECT_EQ(carried.inodes[1].row.ino, int64_t{1} << 62);
    EXPECT_EQ(carried.inodes[1].row.fs_ino, "1794:12");
    EXPECT_EQ(carried.paths[0].ino, 12);
    EXPECT_EQ(carried.paths[1].ino, int64_t{1} << 62);
    EXPECT_EQ(carried.paths[2].ino, 12) << "of another enumeration: by number, as they joined them";
    EXPECT_THAT(whole_.counts(), Contains(Pair(Rule::duplicate_ino, 1)));
}

TEST_F(CarrierTest, paths_lose_the_mount_point_and_nothing_else) {
    const std::string odd("/a\\b\x1c\xff\n//c ", 11);
    const Carried carried = whole_.carry({{file("pending")},
                                          {path(12, odd), path(12, "/p1/x"), path(12, ""), {12, 1793, "/mnt/ntt/" + kDisk + "/mnt/ntt/" + kDisk + "/twice", {}},
                                           {12, 1793, "/home/carved/f1.jpg", "file_not_found"}, {12, 1793, "/mnt/ntt/" + kDisk + "0/other", {}}}});
    ASSERT_EQ(carried.paths.size(), 5u);
    EXPECT_EQ(carried.paths[0].path, odd.substr(1));
    EXPECT_EQ(carried.paths[1].path, "p1/x") << "a folder of that name, where not everything is in one";
    EXPECT_EQ(carried.paths[2].path, "twice");
    EXPECT_EQ(carried.paths[3].path, "home/carved/f1.jpg");
    EXPECT_EQ(carried.paths[3].exclude_reason, "file_not_found");
    EXPECT_EQ(carried.paths[4].path, "mnt/ntt/" + kDisk + "0/other");
    EXPECT_EQ(carried.paths[4].entry, 5);
    EXPECT_THAT(whole_.counts(), Contains(Pair(Rule::mount_point, 1)));
    EXPECT_THAT(whole_.counts(), Contains(Pair(Rule::mount_prefix_doubled, 1)));
    EXPECT_THAT(whole_.counts(), Contains(Pair(Rule::path_outside_mount, 2)));
}

TEST_F(CarrierTest, names_without_an_inode_and_inodes_without_a_name_stay) {
    const Carried lost = whole_.carry({{}, {path(7, "/lost")}});
    ASSERT_EQ(lost.inodes.size(), 1u);
    EXPECT_EQ(lost.inodes[0].rule, Rule::path_without_inode);
    EXPECT_EQ(lost.inodes[0].row.ino, 7);
    EXPECT_EQ(whole_.carry({{file("pending")}, {}}).inodes.size(), 1u);
    EXPECT_THAT(whole_.counts(), Contains(Pair(Rule::inode_without_path, 1)));
    TheirInode root = file("pending", "NON_FILE");
    root.ino = 2;
    root.fs_type = "d";
    const Carried roots = partitions_.carry({{root}, {path(2, "/p1"), path(2, "/p2", 1794)}});
    ASSERT_EQ(roots.inodes.size(), 2u);
    EXPECT_EQ(roots.inodes[1].rule, Rule::nonfile) << "the other partition's root";
    EXPECT_THAT(roots.paths, SizeIs(0));
}

TEST(PredecessorMedia, keep_what_they_say_in_a_form_that_fits) {
    RuleCounts counts;
    TheirMedium medium;
    medium.medium_hash = "carved_2024";
    medium.health = "excellent";
    medium.problems = "[1]";
    medium.diagnostics = "2025-10-01 ddrescue: 99%\n";
    medium.enum_done = "2025-10-08 12:00:00";
    const MediumRow row = medium_of(medium, kTime, counts);
    EXPECT_TRUE(is_medium_hash(row.medium_hash));
    EXPECT_EQ(row.medium_human, "carved_2024");
    EXPECT_EQ(row.health, "unknown");
    EXPECT_EQ(row.problems, R"({"predecessor":[1],"predecessor_medium_hash":"carved_2024"})");
    EXPECT_EQ(row.diagnostics, R"("2025-10-01 ddrescue: 99%\n")");
    EXPECT_EQ(row.added_at, kTime);
    EXPECT_EQ(counts, (RuleCounts{{Rule::medium_hash_replaced, 1}, {Rule::health_unknown, 1}, {Rule::problems_wrapped, 1}, {Rule::diagnostics_as_text, 1}}));
}

TEST(PredecessorMedia, events_become_rows_and_lose_nothing) {
    RuleCounts counts;
    MediumRow medium = medium_row(kFloppy);
    medium.problems = R"({"diagnostic_events":[{"ino":6,"retry_count":10,"checks":["detected_beyond_eof"],"action":"diagnostic_skip",
        "timestamp":"2025-10-10T12:34:56.5","worker_id":"w1","exception_type":"OSError","exception_msg":"[Errno 5]","more":1},"nonsense",
        {"action":"skipped","cause":"BEYOND_EOF","retry_count":-1}]})";
    const std::vector<EventRow> events = events_of(medium, 1, counts);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].ino, 6);
    EXPECT_EQ(events[0].volume, 1);
    EXPECT_EQ(events[0].action, "skipped");
    EXPECT_EQ(events[0].timestamp, "2025-10-10T12:34:56.500000Z");
    EXPECT_EQ(events[0].cause, std::nullopt) << "dmesg's words may be of another device";
    EXPECT_EQ(events[0].evidence, R"({"action":"diagnostic_skip","more":1})");
    EXPECT_EQ(events[1].cause, Cause::BEYOND_EOF);
    EXPECT_EQ(events[1].timestamp, medium.added_at);
    EXPECT_EQ(counts, (RuleCounts{{Rule::event, 2}, {Rule::event_malformed, 1}}));
}

// --- their database ---

const char* const kTheirTables = R"(
CREATE TABLE medium (medium_hash text PRIMARY KEY, medium_human text, added_at timestamptz DEFAULT now(), health text, image_path text, enum_done timestamptz,
    copy_done timestamptz, problems jsonb, diagnostics text, message text);
CREATE TABLE inode (id bigserial, medium_hash text, dev bigint, ino bigint, nlink int, size bigint, mtime bigint, blobid text, copied boolean DEFAULT false, copied_to text,
    errors text[] DEFAULT '{}', fs_type char(1), mime_type text, processed_at timestamptz, by_hash_created boolean, claimed_by text, claimed_at timestamptz,
    status text DEFAULT 'pending', error_type text, PRIMARY KEY (medium_hash, ino)) PARTITION BY LIST (medium_hash);
CREATE TABLE inode_p_a PARTITION OF inode DEFAULT;
CREATE TABLE path (medium_hash text, dev bigint, ino bigint, path bytea, broken boolean, blobid text, exclude_reason text, PRIMARY KEY (medium_hash, path))
    PARTITION BY LIST (medium_hash);
CREATE TABLE path_p_a PARTITION OF path DEFAULT;
)";

class PredecessorTest : public ::testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_POSTGRES();
        theirs_ = postgres_url(their_dir_);
        run(kTheirTables);
    }
    void run(const std::string& sql) {
        const CommandResult ran = psql(theirs_, sql);
        ASSERT_EQ(ran.exit, 0) << ran.err;
    }
    void add_medium(const std::string& hash, const std::string& more = "NULL, NULL") {
        run("INSERT INTO medium (medium_hash, medium_human, added_at, health, image_path, enum_done, copy_done, problems, diagnostics) VALUES ('" + hash +
            "', 'floppy_1', '2025-09-01', 'incomplete', '/data/fast/img/" + hash + ".img', '2025-09-02', '2025-09-03', " + more + ")");
    }
    // An inode and one name of it.
    void add(const std::string& hash, int64_t ino, const std::string& columns, const std::string& values, const std::string& name, const std::string& fs_type = "f") {
        run("INSERT INTO inode (medium_hash, dev, ino, nlink, size, mtime, fs_type" + columns + ") VALUES ('" + hash + "', 1793, " + std::to_string(ino) +
            ", 1, 7, 1000000000, '" + fs_type + "'" + values + "); INSERT INTO path (medium_hash, dev, ino, path) VALUES ('" + hash + "', 1793, " + std::to_string(ino) +
            ", convert_to('/mnt/ntt/" + hash + "/" + name + "', 'UTF8'))");
    }
    ImportReport counted(const std::set<std::string>& known = {}) {
        ImportReport report;
        auto reader = Reader::open(theirs_);
        EXPECT_TRUE(reader.ok()) << why(reader);
        if (!reader.ok()) return report;
        const auto done = count_database(**reader, known, never_, report);
        EXPECT_TRUE(done.ok()) << why(done);
        return report;
    }
    ImportReport imported(const std::string& url) {
        ImportReport report;
        auto reader = Reader::open(theirs_);
        auto catalog = open_catalog(Env::host(), Clock::system(), url);
        EXPECT_TRUE(reader.ok() && catalog.ok()) << why(reader) << why(catalog);
        if (!reader.ok() || !catalog.ok()) return report;
        const auto done = import_database(**reader, **catalog, Clock::system(), {}, never_, report);
        EXPECT_TRUE(done.ok()) << why(done);
        return report;
    }

    TempDir their_dir_, dir_;
    std::string theirs_;
    CancelToken never_;
};

// One row for each rule.
class OfEachKind : public PredecessorTest, public ::testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        PredecessorTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        add_medium(kFloppy, R"('{"beyond_eof_detected":true,"diagnostic_events":[{"ino":4,"action":"skipped","retry_count":10,"checks":[],"timestamp":"2025-09-02T01:00:00"}]}', '{"a": 1}')");
        add(kFloppy, 1, ", copied, status, blobid, claimed_by, processed_at, mime_type", ", true, 'success', '" + kBlob + "', 'worker-01', '2025-09-02 10:00:00+00', 'text/plain'", "whole.txt");
        add(kFloppy, 2, ", copied, status", ", true, 'success'", "no blob.txt");
        add(kFloppy, 3, ", copied, status, blobid", ", true, 'success', '" + std::string(kEmptyFileHash) + "'", "empty.txt");
        add(kFloppy, 4, ", copied, status, claimed_by, errors", ", true, 'success', 'DIAGNOSTIC_SKIP:BEYOND_EOF', '{one,\"two, \\\"three\\\"\"}'", "beyond.txt");
        add(kFloppy, 5, ", copied, claimed_by", ", true, 'NON_FILE'", "folder", "d");
        add(kFloppy, 6, ", copied, claimed_by", ", true, 'EXCLUDED'", "node_modules.js");
        add(kFloppy, 7, ", status, error_type, errors", ", 'failed_retryable', 'hash_error', array_fill('E'::text, array[8])", "retry.txt");
        add(kFloppy, 8, ", status, error_type", ", 'failed_permanent', 'io_error'", "bad.txt");
        add(kFloppy, 9, ", claimed_by, errors", ", 'BACKSLASH_SKIP', array_fill('not found'::text, array[2000])", "Wrap in \\left-\\right.plist");
        add(kFloppy, 10, ", claimed_by", ", 'worker-05'", "claimed.txt");
        add(kFloppy, 11, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "same.txt");
        run("INSERT INTO path VALUES ('" + kFloppy + "', 1793, 1, '\\x" + to_hex(as_bytes("/mnt/ntt/" + kFloppy + "/\xff\x1c\\")) + "', false, NULL, 'pattern_match')");
        if (std::string(GetParam()) == "sqlite")
            to_ = "sqlite:" + dir_ / "catalog.db";
        else
            to_ = postgres_url(dir_);
    }
    std::string to_;
};

INSTANTIATE_TEST_SUITE_P(Into, OfEachKind, ::testing::Values("sqlite", "postgres"), [](const auto& kind) { return std::string(kind.param); });

TEST_P(OfEachKind, rows_become_what_the_rules_say_and_the_dry_run_says_the_same) {
    const ImportReport before = counted();
    const ImportReport report = imported(to_);
    EXPECT_EQ(report.rules, before.rules);
    EXPECT_EQ(report.media, 1u);
    EXPECT_EQ(report.inodes, 11u);
    EXPECT_EQ(report.paths, 12u);
    EXPECT_EQ(before.inodes, 11u);
    EXPECT_EQ(before.paths, 12u);
    EXPECT_EQ(report.defects(), 3u);
    EXPECT_EQ(report.rules, (RuleCounts{{Rule::stored, 2}, {Rule::nonfile, 1}, {Rule::excluded, 1}, {Rule::given_up, 1}, {Rule::failed_permanent, 1}, {Rule::failed_retryable, 1},
                                        {Rule::pending, 1}, {Rule::event, 1}, {Rule::success_without_blobid, 1}, {Rule::empty_file_hash, 1}, {Rule::backslash_name, 1},
                                        {Rule::copy_done_taken_back, 1}}));

    ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), to_));
    ASSERT_OK_ASSIGN(const MediumKey key, catalog->medium_key(kFloppy));
    ASSERT_OK_ASSIGN(const Totals totals, catalog->totals(key));
    EXPECT_TRUE(totals.add_up());
    EXPECT_EQ(totals.stored, 2u);
    EXPECT_EQ(totals.unreadable, 2u);
    EXPECT_EQ(totals.excluded, 1u);
    EXPECT_EQ(totals.nonfile, 1u);
    EXPECT_EQ(totals.pending, 5u);
    ASSERT_OK_ASSIGN(const auto medium, catalog->medium(kFloppy));
    EXPECT_EQ(medium->health, "incomplete");
    EXPECT_EQ(medium->enum_done, "2025-09-02T00:00:00.000000Z");
    EXPECT_EQ(medium->copy_done, std::nullopt) << "files are pending";
    const auto problems = nlohmann::json::parse(*medium->problems);
    EXPECT_EQ(problems["beyond_eof_detected"], true);
    EXPECT_EQ(problems["diagnostic_events_total"], 1);
    EXPECT_EQ(nlohmann::json::parse(*medium->diagnostics), nlohmann::json({{"a", 1}}));

    ASSERT_OK_ASSIGN(const auto whole, catalog->inode(kFloppy, 1, 1));
    EXPECT_EQ(whole->blobid->hex(), kBlob);
    EXPECT_EQ(whole->processed_at, "2025-09-02T10:00:00.000000Z");
    EXPECT_EQ(whole->mime_type, "text/plain");
    EXPECT_EQ(whole->claimed_by, std::nullopt);
    ASSERT_OK_ASSIGN(const auto blob, catalog->blob(BlobKind::whole, *whole->blobid));
    EXPECT_EQ(blob->size, 7u);
    EXPECT_EQ(blob->last_verified, std::nullopt) << "their check does not hash";
    ASSERT_OK_ASSIGN(const auto problems_of_blobs, catalog->rows_without_blob(10));
    EXPECT_TRUE(problems_of_blobs.empty());
    ASSERT_OK_ASSIGN(const auto beyond, catalog->inode(kFloppy, 1, 4));
    EXPECT_EQ(beyond->status, Status::unreadable);
    EXPECT_EQ(beyond->claimed_by, "DIAGNOSTIC_SKIP:BEYOND_EOF");
    EXPECT_THAT(beyond->errors, ElementsAre("one", "two, \"three\""));
    ASSERT_OK_ASSIGN(const auto ranges, catalog->missing_ranges(kFloppy, 1, 4));
    EXPECT_THAT(ranges, ElementsAre(MissingRow{0, 7, std::nullopt, Cause::BEYOND_EOF}));
    ASSERT_OK_ASSIGN(const auto backslash, catalog->inode(kFloppy, 1, 9));
    EXPECT_EQ(backslash->counted_as(), Status::pending);
    EXPECT_THAT(backslash->errors, SizeIs(2000));
    ASSERT_OK_ASSIGN(const auto retry, catalog->inode(kFloppy, 1, 7));
    EXPECT_EQ(retry->error_type, "hash_error");

    std::vector<std::string> names;
    FileFilter of_whole;
    of_whole.ino = 1;
    ASSERT_OK(catalog->files(of_whole, [&](const FileRow& row) -> Result<void> {
        names.push_back(row.path.path);
        return {};
    }));
    EXPECT_THAT(names, ElementsAre("whole.txt", "\xff\x1c\\"));
    ASSERT_OK_ASSIGN(const uint64_t given_up, catalog->give_up_on_errors(key, 5, kTime));
    EXPECT_EQ(given_up, 0u) << "errors of the predecessor do not count";
    ASSERT_OK_ASSIGN(const std::vector<int64_t> queue, catalog->pending_rows(key));
    EXPECT_THAT(queue, SizeIs(5));
    ASSERT_OK_ASSIGN(const auto findings, catalog->findings(kFloppy));
    ASSERT_THAT(findings, SizeIs(3));
    EXPECT_EQ(findings[0].finding.code, "predecessor_success_without_blobid");
    EXPECT_EQ(nlohmann::json::parse(findings[0].finding.evidence), nlohmann::json({{"first", {2}}, {"rows", 1}}));
}

TEST_P(OfEachKind, run_again_it_skips_what_is_there) {
    add_medium(kDisk);
    imported(to_);
    const ImportReport again = imported(to_);
    EXPECT_EQ(again.rules, (RuleCounts{{Rule::medium_known, 2}}));
    EXPECT_EQ(again.media, 0u);
    EXPECT_EQ(counted({kFloppy, kDisk}).rules, again.rules);
}

TEST_P(OfEachKind, a_content_that_the_catalog_has_with_another_size_is_not_believed) {
    {
        ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), to_));
        ASSERT_OK_ASSIGN(const MediumKey key, catalog->add_medium(medium_row(kOtherHash)));
        ASSERT_OK(catalog->add_inode(key, file_row(1, 8), {}));
        ASSERT_OK_ASSIGN(const std::vector<int64_t> rows, catalog->pending_rows(key));
        CopyOutcome outcome;
        outcome.row = rows.front();
        outcome.volume = 1;
        outcome.ino = 1;
        outcome.blobid = BlobId::from_hex(kBlob);
        outcome.blob_size = 8;
        ASSERT_OK(catalog->commit_outcomes(key, "ours", std::vector{outcome}, {}, kTime));
    }
    const ImportReport report = imported(to_);
    EXPECT_EQ(report.rules.at(Rule::stored), 0u);
    EXPECT_EQ(report.rules.at(Rule::blob_of_two_sizes), 2u);
    EXPECT_EQ(report.inodes, 11u);
    ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), to_));
    ASSERT_OK_ASSIGN(const auto inode, catalog->inode(kFloppy, 1, 1));
    EXPECT_EQ(inode->status, Status::pending);
}

TEST_F(PredecessorTest, partitions_are_volumes_where_all_names_lie_in_them) {
    add_medium(kDisk);
    add(kDisk, 12, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "p1/a.txt");
    add(kDisk, 13, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "p2/sub/b.txt");
    run("INSERT INTO path VALUES ('" + kDisk + "', 1794, 12, convert_to('/mnt/ntt/" + kDisk + "/p2/c.txt', 'UTF8'))");
    add_medium(kFloppy);
    add(kFloppy, 12, "", "", "p1/a.txt");
    add(kFloppy, 13, "", "", "readme");
    const std::string to = "sqlite:" + dir_ / "catalog.db";
    const ImportReport report = imported(to);
    EXPECT_EQ(report.rules.at(Rule::content_of_either_partition), 1u);
    EXPECT_EQ(report.rules.at(Rule::inode_of_other_partition), 1u);
    EXPECT_EQ(report.rules.at(Rule::stored), 1u);
    EXPECT_EQ(must("sqlite3 " + dir_ / "catalog.db" + " \"SELECT medium_hash, volume, ino, CAST(path AS TEXT) FROM path ORDER BY 1, 2, 3\""),
              kDisk + "|1|12|a.txt\n" + kDisk + "|2|12|c.txt\n" + kDisk + "|2|13|sub/b.txt\n" + kFloppy + "|1|12|p1/a.txt\n" + kFloppy + "|1|13|readme\n");
    EXPECT_EQ(must("sqlite3 " + dir_ / "catalog.db" + " \"SELECT medium_hash, volume FROM volume ORDER BY 1, 2\""), kDisk + "|1\n" + kDisk + "|2\n" + kFloppy + "|1\n");
    EXPECT_EQ(must("sqlite3 " + dir_ / "catalog.db" + " \"PRAGMA foreign_key_check\""), "");
}

TEST_F(PredecessorTest, one_blob_id_with_two_sizes_is_believed_of_neither_file) {
    add_medium(kFloppy);
    add(kFloppy, 1, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "a");
    add(kFloppy, 2, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "b");
    run("UPDATE inode SET size = 8 WHERE ino = 2");
    EXPECT_EQ(imported("sqlite:" + dir_ / "catalog.db").rules.at(Rule::blob_of_two_sizes), 2u);
}

TEST_F(PredecessorTest, one_blob_id_with_a_size_and_without_is_believed_once) {
    add_medium(kFloppy);
    add(kFloppy, 1, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "a");
    add(kFloppy, 2, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "b");
    run("UPDATE inode SET size = NULL WHERE ino = 2");
    const ImportReport report = imported("sqlite:" + dir_ / "catalog.db");
    EXPECT_EQ(report.rules.at(Rule::stored), 1u);
    EXPECT_EQ(report.rules.at(Rule::blob_of_two_sizes), 1u);
}

TEST_F(PredecessorTest, times_stay_what_they_are) {
    add_medium(kFloppy);
    add(kFloppy, 1, ", copied, status, blobid, processed_at", ", true, 'success', '" + kBlob + "', '2025-09-02 10:00:01.5+00'", "a");
    add(kFloppy, 2, ", copied, status, blobid, processed_at", ", true, 'success', '" + kBlob + "', '2025-09-02 10:00:00+00'", "b");
    add(kFloppy, 3, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "c");
    imported("sqlite:" + dir_ / "catalog.db");
    EXPECT_EQ(must("sqlite3 " + dir_ / "catalog.db" + " 'SELECT ino, processed_at FROM inode ORDER BY 1'"),
              "1|2025-09-02T10:00:01.500000Z\n2|2025-09-02T10:00:00.000000Z\n3|2025-09-03T00:00:00.000000Z\n");
}

TEST_F(PredecessorTest, inodes_of_a_medium_without_a_row_are_not_lost) {
    add(kFloppy, 1, "", "", "a");
    const ImportReport report = imported("sqlite:" + dir_ / "catalog.db");
    EXPECT_EQ(report.media, 1u);
    EXPECT_EQ(report.inodes, 1u);
    EXPECT_EQ(report.rules.at(Rule::medium_row_missing), 1u);
}

TEST_F(PredecessorTest, an_older_database_lacks_columns) {
    run("DROP TABLE inode, path, medium; CREATE TABLE medium (medium_hash text, health text);"
        "CREATE TABLE inode (medium_hash text, dev bigint, ino bigint, size bigint, blobid bytea, copied boolean, errors text, PRIMARY KEY (medium_hash, dev, ino));"
        "CREATE TABLE path (medium_hash text, ino bigint, path text);"
        "INSERT INTO medium VALUES ('" + kFloppy + "', NULL);"
        "INSERT INTO inode VALUES ('" + kFloppy + "', 1, 5, 7, convert_to('" + kBlob + "', 'LATIN1'), true, NULL), ('" + kFloppy + "', 2, 5, 7, NULL, false, 'failed');"
        "INSERT INTO path VALUES ('" + kFloppy + "', 5, '/mnt/ntt/" + kFloppy + "/ü')");
    const ImportReport report = imported("sqlite:" + dir_ / "catalog.db");
    EXPECT_EQ(report.inodes, 2u);
    EXPECT_EQ(report.rules.at(Rule::duplicate_ino), 1u);
    EXPECT_EQ(report.rules.at(Rule::type_unknown), 2u);
    EXPECT_EQ(report.rules.at(Rule::stored), 1u);
    EXPECT_EQ(must("sqlite3 " + dir_ / "catalog.db" + " \"SELECT ino, fs_ino, status, errors FROM inode ORDER BY ino\""),
              "5|5|stored|[]\n4611686018427387904|2:5|unreadable|[\"failed\"]\n");
}

TEST_F(PredecessorTest, a_medium_that_cannot_be_finished_leaves_nothing_of_it) {
    add_medium(kFloppy);
    add(kFloppy, 1, ", copied, status, blobid", ", true, 'success', '" + kBlob + "'", "a");
    CancelToken cancelled;
    cancelled.cancel();
    ASSERT_OK_ASSIGN(const auto reader, Reader::open(theirs_));
    ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), "sqlite:" + dir_ / "catalog.db"));
    ImportReport report;
    const auto done = import_database(*reader, *catalog, Clock::system(), {}, cancelled, report);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::cancelled);
    ASSERT_OK_ASSIGN(const auto media, catalog->media());
    EXPECT_TRUE(media.empty());
}

TEST_F(PredecessorTest, what_is_not_theirs_is_refused) {
    const std::string ours = postgres_url(dir_);
    ASSERT_OK(open_catalog(Env::host(), Clock::system(), ours));
    const auto catalog = Reader::open(ours);
    ASSERT_FALSE(catalog.ok());
    EXPECT_EQ(catalog.error().code, ErrorCode::schema);
    EXPECT_THAT(catalog.error().message, HasSubstr("is a catalog of ntt"));
    run("DROP TABLE path");
    const auto lacking = Reader::open(theirs_);
    ASSERT_FALSE(lacking.ok());
    EXPECT_THAT(lacking.error().message, HasSubstr("has no table path"));
    const auto file = Reader::open("sqlite:x.db");
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ntt::test
