// The contract's SQL names as a user sees them, through sqlite3 and psql: columns, constraints, UPDATE of the views. One suite
// for both databases, and below it what only one of them has. The sqlite3 shell has foreign keys off, so what holds there holds
// by CHECKs and triggers alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "catalog/catalog_contract.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Words of an error in one form: "NOT NULL constraint failed" and "violates not-null constraint" have "not null constraint".
std::string plain(std::string words) {
    std::transform(words.begin(), words.end(), words.begin(),
                   [](char c) { return c == '-' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return words;
}

const std::string kOfMedium = " WHERE medium_hash='" + kHash + "'";

class Sql : public CatalogTest, public ::testing::WithParamInterface<CatalogKind> {
protected:
    void SetUp() override {
        if (is_postgres()) NTT_NEED_POSTGRES();
        NTT_NEED_TOOL(is_postgres() ? "psql" : "sqlite3");
        open(GetParam());
        add(file_row(1));
        add(file_row(2));
        add(file_row(3455, 656'000));
        add(folder_row(4));
        add(path_row(1, 1, "a"));
        commit({stored(1)});
    }
    bool is_postgres() const { return GetParam().name == "postgres"; }
    const char* yes() const { return is_postgres() ? "t" : "1"; }
    const char* no() const { return is_postgres() ? "f" : "0"; }
    std::string bytes(const std::string& hex) const { return (is_postgres() ? "'\\x" : "x'") + hex + "'"; }

    CommandResult run(const std::string& text) {
        return is_postgres() ? psql(url_, text) : sh("sqlite3 " + shell_quoted(dir_ / "catalog.db") + " " + shell_quoted(text));
    }
    std::string ask(const std::string& text) {
        const CommandResult result = run(text);
        EXPECT_EQ(result.exit, 0) << text << "\n" << result.err;
        return result.out;
    }
    std::string columns(const std::string& table) {
        return ask(is_postgres() ? "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '" +
                                       table + "'::regclass AND attnum > 0"
                                 : "SELECT group_concat(name, ' ') FROM pragma_table_xinfo('" + table + "')");
    }
    // All that the catalog holds.
    std::string contents() {
        return ask(is_postgres() ? "TABLE medium; TABLE inode_row; TABLE path_row; TABLE missing_range; TABLE finding; TABLE "
                                   "diagnostic_event; TABLE blob_row; "
                                   "TABLE blob_elsewhere; TABLE volume; TABLE image"
                                 : ".dump");
    }
    // One inode's columns as the view shows them.
    std::string shown(int64_t ino, const std::string& what = "status, copied, claimed_by, cause") {
        return ask("SELECT " + what + " FROM inode" + kOfMedium + " AND ino=" + std::to_string(ino));
    }
    static std::string update_of(int64_t ino, const std::string& set) {
        return "UPDATE inode SET " + set + kOfMedium + " AND ino=" + std::to_string(ino);
    }
    void update(int64_t ino, const std::string& set) { ask(update_of(ino, set)); }
    void expect_all_refused(const std::vector<std::string>& statements, const std::string& words = "") {
        const std::string before = contents();
        for (const std::string& text : statements) {
            const CommandResult result = run(text);
            EXPECT_NE(result.exit, 0) << "accepted: " << text;
            EXPECT_THAT(plain(result.err), HasSubstr(words)) << text;
        }
        EXPECT_EQ(contents(), before) << statements.front();
    }
    void expect_refused(const std::string& text, const std::string& words = "") { expect_all_refused({text}, words); }
    void expect_update_refused(int64_t ino, const std::string& set, const std::string& words = "") {
        expect_refused(update_of(ino, set), words);
    }
};
class SqliteSql : public Sql {};
class PostgresSql : public Sql {};

const CatalogKind kSqlite{"sqlite", [](const TempDir& dir) { return "sqlite:" + dir / "catalog.db"; }};
const CatalogKind kPostgres{"postgres", [](const TempDir& dir) { return postgres_url(dir); }};
INSTANTIATE_TEST_SUITE_P(, Sql, ::testing::Values(kSqlite, kPostgres), [](const auto& kind) { return kind.param.name; });
INSTANTIATE_TEST_SUITE_P(, SqliteSql, ::testing::Values(kSqlite), [](const auto& kind) { return kind.param.name; });
INSTANTIATE_TEST_SUITE_P(, PostgresSql, ::testing::Values(kPostgres), [](const auto& kind) { return kind.param.name; });

TEST_P(Sql, the_views_show_exactly_the_contracts_columns) {
    EXPECT_EQ(columns("inode"),
              "medium_hash volume ino image_id fs_type fs_ino stream allocated dev nlink size mtime mtime_ns atime ctime crtime "
              "mode uid gid "
              "attributes target first_offset extents status copied claimed_by claimed_at blobid partial_blobid missing_bytes "
              "cause evidence "
              "error_type errors mime_type processed_at\n");
    EXPECT_EQ(columns("path"), "medium_hash volume entry ino path short_name exclude_reason\n");
    EXPECT_EQ(columns("blob_location"), "blobid kind store_id\n");
}

TEST_P(Sql, the_tables_begin_with_the_contracts_columns) {
    const std::pair<const char*, const char*> tables[] = {
        {"medium",
         "medium_hash medium_human kind image_path map_path size_bytes hash_method health rescued_bytes message added_at "
         "enum_done "
         "copy_done problems diagnostics"},
        {"medium_relation", "medium_hash kind other_hash detail"},
        {"image", "image_id medium_hash path format size_bytes digest map_path map_digest rescued_bytes added_at"},
        {"volume", "medium_hash volume image_id offset_bytes size_bytes view role fs_type label uuid outcome detail"},
        {"missing_range", "medium_hash volume ino file_offset length image_offset cause"},
        {"finding", "id medium_hash volume ino code message evidence at"},
        {"blob", "blobid kind size first_seen last_verified"},
        {"diagnostic_event",
         "id medium_hash volume ino retry_count checks action cause evidence exception_type exception_msg worker_id timestamp"},
        {"schema_migration", "version name digest applied_at"},
    };
    for (const auto& [table, expected] : tables) EXPECT_THAT(columns(table), StartsWith(expected)) << table;
}

TEST_P(Sql, values_have_the_contracts_forms) {
    EXPECT_EQ(shown(1, "fs_type, copied, blobid, partial_blobid IS NULL, fs_ino"),
              std::string("f|") + yes() + "|" + blob_named("content").hex() + "|" + yes() + "|1\n");
    EXPECT_EQ(ask("SELECT blobid, kind, size FROM blob"), blob_named("content").hex() + "|whole|7\n");
    EXPECT_EQ(ask("SELECT * FROM blob_location"), blob_named("content").hex() + "|whole|store-1\n");
}

TEST_P(Sql, every_store_of_a_blob_is_shown) {
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(2)}, {}, kTime));
    ASSERT_OK(catalog_->requeue({kHash, 1, 1, {}, {}}));
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(1)}, {}, kTime));
    EXPECT_EQ(ask("SELECT store_id FROM blob_location ORDER BY 1"), "store-1\nstore-2\n");
}

// --- constraints (field cases E1, E2, I3) ---

TEST_P(Sql, health_is_one_of_five_words) {
    expect_refused("UPDATE medium SET health = 'banana'", "check constraint");
    expect_refused("UPDATE medium SET health = NULL", "not null constraint");
    expect_refused("UPDATE medium SET health = 'NULL'", "check constraint");
    for (const char* health : {"ok", "incomplete", "corrupt", "failed", "unknown"})
        ask(std::string("UPDATE medium SET health = '") + health + "'");
}

TEST_P(Sql, stored_means_a_blob_and_a_blob_means_stored) {
    expect_update_refused(2, "status = 'stored', copied = true", "stored_has_blobid");
    expect_all_refused({"UPDATE inode_row SET status = 'unreadable', claimed_by = 'x', cause = 'IO_ERROR' WHERE ino = 1",
                        "UPDATE inode_row SET blobid = NULL WHERE ino = 1"},
                       "stored_has_blobid");
    expect_refused("UPDATE inode_row SET blobid = " + bytes("00") + " WHERE ino = 1", "check constraint");
    expect_refused("UPDATE inode_row SET blobid = 'text' WHERE ino = 1");
}

TEST_P(Sql, damaged_means_a_salvaged_part) {
    expect_update_refused(2, "status = 'damaged', copied = true, claimed_by = 'x', cause = 'IO_ERROR'",
                          "damaged_has_partial_blobid");
}

TEST_P(Sql, a_decided_inode_says_what_who_and_why) {
    expect_update_refused(2, "copied = true", "copied_is_decided");
    expect_update_refused(2, "copied = true, status = 'unreadable', cause = 'IO_ERROR'", "given_up_says_who");
    expect_update_refused(2, "copied = true, status = 'unreadable', claimed_by = 'x'", "given_up_says_why");
    expect_update_refused(1, "claimed_by = 'worker-01'", "given_up_says_who");
    expect_update_refused(1, "cause = 'IO_ERROR'", "given_up_says_why");
}

TEST_P(Sql, a_file_is_not_a_nonfile_and_the_other_way_round) {
    expect_update_refused(2, "status = 'nonfile'", "check constraint");
    expect_update_refused(4, "status = 'excluded'", "only_files_have_content");
    expect_update_refused(4, "status = 'pending'", "check constraint");
    expect_refused("UPDATE inode_row SET copied = false WHERE ino = 4", "nonfile_is_done");
}

TEST_P(Sql, words_outside_the_contract_are_refused) {
    std::vector<std::string> statements;
    for (const char* set :
         {"status = 'success'", "status = NULL", "copied = 2", "copied = NULL", "cause = 'BACKSLASH'", "error_type = 'odd'",
          "errors = 'text'", "evidence = '{'", "missing_bytes = -1", "missing_bytes = 'many'"})
        statements.push_back(update_of(2, set));
    statements.push_back(update_of(2, is_postgres() ? "errors = '[]'" : "errors = '{}'"));
    for (const char* set :
         {"kind = 'floppy'", "hash_method = 'sample'", "problems = 'NULL'", "problems = '[]'", "size_bytes = -1",
          "size_bytes = 'big'", "medium_hash = 'F95834A4B718F54EDC7B549CA854AEF8'", "medium_hash = 'f95834a4'"})
        statements.push_back(std::string("UPDATE medium SET ") + set);
    ask("INSERT INTO volume (medium_hash, volume, offset_bytes, size_bytes, detail) VALUES ('" + kHash + "', 1, 0, 1, '{}')");
    for (const char* set : {"role = 'data'", "outcome = 'done'", "volume = 0", "offset_bytes = -1", "detail = '{'"})
        statements.push_back(std::string("UPDATE volume SET ") + set);
    ASSERT_OK(catalog_->add_events(std::vector{event(1)}));
    for (const char* set : {"action = 'diagnostic_skip'", "cause = 'EOF'", "checks = '{}'", "retry_count = -1"})
        statements.push_back(std::string("UPDATE diagnostic_event SET ") + set);
    statements.push_back("INSERT INTO missing_range VALUES ('" + kHash + "', 1, 1, 0, 0, NULL, 'BAD_SECTOR')");
    statements.push_back("INSERT INTO missing_range VALUES ('" + kHash + "', 1, 1, 0, 1, NULL, 'BAD')");
    statements.push_back("INSERT INTO finding VALUES (1, '" + kHash + "', 1, 1, 'Two Words', '', '{}', '" + kTime + "')");
    statements.push_back("UPDATE blob SET kind = 'half'");
    statements.push_back("UPDATE blob SET size = -1");
    expect_all_refused(statements);
}

TEST_P(Sql, every_cause_of_the_program_is_known_to_every_table) {
    std::string script;
    for (int i = 0; i <= static_cast<int>(Cause::PARSER_TIMEOUT); ++i) {
        const std::string cause(to_string(static_cast<Cause>(i)));
        script += update_of(2, "cause = '" + cause + "'") + ";\n";
        script += "INSERT INTO missing_range VALUES ('" + kHash + "', 1, 2, 0, 1, NULL, '" + cause + "');\n";
        script +=
            "INSERT INTO diagnostic_event (medium_hash, volume, ino, retry_count, checks, action, cause, evidence, worker_id, "
            "timestamp) VALUES ('" +
            kHash + "', 1, 2, 1, '[]', 'skipped', '" + cause + "', '{}', 'w', '" + kTime + "');\n";
    }
    ask(script);
    EXPECT_EQ(ask("SELECT count(*) FROM diagnostic_event"), std::to_string(static_cast<int>(Cause::PARSER_TIMEOUT) + 1) + "\n");
}

TEST_P(Sql, rows_of_the_views_can_be_neither_deleted_nor_inserted) {
    expect_all_refused(
        {"DELETE FROM inode", "DELETE FROM path", "INSERT INTO inode (medium_hash, volume, ino) VALUES ('" + kHash + "', 1, 9)",
         "INSERT INTO path (medium_hash, volume, entry, ino, path) VALUES ('" + kHash + "', 1, 9, 9, " + bytes("61") + ")"},
        " view");
}

TEST_P(Sql, a_row_whose_blob_is_gone_is_found) {
    ask(is_postgres() ? "ALTER TABLE blob_row DISABLE TRIGGER never_deleted; DELETE FROM blob_row" : "DELETE FROM blob");
    ASSERT_OK_ASSIGN(const auto problems, catalog_->rows_without_blob(10));
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(problems[0].ino, 1);
    EXPECT_EQ(problems[0].medium_hash, kHash);
    EXPECT_EQ(problems[0].blobid, blob_named("content"));
    EXPECT_EQ(problems[0].kind, BlobKind::whole);
}

// --- UPDATE ---

TEST_P(Sql, the_missions_reset_puts_an_inode_back_into_the_queue_whatever_it_was) {
    InodeRow errors = file_row(5);
    errors.errors = {"1", "2", "3", "4", "5"};
    add(errors);
    ASSERT_OK(catalog_->give_up_on_errors(medium_, 5, kTime));
    commit({unreadable(3455, Cause::BEYOND_EOF, {{0, 656'000, 0, Cause::BEYOND_EOF}})});
    for (const int64_t ino : {1, 5, 3455}) {
        update(ino, "copied = false, claimed_by = NULL");
        EXPECT_EQ(get(ino).counted_as(), Status::pending) << ino;
    }
    EXPECT_EQ(totals().pending, 4u);
    ASSERT_OK_ASSIGN(const uint64_t given_up, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(given_up, 0u) << "errors from before the reset do not count";
    EXPECT_EQ(get(5).errors.size(), 5u);
    EXPECT_EQ(get(5).cause, std::nullopt) << "what the host said is forgotten";
    EXPECT_EQ(get(3455).cause, Cause::BEYOND_EOF) << "what the image says stays";
    EXPECT_EQ(get(1).blobid, blob_named("content")) << "known until the outcome is known anew";
    commit({stored(1), stored(5), stored(3455)});
    EXPECT_EQ(totals().stored, 3u);
}

TEST_P(Sql, the_reset_forgets_the_hosts_ranges_and_keeps_the_images) {
    commit({damaged(3455, Cause::BAD_SECTOR, {{0, 512, 0, Cause::BAD_SECTOR}, {1024, 4096, 1024, Cause::IO_ERROR}})});
    update(3455, "copied = false, claimed_by = NULL");
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 3455));
    EXPECT_EQ(ranges, (std::vector<MissingRow>{{0, 512, 0, Cause::BAD_SECTOR}}));
    EXPECT_EQ(shown(3455, "copied, claimed_by, cause, missing_bytes, claimed_at"), std::string(no()) + "||BAD_SECTOR|512|\n");
}

TEST_P(Sql, a_reset_of_a_whole_medium_leaves_folders_alone) {
    ask("UPDATE inode SET copied=false, claimed_by=NULL" + kOfMedium);
    EXPECT_EQ(shown(4), std::string("nonfile|") + yes() + "|NON_FILE|\n");
    EXPECT_EQ(totals().pending, 3u);
    EXPECT_EQ(totals().nonfile, 1u);
}

TEST_P(Sql, a_claim_takes_an_inode_out_of_the_queue_and_the_reset_puts_it_back) {
    update(2, "claimed_by = 'worker-01', claimed_at = '" + kTime + "'");
    ASSERT_OK_ASSIGN(const auto claimed, catalog_->pending_rows(medium_));
    EXPECT_EQ(claimed.size(), 1u);
    EXPECT_EQ(totals().pending, 2u) << "it is still to be done";
    update(2, "copied = false, claimed_by = NULL");
    ASSERT_OK_ASSIGN(const auto pending, catalog_->pending_rows(medium_));
    EXPECT_EQ(pending.size(), 2u);
    EXPECT_EQ(shown(2, "claimed_at IS NULL"), std::string(yes()) + "\n");
}

TEST_P(Sql, the_missions_skip_becomes_an_outcome) {
    update(3455, "copied = true, claimed_by = 'DIAGNOSTIC_SKIP:BEYOND_EOF'");
    EXPECT_EQ(shown(3455), std::string("unreadable|") + yes() + "|DIAGNOSTIC_SKIP:BEYOND_EOF|BEYOND_EOF\n");
    EXPECT_EQ(get(3455).missing_bytes, 656'000u);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 3455));
    ASSERT_EQ(ranges.size(), 1u);
    EXPECT_EQ(ranges[0].length, 656'000u);
    update(2, "copied = true, claimed_by = 'EXCLUDED: by hand'");
    EXPECT_EQ(shown(2), std::string("excluded|") + yes() + "|EXCLUDED: by hand|\n");
    const Totals all = totals();
    EXPECT_EQ(all.unreadable, 1u);
    EXPECT_EQ(all.excluded, 1u);
    EXPECT_EQ(all.pending, 0u);
}

TEST_P(Sql, a_skip_of_a_damaged_inode_keeps_its_salvaged_part) {
    commit({damaged(3455, Cause::BEYOND_EOF, {{430'592, 225'408, 430'592, Cause::BEYOND_EOF}})});
    update(3455, "copied = false, claimed_by = NULL");
    update(3455, "copied = true, claimed_by = 'DIAGNOSTIC_SKIP:BEYOND_EOF'");
    EXPECT_EQ(shown(3455, "status, cause, missing_bytes, partial_blobid"),
              "damaged|BEYOND_EOF|225408|" + blob_named("salvaged").hex() + "\n");
}

TEST_P(Sql, a_skip_with_a_cause_that_is_not_one_is_refused) {
    expect_update_refused(2, "copied = true, claimed_by = 'DIAGNOSTIC_SKIP:WHATEVER'", "check constraint");
}

TEST_P(Sql, a_stored_inode_set_to_pending_by_hand_lets_go_of_its_blobid) {
    update(1, "status = 'pending', copied = false");
    EXPECT_EQ(shown(1, "status, copied, blobid IS NULL"), std::string("pending|") + no() + "|" + yes() + "\n");
}

TEST_P(Sql, only_what_makes_sense_can_be_set) {
    std::vector<std::string> statements;
    for (const char* set :
         {"size = 1", "ino = 9", "volume = 2", "medium_hash = 'x'", "extents = NULL", "fs_type = 'd'", "fs_ino = '7'",
          "blobid = '"
          "0000000000000000000000000000000000000000000000000000000000000000"
          "'",
          "mtime = 1"})
        statements.push_back(update_of(2, set));
    expect_all_refused(statements, "cannot be set");
    const std::string list = is_postgres() ? "{x}" : "[\"x\"]", object = is_postgres() ? "{\"seen\": true}" : "{\"seen\":true}";
    update(2, "mime_type = 'text/plain', evidence = '" + object + "', error_type = 'io_error', errors = '" + list +
                  "', cause = 'IO_ERROR'");
    EXPECT_EQ(shown(2, "mime_type, evidence, error_type, errors, cause"),
              "text/plain|" + object + "|io_error|" + list + "|IO_ERROR\n");
    ask("UPDATE path SET exclude_reason = 'pattern_match'");
    EXPECT_EQ(ask("SELECT exclude_reason FROM path"), "pattern_match\n");
    expect_refused("UPDATE path SET path = " + bytes("62"), "only exclude_reason");
}

// --- SQLite alone ---

TEST_P(SqliteSql, arrays_and_times_are_text_and_paths_are_blobs) {
    EXPECT_EQ(shown(1, "typeof(partial_blobid), errors, typeof(errors), processed_at"), "null|[]|text|" + kTime + "\n");
    EXPECT_EQ(ask("SELECT typeof(path), CAST(path AS TEXT) FROM path"), "blob|a\n");
}

TEST_P(SqliteSql, a_reference_to_a_blob_or_medium_that_is_not_there_is_refused_where_foreign_keys_are_on) {
    expect_all_refused({"PRAGMA foreign_keys = ON; UPDATE inode_row SET status = 'stored', blobid = zeroblob(32) WHERE ino = 2",
                        "PRAGMA foreign_keys = ON; DELETE FROM blob", "PRAGMA foreign_keys = ON; DELETE FROM medium"},
                       "foreign key constraint");
}

TEST_P(SqliteSql, an_update_reaches_its_rows_by_index) {
    const std::string plan = ask("EXPLAIN QUERY PLAN SELECT copied, claimed_by FROM inode" + kOfMedium + " AND ino=3455");
    EXPECT_THAT(plan, HasSubstr("USING INDEX sqlite_autoindex_inode_row_1 (medium=? AND ino=?)"));
}

// --- PostgreSQL alone ---

TEST_P(PostgresSql, columns_have_the_contracts_types) {
    const auto types = [this](const std::string& table) {
        return ask(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE "
            "attrelid = '" +
            table + "'::regclass AND attnum > 0");
    };
    const std::string time = "timestamp with time zone";
    EXPECT_EQ(types("inode"),
              "medium_hash text, volume integer, ino bigint, image_id bigint, fs_type character(1), fs_ino text, stream text, "
              "allocated boolean, dev bigint, "
              "nlink integer, size bigint, mtime bigint, mtime_ns integer, atime bigint, ctime bigint, crtime bigint, mode "
              "integer, uid bigint, gid bigint, "
              "attributes integer, target bytea, first_offset bigint, extents bytea, status text, copied boolean, claimed_by "
              "text, claimed_at " +
                  time +
                  ", blobid text, partial_blobid text, missing_bytes bigint, cause text, evidence jsonb, error_type text, errors "
                  "text[], mime_type text, processed_at " +
                  time + "\n");
    EXPECT_EQ(types("path"),
              "medium_hash text, volume integer, entry bigint, ino bigint, path bytea, short_name bytea, exclude_reason text\n");
    EXPECT_THAT(types("medium"),
                StartsWith("medium_hash text, medium_human text, kind text, image_path text, map_path text, size_bytes bigint, "
                           "hash_method text, health text, "
                           "rescued_bytes bigint, message text, added_at " +
                           time + ", enum_done " + time + ", copy_done " + time + ", problems jsonb, diagnostics jsonb"));
    // cause_code is text.
    EXPECT_EQ(types("missing_range"),
              "medium_hash text, volume integer, ino bigint, file_offset bigint, length bigint, image_offset bigint, cause "
              "cause_code\n");
    EXPECT_EQ(
        types("finding"),
        "id bigint, medium_hash text, volume integer, ino bigint, code text, message text, evidence jsonb, at " + time + "\n");
    EXPECT_EQ(types("diagnostic_event"),
              "id bigint, medium_hash text, volume integer, ino bigint, retry_count integer, checks jsonb, action text, cause "
              "cause_code, evidence jsonb, "
              "exception_type text, exception_msg text, worker_id text, timestamp " +
                  time + "\n");
    EXPECT_EQ(types("blob"), "blobid text, kind text, size bigint, first_seen " + time + ", last_verified " + time + "\n");
    EXPECT_EQ(types("schema_migration"), "version integer, name text, digest text, applied_at " + time + "\n");
}

TEST_P(PostgresSql, errors_are_an_array_that_the_predecessors_sql_appends_to) {
    EXPECT_EQ(shown(2, "errors, cardinality(errors)"), "{}|0\n");
    update(2, "errors = array_append(errors, 'Input/output error')");
    update(2, "errors = errors || ARRAY['a \"second\" one, with {braces}']");
    EXPECT_EQ(shown(2, "errors[1]"), "Input/output error\n");
    EXPECT_EQ(get(2).errors, (std::vector<std::string>{"Input/output error", "a \"second\" one, with {braces}"}));
}

TEST_P(PostgresSql, times_and_bytes_are_compared_as_such) {
    EXPECT_EQ(shown(1, "processed_at = '2025-10-08 14:00+02', extract(year FROM processed_at)"), "t|2025\n");
    EXPECT_EQ(ask("SELECT convert_from(path, 'UTF8'), path = '\\x61', octet_length(path) FROM path"), "a|t|1\n");
}

TEST_P(PostgresSql, a_reference_to_a_medium_that_is_not_there_is_refused) {
    expect_refused("INSERT INTO missing_range VALUES ('" + kOtherHash + "', 1, 1, 0, 1, NULL, 'BAD_SECTOR')", "foreign key constraint");
}

TEST_P(PostgresSql, what_others_name_is_never_deleted) {
    expect_refused("DELETE FROM blob", "records are never deleted");
    for (const std::string table : {"medium", "store", "blob_row", "inode_row", "path_row", "image", "volume", "finding", "diagnostic_event"}) {
        expect_refused("DELETE FROM " + table, "records are never deleted");
        expect_refused("TRUNCATE " + table + " CASCADE", "records are never deleted");
    }
}

TEST_P(PostgresSql, the_keys_by_which_others_name_a_row_stay) {
    for (const std::string text : {"UPDATE medium SET medium_key = 77", "UPDATE store SET store = 77", "UPDATE blob SET kind = 'partial'", "UPDATE blob SET size = 0"})
        expect_refused(text, "what other rows name cannot be changed");
    ask("UPDATE medium SET medium_human = 'Bob'; UPDATE blob SET last_verified = now()");
}

TEST_P(PostgresSql, an_update_of_what_a_worker_committed_meanwhile_is_refused) {
    for (const std::string set : {"mime_type = 'text/plain'", "copied = true, claimed_by = 'DIAGNOSTIC_SKIP:BEYOND_EOF'"}) {
        ASSERT_OK(catalog_->requeue({kHash, {}, {}, {}, {}}));
        const std::string one = shown(1);
        PsqlInSteps holder(url_, "BEGIN; SELECT 1 FROM inode_row WHERE ino = 1 FOR UPDATE", "COMMIT");
        // It sees 2 pending, waits at 1, and comes to 2 when that is stored.
        CommandResult updated;
        const std::string update = "UPDATE inode SET " + set + kOfMedium + " AND ino IN (1, 2)";
        std::thread user([&] { updated = run(update); });
        while (ask("SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE NOT l.granted AND a.query LIKE 'UPDATE inode SET%' "
                   "AND l.transactionid IS NOT NULL") == "0\n")
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        commit({stored(2)});
        EXPECT_EQ(holder.finish().exit, 0);
        user.join();
        EXPECT_NE(updated.exit, 0);
        EXPECT_THAT(updated.err, HasSubstr("changed meanwhile"));
        EXPECT_EQ(shown(2), "stored|t||\n");
        EXPECT_EQ(shown(1), one) << "all of the statement is undone";
    }
}

TEST_P(PostgresSql, an_update_reaches_its_rows_by_index) {
    // However small the tables are.
    const std::string plan =
        ask("SET enable_seqscan = off; EXPLAIN SELECT copied, claimed_by FROM inode" + kOfMedium + " AND ino=3455");
    EXPECT_THAT(plan, HasSubstr("inode_row_pkey on inode_row"));
    EXPECT_THAT(plan, HasSubstr("AND (ino = 3455)"));
    EXPECT_THAT(plan, HasSubstr("medium_medium_hash_key on medium"));
}

}  // namespace
}  // namespace ntt::test
