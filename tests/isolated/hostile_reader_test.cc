// A reader process that dies, hangs, floods or lies, at any point: the run ends as the contract says, the other volumes
// lose nothing, nobody is left behind.
#include <sys/wait.h>

#include <cerrno>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

// Runs ntt on `image` with a reader that does `what` at its `nth` message, where it is asked for `where`.
class Attacked {
public:
    Attacked(const std::string& what, int nth, const std::string& where) {
        write_file(reader_, fmt::format("#!/bin/sh\nexec {} {} {} {} {}\n", NTT_HOSTILE_READER, shell_quoted(reader_program()), what, nth, where));
        must("chmod +x " + shell_quoted(reader_));
        write_file(config_, "[reader]\npatience_seconds = 1\n");
        ntt.variables["NTT_READER"] = reader_;
    }
    Ran ingest(const std::string& image) { return ntt.json({"ingest", image, "--config", config_}); }
    std::string outcomes() const { return ntt.sql("SELECT group_concat(outcome, ' ') FROM (SELECT outcome FROM volume ORDER BY volume)"); }

    Ntt ntt;

private:
    TempDir dir_;
    const std::string reader_ = dir_ / "reader", config_ = dir_ / "ntt.toml";
};

void expect_sound_totals(const Ran& ran) {
    const Json totals = ran.object("summary")["totals"];
    const auto count = [&](const char* status) { return totals[status].get<uint64_t>(); };
    EXPECT_EQ(count("stored") + count("damaged") + count("unreadable") + count("excluded") + count("nonfile") + count("pending"), count("inodes"));
    EXPECT_EQ(count("pending"), 0u);
}

void expect_no_child_is_left() {
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

// A disk of two FAT partitions with known files; made once.
struct Disk {
    TempDir dir;
    std::string image = dir / "disk.img";
    std::map<std::string, std::string> contents;  // "p1/A.TXT" -> bytes

    Disk() {
        must(fmt::format("truncate -s 4M {0} && printf 'start=64,size=3100,type=1\\nstart=4096,size=3100,type=1\\n' | sfdisk -q {0}", shell_quoted(image)));
        for (const uint64_t sector : {64u, 4096u}) {
            const std::string place = fmt::format("{}@@{}", image, sector * 512);
            must(fmt::format("mformat -i {} -t 50 -h 2 -s 30 -N 1 ::", shell_quoted(place)));
            for (uint32_t i = 0; i < 5; ++i) {
                const std::string bytes = chosen_bytes(static_cast<uint32_t>(sector) + i, 3000 + 700 * i);
                write_file(dir / "content", bytes);
                must(fmt::format("mcopy -i {} {} ::F{}.TXT", shell_quoted(place), shell_quoted(dir / "content"), i));
                contents[fmt::format("p{}/F{}.TXT", sector == 64 ? 1 : 2, i)] = bytes;
            }
        }
    }
};

const Disk& disk() {
    static const Disk made;
    return made;
}

void expect_the_first_volume_is_whole(Ntt& ntt) {
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE volume = 1 AND status = 'stored'"), "5\n");
    for (const auto& [path, bytes] : disk().contents) {
        if (path[1] != '1') continue;
        EXPECT_EQ(read_file(ntt.blob_path(b3(bytes))), bytes) << path;
    }
}

// Nothing is stored that was not on the disk.
void expect_nothing_is_made_up(Ntt& ntt) {
    std::set<std::string> real;
    for (const auto& [path, bytes] : disk().contents) real.insert(b3(bytes));
    std::istringstream stored(ntt.sql("SELECT blobid FROM inode WHERE status = 'stored'"));
    for (std::string id; std::getline(stored, id);) EXPECT_TRUE(real.contains(id)) << id;
}

struct Attack {
    const char* what;
    const char* outcome;  // of the second volume
};

class HostileReader : public testing::TestWithParam<Attack> {};

TEST_P(HostileReader, costs_its_volume_the_rest_of_its_entries_and_nothing_else) {
    NTT_NEED_TOOL("mformat");
    Attacked attacked(GetParam().what, 1, "list:2");
    const Ran ran = attacked.ingest(disk().image);
    EXPECT_EQ(ran.exit, 3) << ran.err;
    expect_sound_totals(ran);
    EXPECT_EQ(attacked.outcomes(), fmt::format("read {}\n", GetParam().outcome)) << attacked.ntt.sql("SELECT code, message FROM finding");
    expect_the_first_volume_is_whole(attacked.ntt);
    expect_nothing_is_made_up(attacked.ntt);
    expect_no_child_is_left();
    if (std::string(GetParam().outcome) == "partial") return;
    const std::string code = std::string(GetParam().outcome) == "budget" ? "budget_exceeded" : GetParam().outcome;
    EXPECT_EQ(attacked.ntt.sql(fmt::format("SELECT count(*) > 0 FROM finding WHERE volume = 2 AND code = '{}'", code)), "1\n");
    EXPECT_EQ(attacked.ntt.run({"verify", "--strict"}).exit, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Attacks, HostileReader,
    testing::Values(Attack{"exit", "parser_crash"}, Attack{"abort", "parser_crash"}, Attack{"segfault", "parser_crash"}, Attack{"kill", "parser_crash"},
                    Attack{"stop", "parser_timeout"}, Attack{"hang", "parser_timeout"}, Attack{"half_a_frame", "parser_crash"},
                    Attack{"half_a_frame_and_hang", "parser_timeout"}, Attack{"garbage", "parser_crash"}, Attack{"no_memory", "budget"},
                    Attack{"no_time", "budget"}, Attack{"twice", "parser_crash"}, Attack{"unknown_type", "parser_crash"}, Attack{"cut", "parser_crash"},
                    Attack{"one_byte_more", "parser_crash"}, Attack{"all_ones", "parser_crash"}, Attack{"progress_of_nothing", "parser_crash"},
                    Attack{"progress_without_end", "parser_crash"}, Attack{"blame_the_host", "parser_crash"}, Attack{"blame_the_host_beyond", "parser_crash"},
                    Attack{"say_cancelled", "partial"}, Attack{"say_changed", "partial"}, Attack{"say_errno", "partial"}, Attack{"endless_names", "budget"},
                    Attack{"endless_findings", "parser_crash"}),
    [](const auto& attack) { return std::string(attack.param.what); });

INSTANTIATE_TEST_SUITE_P(
    Lies, HostileReader,
    testing::Values(Attack{"lie_doubled_inode", "parser_crash"}, Attack{"lie_negative_inode", "parser_crash"}, Attack{"lie_unknown_inode", "parser_crash"},
                    Attack{"lie_path_up", "parser_crash"}, Attack{"lie_path_absolute", "parser_crash"}, Attack{"lie_path_empty_part", "parser_crash"},
                    Attack{"lie_path_nul", "parser_crash"}, Attack{"lie_path_long", "parser_crash"}, Attack{"lie_extents_overlap", "parser_crash"},
                    Attack{"lie_extent_beyond_size", "parser_crash"}, Attack{"lie_extent_overflows", "parser_crash"},
                    Attack{"lie_bytes_under_nothing", "parser_crash"}, Attack{"lie_fault_beyond_size", "parser_crash"}, Attack{"lie_evidence", "parser_crash"},
                    Attack{"lie_folder_with_content", "parser_crash"}, Attack{"lie_finding_code", "parser_crash"}, Attack{"lie_finding_evidence", "parser_crash"}),
    [](const auto& attack) { return std::string(attack.param.what); });

TEST(HostileReader, may_act_at_any_point_and_the_run_ends_with_a_code_of_the_contract) {
    NTT_NEED_TOOL("mformat");
    for (const char* what : {"exit", "kill", "garbage", "twice", "flip", "all_ones", "cut", "empty", "say_changed"}) {
        for (int nth = 1; nth <= 4; ++nth) {
            SCOPED_TRACE(fmt::format("{} at message {}", what, nth));
            Attacked attacked(what, nth, "any");
            const Ran ran = attacked.ingest(disk().image);
            EXPECT_TRUE(ran.exit == 0 || ran.exit == 3) << ran.exit << ran.err;
            expect_sound_totals(ran);
            expect_nothing_is_made_up(attacked.ntt);
            expect_no_child_is_left();
        }
    }
}

TEST(HostileReader, may_say_anything_of_its_volumes) {
    NTT_NEED_TOOL("mformat");
    for (const char* what : {"detail_of_wrong_kinds", "detail_without_end"}) {
        for (const char* where : {"detect", "list:2"}) {
            for (int nth = 1; nth <= 4; ++nth) {
                SCOPED_TRACE(fmt::format("{} after {}, at message {}", what, where, nth));
                Attacked attacked(what, nth, where);
                const Ran ran = attacked.ingest(disk().image);
                EXPECT_TRUE(ran.exit == 0 || ran.exit == 3) << ran.exit << ran.err;
                expect_sound_totals(ran);
                expect_nothing_is_made_up(attacked.ntt);
                EXPECT_EQ(attacked.ntt.run({"show", attacked.ntt.sql("SELECT medium_hash FROM medium").substr(0, 32)}).exit, 0);
            }
        }
    }
}

TEST(HostileReader, that_does_not_survive_the_search_for_volumes_costs_the_image_its_volumes) {
    NTT_NEED_TOOL("mformat");
    for (const auto& [what, outcome] : std::vector<std::pair<std::string, std::string>>{
             {"kill", "parser_crash"}, {"stop", "parser_timeout"}, {"no_memory", "budget"}, {"all_ones", "parser_crash"}, {"blame_the_host", "parser_crash"}}) {
        Attacked attacked(what, 1, "detect");
        const Ran ran = attacked.ingest(disk().image);
        EXPECT_EQ(ran.exit, 3) << what << ran.err;
        EXPECT_EQ(attacked.outcomes(), outcome + "\n") << what;
        expect_no_child_is_left();
    }
}

// Small files of NTFS lie inside its records: only the reader gives them.
class HostileContent : public testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mkntfs");
        NTT_NEED_TOOL("ntfscp");
        must(fmt::format("truncate -s 4M {0} && mkntfs -q -F {0}", shell_quoted(image_)));
        for (uint32_t i = 0; i < 30; ++i) {
            write_file(dir_ / "content", chosen_bytes(i, 100));
            must(fmt::format("ntfscp -q {} {} small{}.bin", shell_quoted(image_), shell_quoted(dir_ / "content"), i));
        }
        write_file(dir_ / "content", chosen_bytes(99, 100'000));
        must(fmt::format("ntfscp -q {} {} large.bin", shell_quoted(image_), shell_quoted(dir_ / "content")));
    }
    TempDir dir_;
    const std::string image_ = dir_ / "ntfs.img";
};

TEST_F(HostileContent, a_process_lost_over_one_file_costs_that_file_and_the_next_gets_another_process) {
    Attacked attacked("kill", 2, "content");
    const Ran ran = attacked.ingest(image_);
    EXPECT_EQ(ran.exit, 3) << ran.err;
    expect_sound_totals(ran);
    auto files = attacked.ntt.files("ntfs.img");
    EXPECT_EQ(files["large.bin"]["status"], "stored") << "its content does not need the process";
    uint64_t stored = 0, lost = 0;
    for (uint32_t i = 0; i < 30; ++i) {
        const Json file = files[fmt::format("small{}.bin", i)];
        if (file["status"] == "stored") {
            ++stored;
            EXPECT_EQ(file["blobid"], b3(chosen_bytes(i, 100)));
        } else {
            ++lost;
            EXPECT_EQ(file["status"], "unreadable");
            EXPECT_EQ(file["cause"], "PARSER_CRASH");
        }
    }
    EXPECT_GT(stored, 0u);
    EXPECT_GT(lost, 0u);
    expect_no_child_is_left();
}

TEST_F(HostileContent, one_that_answers_with_too_many_bytes_or_hangs_is_lost_too) {
    for (const auto& [what, cause] : std::vector<std::pair<std::string, std::string>>{{"one_byte_more", "PARSER_CRASH"}, {"stop", "PARSER_TIMEOUT"}}) {
        Attacked attacked(what, 3, "content");
        const Ran ran = attacked.ingest(image_);
        EXPECT_EQ(ran.exit, 3) << ran.err;
        EXPECT_EQ(attacked.ntt.sql(fmt::format("SELECT count(*) > 0 FROM inode WHERE cause = '{}' AND claimed_by = 'DIAGNOSTIC_SKIP:{}'", cause, cause)), "1\n");
        expect_no_child_is_left();
    }
}

TEST(HostileDecoder, a_decoder_that_is_lost_now_and_then_costs_nothing_and_one_that_is_lost_always_ends_the_run) {
    NTT_NEED_TOOL("ewfacquire");
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 5; ++i) files.push_back({fmt::format("F{}.BIN", i), chosen_bytes(i, 50'000)});
    make_floppy(dir / "floppy.img", files);
    must(fmt::format("ewfacquire -u -q -t {} {}", shell_quoted(dir / "floppy"), shell_quoted(dir / "floppy.img")), dir.path().string());

    Attacked once("kill", 6, "read");
    const Ran ran = once.ingest(dir / "floppy.E01");
    EXPECT_EQ(ran.exit, 0) << ran.err;
    for (const NamedContent& file : files) EXPECT_EQ(once.ntt.files("floppy.E01")[file.name]["blobid"], b3(file.bytes));
    expect_no_child_is_left();

    Attacked always("kill", 1, "read");
    const Ran failed = always.ingest(dir / "floppy.E01");
    EXPECT_EQ(failed.exit, 1) << failed.err;
    EXPECT_EQ(failed.object("error")["code"], "parser_crash");
    expect_no_child_is_left();
}

TEST(ReaderProgram, that_is_not_there_is_an_error_before_anything_is_done) {
    NTT_NEED_TOOL("mformat");
    Ntt ntt;
    ntt.variables["NTT_READER"] = "/nowhere/ntt-reader";
    const Ran ran = ntt.json({"ingest", disk().image});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_EQ(ran.object("error")["code"], "not_found");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium"), "0\n");
}

TEST(ReaderProgram, started_by_hand_says_what_it_is) {
    const CommandResult ran = sh(shell_quoted(reader_program()) + " 3< /dev/null");
    EXPECT_NE(ran.exit, 0);
    EXPECT_EQ(sh(shell_quoted(reader_program()) + " --help").exit, 64);
}

}  // namespace
}  // namespace ntt::test
