#include "diagnose/diagnostic_service.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "diagnose/kernel_evidence.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kLevels = {"observe", "skip", "remount", "record", "predict"};
constexpr size_t kMaxExceptionText = 100;  // of an event
constexpr size_t kMaxKernelRecords = 16;   // in evidence

bool contains(std::string_view text, std::string_view words) {
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b)); };
    return std::search(text.begin(), text.end(), words.begin(), words.end(), same) != text.end();
}

// What errno and message say, and the cause if nothing says better.
struct Said {
    std::string_view check;
    Cause cause;
};

Said said_by(const Error& error) {
    const std::string text = error.text();
    if (contains(text, "beyond end of device")) return {"detected_beyond_eof", Cause::IO_ERROR};
    if (error.sys_errno == ENOENT || error.sys_errno == ESTALE || contains(text, "no such file")) return {"detected_missing_file", Cause::MISSING_FILE};
    if (error.sys_errno == EACCES || error.sys_errno == EPERM) return {"detected_permission_error", Cause::PERMISSION};
    if (error.sys_errno == ETIMEDOUT) return {"detected_io_error", Cause::TIMEOUT};
    return {"detected_io_error", Cause::IO_ERROR};
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string_view to_string(DiagnosticsLevel level) { return kLevels[static_cast<size_t>(level)]; }

std::optional<DiagnosticsLevel> diagnostics_level_from(std::string_view word) {
    const auto at = std::find(kLevels.begin(), kLevels.end(), word);
    if (at == kLevels.end()) return std::nullopt;
    return static_cast<DiagnosticsLevel>(at - kLevels.begin());
}

std::string_view to_string(MountState state) {
    switch (state) {
        case MountState::ok: return "ok";
        case MountState::missing: return "missing";
        case MountState::inaccessible: return "inaccessible";
    }
    return "";
}

bool DiagnosticFindings::has(std::string_view check) const { return std::find(checks_performed.begin(), checks_performed.end(), check) != checks_performed.end(); }

std::string DiagnosticFindings::text() const {
    json out = {{"checks_performed", checks_performed}, {"retry_count", retry_count}};
    if (cause) out["cause"] = to_string(*cause);
    if (!evidence.empty()) out["evidence"] = evidence;
    return dump(out);
}

int DiagnosticService::track_failure(const FailedInode& inode) { return ++tracked_[inode].failures; }

void DiagnosticService::forget(const FailedInode& inode) { tracked_.erase(inode); }

DiagnosticFindings DiagnosticService::diagnose_at_checkpoint(const FailedInode& inode, const ReadFailure& failure) {
    DiagnosticFindings out;
    const auto tracked = tracked_.find(inode);
    out.retry_count = tracked == tracked_.end() ? 0 : tracked->second.failures;

    const Said said = said_by(failure.error);
    out.checks_performed.emplace_back(said.check);
    out.cause = said.cause;
    out.evidence["errno"] = failure.error.sys_errno;

    KernelWords kernel = tracked == tracked_.end() ? KernelWords() : tracked->second.kernel;
    ask_kernel(inode.medium_hash, failure, kernel);
    if (!kernel.available) out.checks_performed.emplace_back("dmesg:unavailable");
    for (std::string& check : kernel.checks) {
        if (check == check_of(KernelEvidence::Kind::beyond_eof)) out.cause = Cause::BEYOND_EOF;
        out.checks_performed.push_back(std::move(check));
    }
    if (!kernel.records.empty()) out.evidence["kernel"] = std::move(kernel.records);

    const MountState state = mounts_.state(inode.medium_hash);
    out.checks_performed.push_back("mount_check:" + std::string(to_string(state)));
    if (state == MountState::missing) out.cause = Cause::MOUNT_LOST;
    if (state == MountState::inaccessible) out.cause = Cause::MOUNT_INACCESSIBLE;

    // Last, as nothing overrules it.
    if (failure.geometry && failure.geometry->cause) {
        out.checks_performed.push_back(check_of(*failure.geometry->cause));
        out.cause = failure.geometry->cause;
        out.evidence["geometry"] = json::parse(failure.geometry->evidence, nullptr, false);
    }
    return out;
}

// Only records of this medium's own devices that came with this read: another disk's errors decide nothing here.
void DiagnosticService::ask_kernel(const std::string& medium_hash, const ReadFailure& failure, KernelWords& out) const {
    Result<std::vector<KernelRecord>> records = make_error(ErrorCode::unsupported, "no kernel log");
    if (kernel_log_ != nullptr && failure.kernel_sequence) records = kernel_log_->since(*failure.kernel_sequence);
    if (!records.ok()) return;
    out.available = true;
    const std::vector<std::string> devices = mounts_.devices(medium_hash);
    for (const KernelRecord& record : *records) {
        const auto said = evidence_in(record.text);
        if (!said || std::find(devices.begin(), devices.end(), said->device) == devices.end()) continue;
        const std::string check(check_of(said->kind));
        if (std::find(out.checks.begin(), out.checks.end(), check) == out.checks.end()) out.checks.push_back(check);
        json shown = {{"sequence", record.sequence}, {"text", record.text}};
        const bool is_there = std::find(out.records.begin(), out.records.end(), shown) != out.records.end();
        if (!is_there && out.records.size() < kMaxKernelRecords) out.records.push_back(std::move(shown));
    }
}

bool DiagnosticService::should_skip_permanently(const DiagnosticFindings& findings) {
    return findings.has("extent:beyond_eof") || findings.has("dmesg:beyond_eof");
}

bool DiagnosticService::should_attempt_remount(const DiagnosticFindings& findings) {
    return findings.has("mount_check:missing") || findings.has("mount_check:inaccessible") || findings.has("detected_missing_file");
}

bool DiagnosticService::attempt_remount(const std::string& medium_hash) {
    log_.info("🔄 Attempting remount for {}", medium_hash);
    ++remounts_[medium_hash];
    const Result<void> result = mounts_.remount(medium_hash);
    if (result.ok() && mounts_.state(medium_hash) == MountState::ok) {
        log_.info("🔄 Remount succeeded, will retry");
        return true;
    }
    log_.error("🔄 Remount failed{}", result.ok() ? "" : ": " + result.error().text());
    return false;
}

void DiagnosticService::record_diagnostic_event(const FailedInode& inode, const DiagnosticFindings& findings, std::string_view action, const Error& error) {
    if (level_ < DiagnosticsLevel::record) return;
    events_.push_back({inode, findings, std::string(action), std::string(to_string(error.code)), error.text().substr(0, kMaxExceptionText)});
}

DiagnosticService::Decision DiagnosticService::on_failure(const FailedInode& inode, const ReadFailure& failure) {
    const int count = track_failure(inode);
    ask_kernel(inode.medium_hash, failure, tracked_[inode].kernel);
    // Whatever else fails now fails for want of the mount: no other file is to be tried before it is back.
    const bool lost = level_ >= DiagnosticsLevel::remount && mounts_.state(inode.medium_hash) != MountState::ok;
    log_.debug("a read of inode {} of volume {} failed for the {}. time{}: {}", inode.ino, inode.volume, count, lost ? ", and the mount is gone" : "", failure.error.text());
    if (lost || count == thresholds_.checkpoint_retry) return at_checkpoint(inode, failure, count);
    if (thresholds_.max_retries != 0 && count >= thresholds_.max_retries) return at_last_retry(inode, failure, count);
    return {Action::retry, std::nullopt, count, {}};
}

DiagnosticService::Decision DiagnosticService::on_lost_mount(const FailedInode& next) {
    const ReadFailure failure{errno_error(ENOENT, "the mount is gone"), std::nullopt, std::nullopt};
    return at_checkpoint(next, failure, track_failure(next));
}

DiagnosticService::Decision DiagnosticService::at_checkpoint(const FailedInode& inode, const ReadFailure& failure, int count) {
    const DiagnosticFindings findings = diagnose_at_checkpoint(inode, failure);
    log_.warn("🔍 DIAGNOSTIC CHECKPOINT ino={} retry={} findings={}", inode.ino, count, findings.text());
    if (level_ >= DiagnosticsLevel::skip && should_skip_permanently(findings)) {
        log_.warn("⏭️  SKIPPED ino={} reason={} retry={}", inode.ino, reason_of(*findings.cause), count);
        record_diagnostic_event(inode, findings, "skipped", failure.error);
        forget(inode);
        return {Action::skip, findings.cause, count, findings.text()};
    }
    if (level_ >= DiagnosticsLevel::remount && should_attempt_remount(findings)) {
        const bool may = remounts_[inode.medium_hash] < thresholds_.remounts_per_medium;
        const bool mounted = may && attempt_remount(inode.medium_hash);
        record_diagnostic_event(inode, findings, mounted ? "remounted" : "continuing", failure.error);
        if (mounted) forget(inode);
        const bool lost = !mounted && !findings.has("mount_check:ok");
        return {lost ? Action::park_medium : Action::retry, findings.cause, count, findings.text()};
    }
    record_diagnostic_event(inode, findings, "continuing", failure.error);
    return {Action::retry, findings.cause, count, findings.text()};
}

DiagnosticService::Decision DiagnosticService::at_last_retry(const FailedInode& inode, const ReadFailure& failure, int count) {
    const bool observes = level_ == DiagnosticsLevel::observe;
    log_.error("⚠️  MAX RETRIES REACHED ino={} retry={}{}", inode.ino, count, observes ? " (WOULD SKIP IN FUTURE PHASE)" : "");
    const DiagnosticFindings findings = diagnose_at_checkpoint(inode, failure);
    record_diagnostic_event(inode, findings, "max_retries", failure.error);
    forget(inode);
    return {observes ? Action::leave : Action::give_up, findings.cause, count, findings.text()};
}

}  // namespace ntt
