// The frame: verbs, exit codes, errors as text and JSON, output that cannot be written.
#include "cli.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>

#include "report/output.h"
#include "world.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

TEST(Cli, an_unknown_verb_and_no_verb_at_all_are_usage_errors) {
    Shell shell;
    EXPECT_EQ(shell.run({"nonsense"}).exit, 2);
    EXPECT_EQ(shell.run({}).exit, 2);
    EXPECT_EQ(shell.run({""}).exit, 2);
    EXPECT_THAT(shell.run({"--json", "media"}).err, HasSubstr("options stand after the command"));
}

TEST(Cli, version_is_printed_with_and_without_a_verb_and_wins_over_missing_arguments) {
    Shell shell;
    const std::string version = "ntt " NTT_VERSION "\n";
    EXPECT_EQ(shell.run({"--version"}).out, version);
    const Ran ran = shell.run({"show", "--version"});
    EXPECT_EQ(ran.exit, 0);
    EXPECT_EQ(ran.out, version);
}

TEST(Cli, a_missing_argument_a_surplus_one_and_a_bad_value_are_usage_errors) {
    Shell shell;
    EXPECT_EQ(shell.run({"show"}).exit, 2);
    EXPECT_EQ(shell.run({"media", "surplus"}).exit, 2);
    EXPECT_EQ(shell.run({"files", "m", "--status", "rotten"}).exit, 2);
    EXPECT_EQ(shell.run({"files", "m", "--cause", "bad_sector"}).exit, 2);
    EXPECT_EQ(shell.run({"files", "m", "--volume", "two"}).exit, 2);
    EXPECT_EQ(shell.run({"media", "--log-level", "loud", "--home", "/nowhere"}).exit, 2);
}

TEST(Cli, an_error_with_json_is_one_object_on_stdout_with_null_for_what_is_absent) {
    Shell shell;
    const auto lines = shell.run({"media", "--home", "/nowhere/at/all", "--json"}).lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0]["type"], "error");
    EXPECT_EQ(lines[0]["code"], "not_found");
    EXPECT_TRUE(lines[0].at("source").is_null());
    EXPECT_TRUE(lines[0].at("hint").is_string());
    const auto ingest = shell.run({"ingest", "--json"}).lines();  // which ends with its closing line all the same
    ASSERT_EQ(ingest.size(), 2u);
    EXPECT_EQ(ingest[0]["type"], "error");
    EXPECT_EQ(ingest[1], (nlohmann::json{{"type", "result"}, {"exit", 2}, {"sources", 0}}));
    const auto usage = shell.run({"show", "--json"}).lines();
    ASSERT_EQ(usage.size(), 1u);
    EXPECT_EQ(usage[0]["code"], "invalid_argument");
}

TEST(Cli, every_reading_command_says_that_there_is_no_catalog_and_makes_nothing) {
    const TempDir dir;
    Shell shell;
    const std::vector<std::vector<std::string>> calls = {
        {"media"},     {"show", "m"},    {"files", "m"},    {"why", "m", "p"},
        {"find", "n"}, {"events"},       {"cat", "m", "p"}, {"export", "m", dir / "out"},
        {"verify"},    {"requeue", "m"}, {"events", "m"}};
    for (std::vector<std::string> call : calls) {
        call.insert(call.end(), {"--home", dir / "home"});
        const Ran ran = shell.run(call);
        EXPECT_EQ(ran.exit, 1) << call[0];
        EXPECT_THAT(ran.err, HasSubstr("there is no ")) << call[0];
        EXPECT_EQ(ran.out, "") << call[0];
    }
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

class Writing : public World {
protected:
    int run_into(std::FILE* out) {
        cli::Io io{.out = out,
                   .err = err_,
                   .out_is_terminal = false,
                   .err_is_terminal = false,
                   .variable = [](const std::string&) { return std::nullopt; },
                   .cancel = shell.cancel,
                   .env = Env::host(),
                   .clock = shell.clock};
        return cli::run({"files", kHash, "--home", home()}, io);
    }
    void TearDown() override { std::fclose(err_); }
    std::FILE* err_ = std::tmpfile();
};

TEST_F(Writing, a_reader_that_goes_away_ends_a_listing_without_a_word) {
    std::vector<FileSpec> files;
    for (int i = 0; i < 2000; ++i)
        files.push_back({.path = "a file with a long name " + std::to_string(i), .ino = i + 1, .copied = false});
    add_medium(files);
    std::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    std::FILE* out = fdopen(ends[1], "w");
    EXPECT_EQ(run_into(out), 0);
    std::fclose(out);
    EXPECT_EQ(std::ftell(err_), 0);
}

TEST_F(Writing, work_goes_on_when_its_reader_has_gone) {
    std::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    close(ends[0]);
    std::FILE* file = fdopen(ends[1], "w");
    std::setvbuf(file, nullptr, _IONBF, 0);
    Output strict(file), working(file);
    EXPECT_TRUE(reader_gone(strict.text("x").error()));
    working.outlive_reader();
    ASSERT_OK(working.text("x"));
    ASSERT_OK(working.json({{"type", "summary"}}));
    ASSERT_OK(working.flush());
    std::fclose(file);
}

TEST_F(Writing, output_that_cannot_be_written_is_a_failure) {
    add_medium({{.path = "A", .ino = 1, .content = "x"}});
    std::FILE* full = std::fopen("/dev/full", "w");
    if (full == nullptr) GTEST_SKIP() << "needs /dev/full";
    EXPECT_EQ(run_into(full), 1);
    std::fclose(full);
    EXPECT_GT(std::ftell(err_), 0);
}

TEST_F(Writing, an_interrupted_listing_ends_with_130) {
    add_medium({{.path = "A", .ino = 1, .content = "x"}});
    shell.cancel.cancel();
    EXPECT_EQ(ntt({"files", kHash}).exit, 130);
    EXPECT_EQ(ntt({"verify"}).exit, 130);
}

}  // namespace
}  // namespace ntt::test
