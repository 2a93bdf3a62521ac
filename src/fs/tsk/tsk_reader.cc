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

#include "fs/listing/content_map.h"
#include "fs/tsk/exfat_entry.h"
#include "fs/listing/inode_set.h"
#include "fs/tsk/iso9660_reader.h"
#include "fs/listing/listing_report.h"
#include "fs/tsk/metadata_places.h"
#include "fs/listing/path_names.h"
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

constexpr uint64_t kFirstHfsUserNode = 16;     // the catalogue, the extents overflow file and their like come before
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

int mode_type(char letter) {
    switch (letter) {
        case 'f': return 0100000;
        case 'd': return 0040000;
        case 'l': return 0120000;
        case 'b': return 0060000;
        case 'c': return 0020000;
        case 'p': return 0010000;
        case 's': return 0140000;
        default: return 0;
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
        : source_(source), volume_(volume), family_(family), places_(options.unread), report_(volume.number) {}

    struct Folder {
        uint64_t ino;
        std::string path;
    };
    struct Stream {
        int64_t ino;
        std::string name;
    };

    // --- walking ---
    Result<void> list_folder(const Folder& folder, EntrySink& sink);
    Result<void> visit(const Folder& folder, std::string_view name, uint64_t ino, std::optional<uint32_t> sequence,
                       EntrySink& sink);
    Result<void> add_streams(uint64_t ino, const InodeEntry& file, EntrySink& sink);
    bool is_left_out(uint64_t ino);

    // --- what was not read from the medium ---
    Result<void> find_metadata_places();
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
    MetadataPlaces places_;
    std::unique_ptr<TskImage> image_;  // outlives fs_
    FsPtr fs_;
    FilePtr file_;  // the inode at hand; reused, as libtsk's own walk does
    uint64_t exfat_heap_ = 0;  // where cluster 2 lies in the image

    // of the running list()
    InodeSet seen_, folders_;
    std::unordered_set<uint64_t> unreadable_;
    std::unordered_map<uint64_t, std::vector<Stream>> streams_;  // of files that have another name to come
    std::vector<Stream> new_streams_;                            // of the inode that was described last
    std::vector<Folder> pending_;
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
    TRY_ASSIGN(reader->image_, TskImage::open(source));
    TskImage& image = *reader->image_;
    reader->fs_.reset(tsk_fs_open_img(image.get(), static_cast<TSK_OFF_T>(volume.offset_bytes), known->tsk_type));
    if (auto failure = image.take_read_error(); failure && !reader->fs_) return *failure;
    if (!reader->fs_)
        return make_error(ErrorCode::unsupported,
                          fmt::format("the {} filesystem cannot be opened: {}", volume.view, take_tsk_error()));
    reader->file_.reset(tsk_fs_file_open_meta(reader->fs_.get(), nullptr, reader->fs_->root_inum));
    if (!reader->file_) {
        if (auto failure = image.take_read_error()) return *failure;
        return make_error(ErrorCode::unsupported, fmt::format("the root folder cannot be opened: {}", take_tsk_error()));
    }

    if (known->family == Family::exfat) {
        const ProbeBytes boot = ProbeWindow(source, {volume.offset_bytes, 512}).head();
        reader->exfat_heap_ = volume.offset_bytes + (uint64_t{boot.le32(88)} << (boot.u8(108) & 15));
    }
    TRY(reader->find_metadata_places());
    reader->report_superblock(findings);
    return std::unique_ptr<FsReader>(std::move(reader));
}

// --- what was not read from the medium ---

Result<void> TskReader::find_metadata_places() {
    if (!places_.has_unread()) return {};
    if (family_ == Family::exfat) places_.use_exfat(exfat_heap_);
    if (family_ == Family::ntfs && load(0) != nullptr) {
        if (const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get(file_.get()); attribute != nullptr && attribute->size > 0) {
            InodeEntry mft;
            mft.size = static_cast<uint64_t>(attribute->size);
            map_attribute(*attribute, place(), std::nullopt, mft);
            places_.use_mft(std::move(mft.extents), reinterpret_cast<const NTFS_INFO&>(*fs_).mft_rsize_b);  // libtsk's way to derive
        }
    }
    return host_failure();
}

// The place where a filesystem says what it is. It made sense, or we were not here; but the medium did not say it.
void TskReader::report_superblock(FindingSink& findings) const {
    constexpr uint64_t kBytes = 512, kHfsAt = 1024;
    const uint64_t at = volume_.offset_bytes + (family_ == Family::hfsplus ? kHfsAt : 0);
    if (at >= source_.size_bytes()) return;
    const auto lost = places_.unread_in({at, kBytes});
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
    pending_ = {{fs_->root_inum, ""}};
    seen_.insert(fs_->root_inum);
    folders_.insert(fs_->root_inum);
    if (const auto lost = places_.unread_under(fs_->root_inum))
        report_.add("directory_unreadable", "the root folder's inode lies on sectors that were not read: files may be missing here",
                    {{"path", ""}, {"image_offset", lost->range.offset}, {"length", lost->range.length}, {"cause", to_string(lost->cause)}},
                    std::nullopt, sink);
    while (!pending_.empty()) {
        TRY(cancel.check());
        const Folder folder = std::move(pending_.back());
        pending_.pop_back();
        const size_t before = pending_.size();
        TRY(list_folder(folder, sink));
        std::reverse(pending_.begin() + static_cast<std::ptrdiff_t>(before), pending_.end());  // in the order of their names
    }
    seen_ = {};
    folders_ = {};
    streams_.clear();
    unreadable_.clear();
    return {};
}

Result<void> TskReader::list_folder(const Folder& folder, EntrySink& sink) {
    if (folder.path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply",
                    {{"path_bytes", folder.path.size()}}, std::nullopt, sink);
        return {};
    }
    const DirPtr dir(tsk_fs_dir_open_meta(fs_.get(), folder.ino));
    TRY(host_failure());
    if (!dir) {
        report_.add("directory_unreadable", "files may be missing here",
                    {{"path", folder.path}, {"ino", folder.ino}, {"libtsk", take_tsk_error()}}, static_cast<int64_t>(folder.ino),
                    sink);
        return {};
    }
    if (places_.has_unread()) {
        // Of HFS+ all names of all folders stand in the catalogue file.
        constexpr uint64_t kHfsCatalogue = 4;
        const bool hfsplus = family_ == Family::hfsplus;
        const bool root = folder.ino == fs_->root_inum;
        DirectoryPlace names{folder.path, root ? std::nullopt : std::optional(static_cast<int64_t>(folder.ino)), {}};
        if (!hfsplus || root) names.ranges = ranges_of_attributes(hfsplus ? kHfsCatalogue : folder.ino);
        sink.add_directory(std::move(names));
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
                continue;
            }
        }
        const bool sequenced = (fs_->flags & TSK_FS_INFO_FLAG_HAVE_SEQ) != 0;
        TRY(visit(folder, entry.name, entry.meta_addr, sequenced ? std::optional(entry.meta_seq) : std::nullopt, sink));
    }
    return {};
}

bool TskReader::is_left_out(uint64_t ino) {
    const bool of_the_system = (family_ == Family::ntfs && ino < kFirstNtfsUserRecord) ||
                               (family_ == Family::hfsplus && ino < kFirstHfsUserNode && ino != fs_->root_inum);
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
        if (const auto lost = places_.unread_under(ino)) {
            report_.add("inode_unreadable", "a file is lost: its inode lies on sectors that were not read",
                        {{"path", entry.path}, {"ino", ino}, {"image_offset", lost->range.offset}, {"length", lost->range.length},
                         {"cause", to_string(lost->cause)}},
                        static_cast<int64_t>(ino), sink);
            unreadable_.insert(ino);
            return {};
        }
        const TSK_FS_META* meta = load(ino);
        TRY(host_failure());
        const bool stale = meta && sequence && meta->seq != *sequence;
        const bool in_use = meta && (meta->flags & TSK_FS_META_FLAG_ALLOC);
        const bool usable = in_use && !stale && ino < static_cast<uint64_t>(kFirstStreamIno);
        if (!usable) {
            const std::string words =
                meta ? stale ? "the inode belongs to another file by now" : "the inode is not in use" : take_tsk_error();
            report_.add("inode_unreadable", "a file is lost: its inode cannot be read",
                        {{"path", entry.path}, {"ino", ino}, {"libtsk", words}}, static_cast<int64_t>(ino), sink);
            unreadable_.insert(ino);
            return {};
        }
        if (meta->type == TSK_FS_META_TYPE_VIRT || meta->type == TSK_FS_META_TYPE_VIRT_DIR) {
            report_.count("virtual_files");
            unreadable_.insert(ino);
            return {};
        }
        new_streams_.clear();
        InodeEntry inode = describe(ino, *meta);
        TRY(host_failure());
        if (inode.fs_type == 'd') {
            folders_.insert(ino);
            pending_.push_back({ino, entry.path});
        }
        const bool more_names = inode.nlink > 1;
        if (family_ == Family::ntfs || family_ == Family::hfsplus) {
            TRY(sink.add_inode(inode));
            TRY(add_streams(ino, inode, sink));
        } else {
            TRY(sink.add_inode(std::move(inode)));
        }
        if (!new_streams_.empty()) {
            for (const Stream& stream : new_streams_) TRY(sink.add_name({entry.path + ":" + stream.name, "", stream.ino}));
            if (more_names) streams_.emplace(ino, std::move(new_streams_));
        }
        return sink.add_name(std::move(entry));
    }
    if (const auto streams = streams_.find(ino); streams != streams_.end())
        for (const Stream& stream : streams->second) TRY(sink.add_name({entry.path + ":" + stream.name, "", stream.ino}));
    return sink.add_name(std::move(entry));
}

// --- one inode ---

const TSK_FS_META* TskReader::load(uint64_t ino) {
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
    if (family_ == Family::hfsplus) {
        out.mode = mode_type(out.fs_type) | static_cast<int>(meta.mode);
        out.uid = meta.uid;
        out.gid = meta.gid;
    }
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
    return out;
}

// The directory entry that libtsk numbers `ino`: it counts entries from the start of the cluster heap, from 3 on.
std::optional<ExfatEntry> TskReader::exfat_entry(uint64_t ino) {
    constexpr uint64_t kFirst = 3, kEntrySize = 32;
    std::array<uint8_t, 2 * kEntrySize> bytes{};
    if (ino < kFirst) return {};
    const auto in_heap = checked_mul(ino - kFirst, kEntrySize);
    const auto at = in_heap ? checked_add(*in_heap, exfat_heap_) : std::nullopt;
    if (!at) return {};
    // The second entry is elsewhere when the first one is the last of its cluster; then only the first is read.
    const bool together = *in_heap % fs_->block_size + bytes.size() <= fs_->block_size;
    const size_t length = together ? bytes.size() : kEntrySize;
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
        if (out.size == 0) {
            out.access = ContentAccess::extents;
            return;
        }
        return mark_unreadable(Cause::FS_CORRUPT, text_of({{"reason", "the content's place cannot be read"}, {"libtsk", words}}),
                               out);
    }
    if (attribute->size >= 0) out.size = static_cast<uint64_t>(attribute->size);
    map_attribute(*attribute, place(), written_bytes, out);
}

// Named $DATA attributes and resource forks of the inode at hand; `file` is the inode they belong to.
Result<void> TskReader::add_streams(uint64_t ino, const InodeEntry& file, EntrySink& sink) {
    const int count = tsk_fs_file_attr_getsize(file_.get());
    const TSK_FS_ATTR* main = tsk_fs_file_attr_get(file_.get());
    take_tsk_error();  // a folder has no main attribute
    const bool main_is_compressed = main && (main->flags & TSK_FS_ATTR_COMP);
    for (int i = 0; i < count; ++i) {
        const TSK_FS_ATTR* attribute = tsk_fs_file_attr_get_idx(file_.get(), i);
        if (!attribute || attribute == main || attribute->size < 0) continue;
        const uint32_t type = attribute_type(*attribute);
        const bool named_data = family_ == Family::ntfs && type == TSK_FS_ATTR_TYPE_NTFS_DATA && attribute->name;
        const bool fork = family_ == Family::hfsplus && type == TSK_FS_ATTR_TYPE_HFS_RSRC;
        if (family_ == Family::hfsplus && type == TSK_FS_ATTR_TYPE_HFS_EXT_ATTR) report_.count("extended_attributes");
        if (!named_data && !fork) continue;
        if (fork && (attribute->size == 0 || main_is_compressed)) continue;  // compressed: the fork is the file's own content
        if (ino >= uint64_t{1} << 46) {                                      // no NTFS or HFS+ number is that large
            report_.count("streams_not_read");
            continue;
        }
        InodeEntry stream = file;
        stream.fs_type = 'f';
        stream.target.reset();
        stream.extents.clear();
        stream.faults.clear();
        stream.ino = kFirstStreamIno + static_cast<int64_t>(ino << 16 | attribute->id);
        stream.fs_ino = fmt::format("{}-{}-{}", ino, type, attribute->id);
        stream.stream = fork ? "rsrc" : attribute->name;
        stream.size = static_cast<uint64_t>(attribute->size);
        map_attribute(*attribute, place(), std::nullopt, stream);
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
