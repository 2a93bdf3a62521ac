#include "copy/tree_copier.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <queue>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/kill_point.h"
#include "copy/commit_groups.h"
#include "copy/segments.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr size_t kRowsPerFetch = 1024;
constexpr size_t kBufferBytes = size_t{1} << 20;    // a content up to this size is staged at once
constexpr size_t kPageBytes = 4096;                 // what is tried of a piece that failed
constexpr int kSalvageFailures = 4096;              // reads that may fail while one file is salvaged; what is behind them is missing
constexpr uint64_t kHoleBytes = 4096;               // shorter runs of zeros are written, not left out
constexpr int64_t kTick = 50'000;                   // between looks at the cancel token while waiting

// A content on its way into the store: its hash, and its bytes as far as they are not staged yet.
class Staging {
public:
    Staging(Store& store, BlobKind kind) : store_(store), kind_(kind) {}

    Result<void> add(ByteView bytes) {
        hasher_.update(bytes);
        size_ += bytes.size();
        if (!writer_ && head_.size() + bytes.size() <= kBufferBytes) {
            head_.insert(head_.end(), bytes.begin(), bytes.end());
            return {};
        }
        TRY(start_writer());
        return is_hole(bytes) ? writer_->append_hole(bytes.size()) : writer_->append(bytes);
    }
    Result<void> add_zeros(uint64_t length) {
        static const std::vector<uint8_t> zeros(64 << 10);
        if (length < kHoleBytes || (!writer_ && head_.size() + length <= kBufferBytes)) {
            for (uint64_t done = 0; done < length;) {
                const auto piece = ByteView(zeros).first(static_cast<size_t>(std::min<uint64_t>(zeros.size(), length - done)));
                TRY(add(piece));
                done += piece.size();
            }
            return {};
        }
        for (uint64_t done = 0; done < length;) {
            const auto piece = ByteView(zeros).first(static_cast<size_t>(std::min<uint64_t>(zeros.size(), length - done)));
            hasher_.update(piece);
            done += piece.size();
        }
        size_ += length;
        TRY(start_writer());
        return writer_->append_hole(length);
    }
    BlobId digest() { return hasher_.digest(); }
    uint64_t size() const { return size_; }
    Result<StagedBlob> finish(const BlobId& id) { return writer_ ? writer_->finish(id) : store_.stage(kind_, id, head_); }

private:
    // A sparse file of a folder is not to become a dense one.
    static bool is_hole(ByteView bytes) {
        return bytes.size() >= kHoleBytes && bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
    }

    Result<void> start_writer() {
        if (writer_) return {};
        TRY_ASSIGN(writer_, store_.start(kind_));
        TRY(writer_->append(head_));
        head_ = {};
        return {};
    }

    Store& store_;
    const BlobKind kind_;
    Blake3 hasher_;
    uint64_t size_ = 0;
    std::vector<uint8_t> head_;
    std::optional<StagedWriter> writer_;
};

// What reading a file came to. A failure of the store is an Error instead.
struct Reading {
    std::optional<Error> failed;        // strict: the first failure
    uint64_t failed_at = 0;
    std::vector<MissingRow> missing;    // salvage: what could not be read
    uint64_t bytes_read = 0;
    bool gave_up = false;               // the tree's process was lost
    bool cancelled = false;             // of no use
    int failures = 0;                   // salvage: of reads
    bool piece_failed = false;          // salvage: nothing of the piece before could be read
};

enum class Effort : uint8_t {
    strict,   // the first failure ends it
    salvage,  // everything that can be had
};

bool is_absence(const Error& error) { return error.sys_errno == ENOENT || error.sys_errno == ESTALE || error.sys_errno == ENOTDIR; }

std::string error_type_of(const Error& error) {
    if (error.sys_errno == EACCES || error.sys_errno == EPERM) return "permission_error";
    return is_absence(error) ? "path_error" : "io_error";
}

class TreeCopier {
public:
    TreeCopier(const TreeCopyJob& job, const CopyOptions& options, const RetryWaits& waits)
        : job_(job), options_(options), waits_(waits), groups_(job, options, report_, [](size_t, uint64_t) {}), buffer_(kTreePiece) {}

    Result<CopyReport> run() {
        TRY_ASSIGN(rows_, job_.catalog.pending_rows(job_.medium, options_.volumes ? &*options_.volumes : nullptr));
        report_.untried = options_.limit != 0 && rows_.size() > options_.limit;
        if (report_.untried) rows_.resize(options_.limit);
        job_.progress.files_total += rows_.size();
        Result<void> done = work();
        if (!done.ok()) return std::move(done).take_error();
        TRY(write_events());
        TRY(groups_.finish());
        report_.interrupted = job_.cancel.cancelled() && report_.files < rows_.size();
        return report_;
    }

private:
    struct Later {
        int64_t due_us;
        WorkItem item;
        bool operator>(const Later& other) const { return due_us > other.due_us; }
    };

    Result<void> work() {
        while (!job_.cancel.cancelled() && !report_.parked) {
            TRY_ASSIGN(std::optional<WorkItem> item, next());
            if (!item) return {};
            TRY(attempt(*std::move(item)));
            if (groups_.is_due()) TRY(commit());
        }
        return {};
    }

    // What is due again, else what was not tried yet; waits where there is only the former, and not yet. nullopt at the end.
    Result<std::optional<WorkItem>> next() {
        for (;;) {
            const int64_t now = job_.clock.monotonic_us();
            if (!later_.empty() && later_.top().due_us <= now) return take_later();
            TRY_ASSIGN(std::optional<WorkItem> fresh, next_fresh());
            if (fresh) return fresh;
            if (later_.empty() || job_.cancel.cancelled()) return std::optional<WorkItem>();
            if (groups_.is_due()) TRY(commit());
            ++job_.progress.signs_of_life;
            job_.sleep(std::min(kTick, std::max<int64_t>(later_.top().due_us - now, 1)));
        }
    }

    std::optional<WorkItem> take_later() {
        std::optional<WorkItem> item(later_.top().item);
        later_.pop();
        return item;
    }

    Result<std::optional<WorkItem>> next_fresh() {
        if (fetched_.empty() && next_row_ < rows_.size()) {
            const size_t count = std::min(kRowsPerFetch, rows_.size() - next_row_);
            TRY_ASSIGN(std::vector<WorkItem> items, job_.catalog.work_items(job_.medium, std::span(rows_).subspan(next_row_, count)));
            next_row_ += count;
            for (WorkItem& item : items) {
                job_.progress.bytes_total += item.size;
                fetched_.push_back(std::move(item));
            }
        }
        if (fetched_.empty()) return std::optional<WorkItem>();
        std::optional<WorkItem> item(std::move(fetched_.front()));
        fetched_.pop_front();
        return item;
    }

    // One try at one file.
    Result<void> attempt(WorkItem item) {
        TRY_ASSIGN(const std::vector<std::string> paths, job_.catalog.paths(job_.medium, item.volume, item.ino));
        if (mount_is_lost() && !remounted(item)) return {};
        if (paths.empty()) return make_error(ErrorCode::catalog_damaged, fmt::format("inode {} of volume {} is pending and has no name", item.ino, item.volume));
        if (!job_.trees.has(item.volume)) {
            park(fmt::format("volume {} is not mounted any more", item.volume));
            return {};
        }
        // The numbers of a FUSE filesystem are others after each mount: size and times must do.
        const bool numbered = !job_.trees.mount_of(item.volume).fs_type.starts_with("fuse");
        TreeFile file{paths.front(), numbered ? item.fs_ino : "", item.size, item.mtime, item.mtime_ns};
        if (!item.cause && job_.image == nullptr) judge_by_device(item);
        const bool predicted = item.cause && (decided_beforehand(item) || item.failures >= options_.startup_error_limit);
        if (predicted) return finish_salvaged(item, file, *item.cause, {}, std::nullopt);

        const std::optional<uint64_t> mark = kernel_mark();
        std::optional<Staging> staging;
        Reading reading;
        for (const std::string& path : paths) {  // a file that has lost one of its names has others
            file.path = path;
            staging.emplace(job_.store, item.cause ? BlobKind::partial : BlobKind::whole);
            TRY_ASSIGN(reading, read(item, file, Effort::strict, *staging));
            if (reading.cancelled) return {};
            if (!reading.failed || !is_absence(*reading.failed)) break;
        }
        if (reading.failed) {
            if (job_.cancel.cancelled()) return {};
            return on_failure(std::move(item), file, *reading.failed, reading.failed_at, mark);
        }
        missing_in_a_row_.clear();
        ++successes_;
        job_.diagnostics.forget(inode_of(item));
        if (!item.cause) {
            // Where the image engine knows the place of every byte, a driver that gives others is wrong: it may follow a copy of
            // a table that is damaged, or take one file for another of the same name.
            Staging of_image(job_.store, BlobKind::whole);
            TRY_ASSIGN(const bool known, read_from_image(item, of_image));
            if (known && of_image.digest() != staging->digest()) return deliver_from_image(item, of_image);
        }
        return deliver(item, *staging, reading, item.cause ? std::optional(*item.cause) : std::nullopt, "", {});
    }

    Result<void> deliver_from_image(const WorkItem& item, Staging& staging) {
        Finding doubt;
        doubt.code = "driver_differs";
        doubt.ino = item.ino;
        doubt.volume = item.volume;
        doubt.message = "the driver gives other bytes than the file's place in the image: those of the image are stored";
        Reading reading;
        reading.bytes_read = item.size;
        return deliver(item, staging, reading, std::nullopt, "", {}, std::move(doubt));
    }

    // False where a part of the file has no place in the image, or there is none.
    Result<bool> read_from_image(const WorkItem& item, Staging& staging) {
        if (job_.image == nullptr || item.size == 0) return false;
        TRY_ASSIGN(const std::vector<Extent> extents, decode_extents(item.extents));
        uint64_t at = 0;
        for (const Extent& extent : extents) {
            if (extent.kind == ExtentKind::opaque || extent.file_offset != at) return false;
            at += extent.length;
        }
        if (at != item.size) return false;
        for (const Extent& extent : extents) {
            if (extent.kind == ExtentKind::hole) {
                TRY(staging.add_zeros(extent.length));
                continue;
            }
            for (uint64_t done = 0; done < extent.length;) {
                const ByteSpan piece = ByteSpan(buffer_).first(static_cast<size_t>(std::min<uint64_t>(kTreePiece, extent.length - done)));
                if (!job_.image->read(extent.image_offset + done, piece).ok()) return false;
                TRY(staging.add(piece));
                done += piece.size();
            }
        }
        return true;
    }

    // An open folder of a mount that was taken away can still be read, but whoever took it away may have had a reason, and the
    // driver may be gone with it.
    bool mount_is_lost() {
        return job_.level >= DiagnosticsLevel::remount && job_.mounts.can_remount() && watch_.changed() && !mounted();
    }
    bool remounted(const WorkItem& item) {
        const DiagnosticService::Decision decision = job_.diagnostics.on_lost_mount(inode_of(item));
        if (decision.action == DiagnosticService::Action::park_medium) park("its mount is lost and does not come back");
        return !report_.parked;
    }

    // A folder on a block device: what lies beyond the device's end, as it is now, is not there.
    void judge_by_device(WorkItem& item) {
        const MountEntry& mount = job_.trees.mount_of(item.volume);
        const std::optional<uint64_t> bytes = block_device_bytes(mount.major, mount.minor);
        Result<std::vector<Extent>> extents = decode_extents(item.extents);
        if (!bytes || !extents.ok() || extents->empty()) return;
        InodeEntry inode;
        inode.size = item.size;
        inode.access = ContentAccess::extents;
        inode.extents = std::move(extents).value();
        const Verdict verdict = DamageMap(*bytes, nullptr, {}).judge(inode, {0, INT64_MAX});
        item.cause = verdict.cause;
        item.missing_bytes = verdict.missing_bytes;
        for (const MissingRange& range : verdict.missing) item.missing.push_back({range.file_offset, range.length, range.image_offset, range.cause});
        if (item.cause) judged_here_.insert(item.row);
    }

    // What the image's geometry says is missing is not tried, but for what a mount can only find out by failing: there the
    // levels below predict take the mission's way.
    bool decided_beforehand(const WorkItem& item) const {
        const bool beyond = std::any_of(item.missing.begin(), item.missing.end(), [](const MissingRow& range) { return range.cause == Cause::BEYOND_EOF; });
        return job_.level == DiagnosticsLevel::predict || !beyond;
    }

    Result<void> on_failure(WorkItem item, const TreeFile& file, const Error& error, uint64_t at, std::optional<uint64_t> mark) {
        const FailedInode inode = inode_of(item);
        if (error.code == ErrorCode::source_changed) {
            // Neither damage nor worth a retry: another listing is what it needs.
            return leave_changed(item, error);
        }
        if (error.sys_errno == ETIMEDOUT) {
            DiagnosticFindings findings;
            findings.checks_performed = {"detected_io_error"};
            findings.cause = Cause::TIMEOUT;
            findings.evidence["errno"] = error.sys_errno;
            findings.retry_count = job_.diagnostics.track_failure(inode);
            job_.diagnostics.record_diagnostic_event(inode, findings, "continuing", error);
            park(fmt::format("{}: the filesystem did not answer", error.text()));
            return leave(item, error, at, 1);
        }
        if (is_absence(error)) {
            missing_in_a_row_.insert(item.row);
            if (missing_in_a_row_.size() >= kMissingInARow && mounted()) {
                TRY_ASSIGN(const bool any_there, anything_there());
                if (any_there) missing_in_a_row_.clear();  // then these are gone, one by one
                if (!any_there) park(fmt::format("{} files in a row that were listed are not there ({}): a lost mount, or a wrong path; nothing is marked as lost",
                                 missing_in_a_row_.size(), error.text()));
                if (!any_there) return {};
            }
        } else {
            missing_in_a_row_.clear();
        }
        ReadFailure failure{error, mark, geometry_of(item)};
        const DiagnosticService::Decision decision = job_.diagnostics.on_failure(inode, failure);
        using Action = DiagnosticService::Action;
        switch (decision.action) {
            case Action::retry:
                later_.push({job_.clock.monotonic_us() + waits_.after(decision.retry_count, static_cast<uint64_t>(item.row)), std::move(item)});
                return {};
            case Action::leave: return leave(item, error, at, decision.retry_count);
            case Action::park_medium: park(fmt::format("its mount is lost and does not come back ({})", error.text())); return {};
            case Action::skip: return finish_salvaged(item, file, *decision.cause, decision.evidence, Ending{error, at, decision.retry_count, false});
            case Action::give_up:
                if (is_absence(error) && successes_ == 0) {
                    TRY_ASSIGN(const bool any_there, anything_there());
                    if (any_there) return finish_salvaged(item, file, Cause::MISSING_FILE, decision.evidence, Ending{error, at, decision.retry_count, true});
                    park(fmt::format("not one file that was listed is there ({}): a lost mount, or a wrong path; nothing is marked as lost", error.text()));
                    return {};
                }
                return finish_salvaged(item, file, decision.cause.value_or(Cause::IO_ERROR), decision.evidence, Ending{error, at, decision.retry_count, true});
        }
        return {};
    }

    // Whether some file of the medium, tried or not, stands where it was listed: the tree is the one that was listed then.
    Result<bool> anything_there() {
        constexpr size_t kFilesAsked = 64;
        std::vector<InodeRow> some;
        const size_t step = std::max<size_t>(1, rows_.size() / kFilesAsked);
        for (size_t i = 0; i < rows_.size(); i += step) {
            TRY_ASSIGN(const std::vector<WorkItem> items, job_.catalog.work_items(job_.medium, std::span(rows_).subspan(i, 1)));
            InodeRow row;
            row.volume = items.front().volume;
            row.ino = items.front().ino;
            some.push_back(std::move(row));
        }
        const Result<void> asked = job_.catalog.for_each_inode(job_.medium, std::nullopt, [&](const InodeRow& row) -> Result<void> {
            if (row.fs_type == 'f' && row.copied) some.push_back(row);
            if (some.size() >= 2 * kFilesAsked) return make_error(ErrorCode::limit, "enough");
            return {};
        });
        if (!asked.ok() && asked.error().code != ErrorCode::limit) return asked.error();
        for (const InodeRow& row : some) {
            if (!job_.trees.has(row.volume)) continue;
            TRY_ASSIGN(const std::vector<std::string> paths, job_.catalog.paths(job_.medium, row.volume, row.ino));
            for (const std::string& path : paths) {
                const Result<void> found = job_.trees.of(row.volume).look(path, job_.cancel);
                if (found.ok() || !is_absence(found.error())) return true;
            }
        }
        return false;
    }

    // How the tries at a file ended.
    struct Ending {
        Error error;
        uint64_t at = 0;
        int attempts = 0;
        bool retries_used_up = false;
    };

    // Reads what can be had, and ends with the file.
    Result<void> finish_salvaged(const WorkItem& item, const TreeFile& file, Cause cause, const std::string& evidence, const std::optional<Ending>& ending) {
        Staging staging(job_.store, BlobKind::partial);
        salvage_cause_ = ending ? cause : Cause::IO_ERROR;
        TRY_ASSIGN(extents_, decode_extents(item.extents));
        TRY_ASSIGN(Reading reading, read(item, file, Effort::salvage, staging));
        if (reading.cancelled || job_.cancel.cancelled()) return {};
        if (reading.gave_up) park(fmt::format("the filesystem did not answer while {} was salvaged", to_terminal_text(file.path)));
        if (ending && reading.missing.empty() && item.missing.empty()) return whole_after_all(item, file, *ending);
        return deliver(item, staging, reading, cause, evidence, ending);
    }

    // It failed for as long as it was tried, and now it can be read: the bytes are good, and the store wants them as a whole content.
    Result<void> whole_after_all(const WorkItem& item, const TreeFile& file, const Ending& ending) {
        Staging staging(job_.store, BlobKind::whole);
        TRY_ASSIGN(const Reading reading, read(item, file, Effort::strict, staging));
        if (reading.cancelled || job_.cancel.cancelled()) return {};
        if (!reading.failed) return deliver(item, staging, reading, std::nullopt, "", {});
        Staging of_image(job_.store, BlobKind::whole);
        TRY_ASSIGN(const bool known, read_from_image(item, of_image));
        return known ? deliver_from_image(item, of_image) : leave(item, ending.error, ending.at, ending.attempts);
    }

    Result<Reading> read(const WorkItem& item, const TreeFile& file, Effort effort, Staging& staging) {
        Reading out;
        const std::vector<Extent> all = item.size == 0 ? std::vector<Extent>() : std::vector<Extent>{{0, 0, item.size, ExtentKind::data}};
        // A strict try is to meet what is missing, as the mission's steps do; its content is none.
        const bool by_verdict = effort == Effort::salvage || decided_beforehand(item);
        for (const Segment& segment : segments_of(item.size, all, by_verdict ? item.missing : std::vector<MissingRow>())) {
            if (segment.kind != SegmentKind::data) {
                TRY(staging.add_zeros(segment.length));
                continue;
            }
            for (uint64_t done = 0; done < segment.length && !out.failed;) {
                if (job_.cancel.cancelled()) {
                    out.cancelled = true;  // what was read is a beginning, and nothing else
                    return out;
                }
                const uint64_t at = segment.file_offset + done, length = std::min<uint64_t>(kTreePiece, segment.length - done);
                TRY(read_piece(item.volume, file, at, static_cast<size_t>(length), effort, staging, out));
                done += length;
            }
            if (out.failed) return out;
        }
        return out;
    }

    Result<void> read_piece(int volume, const TreeFile& file, uint64_t at, size_t length, Effort effort, Staging& staging, Reading& out) {
        if (out.gave_up || out.failures >= kSalvageFailures) return give_zeros(at, length, staging, out);
        const ByteSpan bytes = ByteSpan(buffer_).first(length);
        Result<size_t> got = job_.trees.of(volume).read(file, at, bytes, job_.cancel);
        ++job_.progress.signs_of_life;
        if (got.ok() && *got == length) {
            out.bytes_read += length;
            return staging.add(bytes);
        }
        if (effort == Effort::strict) {
            out.failed = got.ok() ? make_error(ErrorCode::io, fmt::format("the content ends at {} of {} bytes", at + *got, file.size)) : got.error();
            out.failed_at = got.ok() ? at + *got : at;
            return {};
        }
        if (!got.ok() && got.error().sys_errno == ETIMEDOUT) out.gave_up = true;
        if (got.ok()) {  // what is behind the end that it shows is missing
            out.bytes_read += *got;
            TRY(staging.add(bytes.first(*got)));
            return give_zeros(at + *got, length - *got, staging, out);
        }
        ++out.failures;
        // In a large bad place the ends of a piece speak for it.
        const bool ends_speak = std::exchange(out.piece_failed, true) && !out.gave_up && length > 2 * kPageBytes &&
                                !readable(volume, file, at, out) && !readable(volume, file, at + length - kPageBytes, out);
        if (out.gave_up || ends_speak) return give_zeros(at, length, staging, out);
        for (size_t done = 0; done < length;) {
            const size_t page = std::min(kPageBytes - static_cast<size_t>((at + done) % kPageBytes), length - done);
            TRY(read_page(volume, file, at + done, page, staging, out));
            done += page;
        }
        return {};
    }

    Result<void> read_page(int volume, const TreeFile& file, uint64_t at, size_t length, Staging& staging, Reading& out) {
        const ByteSpan bytes = ByteSpan(buffer_).first(length);
        if (from_image(at, bytes) || (!out.gave_up && out.failures < kSalvageFailures && readable(volume, file, at, out, bytes))) {
            out.piece_failed = false;
            out.bytes_read += length;
            return staging.add(bytes);
        }
        return give_zeros(at, length, staging, out);
    }

    // A driver gives whole pages or nothing: what the image has of one is still there. Missing ranges never come here.
    bool from_image(uint64_t at, ByteSpan bytes) const {
        if (job_.image == nullptr) return false;
        for (const Extent& extent : extents_)
            if (extent.kind == ExtentKind::data && at >= extent.file_offset && at + bytes.size() <= extent.file_offset + extent.length)
                return job_.image->read(extent.image_offset + (at - extent.file_offset), bytes).ok();
        return false;
    }

    bool readable(int volume, const TreeFile& file, uint64_t at, Reading& out) { return readable(volume, file, at, out, ByteSpan(buffer_).first(kPageBytes)); }
    bool readable(int volume, const TreeFile& file, uint64_t at, Reading& out, ByteSpan bytes) {
        const Result<size_t> got = job_.trees.of(volume).read(file, at, bytes, job_.cancel);
        if (got.ok() && *got == bytes.size()) return true;
        ++out.failures;
        out.gave_up = out.gave_up || (!got.ok() && got.error().sys_errno == ETIMEDOUT);
        return false;
    }

    Result<void> give_zeros(uint64_t at, uint64_t length, Staging& staging, Reading& out) {
        if (length == 0) return {};
        out.missing.push_back({at, length, std::nullopt, salvage_cause_});
        return staging.add_zeros(length);
    }

    // Sends off what was read. With a cause something is missing.
    Result<void> deliver(const WorkItem& item, Staging& staging, const Reading& reading, std::optional<Cause> cause, const std::string& evidence, const std::optional<Ending>& ending,
                         std::optional<Finding> doubt = std::nullopt) {
        NTT_CHECK(cause || staging.size() == item.size, "a content that is not whole");
        Finished out;
        out.bytes_read = reading.bytes_read;
        out.outcome = outcome_of(item);
        out.outcome.doubt = std::move(doubt);
        out.outcome.blob_size = staging.size();
        if (!cause) {
            out.outcome.blobid = staging.digest();
            return stage(std::move(out), staging);
        }
        std::vector<MissingRow> missing = item.missing;
        missing.insert(missing.end(), reading.missing.begin(), reading.missing.end());
        missing = merged(std::move(missing));
        const bool is_new = judged_here_.contains(item.row);  // the catalog does not have it
        if (!reading.missing.empty() || is_new) {
            out.outcome.missing = missing;
            if (!ending) cause = largest_cause(missing);
        }
        out.outcome.cause = cause;
        out.outcome.claimed_by = (ending && ending->retries_used_up) || item.failures >= options_.startup_error_limit ? kRetriesUsedUp : claimed_by_of(*cause);
        if (!evidence.empty()) out.outcome.evidence = evidence_of(evidence, missing);
        else if (!reading.missing.empty() || is_new) out.outcome.evidence = evidence_of("{}", missing);
        if (ending) {
            note_error(out.outcome, ending->error, ending->at, ending->attempts);
            out.outcome.is_told = true;
        }
        uint64_t lost = 0;
        for (const MissingRow& range : missing) lost += range.length;
        if (lost >= item.size) {
            out.outcome.status = Status::unreadable;
            out.outcome.blob_size = 0;
            return groups_.add(std::move(out));
        }
        out.outcome.status = Status::damaged;
        out.outcome.partial_blobid = staging.digest();
        return stage(std::move(out), staging);
    }

    Result<void> stage(Finished out, Staging& staging) {
        TRY_ASSIGN(const bool wanted, claim(out, groups_.in_flight(), job_.store));
        if (wanted) {
            TRY_ASSIGN(out.staged, staging.finish(out.id()));
            kill_point("copy.staged");
        }
        return groups_.add(std::move(out));
    }

    // It stays to be done, and no failure of its own counts against it.
    Result<void> leave_changed(const WorkItem& item, const Error& error) {
        Finding finding;
        finding.code = "changed_since_listed";
        finding.volume = item.volume;
        finding.ino = item.ino;
        finding.message = error.text() + ": list it again (ntt ingest)";
        TRY(job_.catalog.add_finding(job_.medium, finding, iso8601_utc(job_.clock.wall_us())));
        job_.log.warn("{}", finding.message);
        return {};
    }

    // It stays to be done, with what went wrong.
    Result<void> leave(const WorkItem& item, const Error& error, uint64_t at, int attempts) {
        Finished out;
        out.outcome = outcome_of(item);
        out.outcome.status = Status::pending;
        note_error(out.outcome, error, at, attempts);
        return groups_.add(std::move(out));
    }

    static CopyOutcome outcome_of(const WorkItem& item) {
        CopyOutcome out;
        out.row = item.row;
        out.volume = item.volume;
        out.ino = item.ino;
        return out;
    }

    static void note_error(CopyOutcome& outcome, const Error& error, uint64_t at, int attempts) {
        outcome.error = fmt::format("{} attempt{}, last: {} at {}", attempts, attempts == 1 ? "" : "s", error.text(), at);
        outcome.error_type = error_type_of(error);
    }

    static Cause largest_cause(const std::vector<MissingRow>& missing) {
        std::map<Cause, uint64_t> bytes;
        for (const MissingRow& range : missing) bytes[range.cause] += range.length;
        return std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    }

    static std::string evidence_of(const std::string& findings, const std::vector<MissingRow>& missing) {
        json out = json::parse(findings, nullptr, false);
        if (!out.is_object()) out = json::object();
        json& ranges = out["missing_ranges"] = json::array();
        for (const MissingRow& range : missing)
            if (ranges.size() < 64) ranges.push_back({{"file_offset", range.file_offset}, {"length", range.length}, {"cause", to_string(range.cause)}});
        return out.dump(-1, ' ', false, json::error_handler_t::replace);
    }

    // What the image's geometry says of the file, as far as the enumeration knew.
    static std::optional<Verdict> geometry_of(const WorkItem& item) {
        if (!item.cause) return std::nullopt;
        Verdict out;
        out.cause = item.cause;
        json ranges = json::array();
        for (const MissingRow& range : item.missing) {
            out.missing.push_back({range.file_offset, range.length, range.image_offset, range.cause});
            out.missing_bytes += range.length;
            json shown = {{"file_offset", range.file_offset}, {"length", range.length}, {"cause", to_string(range.cause)}};
            if (range.image_offset) shown.update({{"image_offset", *range.image_offset}, {"sector", *range.image_offset / 512}});
            if (ranges.size() < 64) ranges.push_back(std::move(shown));
        }
        out.evidence = json{{"missing_ranges", std::move(ranges)}}.dump();
        return out;
    }

    FailedInode inode_of(const WorkItem& item) const { return {job_.medium_hash, item.volume, item.ino}; }
    bool mounted() const { return job_.trees.all_mounted(); }

    std::optional<uint64_t> kernel_mark() const {
        if (job_.kernel_log == nullptr) return std::nullopt;
        const Result<uint64_t> next = job_.kernel_log->next_sequence();
        return next.ok() ? std::optional(*next) : std::nullopt;
    }

    void park(const std::string& why) {
        if (report_.parked) return;
        report_.parked = why;
        job_.log.error("the medium {} is parked: {}", job_.medium_hash, why);
    }

    Result<void> commit() {
        TRY(write_events());
        return groups_.commit();
    }

    Result<void> write_events() {
        for (DiagnosticEvent& event : job_.diagnostics.take_events()) {
            EventRow row;
            row.medium_hash = event.inode.medium_hash;
            row.volume = event.inode.volume;
            row.ino = event.inode.ino;
            row.retry_count = event.findings.retry_count;
            row.checks = json(event.findings.checks_performed).dump();
            row.action = std::move(event.action);
            row.cause = event.findings.cause;
            row.evidence = event.findings.evidence.dump(-1, ' ', false, json::error_handler_t::replace);
            row.exception_type = std::move(event.exception_type);
            row.exception_msg = std::move(event.exception_msg);
            row.worker_id = options_.worker_id;
            row.timestamp = iso8601_utc(job_.clock.wall_us());
            groups_.add_event(std::move(row));
        }
        return {};
    }

    const TreeCopyJob& job_;
    const CopyOptions& options_;
    const RetryWaits waits_;
    CopyReport report_;
    CommitGroups groups_;
    std::vector<uint8_t> buffer_;
    std::vector<int64_t> rows_;
    size_t next_row_ = 0;
    std::deque<WorkItem> fetched_;
    std::priority_queue<Later, std::vector<Later>, std::greater<>> later_;
    std::set<int64_t> missing_in_a_row_;
    uint64_t successes_ = 0;
    MountTableWatch watch_;
    std::set<int64_t> judged_here_;  // rows of files whose missing ranges were found by the device's length
    std::vector<Extent> extents_;  // of the file that is salvaged, in the image
    Cause salvage_cause_ = Cause::IO_ERROR;
};

}  // namespace

int64_t RetryWaits::after(int failures, uint64_t chance) const {
    int64_t wait = first_us;
    for (int i = 1; i < failures && wait < longest_us; ++i) wait *= 2;
    wait = std::min(wait, longest_us);
    const uint64_t mixed = (chance + static_cast<uint64_t>(failures)) * 0x9E3779B97F4A7C15u;
    return wait - static_cast<int64_t>((mixed >> 32) % static_cast<uint64_t>(wait / 2 + 1));
}

Result<CopyReport> copy_pending_of_tree(const TreeCopyJob& job, const CopyOptions& options, const RetryWaits& waits) {
    return TreeCopier(job, options, waits).run();
}

}  // namespace ntt
