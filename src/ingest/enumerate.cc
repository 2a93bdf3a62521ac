#include "ingest/enumerate.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/kill_point.h"
#include "copy/records.h"
#include "diagnose/cross_link.h"
#include "fs/isolated/reader_client.h"
#include "ingest/known_volumes.h"
#include "volume/detail.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr size_t kBatchEntries = 512;
constexpr size_t kBatchesWaiting = 16;

struct Batch {
    std::vector<InodeEntry> inodes;  // each before its first name
    std::vector<NameEntry> names;
    std::vector<DirectoryPlace> directories;
    std::vector<Finding> findings;

    size_t size() const { return inodes.size() + names.size() + directories.size() + findings.size(); }
};

// From the thread that lists to the thread that inserts; bounded.
class BatchQueue final : public EntrySink {
public:
    // --- listing side ---
    Result<void> add_inode(InodeEntry inode) override {
        batch_.inodes.push_back(std::move(inode));
        return pass_on_if_full();
    }
    Result<void> add_name(NameEntry name) override {
        batch_.names.push_back(std::move(name));
        return pass_on_if_full();
    }
    void add_directory(DirectoryPlace place) override { batch_.directories.push_back(std::move(place)); }
    void add(Finding finding) override { batch_.findings.push_back(std::move(finding)); }

    void finish(Result<void> listing) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::exchange(batch_, {}));
        listing_ = std::move(listing);
        filled_.notify_one();
    }

    // --- inserting side ---
    // The next batch; nullopt at the end.
    std::optional<Batch> take() {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [&] { return !waiting_.empty() || listing_.has_value(); });
        if (waiting_.empty()) return std::nullopt;
        Batch batch = std::move(waiting_.front());
        waiting_.pop_front();
        room_.notify_one();
        return batch;
    }
    // The inserter gives up: the listing stops at its next entry.
    void abandon() {
        const std::lock_guard lock(mutex_);
        abandoned_ = true;
        room_.notify_one();
    }
    // After take() returned nullopt: how the listing ended.
    Result<void> listing() const { return *listing_; }

private:
    Result<void> pass_on_if_full() {
        if (batch_.size() < kBatchEntries) return {};
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return waiting_.size() < kBatchesWaiting || abandoned_; });
        if (abandoned_) return make_error(ErrorCode::cancelled, "the listing is no longer wanted");
        waiting_.push_back(std::exchange(batch_, {}));
        filled_.notify_one();
        return {};
    }

    Batch batch_;
    std::mutex mutex_;
    std::condition_variable filled_, room_;
    std::deque<Batch> waiting_;
    std::optional<Result<void>> listing_;
    bool abandoned_ = false;
};

std::optional<uint64_t> first_data_offset(const std::vector<Extent>& extents) {
    for (const Extent& extent : extents)
        if (extent.kind != ExtentKind::hole) return extent.image_offset;
    return std::nullopt;
}

std::vector<MissingRow> rows_of(const std::vector<MissingRange>& missing) {
    std::vector<MissingRow> out;
    out.reserve(missing.size());
    for (const MissingRange& range : missing) out.push_back({range.file_offset, range.length, range.image_offset, range.cause});
    return out;
}

// What the filesystem's structures show has no place in the image; the rescue map and the image's length have no say in it.
bool is_structural(const MissingRow& range) { return !range.image_offset.has_value(); }

// Findings that say: names or files are lost here.
bool hides_files(std::string_view code) {
    return code == "directory_unreadable" || code == "directory_on_missing_sectors" || code == "inode_unreadable" ||
           code == "path_too_long" || code == "entries_behind_end" || code == "directory_loop" || code == "directory_checksum_failed" ||
           code == "parser_crash" || code == "parser_timeout" || code == "budget_exceeded" ||
           code == "udf_table_older" || code == "udf_table_rebuilt" || code == "udf_table_lost";
}

bool is_doubled_name(std::string_view code) { return code == "duplicate_entry" || code == "duplicate_record"; }

bool is_damage_of_udf(std::string_view code) {
    return hides_files(code) || code.starts_with("udf_") || code == "name_damaged" || code == "filesystem_unreadable";
}

// The path a finding speaks of; empty if it names none.
std::string path_in(const Finding& finding) {
    const json evidence = json::parse(finding.evidence, nullptr, false);
    return evidence.is_object() && evidence.contains("path") && evidence["path"].is_string() ? evidence["path"].get<std::string>() : std::string();
}

// Readers give the root's path as "/" or as no name at all.
bool is_of_root(const Finding& finding) {
    const json evidence = json::parse(finding.evidence, nullptr, false);
    return evidence.is_object() && evidence.contains("path") && (evidence["path"] == "/" || evidence["path"] == "");
}

bool is_fat_chain(Cause cause) {
    return cause == Cause::FAT_CHAIN_SHORT || cause == Cause::FAT_CHAIN_LOOP || cause == Cause::FAT_CHAIN_INVALID;
}

// What stands in the catalog of a volume that is listed again, by digests, so that nothing is put twice.
class Known {
public:
    void add(const BlobId& digest) { ++counts_[digest]; }
    // Whether it stands there one time more than it was taken.
    bool take(const BlobId& digest) {
        const auto at = counts_.find(digest);
        if (at == counts_.end() || at->second == 0) return false;
        --at->second;
        return true;
    }

private:
    std::unordered_map<BlobId, uint32_t, BlobIdHash> counts_;
};

BlobId digest_of_name(int64_t ino, std::string_view path) { return blake3_of(as_bytes(fmt::format("{}\n{}", ino, path))); }

BlobId digest_of_finding(const Finding& finding) {
    return blake3_of(as_bytes(json{finding.code, finding.ino.value_or(-1), to_display_utf8(finding.message), finding.evidence}.dump(-1, ' ', false, json::error_handler_t::replace)));
}

// Whether the content of the two is the same, before any verdict.
bool has_same_content(const InodeRow& a, const InodeRow& b, bool lives) {
    if (lives) return a.fs_type == b.fs_type && a.size == b.size && a.mtime == b.mtime && a.mtime_ns == b.mtime_ns && a.fs_ino == b.fs_ino;
    return a.fs_type == b.fs_type && a.size == b.size && a.access == b.access && a.extents == b.extents && a.fs_ino == b.fs_ino && a.stream == b.stream;
}

// Puts what the listing finds into the catalog.
class Inserter {
public:
    Inserter(const EnumerationTarget& target, const Volume& volume, const DamageMap& damage, const ExcludePatterns& exclude, bool judged_by_place)
        : target_(target), volume_(volume), damage_(damage), exclude_(exclude), judged_by_place_(judged_by_place), sharing_forbidden_(volume.fs_type == "fat" || volume.fs_type == "exfat") {}

    // Before anything is inserted into a volume that has rows.
    Result<void> look_at_what_is_there() {
        FileFilter filter;
        filter.medium_hash = target_.medium_hash;
        filter.volume = volume_.number;
        TRY(target_.catalog.files(filter, [this](const FileRow& file) -> Result<void> {
            known_names_.add(digest_of_name(file.path.ino, file.path.path));
            entry_ = std::max(entry_, file.path.entry);
            return {};
        }));
        TRY_ASSIGN(const std::vector<FindingRow> findings, target_.catalog.findings(target_.medium_hash));
        for (const FindingRow& row : findings)
            if (row.finding.volume == volume_.number) known_findings_.add(digest_of_finding(row.finding));
        return {};
    }

    Result<void> insert(Batch batch) {
        for (InodeEntry& inode : batch.inodes) TRY(insert(std::move(inode)));
        for (NameEntry& name : batch.names) TRY(insert(std::move(name)));
        for (const DirectoryPlace& place : batch.directories) TRY(check_directory(place));
        for (Finding& finding : batch.findings) TRY(insert(std::move(finding)));
        return {};
    }

    Result<void> insert(Finding finding) {
        finding.volume = volume_.number;
        if (hides_files(finding.code)) ++counts_.unreadable_directories;
        if (finding.code == "budget_exceeded") over_budget_ = true;
        if (is_doubled_name(finding.code)) {
            ++counts_.doubled_entries;
            if (counts_.doubled_names.size() < EnumerationCounts::kMaxDoubledNames) counts_.doubled_names.push_back(path_in(finding));
        }
        if (finding.code.starts_with("directory_") && hides_files(finding.code) && is_of_root(finding) && !counts_.root_lost)
            counts_.root_lost = fmt::format("the root directory of volume {} ({}): {}", volume_.number, volume_.view, finding.message);
        if (volume_.view == "udf" && !counts_.udf_corruption && is_damage_of_udf(finding.code))
            counts_.udf_corruption = fmt::format("volume {}: {}", volume_.number, to_display_utf8(finding.message));
        if (finding.code == "fat_chain_long" && finding.ino) too_long_.insert(*finding.ino);
        if (finding.code == "directory_cross_link") note_directories(finding);
        if (finding.code == "lost_clusters") note_lost_chains(finding);
        if (target_.again && known_findings_.take(digest_of_finding(finding))) return {};
        return target_.catalog.add_finding(target_.medium, finding, target_.now);
    }

    // After the last entry: what only the whole volume shows.
    Result<void> judge_sharing() {
        if (claims_.empty()) return {};
        for (SectorClaim& claim : claims_) {
            if (claim.owner == SectorClaim::Owner::directory) continue;
            claim.fits = claim.fits && !too_long_.contains(claim.ino);
            uint64_t length = 0;
            for (const Extent& extent : claim.extents) length += extent.length;
            claim.may_be_elsewhere = cluster_bytes_ != 0 && lost_lengths_.contains((length + cluster_bytes_ - 1) / cluster_bytes_);
        }
        for (const CrossLink& link : find_cross_links(std::move(claims_))) TRY(apply(link));
        return {};
    }

    // What the catalog has, and a listing by another map does not show any more.
    Result<void> give_up_unseen() {
        const std::vector<MissingRange> unread = damage_.missing_in(volume_.range());
        const Cause cause = unread.empty() ? Cause::FS_CORRUPT : unread.front().cause;
        std::vector<InodeRow> unseen;
        TRY(target_.catalog.for_each_inode(target_.medium, volume_.number, [&](const InodeRow& row) -> Result<void> {
            const bool counts = row.fs_type == 'f' && row.size > 0 && !(row.copied && row.status == Status::excluded);
            if (counts && !seen_.contains(row.ino) && row.missing_bytes < row.size) unseen.push_back(row);
            return {};
        }));
        const std::string evidence = json{{"reason", "with the rescue map as it is now, no metadata that was read names this file"}, {"cause", to_string(cause)}}.dump();
        for (const InodeRow& row : unseen) {
            const std::vector<MissingRow> missing = {{0, row.size, std::nullopt, cause}};
            TRY(target_.catalog.set_verdict(target_.medium, row.volume, row.ino, cause, row.size, evidence, missing, Catalog::Requeue::yes));
        }
        counts_.renewed_inodes += unseen.size();
        return {};
    }

    // A listing that ended before its end: why, in the words of the volume's outcome. What arrived stays.
    Result<Outcome> note_early_end(const Error& error) {
        const Outcome outcome = outcome_of_parser(error).value_or(Outcome::partial);
        if (error.code == ErrorCode::limit && over_budget_) return outcome;  // the finding is there
        Finding finding;
        finding.code = code_of_failure(outcome, "directory_unreadable");
        finding.message = "the listing ended early, files may be missing here: " + error.text();
        TRY(insert(std::move(finding)));
        return outcome;
    }

    const EnumerationCounts& counts() const { return counts_; }

private:
    Result<void> insert(InodeEntry inode) {
        ++counts_.inodes;
        InodeRow row = row_of(inode);
        if (target_.map_changed) seen_.insert(row.ino);
        std::optional<InodeRow> there;
        if (target_.again) {
            TRY_ASSIGN(there, target_.catalog.inode(target_.medium_hash, row.volume, row.ino));
        }
        if (there && target_.lives && target_.replaces && there->copied && there->fs_type == 'f' && !has_same_content(*there, row, true)) {
            // What was decided of the earlier content stays: the file that has its number now is another inode.
            row.ino = later_of_[inode.ino] = number_of_later(row);
            inode.ino = row.ino;
            if (target_.map_changed) seen_.insert(row.ino);
            TRY_ASSIGN(there, target_.catalog.inode(target_.medium_hash, row.volume, row.ino));
        }
        if (inode.fs_type != 'f') {
            row.status = Status::nonfile;
            row.copied = true;
            row.claimed_by = "NON_FILE";
            row.processed_at = target_.now;
            return put(there, row, {});
        }
        const Verdict verdict = judged_by_place_ ? damage_.judge(inode, reach_of(volume_)) : Verdict();
        const std::vector<MissingRow> missing = rows_of(verdict.missing);
        if (!verdict.clean()) {
            note_cause(*verdict.cause);
            row.cause = verdict.cause;
            row.missing_bytes = verdict.missing_bytes;
            row.evidence = verdict.evidence;
            if (nothing_readable(inode, verdict) && !target_.tries_all && !(there && has_same_content(*there, row, target_.lives))) TRY(give_up(row));
        }
        if (sharing_forbidden_ && !inode.extents.empty())
            claims_.push_back({inode.ino, std::move(inode.extents), inode.faults.empty(), false, SectorClaim::Owner::file});
        return put(there, row, missing);
    }

    // `there`: the row that stands already. What became of it stays, unless its content or its verdict is another.
    Result<void> put(const std::optional<InodeRow>& there, const InodeRow& row, const std::vector<MissingRow>& missing) {
        if (!there) {
            ++counts_.new_inodes;
            return target_.catalog.add_inode(target_.medium, row, missing);
        }
        if (!target_.replaces) {
            if (!has_same_content(*there, row, target_.lives)) TRY(note_difference(*there, row));
            return {};
        }
        if (!has_same_content(*there, row, target_.lives)) {
            ++counts_.renewed_inodes;
            return target_.catalog.replace_inode(target_.medium, row, missing);
        }
        if (row.fs_type != 'f' || (there->copied && there->status == Status::excluded)) return {};
        if (target_.lives) return {};  // what a try has shown of it stands
        TRY_ASSIGN(const std::vector<MissingRow> before, target_.catalog.missing_ranges(target_.medium_hash, row.volume, row.ino));
        if (merged(missing) == before) return {};
        ++counts_.renewed_inodes;
        return target_.catalog.set_verdict(target_.medium, row.volume, row.ino, row.cause, row.missing_bytes, row.evidence, missing, Catalog::Requeue::yes);
    }

    Result<void> note_difference(const InodeRow& there, const InodeRow& row) {
        Finding finding;
        finding.code = "load_differs";
        finding.ino = row.ino;
        finding.message = fmt::format("inode {} was loaded once more and is another now: what was there stays", row.ino);
        finding.evidence = json{{"size", {there.size, row.size}}, {"mtime", {there.mtime.value_or(0), row.mtime.value_or(0)}}}.dump();
        return insert(std::move(finding));
    }

    // The same at every listing.
    static int64_t number_of_later(const InodeRow& row) {
        const BlobId digest = blake3_of(as_bytes(fmt::format("{}\n{}\n{}\n{}", row.fs_ino, row.size, row.mtime.value_or(0), row.mtime_ns)));
        uint64_t hash = 0;
        std::memcpy(&hash, digest.bytes.data(), sizeof hash);
        return (int64_t{1} << 62) + (int64_t{1} << 59) + static_cast<int64_t>(hash & ((uint64_t{1} << 58) - 1));
    }

    Result<void> insert(NameEntry name) {
        ++counts_.names;
        if (const auto later = later_of_.find(name.ino); later != later_of_.end()) name.ino = later->second;
        if (target_.again && known_names_.take(digest_of_name(name.ino, name.path))) return {};
        PathRow row;
        row.volume = volume_.number;
        row.entry = ++entry_;
        row.ino = name.ino;
        if (!exclude_.empty() && exclude_.matches(name.path)) row.exclude_reason = "pattern_match";
        row.path = std::move(name.path);
        if (!name.short_name.empty()) row.short_name = std::move(name.short_name);
        return target_.catalog.add_path(target_.medium, row);
    }

    // What the FAT reader knows of places that files claim: {"ranges":[{"image_offset":n,"length":n}]}.
    void note_directories(const Finding& finding) {
        const json evidence = json::parse(finding.evidence, nullptr, false);
        SectorClaim claim;
        claim.owner = SectorClaim::Owner::directory;
        const auto number = [](const json& object, const char* key) { return object.is_object() && object.contains(key) && object[key].is_number_unsigned() ? object[key].get<uint64_t>() : 0; };
        if (evidence.is_object() && evidence.contains("ranges") && evidence["ranges"].is_array())
            for (const json& range : evidence["ranges"]) claim.extents.push_back({0, number(range, "image_offset"), number(range, "length"), ExtentKind::data});
        claims_.push_back(std::move(claim));
    }

    // {"lengths":[clusters …],"cluster_size":bytes}
    void note_lost_chains(const Finding& finding) {
        const json evidence = json::parse(finding.evidence, nullptr, false);
        if (!evidence.is_object() || !evidence.contains("lengths") || !evidence["lengths"].is_array()) return;
        for (const json& length : evidence["lengths"])
            if (length.is_number_unsigned()) lost_lengths_.insert(length.get<uint64_t>());
        if (evidence.contains("cluster_size") && evidence["cluster_size"].is_number_unsigned()) cluster_bytes_ = evidence["cluster_size"].get<uint64_t>();
    }

    InodeRow row_of(const InodeEntry& inode) const {
        InodeRow row;
        row.volume = volume_.number;
        row.ino = inode.ino;
        row.image_id = target_.image_id;
        row.fs_type = inode.fs_type;
        row.fs_ino = inode.fs_ino;
        row.stream = inode.stream;
        row.allocated = inode.allocated;
        row.dev = target_.dev;
        row.nlink = inode.nlink;
        row.size = inode.size;
        row.mtime = inode.mtime;
        row.atime = inode.atime;
        row.ctime = inode.ctime;
        row.crtime = inode.crtime;
        row.mtime_ns = inode.mtime_ns;
        row.mode = inode.mode;
        row.uid = inode.uid;
        row.gid = inode.gid;
        row.attributes = inode.attributes;
        row.target = inode.target;
        row.access = static_cast<int>(inode.access);
        row.first_offset = first_data_offset(inode.extents);
        row.extents = encode_extents(inode.extents);
        return row;
    }

    // Nothing of the content can be read: decided now, without a trial.
    Result<void> give_up(InodeRow& row) {
        row.status = Status::unreadable;
        row.copied = true;
        row.claimed_by = claimed_by_of(*row.cause);
        row.processed_at = target_.now;
        CopyOutcome outcome;
        outcome.volume = row.volume;
        outcome.ino = row.ino;
        outcome.cause = row.cause;
        const EventRow event = skip_event(target_.medium_hash, outcome, target_.worker_id, target_.now);
        return target_.catalog.add_events(std::span(&event, 1));
    }

    // A directory on sectors that were not read: names in them are lost, and the zeros in their place look like an end.
    Result<void> check_directory(const DirectoryPlace& place) {
        for (const ByteRange& range : place.ranges) {
            const std::vector<MissingRange> missing = damage_.missing_in(range);
            if (missing.empty()) continue;
            const std::string shown = "/" + to_terminal_text(place.path);
            Finding finding;
            finding.code = "directory_on_missing_sectors";
            finding.message = fmt::format("{} lies on sectors that were not read: files may be missing here", shown);
            finding.ino = place.ino;
            finding.evidence = json{{"path", shown},
                                    {"image_offset", *missing.front().image_offset},
                                    {"length", missing.front().length},
                                    {"cause", to_string(missing.front().cause)}}.dump();
            return insert(std::move(finding));
        }
        return {};
    }

    Result<void> apply(const CrossLink& link) {
        Finding finding;
        finding.code = "cross_link";
        finding.ino = link.ino;
        finding.message = link.keeps ? "other files claim some of this file's clusters; its own chain fits" : "other files claim some of this file's clusters";
        json evidence = {{"others", link.others}, {"shared", json::array()}};
        for (const Extent& extent : link.shared)
            if (evidence["shared"].size() < 64)
                evidence["shared"].push_back({{"file_offset", extent.file_offset}, {"image_offset", extent.image_offset}, {"length", extent.length}});
        finding.evidence = evidence.dump();
        TRY(insert(finding));
        if (link.keeps) return {};

        TRY_ASSIGN(const std::optional<InodeRow> row, target_.catalog.inode(target_.medium_hash, volume_.number, link.ino));
        NTT_CHECK(row.has_value(), "a cross-linked inode that was not inserted");
        if (row->copied && row->status == Status::excluded) return {};
        TRY_ASSIGN(const std::vector<MissingRow> before, target_.catalog.missing_ranges(target_.medium_hash, volume_.number, link.ino));
        InodeEntry inode;
        inode.size = row->size;
        inode.access = ContentAccess::extents;
        TRY_ASSIGN(inode.extents, decode_extents(row->extents));
        for (const MissingRow& range : before)
            if (is_structural(range)) inode.faults.push_back({range.cause, range.file_offset, range.length, "{}"});
        for (const Extent& extent : link.shared) inode.faults.push_back({Cause::CROSS_LINK, extent.file_offset, extent.length, finding.evidence});
        std::sort(inode.faults.begin(), inode.faults.end(), [](const ContentFault& a, const ContentFault& b) { return a.file_offset < b.file_offset; });
        const Verdict verdict = damage_.judge(inode, reach_of(volume_));
        return target_.catalog.set_verdict(target_.medium, volume_.number, link.ino, verdict.cause, verdict.missing_bytes, verdict.evidence,
                                           rows_of(verdict.missing), Catalog::Requeue::yes);
    }

    void note_cause(Cause cause) {
        if (cause == Cause::BEYOND_EOF) ++counts_.beyond_eof;
        if (is_fat_chain(cause)) ++counts_.fat_errors;
    }

    const EnumerationTarget& target_;
    const Volume& volume_;
    const DamageMap& damage_;
    const ExcludePatterns& exclude_;
    const bool judged_by_place_;
    const bool sharing_forbidden_;  // a cluster of a FAT volume has one owner
    int64_t entry_ = 0;  // the last one of the volume
    Known known_names_, known_findings_;
    std::unordered_set<int64_t> seen_;
    std::unordered_map<int64_t, int64_t> later_of_;  // numbers whose earlier files are recorded
    std::vector<SectorClaim> claims_;
    std::set<int64_t> too_long_;
    std::set<uint64_t> lost_lengths_;  // of chains that belong to nobody, in clusters
    uint64_t cluster_bytes_ = 0;
    bool over_budget_ = false;
    EnumerationCounts counts_;
};

// Joins the listing thread on every way out.
class ListingThread {
public:
    ListingThread(BatchQueue& queue, FsReader& reader, const CancelToken& cancel)
        : queue_(queue), thread_([&queue, &reader, &cancel] { queue.finish(reader.list(queue, cancel)); }) {}
    ~ListingThread() {
        if (!thread_.joinable()) return;
        queue_.abandon();
        thread_.join();
    }
    void join() { thread_.join(); }
    ListingThread(const ListingThread&) = delete;
    ListingThread& operator=(const ListingThread&) = delete;

private:
    BatchQueue& queue_;
    std::thread thread_;
};

Outcome outcome_of_listing(const Volume& volume, uint64_t image_size, const EnumerationCounts& counts) {
    if (volume.range().end() > image_size) return Outcome::truncated;
    return counts.unreadable_directories > 0 ? Outcome::partial : Outcome::read;
}

}  // namespace

void EnumerationCounts::add(EnumerationCounts other) {
    inodes += other.inodes;
    new_inodes += other.new_inodes;
    renewed_inodes += other.renewed_inodes;
    names += other.names;
    unreadable_directories += other.unreadable_directories;
    beyond_eof += other.beyond_eof;
    fat_errors += other.fat_errors;
    doubled_entries += other.doubled_entries;
    for (std::string& name : other.doubled_names)
        if (doubled_names.size() < kMaxDoubledNames) doubled_names.push_back(std::move(name));
    if (!root_lost) root_lost = std::move(other.root_lost);
    if (!udf_corruption) udf_corruption = std::move(other.udf_corruption);
}

bool is_of_the_host(const Error& error) {
    return error.sys_errno != 0 || error.code == ErrorCode::source_changed || error.code == ErrorCode::cancelled;
}

std::string code_of_failure(Outcome outcome, std::string_view otherwise) {
    if (outcome == Outcome::budget) return "budget_exceeded";
    const bool of_the_parser = outcome == Outcome::parser_crash || outcome == Outcome::parser_timeout;
    return std::string(of_the_parser ? to_string(outcome) : otherwise);
}

std::optional<Outcome> outcome_of_parser(const Error& error) {
    switch (error.code) {
        case ErrorCode::parser_crash: return Outcome::parser_crash;
        case ErrorCode::parser_timeout: return Outcome::parser_timeout;
        case ErrorCode::limit: return Outcome::budget;
        default: return std::nullopt;
    }
}

namespace {

// The listing goes into `queue` by a thread of its own, which may have findings already.
Result<EnumeratedVolume> take_listing(FsReader& reader, BatchQueue& queue, Inserter& inserter, const EnumerationTarget& target, const Volume& volume,
                                      std::optional<uint64_t> image_bytes, const CancelToken& cancel) {
    EnumeratedVolume out{volume, {}};
    std::optional<Outcome> early_end;
    {
        ListingThread listing(queue, reader, cancel);
        while (std::optional<Batch> batch = queue.take()) {
            TRY(inserter.insert(std::move(*batch)));
            kill_point("enumerate.batch");
        }
        listing.join();
        TRY(cancel.check());
        if (Result<void> ended = queue.listing(); !ended.ok()) {
            if (is_of_the_host(ended.error())) return std::move(ended).take_error();
            TRY_ASSIGN(early_end, inserter.note_early_end(ended.error()));
        }
    }
    TRY(inserter.judge_sharing());
    if (target.map_changed && (!early_end || *early_end == Outcome::partial)) TRY(inserter.give_up_unseen());
    out.counts = inserter.counts();
    out.volume.outcome = early_end && *early_end != Outcome::partial ? *early_end : outcome_of_listing(volume, image_bytes.value_or(UINT64_MAX), out.counts);
    json detail = parse_detail(volume.detail);
    detail.update(parse_detail(reader.detail()));
    if (out.counts.unreadable_directories > 0) detail["unreadable_directories"] = out.counts.unreadable_directories;
    out.volume.detail = detail.dump(-1, ' ', false, json::error_handler_t::replace);
    return out;
}

}  // namespace

Result<EnumeratedVolume> enumerate_volume(const EnumerationTarget& target, const ByteSource& source, const Volume& volume,
                                          const DamageMap& damage, const ReaderOptions& options, const ExcludePatterns& exclude,
                                          const CancelToken& cancel) {
    EnumeratedVolume out{volume, {}};
    if (!volume.readable) return out;
    Inserter inserter(target, volume, damage, exclude, true);
    if (target.again) TRY(inserter.look_at_what_is_there());
    BatchQueue queue;
    ReaderOptions with_damage = options;
    with_damage.unread = damage.unread();
    Result<std::unique_ptr<FsReader>> opened = open_apart(source, volume, with_damage, queue);
    if (opened.ok()) return take_listing(**opened, queue, inserter, target, volume, source.size_bytes(), cancel);
    if (is_of_the_host(opened.error())) return std::move(opened).take_error();
    out.volume.outcome = outcome_of_parser(opened.error()).value_or(Outcome::failed);
    Finding finding;
    finding.code = code_of_failure(out.volume.outcome, "filesystem_unreadable");
    finding.message = fmt::format("the {} filesystem cannot be opened: {}", volume.view, opened.error().text());
    TRY(inserter.insert(std::move(finding)));
    if (target.map_changed && out.volume.outcome == Outcome::failed) TRY(inserter.give_up_unseen());
    out.counts = inserter.counts();
    return out;
}

Result<EnumeratedVolume> enumerate_with(FsReader& reader, const EnumerationTarget& target, const Volume& volume, const DamageMap& damage,
                                        std::optional<uint64_t> image_bytes, const ExcludePatterns& exclude, const CancelToken& cancel) {
    Inserter inserter(target, volume, damage, exclude, image_bytes.has_value());
    if (target.again) TRY(inserter.look_at_what_is_there());
    BatchQueue queue;
    return take_listing(reader, queue, inserter, target, volume, image_bytes, cancel);
}

Result<EnumerationCounts> counts_in_catalog(Catalog& catalog, MediumKey medium, const std::string& medium_hash) {
    EnumerationCounts out;
    TRY(catalog.for_each_inode(medium, std::nullopt, [&](const InodeRow& row) -> Result<void> {
        if (row.cause == Cause::BEYOND_EOF) ++out.beyond_eof;
        if (row.cause && is_fat_chain(*row.cause)) ++out.fat_errors;
        return {};
    }));
    TRY_ASSIGN(const std::vector<FindingRow> findings, catalog.findings(medium_hash));
    for (const FindingRow& row : findings) {
        if (!is_doubled_name(row.finding.code)) continue;
        ++out.doubled_entries;
        if (out.doubled_names.size() < EnumerationCounts::kMaxDoubledNames) out.doubled_names.push_back(path_in(row.finding));
    }
    TRY_ASSIGN(const std::vector<VolumeRow> volumes, catalog.volumes(medium_hash));
    for (const VolumeRow& volume : volumes) {
        out.unreadable_directories += number_in(parse_detail(volume.detail), "unreadable_directories").value_or(0);
    }
    return out;
}

Result<uint64_t> renew_verdicts(const EnumerationTarget& target, const std::vector<VolumeRow>& volumes, const DamageMap& damage) {
    struct Change {
        int volume;
        int64_t ino;
        Verdict verdict;
    };
    std::map<int, ByteRange> places;
    for (const VolumeRow& volume : volumes) places[volume.volume] = reach_of(volume_of(volume));
    std::vector<Change> changes;
    TRY(target.catalog.for_each_inode(target.medium, std::nullopt, [&](const InodeRow& row) -> Result<void> {
        if (row.fs_type != 'f') return {};
        if (row.copied && row.status == Status::excluded) return {};
        InodeEntry inode;
        inode.size = row.size;
        inode.access = static_cast<ContentAccess>(row.access);
        TRY_ASSIGN(inode.extents, decode_extents(row.extents));
        std::vector<MissingRow> before;
        if (row.cause) {
            TRY_ASSIGN(before, target.catalog.missing_ranges(target.medium_hash, row.volume, row.ino));
            for (const MissingRow& range : before)
                if (is_structural(range)) inode.faults.push_back({range.cause, range.file_offset, range.length, "{}"});
        }
        Verdict verdict = damage.judge(inode, places[row.volume]);
        if (rows_of(verdict.missing) != before) changes.push_back({row.volume, row.ino, std::move(verdict)});
        return {};
    }));
    for (const Change& change : changes) {
        const std::optional<std::string> evidence = change.verdict.clean() ? std::nullopt : std::optional(change.verdict.evidence);
        TRY(target.catalog.set_verdict(target.medium, change.volume, change.ino, change.verdict.cause, change.verdict.missing_bytes, evidence,
                                       rows_of(change.verdict.missing), Catalog::Requeue::yes));
    }
    return changes.size();
}

}  // namespace ntt
