// Why a read through a mount failed, and what to do about it: the mission's DiagnosticService.
//
// The image engine never needs it: what an image lacks is known before the first read (verdict.h). A mount only says errno, and
// "Input/output error" can mean a chain beyond the end of the image, a bad sector, a mount that is gone, or this computer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/logger.h>

#include "base/cause.h"
#include "base/result.h"
#include "diagnose/verdict.h"
#include "os/kernel_log.h"

namespace ntt {

// Each level does what those before it do.
enum class DiagnosticsLevel : uint8_t {
    observe,  // logs what it finds
    skip,     // ends what is certainly lost
    remount,  // mounts again what was lost
    record,   // keeps an event of each decision
    predict,  // decides before the first read where the evidence is conclusive
};
std::string_view to_string(DiagnosticsLevel level);
std::optional<DiagnosticsLevel> diagnostics_level_from(std::string_view word);

struct DiagnosticThresholds {
    int checkpoint_retry = 10;      // failures of one inode after which it is looked into
    int max_retries = 50;           // failures after which it is given up; 0: never
    int remounts_per_medium = 3;    // in one run
};

enum class MountState : uint8_t { ok, missing, inaccessible };
std::string_view to_string(MountState state);

// The medium's mount, as somebody else controls it.
class MountControl {
public:
    virtual ~MountControl() = default;
    virtual MountState state(const std::string& medium_hash) = 0;
    virtual Result<void> remount(const std::string& medium_hash) = 0;
    virtual bool can_remount() const { return true; }
    // The block devices under the mount, as the kernel names them: loop38.
    virtual std::vector<std::string> devices(const std::string& medium_hash) = 0;
};

struct FailedInode {
    std::string medium_hash;
    int volume = 0;
    int64_t ino = 0;
    auto operator<=>(const FailedInode&) const = default;
};

// One failed read.
struct ReadFailure {
    Error error;
    std::optional<uint64_t> kernel_sequence;  // KernelLog::next_sequence() as it was before the read
    std::optional<Verdict> geometry;          // of the file's extents, where they are known
};

// What a checkpoint found: for people and events as JSON, for rules by has().
struct DiagnosticFindings {
    int retry_count = 0;
    std::vector<std::string> checks_performed;  // contract names
    std::optional<Cause> cause;                 // as far as the checks say
    nlohmann::json evidence = nlohmann::json::object();

    bool has(std::string_view check) const;
    // {"checks_performed":[…],"retry_count":…,"cause":…,"evidence":{…}}
    std::string text() const;
};

// A decision, for medium.problems and the table of events.
struct DiagnosticEvent {
    FailedInode inode;
    DiagnosticFindings findings;
    std::string action;  // continuing, skipped, remounted, max_retries
    std::string exception_type, exception_msg;
};

// One worker's. One thread.
class DiagnosticService {
public:
    // `kernel_log` may be null: it cannot be read (check dmesg:unavailable). All of it outlives the service.
    DiagnosticService(DiagnosticsLevel level, DiagnosticThresholds thresholds, KernelLog* kernel_log, MountControl& mounts, spdlog::logger& log)
        : level_(level), thresholds_(thresholds), kernel_log_(kernel_log), mounts_(mounts), log_(log) {}

    enum class Action : uint8_t {
        retry,        // later, while other files go on
        skip,         // it is lost for good, by `cause`
        give_up,      // retries are used up
        leave,        // as give_up, but level observe changes nothing: the inode stays to be done
        park_medium,  // its mount is lost and does not come back: nothing more can be read of it in this run
    };
    struct Decision {
        Action action = Action::retry;
        std::optional<Cause> cause;
        int retry_count = 0;
        std::string evidence = "{}";  // of skip and give_up: a JSON object
    };

    // What is to be done after a failed read: counts it, looks into it at the checkpoint (and at once where the mount is gone),
    // mounts again once for each loss, ends it at the last retry. Logs the contract's lines.
    Decision on_failure(const FailedInode& inode, const ReadFailure& failure);
    // The mount was found gone before a read: as a failed read of the file that is next.
    Decision on_lost_mount(const FailedInode& next);
    // The inode was read, or is done for: its count is gone.
    void forget(const FailedInode& inode);

    // --- the mission's steps, which on_failure() takes ---
    int track_failure(const FailedInode& inode);
    DiagnosticFindings diagnose_at_checkpoint(const FailedInode& inode, const ReadFailure& failure);
    // Only what is certain: geometry, or the kernel's word on this very device and read. What errno's text says is not.
    static bool should_skip_permanently(const DiagnosticFindings& findings);
    static bool should_attempt_remount(const DiagnosticFindings& findings);
    bool attempt_remount(const std::string& medium_hash);
    void record_diagnostic_event(const FailedInode& inode, const DiagnosticFindings& findings, std::string_view action, const Error& error);

    // Events since the last call; to be written when the batch is committed, so that no lock is held for them. Only from level
    // record on.
    std::vector<DiagnosticEvent> take_events() { return std::exchange(events_, {}); }

private:
    // What the kernel said of the reads of one inode that failed. It limits how much it says: most of it comes with the first.
    struct KernelWords {
        bool available = false;
        std::vector<std::string> checks;
        nlohmann::json records = nlohmann::json::array();
    };
    struct Tracked {
        int failures = 0;
        KernelWords kernel;
    };
    void ask_kernel(const std::string& medium_hash, const ReadFailure& failure, KernelWords& out) const;
    Decision at_checkpoint(const FailedInode& inode, const ReadFailure& failure, int count);
    Decision at_last_retry(const FailedInode& inode, const ReadFailure& failure, int count);

    const DiagnosticsLevel level_;
    const DiagnosticThresholds thresholds_;
    KernelLog* const kernel_log_;
    MountControl& mounts_;
    spdlog::logger& log_;
    std::map<FailedInode, Tracked> tracked_;
    std::map<std::string, int> remounts_;
    std::vector<DiagnosticEvent> events_;
};

}  // namespace ntt
