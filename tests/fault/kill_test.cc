// kill -9 at named points and at chosen moments, again and again over one ingest: then one undisturbed run must leave the
// same rows and blobs as a run that was never killed.

#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "fault/ingest_state.h"
#include "support/images.h"

namespace ntt::test {
namespace {

// Runs the program itself; kills it after `kill_after_us` unless that is 0. Returns the exit code, 137 when killed.
int run_ntt(const std::vector<std::string>& args, const std::string& kill_at, unsigned kill_after_us) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("NTT_KILL_AT", kill_at.c_str(), 1);
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 1);
        ::dup2(null, 2);
        std::vector<char*> argv;
        for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));  // NOLINT: execv wants it so
        argv.push_back(nullptr);
        ::execv(NTT_BINARY, argv.data());
        ::_exit(126);
    }
    if (kill_after_us != 0) {
        ::usleep(kill_after_us);
        ::kill(child, SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class Killed : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mke2fs");
        // Small files, doubled contents, large ones that are written in pieces, and a map that damages some.
        std::filesystem::create_directory(dir_ / "tree");
        for (uint32_t i = 0; i < 240; ++i) write_file(dir_ / fmt::format("tree/f{:03}.bin", i), chosen_bytes(i % 170, 500 + 37 * i));
        for (uint32_t i = 0; i < 3; ++i) write_file(dir_ / fmt::format("tree/large{}.bin", i), chosen_bytes(1000 + i, 3'000'000));
        make_ext(image_, "ext4", 24'576, dir_ / "tree");
        write_file(image_ + ".map", rescue_map(24'576 * 1024, {{9 << 20, 40'960}, {10 << 20, 512}}, '-'));
    }

    std::vector<std::string> ingest_into(const std::string& home) const {
        return {"ntt", "ingest", image_, "--home", home, "--batch-size", "7", "--no-progress"};
    }

    TempDir dir_;
    const std::string image_ = dir_ / "disk.img";
};

TEST_F(Killed, two_hundred_times_over_one_ingest_then_one_undisturbed_run_leaves_what_a_run_never_killed_leaves) {
    ASSERT_EQ(run_ntt(ingest_into(dir_ / "quiet"), "", 0), 3);

    const std::string home = dir_ / "killed";
    const char* const points[] = {"enumerate.batch", "enumerate.before_commit", "enumerate.committed", "copy.staged", "copy.published", "copy.committed"};
    const std::string dice = chosen_bytes(42, 1024);
    int killed = 0, ended = 0;
    for (int round = 0; killed < 200 && round < 600; ++round) {
        const auto die = static_cast<uint8_t>(dice[static_cast<size_t>(round) % dice.size()]);
        const bool named = round % 3 != 0;
        const std::string point = named ? fmt::format("{}:{}", points[die % 6], 1 + die % 5) : "";
        const int exit = run_ntt(ingest_into(home), point, named ? 0 : 500 + 120u * die);
        if (exit == 137) ++killed;
        else if (exit == 3) ++ended;
        else FAIL() << "round " << round << " at " << point << " ended with " << exit;
        // An ingest that is done leaves no work to be killed in: begin a new one.
        if (exit == 3) {
            EXPECT_EQ(rows_of(home), rows_of(dir_ / "quiet"));
            EXPECT_EQ(blobs_of(home), blobs_of(dir_ / "quiet"));
            std::filesystem::remove_all(home);
        }
    }
    EXPECT_GE(killed, 200);
    ASSERT_EQ(run_ntt(ingest_into(home), "", 0), 3);
    EXPECT_EQ(rows_of(home), rows_of(dir_ / "quiet"));
    EXPECT_EQ(blobs_of(home), blobs_of(dir_ / "quiet"));
    EXPECT_EQ(run_ntt({"ntt", "verify", "--strict", "--home", home}, "", 0), 0);
}

TEST_F(Killed, at_each_named_point_once_the_next_run_completes) {
    ASSERT_EQ(run_ntt(ingest_into(dir_ / "quiet"), "", 0), 3);
    for (const char* point : {"enumerate.batch", "enumerate.before_commit", "enumerate.committed", "copy.staged:9", "copy.published:3", "copy.committed:3"}) {
        const std::string home = dir_ / point;
        EXPECT_EQ(run_ntt(ingest_into(home), point, 0), 137) << "the point is passed: " << point;
        EXPECT_EQ(run_ntt(ingest_into(home), "", 0), 3) << point;
        EXPECT_EQ(rows_of(home), rows_of(dir_ / "quiet")) << point;
        EXPECT_EQ(blobs_of(home), blobs_of(dir_ / "quiet")) << point;
    }
}

// As a listing leaves it whose parser died on the way.
TEST_F(Killed, while_a_volume_is_listed_again_the_next_run_does_it) {
    ASSERT_EQ(run_ntt(ingest_into(dir_ / "quiet"), "", 0), 3);
    const std::string rows = rows_of(dir_ / "quiet");
    const auto without_findings = [](std::string text) {
        const size_t at = text.find("1||volume_listed_again");
        return at == std::string::npos ? text : text.erase(at, text.find('\n', at) + 1 - at);
    };
    for (const char* point : {"enumerate.batch", "enumerate.before_commit", "copy.committed"}) {
        const std::string home = dir_ / point;
        ASSERT_EQ(run_ntt(ingest_into(home), "", 0), 3);
        must("sqlite3 " + shell_quoted(home + "/catalog.db") +
             " \"DELETE FROM path_row WHERE entry > 50; DELETE FROM missing_range WHERE ino NOT IN (SELECT ino FROM path_row);"
             " DELETE FROM diagnostic_event WHERE ino NOT IN (SELECT ino FROM path_row); DELETE FROM inode_row WHERE ino NOT IN (SELECT ino FROM path_row);"
             " UPDATE volume SET outcome = 'parser_crash'\"");
        EXPECT_EQ(run_ntt(ingest_into(home), point, 0), 137) << "the point is passed: " << point;
        EXPECT_EQ(run_ntt(ingest_into(home), "", 0), 3) << point;
        EXPECT_EQ(without_findings(rows_of(home)), rows) << point;
        EXPECT_EQ(blobs_of(home), blobs_of(dir_ / "quiet")) << point;
        EXPECT_EQ(must("sqlite3 " + shell_quoted(home + "/catalog.db") + " \"SELECT count(*) FROM finding WHERE code = 'volume_listed_again'\""), "1\n");
    }
}

}  // namespace
}  // namespace ntt::test
