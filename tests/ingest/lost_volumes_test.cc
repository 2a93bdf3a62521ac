#include "ingest/lost_volumes.h"

#include <nlohmann/json.hpp>

#include "image/reader_process.h"
#include "support/support.h"

namespace ntt {
namespace {

ReaderOptions limits(uint64_t memory_mib, uint64_t cpu_seconds, int patience_seconds) {
    auto program = std::make_shared<ReaderProgram>();
    program->limits.memory_bytes = memory_mib << 20;
    program->limits.cpu_seconds = cpu_seconds;
    program->patience = std::chrono::seconds(patience_seconds);
    ReaderOptions out;
    out.program = program;
    return out;
}

VolumeRow lost(const std::string& outcome, const std::string& detail = "{}") {
    VolumeRow row;
    row.outcome = outcome;
    row.detail = detail;
    return row;
}

TEST(LostVolumes, are_due_until_they_were_listed_three_times) {
    for (const char* outcome : {"parser_crash", "parser_timeout", "budget"}) {
        EXPECT_TRUE(is_due_for_listing(lost(outcome), limits(1, 1, 1))) << "listed once, by a version that did not count";
        EXPECT_TRUE(is_due_for_listing(lost(outcome, R"({"listings":2})"), limits(1, 1, 1)));
        EXPECT_FALSE(is_due_for_listing(lost(outcome, R"({"listings":3})"), limits(1, 1, 1)));
    }
    for (const char* outcome : {"read", "partial", "truncated", "unsupported", "no_filesystem", "failed", "skipped", ""})
        EXPECT_FALSE(is_due_for_listing(lost(outcome), limits(1, 1, 1))) << outcome;
    EXPECT_TRUE(is_due_for_listing(lost("failed", R"({"listings":0})"), limits(1, 1, 1))) << "requeued";
}

TEST(LostVolumes, are_due_when_a_limit_is_higher_than_any_before) {
    const VolumeRow row = lost("budget", R"({"listings":3,"reader_limits":{"memory_mib":100,"cpu_seconds":10,"patience_seconds":5}})");
    EXPECT_FALSE(is_due_for_listing(row, limits(100, 10, 5)));
    EXPECT_FALSE(is_due_for_listing(row, limits(50, 1, 1)));
    EXPECT_TRUE(is_due_for_listing(row, limits(101, 1, 1)));
    EXPECT_TRUE(is_due_for_listing(row, limits(1, 11, 1)));
    EXPECT_TRUE(is_due_for_listing(row, limits(1, 1, 6)));
    EXPECT_FALSE(is_due_for_listing(row, ReaderOptions{})) << "parsed in this process";
}

TEST(LostVolumes, have_their_listings_and_the_highest_limits_noted) {
    Volume volume;
    volume.outcome = Outcome::parser_timeout;
    volume.detail = R"({"listings":"a lie","reader_limits":7,"table":"dos"})";
    note_listing(volume, nullptr, limits(100, 10, 5));
    EXPECT_EQ(nlohmann::json::parse(volume.detail),
              nlohmann::json::parse(R"({"listings":1,"table":"dos","reader_limits":{"memory_mib":100,"cpu_seconds":10,"patience_seconds":5}})"));
    const VolumeRow before = lost("parser_timeout", volume.detail);
    volume.detail = detail_before_listing(volume.detail);
    EXPECT_EQ(volume.detail, R"({"table":"dos"})");
    note_listing(volume, &before, limits(50, 20, 5));
    EXPECT_EQ(nlohmann::json::parse(volume.detail),
              nlohmann::json::parse(R"({"listings":2,"table":"dos","reader_limits":{"memory_mib":100,"cpu_seconds":20,"patience_seconds":5}})"));
    volume.outcome = Outcome::read;
    note_listing(volume, &before, limits(50, 20, 5));
    EXPECT_EQ(volume.detail, R"({"table":"dos"})");
}

}  // namespace
}  // namespace ntt
