// The rules of the DiagnosticService, each with the kernel's log and the mount handed in.
#include "diagnose/diagnostic_service.h"

#include <cerrno>
#include <sstream>

#include <spdlog/sinks/ostream_sink.h>

#include "support/support.h"

namespace ntt {
namespace {

using Action = DiagnosticService::Action;

const std::string kMedium = "f95834a4b718f54edc7b549ca854aef8";

class MadeLog final : public KernelLog {
public:
    std::vector<KernelRecord> records;
    Result<uint64_t> next_sequence() override { return static_cast<uint64_t>(records.size()); }
    Result<std::vector<KernelRecord>> since(uint64_t sequence) override {
        std::vector<KernelRecord> out;
        for (const KernelRecord& record : records)
            if (record.sequence >= sequence) out.push_back(record);
        return out;
    }
    void say(const std::string& text) { records.push_back({records.size(), 0, 4, text}); }
};

class MadeMount final : public MountControl {
public:
    MountState is = MountState::ok;
    bool comes_back = true;
    int remounts = 0;
    MountState state(const std::string&) override { return is; }
    Result<void> remount(const std::string&) override {
        ++remounts;
        if (!comes_back) return make_error(ErrorCode::not_found, "the image is gone");
        is = MountState::ok;
        return {};
    }
    std::vector<std::string> devices(const std::string&) override { return {"loop38"}; }
};

class Diagnostics : public testing::Test {
protected:
    DiagnosticService service(DiagnosticsLevel level, DiagnosticThresholds thresholds = {}) { return {level, thresholds, &kernel, mount, log}; }
    ReadFailure failure(int number = EIO) const { return {errno_error(number, "read /mnt/ntt/x/A.XLS"), kernel.records.size(), std::nullopt}; }
    // The decisions of `count` failures in a row.
    static std::vector<Action> fail(DiagnosticService& service, const FailedInode& inode, const ReadFailure& how, int count) {
        std::vector<Action> out;
        for (int i = 0; i < count; ++i) out.push_back(service.on_failure(inode, how).action);
        return out;
    }
    size_t logged(const std::string& words) const {
        size_t count = 0;
        for (size_t at = text.str().find(words); at != std::string::npos; at = text.str().find(words, at + 1)) ++count;
        return count;
    }

    MadeLog kernel;
    MadeMount mount;
    std::ostringstream text;
    spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)};
    const FailedInode file{kMedium, 1, 3455};
};

// --- the mission's unit tests ---

TEST_F(Diagnostics, test_track_failure) {
    DiagnosticService it = service(DiagnosticsLevel::observe);
    EXPECT_EQ(it.track_failure({"abc123", 1, 100}), 1);
    EXPECT_EQ(it.track_failure({"abc123", 1, 100}), 2);
    EXPECT_EQ(it.track_failure({"abc123", 1, 200}), 1);  // Different inode
    EXPECT_EQ(it.track_failure({"abc123", 2, 100}), 1) << "of another volume";
}

TEST_F(Diagnostics, test_detect_beyond_eof) {
    DiagnosticService it = service(DiagnosticsLevel::observe);
    const ReadFailure how{make_error(ErrorCode::io, "attempt to access beyond end of device"), std::nullopt, std::nullopt};
    EXPECT_TRUE(it.diagnose_at_checkpoint({"abc123", 1, 100}, how).has("detected_beyond_eof"));
}

TEST_F(Diagnostics, test_check_mount_status) {
    DiagnosticService it = service(DiagnosticsLevel::observe);
    for (const auto& [state, check] : std::vector<std::pair<MountState, std::string>>{
             {MountState::ok, "mount_check:ok"}, {MountState::missing, "mount_check:missing"}, {MountState::inaccessible, "mount_check:inaccessible"}}) {
        mount.is = state;
        EXPECT_TRUE(it.diagnose_at_checkpoint({"abc123", 1, 100}, failure()).has(check));
    }
}

// --- what is certain ---

TEST_F(Diagnostics, geometry_is_certain_whatever_errno_says) {
    ReadFailure how = failure(EPERM);  // as fusefat says beyond the end
    how.geometry = Verdict{{{379904, 291840, 430592, Cause::BEYOND_EOF}}, 291840, Cause::BEYOND_EOF, R"({"image_size":430592})"};
    DiagnosticService it = service(DiagnosticsLevel::skip);
    const DiagnosticFindings findings = it.diagnose_at_checkpoint(file, how);
    EXPECT_TRUE(findings.has("extent:beyond_eof"));
    EXPECT_TRUE(findings.has("detected_permission_error"));
    EXPECT_EQ(findings.cause, Cause::BEYOND_EOF);
    EXPECT_TRUE(DiagnosticService::should_skip_permanently(findings));
    how.geometry->cause = Cause::BAD_SECTOR;
    EXPECT_TRUE(it.diagnose_at_checkpoint(file, how).has("map:BAD_SECTOR"));
}

TEST_F(Diagnostics, the_kernels_word_counts_if_it_is_of_this_device_and_came_with_this_read) {
    DiagnosticService it = service(DiagnosticsLevel::skip);
    const std::string of_mine = "cat: attempt to access beyond end of device\nloop38: rw=0, sector=1316, nr_sectors = 8 limit=841";
    kernel.say(of_mine);
    const ReadFailure later = failure();
    EXPECT_FALSE(it.diagnose_at_checkpoint(file, later).has("dmesg:beyond_eof")) << "it came before";
    kernel.say("cat: attempt to access beyond end of device\nloop3: rw=0, sector=1316, nr_sectors = 8 limit=841");
    EXPECT_FALSE(it.diagnose_at_checkpoint(file, later).has("dmesg:beyond_eof")) << "another disk's (field case E6)";
    kernel.say(of_mine);
    const DiagnosticFindings findings = it.diagnose_at_checkpoint(file, later);
    EXPECT_TRUE(findings.has("dmesg:beyond_eof"));
    EXPECT_EQ(findings.cause, Cause::BEYOND_EOF);
    EXPECT_EQ(findings.evidence["kernel"].size(), 1u);
}

TEST_F(Diagnostics, what_errno_and_message_say_skips_nothing) {
    DiagnosticService it = service(DiagnosticsLevel::predict);
    const ReadFailure how{make_error(ErrorCode::io, "attempt to access beyond end of device"), std::nullopt, std::nullopt};
    EXPECT_FALSE(DiagnosticService::should_skip_permanently(it.diagnose_at_checkpoint(file, how)));
    const auto actions = fail(it, file, how, 50);
    EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::skip), 0);
    EXPECT_EQ(actions.back(), Action::give_up);
}

TEST_F(Diagnostics, a_log_that_cannot_be_read_is_said) {
    DiagnosticService it(DiagnosticsLevel::skip, {}, nullptr, mount, log);
    EXPECT_TRUE(it.diagnose_at_checkpoint(file, failure()).has("dmesg:unavailable"));
}

// --- levels ---

TEST_F(Diagnostics, observe_logs_at_10_and_50_and_changes_nothing) {
    ReadFailure how = failure();
    how.geometry = Verdict{{}, 1, Cause::BEYOND_EOF, "{}"};
    DiagnosticService it = service(DiagnosticsLevel::observe);
    const auto actions = fail(it, file, how, 50);
    EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::retry), 49);
    EXPECT_EQ(actions.back(), Action::leave);
    EXPECT_EQ(logged("🔍 DIAGNOSTIC CHECKPOINT ino=3455 retry=10 findings={"), 1u) << text.str();
    EXPECT_EQ(logged("⚠️  MAX RETRIES REACHED ino=3455 retry=50 (WOULD SKIP IN FUTURE PHASE)"), 1u);
    EXPECT_EQ(mount.remounts, 0);
    EXPECT_TRUE(it.take_events().empty());
}

TEST_F(Diagnostics, skip_ends_what_is_certain_at_the_checkpoint) {
    ReadFailure how = failure();
    how.geometry = Verdict{{}, 1, Cause::BEYOND_EOF, "{}"};
    DiagnosticService it = service(DiagnosticsLevel::skip);
    const auto actions = fail(it, file, how, 10);
    EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::retry), 9);
    EXPECT_EQ(actions.back(), Action::skip);
    EXPECT_EQ(logged("⏭️  SKIPPED ino=3455 reason=beyond_eof retry=10"), 1u) << text.str();
    EXPECT_EQ(it.track_failure(file), 1) << "whoever puts it back into the queue has it start afresh";
}

TEST_F(Diagnostics, remount_brings_a_lost_mount_back_and_the_inode_starts_afresh) {
    mount.is = MountState::missing;
    DiagnosticService it = service(DiagnosticsLevel::remount);
    EXPECT_EQ(fail(it, file, failure(ENOENT), 1).back(), Action::retry) << "at once: every other file would fail as well";
    EXPECT_EQ(mount.remounts, 1);
    EXPECT_EQ(logged("🔄 Attempting remount for " + kMedium), 1u);
    EXPECT_EQ(logged("🔄 Remount succeeded, will retry"), 1u);
    EXPECT_EQ(it.track_failure(file), 1);
}

TEST_F(Diagnostics, a_mount_that_does_not_come_back_parks_the_medium) {
    mount.is = MountState::missing;
    mount.comes_back = false;
    DiagnosticService it = service(DiagnosticsLevel::remount);
    EXPECT_EQ(fail(it, file, failure(ENOENT), 1).back(), Action::park_medium);
    EXPECT_EQ(logged("🔄 Remount failed"), 1u);
    EXPECT_EQ(it.on_lost_mount({kMedium, 1, 4}).action, Action::park_medium);
}

TEST_F(Diagnostics, below_remount_a_lost_mount_waits_for_the_checkpoint) {
    mount.is = MountState::missing;
    DiagnosticService it = service(DiagnosticsLevel::skip);
    EXPECT_EQ(fail(it, file, failure(ENOENT), 10).back(), Action::retry);
    EXPECT_EQ(logged("DIAGNOSTIC CHECKPOINT"), 1u);
    EXPECT_EQ(mount.remounts, 0);
}

// It says about ten things in five seconds and is silent then: what came with the first failures stands for the tenth.
TEST_F(Diagnostics, the_kernels_words_of_earlier_failures_of_the_same_inode_count) {
    DiagnosticService it = service(DiagnosticsLevel::skip);
    ReadFailure first = failure();
    kernel.say("ntt-reader: attempt to access beyond end of device\nloop38: rw=0, sector=1316, nr_sectors = 8 limit=841");
    EXPECT_EQ(it.on_failure(file, first).action, Action::retry);
    EXPECT_EQ(fail(it, {kMedium, 1, 7}, failure(), 10).back(), Action::retry) << "nothing was said of this one";
    EXPECT_EQ(fail(it, file, failure(), 9).back(), Action::skip);
}

TEST_F(Diagnostics, remounts_of_a_medium_are_bounded) {
    DiagnosticThresholds thresholds;
    thresholds.remounts_per_medium = 2;
    DiagnosticService it = service(DiagnosticsLevel::remount, thresholds);
    for (int64_t ino = 1; ino <= 5; ++ino) {
        mount.is = MountState::inaccessible;
        const auto actions = fail(it, {kMedium, 1, ino}, failure(EIO), 10);
        EXPECT_EQ(actions.back(), ino <= 2 ? Action::retry : Action::park_medium) << ino;
    }
    EXPECT_EQ(mount.remounts, 2);
}

TEST_F(Diagnostics, record_keeps_an_event_of_each_decision) {
    DiagnosticService it = service(DiagnosticsLevel::record);
    fail(it, file, failure(), 50);
    mount.is = MountState::missing;
    fail(it, {kMedium, 1, 7}, failure(ENOENT), 10);
    const auto events = it.take_events();
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].action, "continuing");
    EXPECT_EQ(events[0].findings.retry_count, 10);
    EXPECT_EQ(events[1].action, "max_retries");
    EXPECT_EQ(events[1].findings.retry_count, 50);
    EXPECT_EQ(events[2].action, "remounted");
    EXPECT_EQ(events[2].findings.cause, Cause::MOUNT_LOST);
    EXPECT_LE(events[0].exception_msg.size(), 100u);
    EXPECT_TRUE(it.take_events().empty());
}

TEST_F(Diagnostics, without_an_end_it_retries_for_ever) {
    DiagnosticThresholds thresholds;
    thresholds.max_retries = 0;
    DiagnosticService it = service(DiagnosticsLevel::observe, thresholds);
    const auto actions = fail(it, file, failure(), 3000);
    EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::retry), 3000);
}

TEST(DiagnosticsLevels, have_the_contracts_names_in_its_order) {
    for (const char* word : {"observe", "skip", "remount", "record", "predict"}) EXPECT_EQ(to_string(diagnostics_level_from(word).value()), word);
    EXPECT_FALSE(diagnostics_level_from("all"));
    EXPECT_LT(DiagnosticsLevel::skip, DiagnosticsLevel::remount);
}

}  // namespace
}  // namespace ntt
