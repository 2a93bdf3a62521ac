// The contract's SQL names as a user sees them, through the sqlite3 shell: columns, constraints, UPDATE of the views.
// The shell has foreign keys off, so what holds here holds by CHECKs and triggers alone.
#include <gmock/gmock.h>

#include "catalog/catalog_contract.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

class Sql : public CatalogTest {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("sqlite3");
        open({"sqlite", [](const TempDir& dir) { return "sqlite:" + dir / "catalog.db"; }});
        add(file_row(1));
        add(file_row(2));
        add(file_row(3455, 656'000));
        add(folder_row(4));
        add(path_row(1, 1, "a"));
        commit({stored(1)});
    }
    CommandResult run(const std::string& text) {
        return sh("sqlite3 " + shell_quoted(dir_ / "catalog.db") + " " + shell_quoted(text));
    }
    std::string ask(const std::string& text) {
        const CommandResult result = run(text);
        EXPECT_EQ(result.exit, 0) << text << "\n" << result.err;
        return result.out;
    }
    std::string columns(const std::string& table) {
        return ask("SELECT group_concat(name, ' ') FROM pragma_table_xinfo('" + table + "')");
    }
    // One inode's columns as the view shows them.
    std::string shown(int64_t ino, const std::string& what = "status, copied, claimed_by, cause") {
        return ask("SELECT " + what + " FROM inode WHERE medium_hash='" + kHash + "' AND ino=" + std::to_string(ino));
    }
    void update(int64_t ino, const std::string& set) {
        ask("UPDATE inode SET " + set + " WHERE medium_hash='" + kHash + "' AND ino=" + std::to_string(ino));
    }
    void expect_refused(const std::string& text, const std::string& words = "") {
        const std::string before = run(".dump").out;
        const CommandResult result = run(text);
        EXPECT_NE(result.exit, 0) << "accepted: " << text;
        EXPECT_THAT(result.err, HasSubstr(words)) << text;
        EXPECT_EQ(run(".dump").out, before) << text;
    }
    void expect_update_refused(int64_t ino, const std::string& set, const std::string& words = "") {
        expect_refused("UPDATE inode SET " + set + " WHERE medium_hash='" + kHash + "' AND ino=" + std::to_string(ino), words);
    }
};

TEST_F(Sql, the_views_show_exactly_the_contracts_columns) {
    EXPECT_EQ(columns("inode"),
              "medium_hash volume ino image_id fs_type fs_ino stream allocated dev nlink size mtime mtime_ns atime ctime crtime "
              "mode uid gid "
              "attributes target first_offset extents status copied claimed_by claimed_at blobid partial_blobid missing_bytes "
              "cause evidence "
              "error_type errors mime_type processed_at\n");
    EXPECT_EQ(columns("path"), "medium_hash volume entry ino path short_name exclude_reason\n");
    EXPECT_EQ(columns("blob_location"), "blobid kind store_id\n");
}

TEST_F(Sql, the_tables_begin_with_the_contracts_columns) {
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
    for (const auto& [table, expected] : tables) EXPECT_THAT(columns(table), ::testing::StartsWith(expected)) << table;
}

TEST_F(Sql, values_have_the_contracts_forms) {
    EXPECT_EQ(shown(1, "fs_type, copied, blobid, typeof(partial_blobid), errors, fs_ino, processed_at"),
              "f|1|" + blob_named("content").hex() + "|null|[]|1|" + kTime + "\n");
    EXPECT_EQ(ask("SELECT typeof(path), CAST(path AS TEXT) FROM path"), "blob|a\n");
    EXPECT_EQ(ask("SELECT blobid, kind, size FROM blob"), blob_named("content").hex() + "|whole|7\n");
    EXPECT_EQ(ask("SELECT * FROM blob_location"), blob_named("content").hex() + "|whole|store-1\n");
}

TEST_F(Sql, every_store_of_a_blob_is_shown) {
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(2)}, {}, kTime));
    ASSERT_OK(catalog_->requeue({kHash, 1, 1, {}, {}}));
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(1)}, {}, kTime));
    EXPECT_EQ(ask("SELECT store_id FROM blob_location ORDER BY 1"), "store-1\nstore-2\n");
}

// --- constraints (field cases E1, E2, I3) ---

TEST_F(Sql, health_is_one_of_five_words) {
    expect_refused("UPDATE medium SET health = 'banana'", "CHECK");
    expect_refused("UPDATE medium SET health = NULL", "NOT NULL");
    expect_refused("UPDATE medium SET health = 'NULL'", "CHECK");
    for (const char* health : {"ok", "incomplete", "corrupt", "failed", "unknown"})
        ask(std::string("UPDATE medium SET health = '") + health + "'");
}

TEST_F(Sql, stored_means_a_blob_and_a_blob_means_stored) {
    expect_update_refused(2, "status = 'stored', copied = 1", "stored_has_blobid");
    expect_refused("UPDATE inode_row SET status = 'unreadable', claimed_by = 'x', cause = 'IO_ERROR' WHERE ino = 1",
                   "stored_has_blobid");
    expect_refused("UPDATE inode_row SET blobid = NULL WHERE ino = 1", "stored_has_blobid");
    expect_refused("UPDATE inode_row SET blobid = x'00' WHERE ino = 1", "CHECK");
    expect_refused("UPDATE inode_row SET blobid = 'text' WHERE ino = 1");
}

TEST_F(Sql, damaged_means_a_salvaged_part) {
    expect_update_refused(2, "status = 'damaged', copied = 1, claimed_by = 'x', cause = 'IO_ERROR'",
                          "damaged_has_partial_blobid");
}

TEST_F(Sql, a_decided_inode_says_what_who_and_why) {
    expect_update_refused(2, "copied = 1", "copied_is_decided");
    expect_update_refused(2, "copied = 1, status = 'unreadable', cause = 'IO_ERROR'", "given_up_says_who");
    expect_update_refused(2, "copied = 1, status = 'unreadable', claimed_by = 'x'", "given_up_says_why");
    expect_update_refused(1, "claimed_by = 'worker-01'", "given_up_says_who");
    expect_update_refused(1, "cause = 'IO_ERROR'", "given_up_says_why");
}

TEST_F(Sql, a_file_is_not_a_nonfile_and_the_other_way_round) {
    expect_update_refused(2, "status = 'nonfile'", "only_files_have_content");
    expect_update_refused(4, "status = 'excluded'", "only_files_have_content");
    expect_update_refused(4, "status = 'pending'");
    expect_refused("UPDATE inode_row SET copied = 0 WHERE ino = 4", "nonfile_is_done");
}

TEST_F(Sql, words_outside_the_contract_are_refused) {
    for (const char* set :
         {"status = 'success'", "status = NULL", "copied = 2", "copied = NULL", "cause = 'BACKSLASH'", "error_type = 'odd'",
          "errors = 'text'", "errors = '{}'", "evidence = '{'", "missing_bytes = -1", "missing_bytes = 'many'"})
        expect_update_refused(2, set);
    for (const char* set :
         {"kind = 'floppy'", "hash_method = 'sample'", "problems = 'NULL'", "problems = '[]'", "size_bytes = -1",
          "size_bytes = 'big'", "medium_hash = 'F95834A4B718F54EDC7B549CA854AEF8'", "medium_hash = 'f95834a4'"})
        expect_refused(std::string("UPDATE medium SET ") + set);
    ask("INSERT INTO volume (medium_hash, volume, offset_bytes, size_bytes, detail) VALUES ('" + kHash + "', 1, 0, 1, '{}')");
    for (const char* set : {"role = 'data'", "outcome = 'done'", "volume = 0", "offset_bytes = -1", "detail = '{'"})
        expect_refused(std::string("UPDATE volume SET ") + set);
    ASSERT_OK(catalog_->add_events(std::vector{event(1)}));
    for (const char* set : {"action = 'diagnostic_skip'", "cause = 'EOF'", "checks = '{}'", "retry_count = -1"})
        expect_refused(std::string("UPDATE diagnostic_event SET ") + set);
    expect_refused("INSERT INTO missing_range VALUES ('" + kHash + "', 1, 1, 0, 0, NULL, 'BAD_SECTOR')");
    expect_refused("INSERT INTO missing_range VALUES ('" + kHash + "', 1, 1, 0, 1, NULL, 'BAD')");
    expect_refused("INSERT INTO finding VALUES (1, '" + kHash + "', 1, 1, 'Two Words', '', '{}', '')");
    expect_refused("UPDATE blob SET kind = 'half'");
    expect_refused("UPDATE blob SET size = -1");
}

TEST_F(Sql, every_cause_of_the_program_is_known_to_every_table) {
    for (int i = 0; i <= static_cast<int>(Cause::PARSER_TIMEOUT); ++i) {
        const std::string cause(to_string(static_cast<Cause>(i)));
        update(2, "cause = '" + cause + "'");
        ask("INSERT INTO missing_range VALUES ('" + kHash + "', 1, 2, 0, 1, NULL, '" + cause + "')");
        ask("INSERT INTO diagnostic_event VALUES (NULL, '" + kHash + "', 1, 2, 1, '[]', 'skipped', '" + cause +
            "', '{}', NULL, NULL, 'w', '')");
    }
}

TEST_F(Sql, rows_of_the_views_can_be_neither_deleted_nor_inserted) {
    expect_refused("DELETE FROM inode", "cannot modify inode");
    expect_refused("DELETE FROM path", "cannot modify path");
    expect_refused("INSERT INTO inode (medium_hash, volume, ino) VALUES ('" + kHash + "', 1, 9)", "cannot modify inode");
    expect_refused("INSERT INTO path (medium_hash, volume, entry, ino, path) VALUES ('" + kHash + "', 1, 9, 9, x'61')",
                   "cannot modify path");
}

TEST_F(Sql, a_reference_to_a_blob_or_medium_that_is_not_there_is_refused_where_foreign_keys_are_on) {
    expect_refused("PRAGMA foreign_keys = ON; UPDATE inode_row SET status = 'stored', blobid = zeroblob(32) WHERE ino = 2",
                   "FOREIGN KEY");
    expect_refused("PRAGMA foreign_keys = ON; DELETE FROM blob", "FOREIGN KEY");
    expect_refused("PRAGMA foreign_keys = ON; DELETE FROM medium", "FOREIGN KEY");
}

TEST_F(Sql, a_row_whose_blob_is_gone_is_found) {
    ask("DELETE FROM blob");
    ASSERT_OK_ASSIGN(const auto problems, catalog_->rows_without_blob(10));
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(problems[0].ino, 1);
    EXPECT_EQ(problems[0].medium_hash, kHash);
    EXPECT_EQ(problems[0].blobid, blob_named("content"));
    EXPECT_EQ(problems[0].kind, BlobKind::whole);
}

// --- UPDATE ---

TEST_F(Sql, the_missions_reset_puts_an_inode_back_into_the_queue_whatever_it_was) {
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

TEST_F(Sql, a_reset_of_a_whole_medium_leaves_folders_alone) {
    ask("UPDATE inode SET copied = 0, claimed_by = NULL, status = status WHERE medium_hash = '" + kHash + "'");
    EXPECT_EQ(shown(4), "nonfile|1|NON_FILE|\n");
    EXPECT_EQ(totals().pending, 3u);
    EXPECT_EQ(totals().nonfile, 1u);
}

TEST_F(Sql, the_missions_skip_becomes_an_outcome) {
    update(3455, "copied = true, claimed_by = 'DIAGNOSTIC_SKIP:BEYOND_EOF'");
    EXPECT_EQ(shown(3455), "unreadable|1|DIAGNOSTIC_SKIP:BEYOND_EOF|BEYOND_EOF\n");
    EXPECT_EQ(get(3455).missing_bytes, 656'000u);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 3455));
    ASSERT_EQ(ranges.size(), 1u);
    EXPECT_EQ(ranges[0].length, 656'000u);
    update(2, "copied = 1, claimed_by = 'EXCLUDED: by hand'");
    EXPECT_EQ(shown(2), "excluded|1|EXCLUDED: by hand|\n");
    const Totals all = totals();
    EXPECT_EQ(all.unreadable, 1u);
    EXPECT_EQ(all.excluded, 1u);
    EXPECT_EQ(all.pending, 0u);
}

TEST_F(Sql, a_skip_with_a_cause_that_is_not_one_is_refused) {
    expect_update_refused(2, "copied = 1, claimed_by = 'DIAGNOSTIC_SKIP:WHATEVER'", "CHECK");
}

TEST_F(Sql, a_stored_inode_set_to_pending_by_hand_lets_go_of_its_blobid) {
    update(1, "status = 'pending', copied = 0");
    EXPECT_EQ(shown(1, "status, copied, blobid IS NULL"), "pending|0|1\n");
}

TEST_F(Sql, only_what_makes_sense_can_be_set) {
    for (const char* set :
         {"size = 1", "ino = 9", "volume = 2", "medium_hash = 'x'", "extents = NULL", "fs_type = 'd'", "fs_ino = '7'",
          "blobid = '"
          "0000000000000000000000000000000000000000000000000000000000000000"
          "'",
          "mtime = 1"})
        expect_update_refused(2, set, "cannot be set");
    update(2,
           "mime_type = 'text/plain', evidence = '{\"seen\":true}', error_type = 'io_error', errors = '[\"x\"]', cause = "
           "'IO_ERROR'");
    EXPECT_EQ(shown(2, "mime_type, evidence, error_type, errors, cause"),
              "text/plain|{\"seen\":true}|io_error|[\"x\"]|IO_ERROR\n");
    ask("UPDATE path SET exclude_reason = 'pattern_match'");
    EXPECT_EQ(ask("SELECT exclude_reason FROM path"), "pattern_match\n");
    expect_refused("UPDATE path SET path = x'62'", "only exclude_reason");
}

TEST_F(Sql, an_update_reaches_its_rows_by_index) {
    const std::string plan =
        ask("EXPLAIN QUERY PLAN SELECT copied, claimed_by FROM inode WHERE medium_hash='" + kHash + "' AND ino=3455");
    EXPECT_THAT(plan, HasSubstr("USING INDEX sqlite_autoindex_inode_row_1 (medium=? AND ino=?)"));
}

}  // namespace
}  // namespace ntt::test
