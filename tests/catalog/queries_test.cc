// Every SQLite statement of docs/queries.md runs on a filled catalog, and the ones with a known answer give it.
#include <gmock/gmock.h>

#include "catalog/catalog_contract.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

// The ```sql blocks of a Markdown text.
std::vector<std::string> sql_blocks(const std::string& text) {
    std::vector<std::string> out;
    const std::string fence = "\n```sql\n";
    for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at)) {
        at += fence.size();
        out.push_back(text.substr(at, text.find("\n```\n", at) - at));
    }
    return out;
}

class Queries : public CatalogTest {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("sqlite3");
        open({"sqlite", [](const TempDir& dir) { return "sqlite:" + dir / "catalog.db"; }});
        text_ = read_file(std::string(NTT_DOCS_DIR) + "/queries.md");
        ImageRow image;
        image.medium_hash = kHash;
        image.path = "/images/a.img";
        image.format = "raw";
        image.digest = std::string(64, 'a');
        image.added_at = kTime;
        ASSERT_OK(catalog_->add_image(image));
        VolumeRow volume;
        volume.medium_hash = kHash;
        volume.volume = 1;
        ASSERT_OK(catalog_->put_volume(volume));
        fill();
        ASSERT_OK_ASSIGN(medium_, catalog_->add_medium(medium_row(kOtherHash, "another")));
        add(file_row(1));
        add(path_row(1, 1, "a copy"));
        commit({stored(1)});
    }
    void fill() {
        for (const int64_t ino : {1, 12, 13, 14}) add(file_row(ino));
        add(file_row(3455, 656'000));
        add(folder_row(4));
        add(path_row(1, 1, "whole.txt"));
        add(path_row(2, 3455, "AliciaMainList.xls"));
        add(path_row(3, 12, "waits.txt"));
        add(path_row(4, 13, "twice"));
        add(path_row(5, 14, "twice"));
        PathRow excluded = path_row(6, 12, "cache/waits.txt");
        excluded.exclude_reason = "pattern_match";
        add(excluded);
        CopyOutcome failed = unreadable(14, Cause::IO_ERROR, {{0, 1000, 0, Cause::IO_ERROR}});
        failed.error = "50 attempts, last: Input/output error at 0";
        commit({stored(1), damaged(3455, Cause::BEYOND_EOF, {{430'592, 225'408, 430'592, Cause::BEYOND_EOF}}),
                unreadable(13, Cause::NOT_TRIED, {{0, 1000, 0, Cause::NOT_TRIED}}), failed},
               {event(3455), event(13, "continuing"), event(14, "max_retries")});
        EventRow now = event(14, "remounted");
        now.timestamp = iso8601_utc(Clock::system().wall_us());
        ASSERT_OK(catalog_->add_events(std::span(&now, 1)));
        MediumRow medium = medium_row(kHash);
        medium.problems = R"({"beyond_eof_detected":true})";
        ASSERT_OK(catalog_->update_medium(medium));
        ASSERT_OK(catalog_->rebuild_problem_events(kHash));
        ASSERT_OK(catalog_->add_finding(medium_, Finding{"duplicate_entry", "twice", "{}", 1, 14}, kTime));
    }
    std::string ask(const std::string& sql) {
        return must("sqlite3 " + shell_quoted(dir_ / "catalog.db") + " " + shell_quoted(sql));
    }
    // The answer of the one block that holds `words`.
    std::string answer(const std::string& words) {
        for (const std::string& block : sql_blocks(text_))
            if (block.find(words) != std::string::npos) return ask(block);
        ADD_FAILURE() << "no block with " << words;
        return "";
    }
    std::string text_;
};

TEST_F(Queries, every_block_runs) {
    const auto blocks = sql_blocks(text_);
    EXPECT_GE(blocks.size(), 25u);
    for (const std::string& block : blocks) {
        const CommandResult result = sh("sqlite3 -bail " + shell_quoted(dir_ / "catalog.db") + " " + shell_quoted(block));
        EXPECT_EQ(result.exit, 0) << block << "\n" << result.err;
    }
}

TEST_F(Queries, every_question_finds_something_but_the_checks) {
    for (const std::string& block : sql_blocks(text_)) {
        if (block.starts_with("UPDATE")) continue;
        const bool is_check = block.find("foreign_key_check") != std::string::npos;
        EXPECT_EQ(ask(block).empty(), is_check) << block;
    }
}

TEST_F(Queries, answers_are_right) {
    EXPECT_EQ(answer("AS pending"),
              kOtherHash + "|another|corrupt|1|1|0|0|0|0|0\n" + kHash + "|AliciaMainList|corrupt|6|1|1|2|0|1|1\n");
    EXPECT_THAT(answer("AS event_count"), HasSubstr(kHash + "|AliciaMainList|4|["));
    EXPECT_EQ(answer("event.value ->> 'action'"), "continuing|1\nmax_retries|1\nremounted|1\nskipped|1\n");
    EXPECT_EQ(answer("json_each(e.checks)"), "mount_check:ok|4\ndetected_beyond_eof|4\n");
    EXPECT_THAT(answer("'-24 hours'"), HasSubstr("remounted"));
    EXPECT_THAT(answer("'-24 hours'"), ::testing::Not(HasSubstr("max_retries")));
    EXPECT_EQ(answer("i.cause = 'BEYOND_EOF'"), kHash + "|AliciaMainList|430592|1\n");
    EXPECT_EQ(answer("AS percent"), kHash + "|3|4|75.0\n");
    EXPECT_EQ(answer("r.file_offset"),
              "AliciaMainList.xls|656000|damaged|430592|225408|430592|BEYOND_EOF\n"
              "twice|1000|unreadable|0|1000|0|NOT_TRIED\ntwice|1000|unreadable|0|1000|0|IO_ERROR\n");
    EXPECT_EQ(answer("AS saved"), blob_named("content").hex() + "|7|2|2|7\n");
    EXPECT_EQ(answer("group_concat(ino)"), kHash + "|1|twice|2|13,14\n");
}

TEST_F(Queries, the_reset_puts_the_inode_back_and_the_skip_takes_it_out) {
    const auto ask_row = [&] { return answer("SELECT copied, claimed_by FROM inode"); };
    EXPECT_EQ(ask_row(), "1|DIAGNOSTIC_SKIP:BEYOND_EOF\n");
    answer("UPDATE inode SET copied = false, claimed_by = NULL\n WHERE medium_hash");
    EXPECT_EQ(ask_row(), "0|\n");
    answer("'DIAGNOSTIC_SKIP:BEYOND_EOF'");
    EXPECT_EQ(ask_row(), "1|DIAGNOSTIC_SKIP:BEYOND_EOF\n");
    EXPECT_EQ(ask("SELECT status FROM inode WHERE ino = 3455"), "damaged\n") << "its salvaged part is still there";
    EXPECT_EQ(ask("SELECT status FROM inode WHERE ino = 12"), "excluded\n");
}

}  // namespace
}  // namespace ntt::test
