#include "fs/hfs/hfs_reader.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "fs/fat/names.h"
#include "fs/hfs/btree.h"
#include "fs/listing/content_map.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/path_names.h"
#include "fs/listing/tree_walk.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr uint64_t kSector = 512;
constexpr uint64_t kHeaderAt = 1024;
constexpr uint32_t kRootParent = 1, kRoot = 2, kCatalogueFile = 4;
constexpr uint8_t kDataFork = 0, kResourceFork = 0xFF;
constexpr size_t kMaxCatalogueRecords = 4'000'000;  // more than fit into the largest catalogue in use
constexpr int64_t kFirstStreamIno = int64_t{1} << 62;
constexpr int64_t kFirstDoubtfulIno = 3 * (int64_t{1} << 61);

constexpr CodePage::UpperHalf kMacRomanHalf = {
    u'\u00C4', u'\u00C5', u'\u00C7', u'\u00C9', u'\u00D1', u'\u00D6', u'\u00DC', u'\u00E1', u'\u00E0', u'\u00E2', u'\u00E4', u'\u00E3', u'\u00E5',
    u'\u00E7', u'\u00E9', u'\u00E8', u'\u00EA', u'\u00EB', u'\u00ED', u'\u00EC', u'\u00EE', u'\u00EF', u'\u00F1', u'\u00F3', u'\u00F2', u'\u00F4',
    u'\u00F6', u'\u00F5', u'\u00FA', u'\u00F9', u'\u00FB', u'\u00FC', u'\u2020', u'\u00B0', u'\u00A2', u'\u00A3', u'\u00A7', u'\u2022', u'\u00B6',
    u'\u00DF', u'\u00AE', u'\u00A9', u'\u2122', u'\u00B4', u'\u00A8', u'\u2260', u'\u00C6', u'\u00D8', u'\u221E', u'\u00B1', u'\u2264', u'\u2265',
    u'\u00A5', u'\u00B5', u'\u2202', u'\u2211', u'\u220F', u'\u03C0', u'\u222B', u'\u00AA', u'\u00BA', u'\u03A9', u'\u00E6', u'\u00F8', u'\u00BF',
    u'\u00A1', u'\u00AC', u'\u221A', u'\u0192', u'\u2248', u'\u2206', u'\u00AB', u'\u00BB', u'\u2026', u'\u00A0', u'\u00C0', u'\u00C3', u'\u00D5',
    u'\u0152', u'\u0153', u'\u2013', u'\u2014', u'\u201C', u'\u201D', u'\u2018', u'\u2019', u'\u00F7', u'\u25CA', u'\u00FF', u'\u0178', u'\u2044',
    u'\u20AC', u'\u2039', u'\u203A', u'\uFB01', u'\uFB02', u'\u2021', u'\u00B7', u'\u201A', u'\u201E', u'\u2030', u'\u00C2', u'\u00CA', u'\u00C1',
    u'\u00CB', u'\u00C8', u'\u00CD', u'\u00CE', u'\u00CF', u'\u00CC', u'\u00D3', u'\u00D4', u'\uF8FF', u'\u00D2', u'\u00DA', u'\u00DB', u'\u00D9',
    u'\u0131', u'\u02C6', u'\u02DC', u'\u00AF', u'\u02D8', u'\u02D9', u'\u02DA', u'\u00B8', u'\u02DD', u'\u02DB', u'\u02C7'};
// Source: Unicode Consortium, VENDORS/APPLE/ROMAN.TXT.
constexpr CodePage kMacRoman("macroman", kMacRomanHalf);

// Seconds since 1904.
std::optional<int64_t> hfs_time(uint32_t value) {
    constexpr int64_t k1970 = 2'082'844'800;
    if (value == 0) return {};
    return int64_t{value} - k1970;
}

struct BlockRun {
    uint32_t start = 0, count = 0;
};
using Runs = std::vector<BlockRun>;

void append_runs(const ProbeBytes& bytes, uint64_t at, Runs& out) {
    for (uint64_t i = 0; i < 3; ++i)
        if (const uint16_t count = bytes.be16(at + 4 * i + 2); count != 0) out.push_back({bytes.be16(at + 4 * i), count});
}

struct Fork {
    uint32_t bytes = 0, allocated_bytes = 0;
    Runs runs;  // those in the catalogue, then those of the overflow file
};

struct CatalogueEntry {
    bool folder = false;
    uint32_t id = 0, parent = 0;
    std::string name;
    uint64_t image_offset = 0;  // of the record
    uint32_t created = 0, modified = 0;
    uint32_t names = 0;  // that a folder says it holds
    Fork data, resources;
};

class HfsReader final : public FsReader {
public:
    HfsReader(const ByteSource& source, const Volume& volume, const ReaderOptions& options)
        : volume_(volume),
          unread_(options.unread),
          window_(source, {volume.offset_bytes, source.size_bytes() - volume.offset_bytes}),
          report_(volume.number) {}

    Result<void> open(FindingSink& findings);
    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override {
        return make_error(ErrorCode::invalid_argument, "every content of this filesystem lies in extents");
    }
    std::string detail() const override {
        json out = {{"block_size", block_bytes_}, {"clean", clean_}};
        report_.add_counts_to(out);
        return out.dump();
    }

private:
    struct OverflowKey {
        uint32_t id;
        uint8_t fork;
        uint32_t first_block;  // of the fork: how many stand before
        auto operator<=>(const OverflowKey&) const = default;
    };

    bool take_header(uint64_t at);
    Result<void> load_overflow(const CancelToken& cancel, EntrySink& sink);
    Result<void> load_catalogue(const CancelToken& cancel, EntrySink& sink);
    void take_entry(const HfsRecord& record, EntrySink& sink);
    Fork read_fork(const HfsRecord& record, uint32_t id, uint8_t fork, uint64_t lengths, uint64_t runs) const;
    void add_overflow(Fork& fork, uint32_t id, uint8_t kind) const;
    std::vector<ByteRange> places_of(const Runs& runs) const;
    Fork catalogue() const;  // the catalogue's own
    void count_claims();
    void load_bitmap();
    void name_lost_folders(EntrySink& sink);

    Result<void> list_folder(const CatalogueEntry& folder, const std::string& path, EntrySink& sink);
    Result<void> add_file(const CatalogueEntry& file, const std::string& path, EntrySink& sink);
    InodeEntry describe(const CatalogueEntry& entry) const;
    void lay_out(const Fork& fork, InodeEntry& out) const;
    void report_node(const char* tree, const HfsNodeDamage& damage, EntrySink& sink);
    uint64_t place(uint32_t block) const { return volume_.offset_bytes + first_block_at_ + uint64_t{block} * block_bytes_; }

    Volume volume_;
    UnreadRanges unread_;
    ProbeWindow window_;
    ListingReport report_;
    ProbeBytes header_;
    uint64_t block_bytes_ = 0, first_block_at_ = 0;
    uint32_t blocks_ = 0;
    bool clean_ = false;

    std::map<OverflowKey, Runs> overflow_;
    bool overflow_lost_ = false;  // some of it
    std::vector<CatalogueEntry> entries_;
    std::unordered_map<uint32_t, size_t> folders_;                // by ID
    std::unordered_map<uint32_t, std::vector<size_t>> children_;  // of a folder's ID, in the order of the catalogue
    std::vector<uint8_t> claims_;                                 // of each block: how many forks claim it, at most 2
    std::vector<uint8_t> free_;                                   // of each block: whether the bitmap says it is free
    std::unordered_set<uint32_t> taken_ids_;
    struct Pending {
        size_t entry;
        std::string path;
    };
    std::vector<Pending> pending_;
};

bool HfsReader::take_header(uint64_t at) {
    if (unread_.in({volume_.offset_bytes + at, kSector})) return false;
    const ProbeBytes header = window_.read(at, kSector);
    const uint32_t block_bytes = header.be32(20);
    if (!header.has(0, "BD") || block_bytes == 0 || block_bytes % kSector != 0 || header.be16(18) == 0) return false;
    header_ = header;
    block_bytes_ = block_bytes;
    blocks_ = header.be16(18);
    first_block_at_ = uint64_t{header.be16(28)} * kSector;
    clean_ = (header.be16(10) & 0x100) != 0;
    return true;
}

Result<void> HfsReader::open(FindingSink& findings) {
    if (!take_header(kHeaderAt)) {
        const uint64_t end = volume_.size_bytes / kSector * kSector;
        if (end < 2 * kHeaderAt || !take_header(end - kHeaderAt)) {
            if (window_.failure()) return *window_.failure();
            return make_error(ErrorCode::unsupported, "neither header of the HFS volume can be read");
        }
        findings.add({"hfs_alternate_header", "the volume's header cannot be read; its copy at the end is taken, which can be older",
                      json{{"image_offset", volume_.offset_bytes + end - kHeaderAt}}.dump(), volume_.number, std::nullopt});
    }
    if (window_.failure()) return *window_.failure();
    return {};
}

std::vector<ByteRange> HfsReader::places_of(const Runs& runs) const {
    std::vector<ByteRange> out;
    for (const BlockRun& run : runs) out.push_back({place(run.start), uint64_t{run.count} * block_bytes_});
    return out;
}

void HfsReader::report_node(const char* tree, const HfsNodeDamage& damage, EntrySink& sink) {
    json evidence = {{"path", ""}, {"tree", tree}, {"node", damage.node}, {"reason", damage.reason}};
    if (damage.image_offset) evidence["image_offset"] = *damage.image_offset;
    if (damage.cause) evidence["cause"] = to_string(*damage.cause);
    report_.add("directory_unreadable", std::string("a part of the ") + tree + " is lost: files may be missing here", evidence, std::nullopt,
                sink);
}

Result<void> HfsReader::load_overflow(const CancelToken& cancel, EntrySink& sink) {
    Runs runs;
    append_runs(header_, 134, runs);
    const HfsTree tree(window_, volume_.offset_bytes, unread_, places_of(runs));
    TRY_ASSIGN(const bool there, tree.for_each_record(
                                     cancel,
                                     [&](const HfsRecord& record) {
                                         Runs more;
                                         append_runs(record.data, 0, more);
                                         overflow_[{record.key.be32(2), record.key.u8(1), record.key.be16(6)}] = std::move(more);
                                     },
                                     [&](const HfsNodeDamage& damage) {
                                         overflow_lost_ = true;
                                         report_node("extents overflow file", damage, sink);
                                     }));
    overflow_lost_ |= !there;
    return {};
}

void HfsReader::add_overflow(Fork& fork, uint32_t id, uint8_t kind) const {
    uint64_t blocks = 0;
    for (const BlockRun& run : fork.runs) blocks += run.count;
    while (blocks * block_bytes_ < fork.allocated_bytes && blocks < blocks_) {
        const auto more = overflow_.find({id, kind, static_cast<uint32_t>(blocks)});
        if (more == overflow_.end() || more->second.empty()) return;
        for (const BlockRun& run : more->second) {
            fork.runs.push_back(run);
            blocks += run.count;
        }
    }
}

Fork HfsReader::read_fork(const HfsRecord& record, uint32_t id, uint8_t kind, uint64_t lengths, uint64_t runs) const {
    Fork out;
    out.bytes = record.data.be32(lengths);
    out.allocated_bytes = record.data.be32(lengths + 4);
    append_runs(record.data, runs, out.runs);
    add_overflow(out, id, kind);
    return out;
}

// Catalogue records: 1 folder, 2 file, 3 and 4 their threads, which say the name of an ID.
void HfsReader::take_entry(const HfsRecord& record, EntrySink& sink) {
    constexpr uint8_t kFolder = 1, kFile = 2, kFolderThread = 3, kFileThread = 4;
    constexpr size_t kFolderBytes = 70, kFileBytes = 102;
    const uint8_t kind = record.data.u8(0);
    if (kind == kFolderThread || kind == kFileThread) return;
    const bool folder = kind == kFolder;
    const size_t name_bytes = record.key.u8(6);
    const bool whole = record.data.size() >= (folder ? kFolderBytes : kFileBytes) && name_bytes > 0 && name_bytes <= 31 &&
                       7 + name_bytes <= record.key.size();
    if (!whole || (!folder && kind != kFile)) {
        report_.add("inode_unreadable", "a record of the catalogue is damaged: a file or folder is lost", {{"image_offset", record.image_offset}},
                    std::nullopt, sink);
        return;
    }
    if (entries_.size() >= kMaxCatalogueRecords) return report_.count("records_left_out");
    CatalogueEntry entry;
    entry.folder = folder;
    entry.parent = record.key.be32(2);
    entry.name = kMacRoman.to_utf8(as_bytes(record.key.text(7, name_bytes)));
    entry.image_offset = record.image_offset;
    entry.id = record.data.be32(folder ? 6 : 20);
    entry.created = record.data.be32(folder ? 10 : 44);
    entry.modified = record.data.be32(folder ? 14 : 48);
    if (folder) {
        entry.names = record.data.be16(4);
    } else {
        entry.data = read_fork(record, entry.id, kDataFork, 26, 74);
        entry.resources = read_fork(record, entry.id, kResourceFork, 36, 86);
    }
    entries_.push_back(std::move(entry));
}

Result<void> HfsReader::load_catalogue(const CancelToken& cancel, EntrySink& sink) {
    const HfsTree tree(window_, volume_.offset_bytes, unread_, places_of(catalogue().runs));
    TRY(tree.for_each_record(cancel, [&](const HfsRecord& record) { take_entry(record, sink); },
                             [&](const HfsNodeDamage& damage) { report_node("catalogue", damage, sink); }));
    std::stable_sort(entries_.begin(), entries_.end(), [](const CatalogueEntry& a, const CatalogueEntry& b) {
        return a.parent != b.parent ? a.parent < b.parent : a.name < b.name;
    });
    for (size_t i = 0; i < entries_.size(); ++i) {
        const CatalogueEntry& entry = entries_[i];
        if (entry.folder && !folders_.emplace(entry.id, i).second)
            report_.add("directory_loop", "two folders have one number; the names in it stand in the first",
                        {{"name", entry.name}, {"id", entry.id}}, entry.id, sink);
        if (entry.parent != kRootParent) children_[entry.parent].push_back(i);
    }
    return {};
}

void HfsReader::load_bitmap() {
    free_.assign(blocks_, 0);
    const uint64_t at = uint64_t{header_.be16(14)} * kSector;
    for (uint64_t first = 0; first < blocks_; first += kSector * 8) {
        const uint64_t sector = at + first / 8;
        if (unread_.in({volume_.offset_bytes + sector, kSector})) continue;
        const ProbeBytes bits = window_.read(sector, kSector);
        for (uint64_t block = first; block < std::min<uint64_t>(blocks_, first + bits.size() * 8); ++block)
            free_[block] = (bits.u8((block - first) / 8) >> (7 - block % 8) & 1) == 0 ? 1 : 0;
    }
}

// Sums up where runs begin and end, so that a hostile catalogue costs no more than its own size.
void HfsReader::count_claims() {
    std::vector<int64_t> changes(uint64_t{blocks_} + 1, 0);
    const auto claim = [&](const Runs& runs) {
        for (const BlockRun& run : runs) {
            ++changes[std::min(run.start, blocks_)];
            --changes[std::min(run.start + run.count, blocks_)];
        }
    };
    Runs overflow;
    append_runs(header_, 134, overflow);
    claim(overflow);
    claim(catalogue().runs);
    for (const CatalogueEntry& entry : entries_) {
        claim(entry.data.runs);
        claim(entry.resources.runs);
    }
    claims_.assign(blocks_, 0);
    int64_t now = 0;
    for (uint32_t block = 0; block < blocks_; ++block) claims_[block] = static_cast<uint8_t>(std::min<int64_t>(now += changes[block], 2));
}

Fork HfsReader::catalogue() const {
    Fork out;
    out.allocated_bytes = header_.be32(146);
    append_runs(header_, 150, out.runs);
    add_overflow(out, kCatalogueFile, kDataFork);
    return out;
}

// A folder whose record is lost, while files in it are not.
void HfsReader::name_lost_folders(EntrySink& sink) {
    std::vector<uint32_t> lost;
    for (const auto& [id, unused] : children_)
        if (folders_.count(id) == 0) lost.push_back(id);
    std::sort(lost.begin(), lost.end());
    for (const uint32_t id : lost) {
        CatalogueEntry folder;
        folder.folder = true;
        folder.id = id;
        folder.parent = kRoot;
        folder.name = "$lost/ino-" + std::to_string(id);
        folder.names = static_cast<uint32_t>(children_[id].size());
        report_.add("folder_lost", "a folder's own record is lost; what is in it is listed below $lost", {{"path", folder.name}, {"id", id}},
                    std::nullopt, sink);
        folders_[id] = entries_.size();
        entries_.push_back(std::move(folder));
        if (id != kRoot) pending_.push_back({entries_.size() - 1, entries_.back().name});
    }
}

Result<void> HfsReader::list(EntrySink& sink, const CancelToken& cancel) {
    TRY(load_overflow(cancel, sink));
    TRY(load_catalogue(cancel, sink));
    load_bitmap();
    if (window_.failure()) return *window_.failure();
    count_claims();
    if (folders_.count(kRoot) == 0 && children_.count(kRoot) == 0)
        report_.add("directory_unreadable", "the root folder is lost: files are missing", {{"path", ""}}, std::nullopt, sink);
    name_lost_folders(sink);
    for (const Pending& lost : pending_) {
        InodeEntry folder = describe(entries_[lost.entry]);
        taken_ids_.insert(entries_[lost.entry].id);
        TRY(sink.add_inode(folder));
        TRY(sink.add_name({lost.path, "", folder.ino}));
    }
    if (const auto root = folders_.find(kRoot); root != folders_.end()) pending_.push_back({root->second, ""});
    taken_ids_.insert(kRoot);
    std::unordered_set<size_t> listed;
    TRY(walk_tree(pending_, cancel, [&](const Pending& folder) -> Result<void> {
        if (!listed.insert(folder.entry).second) return {};
        return list_folder(entries_[folder.entry], folder.path, sink);
    }));
    for (const auto& [id, entry] : folders_)
        if (listed.count(entry) == 0) {
            report_.add("directory_unreadable", "folders that stand in one another, and in no other: files are missing",
                        {{"path", ""}, {"id", id}, {"name", entries_[entry].name}}, std::nullopt, sink);
            break;
        }
    return {};
}

Result<void> HfsReader::list_folder(const CatalogueEntry& folder, const std::string& path, EntrySink& sink) {
    const auto found = children_.find(folder.id);
    const size_t count = found == children_.end() ? 0 : found->second.size();
    const std::optional<int64_t> ino = folder.id == kRoot ? std::nullopt : std::optional<int64_t>(folder.id);
    if (count < folder.names)
        report_.add("directory_unreadable", "the folder holds fewer names than it says: files are missing here",
                    {{"path", path}, {"says", folder.names}, {"found", count}}, ino, sink);
    if (count == 0) return {};
    for (const size_t child : found->second) {
        const CatalogueEntry& entry = entries_[child];
        std::string name = entry.name;
        std::replace(name.begin(), name.end(), '/', ':');
        name = as_path_part(name);
        std::string here = path.empty() ? name : path + '/' + name;
        if (!entry.folder) {
            TRY(add_file(entry, here, sink));
            continue;
        }
        if (!taken_ids_.insert(entry.id).second) {
            report_.add("directory_loop", "a folder stands in two places; it is listed where it was seen first", {{"path", here}, {"id", entry.id}},
                        entry.id, sink);
            continue;
        }
        InodeEntry inode = describe(entry);
        const int64_t number = inode.ino;
        TRY(sink.add_inode(std::move(inode)));
        TRY(sink.add_name({here, "", number}));
        if (here.size() > kMaxPathBytes)
            report_.add("path_too_long", "files may be missing here: the folders are nested too deeply", {{"path_bytes", here.size()}}, number,
                        sink);
        else
            pending_.push_back({child, std::move(here)});
    }
    return {};
}

InodeEntry HfsReader::describe(const CatalogueEntry& entry) const {
    InodeEntry out;
    out.ino = entry.id;
    out.fs_ino = std::to_string(entry.id);
    out.fs_type = entry.folder ? 'd' : 'f';
    out.mtime = hfs_time(entry.modified);
    out.crtime = hfs_time(entry.created);
    return out;
}

Result<void> HfsReader::add_file(const CatalogueEntry& file, const std::string& path, EntrySink& sink) {
    const bool taken = !taken_ids_.insert(file.id).second;
    InodeEntry inode = describe(file);
    if (taken) inode.ino = kFirstDoubtfulIno + static_cast<int64_t>(2 * file.image_offset);
    const auto add = [&](const Fork& fork, InodeEntry out, std::string name) -> Result<void> {
        if (taken && fork.bytes == 0) return {};  // no byte to put the doubt on
        lay_out(fork, out);
        if (taken && out.size > 0)
            out.faults = {{Cause::FS_CORRUPT, 0, out.size, R"({"reason":"another file or folder has the same number"})"}};
        const int64_t number = out.ino;
        TRY(sink.add_inode(std::move(out)));
        return sink.add_name({std::move(name), "", number});
    };
    if (taken && file.data.bytes == 0 && file.resources.bytes == 0) {
        report_.add("inode_unreadable", "a file is lost: its number is another's", {{"path", path}, {"id", file.id}}, file.id, sink);
        return {};
    }
    TRY(add(file.data, inode, path));
    if (file.resources.bytes == 0) return {};
    inode.ino = taken ? inode.ino + 1 : kFirstStreamIno + file.id;
    inode.stream = "rsrc";
    return add(file.resources, std::move(inode), path + ":rsrc");
}

void HfsReader::lay_out(const Fork& fork, InodeEntry& out) const {
    out.size = fork.bytes;
    out.access = ContentAccess::extents;
    ContentMap map(out.size, volume_.size_bytes);
    uint64_t at = 0, blocks = 0;
    for (const BlockRun& run : fork.runs) {
        for (uint64_t i = 0; i < run.count; ++i, at += block_bytes_, ++blocks) {
            const uint64_t block = uint64_t{run.start} + i;
            const bool inside = block < blocks_;
            const char* doubt = !inside              ? R"({"reason":"a block beyond the volume"})"
                                : free_[block] != 0  ? R"({"reason":"the volume's bitmap says that the block is free"})"
                                : claims_[block] > 1 ? R"({"reason":"two forks claim the block"})"
                                                     : nullptr;
            if (inside) map.add_data(at, place(static_cast<uint32_t>(block)), block_bytes_);
            if (doubt != nullptr)
                map.add_fault(at, block_bytes_, inside && free_[block] == 0 ? Cause::CROSS_LINK : Cause::FS_CORRUPT, doubt);
        }
    }
    if (fork.bytes > 0 && blocks * block_bytes_ != fork.allocated_bytes)
        map.add_fault(0, out.size, Cause::FS_CORRUPT,
                      json{{"reason", overflow_lost_ ? "its list of extents is lost in part" : "its extents do not add up to its length"},
                           {"blocks", blocks},
                           {"allocated_bytes", fork.allocated_bytes}}
                          .dump());
    map.finish(ContentMap::Gap::missing, out);
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_hfs(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings) {
    if (volume.offset_bytes >= source.size_bytes())
        return make_error(ErrorCode::unsupported, "the volume starts beyond the end of the image");
    auto reader = std::make_unique<HfsReader>(source, volume, options);
    TRY(reader->open(findings));
    return std::unique_ptr<FsReader>(std::move(reader));
}

}  // namespace ntt
