// A catalog that goes from one database into another. What is equal is decided by sqlite3 and psql, not by the proof under test.
#include "catalog/transfer.h"

#include <gmock/gmock.h>

#include <limits>

#include "catalog/catalog_contract.h"
#include "catalog/postgres/transfer.h"
#include "catalog/timestamps.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::UnorderedElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<Catalog> opened(const std::string& url) {
    auto catalog = open_catalog(Env::host(), Clock::system(), url);
    EXPECT_TRUE(catalog.ok()) << why(catalog);
    return catalog.ok() ? std::move(catalog).value() : nullptr;
}

// Everything but what is of one database only, as sqlite3 sees it.
// In any order, and without the number that SQLite gives an inode's row.
std::string dump_of(const std::string& file) {
    return must("sqlite3 " + shell_quoted(file) + " .dump | grep -v -e '^INSERT INTO schema_migration' -e sqlite_stat -e '^ANALYZE' | "
                "sed -E 's/^(INSERT INTO inode_row VALUES[(])[0-9]+,/\\1/' | LC_ALL=C sort");
}

std::string sqlite_answer(const std::string& file, const std::string& sql) { return must("sqlite3 " + shell_quoted(file) + " " + shell_quoted(sql)); }

std::string psql_answer(const std::string& url, const std::string& sql) {
    const CommandResult ran = psql(url, sql);
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.out;
}

// Rows of every table, with what is odd and still can be held everywhere.
void fill(const std::string& url) {
    const auto catalog = opened(url);
    MediumRow medium = medium_row(kHash, "Alicia's \xF0\x9F\x92\xBE\n\"disk\"\\");
    medium.problems = R"({"diagnostic_events":[],"rate":0.125,"text":"a\u0001\"\\b"})";
    medium.diagnostics = "\"only text\"";
    medium.map_path = "/images/a.map";
    medium.rescued_bytes = 1;
    medium.enum_done = "2025-10-08T12:00:00.000001Z";
    ASSERT_OK_ASSIGN(const MediumKey key, catalog->add_medium(medium));
    ASSERT_OK(catalog->add_medium(medium_row(kOtherHash, "")));
    ImageRow image;
    image.medium_hash = kHash;
    image.path = "/images/ü.img";
    image.format = "raw";
    image.size_bytes = 430592;
    image.digest = std::string(64, 'a');
    image.added_at = kTime;
    ASSERT_OK(catalog->add_image(image));
    VolumeRow volume;
    volume.medium_hash = kHash;
    volume.volume = 1;
    volume.image_id = 1;
    volume.size_bytes = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    volume.view = "fat12";
    volume.role = "filesystem";
    volume.outcome = "truncated";
    ASSERT_OK(catalog->put_volume(volume));

    ASSERT_OK_ASSIGN(const auto transaction, catalog->begin());
    // Not in the order of their numbers.
    for (const int64_t ino : {int64_t{9}, int64_t{3}, (int64_t{1} << 62) + 5, int64_t{-7}, int64_t{2}}) ASSERT_OK(catalog->add_inode(key, file_row(ino), {}));
    InodeRow odd = file_row(20, static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
    odd.fs_ino = "33-128-1";
    odd.stream = "Zone.Identifier";
    odd.allocated = false;
    odd.dev = 7;
    odd.nlink = 4'000;
    odd.uid = 4'294'967'294;
    odd.gid = 0;
    odd.mtime = -1;
    odd.mtime_ns = 999'999'999;
    odd.crtime = std::numeric_limits<int64_t>::min();
    odd.mode = 0100644;
    odd.attributes = -1;
    odd.extents = std::string("\0\xff\x01", 3);
    odd.target = "";
    odd.evidence = R"({"list":[1,null,true],"text":"\\u0000 is six letters"})";
    odd.errors = {"plain", "with \"quotes\", {braces} and \\", "", "NULL"};
    odd.error_type = "io_error";
    odd.mime_type = "text/plain; charset=\xC3\xBC";
    const std::vector<MissingRow> missing = {{0, 512, 0, Cause::BAD_SECTOR}, {512, 100, std::nullopt, Cause::BEYOND_EOF}, {512, 100, 5, Cause::NOT_TRIED}};
    odd.missing_bytes = 612;
    odd.cause = Cause::BAD_SECTOR;
    ASSERT_OK(catalog->add_inode(key, odd, missing));
    InodeRow link = folder_row(21);
    link.fs_type = 'l';
    link.target = std::string("\xff\x00to\n", 5);
    link.access = 0;
    link.first_offset.reset();
    ASSERT_OK(catalog->add_inode(key, link, {}));
    ASSERT_OK(catalog->add_path(key, path_row(1, 9, std::string("\x00\xff\\n\r\n\x1c", 7))));
    ASSERT_OK(catalog->add_path(key, path_row(2, 9, "DOS/ASC-LET.WP")));
    ASSERT_OK(catalog->add_path(key, path_row(3, 3, "DOS/ASC-LET.WP")));
    PathRow excluded = path_row(4, 2, "cache/\xe4");
    excluded.short_name = std::string("\xe5\x00", 2);
    excluded.exclude_reason = "pattern_match";
    ASSERT_OK(catalog->add_path(key, excluded));
    ASSERT_OK(transaction->commit());
    ASSERT_OK(catalog->mark_excluded(key));

    ASSERT_OK_ASSIGN(const std::vector<int64_t> pending, catalog->pending_rows(key));
    ASSERT_OK_ASSIGN(const std::vector<WorkItem> items, catalog->work_items(key, pending));
    std::vector<CopyOutcome> outcomes;
    for (const WorkItem& item : items) {
        CopyOutcome one;
        one.row = item.row;
        one.volume = item.volume;
        one.ino = item.ino;
        one.blob_size = 7;
        if (item.ino == 9 || item.ino == 3) one.blobid = blob_named("content");
        if (item.ino == -7) {
            one.status = Status::damaged;
            one.partial_blobid = blob_named("content");
            one.cause = Cause::BEYOND_EOF;
            one.claimed_by = claimed_by_of(Cause::BEYOND_EOF);
            one.missing = {{{0, 10, 430592, Cause::BEYOND_EOF}}};
            one.error = "50 attempts, last: Input/output error at 363520";
        }
        if (one.blobid || one.partial_blobid) outcomes.push_back(one);
    }
    EventRow event;
    event.medium_hash = kHash;
    event.volume = 1;
    event.ino = -7;
    event.retry_count = 50;
    event.checks = R"(["detected_beyond_eof"])";
    event.action = "max_retries";
    event.cause = Cause::BEYOND_EOF;
    event.exception_msg = "";
    event.worker_id = "host/1";
    event.timestamp = kTime;
    ASSERT_OK(catalog->commit_outcomes(key, "store-a", outcomes, std::vector{event}, kTime));
    // A second store that has the content too.
    ASSERT_OK(catalog->commit_outcomes(key, "store-b", std::vector{outcomes.front()}, {}, kTime));
    ASSERT_OK(catalog->mark_verified(std::vector{BlobRow{blob_named("content"), BlobKind::whole, 7, kTime, {}}}, "1969-12-31T23:59:59.999999Z"));
    RequeueFilter again;
    again.medium_hash = kHash;
    again.ino = -7;
    ASSERT_OK(catalog->requeue(again));
    ASSERT_OK(catalog->add_finding(key, Finding{"suspect_run", "a run of \xC3\xBC", R"({"length":4096})", 1, 9}, kTime));
    ASSERT_OK(catalog->add_finding(key, Finding{"archive_not_disk", "", "{}", 0, std::nullopt}, kTime));
}

constexpr const char* kRelation = "INSERT INTO medium_relation VALUES ('f95834a4b718f54edc7b549ca854aef8', 'duplicate_of', 'carved_ü', NULL)";

// Moves everything; returns the report of a success.
TransferReport moved(const std::string& from, const std::string& to) {
    TransferReport report;
    const CancelToken never;
    auto source = open_table_source(Env::host(), from);
    EXPECT_TRUE(source.ok()) << why(source);
    auto sink = open_table_sink(Env::host(), Clock::system(), to);
    EXPECT_TRUE(sink.ok()) << why(sink);
    if (!source.ok() || !sink.ok()) return report;
    const Result<void> done = transfer(**source, **sink, never, report);
    EXPECT_TRUE(done.ok()) << why(done);
    EXPECT_EQ(report.equal, done.ok());
    return report;
}

TEST(Transfer, from_sqlite_to_sqlite_is_the_same_to_the_byte) {
    const TempDir dir;
    fill("sqlite:" + dir / "a.db");
    sqlite_answer(dir / "a.db", kRelation);
    // What no program writes: bytes that are no text, where text is due.
    sqlite_answer(dir / "a.db", "UPDATE medium SET message = CAST(x'fffe00' AS TEXT), image_path = CAST(x'2fe4' AS TEXT)");
    const std::string before = dump_of(dir / "a.db");
    moved("sqlite:" + dir / "a.db", "sqlite:" + dir / "b.db");
    EXPECT_EQ(dump_of(dir / "b.db"), before);
    EXPECT_EQ(dump_of(dir / "a.db"), before);
    EXPECT_EQ(sqlite_answer(dir / "b.db", "SELECT hex(message) FROM medium LIMIT 1"), "FFFE00\n");
    EXPECT_EQ(sqlite_answer(dir / "b.db", "PRAGMA foreign_key_check"), "");
    // Compared, because SQLite 3.40 takes a value of a table WITHOUT ROWID for NULL there, in any catalog.
    EXPECT_EQ(sqlite_answer(dir / "b.db", "PRAGMA integrity_check"), sqlite_answer(dir / "a.db", "PRAGMA integrity_check"));
}

TEST(Transfer, over_postgresql_and_back_every_table_is_the_same) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    fill("sqlite:" + dir / "a.db");
    sqlite_answer(dir / "a.db", kRelation);
    const std::string before = dump_of(dir / "a.db");
    const TransferReport there = moved("sqlite:" + dir / "a.db", server);
    const TransferReport back = moved(server, "sqlite:" + dir / "b.db");
    EXPECT_EQ(dump_of(dir / "a.db"), before);
    // PostgreSQL writes numbers with fractions in its own way.
    std::string after = dump_of(dir / "b.db");
    const std::string theirs = R"("rate": 0.125, "text": "a\u0001\"\\b", "diagnostic_events": [])";
    ASSERT_THAT(after, HasSubstr("{" + theirs + "}"));
    after.replace(after.find("{" + theirs + "}"), theirs.size() + 2, R"({"diagnostic_events":[],"rate":0.125,"text":"a\u0001\"\\b"})");
    EXPECT_EQ(after, before);
    for (const TransferTable& table : transfer_tables()) {
        EXPECT_GT(there.rows(table.name), 0u) << table.name;
        EXPECT_EQ(psql_answer(server, std::string("SELECT count(*) FROM ") + table.in_postgres), std::to_string(there.rows(table.name)) + "\n");
        EXPECT_EQ(back.rows(table.name), there.rows(table.name));
    }
    for (const TransferredTable& table : there.tables) EXPECT_TRUE(table.replaced.empty()) << table.name;
}

TEST(Transfer, no_column_of_a_table_is_forgotten) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    opened(server);
    opened("sqlite:" + dir / "a.db");
    for (const TransferTable& table : transfer_tables()) {
        std::string columns;
        for (const TransferColumn& column : table.columns) columns += std::string(columns.empty() ? "'" : ", '") + column.name + "'";
        EXPECT_EQ(sqlite_answer(dir / "a.db", std::string("SELECT name FROM pragma_table_info('") + table.in_sqlite + "') WHERE name <> 'row' AND name NOT IN (" + columns + ")"), "");
        EXPECT_EQ(psql_answer(server, std::string("SELECT attname FROM pg_attribute WHERE attrelid='") + table.in_postgres +
                                          "'::regclass AND attnum > 0 AND attname NOT IN (" + columns + ")"),
                  "");
    }
    EXPECT_EQ(psql_answer(server, "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"),
              std::to_string(transfer_tables().size() + 5) + "\n")
        << "besides: schema_migration, worker, lease, queue_position, image_digest";
}

TEST(Transfer, the_migrated_catalog_works_and_goes_on_counting) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    fill("sqlite:" + dir / "a.db");
    moved("sqlite:" + dir / "a.db", server);
    const auto catalog = opened(server);
    ASSERT_OK_ASSIGN(const MediumKey key, catalog->medium_key(kHash));
    std::vector<int64_t> order;
    ASSERT_OK(catalog->for_each_inode(key, std::nullopt, [&](const InodeRow& row) -> Result<void> {
        order.push_back(row.ino);
        return {};
    }));
    EXPECT_THAT(order, UnorderedElementsAre(9, 3, (int64_t{1} << 62) + 5, -7, 2, 20));
    FileFilter named;
    named.basename_glob = "asc-let.wp";  // by name_hash
    int found = 0;
    ASSERT_OK(catalog->files(named, [&](const FileRow&) -> Result<void> {
        ++found;
        return {};
    }));
    EXPECT_EQ(found, 2);
    ASSERT_OK(catalog->add_medium(medium_row("00112233445566778899aabbccddeeff")));
    ImageRow image;
    image.medium_hash = kHash;
    image.added_at = kTime;
    ASSERT_OK(catalog->add_image(image));
    ASSERT_OK(catalog->add_finding(key, Finding{"later", "", "{}", 0, std::nullopt}, kTime));
    EventRow event;
    event.medium_hash = kHash;
    event.action = "skipped";
    event.timestamp = kTime;
    ASSERT_OK(catalog->add_events(std::vector{event}));
    ASSERT_OK(catalog->add_inode(key, file_row(100), {}));
    ASSERT_OK_ASSIGN(const std::vector<int64_t> pending, catalog->pending_rows(key));
    ASSERT_OK_ASSIGN(const std::vector<WorkItem> items, catalog->work_items(key, pending));
    CopyOutcome outcome;
    outcome.row = items.front().row;
    outcome.volume = items.front().volume;
    outcome.ino = items.front().ino;
    outcome.blobid = blob_named("x");
    outcome.blob_size = 1;
    ASSERT_OK(catalog->commit_outcomes(key, "store-c", std::vector{outcome}, {}, kTime));
}

TEST(Transfer, what_postgresql_cannot_hold_is_replaced_counted_and_taken_into_account_by_the_proof) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    fill("sqlite:" + dir / "a.db");
    sqlite_answer(dir / "a.db", "UPDATE medium SET message = CAST(x'61ff00' AS TEXT), diagnostics = '{\"a\":\"\\u0000\",\"b\":\"\\ud800x\"}', added_at = '2025-10-08 14:00:00+02'");
    sqlite_answer(dir / "a.db", "UPDATE inode_row SET nlink = 4000000000, uid = -2, gid = 5000000000, errors = '[\"a\", 5, null]' WHERE ino = 20");
    const TransferReport report = moved("sqlite:" + dir / "a.db", server);
    const auto& medium = report.tables.front();
    EXPECT_EQ(medium.replaced, (std::map<std::string, uint64_t>{{"message", 2}, {"diagnostics", 2}, {"added_at", 2}}));
    for (const TransferredTable& table : report.tables) {
        if (table.name != "inode") continue;
        EXPECT_EQ(table.replaced, (std::map<std::string, uint64_t>{{"nlink", 1}, {"uid", 1}, {"gid", 1}, {"errors", 1}}));
    }
    EXPECT_EQ(psql_answer(server, "SELECT message, diagnostics, added_at FROM medium LIMIT 1"), "a\xEF\xBF\xBD\xEF\xBF\xBD|{\"a\": \"\xEF\xBF\xBD\", \"b\": \"\xEF\xBF\xBDx\"}|2025-10-08 12:00:00+00\n");
    EXPECT_EQ(psql_answer(server, "SELECT nlink, uid, gid, errors FROM inode WHERE ino = 20"), "2147483647|4294967294||{a,5,\"null\"}\n");
}

TEST(Transfer, a_value_without_an_equal_ends_it_and_says_where) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    for (const auto& [sql, column] : {std::pair("UPDATE inode_row SET processed_at = 'yesterday' WHERE ino = 9", "processed_at"),
                                      std::pair("UPDATE inode_row SET mode = 5000000000 WHERE ino = 9", "mode")}) {
        const std::string file = dir / std::string(column) + ".db";
        fill("sqlite:" + file);
        sqlite_answer(file, sql);
        ASSERT_OK_ASSIGN(const auto source, open_table_source(Env::host(), "sqlite:" + file));
        ASSERT_OK_ASSIGN(const auto sink, open_table_sink(Env::host(), Clock::system(), server));
        TransferReport report;
        const CancelToken never;
        const auto done = transfer(*source, *sink, never, report);
        ASSERT_FALSE(done.ok());
        EXPECT_EQ(done.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(done.error().message, HasSubstr("table inode, row medium=1 ino=9 volume=1: column " + std::string(column)));
        EXPECT_EQ(report.equal, std::nullopt);
    }
    EXPECT_EQ(psql_answer(server, "SELECT count(*) FROM medium"), "0\n");
}

TEST(Transfer, numbers_of_any_size_in_json_come_back_exactly) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    opened(server)->add_medium(medium_row(kHash)).ignore("checked below");
    psql_answer(server, "UPDATE medium SET problems = '{\"b\": 123456789012345678901234567890, \"a\": 18446744073709551615}'");
    moved(server, "sqlite:" + dir / "b.db");
    EXPECT_THAT(sqlite_answer(dir / "b.db", "SELECT problems FROM medium"), HasSubstr("123456789012345678901234567890"));
    EXPECT_THAT(sqlite_answer(dir / "b.db", "SELECT problems FROM medium"), HasSubstr("18446744073709551615"));
}

// One change behind the copy's back in each table; the proof must name it.
TEST(Transfer, a_value_that_changes_between_copy_and_proof_is_found) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir), file = dir / "a.db";
    fill("sqlite:" + file);
    sqlite_answer(file, kRelation);
    const CancelToken never;
    moved("sqlite:" + file, server);
    moved("sqlite:" + file, "sqlite:" + dir / "b.db");
    const struct {
        const char *table, *column, *change, *back;
    } kChanges[] = {
        {"medium", "diagnostics", "UPDATE medium SET diagnostics = '\"only  text\"' WHERE medium_key = 1", "UPDATE medium SET diagnostics = '\"only text\"' WHERE medium_key = 1"},
        {"medium_relation", "detail", "UPDATE medium_relation SET detail = 'null'", "UPDATE medium_relation SET detail = NULL"},
        {"image", "size_bytes", "UPDATE image SET size_bytes = size_bytes + 1", "UPDATE image SET size_bytes = size_bytes - 1"},
        {"volume", "label", "UPDATE volume SET label = ''", "UPDATE volume SET label = NULL"},
        {"store", "store_id", "UPDATE store SET store_id = 'store-A' WHERE store = 1", "UPDATE store SET store_id = 'store-a' WHERE store = 1"},
        {"inode", "mtime_ns", "UPDATE inode_row SET mtime_ns = 1 WHERE ino = 2", "UPDATE inode_row SET mtime_ns = 0 WHERE ino = 2"},
        {"path", "name_hash", "UPDATE path_row SET name_hash = name_hash + 1 WHERE entry = 4", "UPDATE path_row SET name_hash = name_hash - 1 WHERE entry = 4"},
        {"missing_range", "image_offset", "UPDATE missing_range SET image_offset = 0 WHERE image_offset IS NULL", "UPDATE missing_range SET image_offset = NULL WHERE cause = 'BEYOND_EOF' AND ino = 20"},
        {"finding", "at", "UPDATE finding SET at = '2025-10-08T12:00:00.000001Z' WHERE id = 2", "UPDATE finding SET at = '2025-10-08T12:00:00.000000Z' WHERE id = 2"},
        {"diagnostic_event", "exception_msg", "UPDATE diagnostic_event SET exception_msg = NULL", "UPDATE diagnostic_event SET exception_msg = ''"},
    };
    for (const auto& change : kChanges) {
        for (const std::string& target : {server, "sqlite:" + dir / "b.db"}) {
            const auto apply = [&](const char* sql) { target == server ? psql_answer(server, sql) : sqlite_answer(dir / "b.db", sql); };
            const auto prove = [&]() -> Result<void> {
                TRY_ASSIGN(const auto source, open_table_source(Env::host(), "sqlite:" + file));
                TRY_ASSIGN(const auto there, open_table_source(Env::host(), target));
                return prove_equal(*source, *there, fit_of(target), never);
            };
            apply(change.change);
            const auto proven = prove();
            ASSERT_FALSE(proven.ok()) << change.table;
            EXPECT_EQ(proven.error().code, ErrorCode::catalog_damaged);
            EXPECT_THAT(proven.error().message, HasSubstr(std::string("table ") + change.table + ", row "));
            EXPECT_THAT(proven.error().message, HasSubstr(std::string("column ") + change.column + " differs"));
            apply(change.back);
            ASSERT_OK(prove());
        }
    }
    psql_answer(server, "ALTER TABLE path_row DISABLE TRIGGER never_deleted; DELETE FROM path_row WHERE entry = 4");
    {
        ASSERT_OK_ASSIGN(const auto source, open_table_source(Env::host(), "sqlite:" + file));
        ASSERT_OK_ASSIGN(const auto there, open_table_source(Env::host(), server));
        const auto proven = prove_equal(*source, *there, fit_of(server), never);
        ASSERT_FALSE(proven.ok());
        EXPECT_THAT(proven.error().message, HasSubstr("table path, row medium=1 volume=1 entry=4: is missing in the target"));
        const auto other_way = prove_equal(*there, *source, fit_of("sqlite:x"), never);
        ASSERT_FALSE(other_way.ok());
        EXPECT_THAT(other_way.error().message, HasSubstr("table path, row medium=1 volume=1 entry=4: is in the target only"));
    }
}

// Hands out what another has, up to a table at which it fails.
class FailingSource final : public TableSource {
public:
    FailingSource(TableSource& source, std::string table) : source_(source), table_(std::move(table)) {}
    Result<std::unique_ptr<RowCursor>> rows(const TransferTable& table) override {
        if (table_ == table.name) return make_error(ErrorCode::unavailable, "the server is gone");
        return source_.rows(table);
    }

private:
    TableSource& source_;
    std::string table_;
};

TEST(Transfer, what_ends_early_leaves_nothing) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir), file = "sqlite:" + dir / "a.db";
    fill(file);
    const CancelToken never;
    for (const std::string& to : {server, "sqlite:" + dir / "b.db"}) {
        {
            ASSERT_OK_ASSIGN(const auto source, open_table_source(Env::host(), file));
            ASSERT_OK_ASSIGN(const auto sink, open_table_sink(Env::host(), Clock::system(), to));
            FailingSource failing(*source, "diagnostic_event");
            TransferReport report;
            const auto done = transfer(failing, *sink, never, report);
            ASSERT_FALSE(done.ok());
            EXPECT_EQ(done.error().code, ErrorCode::unavailable);
        }
        ASSERT_OK(check_transfer_target(Env::host(), to));
        moved(file, to);  // and it can be run again
    }
    CancelToken cancelled;
    cancelled.cancel();
    ASSERT_OK_ASSIGN(const auto source, open_table_source(Env::host(), file));
    TransferReport report;
    const auto counted = count_tables(*source, fit_of(server), cancelled, report);
    ASSERT_FALSE(counted.ok());
    EXPECT_EQ(counted.error().code, ErrorCode::cancelled);
}

TEST(Transfer, a_target_with_rows_is_refused) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir), file = "sqlite:" + dir / "a.db";
    fill(file);
    ASSERT_OK(opened(server)->add_medium(medium_row(kOtherHash)));
    for (const std::string& target : {server, file}) {
        for (const Result<void>& result : {check_transfer_target(Env::host(), target), [&]() -> Result<void> {
                                               TRY(open_table_sink(Env::host(), Clock::system(), target));
                                               return {};
                                           }()}) {
            ASSERT_FALSE(result.ok());
            EXPECT_EQ(result.error().code, ErrorCode::already_exists);
            EXPECT_THAT(result.error().message, HasSubstr("its table medium has rows"));
        }
    }
}

TEST(Transfer, a_source_that_is_no_catalog_is_refused_and_not_made_one) {
    const TempDir dir;
    const auto absent = open_table_source(Env::host(), "sqlite:" + dir / "none.db");
    ASSERT_FALSE(absent.ok());
    EXPECT_EQ(absent.error().code, ErrorCode::not_found);
    EXPECT_FALSE(std::filesystem::exists(dir / "none.db"));
    ASSERT_OK(check_transfer_target(Env::host(), "sqlite:" + dir / "none.db"));
    EXPECT_FALSE(std::filesystem::exists(dir / "none.db"));
    sqlite_answer(dir / "other.db", "CREATE TABLE t (x)");
    const auto other = open_table_source(Env::host(), "sqlite:" + dir / "other.db");
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, ErrorCode::schema);
    for (const char* url : {"mysql://x", "sqlite:", "sqlite::memory:", "sqlite:a/"}) {
        const auto wrong = open_table_source(Env::host(), url);
        ASSERT_FALSE(wrong.ok());
        EXPECT_EQ(wrong.error().code, ErrorCode::invalid_argument);
    }
}

TEST(Transfer, the_source_is_one_state_and_read_only) {
    NTT_NEED_POSTGRES();
    const TempDir dir;
    const std::string server = postgres_url(dir);
    fill(server);
    ASSERT_OK_ASSIGN(const auto source, open_table_source(Env::host(), server));
    ASSERT_OK(opened(server)->add_medium(medium_row("00112233445566778899aabbccddeeff")));
    TransferReport report;
    const CancelToken never;
    ASSERT_OK(count_tables(*source, fit_of(server), never, report));
    EXPECT_EQ(report.rows("medium"), 2u);
    EXPECT_THAT(psql_answer(server, "SELECT count(*) FROM pg_locks WHERE mode <> 'AccessShareLock' AND relation = 'medium'::regclass"), "0\n");
}

TEST(Transfer, addresses_are_shown_without_passwords) {
    EXPECT_EQ(shown_url("sqlite:/a/b@c.db"), "sqlite:/a/b@c.db");
    EXPECT_EQ(shown_url("mysql://user:pass@host/db"), "mysql://host/db");
    EXPECT_EQ(shown_url("postgresql://user:pass@host:5432/db"), "postgresql://host:5432/db");
    EXPECT_EQ(shown_url("postgresql://user:p@ss@host/db?password=x@y"), "postgresql://host/db");
    EXPECT_EQ(shown_url("postgres:///db?host=/run&password=secret"), "postgres:///db");
    EXPECT_THAT(shown_url("postgresql://user:pa?ss@host/db"), Not(HasSubstr("pa")));
    EXPECT_THAT(shown_url("postgresql://user:pa/ss@host/db"), Not(HasSubstr("pa")));
}

TEST(CatalogTime, takes_the_forms_that_databases_and_python_write) {
    for (const char* same : {"2025-10-08T12:00:00.000000Z", "2025-10-08 12:00:00", "2025-10-08T12:00", "2025-10-08 14:00:00+02", "2025-10-08 06:30:00.0-05:30",
                             "2025-10-08T12:00:00.0000009+00:00", "2025-10-08T12:00:00z"})
        EXPECT_EQ(catalog_time(same), "2025-10-08T12:00:00.000000Z") << same;
    EXPECT_EQ(catalog_time("1969-12-31 23:59:59.5"), "1969-12-31T23:59:59.500000Z");
    for (const char* none : {"", "now", "2025-13-01 00:00:00", "2025-10-08", "2025-10-08 25:00", "2025-10-08 12:00:00 CEST", "infinity", "2025-10-08 12:00:00+2"})
        EXPECT_EQ(catalog_time(none), std::nullopt) << none;
}

}  // namespace
}  // namespace ntt::test
