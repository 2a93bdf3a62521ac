#include "fs/fat/fat_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "fs/fat/boot_proof.h"
#include "fs/fat/chain.h"
#include "fs/fat/copy_choice.h"
#include "fs/fat/directory.h"
#include "fs/fat/directory_sector.h"
#include "fs/fat/timestamps.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr int64_t kYearSeconds = 366 * 86400;

constexpr size_t kMaxHiddenEntries = 100'000;      // behind zeroed sectors, of one volume
constexpr uint64_t kMaxHiddenFollowed = 4;         // clusters followed for them, in clusters of the volume
constexpr size_t kMaxLostChainsRead = 1'000'000;   // whose first bytes are looked at for a directory's
constexpr size_t kMaxLostListed = 16;              // chains named in evidence
constexpr size_t kMaxLengthsListed = 4096;         // lengths of lost chains in evidence
constexpr size_t kMaxSharedRuns = 1000;            // between files and directories

// A directory that was found and not yet read.
struct Directory {
    std::string path;            // relative to the root, "" for the root itself
    std::optional<int64_t> ino;  // the root has none
    uint32_t first_cluster = 0;
    int depth = 0;
    uint32_t parent_cluster = 0;  // where the parent begins; 0 for the root
    bool postponed = false;       // its first entries do not fit: all others went first

    std::string prefix() const { return path.empty() ? std::string() : path + '/'; }
    std::string shown() const { return "/" + to_terminal_text(path); }
};

// Where a directory's entries lie in the image, and why there are not more of them.
struct DirectoryPlaces {
    std::vector<ByteRange> ranges;
    std::vector<ClusterRun> runs;  // the same in clusters
    std::optional<json> stop;  // evidence of what cut it off; empty when it ends in order
};

// The first `length` bytes of the ranges taken together.
std::vector<ByteRange> first_bytes(const std::vector<ByteRange>& ranges, uint64_t length) {
    std::vector<ByteRange> out;
    for (const ByteRange& range : ranges) {
        if (length == 0) break;
        out.push_back({range.offset, std::min(range.length, length)});
        length -= out.back().length;
    }
    return out;
}

// Leaves the first `length` bytes of the file.
void cut_at(uint64_t length, std::vector<Extent>& extents) {
    std::erase_if(extents, [&](const Extent& extent) { return extent.file_offset >= length; });
    if (!extents.empty()) extents.back().length = std::min(extents.back().length, length - extents.back().file_offset);
}

// For a walk that is not for anybody to see.
struct Nobody final : EntrySink {
    void add(Finding) override {}
    Result<void> add_inode(InodeEntry) override { return {}; }
    Result<void> add_name(NameEntry) override { return {}; }
};

class FatReader final : public FsReader {
public:
    FatReader(const FatPlace& place, FatGeometry geometry, AllocationTable table, TimeZone zone, const CodePage& code_page,
              const ReaderOptions& options)
        : place_(place),
          geometry_(std::move(geometry)),
          table_(std::move(table)),
          zone_(std::move(zone)),
          code_page_(code_page),
          options_(options),
          chains_(table_, geometry_, place.offset_bytes),
          directory_clusters_(geometry_),
          proven_directory_clusters_(geometry_),
          file_clusters_(geometry_),
          latest_plausible_(Clock::system().wall_us() / 1'000'000 + kYearSeconds) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override;
    std::string detail() const override;

private:
    struct Scan;  // of one directory

    // An entry behind a sector of zeros, which may be a lost one or the end of the directory.
    struct Hidden {
        Directory directory;
        ShortEntry entry;
        std::optional<std::string> long_name;
        uint64_t image_offset = 0;
    };
    // A chain that is in use and belongs to no file.
    struct LostChains {
        uint64_t clusters = 0, chains = 0;
        std::vector<ClusterRun> first;               // kMaxLostListed: where it begins, how many clusters
        std::set<uint64_t> lengths;                  // in clusters
        std::map<uint32_t, uint32_t> directories;    // start cluster of a directory -> its parent's
    };

    Result<void> walk_from(std::vector<Directory> pending);
    Result<void> walk_postponed();
    Result<void> take_hidden_entries();
    Result<LostChains> find_lost_chains();
    Result<void> note_if_directory(uint32_t cluster, LostChains& lost);
    Result<void> find_directories_without_table(LostChains& lost);
    Result<void> note_lost_chains(const LostChains& lost);
    Result<bool> anything_in_clusters();
    Result<void> list_lost_directories(const LostChains& lost);
    void note_shared_with_directories();
    Result<std::optional<Dots>> dots_of(const Directory& directory);
    const UnreadRange* first_unread(ByteRange range) const;
    bool is_unread(ByteRange range) const { return first_unread(range) != nullptr; }
    Result<void> walk(EntrySink& sink, const CancelToken& cancel);
    Result<void> prove_boot_sector(const CancelToken& cancel);
    Result<void> choose_copies(EntrySink& sink, const CancelToken& cancel);
    Result<void> list_directory(const Directory& directory, std::vector<Directory>& children);
    Result<DirectoryPlaces> locate(const Directory& directory);
    Result<void> scan_range(Scan& scan, ByteRange range);
    Result<void> take_entry(Scan& scan, const ShortEntry& entry, uint64_t image_offset);
    void take_behind_end(Scan& scan, const ShortEntry& entry, uint64_t image_offset);
    Result<void> deliver(Scan& scan, const ShortEntry& entry, EntryKind kind, uint64_t image_offset, std::optional<std::string> long_name);
    Result<void> lay_out_file(InodeEntry& inode, uint32_t first_cluster, const std::string& path);
    void take_times(InodeEntry& inode, const ShortEntry& entry, const std::string& path);
    void report(std::string code, std::string message, const json& evidence, std::optional<int64_t> ino);
    void report_unreadable(const Directory& directory, json evidence);

    FatPlace place_;
    FatGeometry geometry_;
    AllocationTable table_;
    TimeZone zone_;
    const CodePage& code_page_;
    ReaderOptions options_;
    ChainFollower chains_;
    ClusterSet directory_clusters_;  // of all directories so far: FAT shares none, so that the walk ends
    ClusterSet proven_directory_clusters_;  // of those whose "." says that they begin there
    ClusterSet file_clusters_;              // of all files so far
    std::vector<Directory> postponed_;
    std::vector<Hidden> hidden_;
    std::vector<std::pair<Directory, uint64_t>> ends_in_zeros_;  // at the edge of a sector; with the entries read
    bool among_lost_ = false;  // while directories are listed that no entry leads to
    int64_t latest_plausible_;
    EntrySink* sink_ = nullptr;  // during list()
    const CancelToken* cancel_ = nullptr;
    std::vector<uint8_t> buffer_;

    std::unique_ptr<BootProof> proof_;          // during prove_boot_sector()
    std::optional<ContentFault> unproven_;      // of every content, of no length yet: the boot sector cannot be believed
    std::unique_ptr<CopyChoice> choice_;        // during choose_copies()
    std::map<int64_t, uint64_t> disputed_;      // files whose copies disagree, and from which byte on
    uint64_t sectors_of_second_copy_ = 0;
    std::string label_;
    bool nothing_listed_ = true;
    uint64_t deleted_entries_ = 0, implausible_dates_ = 0, lost_clusters_ = 0, lost_chains_ = 0;
    std::map<std::string, uint64_t> findings_by_code_;
};

struct FatReader::Scan {
    Scan(const Directory& scanned, std::vector<Directory>& found)
        : directory(scanned),
          prefix(scanned.prefix()),
          role(scanned.depth == 0 ? DirectoryRole::root : DirectoryRole::subdirectory),
          children(found) {}

    const Directory& directory;
    const std::string prefix;
    const DirectoryRole role;
    std::vector<Directory>& children;
    LongName long_name;
    std::unordered_map<std::string, uint64_t> offsets_by_name;  // in the image, of the first entry with that name
    uint64_t entries = 0;
    uint64_t absent_bytes = 0;  // beyond the image, before the end mark
    bool ended = false;         // at the end mark
    bool ended_in_zeros = false;  // which is in a sector of nothing but zeros
    uint64_t behind_end = 0;    // entries there that look like those of files
    bool starts_zeroed = false;  // a subdirectory always has entries
    uint64_t garbage_sectors = 0, garbage_at = 0;
};

Result<void> FatReader::list(EntrySink& sink, const CancelToken& cancel) {
    TRY(prove_boot_sector(cancel));
    if (options_.repairs == Repairs::allowed && !table_.differing().empty()) TRY(choose_copies(sink, cancel));
    return walk(sink, cancel);
}

// Where the boot sector was not read, a first walk asks the volume for what speaks for the one that stands there.
Result<void> FatReader::prove_boot_sector(const CancelToken& cancel) {
    unproven_.reset();
    const UnreadRange* lost = first_unread({place_.offset_bytes, kBootSectorBytes});
    if (lost == nullptr) return {};
    proof_ = std::make_unique<BootProof>();
    Nobody nobody;
    Result<void> walked = walk(nobody, cancel);
    const std::unique_ptr<BootProof> proof = std::move(proof_);
    TRY(std::move(walked));
    if (proof->bears_out()) return {};
    json evidence = json::parse(proof->evidence());
    evidence["kind"] = "boot_sector_unread";
    evidence["image_offset"] = place_.offset_bytes;
    unproven_ = ContentFault{lost->cause, 0, 0, evidence.dump()};
    return {};
}

// Where the copies of the table differ, a first walk weighs them.
Result<void> FatReader::choose_copies(EntrySink& sink, const CancelToken& cancel) {
    TRY_ASSIGN(choice_, CopyChoice::open(place_, geometry_, table_.differing(), cancel));
    Nobody nobody;
    Result<void> walked = walk(nobody, cancel);
    const std::unique_ptr<CopyChoice> choice = std::move(choice_);
    TRY(std::move(walked));
    disputed_ = choice->disputed();
    std::vector<uint64_t> chosen = choice->of_second_copy();
    sectors_of_second_copy_ = chosen.size();
    if (chosen.empty()) return {};
    sink.add({"repaired", fmt::format("{} sectors of the FAT are taken from its second copy: more files are whole with them", chosen.size()),
              json{{"repair", "fat_sectors_from_second_copy"}, {"sectors", chosen.size()}, {"differing_sectors", table_.differing_sectors()}, {"first_sector", chosen.front()}}.dump(),
              place_.volume, {}});
    table_.use_second_copy(std::move(chosen));
    return {};
}

Result<void> FatReader::walk(EntrySink& sink, const CancelToken& cancel) {
    sink_ = &sink;
    cancel_ = &cancel;
    directory_clusters_ = proven_directory_clusters_ = file_clusters_ = ClusterSet(geometry_);
    postponed_.clear();
    hidden_.clear();
    ends_in_zeros_.clear();
    among_lost_ = false;
    nothing_listed_ = true;
    deleted_entries_ = implausible_dates_ = lost_clusters_ = lost_chains_ = 0;
    findings_by_code_.clear();
    label_.clear();

    if (unproven_)
        report("boot_sector_unproven",
               "the boot sector was not read, and nothing on the volume bears out where the one in its place says that clusters lie: "
               "names are listed, contents are not believed",
               json::parse(unproven_->evidence), {});
    TRY_ASSIGN(TableTrust trust, TableTrust::judge(table_, geometry_, cancel));
    if (trust.bad_sectors() != 0)
        report("fat_garbage", fmt::format("{} sectors of the FAT hold what no system wrote: chains through them are not believed", trust.bad_sectors()),
               {{"sectors", trust.bad_sectors()}}, {});
    if (trust.zeroed_until() != 0)
        report("fat_zeroed", "the FAT begins with zeros, not with the media byte: it was lost, and what was in use is not known",
               {{"image_offset", place_.offset_bytes + geometry_.fat_offset}, {"clusters", trust.zeroed_until() - kFirstDataCluster}}, {});
    chains_.believe(std::move(trust));

    TRY(walk_from({{"", {}, geometry_.root_cluster, 0}}));
    // What claims a place that may be another's comes after all that is certain of its own.
    TRY(walk_postponed());
    if (choice_ || proof_) return {};  // what entries lead to is enough to choose or to prove by
    TRY(take_hidden_entries());
    TRY(walk_postponed());
    TRY_ASSIGN(LostChains lost, find_lost_chains());
    TRY(find_directories_without_table(lost));
    TRY(note_lost_chains(lost));
    TRY(list_lost_directories(lost));
    note_shared_with_directories();
    return {};
}

Result<void> FatReader::walk_from(std::vector<Directory> pending) {
    std::reverse(pending.begin(), pending.end());
    std::vector<Directory> children;
    while (!pending.empty()) {
        const Directory directory = std::move(pending.back());
        pending.pop_back();
        children.clear();
        TRY(list_directory(directory, children));
        // The last is taken next: turned round, the walk goes in the order of the disk.
        std::move(children.rbegin(), children.rend(), std::back_inserter(pending));
    }
    return {};
}

// Ends because no directory is listed in clusters that another one was listed in.
Result<void> FatReader::walk_postponed() {
    while (!postponed_.empty()) TRY(walk_from(std::exchange(postponed_, {})));
    return {};
}

// A sector of zeros in a directory is its end, or it is what was lost. Behind it an entry counts when the table bears it out:
// its chain is in use, has just the length its size asks for, and belongs to nobody else.
Result<void> FatReader::take_hidden_entries() {
    std::vector<Directory> children;
    const std::vector<Hidden> hidden = std::exchange(hidden_, {});
    std::map<std::string, Scan> scans;  // by directory
    const auto deliver_it = [&](const Hidden& one, EntryKind kind) {
        Scan& scan = scans.try_emplace(one.directory.path, one.directory, children).first->second;
        return deliver(scan, one.entry, kind, one.image_offset, one.long_name);
    };
    uint64_t followed = 0;
    for (const Hidden& one : hidden) {
        if (followed > kMaxHiddenFollowed * geometry_.cluster_count) break;  // entries of garbage that all name one long chain
        const EntryKind kind = classify(one.entry, DirectoryRole::root, 0);
        const uint32_t first = start_cluster(one.entry, geometry_);
        if (!geometry_.has_cluster(first)) continue;
        const uint64_t size = one.entry.size, needed = size / geometry_.cluster_size + (size % geometry_.cluster_size != 0 ? 1 : 0);
        TRY_ASSIGN(const Chain chain, chains_.follow(first, kind == EntryKind::file ? needed : kMaxEntriesPerDirectory));
        followed += chain.clusters;
        if (chain.stop != ChainStop::end || (kind == EntryKind::file && chain.clusters != needed)) continue;
        const bool taken = std::any_of(chain.runs.begin(), chain.runs.end(), [&](ClusterRun run) { return file_clusters_.contains_any(run) || directory_clusters_.contains_any(run); });
        if (taken) continue;
        if (kind == EntryKind::directory) {
            TRY_ASSIGN(const std::optional<Dots> dots, dots_of({"", {}, first, 1, one.directory.first_cluster}));
            if (dots != Dots::right) continue;
        }
        TRY(deliver_it(one, kind));
    }
    // An empty file has no chain that could speak for it; one that did speaks for its neighbours.
    for (const Hidden& one : hidden)
        if (one.entry.size == 0 && start_cluster(one.entry, geometry_) == 0 && classify(one.entry, DirectoryRole::root, 0) == EntryKind::file && scans.contains(one.directory.path))
            TRY(deliver_it(one, EntryKind::file));
    return walk_from(std::move(children));
}

Result<FatReader::LostChains> FatReader::find_lost_chains() {
    LostChains lost;
    const auto is_lost = [&](uint32_t cluster, LinkKind kind) {
        return (kind == LinkKind::next || kind == LinkKind::end) && chains_.trust().trusts(cluster) && !file_clusters_.contains(cluster) && !directory_clusters_.contains(cluster);
    };
    ClusterSet followed(geometry_);  // by another lost cluster
    for (uint32_t cluster = kFirstDataCluster; cluster <= geometry_.last_cluster(); ++cluster) {
        if (cluster % 65536 == 0) TRY(cancel_->check());
        TRY_ASSIGN(const FatLink link, table_.link(cluster));
        if (!is_lost(cluster, link.kind)) continue;
        ++lost.clusters;
        if (link.kind == LinkKind::next) followed.insert(link.value);
    }
    if (lost.clusters == 0) return lost;
    ClusterSet counted(geometry_);
    for (uint32_t cluster = kFirstDataCluster; cluster <= geometry_.last_cluster(); ++cluster) {
        if (cluster % 65536 == 0) TRY(cancel_->check());
        TRY_ASSIGN(const FatLink link, table_.link(cluster));
        if (!is_lost(cluster, link.kind) || followed.contains(cluster)) continue;
        // Each cluster counts for the first chain that has it: chains may join.
        uint32_t length = 0;
        for (FatLink at{LinkKind::next, cluster}; at.kind == LinkKind::next && counted.insert(at.value);) {
            ++length;
            TRY_ASSIGN(at, table_.link(at.value));
        }
        ++lost.chains;
        if (lost.first.size() < kMaxLostListed) lost.first.push_back({cluster, length});
        if (lost.lengths.size() < kMaxLengthsListed) lost.lengths.insert(length);
        if (lost.chains > kMaxLostChainsRead) continue;
        TRY(note_if_directory(cluster, lost));
    }
    return lost;
}

// A directory says itself that it begins at `cluster`.
Result<void> FatReader::note_if_directory(uint32_t cluster, LostChains& lost) {
    const ByteRange head{chains_.place_of({cluster, 1}).offset, 2 * kDirectoryEntryBytes};
    if (head.end() > place_.source.size_bytes() || is_unread(head)) return {};
    buffer_.resize(head.length);
    TRY(place_.source.read(head.offset, buffer_));
    ShortEntry parent;
    std::memcpy(&parent, &buffer_[kDirectoryEntryBytes], sizeof parent);
    const uint32_t parent_cluster = start_cluster(parent, geometry_);
    if (judge_dots(buffer_, cluster, parent_cluster, geometry_) == Dots::right) lost.directories[cluster] = parent_cluster;
    return {};
}

// Where the table was lost, every cluster may begin a directory.
Result<void> FatReader::find_directories_without_table(LostChains& lost) {
    for (uint32_t cluster = kFirstDataCluster; cluster < chains_.trust().zeroed_until(); ++cluster) {
        if (cluster % 1024 == 0) TRY(cancel_->check());
        if (!directory_clusters_.contains(cluster)) TRY(note_if_directory(cluster, lost));
    }
    return {};
}

Result<void> FatReader::note_lost_chains(const LostChains& lost) {
    lost_clusters_ = lost.clusters;
    lost_chains_ = lost.chains;
    if (lost.clusters == 0 && chains_.trust().zeroed_until() == 0) return {};
    if (lost.clusters != 0) {
        json first = json::array();
        for (const ClusterRun& chain : lost.first) first.push_back({{"first_cluster", chain.first}, {"clusters", chain.count}});
        report("lost_clusters",
               fmt::format("{} clusters in {} chains are in use and belong to no file that is listed{}", lost.clusters, lost.chains,
                           lost.directories.empty() ? std::string() : fmt::format("; {} of the chains are directories, listed below $lost", lost.directories.size())),
               {{"clusters", lost.clusters}, {"chains", lost.chains}, {"directories", lost.directories.size()}, {"first", first}, {"lengths", lost.lengths}, {"cluster_size", geometry_.cluster_size}}, {});
    }
    // A directory may end where a sector ends. But where clusters are in use that nobody names, the zeros behind may have named them.
    for (const auto& [directory, entries] : lost.clusters == 0 ? decltype(ends_in_zeros_)() : ends_in_zeros_)
        report_unreadable(directory, {{"cause", to_string(Cause::FS_CORRUPT)}, {"kind", "zeroed_end"}, {"clusters_in_use", lost.clusters}, {"entries_read", entries}});
    // An empty root over a table that is in use, or that was lost with it: the root is what was lost (zeros look like an empty directory).
    // Where no cluster holds anything either, there was nothing but a boot sector.
    TRY_ASSIGN(const bool in_use, lost.clusters != 0 ? Result<bool>(true) : anything_in_clusters());
    if (in_use && nothing_listed_ && deleted_entries_ == 0 && !findings_by_code_.contains("directory_unreadable"))
        report_unreadable({"", {}, geometry_.root_cluster, 0}, {{"cause", to_string(Cause::FS_CORRUPT)}, {"clusters_in_use", lost.clusters}, {"entries_read", 0}});
    return {};
}

Result<bool> FatReader::anything_in_clusters() {
    const uint64_t end = std::min(place_.source.size_bytes(), place_.offset_bytes + geometry_.total_bytes);
    for (uint64_t at = place_.offset_bytes + geometry_.data_offset; at < end; at += buffer_.size()) {
        TRY(cancel_->check());
        buffer_.resize(static_cast<size_t>(std::min<uint64_t>(end - at, AllocationTable::kPageBytes)));
        TRY(place_.source.read(at, buffer_));
        if (std::any_of(buffer_.begin(), buffer_.end(), [](uint8_t byte) { return byte != 0; })) return true;
    }
    return false;
}

// Directories whose entry is gone stand by themselves: "." says where they begin and ".." which one is in another.
Result<void> FatReader::list_lost_directories(const LostChains& lost) {
    among_lost_ = true;
    const auto list_one = [&](uint32_t cluster, uint32_t parent) -> Result<void> {
        if (directory_clusters_.contains(cluster)) return {};  // found in another one meanwhile
        const uint64_t place = chains_.place_of({cluster, 1}).offset;
        ShortEntry self;
        TRY(place_.source.read(place, {reinterpret_cast<uint8_t*>(&self), sizeof self}));
        NameEntry name;
        name.path = fmt::format("$lost/cluster-{}", cluster);
        name.ino = static_cast<int64_t>((place - place_.offset_bytes) / kDirectoryEntryBytes);  // of its "."
        InodeEntry inode;
        inode.ino = name.ino;
        inode.fs_ino = fmt::to_string(name.ino);
        inode.fs_type = 'd';
        inode.attributes = self.attributes;
        take_times(inode, self, name.path);
        const Directory directory{name.path, name.ino, cluster, 1, parent};
        TRY(sink_->add_inode(std::move(inode)));
        TRY(sink_->add_name(std::move(name)));
        return walk_from({directory});
    };
    for (const auto& [cluster, parent] : lost.directories)
        if (!lost.directories.contains(parent)) TRY(list_one(cluster, parent));
    // Rings, and what the entries of a parent did not lead to.
    for (const auto& [cluster, parent] : lost.directories) TRY(list_one(cluster, parent));
    return walk_postponed();
}

// FAT shares no clusters: a file that runs into a directory is not right there, whoever was listed first.
void FatReader::note_shared_with_directories() {
    json shared = json::array();
    for (const ClusterRun& run : file_clusters_.common_with(proven_directory_clusters_, kMaxSharedRuns)) {
        const ByteRange place = chains_.place_of(run);
        shared.push_back({{"image_offset", place.offset}, {"length", place.length}});
    }
    if (!shared.empty())
        report("directory_cross_link", "files claim clusters that belong to directories", {{"ranges", shared}}, {});
}

// nullopt where its first entries are not in the image or were not read.
Result<std::optional<Dots>> FatReader::dots_of(const Directory& directory) {
    if (!geometry_.has_cluster(directory.first_cluster)) return std::optional<Dots>();
    const ByteRange head{chains_.place_of({directory.first_cluster, 1}).offset, 2 * kDirectoryEntryBytes};
    if (head.end() > place_.source.size_bytes() || is_unread(head)) return std::optional<Dots>();
    std::array<uint8_t, 2 * kDirectoryEntryBytes> bytes{};
    TRY(place_.source.read(head.offset, bytes));
    return std::optional(judge_dots(bytes, directory.first_cluster, directory.parent_cluster, geometry_));
}

const UnreadRange* FatReader::first_unread(ByteRange range) const {
    if (place_.unread == nullptr) return nullptr;
    const auto next = std::lower_bound(place_.unread->begin(), place_.unread->end(), range.offset,
                                       [](const UnreadRange& unread, uint64_t offset) { return unread.range.end() <= offset; });
    return next != place_.unread->end() && next->range.offset < range.end() ? &*next : nullptr;
}

Result<void> FatReader::list_directory(const Directory& directory, std::vector<Directory>& children) {
    std::optional<Dots> dots;
    if (directory.depth != 0) {
        TRY_ASSIGN(dots, dots_of(directory));
        if (proof_ && dots && !directory.postponed) proof_->add_directory(*dots);
    }
    const bool doubtful = dots && *dots != Dots::right;
    if (doubtful && !directory.postponed) {
        postponed_.push_back(directory);
        postponed_.back().postponed = true;
        return {};
    }
    TRY_ASSIGN(DirectoryPlaces places, locate(directory));
    if (dots == Dots::right || directory.depth == 0)
        for (const ClusterRun& run : places.runs) proven_directory_clusters_.insert(run);
    Scan scan(directory, children);
    for (const ByteRange& range : places.ranges) TRY(scan_range(scan, range));
    scan.long_name.drop();
    if (doubtful && !places.ranges.empty() && scan.garbage_sectors == 0 && !scan.starts_zeroed)
        report("directory_dots_wrong",
               fmt::format("the first entries of {} do not name {}: it may be another directory's content", directory.shown(),
                           dots == Dots::wrong_self ? "itself" : "the directory it is in"),
               {{"path", directory.shown()}, {"first_cluster", directory.first_cluster}, {"parent_cluster", directory.parent_cluster}, {"wrong", dots == Dots::wrong_self ? "." : ".."}},
               directory.ino);
    if (scan.starts_zeroed && directory.depth != 0)
        report_unreadable(directory, {{"cause", to_string(Cause::FS_CORRUPT)}, {"kind", "zeroed"}, {"first_cluster", directory.first_cluster}, {"entries_read", 0}});
    if (scan.garbage_sectors != 0)
        report_unreadable(directory, {{"cause", to_string(Cause::FS_CORRUPT)},
                                      {"kind", "garbage"},
                                      {"sectors", scan.garbage_sectors},
                                      {"image_offset", scan.garbage_at},
                                      {"entries_read", scan.entries}});
    sink_->add_directory({directory.path, directory.ino, first_bytes(places.ranges, scan.entries * kDirectoryEntryBytes)});

    if (scan.long_name.orphans() != 0)
        report("long_name_orphan",
               fmt::format("{} long names in {} belong to no entry; short names stand in", scan.long_name.orphans(),
                           directory.shown()),
               {{"path", directory.shown()}, {"count", scan.long_name.orphans()}}, directory.ino);
    if (scan.absent_bytes != 0)
        report_unreadable(directory, {{"cause", to_string(Cause::BEYOND_EOF)},
                                      {"absent_bytes", scan.absent_bytes},
                                      {"image_size", place_.source.size_bytes()},
                                      {"entries_read", scan.entries}});
    // Sectors that could not be read are zeros in many an image, and a zero is an end mark.
    if (scan.behind_end != 0)
        report("entries_behind_end",
               fmt::format(
                   "{} entries stand behind the end mark of {}: if that is a sector that could not be read, files are missing",
                   scan.behind_end, directory.shown()),
               {{"path", directory.shown()}, {"count", scan.behind_end}, {"entries_read", scan.entries}}, directory.ino);
    if (scan.ended_in_zeros && ends_in_zeros_.size() < kMaxFindingsPerCode) ends_in_zeros_.emplace_back(directory, scan.entries);
    // Behind an end mark nothing is missing, wherever the chain leads.
    if (!scan.ended && places.stop) {
        (*places.stop)["entries_read"] = scan.entries;
        report_unreadable(directory, std::move(*places.stop));
    }
    return {};
}

Result<DirectoryPlaces> FatReader::locate(const Directory& directory) {
    DirectoryPlaces places;
    if (directory.depth == 0 && geometry_.fat_bits != 32) {
        places.ranges.push_back(
            {place_.offset_bytes + geometry_.root_offset, uint64_t{geometry_.root_entries} * kDirectoryEntryBytes});
        return places;
    }
    const uint64_t limit_bytes = kMaxEntriesPerDirectory * kDirectoryEntryBytes;
    const uint64_t max_clusters = std::max<uint64_t>(limit_bytes / geometry_.cluster_size, 1);
    TRY_ASSIGN(const Chain chain, choice_ ? choice_->weigh_directory(directory.first_cluster, max_clusters)
                                          : chains_.follow(directory.first_cluster, max_clusters));
    if (chain.stop == ChainStop::longer) {
        places.stop = json{{"cause", "limit"}, {"limit_entries", kMaxEntriesPerDirectory}};
    } else if (chain.stop != ChainStop::end) {
        places.stop = json::parse(chain.evidence(chain.clusters));
        (*places.stop)["cause"] = to_string(chain.cause());
    }

    for (const ClusterRun& run : chain.runs) {
        uint32_t taken = 0;
        while (taken < run.count && directory_clusters_.insert(run.first + taken)) ++taken;
        if (taken != 0) {
            places.runs.push_back({run.first, taken});
            places.ranges.push_back(chains_.place_of({run.first, taken}));
        }
        if (taken == run.count) continue;
        places.stop = json{
            {"cause", to_string(Cause::CROSS_LINK)}, {"first_cluster", chain.first_cluster}, {"at_cluster", run.first + taken}};
        break;
    }
    if (places.ranges.empty() && !chain.runs.empty()) {
        report("directory_loop",
               fmt::format("the directory {} begins in a cluster of another directory; it is not followed", directory.shown()),
               {{"path", directory.shown()}, {"first_cluster", chain.first_cluster}}, directory.ino);
        places.stop.reset();
    }
    return places;
}

Result<void> FatReader::scan_range(Scan& scan, ByteRange range) {
    const ByteRange present = intersect(range, {0, place_.source.size_bytes()});
    buffer_.resize(present.length);
    if (!present.empty()) TRY(place_.source.read(present.offset, buffer_));
    const uint64_t whole_entries = present.length / kDirectoryEntryBytes;
    for (uint64_t at = 0; at < whole_entries * kDirectoryEntryBytes; at += kDirectorySectorBytes) {
        TRY(cancel_->check());
        const ByteView sector = ByteView(buffer_).subspan(at, std::min(kDirectorySectorBytes, whole_entries * kDirectoryEntryBytes - at));
        const uint64_t entries = sector.size() / kDirectoryEntryBytes;
        const ByteRange place{range.offset + at, sector.size()};
        // Whatever the image has where the medium was not read: it is neither an entry nor an end.
        if (is_unread(place)) {
            scan.long_name.drop();
            if (!scan.ended) scan.entries += entries;
            continue;
        }
        const DirectorySector state = judge_directory_sector(sector, geometry_);
        if (state == DirectorySector::zeroed && scan.entries == 0 && scan.role == DirectoryRole::subdirectory) scan.starts_zeroed = true;
        if (state == DirectorySector::garbage && !scan.ended) {
            if (scan.garbage_sectors++ == 0) scan.garbage_at = place.offset;
            scan.long_name.drop();
            scan.entries += entries;
            continue;
        }
        for (uint64_t i = 0; i < entries; ++i) {
            ShortEntry entry;
            std::memcpy(&entry, &sector[i * kDirectoryEntryBytes], sizeof entry);
            const uint64_t offset = place.offset + i * kDirectoryEntryBytes;
            if (scan.ended) {
                take_behind_end(scan, entry, offset);
                continue;
            }
            TRY(take_entry(scan, entry, offset));
            ++scan.entries;
            if (scan.ended && state == DirectorySector::zeroed) scan.ended_in_zeros = true;
        }
    }
    if (!scan.ended && whole_entries * kDirectoryEntryBytes < range.length) {
        scan.absent_bytes += range.length - whole_entries * kDirectoryEntryBytes;
        scan.long_name.drop();
    }
    return {};
}

void FatReader::take_behind_end(Scan& scan, const ShortEntry& entry, uint64_t image_offset) {
    if (classify(entry, DirectoryRole::root, 0) == EntryKind::long_name) {
        LongEntry part;
        std::memcpy(&part, &entry, sizeof part);
        scan.long_name.add(part);
        return;
    }
    std::optional<std::string> long_name = scan.long_name.take(entry);
    if (!looks_alive(entry)) return;
    ++scan.behind_end;
    if (scan.ended_in_zeros && hidden_.size() < kMaxHiddenEntries) hidden_.push_back({scan.directory, entry, std::move(long_name), image_offset});
}

Result<void> FatReader::take_entry(Scan& scan, const ShortEntry& entry, uint64_t image_offset) {
    const EntryKind kind = classify(entry, scan.role, scan.entries);
    switch (kind) {
        case EntryKind::long_name: {
            LongEntry part;
            static_assert(sizeof part == sizeof entry);
            std::memcpy(&part, &entry, sizeof part);
            scan.long_name.add(part);
            return {};
        }
        case EntryKind::file:
        case EntryKind::directory: return deliver(scan, entry, kind, image_offset, scan.long_name.take(entry));
        case EntryKind::end: scan.ended = true; break;
        case EntryKind::deleted:
            if ((entry.attributes & 0x3F) != 0x0F) ++deleted_entries_;  // parts of long names are no files
            break;
        case EntryKind::label:
            if (label_.empty() && scan.role == DirectoryRole::root) label_ = label_utf8(entry.name, code_page_);
            break;
        case EntryKind::dot: break;
    }
    scan.long_name.drop();
    return {};
}

Result<void> FatReader::deliver(Scan& scan, const ShortEntry& entry, EntryKind kind, uint64_t image_offset, std::optional<std::string> long_name) {
    NameEntry name;
    name.ino = static_cast<int64_t>((image_offset - place_.offset_bytes) / kDirectoryEntryBytes);
    name.short_name = raw_short_name(entry);
    const auto is_control = [](char c) { return static_cast<uint8_t>(c) < 0x20; };
    const bool sound = long_name ? std::none_of(long_name->begin(), long_name->end(), is_control) : is_sound_short_name(entry);
    PathPart part = to_path_part(long_name ? *std::move(long_name) : short_name_utf8(entry, code_page_));
    name.path = scan.prefix + part.text;

    if (!sound || part.altered)
        report("name_invalid", fmt::format("no system would have written the name of /{}", to_terminal_text(name.path)),
               {{"path", "/" + to_terminal_text(name.path)},
                {"short_name_hex", to_hex(as_bytes(name.short_name))},
                {"entry_offset", image_offset}},
               name.ino);
    const auto [first, is_new] = scan.offsets_by_name.try_emplace(std::move(part.text), image_offset);
    if (!is_new)
        report(
            "duplicate_entry", fmt::format("duplicate name /{} in one directory", to_terminal_text(name.path)),
            {{"path", "/" + to_terminal_text(name.path)}, {"first_entry_offset", first->second}, {"entry_offset", image_offset}},
            name.ino);

    InodeEntry inode;
    inode.ino = name.ino;
    inode.fs_ino = fmt::to_string(name.ino);
    inode.attributes = entry.attributes;
    take_times(inode, entry, name.path);
    const uint32_t first_cluster = start_cluster(entry, geometry_);
    if (kind == EntryKind::directory) {
        inode.fs_type = 'd';
        Directory child{name.path, name.ino, first_cluster, scan.directory.depth + 1, scan.directory.depth == 0 ? 0 : scan.directory.first_cluster};
        if (child.depth <= kMaxDirectoryDepth)
            scan.children.push_back(std::move(child));
        else
            report_unreadable(child, {{"cause", "limit"}, {"limit_depth", kMaxDirectoryDepth}});
    } else {
        inode.access = ContentAccess::extents;
        inode.size = entry.size;
        TRY(lay_out_file(inode, first_cluster, name.path));
    }
    nothing_listed_ = false;
    TRY(sink_->add_inode(std::move(inode)));
    return sink_->add_name(std::move(name));
}

Result<void> FatReader::lay_out_file(InodeEntry& inode, uint32_t first_cluster, const std::string& path) {
    if (inode.size == 0 && first_cluster == 0) return {};
    if (choice_) return choice_->weigh_file(inode.ino, first_cluster, inode.size);
    TRY_ASSIGN(FileLayout layout, chains_.lay_out(first_cluster, inode.size));
    const Chain& chain = layout.chain;
    const auto is_taken = [&](ClusterRun run) { return file_clusters_.contains_any(run) || directory_clusters_.contains_any(run); };
    // What no entry leads to never casts doubt on what one does lead to.
    if (among_lost_ && inode.size != 0 && std::any_of(chain.runs.begin(), chain.runs.end(), is_taken)) {
        inode.faults.push_back({Cause::CROSS_LINK, 0, inode.size, chain.evidence(chain.clusters)});
        return {};
    }
    if (proof_ && inode.size > geometry_.cluster_size) proof_->add_chain(layout.faults.empty() && chain.stop == ChainStop::end);
    for (const ClusterRun& run : chain.runs) file_clusters_.insert(run);
    if (unproven_ && inode.size != 0) {
        inode.faults.push_back(*unproven_);
        inode.faults.back().length = inode.size;
        return {};
    }
    inode.extents = std::move(layout.extents);
    inode.faults = std::move(layout.faults);
    if (const auto dispute = disputed_.find(inode.ino); dispute != disputed_.end() && inode.faults.empty()) {
        const json evidence = {{"kind", "copies_disagree"}, {"first_cluster", first_cluster}};
        cut_at(dispute->second, inode.extents);
        inode.faults.push_back({Cause::FAT_CHAIN_INVALID, dispute->second, inode.size - dispute->second, evidence.dump()});
    }
    if (!inode.faults.empty() || chain.stop == ChainStop::end) return {};

    json evidence = json::parse(chain.evidence(chain.clusters));
    evidence["path"] = "/" + to_terminal_text(path);
    evidence["size"] = inode.size;
    if (chain.stop == ChainStop::longer)
        report("fat_chain_long", fmt::format("the chain of /{} goes on behind its last byte", to_terminal_text(path)), evidence,
               inode.ino);
    else if (inode.size != 0)
        report("fat_chain_unterminated",
               fmt::format("the last cluster of /{} is not marked as the last: its entry says {}", to_terminal_text(path),
                           to_string(chain.stop)),
               evidence, inode.ino);
    return {};
}

void FatReader::take_times(InodeEntry& inode, const ShortEntry& entry, const std::string& path) {
    json implausible = json::object();
    const auto time_of = [&](const char* which, uint16_t date, uint16_t time) -> std::optional<int64_t> {
        if (date == 0) return std::nullopt;  // not set: nothing wrong with that
        const std::optional<int64_t> local = fat_local_seconds(date, time);
        if (!local || *local > latest_plausible_)
            implausible[which] = {{"date", fmt::format("{:#06x}", date)}, {"time", fmt::format("{:#06x}", time)}, {"reads", fmt::format("{:04}-{:02}-{:02}", 1980 + (date >> 9), date >> 5 & 15, date & 31)}};
        if (!local) return std::nullopt;
        return zone_.to_utc(*local);
    };
    inode.mtime = time_of("written", entry.write_date, entry.write_time);
    inode.atime = time_of("read", entry.access_date, 0);
    inode.crtime = time_of("created", entry.creation_date, entry.creation_time);
    if (inode.crtime && entry.creation_10ms < 200) *inode.crtime += entry.creation_10ms / 100;
    if (implausible.empty()) return;
    ++implausible_dates_;
    const std::string first = implausible.front()["reads"];
    implausible["path"] = "/" + to_terminal_text(path);
    report("implausible_date", fmt::format("a date of /{} cannot be: {}", to_terminal_text(path), first), implausible, inode.ino);
}

void FatReader::report(std::string code, std::string message, const json& evidence, std::optional<int64_t> ino) {
    if (++findings_by_code_[code] > kMaxFindingsPerCode) return;
    sink_->add({std::move(code), std::move(message), evidence.dump(), place_.volume, ino});
}

void FatReader::report_unreadable(const Directory& directory, json evidence) {
    evidence["path"] = directory.shown();
    report("directory_unreadable",
           fmt::format("{} could not be read to its end ({}): files may be missing here", directory.shown(),
                       evidence["cause"].get<std::string>()),
           evidence, directory.ino);
}

Result<size_t> FatReader::read_content(const std::string& fs_ino, const std::string&, uint64_t, ByteSpan) {
    return make_error(ErrorCode::invalid_argument, "the content of FAT file " + fs_ino + " is read from its extents");
}

std::string FatReader::detail() const {
    uint64_t left_out = 0;
    for (const auto& [code, count] : findings_by_code_) left_out += count > kMaxFindingsPerCode ? count - kMaxFindingsPerCode : 0;
    const auto text = [](std::string_view bytes) { return to_terminal_text(bytes); };
    const json active_fat = geometry_.active_fat ? json(*geometry_.active_fat) : json();
    return json{{"codepage", options_.fat_codepage},
                {"timezone", options_.fat_timezone},
                {"fat_bits", geometry_.fat_bits},
                {"sector_size", geometry_.sector_size},
                {"cluster_size", geometry_.cluster_size},
                {"clusters", geometry_.cluster_count},
                {"media", geometry_.media},
                {"oem_name", text(geometry_.oem_name)},
                {"type_text", text(geometry_.type_text)},
                {"label", text(label_)},
                {"boot_label", geometry_.boot_label.empty() ? "" : text(label_utf8(as_bytes(geometry_.boot_label), code_page_))},
                {"active_fat", active_fat},
                {"fat_sectors_differ", table_.differing_sectors()},
                {"fat_sectors_of_second_copy", sectors_of_second_copy_},
                {"deleted_entries", deleted_entries_},
                {"implausible_dates", implausible_dates_},
                {"lost_clusters", lost_clusters_},
                {"lost_chains", lost_chains_},
                {"fat_sectors_garbage", chains_.trust().bad_sectors()},
                {"findings_left_out", left_out},
                {"oddities", geometry_.oddities}}
        .dump();
}

Result<const CodePage*> code_page_of(const ReaderOptions& options) {
    const CodePage* code_page = CodePage::find(options.fat_codepage);
    if (code_page != nullptr) return code_page;
    return make_error(ErrorCode::invalid_argument, "unknown code page \"" + options.fat_codepage + "\"", "known are " + CodePage::known_names());
}

Result<TimeZone> time_zone_of(const ReaderOptions& options) {
    return options.fat_zone_file ? TimeZone::parse(options.fat_timezone, options.fat_zone_file.get()) : TimeZone::load(options.fat_timezone);
}

}  // namespace

Result<void> check_fat_options(const ReaderOptions& options) {
    TRY(code_page_of(options));
    TRY(time_zone_of(options));
    return {};
}

Result<std::unique_ptr<FsReader>> open_fat(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings) {
    TRY_ASSIGN(const CodePage* code_page, code_page_of(options));
    TRY_ASSIGN(TimeZone zone, time_zone_of(options));

    std::vector<uint8_t> sector(kBootSectorBytes);
    const auto sector_end = checked_add(volume.offset_bytes, sector.size());
    std::optional<FatGeometry> geometry;
    if (sector_end && *sector_end <= source.size_bytes()) {
        TRY(source.read(volume.offset_bytes, sector));
        geometry = parse_boot_sector(sector, volume.size_bytes);
    }
    if (!geometry || !checked_add(volume.offset_bytes, std::max(geometry->total_bytes, geometry->data_offset)))
        return make_error(ErrorCode::unsupported, fmt::format("no boot sector of a FAT volume at byte {}", volume.offset_bytes));

    const FatPlace place{source, volume.offset_bytes, volume.number, options.unread};
    TRY_ASSIGN(AllocationTable table, AllocationTable::load(place, *geometry, findings));
    return std::unique_ptr<FsReader>(
        std::make_unique<FatReader>(place, *std::move(geometry), std::move(table), std::move(zone), *code_page, options));
}

}  // namespace ntt
