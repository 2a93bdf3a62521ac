#include "copy/copier.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/kill_point.h"
#include "copy/commit_groups.h"
#include "copy/content.h"
#include "copy/in_flight.h"
#include "copy/records.h"
#include "copy/segments.h"
#include "copy/suspect_runs.h"
#include "diagnose/verdict.h"

namespace ntt {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;  // a file up to this size is read whole before it is staged; stays in a core's cache
constexpr size_t kRowsPerFetch = 1024;            // work items read from the catalog at once
constexpr size_t kItemsPerChunk = 16;             // handed to one worker at once
constexpr uint64_t kLargeItemBytes = uint64_t{8} << 20;  // a file of this size is a chunk of its own
constexpr uint64_t kHoleBytes = 4096;             // shorter runs of zeros are written, not left out

// What stands between the thread that owns the catalog and the workers.
class Exchange {
public:
    explicit Exchange(size_t max_staged, uint64_t max_staged_bytes) : max_staged_(max_staged), max_staged_bytes_(max_staged_bytes) {}

    // --- catalog's side ---
    void offer(std::vector<WorkItem> chunk) {
        const std::lock_guard lock(mutex_);
        items_waiting_ += chunk.size();
        chunks_.push_back(std::move(chunk));
        work_.notify_one();
    }
    void no_more_work() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        work_.notify_all();
        room_.notify_all();
    }
    size_t items_waiting() {
        const std::lock_guard lock(mutex_);
        return items_waiting_;
    }
    // Everything finished so far; waits a while if there is nothing.
    std::vector<Finished> collect(std::chrono::milliseconds patience) {
        std::unique_lock lock(mutex_);
        done_.wait_for(lock, patience, [&] { return !finished_.empty() || workers_ == 0; });
        return std::exchange(finished_, {});
    }
    bool workers_gone() {
        const std::lock_guard lock(mutex_);
        return workers_ == 0 && finished_.empty();
    }
    // Contents have their names: their files are closed.
    void published(size_t staged, uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        staged_ -= staged;
        staged_bytes_ -= bytes;
        room_.notify_all();
    }
    std::optional<Error> take_error() {
        const std::lock_guard lock(mutex_);
        return std::exchange(error_, std::nullopt);
    }
    bool failed() {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

    // --- workers' side ---
    void worker_starts() {
        const std::lock_guard lock(mutex_);
        ++workers_;
    }
    void worker_ends() {
        const std::lock_guard lock(mutex_);
        --workers_;
        done_.notify_all();
    }
    // The next chunk; nullopt when there will be none. Waits for room among the staged contents first.
    std::optional<std::vector<WorkItem>> take() {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stopped_ || (staged_ < max_staged_ && staged_bytes_ < max_staged_bytes_); });
        work_.wait(lock, [&] { return stopped_ || closed_ || !chunks_.empty(); });
        if (stopped_ || chunks_.empty()) return std::nullopt;
        std::vector<WorkItem> chunk = std::move(chunks_.front());
        chunks_.pop_front();
        items_waiting_ -= chunk.size();
        done_.notify_one();
        return chunk;
    }
    void deliver(std::vector<Finished> batch) {
        const std::lock_guard lock(mutex_);
        for (Finished& item : batch) {
            if (item.staged) {
                ++staged_;
                staged_bytes_ += item.staged->size();
            }
            finished_.push_back(std::move(item));
        }
        done_.notify_one();
    }
    void fail(Error error) {
        const std::lock_guard lock(mutex_);
        if (!error_ && !stopped_) error_ = std::move(error);
        stopped_ = true;
        work_.notify_all();
        room_.notify_all();
        done_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable work_, room_, done_;
    std::deque<std::vector<WorkItem>> chunks_;
    size_t items_waiting_ = 0;
    std::vector<Finished> finished_;
    size_t workers_ = 0;
    size_t staged_ = 0;
    uint64_t staged_bytes_ = 0;
    const size_t max_staged_;
    const uint64_t max_staged_bytes_;
    bool closed_ = false, stopped_ = false;
    std::optional<Error> error_;
};

// Reads, hashes and stages files. One for each thread.
class Worker {
public:
    Worker(const CopyJob& job, const CopyOptions& options, Exchange& exchange, InFlight& in_flight, VolumeReaders& readers)
        : job_(job), options_(options), exchange_(exchange), in_flight_(in_flight), readers_(readers), shares_extents_(can_share(job)), buffer_(kBufferBytes), suspects_(options.suspect_run_bytes) {}

    void run() {
        while (!job_.cancel.cancelled()) {
            const auto chunk = exchange_.take();
            if (!chunk) break;
            std::vector<Finished> batch;
            for (const WorkItem& item : *chunk) {
                if (job_.cancel.cancelled()) break;
                Result<Finished> finished = copy(item);
                if (!finished.ok() && finished.error().code == ErrorCode::cancelled) break;
                if (!finished.ok()) {
                    exchange_.deliver(std::move(batch));
                    exchange_.fail(std::move(finished).take_error());
                    exchange_.worker_ends();
                    return;
                }
                batch.push_back(std::move(finished).value());
            }
            exchange_.deliver(std::move(batch));
        }
        exchange_.worker_ends();
    }

private:
    // An Error is the store's, or says that the source changed; a file that this host cannot read stays pending.
    Result<Finished> copy(const WorkItem& item) {
        TRY_ASSIGN(const std::vector<Extent> extents, decode_extents(item.extents));
        const auto access = static_cast<ContentAccess>(item.access);
        segments_ = segments_of(item.size, extents, item.missing);
        const bool from_reader = access == ContentAccess::through_reader && item.missing.empty();
        if (from_reader) segments_.assign(item.size == 0 ? 0 : 1, Segment{0, item.size, 0, SegmentKind::data});
        from_reader_ = from_reader ? &item : nullptr;

        const bool has_data = std::any_of(segments_.begin(), segments_.end(), [](const Segment& s) { return s.kind == SegmentKind::data; });
        if (item.cause && !has_data) return nothing_to_read(item);
        const bool damaged = std::any_of(segments_.begin(), segments_.end(), [](const Segment& s) { return s.kind == SegmentKind::missing; });
        NTT_CHECK(damaged == item.cause.has_value(), "a missing range without a cause");

        size_ = item.size;
        // A size beyond everything says nothing of how long the file was: what is there is salvaged, not gigabytes of zeros.
        if (damaged && segments_.back().kind == SegmentKind::missing && segments_.back().length > job_.source.size_bytes()) {
            size_ -= segments_.back().length;
            segments_.pop_back();
        }
        looking_ = suspects_.wanted() && !from_reader && !damaged && size_ >= suspects_.min_bytes() && on_sectors();

        for (unsigned attempt = 1;; ++attempt) {
            if (looking_) suspects_.begin(size_);
            Result<Finished> finished = size_ <= kBufferBytes ? copy_small(item) : copy_large(item);
            if (finished.ok() || !read_error_) return finished;
            const Error error = *std::exchange(read_error_, std::nullopt);
            if (error.code == ErrorCode::source_changed || error.code == ErrorCode::catalog_damaged) return error;
            if (from_reader && error.sys_errno == 0) return structure_failed(item, error);
            if (attempt >= options_.read_attempts || job_.cancel.cancelled()) return left_pending(item, error, attempt);
            std::this_thread::sleep_for(std::chrono::milliseconds(10u << (2 * std::min(attempt, 4u))));
        }
    }

    Result<Finished> copy_small(const WorkItem& item) {
        const ByteSpan content = ByteSpan(buffer_).first(static_cast<size_t>(size_));
        uint64_t read = 0;
        for (const Segment& segment : segments_) {
            const ByteSpan place = content.subspan(static_cast<size_t>(segment.file_offset), static_cast<size_t>(segment.length));
            if (segment.kind == SegmentKind::data) {
                TRY(read_data(segment, 0, place));
                if (looking_) suspects_.take(segment.file_offset, place);
                read += segment.length;
            } else {
                std::fill(place.begin(), place.end(), uint8_t{0});
                suspects_.interrupt();
            }
        }
        Finished out = outcome_of(item, blake3_of(content), read);
        TRY(look_for_doubt(out));
        TRY_ASSIGN(const bool wanted, claim(out, in_flight_, job_.store));
        if (wanted) {
            TRY_ASSIGN(out.staged, job_.store.stage(kind_of(item), out.id(), content));
            kill_point("copy.staged");
        }
        return out;
    }

    Result<Finished> copy_large(const WorkItem& item) {
        TRY_ASSIGN(StagedWriter writer, job_.store.start(kind_of(item)));
        Blake3 hasher;
        uint64_t read = 0;
        for (const Segment& segment : segments_) {
            if (segment.kind != SegmentKind::data) {
                std::fill(buffer_.begin(), buffer_.end(), uint8_t{0});
                suspects_.interrupt();
            }
            for (uint64_t done = 0; done < segment.length;) {
                const ByteSpan piece = ByteSpan(buffer_).first(static_cast<size_t>(std::min<uint64_t>(kBufferBytes, segment.length - done)));
                if (segment.kind == SegmentKind::data) {
                    TRY(read_data(segment, done, piece));
                    if (looking_) suspects_.take(segment.file_offset + done, piece);
                    read += piece.size();
                }
                hasher.update(piece);
                if (segment.kind == SegmentKind::data) {
                    TRY(append_data(writer, segment, done, piece));
                } else if (segment.length < kHoleBytes) {
                    TRY(writer.append(piece));
                }
                done += piece.size();
            }
            if (segment.kind != SegmentKind::data && segment.length >= kHoleBytes) TRY(writer.append_hole(segment.length));
            if (job_.cancel.cancelled()) return make_error(ErrorCode::cancelled, "interrupted");
        }
        // Shared extents were not written from the bytes that were hashed: the image must be what it was.
        if (shares_extents_) TRY(job_.source.check_unchanged(job_.env));
        Finished out = outcome_of(item, hasher.digest(), read);
        TRY(look_for_doubt(out));
        TRY_ASSIGN(const bool wanted, claim(out, in_flight_, job_.store));
        if (wanted) {
            TRY_ASSIGN(out.staged, writer.finish(out.id()));
            kill_point("copy.staged");
        }
        return out;
    }

    // Bytes that were read from `done` bytes into the segment; by reference where image and store can share them.
    Result<void> append_data(StagedWriter& writer, const Segment& segment, uint64_t done, ByteView bytes) {
        uint64_t file_offset = 0;
        const Fd* file = nullptr;
        if (shares_extents_ && from_reader_ == nullptr) file = job_.source.plain_file({segment.image_offset + done, bytes.size()}, &file_offset);
        return file == nullptr ? writer.append(bytes) : writer.append_from(*file, file_offset, bytes);
    }

    // Fills `out` from `done` bytes into the segment. A failure is also noted in read_error_: it is not the store's.
    Result<void> read_data(const Segment& segment, uint64_t done, ByteSpan out) {
        Result<void> result;
        if (from_reader_ != nullptr) {
            Result<size_t> got = readers_.read(*from_reader_, segment.file_offset + done, out);
            if (!got.ok()) result = std::move(got).take_error();
            else if (*got != out.size()) result = make_error(ErrorCode::io, fmt::format("the content ends at {} of {} bytes", segment.file_offset + done + *got, segment.length));
        } else {
            result = job_.source.read(segment.image_offset + done, out);
        }
        ++job_.progress.signs_of_life;
        if (!result.ok()) read_error_ = result.error();
        return result;
    }

    // Whether sectors of the image are sectors of the file in hand.
    bool on_sectors() const {
        return std::all_of(segments_.begin(), segments_.end(), [](const Segment& s) { return s.file_offset % 512 == 0 && (s.kind != SegmentKind::data || s.image_offset % 512 == 0); });
    }

    uint64_t image_offset_of(uint64_t file_offset) const {
        for (const Segment& segment : segments_)
            if (segment.kind == SegmentKind::data && file_offset >= segment.file_offset && file_offset - segment.file_offset < segment.length) return segment.image_offset + (file_offset - segment.file_offset);
        NTT_CHECK(false, "a run outside the content's data");
    }

    // Whether the image goes on with the pattern where it stands next to the content. Nothing there does not speak against it.
    Result<bool> goes_on(const SuspectRun& run, uint64_t file_offset, ByteRange neighbour) {
        neighbour = intersect(neighbour, {0, job_.source.size_bytes()});
        std::array<uint8_t, 1024> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
        const ByteSpan out = ByteSpan(bytes).first(static_cast<size_t>(std::min<uint64_t>(neighbour.length, bytes.size())));
        if (out.empty()) return true;
        Result<void> read = job_.source.read(neighbour.offset, out);
        if (!read.ok()) read_error_ = read.error();
        TRY(std::move(read));
        return run.fill.gives(out, file_offset);
    }

    Result<void> look_for_doubt(Finished& out) {
        if (!looking_) return {};
        std::vector<SuspectRun> runs = suspects_.finish();
        if (!runs.empty() && runs.back().at_start && runs.back().at_end) {
            // Nothing but the pattern: if it stands on both sides as well. One byte only: of a word the phase before the content is not known.
            const SuspectRun& all = runs.back();
            const uint64_t begin = image_offset_of(0), before = std::min<uint64_t>(begin, 512);
            const uint64_t end = image_offset_of(size_ - 1) + 1, to = (end + 511) / 512 * 512 + 512;
            TRY_ASSIGN(const bool behind_too, goes_on(all, size_, {end, to - end}));
            TRY_ASSIGN(const bool before_too, goes_on(all, 0, {begin - before, before}));
            if (!behind_too || !before_too || !all.fill.byte()) runs.pop_back();
        }
        if (!runs.empty()) out.outcome.doubt = suspect_finding(runs, [this](uint64_t file_offset) { return image_offset_of(file_offset); });
        return {};
    }

    static BlobKind kind_of(const WorkItem& item) { return item.cause ? BlobKind::partial : BlobKind::whole; }

    Finished outcome_of(const WorkItem& item, const BlobId& id, uint64_t bytes_read) const {
        Finished out;
        out.bytes_read = bytes_read;
        out.outcome.row = item.row;
        out.outcome.volume = item.volume;
        out.outcome.ino = item.ino;
        out.outcome.blob_size = size_;
        if (item.cause) {
            out.outcome.status = Status::damaged;
            out.outcome.partial_blobid = id;
            out.outcome.cause = item.cause;
            out.outcome.claimed_by = item.failures >= options_.startup_error_limit ? kRetriesUsedUp : claimed_by_of(*item.cause);
        } else {
            out.outcome.status = Status::stored;
            out.outcome.blobid = id;
        }
        return out;
    }

    static Finished unreadable(const WorkItem& item, Cause cause) {
        Finished out;
        out.outcome.row = item.row;
        out.outcome.volume = item.volume;
        out.outcome.ino = item.ino;
        out.outcome.status = Status::unreadable;
        out.outcome.cause = cause;
        out.outcome.claimed_by = claimed_by_of(cause);
        return out;
    }

    static Finished nothing_to_read(const WorkItem& item) { return unreadable(item, *item.cause); }

    // The structures that a reader needs do not give the content, or its process did not survive them.
    static Finished structure_failed(const WorkItem& item, const Error& error) {
        const Cause cause = error.code == ErrorCode::parser_timeout ? Cause::PARSER_TIMEOUT
                            : error.code == ErrorCode::parser_crash || error.code == ErrorCode::limit ? Cause::PARSER_CRASH
                                                                                                     : Cause::FS_CORRUPT;
        Finished out = unreadable(item, cause);
        out.outcome.missing = std::vector<MissingRow>{{0, item.size, std::nullopt, cause}};
        out.outcome.evidence = note_evidence(error.text());
        return out;
    }

    static Finished left_pending(const WorkItem& item, const Error& error, unsigned attempts) {
        Finished out;
        out.outcome.row = item.row;
        out.outcome.volume = item.volume;
        out.outcome.ino = item.ino;
        out.outcome.status = Status::pending;
        out.outcome.error = fmt::format("{} attempts, last: {}", attempts, error.text());
        out.outcome.error_type = "io_error";
        return out;
    }

    static bool can_share(const CopyJob& job) {
        uint64_t file_offset = 0;
        const Fd* file = job.source.plain_file({0, 1}, &file_offset);
        return file != nullptr && job.env.shares_extents(*file);
    }

    const CopyJob& job_;
    const CopyOptions& options_;
    Exchange& exchange_;
    InFlight& in_flight_;
    VolumeReaders& readers_;
    const bool shares_extents_;
    std::vector<uint8_t> buffer_;
    std::vector<Segment> segments_;          // of the file in hand
    uint64_t size_ = 0;                      // of its content as it will be in the store
    bool looking_ = false;                   // for runs in it
    SuspectRuns suspects_;
    const WorkItem* from_reader_ = nullptr;  // set while the file in hand comes through its reader
    std::optional<Error> read_error_;
};

// The thread that owns the catalog: feeds the workers, groups what they finish, commits.
class Copier {
public:
    Copier(const CopyJob& job, const CopyOptions& options)
        : job_(job), options_(options), exchange_(CommitGroups::files_of_a_group(job.store, options) * 2, options.group_bytes * 2),
          groups_(job, options, report_, [this](size_t staged, uint64_t bytes) { exchange_.published(staged, bytes); }),
          readers_(job.source, job.volumes, job.reader_options) {}

    Result<CopyReport> run() {
        TRY_ASSIGN(rows_, job_.catalog.pending_rows(job_.medium, options_.volumes ? &*options_.volumes : nullptr));
        report_.untried = options_.limit != 0 && rows_.size() > options_.limit;
        if (report_.untried) rows_.resize(options_.limit);
        if (rows_.empty()) return report_;
        job_.progress.files_total += rows_.size();

        std::vector<std::unique_ptr<Worker>> workers;
        std::vector<std::thread> threads;
        const size_t count = std::min<size_t>(std::max(1u, options_.jobs), (rows_.size() + kItemsPerChunk - 1) / kItemsPerChunk);
        for (size_t i = 0; i < count; ++i) {
            workers.push_back(std::make_unique<Worker>(job_, options_, exchange_, groups_.in_flight(), readers_));
            exchange_.worker_starts();
        }
        for (auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });

        Result<void> result = feed_and_commit();
        if (!result.ok()) exchange_.fail(result.error());
        exchange_.no_more_work();
        for (std::thread& thread : threads) thread.join();
        if (result.ok()) result = commit_rest();
        if (std::optional<Error> error = exchange_.take_error(); error && result.ok()) result = std::move(*error);
        if (!result.ok()) return std::move(result).take_error();
        report_.interrupted = job_.cancel.cancelled() && report_.files < rows_.size();
        return report_;
    }

private:
    Result<void> feed_and_commit() {
        while (!exchange_.failed()) {
            TRY(feed());
            TRY(take_finished(exchange_.collect(std::chrono::milliseconds(50))));
            if (groups_.is_due()) TRY(groups_.commit());
            if (exchange_.workers_gone()) return {};
        }
        return {};
    }

    // Keeps about two fetches of work waiting.
    Result<void> feed() {
        if (closed_) return {};
        while (next_row_ < rows_.size() && exchange_.items_waiting() < 2 * kRowsPerFetch && !job_.cancel.cancelled()) {
            const size_t count = std::min(kRowsPerFetch, rows_.size() - next_row_);
            TRY_ASSIGN(std::vector<WorkItem> items, job_.catalog.work_items(job_.medium, std::span(rows_).subspan(next_row_, count)));
            next_row_ += count;
            std::vector<WorkItem> chunk;
            for (WorkItem& item : items) {
                job_.progress.bytes_total += item.size;
                const bool large = item.size >= kLargeItemBytes;
                chunk.push_back(std::move(item));
                if (large || chunk.size() >= kItemsPerChunk) exchange_.offer(std::exchange(chunk, {}));
            }
            if (!chunk.empty()) exchange_.offer(std::move(chunk));
        }
        if (next_row_ >= rows_.size() || job_.cancel.cancelled()) {
            exchange_.no_more_work();
            closed_ = true;
        }
        return {};
    }

    Result<void> take_finished(std::vector<Finished> batch) {
        for (Finished& item : batch) TRY(groups_.add(std::move(item)));
        return {};
    }

    Result<void> commit_rest() {
        TRY(take_finished(exchange_.collect(std::chrono::milliseconds(0))));
        return groups_.finish();
    }

    const CopyJob& job_;
    const CopyOptions& options_;
    CopyReport report_;
    Exchange exchange_;
    CommitGroups groups_;  // behind the exchange, which its thread speaks to
    VolumeReaders readers_;
    std::vector<int64_t> rows_;
    size_t next_row_ = 0;
    bool closed_ = false;
};

}  // namespace

void CopyReport::add(const CopyReport& other) {
    files += other.files;
    bytes += other.bytes;
    fresh_blobs += other.fresh_blobs;
    fresh_bytes += other.fresh_bytes;
    deduplicated += other.deduplicated;
    interrupted = interrupted || other.interrupted;
    untried = untried || other.untried;
    if (other.parked) parked = other.parked;
}

Result<CopyReport> copy_pending(const CopyJob& job, const CopyOptions& options) { return Copier(job, options).run(); }

}  // namespace ntt
