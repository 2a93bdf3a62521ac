#include "fs/fat/fat_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "fs/fat/chain.h"
#include "fs/fat/directory.h"
#include "fs/fat/timestamps.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr int64_t kYearSeconds = 366 * 86400;

// Whether an entry behind the end mark could be a file's that was lost from sight, rather than old garbage.
bool looks_alive(const ShortEntry& entry) {
    const EntryKind kind = classify(entry, DirectoryRole::root, 0);
    return (kind == EntryKind::file || kind == EntryKind::directory) && (entry.attributes & 0xC0) == 0 &&
           is_sound_short_name(entry) && fat_local_seconds(entry.write_date, entry.write_time).has_value();
}

// A directory that was found and not yet read.
struct Directory {
    std::string path;            // relative to the root, "" for the root itself
    std::optional<int64_t> ino;  // the root has none
    uint32_t first_cluster = 0;
    int depth = 0;

    std::string prefix() const { return path.empty() ? std::string() : path + '/'; }
    std::string shown() const { return "/" + to_terminal_text(path); }
};

// Where a directory's entries lie in the image, and why there are not more of them.
struct DirectoryPlaces {
    std::vector<ByteRange> ranges;
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
          latest_plausible_(Clock::system().wall_us() / 1'000'000 + kYearSeconds) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override;
    std::string detail() const override;

private:
    struct Scan;  // of one directory

    Result<void> look_for_lost_files();
    Result<void> list_directory(const Directory& directory, std::vector<Directory>& children);
    Result<DirectoryPlaces> locate(const Directory& directory);
    Result<void> scan_range(Scan& scan, ByteRange range);
    Result<void> take_entry(Scan& scan, const ShortEntry& entry, uint64_t image_offset);
    Result<void> deliver(Scan& scan, const ShortEntry& entry, EntryKind kind, uint64_t image_offset);
    Result<void> lay_out_file(InodeEntry& inode, uint32_t first_cluster, const std::string& path);
    void take_times(InodeEntry& inode, const ShortEntry& entry);
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
    int64_t latest_plausible_;
    EntrySink* sink_ = nullptr;  // during list()
    const CancelToken* cancel_ = nullptr;
    std::vector<uint8_t> buffer_;

    std::string label_;
    bool nothing_listed_ = true;
    uint64_t deleted_entries_ = 0, implausible_dates_ = 0;
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
    uint64_t behind_end = 0;    // entries there that look like those of files
};

Result<void> FatReader::list(EntrySink& sink, const CancelToken& cancel) {
    sink_ = &sink;
    cancel_ = &cancel;
    directory_clusters_ = ClusterSet(geometry_);
    nothing_listed_ = true;
    deleted_entries_ = implausible_dates_ = 0;
    findings_by_code_.clear();
    label_.clear();

    std::vector<Directory> pending, children;
    pending.push_back({"", {}, geometry_.root_cluster, 0});
    while (!pending.empty()) {
        const Directory directory = std::move(pending.back());
        pending.pop_back();
        children.clear();
        TRY(list_directory(directory, children));
        // The last is taken next: turned round, the walk goes in the order of the disk.
        std::move(children.rbegin(), children.rend(), std::back_inserter(pending));
    }
    const bool known_to_be_lost = findings_by_code_.contains("directory_unreadable");
    return nothing_listed_ && !known_to_be_lost ? look_for_lost_files() : Result<void>();
}

// An empty root over a table that is in use: the root is what was lost (zeros look like an empty directory).
Result<void> FatReader::look_for_lost_files() {
    if (geometry_.fat_bits == 32) return {};  // its root is a chain of its own, and the table may be a gigabyte
    uint64_t in_use = 0;
    for (uint32_t cluster = 2; cluster <= geometry_.last_cluster(); ++cluster) {
        TRY_ASSIGN(const FatLink link, table_.link(cluster));
        if (link.kind == LinkKind::next || link.kind == LinkKind::end) ++in_use;
    }
    if (in_use != 0 && deleted_entries_ == 0)
        report_unreadable({"", {}, geometry_.root_cluster, 0}, {{"cause", to_string(Cause::FS_CORRUPT)}, {"clusters_in_use", in_use}, {"entries_read", 0}});
    return {};
}

Result<void> FatReader::list_directory(const Directory& directory, std::vector<Directory>& children) {
    TRY_ASSIGN(DirectoryPlaces places, locate(directory));
    Scan scan(directory, children);
    for (const ByteRange& range : places.ranges) TRY(scan_range(scan, range));
    scan.long_name.drop();
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
    TRY_ASSIGN(const Chain chain, chains_.follow(directory.first_cluster, max_clusters));
    if (chain.stop == ChainStop::longer) {
        places.stop = json{{"cause", "limit"}, {"limit_entries", kMaxEntriesPerDirectory}};
    } else if (chain.stop != ChainStop::end) {
        places.stop = json::parse(chain.evidence(chain.clusters));
        (*places.stop)["cause"] = to_string(chain.cause());
    }

    for (const ClusterRun& run : chain.runs) {
        uint32_t taken = 0;
        while (taken < run.count && directory_clusters_.insert(run.first + taken)) ++taken;
        if (taken != 0) places.ranges.push_back(chains_.place_of({run.first, taken}));
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
    for (uint64_t i = 0; i < whole_entries; ++i) {
        ShortEntry entry;
        std::memcpy(&entry, &buffer_[i * kDirectoryEntryBytes], sizeof entry);
        if (scan.ended) {
            if (looks_alive(entry)) ++scan.behind_end;
            continue;
        }
        if (i % 1024 == 0) TRY(cancel_->check());
        TRY(take_entry(scan, entry, range.offset + i * kDirectoryEntryBytes));
        ++scan.entries;
    }
    if (!scan.ended && whole_entries * kDirectoryEntryBytes < range.length) {
        scan.absent_bytes += range.length - whole_entries * kDirectoryEntryBytes;
        scan.long_name.drop();
    }
    return {};
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
        case EntryKind::directory: return deliver(scan, entry, kind, image_offset);
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

Result<void> FatReader::deliver(Scan& scan, const ShortEntry& entry, EntryKind kind, uint64_t image_offset) {
    NameEntry name;
    name.ino = static_cast<int64_t>((image_offset - place_.offset_bytes) / kDirectoryEntryBytes);
    name.short_name = raw_short_name(entry);
    std::optional<std::string> long_name = scan.long_name.take(entry);
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
    take_times(inode, entry);
    // The upper half is meaningless on FAT12 and FAT16 (OS/2 and others keep something else there).
    uint32_t first_cluster = entry.cluster_low;
    if (geometry_.fat_bits == 32) first_cluster |= uint32_t{entry.cluster_high} << 16;
    if (kind == EntryKind::directory) {
        inode.fs_type = 'd';
        Directory child{name.path, name.ino, first_cluster, scan.directory.depth + 1};
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
    TRY_ASSIGN(FileLayout layout, chains_.lay_out(first_cluster, inode.size));
    inode.extents = std::move(layout.extents);
    inode.faults = std::move(layout.faults);
    const Chain& chain = layout.chain;
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

void FatReader::take_times(InodeEntry& inode, const ShortEntry& entry) {
    bool implausible = false;
    const auto time_of = [&](uint16_t date, uint16_t time) -> std::optional<int64_t> {
        if (date == 0) return std::nullopt;  // not set: nothing wrong with that
        const std::optional<int64_t> local = fat_local_seconds(date, time);
        implausible |= !local || *local > latest_plausible_;
        if (!local) return std::nullopt;
        return zone_.to_utc(*local);
    };
    inode.mtime = time_of(entry.write_date, entry.write_time);
    inode.atime = time_of(entry.access_date, 0);
    inode.crtime = time_of(entry.creation_date, entry.creation_time);
    if (inode.crtime && entry.creation_10ms < 200) *inode.crtime += entry.creation_10ms / 100;
    if (implausible) ++implausible_dates_;
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
                {"deleted_entries", deleted_entries_},
                {"implausible_dates", implausible_dates_},
                {"findings_left_out", left_out},
                {"oddities", geometry_.oddities}}
        .dump();
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_fat(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings) {
    const CodePage* code_page = CodePage::find(options.fat_codepage);
    if (code_page == nullptr)
        return make_error(ErrorCode::invalid_argument, "unknown code page \"" + options.fat_codepage + "\"",
                          "known are " + CodePage::known_names());
    TRY_ASSIGN(TimeZone zone, TimeZone::load(options.fat_timezone));

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
