// Every statement of docs/queries.md runs on a filled catalog of the database it is for, as a user runs it (sqlite3, psql), and
// gives the same answers on both.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>

#include "catalog/catalog_contract.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Block {
    std::string language, text;
    size_t at = 0;          // in the document
    bool has_twin = false;  // a block in PostgreSQL's SQL stands right after it
};

// The fenced blocks of a Markdown text.
std::vector<Block> blocks_of(const std::string& document) {
    std::vector<Block> out;
    const std::string fence = "\n```";
    size_t last_end = 0;
    for (size_t at = document.find(fence); at != std::string::npos; at = document.find(fence, last_end)) {
        const size_t language = at + fence.size(), start = document.find('\n', language) + 1;
        const size_t end = document.find(fence + "\n", start - 1);
        Block block{document.substr(language, start - 1 - language), document.substr(start, end + 1 - start), at, false};
        if (block.language == "postgresql" && !out.empty() && at == last_end + 1) out.back().has_twin = true;
        out.push_back(std::move(block));
        last_end = end + fence.size();
    }
    return out;
}

std::string in_order(const std::string& lines) { return must("printf %s " + shell_quoted(lines) + " | sort"); }

class Queries : public CatalogTest, public ::testing::WithParamInterface<CatalogKind> {
protected:
    void SetUp() override {
        if (is_postgres()) NTT_NEED_POSTGRES();
        NTT_NEED_TOOL(is_postgres() ? "psql" : "sqlite3");
        open(GetParam());
        document_ = read_file(std::string(NTT_DOCS_DIR) + "/queries.md");
        for (Block& block : blocks_of(document_))
            if (block.language == (is_postgres() ? "postgresql" : "sql") || (block.language == "sql" && !block.has_twin))
                blocks_.push_back(std::move(block));
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
        if (!is_postgres()) return;
        ASSERT_OK_ASSIGN(beats_, catalog_->leases()->start_worker("worker-01", "host-a", 4711, {}, signs_of_life_));
        ASSERT_OK(catalog_->leases()->take(kHash, "worker-01", {}, kTime));
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
        PathRow excluded = path_row(6, 12, "cache/\xE9t\xE9.txt");  // not UTF-8
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
    bool is_postgres() const { return GetParam().name == "postgres"; }
    std::string truth(bool value) const { return is_postgres() ? (value ? "t" : "f") : (value ? "1" : "0"); }

    // Runs a block in the test's folder.
    CommandResult run(const std::string& block) {
        write_file(dir_ / "block.sql", block);
        return sh(is_postgres() ? "psql -qXAt -v ON_ERROR_STOP=1 -d " + shell_quoted(url_) + " -f block.sql"
                                : "sqlite3 -bail " + shell_quoted(dir_ / "catalog.db") + " <block.sql",
                  dir_.path().string());
    }
    std::string ask(const std::string& block) {
        const CommandResult result = run(block);
        EXPECT_EQ(result.exit, 0) << block << "\n" << result.err;
        return result.out;
    }
    // The answer of the block below the words of a question.
    std::string answer(const std::string& question) {
        const size_t at = document_.find(question);
        for (const Block& block : blocks_)
            if (at != std::string::npos && block.at > at) return ask(block.text);
        ADD_FAILURE() << "no block below: " << question;
        return "";
    }
    std::string document_;
    std::vector<Block> blocks_;  // for this kind of catalog
    std::atomic<uint64_t> signs_of_life_{0};
    std::unique_ptr<Heartbeat> beats_;
};

// Several workers share a catalog on PostgreSQL only.
class WorkerQueries : public Queries {};

const CatalogKind kSqlite{"sqlite", [](const TempDir& dir) { return "sqlite:" + dir / "catalog.db"; }};
const CatalogKind kPostgres{"postgres", [](const TempDir& dir) { return postgres_url(dir); }};
INSTANTIATE_TEST_SUITE_P(, Queries, ::testing::Values(kSqlite, kPostgres), [](const auto& kind) { return kind.param.name; });
INSTANTIATE_TEST_SUITE_P(, WorkerQueries, ::testing::Values(kPostgres), [](const auto& kind) { return kind.param.name; });

TEST_P(Queries, every_block_runs) {
    EXPECT_GE(blocks_.size(), 36u);
    for (const Block& block : blocks_) {
        const CommandResult result = run(block.text);
        EXPECT_EQ(result.exit, 0) << block.text << "\n" << result.err;
        EXPECT_EQ(result.err, "") << block.text;
    }
}

TEST_P(Queries, every_question_finds_something_but_the_checks) {
    for (const Block& block : blocks_) {
        const std::string& text = block.text;
        if (text.starts_with("UPDATE") || text.starts_with("INSERT")) continue;
        const bool is_check = text.find("(status = 'stored') <>") != std::string::npos;
        const bool is_for_a_file = text.find("inodes.csv") != std::string::npos;
        EXPECT_EQ(ask(text).empty(), is_check || is_for_a_file) << text;
    }
}

TEST_P(Queries, answers_are_right) {
    const std::pair<const char*, std::string> answers[] = {
        {"Every inode of every medium is counted once",
         kOtherHash + "|another|corrupt|1|1|0|0|0|0|0\n" + kHash + "|AliciaMainList|corrupt|6|1|1|2|0|1|1\n"},
        {"Media whose files are not all in the store", kHash + "|AliciaMainList|BEYOND_EOF|1|225408.0\n" + kHash +
                                                           "|AliciaMainList|IO_ERROR|1|1000.0\n" + kHash +
                                                           "|AliciaMainList|NOT_TRIED|1|1000.0\n"},
        {"By check", "detected_beyond_eof|4\nmount_check:ok|4\n"},
        {"Exceptions by type", "OSError|4|attempt to access beyond end of device\n"},
        {"Events by worker", "worker-01|continuing|1\nworker-01|max_retries|1\nworker-01|remounted|1\nworker-01|skipped|1\n"},
        {"Retry counts when a decision was made",
         "continuing|10|10.0|10|1\nmax_retries|10|10.0|10|1\nremounted|10|10.0|10|1\nskipped|10|10.0|10|1\n"},
        {"Media with files beyond the image's end", kHash + "|AliciaMainList|430592|1\n"},
        {"As the mission records it", kHash + "|AliciaMainList\n"},
        {"High error rates", kHash + "|3|4|75.0\n"},
        {"Which problems there are at all", "beyond_eof_detected|1\ndiagnostic_events|1\ndiagnostic_events_total|1\n"},
        {"Media where reading the object again may help", kHash + "|1|1000.0\n"},
        {"With the ranges that are missing",
         "AliciaMainList.xls|656000|damaged|430592|225408|430592|BEYOND_EOF\n"
         "twice|1000|unreadable|0|1000|0|NOT_TRIED\ntwice|1000|unreadable|0|1000|0|IO_ERROR\n"},
        {"Inodes with recorded errors", kHash + "|1|14|1|50 attempts, last: Input/output error at 0\n"},
        {"Where a content was found", kOtherHash + "|1|a copy\n" + kHash + "|1|whole.txt\n"},
        {"Contents on more than one medium", blob_named("content").hex() + "|7|2|2|7\n"},
        {"Deduplication of each medium", kOtherHash + "|1|1|0.0\n" + kHash + "|1|1|0.0\n"},
        {"A name listed twice in one folder", kHash + "|1|twice|2|13,14\n"},
        {"What was left out", kHash + "|pattern_match|1\n"},
        {"Path by path", kHash + "|1|cache/" + (is_postgres() ? "\\351t\\351" : "\xE9t\xE9") + ".txt|pattern_match\n"},
    };
    for (const auto& [question, expected] : answers) EXPECT_EQ(answer(question), expected) << question;

    EXPECT_THAT(answer("What diagnostics have been run"), StartsWith(kHash + "|AliciaMainList|4|[{"));
    EXPECT_EQ(in_order(answer("Count by action")), "continuing|1\nmax_retries|1\nremounted|1\nskipped|1\n");
    EXPECT_THAT(answer("Events per medium"), StartsWith(kHash + "|4|3|"));
    EXPECT_THAT(answer("The last 24 hours"), HasSubstr("remounted"));
    EXPECT_THAT(answer("The last 24 hours"), Not(HasSubstr("max_retries")));
    EXPECT_THAT(answer("Why one of them is"), StartsWith("damaged|BEYOND_EOF|DIAGNOSTIC_SKIP:BEYOND_EOF|{"));
    const std::string full = answer("One medium in full");
    for (const std::string& part : {std::string("|/images/" + kHash + ".img|"), std::string("|/images/a.img|"),
                                    "damaged|" + truth(true) + "|BEYOND_EOF|DIAGNOSTIC_SKIP:BEYOND_EOF|1|656000.0\n",
                                    std::string("1|14|duplicate_entry|twice|{}\n"), std::string("|13|10|continuing|BEYOND_EOF|")})
        EXPECT_THAT(full, HasSubstr(part));
    EXPECT_THAT(answer("The schema's versions"), StartsWith("1|catalog|"));
}

TEST_P(WorkerQueries, who_works_on_what_is_told) {
    const std::string workers = answer("Several workers share a catalog");
    EXPECT_THAT(workers, StartsWith("worker-01|host-a|4711|0|0|00:00:"));
    EXPECT_THAT(workers, HasSubstr("|AliciaMainList|" + kHash + "|6144|00:0"));
    EXPECT_EQ(answer("How many work on each medium"), kHash + "|AliciaMainList|1|0|1\n" + kOtherHash + "|another|0|0|0\n");
    ask("UPDATE lease SET expires_at = clock_timestamp() - interval '1 minute'");
    EXPECT_EQ(answer("How many work on each medium"), kHash + "|AliciaMainList|0|1|1\n" + kOtherHash + "|another|0|0|0\n");
}

TEST_P(Queries, an_event_that_is_added_is_found) {
    answer("Adding an event to `problems`");
    EXPECT_THAT(answer("What diagnostics have been run"), StartsWith(kHash + "|AliciaMainList|5|[{"));
    EXPECT_EQ(in_order(answer("Count by action")), "continuing|1\nmax_retries|1\nremounted|1\nskipped|2\n");
    EXPECT_EQ(answer("As the mission records it"), kHash + "|AliciaMainList\n") << "the other keys are still there";
    answer("an event that is to stay belongs into that table");
    EXPECT_THAT(answer("Events per medium"), StartsWith(kHash + "|5|3|"));
    ask("UPDATE medium SET problems = NULL");
    answer("Adding an event to `problems`");
    EXPECT_EQ(answer("Count by action"), "skipped|1\n") << "where there was nothing before, too";
}

TEST_P(Queries, the_reset_puts_the_inode_back_and_the_skip_takes_it_out) {
    const auto ask_row = [&] { return answer("Was it skipped?"); };
    const std::string skipped = truth(true) + "|DIAGNOSTIC_SKIP:BEYOND_EOF\n";
    EXPECT_EQ(ask_row(), skipped);
    for (const char* reset : {"Resetting an inode.", "Resetting one inode, as the mission does it"}) {
        answer(reset);
        EXPECT_EQ(ask_row(), truth(false) + "|\n") << reset;
        answer("Putting an inode aside by hand");
        EXPECT_EQ(ask_row(), skipped);
    }
    EXPECT_EQ(ask("SELECT status FROM inode WHERE ino = 3455"), "damaged\n") << "its salvaged part is still there";
    EXPECT_EQ(ask("SELECT status FROM inode WHERE ino = 12"), "excluded\n");
    answer("All that gave up for reasons of this host");
    EXPECT_EQ(ask("SELECT ino FROM inode WHERE NOT copied"), "14\n");
}

TEST_P(Queries, the_csv_is_the_same_from_a_shell_and_from_within) {
    const std::string tool = is_postgres() ? "psql" : "sqlite3", file = dir_ / "inodes.csv";
    const auto taken = [&] {
        std::string out = read_file(file);
        std::filesystem::remove(file);
        std::erase(out, '\r');
        return out;
    };
    ask(blocks_.back().text);
    const std::string csv = taken();
    EXPECT_THAT(csv, StartsWith("medium_hash,volume,ino,status,cause,size,missing_bytes\n"));
    EXPECT_THAT(csv, HasSubstr("\n" + kHash + ",1,3455,damaged,BEYOND_EOF,656000,225408\n"));
    EXPECT_THAT(csv, HasSubstr("\n" + kHash + ",1,4,nonfile,,0,0\n"));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 7);
    for (const Block& block : blocks_of(document_)) {
        if (block.language != "sh") continue;
        const std::string line =
            block.text.substr(block.text.find(tool), block.text.find('\n', block.text.find(tool)) - block.text.find(tool));
        must("export NTT_HOME=" + shell_quoted(dir_.path().string()) + " NTT_DB_URL=" + shell_quoted(url_) + "; " + line,
             dir_.path().string());
        EXPECT_EQ(in_order(taken()), in_order(csv));
    }
}

}  // namespace
}  // namespace ntt::test
