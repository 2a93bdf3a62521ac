#include "fs/tsk/iso9660_reader.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "fs/listing/content_map.h"
#include "fs/listing/inode_set.h"
#include "fs/tsk/iso9660_directory.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/path_names.h"
#include "fs/listing/tree_walk.h"
#include "fs/listing/unread_ranges.h"
#include "volume/detail.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr int kMaxDescriptors = 32;
constexpr uint64_t kMaxDirectoryBytes = uint64_t{64} << 20;  // half a million records; more is damage
constexpr uint64_t kMaxPathTableBytes = uint64_t{4} << 20;    // numbers of folders there have 16 bits
constexpr int64_t kFirstStreamIno = int64_t{1} << 62;

class Iso9660Reader final : public FsReader {
public:
    Iso9660Reader(const ByteSource& source, const Volume& volume, UnreadRanges unread)
        : volume_(volume),
          base_(reach_of(volume).offset),
          window_(source, {base_, source.size_bytes() - base_}),
          unread_(std::move(unread)),
          report_(volume.number) {}

    Result<void> open(FindingSink& findings);
    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override {
        return make_error(ErrorCode::invalid_argument, "every content of this filesystem lies in extents");
    }
    std::string detail() const override {
        json out = {{"names", volume_.view}, {"block_size", block_size_}};
        report_.add_counts_to(out);
        return out.dump();
    }

private:
    struct Folder {
        uint32_t block = 0;
        uint64_t size = 0;
        std::string path;
        std::optional<int64_t> ino = {};  // none: the root
    };

    Result<void> list_pending(EntrySink& sink, const CancelToken& cancel);
    Result<void> list_folder(const Folder& folder, EntrySink& sink);
    Result<void> list_unreached(EntrySink& sink, const CancelToken& cancel);
    enum class ByteOrder : uint8_t { little, big };
    struct PathTableEntry {
        uint32_t block = 0;
        size_t parent = 0;  // number of an entry, from 1 on
        std::string name;   // as it stands
        uint64_t place = 0; // of the volume
        bool is_same_as(const PathTableEntry& other) const { return block == other.block && parent == other.parent && name == other.name; }
    };
    std::vector<PathTableEntry> read_path_table(ByteRange place, ByteOrder order);
    std::optional<uint64_t> folder_at(uint32_t block) const;
    std::optional<UnreadRange> unread_at(uint64_t offset, uint64_t length) const {
        return unread_.in({base_ + offset, length});
    }
    Result<void> visit(const Folder& folder, const std::vector<IsoRecord>& pieces, EntrySink& sink);
    InodeEntry describe(const std::vector<IsoRecord>& pieces) const;
    void enter(const IsoRecord& record, std::string path, EntrySink& sink);
    std::string read_at(uint64_t offset, size_t length) const {
        return std::string(window_.read(offset, length).text(0, length));
    }

    Volume volume_;
    uint64_t base_;       // of the image: where block numbers count from
    ProbeWindow window_;  // to the end of the image: what the descriptor declares can be short of what is there
    UnreadRanges unread_;
    ListingReport report_;
    IsoContext context_;
    uint64_t block_size_ = kIsoSector;
    Folder root_;
    ByteRange path_table_, path_table_m_;  // of the volume: with little and with big endian numbers
    InodeSet seen_folders_;                  // by block
    InodeSet seen_records_;                  // by place: a folder may begin in the middle of another one
    std::map<uint32_t, std::string> paths_;  // of listed folders by block, for the folders that only the path table names
    bool names_missing_ = false;             // some folder could not be read whole
    std::vector<Folder> pending_;
};

Result<void> Iso9660Reader::open(FindingSink& findings) {
    context_.names = volume_.view == "joliet"      ? IsoNames::joliet
                     : volume_.view == "rockridge" ? IsoNames::rock_ridge
                                                   : IsoNames::plain;
    context_.read_continuation = [this](uint32_t block, uint32_t offset, uint32_t length) {
        const uint64_t at = uint64_t{block} * block_size_ + offset;
        return unread_at(at, length) ? std::string() : read_at(at, length);
    };
    const uint64_t start = volume_.offset_bytes - base_;
    const uint8_t wanted = context_.names == IsoNames::joliet ? 2 : 1;
    for (uint64_t i = 0; i < kMaxDescriptors; ++i) {
        const uint64_t at = start + (16 + i) * kIsoSector;
        const ProbeBytes descriptor = window_.read(at, kIsoSector);
        if (!descriptor.has(1, "CD001")) continue;  // one that is lost
        if (descriptor.u8(0) == 255) break;
        if (descriptor.u8(0) != wanted || (wanted == 2 && !descriptor.has(88, "%/"))) continue;
        const uint64_t block_size = descriptor.le16(128);
        if (block_size == 512 || block_size == 1024 || block_size == 2048) block_size_ = block_size;
        root_ = {descriptor.le32(156 + 2) + descriptor.u8(156 + 1), descriptor.le32(156 + 10), ""};
        path_table_ = {uint64_t{descriptor.le32(140)} * block_size_, std::min<uint64_t>(descriptor.le32(132), kMaxPathTableBytes)};
        path_table_m_ = {uint64_t{descriptor.be32(148)} * block_size_, path_table_.length};
        if (const auto lost = unread_at(at, kIsoSector)) {
            findings.add({"superblock_on_missing_sectors",
                          "the volume descriptor was not read from the medium; what the image holds there is used as far as a folder that was read bears it out",
                          json{{"cause", to_string(lost->cause)}, {"image_offset", lost->range.offset}}.dump(), volume_.number, {}});
            if (!folder_at(root_.block)) return make_error(ErrorCode::unsupported, "neither the volume descriptor nor the root folder was read from the medium");
        }
        break;
    }
    if (window_.failure()) return *window_.failure();
    if (root_.size == 0) return make_error(ErrorCode::unsupported, "the disc has no root folder of the kind " + volume_.view);
    if (context_.names == IsoNames::rock_ridge) {
        const ProbeBytes self = window_.read(uint64_t{root_.block} * block_size_, 64);
        if (self.has(34, "SP\x07")) context_.system_use_skip = self.u8(34 + 6);
    }
    return {};
}

Result<void> Iso9660Reader::list(EntrySink& sink, const CancelToken& cancel) {
    pending_ = {root_};
    seen_folders_.insert(root_.block);
    TRY(list_pending(sink, cancel));
    TRY(list_unreached(sink, cancel));
    seen_folders_ = {};
    seen_records_ = {};
    paths_ = {};
    return {};
}

Result<void> Iso9660Reader::list_pending(EntrySink& sink, const CancelToken& cancel) {
    return walk_tree(pending_, cancel, [&](const Folder& folder) -> Result<void> {
        TRY(list_folder(folder, sink));
        paths_[folder.block] = folder.path;
        return {};
    });
}

Result<void> Iso9660Reader::list_folder(const Folder& folder, EntrySink& sink) {
    const auto unreadable = [&](uint64_t offset, const char* reason) {
        names_missing_ = true;
        report_.add("directory_unreadable", "files may be missing here",
                    {{"path", folder.path}, {"image_offset", base_ + offset}, {"reason", reason}}, std::nullopt,
                    sink);
    };
    const uint64_t start = uint64_t{folder.block} * block_size_;
    if (unread_.any()) sink.add_directory({folder.path, folder.ino, {{base_ + start, std::min(folder.size, kMaxDirectoryBytes)}}});
    if (folder.size > kMaxDirectoryBytes) unreadable(start, "the folder is larger than any is");
    std::vector<IsoRecord> records, file;
    for (uint64_t done = 0; done < std::min(folder.size, kMaxDirectoryBytes); done += kIsoSector) {
        if (unread_at(start + done, kIsoSector)) {  // the sink has the place
            names_missing_ = true;
            file.clear();  // of a file in pieces some are lost: it is none
            continue;
        }
        const std::string sector = read_at(start + done, kIsoSector);
        if (window_.failure()) return *window_.failure();
        if (sector.empty()) {  // and so is all behind it
            unreadable(start + done, "beyond the end of the image");
            break;
        }
        records.clear();
        const bool last = done + kIsoSector >= folder.size;
        if (!read_iso_directory_sector(as_bytes(sector), start + done, last, context_, records))
            unreadable(start + done, "the sector holds no directory records, or damaged ones");
        for (IsoRecord& record : records) {
            const bool goes_on = record.more_follow;
            const bool same_file =
                file.empty() || (file.front().name == record.name && file.front().associated == record.associated);
            if (!same_file) TRY(visit(folder, std::exchange(file, {}), sink));
            file.push_back(std::move(record));
            if (!goes_on) TRY(visit(folder, std::exchange(file, {}), sink));
        }
    }
    if (!file.empty()) TRY(visit(folder, file, sink));
    return {};
}

// The size of the folder at `block`, if its first record, ".", was read and says that it stands there (ECMA-119, 6.8.2.2).
std::optional<uint64_t> Iso9660Reader::folder_at(uint32_t block) const {
    const uint64_t at = uint64_t{block} * block_size_;
    if (unread_at(at, kIsoSector)) return {};
    const ProbeBytes self = window_.read(at, 34);
    if (self.u8(0) < 34 || self.u8(32) != 1 || self.u8(33) != 0 || self.le32(2) != block || self.be32(6) != block) return {};
    return self.le32(10);
}

// As far as it makes sense: numbers count from the start, so behind a lost record none can be told.
// Source: ECMA-119, 6.9 and 9.4 (parents come before their folders; the root is the first, and its own parent).
std::vector<Iso9660Reader::PathTableEntry> Iso9660Reader::read_path_table(ByteRange place, ByteOrder order) {
    const ProbeBytes table = window_.read(place.offset, place.length);
    std::vector<PathTableEntry> out;
    for (uint64_t at = 0; at + 8 <= table.size();) {
        const uint8_t length = table.u8(at);
        const bool little = order == ByteOrder::little;
        PathTableEntry entry{(little ? table.le32(at + 2) : table.be32(at + 2)) + table.u8(at + 1), little ? table.le16(at + 6) : table.be16(at + 6),
                             std::string(table.text(at + 8, length)), place.offset + at};
        const uint64_t bytes = 8u + length + length % 2u;
        if (length == 0 || entry.parent == 0 || entry.parent > std::max<size_t>(out.size(), 1) || unread_at(entry.place, bytes)) {
            report_.count("path_table_damaged");
            break;
        }
        out.push_back(std::move(entry));
        at += bytes;
    }
    return out;
}

// Folders that the path table names and the walk has not reached, because the record of one above them is lost. One whose own
// first record is lost too is believed if both tables have it: those below it keep their places. Where the walk missed nothing,
// what it has not reached is all that tells of records that became zeros: a folder's last sector may end anywhere.
Result<void> Iso9660Reader::list_unreached(EntrySink& sink, const CancelToken& cancel) {
    std::vector<PathTableEntry> table = read_path_table(path_table_, ByteOrder::little), other = read_path_table(path_table_m_, ByteOrder::big);
    if (window_.failure()) return *window_.failure();
    if (table.size() < other.size()) table.swap(other);
    const bool all_seemed_well = !names_missing_;
    for (size_t i = 1; i < table.size(); ++i) {
        TRY(cancel.check());
        const PathTableEntry& entry = table[i];
        const auto size = folder_at(entry.block);
        const bool twice = i < other.size() && entry.is_same_as(other[i]);
        const auto above = paths_.find(table[entry.parent - 1].block);
        if ((!size && !twice) || above == paths_.end() || !seen_folders_.insert(entry.block)) continue;

        std::string name = context_.names == IsoNames::joliet ? utf16_text(entry.name, Utf16Order::big) : entry.name;
        if (!is_path_part(name)) name = as_path_part(name);
        Folder folder{entry.block, size.value_or(kIsoSector), above->second.empty() ? name : above->second + '/' + name, static_cast<int64_t>(entry.place)};
        if (folder.path.size() > kMaxPathBytes) continue;
        if (all_seemed_well)
            report_.add("directory_unreadable", "files may be missing here: the path table has a folder that none of the records names",
                        {{"path", above->second}, {"folder", folder.path}}, std::nullopt, sink);
        report_.add("directory_by_path_table", "the record that names this folder is lost; the path table has it, under its plain name",
                    {{"path", folder.path}, {"image_offset", base_ + entry.place}}, folder.ino, sink);
        InodeEntry inode;
        inode.ino = *folder.ino;
        inode.fs_ino = std::to_string(entry.place);
        inode.fs_type = 'd';
        inode.size = folder.size;
        TRY(sink.add_inode(std::move(inode)));
        TRY(sink.add_name({folder.path, "", *folder.ino}));
        const std::string path = folder.path;
        pending_ = {std::move(folder)};
        names_missing_ = false;
        TRY(list_pending(sink, cancel));
        if (!size && !names_missing_)  // it was not said yet
            report_.add("directory_unreadable", "files may be missing here: the folder's first record, which says how long it is, is lost",
                        {{"path", path}, {"image_offset", base_ + uint64_t{entry.block} * block_size_}}, static_cast<int64_t>(entry.place), sink);
    }
    return {};
}

Result<void> Iso9660Reader::visit(const Folder& folder, const std::vector<IsoRecord>& pieces, EntrySink& sink) {
    const IsoRecord& record = pieces.front();
    if (record.moved) {  // it is listed where its "CL" entry stands
        report_.count("moved_folders");
        return {};
    }
    if (!seen_records_.insert(record.offset)) {
        report_.add("directory_loop", "a part of a folder stands in two places; its names are listed where they were seen first",
                    {{"path", folder.path}, {"image_offset", base_ + record.offset}}, std::nullopt, sink);
        return {};
    }
    InodeEntry inode = describe(pieces);
    std::string name = record.name;
    if (!is_path_part(name)) {
        name = as_path_part(name);
        report_.add("name_invalid", "a name cannot stand in a path and was changed",
                    {{"path", folder.path}, {"name_hex", to_hex(as_bytes(record.name))}, {"given", name}}, inode.ino, sink);
    }
    std::string path = folder.path.empty() ? name : folder.path + '/' + name;
    if (record.associated) path += ":rsrc";
    const int64_t ino = inode.ino;
    if (inode.fs_type == 'd') enter(record, path, sink);
    TRY(sink.add_inode(std::move(inode)));
    return sink.add_name({std::move(path), "", ino});
}

void Iso9660Reader::enter(const IsoRecord& record, std::string path, EntrySink& sink) {
    Folder folder{record.block, record.size, std::move(path), static_cast<int64_t>(record.offset)};
    if (record.child) {
        folder.block = *record.child;
        folder.size = window_.read(uint64_t{*record.child} * block_size_, 34).le32(10);  // as its own "." says
    }
    if (folder.path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply",
                    {{"path_bytes", folder.path.size()}}, std::nullopt, sink);
    } else if (!seen_folders_.insert(folder.block)) {
        report_.add("directory_loop", "a folder stands in two places; it is listed where it was seen first",
                    {{"path", folder.path}, {"block", folder.block}}, static_cast<int64_t>(record.offset), sink);
    } else {
        pending_.push_back(std::move(folder));
    }
}

InodeEntry Iso9660Reader::describe(const std::vector<IsoRecord>& pieces) const {
    const IsoRecord& record = pieces.front();
    InodeEntry out;
    out.fs_ino = std::to_string(record.offset);
    out.ino = static_cast<int64_t>(record.offset) + (record.associated ? kFirstStreamIno : 0);
    if (record.associated) out.stream = "rsrc";
    out.fs_type = record.directory || record.child ? 'd' : 'f';
    if (record.mode && out.fs_type == 'f') {
        switch (*record.mode & 0170000) {
            case 0120000: out.fs_type = 'l'; break;
            case 0060000: out.fs_type = 'b'; break;
            case 0020000: out.fs_type = 'c'; break;
            case 0010000: out.fs_type = 'p'; break;
            case 0140000: out.fs_type = 's'; break;
            default: break;
        }
    }
    out.mode = record.mode;
    out.uid = record.uid;
    out.gid = record.gid;
    out.nlink = record.nlink.value_or(1);
    out.mtime = record.mtime ? record.mtime : record.recorded;
    out.atime = record.atime;
    out.ctime = record.ctime;
    out.crtime = record.crtime;
    for (const IsoRecord& piece : pieces) out.size += piece.size;  // 32 bits each
    if (out.fs_type == 'l' && record.target) {
        out.target = record.target;
        out.size = record.target->size();
    }
    if (out.fs_type != 'f') return out;

    if (record.compressed) {
        out.access = ContentAccess::unreadable;
        if (out.size > 0) out.faults.push_back({Cause::UNSUPPORTED_COMPRESSION, 0, out.size, R"({"reason":"zisofs"})"});
        return out;
    }
    out.access = ContentAccess::extents;
    ContentMap map(out.size, volume_.size_bytes);
    uint64_t file_offset = 0;
    for (const IsoRecord& piece : pieces) {
        uint64_t at = base_ + piece.block * block_size_;
        if (piece.unit == 0) {
            map.add_data(file_offset, at, piece.size);
        } else {  // units of the file with gaps between them
            const uint64_t unit = piece.unit * block_size_;
            const uint64_t end = window_.image_offset() + window_.size_bytes();
            uint64_t done = 0;
            for (; done < piece.size && at < end; done += unit, at += unit + piece.gap * block_size_)
                map.add_data(file_offset + done, at, std::min(unit, piece.size - done));
            if (done < piece.size) map.add_data(file_offset + done, at, piece.size - done);  // beyond the image, whatever the gaps
        }
        file_offset += piece.size;
    }
    map.finish(ContentMap::Gap::missing, out);
    return out;
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_iso9660(const ByteSource& source, const Volume& volume, const ReaderOptions& options, FindingSink& findings) {
    if (volume.offset_bytes >= source.size_bytes())
        return make_error(ErrorCode::unsupported, "the volume starts beyond the end of the image");
    auto reader = std::make_unique<Iso9660Reader>(source, volume, UnreadRanges(options.unread));
    TRY(reader->open(findings));
    return std::unique_ptr<FsReader>(std::move(reader));
}

}  // namespace ntt
