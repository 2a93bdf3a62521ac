#include "fs/tsk/tsk_reader.h"

#include <fmt/format.h>
#include <tsk/libtsk.h>

#include <tsk/fs/tsk_ntfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fs/listing/blanked_source.h"
#include "fs/listing/content_map.h"
#include "fs/tsk/exfat_directory.h"
#include "fs/tsk/exfat_entry.h"
#include "fs/listing/inode_set.h"
#include "fs/tsk/iso9660_reader.h"
#include "fs/listing/listing_report.h"
#include "fs/tsk/ntfs_records.h"
#include "fs/listing/path_names.h"
#include "fs/listing/tree_walk.h"
#include "fs/tsk/tsk_attributes.h"
#include "image/tsk_image.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

using nlohmann::json;

struct CloseFs {
    void operator()(TSK_FS_INFO* fs) const { tsk_fs_close(fs); }
};
struct CloseDir {
    void operator()(TSK_FS_DIR* dir) const { tsk_fs_dir_close(dir); }
};
struct CloseFile {
    void operator()(TSK_FS_FILE* file) const { tsk_fs_file_close(file); }
};
using FsPtr = std::unique_ptr<TSK_FS_INFO, CloseFs>;
using DirPtr = std::unique_ptr<TSK_FS_DIR, CloseDir>;
using FilePtr = std::unique_ptr<TSK_FS_FILE, CloseFile>;

enum class Family : uint8_t { exfat, ntfs, hfsplus };

struct FamilyName {
    std::string_view name;
    Family family;
    TSK_FS_TYPE_ENUM tsk_type;
};
constexpr FamilyName kFamilies[] = {
    {"exfat", Family::exfat, TSK_FS_TYPE_EXFAT},
    {"ntfs", Family::ntfs, TSK_FS_TYPE_NTFS_DETECT},
    {"hfsplus", Family::hfsplus, TSK_FS_TYPE_HFS_DETECT},
};

constexpr uint64_t kFirstExfatIno = 3;        // libtsk numbers the entries of 32 bytes from the start of the cluster heap
constexpr uint64_t kFirstNtfsUserRecord = 16;  // $MFT, $MFTMirr ... $Extend and four reserved ones come before
constexpr int64_t kFirstStreamIno = int64_t{1} << 62;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

char type_letter(TSK_FS_META_TYPE_ENUM type) {
    switch (type) {
        case TSK_FS_META_TYPE_REG: return 'f';
        case TSK_FS_META_TYPE_DIR: return 'd';
        case TSK_FS_META_TYPE_LNK: return 'l';
        case TSK_FS_META_TYPE_BLK: return 'b';
        case TSK_FS_META_TYPE_CHR: return 'c';
        case TSK_FS_META_TYPE_FIFO: return 'p';
        case TSK_FS_META_TYPE_SOCK: return 's';
        default: return 'u';
    }
}

class TskReader final : public FsReader {
public:
    static Result<std::unique_ptr<FsReader>> open(const ByteSource& source, const Volume& volume, const ReaderOptions& options, FindingSink& findings);

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override;
    std::string detail() const override;

private:
    TskReader(const ByteSource& source, const Volume& volume, Family family, const ReaderOptions& options)
        : source_(source), volume_(volume), family_(family), unread_(options.unread), report_(volume.number) {}

    struct Folder {
        uint64_t ino;
        std::string path;
    };
    struct Stream {
        int64_t ino;
        std::string name;
    };

    // --- walking ---
    Result<void> walk(Folder top, EntrySink& sink, const CancelToken& cancel);
    Result<void> list_folder(const Folder& folder, EntrySink& sink, const CancelToken& cancel);
    Result<void> visit(const Folder& folder, std::string_view name, uint64_t ino, std::optional<uint32_t> sequence,
                       EntrySink& sink);
    Result<void> add(std::string path, uint64_t ino, const TSK_FS_META& meta, EntrySink& sink);
    Result<void> add_streams(uint64_t ino, const InodeEntry& file, EntrySink& sink);
    bool is_left_out(uint64_t ino);

    // --- NTFS ---
    struct RecordName {
        std::string name;
        uint64_t parent = 0;
        uint32_t parent_sequence = 0;
    };
    Result<void> open_records();
    Result<void> check_index(const Folder& folder, EntrySink& sink);
    Result<void> list_lost(EntrySink& sink, const CancelToken& cancel);
    Result<bool> give_lost(uint64_t ino, EntrySink& sink, const CancelToken& cancel);
    std::vector<RecordName> names_in_record(uint64_t ino);
    Result<bool> is_parent(const RecordName& name);  // whether that folder is what the name means
    Result<std::optional<std::string>> path_by_records(const RecordName& name, int depth);
    void distrust_lost_continuations(const NtfsRecord& record, const std::string& stream, InodeEntry& out);

    // --- exFAT ---
    struct SuspectEnd {  // of a folder, which a zeroed sector would look like
        Folder folder;
        uint64_t image_offset;
    };
    Result<ExfatDirectory> check_exfat_directory(const Folder& folder, const std::vector<ByteRange>& places, EntrySink& sink, const CancelToken& cancel);
    Result<void> check_exfat_allocation(EntrySink& sink, const CancelToken& cancel);
    void report_shared_with_folders(EntrySink& sink);
    uint64_t exfat_ino(uint64_t image_offset) const;  // libtsk's number of the entry there
    bool is_sound_exfat(uint64_t ino) const { return family_ != Family::exfat || ino == fs_->root_inum || sound_sets_.contains(ino); }

    // --- what was not read from the medium ---
    std::optional<UnreadRange> unread_under_exfat(uint64_t ino) const;
    void report_superblock(FindingSink& findings) const;
    std::vector<ByteRange> ranges_of_attributes(uint64_t ino);  // of all that is not resident

    // --- one inode ---
    const TSK_FS_META* load(uint64_t ino);  // nullptr: take_tsk_error() has the words
    InodeEntry describe(uint64_t ino, const TSK_FS_META& meta);
    std::optional<ExfatEntry> exfat_entry(uint64_t ino);
    void describe_content(const TSK_FS_META& meta, std::optional<uint64_t> written_bytes, InodeEntry& out);

    Result<void> host_failure();  // a read that this computer could not do is no damage of the image

    TskPlace place() const { return {volume_.offset_bytes, volume_.size_bytes, fs_->block_size}; }

    const ByteSource& source_;
    Volume volume_;
    Family family_;
    UnreadRanges unread_;
    std::unique_ptr<ByteSource> blanked_;  // what libtsk sees where something was not read
    std::unique_ptr<TskImage> image_;      // outlives fs_
    FsPtr fs_;
    FilePtr file_;  // the inode at hand; reused, as libtsk's own walk does
    ExfatHeap exfat_heap_;
    std::optional<NtfsRecords> records_;
    NtfsRecord record_;  // of the inode at hand

    // of the running list()
    InodeSet seen_, folders_;
    std::unordered_set<uint64_t> unreadable_;
    std::unordered_map<uint64_t, std::vector<Stream>> streams_;  // of files that have another name to come
    std::vector<Stream> new_streams_;                            // of the inode that was described last
    std::vector<Folder> pending_;
    std::unordered_map<uint64_t, std::optional<std::string>> paths_by_records_;
    uint64_t lost_files_ = 0;
    InodeSet sound_sets_;                            // exFAT: whose entries fit their checksum
    std::vector<ByteRange> file_places_, folder_places_, bitmap_places_;  // exFAT: of the image; the folders' with the filesystem's own
    std::vector<SuspectEnd> suspect_ends_;           // exFAT
    ListingReport report_;

    // of read_content()
    std::string open_content_;
    FilePtr content_file_;
    const TSK_FS_ATTR* content_attribute_ = nullptr;
};

// --- opening ---

Result<std::unique_ptr<FsReader>> TskReader::open(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                                  FindingSink& findings) {
    const auto known =
        std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const FamilyName& f) { return f.name == volume.fs_type; });
    if (known == std::end(kFamilies)) return make_error(ErrorCode::unsupported, "no reader for the filesystem " + volume.fs_type);
    std::unique_ptr<TskReader> reader(new TskReader(source, volume, known->family, options));
    if (volume.offset_bytes >= source.size_bytes())
        return make_error(ErrorCode::unsupported, "the volume starts beyond the end of the image");
    if (reader->unread_.any()) {
        constexpr uint64_t kHfsHeaderAt = 1024, kHeaderBytes = 512;
        const ByteRange header{volume.offset_bytes, known->family == Family::hfsplus ? kHfsHeaderAt + kHeaderBytes : kHeaderBytes};
        reader->blanked_ = std::make_unique<BlankedSource>(source, reader->unread_, header);
    }
    TRY_ASSIGN(reader->image_, TskImage::open(reader->blanked_ ? *reader->blanked_ : source));
    TskImage& image = *reader->image_;
    reader->fs_.reset(tsk_fs_open_img(image.get(), static_cast<TSK_OFF_T>(volume.offset_bytes), known->tsk_type));
    if (auto failure = image.take_read_error(); failure && !reader->fs_) return *failure;
    if (!reader->fs_)
        return make_error(ErrorCode::unsupported,
                          fmt::format("the {} filesystem cannot be opened: {}", volume.view, take_tsk_error()));
    // Any inode will do, to be used again for the others: in NTFS the table itself, because the root may be lost.
    reader->file_.reset(tsk_fs_file_open_meta(reader->fs_.get(), nullptr, known->family == Family::ntfs ? 0 : reader->fs_->root_inum));
    if (!reader->file_) {
        if (auto failure = image.take_read_error()) return *failure;
        return make_error(ErrorCode::unsupported, fmt::format("the {} filesystem has no first inode: {}", volume.view, take_tsk_error()));
    }

    if (known->family == Family::exfat) {
        const ProbeBytes boot = ProbeWindow(source, {volume.offset_bytes, 512}).head();
        const uint32_t sector_shift = boot.u8(108) & 15u, cluster_shift = boot.u8(109) & 31u;
        reader->exfat_heap_ = {volume.offset_bytes + (uint64_t{boot.le32(88)} << sector_shift), uint64_t{1} << (sector_shift + cluster_shift), boot.le32(92)};
    }
    if (known->family == Family::ntfs) TRY(reader->open_records());
    reader->report_superblock(findings);
    return std::unique_ptr<FsReader>(std::move(reader));
}

// --- what was not read from the medium ---

std::optional<UnreadRange> TskReader::unread_under_exfat(uint64_t ino) const {
    constexpr uint64_t kEntriesOfAFile = 3;  // file, stream extension, first name
    const auto in_heap = ino >= kFirstExfatIno ? checked_mul(ino - kFirstExfatIno, kExfatEntryBytes) : std::nullopt;
    const auto at = in_heap ? checked_add(*in_heap, exfat_heap_.image_offset) : std::nullopt;
    return at ? unread_.in({*at, kEntriesOfAFile * kExfatEntryBytes}) : std::nullopt;
}

// The place where a filesystem says what it is. It made sense, or we were not here; but the medium did not say it.
void TskReader::report_superblock(FindingSink& findings) const {
    constexpr uint64_t kBytes = 512, kHfsAt = 1024;
    const uint64_t at = volume_.offset_bytes + (family_ == Family::hfsplus ? kHfsAt : 0);
    if (at >= source_.size_bytes()) return;
    const auto lost = unread_.in({at, kBytes});
    if (!lost) return;
    findings.add({"superblock_on_missing_sectors",
                  "the filesystem's first sector was not read from the medium: what stands there in the image is taken as it is",
                  text_of({{"image_offset", at}, {"length", kBytes}, {"cause", to_string(lost->cause)}}), volume_.number, std::nullopt});
}

std::vector<ByteRange> TskReader::ranges_of_attributes(uint64_t ino) {
    std::vector<ByteRange> ranges;
    if (load(ino) == nullptr) return ranges;
    const int count = tsk_fs_file_attr_getsize(file_.get());
    for (int i = 0; i < count; ++i) {
        const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get_idx(file_.get(), i);
        if (attribute == nullptr || attribute->size <= 0 || !(attribute->flags & TSK_FS_ATTR_NONRES)) continue;
        InodeEntry content;
        content.size = static_cast<uint64_t>(attribute->size);
        map_attribute(*attribute, place(), std::nullopt, content);
        for (const Extent& extent : content.extents)
            if (extent.kind != ExtentKind::hole) ranges.push_back({extent.image_offset, extent.length});
    }
    take_tsk_error();
    return ranges;
}

// --- walking ---

Result<void> TskReader::list(EntrySink& sink, const CancelToken& cancel) {
    pending_.clear();
    paths_by_records_.clear();
    sound_sets_ = {};
    file_places_.clear();
    folder_places_.clear();
    bitmap_places_.clear();
    suspect_ends_.clear();
    lost_files_ = 0;
    const uint64_t root = fs_->root_inum;
    seen_.insert(root);
    folders_.insert(root);
    bool root_is_lost = false;
    if (records_) {
        TRY_ASSIGN(const NtfsRecord record, records_->read(root));
        root_is_lost = record.state != NtfsRecord::State::in_use;
        if (root_is_lost) {
            json evidence = {{"path", ""}, {"ino", root}, {"reason", record.reason.empty() ? "its record is not in use" : record.reason}};
            if (record.image_offset) evidence["image_offset"] = *record.image_offset;
            if (record.cause) evidence["cause"] = to_string(*record.cause);
            report_.add("directory_unreadable", "the root folder's record cannot be believed: files may be missing here", evidence, std::nullopt, sink);
        }
    }
    if (!root_is_lost) TRY(walk({root, ""}, sink, cancel));
    if (records_) TRY(list_lost(sink, cancel));
    if (family_ == Family::exfat) {
        report_shared_with_folders(sink);
        TRY(check_exfat_allocation(sink, cancel));
    }
    seen_ = {};
    folders_ = {};
    streams_.clear();
    unreadable_.clear();
    return {};
}

Result<void> TskReader::walk(Folder top, EntrySink& sink, const CancelToken& cancel) {
    pending_.push_back(std::move(top));
    return walk_tree(pending_, cancel, [&](const Folder& folder) { return list_folder(folder, sink, cancel); });
}

Result<void> TskReader::list_folder(const Folder& folder, EntrySink& sink, const CancelToken& cancel) {
    if (folder.path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply",
                    {{"path_bytes", folder.path.size()}}, std::nullopt, sink);
        return {};
    }
    if (records_) TRY(check_index(folder, sink));
    const DirPtr dir(tsk_fs_dir_open_meta(fs_.get(), folder.ino));
    TRY(host_failure());
    if (!dir) {
        report_.add("directory_unreadable", "files may be missing here",
                    {{"path", folder.path}, {"ino", folder.ino}, {"libtsk", take_tsk_error()}}, static_cast<int64_t>(folder.ino),
                    sink);
        return {};
    }
    std::vector<ByteRange> places;
    if (unread_.any() || family_ == Family::exfat) places = ranges_of_attributes(folder.ino);
    ExfatDirectory exfat;
    if (family_ == Family::exfat) {
        TRY_ASSIGN(exfat, check_exfat_directory(folder, places, sink, cancel));
    }
    if (unread_.any()) {
        const bool root = folder.ino == fs_->root_inum;
        sink.add_directory({folder.path, root ? std::nullopt : std::optional(static_cast<int64_t>(folder.ino)), std::move(places)});
    }
    for (size_t i = 0; i < dir->names_used; ++i) {
        const TSK_FS_NAME& entry = dir->names[i];
        if (!entry.name || TSK_FS_ISDOT(entry.name)) continue;
        if (!(entry.flags & TSK_FS_NAME_FLAG_ALLOC)) {
            report_.count("deleted_names");
            continue;
        }
        if (entry.type == TSK_FS_NAME_TYPE_VIRT || entry.type == TSK_FS_NAME_TYPE_VIRT_DIR) {
            report_.count("virtual_files");
            continue;
        }
        if (family_ == Family::exfat) {
            const auto in_place = exfat_entry(entry.meta_addr);
            if (in_place && !in_place->is_file) {
                report_.count("system_files");
                const std::vector<ByteRange> own = ranges_of_attributes(entry.meta_addr);
                folder_places_.insert(folder_places_.end(), own.begin(), own.end());
                if (in_place->is_bitmap) bitmap_places_ = own;
                continue;
            }
        }
        const bool sequenced = (fs_->flags & TSK_FS_INFO_FLAG_HAVE_SEQ) != 0;
        TRY(visit(folder, entry.name, entry.meta_addr, sequenced ? std::optional(entry.meta_seq) : std::nullopt, sink));
    }
    for (const ExfatSet& set : exfat.sets) {
        const uint64_t ino = exfat_ino(set.image_offset);
        if (seen_.contains(ino)) continue;
        report_.add("inode_unreadable", "a file or folder is lost: its entries cannot be believed, its name neither",
                    {{"path", folder.path}, {"ino", ino}, {"image_offset", set.image_offset}}, static_cast<int64_t>(ino), sink);
    }
    return {};
}

// --- exFAT ---

uint64_t TskReader::exfat_ino(uint64_t image_offset) const {
    return (image_offset - std::min(image_offset, exfat_heap_.image_offset)) / kExfatEntryBytes + kFirstExfatIno;
}

Result<ExfatDirectory> TskReader::check_exfat_directory(const Folder& folder, const std::vector<ByteRange>& places, EntrySink& sink, const CancelToken& cancel) {
    constexpr size_t kMaxSuspectEnds = 1000;
    TRY_ASSIGN(ExfatDirectory out, read_exfat_directory(source_, places, unread_, cancel));
    folder_places_.insert(folder_places_.end(), places.begin(), places.end());
    for (const ExfatSet& set : out.sets)
        if (set.fits) sound_sets_.insert(exfat_ino(set.image_offset));
    if (out.damage)
        report_.add("directory_unreadable", "files may be missing here: entries are lost",
                    {{"path", folder.path}, {"ino", folder.ino}, {"image_offset", out.damage->image_offset}, {"reason", out.damage->reason}}, static_cast<int64_t>(folder.ino), sink);
    else if (out.ends_with_sector_at && suspect_ends_.size() < kMaxSuspectEnds)
        suspect_ends_.push_back({folder, *out.ends_with_sector_at});
    return out;
}

// exFAT shares no clusters: a file that runs into a folder, or into the filesystem's own, is not right there.
void TskReader::report_shared_with_folders(EntrySink& sink) {
    constexpr size_t kMaxShared = 1000;
    std::sort(file_places_.begin(), file_places_.end());
    std::sort(folder_places_.begin(), folder_places_.end());
    json shared = json::array();
    size_t first = 0;  // of the files' places that may reach so far
    uint64_t reach = 0;
    for (const ByteRange& place : folder_places_) {
        for (; first < file_places_.size() && file_places_[first].offset < place.end(); ++first) reach = std::max(reach, file_places_[first].end());
        if (reach > place.offset && shared.size() < kMaxShared) shared.push_back({{"image_offset", place.offset}, {"length", std::min(reach, place.end()) - place.offset}});
    }
    if (!shared.empty()) report_.add("directory_cross_link", "files claim clusters that belong to directories", {{"ranges", shared}}, std::nullopt, sink);
}

// What is in use and nobody's: then a folder that ends where a sector begins may go on behind a zeroed one.
Result<void> TskReader::check_exfat_allocation(EntrySink& sink, const CancelToken& cancel) {
    std::vector<ByteRange> claimed = std::move(file_places_);
    claimed.insert(claimed.end(), folder_places_.begin(), folder_places_.end());
    TRY_ASSIGN(const ExfatLostClusters lost, lost_exfat_clusters(source_, exfat_heap_, bitmap_places_, std::move(claimed), unread_, cancel));
    if (lost.clusters == 0) return {};
    report_.count("lost_clusters", lost.clusters);
    json first = json::array();
    for (const ExfatLostClusters::Run& run : lost.first) first.push_back({{"first_cluster", run.first}, {"clusters", run.count}});
    report_.add("lost_clusters", fmt::format("{} clusters in {} runs are in use and belong to no file that is listed", lost.clusters, lost.runs),
                {{"clusters", lost.clusters}, {"runs", lost.runs}, {"first", first}, {"lengths", lost.lengths}, {"cluster_size", exfat_heap_.cluster_bytes}}, std::nullopt, sink);
    for (const SuspectEnd& end : suspect_ends_)
        report_.add("directory_unreadable", "files may be missing here: clusters are nobody's, and the folder ends where a zeroed sector may stand",
                    {{"path", end.folder.path}, {"ino", end.folder.ino}, {"image_offset", end.image_offset}, {"kind", "zeroed"}}, static_cast<int64_t>(end.folder.ino), sink);
    return {};
}

bool TskReader::is_left_out(uint64_t ino) {
    const bool of_the_system = family_ == Family::ntfs && ino < kFirstNtfsUserRecord;
    if (of_the_system) report_.count("system_files");
    return of_the_system;
}

Result<void> TskReader::visit(const Folder& folder, std::string_view name, uint64_t ino, std::optional<uint32_t> sequence,
                              EntrySink& sink) {
    if (is_left_out(ino)) return {};
    NameEntry entry;
    entry.path.reserve(folder.path.size() + 1 + name.size());
    entry.path = folder.path;
    if (!folder.path.empty()) entry.path += '/';
    if (is_path_part(name)) {
        entry.path += name;
    } else {
        entry.path += as_path_part(name);
        report_.add("name_invalid", "a name cannot stand in a path and was changed",
                    {{"path", entry.path}, {"name_hex", to_hex(as_bytes(name))}}, static_cast<int64_t>(ino), sink);
    }
    entry.ino = static_cast<int64_t>(ino);

    if (!seen_.insert(ino)) {
        if (unreadable_.count(ino) != 0) {
            report_.add("inode_unreadable", "a file is lost: its inode cannot be read", {{"path", entry.path}, {"ino", ino}},
                        static_cast<int64_t>(ino), sink);
            return {};
        }
        if (folders_.contains(ino)) {
            report_.add("directory_loop", "a folder stands in two places; it is listed where it was seen first",
                        {{"path", entry.path}, {"ino", ino}}, static_cast<int64_t>(ino), sink);
            if (ino == fs_->root_inum) return {};
        }
    } else {
        const auto lost = [&](json evidence) {
            evidence["path"] = entry.path;
            evidence["ino"] = ino;
            report_.add("inode_unreadable", "a file is lost: its inode cannot be believed", evidence, static_cast<int64_t>(ino), sink);
            unreadable_.insert(ino);
        };
        if (const auto unread = family_ == Family::exfat ? unread_under_exfat(ino) : std::nullopt) {
            lost({{"image_offset", unread->range.offset}, {"length", unread->range.length}, {"cause", to_string(unread->cause)}});
            return {};
        }
        if (records_) {
            TRY_ASSIGN(const NtfsRecord record, records_->read(ino));
            if (record.state != NtfsRecord::State::in_use || record.base != 0) {
                json evidence = {{"reason", !record.reason.empty() ? record.reason : record.base != 0 ? "it continues another record" : "it is not in use"}};
                if (record.image_offset) evidence["image_offset"] = *record.image_offset;
                if (record.cause) evidence["cause"] = to_string(*record.cause);
                lost(std::move(evidence));
                return {};
            }
        }
        const TSK_FS_META* meta = load(ino);
        TRY(host_failure());
        const bool stale = meta && sequence && meta->seq != *sequence;
        const bool in_use = meta && (meta->flags & TSK_FS_META_FLAG_ALLOC);
        const bool usable = in_use && !stale && ino < static_cast<uint64_t>(kFirstStreamIno);
        if (!usable) {
            const std::string words =
                meta ? stale ? "the inode belongs to another file by now" : "the inode is not in use" : take_tsk_error();
            lost({{"libtsk", words}});
            return {};
        }
        if (meta->type == TSK_FS_META_TYPE_VIRT || meta->type == TSK_FS_META_TYPE_VIRT_DIR) {
            report_.count("virtual_files");
            unreadable_.insert(ino);
            return {};
        }
        return add(std::move(entry.path), ino, *meta, sink);
    }
    if (const auto streams = streams_.find(ino); streams != streams_.end())
        for (const Stream& stream : streams->second) TRY(sink.add_name({entry.path + ":" + stream.name, "", stream.ino}));
    return sink.add_name(std::move(entry));
}

Result<void> TskReader::add(std::string path, uint64_t ino, const TSK_FS_META& meta, EntrySink& sink) {
    if (records_) {
        TRY_ASSIGN(record_, records_->read(ino));
    }
    new_streams_.clear();
    InodeEntry inode = describe(ino, meta);
    TRY(host_failure());
    if (family_ == Family::ntfs && inode.fs_type == 'f' && inode.access == ContentAccess::none) {
        report_.add("inode_unreadable", "a file is lost: its record has no data", {{"path", path}, {"ino", ino}}, static_cast<int64_t>(ino), sink);
        unreadable_.insert(ino);
        return {};
    }
    if (family_ == Family::exfat) {
        for (const Extent& extent : inode.extents)
            if (extent.kind == ExtentKind::data) file_places_.push_back({extent.image_offset, extent.length});
        if (!is_sound_exfat(ino) && inode.fs_type == 'f' && inode.size == 0) {  // no byte to put the doubt on
            report_.add("inode_unreadable", "a file is lost: its entries do not fit their checksum", {{"path", path}, {"ino", ino}, {"cause", to_string(Cause::CHECKSUM)}},
                        static_cast<int64_t>(ino), sink);
            unreadable_.insert(ino);
            return {};
        }
        if (!is_sound_exfat(ino) && inode.fs_type == 'd')
            report_.add("directory_checksum_failed", "the folder's entries do not fit their checksum: names may be wrong or missing here", {{"path", path}, {"ino", ino}},
                        static_cast<int64_t>(ino), sink);
    }
    if (inode.fs_type == 'd') {
        folders_.insert(ino);
        pending_.push_back({ino, path});
    }
    const bool more_names = inode.nlink > 1;
    TRY(sink.add_inode(inode));
    if (family_ == Family::ntfs) TRY(add_streams(ino, inode, sink));
    for (const Stream& stream : new_streams_) TRY(sink.add_name({path + ":" + stream.name, "", stream.ino}));
    if (more_names && !new_streams_.empty()) streams_.emplace(ino, std::move(new_streams_));
    return sink.add_name({std::move(path), "", static_cast<int64_t>(ino)});
}

// --- NTFS ---

Result<void> TskReader::open_records() {
    const auto& ntfs = reinterpret_cast<const NTFS_INFO&>(*fs_);  // libtsk's way to derive
    InodeEntry mft;
    if (load(0) != nullptr) {
        if (const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get(file_.get()); attribute != nullptr && attribute->size > 0) {
            mft.size = static_cast<uint64_t>(attribute->size);
            map_attribute(*attribute, place(), std::nullopt, mft);
        }
    }
    take_tsk_error();
    records_.emplace(source_, volume_.range(), std::move(mft.extents), ntfs.mft_rsize_b, fs_->block_size, unread_);
    return host_failure();
}

// The folder's index blocks that are in use: libtsk passes over one that is damaged.
Result<void> TskReader::check_index(const Folder& folder, EntrySink& sink) {
    const uint64_t block_bytes = reinterpret_cast<const NTFS_INFO&>(*fs_).idx_rsize_b;
    if (block_bytes < 512 || load(folder.ino) == nullptr) return host_failure();
    const TSK_FS_ATTR *allocation = nullptr, *bitmap = nullptr;
    const int count = tsk_fs_file_attr_getsize(file_.get());
    for (int i = 0; i < count; ++i) {
        const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get_idx(file_.get(), i);
        if (attribute == nullptr || attribute->name == nullptr || std::string_view(attribute->name) != "$I30") continue;
        if (attribute_type(*attribute) == TSK_FS_ATTR_TYPE_NTFS_IDXALLOC) allocation = attribute;
        if (attribute_type(*attribute) == TSK_FS_ATTR_TYPE_NTFS_BITMAP) bitmap = attribute;
    }
    if (allocation == nullptr || allocation->size <= 0) return host_failure();
    InodeEntry index;
    index.size = static_cast<uint64_t>(allocation->size);
    map_attribute(*allocation, place(), std::nullopt, index);
    const auto is_used = [&](uint64_t block) {
        uint8_t byte = 0;
        const bool read = bitmap != nullptr && tsk_fs_attr_read(bitmap, static_cast<TSK_OFF_T>(block / 8), reinterpret_cast<char*>(&byte), 1, TSK_FS_FILE_READ_FLAG_NONE) == 1;
        return !read || (byte >> (block % 8) & 1) != 0;
    };
    for (const Extent& extent : index.extents) {
        if (extent.kind != ExtentKind::data) continue;
        for (uint64_t at = (extent.file_offset + block_bytes - 1) / block_bytes * block_bytes; at + block_bytes <= extent.file_offset + extent.length; at += block_bytes) {
            if (!is_used(at / block_bytes)) continue;
            const uint64_t image_offset = extent.image_offset + (at - extent.file_offset);
            TRY_ASSIGN(const auto damage, records_->index_damage(image_offset, block_bytes));
            if (!damage) continue;
            json evidence = {{"path", folder.path}, {"ino", folder.ino}, {"structure", "index block"}, {"image_offset", image_offset}, {"length", block_bytes}, {"reason", damage->reason}};
            if (damage->cause) evidence["cause"] = to_string(*damage->cause);
            report_.add("directory_unreadable", "a block of the folder's index cannot be believed: files may be missing here", evidence, static_cast<int64_t>(folder.ino), sink);
        }
    }
    take_tsk_error();
    return host_failure();
}

std::vector<TskReader::RecordName> TskReader::names_in_record(uint64_t ino) {
    constexpr size_t kMaxNames = 1024;  // of one file
    std::vector<RecordName> out;
    const TSK_FS_META* meta = load(ino);
    if (meta == nullptr) return out;
    for (const TSK_FS_META_NAME_LIST* name = meta->name2; name != nullptr && out.size() < kMaxNames; name = name->next)
        out.push_back({name->name, name->par_inode, name->par_seq});
    return out;
}

Result<bool> TskReader::is_parent(const RecordName& name) {
    TRY_ASSIGN(const NtfsRecord record, records_->read(name.parent));
    return record.state == NtfsRecord::State::in_use && record.directory && record.base == 0 && record.sequence == name.parent_sequence;
}

// nullopt below a folder of the filesystem itself. Empty, or ending in '/'.
Result<std::optional<std::string>> TskReader::path_by_records(const RecordName& name, int depth) {
    constexpr int kMaxDepth = 1000;
    if (name.parent == fs_->root_inum) return std::optional(std::string());
    if (name.parent < kFirstNtfsUserRecord) return std::optional<std::string>();
    if (const auto known = paths_by_records_.find(name.parent); known != paths_by_records_.end()) return known->second;
    std::optional<std::string> path = fmt::format("$lost/ino-{}/", name.parent);
    TRY_ASSIGN(const bool there, is_parent(name));
    if (there && depth < kMaxDepth) {
        const std::vector<RecordName> names = names_in_record(name.parent);
        if (!names.empty()) {
            TRY_ASSIGN(path, path_by_records(names.front(), depth + 1));
            if (path) *path += (is_path_part(names.front().name) ? names.front().name : as_path_part(names.front().name)) + '/';
            if (path && path->size() > kMaxPathBytes) path = fmt::format("$lost/ino-{}/", name.parent);
        }
    }
    paths_by_records_[name.parent] = path;
    return path;
}

// Adds a file that no index named, below the folders that its own record names; false if it is none.
Result<bool> TskReader::give_lost(uint64_t ino, EntrySink& sink, const CancelToken& cancel) {
    const std::vector<RecordName> names = names_in_record(ino);
    std::vector<std::string> paths;
    for (const RecordName& name : names) {
        TRY_ASSIGN(const auto folder, path_by_records(name, 0));
        if (!folder) {
            report_.count("system_files");
            return false;
        }
        paths.push_back(*folder + (is_path_part(name.name) ? name.name : as_path_part(name.name)));
    }
    if (paths.empty()) paths.push_back(fmt::format("$lost/ino-{}", ino));
    const TSK_FS_META* meta = load(ino);
    TRY(host_failure());
    if (meta == nullptr || !(meta->flags & TSK_FS_META_FLAG_ALLOC)) return false;
    seen_.insert(ino);
    ++lost_files_;
    TRY(add(paths[0], ino, *meta, sink));
    for (size_t i = 1; i < paths.size() && unreadable_.count(ino) == 0; ++i) TRY(sink.add_name({paths[i], "", static_cast<int64_t>(ino)}));
    if (!pending_.empty()) {
        Folder folder = std::move(pending_.back());
        pending_.pop_back();
        TRY(walk(std::move(folder), sink, cancel));
    }
    return true;
}

// What no index named: a damaged index, or a folder that is lost. Each record knows its file's names and folders.
Result<void> TskReader::list_lost(EntrySink& sink, const CancelToken& cancel) {
    constexpr uint64_t kFirstFile = 24;  // those before are the filesystem's own, or reserved
    constexpr int kMaxDepth = 1000;
    std::vector<uint64_t> files, folders;
    for (uint64_t ino = kFirstFile; ino < records_->count(); ++ino) {
        if (ino % 1024 == 0) TRY(cancel.check());
        if (seen_.contains(ino)) continue;
        TRY_ASSIGN(const NtfsRecord record, records_->read(ino));
        if (record.state == NtfsRecord::State::in_use && record.base == 0) (record.directory ? folders : files).push_back(ino);
    }
    for (const uint64_t folder : folders) {
        while (!seen_.contains(folder)) {
            TRY(cancel.check());
            // The topmost that is lost comes first: what its index still names keeps its place.
            uint64_t top = folder;
            for (int depth = 0; depth < kMaxDepth; ++depth) {
                const std::vector<RecordName> names = names_in_record(top);
                if (names.empty() || names.front().parent < kFirstFile || seen_.contains(names.front().parent)) break;
                TRY_ASSIGN(const bool there, is_parent(names.front()));
                if (!there) break;
                top = names.front().parent;
            }
            TRY_ASSIGN(const bool given, give_lost(top, sink, cancel));
            if (!given) seen_.insert(top);
        }
    }
    for (const uint64_t file : files) {
        if (seen_.contains(file)) continue;
        TRY(give_lost(file, sink, cancel));
    }
    take_tsk_error();
    if (lost_files_ > 0) {
        report_.count("lost_files", lost_files_);
        report_.add("lost_files", fmt::format("no folder names {} files and folders that are in use: they are listed where their own records place them", lost_files_),
                    {{"count", lost_files_}}, std::nullopt, sink);
    }
    return {};
}

// Content whose places stand, in part, in records that cannot be believed.
void TskReader::distrust_lost_continuations(const NtfsRecord& record, const std::string& stream, InodeEntry& out) {
    const auto fault = [&](const json& evidence, std::optional<Cause> cause) {
        out.extents.clear();
        out.faults.clear();
        out.access = ContentAccess::unreadable;
        if (out.size > 0) out.faults.push_back({cause.value_or(Cause::FS_CORRUPT), 0, out.size, text_of(evidence)});
    };
    if (record.list_is_lost) return fault({{"reason", "the list of the file's records cannot be believed"}}, std::nullopt);
    for (const NtfsRecord::Continuation& next : record.data_elsewhere) {
        if (utf16_text(next.stream, Utf16Order::little) != stream) continue;
        const auto other = records_->read(next.record);
        if (!other.ok()) return;  // host_failure() has it
        // A number counts how often a record was used: with another one it went on to another file.
        const bool is_next = other->sequence == next.sequence && other->base == static_cast<uint64_t>(out.ino & 0xFFFFFFFFFFFF) && other->base_sequence == record.sequence;
        if (other->state == NtfsRecord::State::in_use && is_next) continue;
        const std::string why = !other->reason.empty() ? other->reason : !is_next ? "it belongs to another file by now" : "it is not in use";
        json evidence = {{"reason", "a record in which the file goes on cannot be believed"}, {"record", next.record}, {"why", why}};
        if (other->image_offset) evidence["image_offset"] = *other->image_offset;
        return fault(evidence, other->cause);
    }
}

// --- one inode ---

const TSK_FS_META* TskReader::load(uint64_t ino) {
    // libtsk forgets what an exFAT inode at hand has allocated when it takes another one (4.11.1).
    if (family_ == Family::exfat) {
        file_.reset(tsk_fs_file_open_meta(fs_.get(), nullptr, ino));
        return file_ ? file_->meta : nullptr;
    }
    if (!tsk_fs_file_open_meta(fs_.get(), file_.get(), ino)) return nullptr;
    return file_->meta;
}

InodeEntry TskReader::describe(uint64_t ino, const TSK_FS_META& meta) {
    InodeEntry out;
    out.ino = static_cast<int64_t>(ino);
    out.fs_ino = std::to_string(ino);
    out.fs_type = type_letter(meta.type);
    out.nlink = meta.nlink > 0 ? static_cast<uint64_t>(meta.nlink) : 0;
    out.size = meta.size > 0 ? static_cast<uint64_t>(meta.size) : 0;

    // libtsk gives 0 for a time that the filesystem does not have.
    const auto time = [](time_t seconds) { return seconds != 0 ? std::optional<int64_t>(seconds) : std::nullopt; };
    out.mtime = time(meta.mtime);
    out.atime = time(meta.atime);
    out.ctime = time(meta.ctime);
    out.crtime = time(meta.crtime);
    out.mtime_ns = meta.mtime_nano < 1000000000 ? static_cast<int>(meta.mtime_nano) : 0;
    if (meta.link && out.fs_type == 'l') out.target = meta.link;

    std::optional<ExfatEntry> entry;
    if (family_ == Family::exfat) entry = exfat_entry(ino);
    if (entry) {
        out.mtime = entry->modified;
        out.mtime_ns = entry->modified_ns;
        out.atime = entry->accessed;
        out.crtime = entry->created;
        out.attributes = entry->attributes;
    }
    if (out.fs_type == 'f' || out.fs_type == 'd') describe_content(meta, entry ? entry->valid_bytes : std::nullopt, out);
    if (out.fs_type == 'f' && out.size > 0 && !is_sound_exfat(ino))
        out.faults = {{Cause::CHECKSUM, 0, out.size, R"({"reason":"the file's entries do not fit their checksum"})"}};
    return out;
}

// The directory entry that libtsk numbers `ino`.
std::optional<ExfatEntry> TskReader::exfat_entry(uint64_t ino) {
    std::array<uint8_t, 2 * kExfatEntryBytes> bytes{};
    if (ino < kFirstExfatIno) return {};
    const auto in_heap = checked_mul(ino - kFirstExfatIno, kExfatEntryBytes);
    const auto at = in_heap ? checked_add(*in_heap, exfat_heap_.image_offset) : std::nullopt;
    if (!at) return {};
    // The second entry is elsewhere when the first one is the last of its cluster; then only the first is read.
    const bool together = *in_heap % fs_->block_size + bytes.size() <= fs_->block_size;
    const size_t length = together ? bytes.size() : kExfatEntryBytes;
    const auto end = checked_add(*at, length);
    if (!end || *end > source_.size_bytes() || !source_.read(*at, {bytes.data(), length}).ok()) return {};
    return read_exfat_entry(bytes);
}

void TskReader::describe_content(const TSK_FS_META& meta, std::optional<uint64_t> written_bytes, InodeEntry& out) {
    const bool regular = out.fs_type == 'f';
    if (family_ == Family::ntfs) {
        tsk_fs_file_attr_getsize(file_.get());  // loads the attributes
        out.attributes = ntfs_attribute_bits(meta);
        if (const auto reparse = reparse_point(meta)) {
            if (reparse->target) {
                out.fs_type = 'l';
                out.target = reparse->target;
                return;
            }
            if (regular && reparse->holds_content())
                return mark_unreadable(Cause::UNSUPPORTED_COMPRESSION,
                                       fmt::format(R"({{"reparse_tag":"{:#010x}"}})", reparse->tag), out);
        }
    }
    if (!regular) return;
    const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get(file_.get());
    if (!attribute) {
        const std::string words = take_tsk_error();
        if (out.size == 0 && family_ == Family::ntfs) return;  // even an empty file has one
        if (out.size == 0) {
            out.access = ContentAccess::extents;
            return;
        }
        return mark_unreadable(Cause::FS_CORRUPT, text_of({{"reason", "the content's place cannot be read"}, {"libtsk", words}}),
                               out);
    }
    if (attribute->size >= 0) out.size = static_cast<uint64_t>(attribute->size);
    map_attribute(*attribute, place(), written_bytes, out);
    if (records_) distrust_lost_continuations(record_, "", out);
}

// Named $DATA attributes of the inode at hand; `file` is the inode they belong to.
Result<void> TskReader::add_streams(uint64_t ino, const InodeEntry& file, EntrySink& sink) {
    const int count = tsk_fs_file_attr_getsize(file_.get());
    const TSK_FS_ATTR* main = tsk_fs_file_attr_get(file_.get());
    take_tsk_error();  // a folder has no main attribute
    for (int i = 0; i < count; ++i) {
        const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get_idx(file_.get(), i);
        if (!attribute || attribute == main || attribute->size < 0) continue;
        const uint32_t type = attribute_type(*attribute);
        if (type != TSK_FS_ATTR_TYPE_NTFS_DATA || !attribute->name) continue;
        if (ino >= uint64_t{1} << 46) {  // no NTFS number is that large
            report_.count("streams_not_read");
            continue;
        }
        InodeEntry stream = file;
        stream.fs_type = 'f';
        stream.target.reset();
        stream.extents.clear();
        stream.faults.clear();
        stream.fs_ino = fmt::format("{}-{}-{}", ino, type, attribute->id);
        stream.stream = attribute->name;
        stream.size = static_cast<uint64_t>(attribute->size);
        stream.ino = static_cast<int64_t>(ino);  // whose continuations are meant
        map_attribute(*attribute, place(), std::nullopt, stream);
        if (records_) distrust_lost_continuations(record_, stream.stream, stream);
        stream.ino = kFirstStreamIno + static_cast<int64_t>(ino << 16 | attribute->id);
        new_streams_.push_back({stream.ino, stream.stream});
        report_.count("streams");
        TRY(sink.add_inode(std::move(stream)));
    }
    return host_failure();
}

// --- content ---

Result<size_t> TskReader::read_content(const std::string& fs_ino, const std::string& /*stream: fs_ino says it*/, uint64_t offset,
                                       ByteSpan out) {
    if (open_content_ != fs_ino || !content_attribute_) {
        open_content_.clear();
        content_attribute_ = nullptr;
        uint64_t numbers[3] = {};
        int count = 0;
        for (const char *at = fs_ino.data(), *end = at + fs_ino.size(); at < end && count < 3; ++count) {
            const auto parsed = std::from_chars(at, end, numbers[count]);
            if (parsed.ec != std::errc() || (parsed.ptr != end && *parsed.ptr != '-'))
                return make_error(ErrorCode::invalid_argument, "not an inode of this filesystem: " + fs_ino);
            at = parsed.ptr + 1;
        }
        content_file_.reset(tsk_fs_file_open_meta(fs_.get(), nullptr, numbers[0]));
        if (content_file_) {
            const auto of_streams = family_ == Family::hfsplus ? TSK_FS_ATTR_TYPE_HFS_RSRC : TSK_FS_ATTR_TYPE_NTFS_DATA;
            content_attribute_ =
                count == 3 ? tsk_fs_file_attr_get_type(content_file_.get(), of_streams, static_cast<uint16_t>(numbers[2]), 1)
                           : tsk_fs_file_attr_get(content_file_.get());
        }
        TRY(host_failure());
        if (!content_attribute_)
            return make_error(ErrorCode::io, fmt::format("inode {} cannot be read: {}", fs_ino, take_tsk_error()));
        open_content_ = fs_ino;
    }
    const auto size = content_attribute_->size > 0 ? static_cast<uint64_t>(content_attribute_->size) : 0;
    if (offset >= size || out.empty()) return size_t{0};
    const size_t length = static_cast<size_t>(std::min<uint64_t>(out.size(), size - offset));
    const ssize_t done = tsk_fs_attr_read(content_attribute_, static_cast<TSK_OFF_T>(offset), reinterpret_cast<char*>(out.data()),
                                          length, TSK_FS_FILE_READ_FLAG_NONE);
    TRY(host_failure());
    if (done < 0 || static_cast<size_t>(done) != length)
        return make_error(ErrorCode::io, fmt::format("inode {} cannot be read at {}: {}", fs_ino, offset, take_tsk_error()));
    return length;
}

Result<void> TskReader::host_failure() {
    if (auto failure = image_->take_read_error()) return *std::move(failure);
    return {};
}

std::string TskReader::detail() const {
    json out = {{"libtsk", tsk_version_get_str()}, {"block_size", fs_->block_size}};
    report_.add_counts_to(out);
    return text_of(out);
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_tsk(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings) {
    if (volume.fs_type == "iso9660") return open_iso9660(source, volume, options, findings);
    return TskReader::open(source, volume, options, findings);
}

}  // namespace ntt
