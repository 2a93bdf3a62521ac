#include "fs/udf/udf_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "fs/listing/content_map.h"
#include "fs/listing/inode_set.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/path_names.h"
#include "fs/listing/tree_walk.h"
#include "fs/udf/space.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr uint64_t kMaxFolderBytes = uint64_t{64} << 20;  // a million names; more is damage
constexpr uint64_t kMaxLinkBytes = 64 * 1024;
constexpr int kMaxIcbHops = 1024;                // versions of one file on a write-once medium
constexpr uint32_t kMaxRootSearchBlocks = 4096;  // where the descriptor that names the root is lost
constexpr int64_t kFirstStreamIno = int64_t{1} << 62;
constexpr int64_t kFirstDoubtfulIno = 3 * (int64_t{1} << 61);

struct Icb {
    UdfFile file;
    UdfAddress address;  // of the version that counts
};

// The content of a folder; bytes that cannot be had are zeros.
struct FolderContent {
    std::vector<ByteRange> ranges;  // of the image
    ProbeBytes bytes;
    std::optional<std::string> damage;  // why some are missing

    uint64_t image_offset(uint64_t at) const {
        for (const ByteRange& range : ranges) {
            if (at < range.length) return range.offset + at;
            at -= range.length;
        }
        return 0;
    }
};

class UdfReader final : public FsReader {
public:
    UdfReader(const ByteSource& source, const Volume& volume, const ReaderOptions& options)
        : volume_(volume), unread_(options.unread), space_(source, volume, unread_), report_(volume.number) {}

    Result<void> open(FindingSink& findings);
    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override {
        return make_error(ErrorCode::invalid_argument, "every content of this filesystem lies in extents");
    }
    std::string detail() const override {
        json out = {{"udf_revision", space_.revision()}, {"block_size", space_.block_bytes()}};
        report_.add_counts_to(out);
        return out.dump();
    }

private:
    struct Folder {
        UdfAddress address;
        std::string path;
        std::optional<int64_t> ino;
    };

    bool find_root();
    std::optional<Icb> read_icb(UdfAddress address) const;
    Result<void> list_folder(const Folder& folder, EntrySink& sink);
    FolderContent read_folder(const Icb& icb) const;
    // Calls take(name, its place in the image) for each name that is in use.
    template <typename Take>
    Result<void> for_each_name(const Folder& folder, const FolderContent& content, EntrySink& sink, const Take& take);
    Result<void> visit(const Folder& folder, const UdfName& name, uint64_t place, EntrySink& sink);
    Result<void> add_streams(const UdfFile& file, const std::string& path, EntrySink& sink);
    InodeEntry describe(const Icb& icb) const;
    void lay_out(const Icb& icb, InodeEntry& out) const;
    void enter(UdfAddress address, std::string path, int64_t ino, EntrySink& sink);
    void report_lost(const std::string& path, UdfAddress address, EntrySink& sink);

    Volume volume_;
    UnreadRanges unread_;
    UdfSpace space_;
    ListingReport report_;
    UdfAddress root_;
    InodeSet seen_, folders_;
    std::unordered_set<uint64_t> unreadable_;
    std::vector<Folder> pending_;
};

Result<void> UdfReader::open(FindingSink& findings) {
    TRY(space_.open(findings));
    const ProbeBytes file_set = space_.read_block(space_.file_set());
    if (is_sound_udf(file_set, 0, UdfTagId::file_set, 416) && file_set.le32(12) == space_.file_set().block) {
        root_ = {file_set.le32(404), file_set.le16(408)};
    } else {
        if (!find_root()) return make_error(ErrorCode::unsupported, "the descriptor that names the root folder is lost, and so is the folder");
        findings.add({"udf_file_set_lost", "the descriptor that names the root folder cannot be read; the folder was found by searching",
                      json{{"block", root_.block}}.dump(), volume_.number, std::nullopt});
    }
    if (space_.failure()) return *space_.failure();
    return {};
}

// The root is the folder that is its own parent. 4/14.4.3 and 8.6.
bool UdfReader::find_root() {
    const uint16_t partition = space_.file_set().partition;
    const uint64_t blocks = std::min<uint64_t>(space_.blocks_of(partition), kMaxRootSearchBlocks);
    for (uint32_t block = 0; block < blocks; ++block) {
        const auto icb = read_icb({block, partition});
        if (!icb || icb->file.type != kUdfFolder || icb->file.size > kMaxFolderBytes) continue;
        const auto parent = read_udf_name(read_folder(*icb).bytes, 0);
        if (!parent || !parent->sound || !parent->parent || parent->icb.number() != icb->address.number()) continue;
        root_ = icb->address;
        return true;
    }
    return false;
}

// On write-once media a newer version of a file follows behind the old one, by an indirect entry (ICB strategy 4096,
// 4/14.6.2). A chain of them ends at a block that was never written or says so; what ends otherwise may have lost its
// newest version, and nobody knows what it was.
std::optional<Icb> UdfReader::read_icb(UdfAddress address) const {
    constexpr uint16_t kVersions = 4096;
    const auto is_end = [](const ProbeBytes& block, uint32_t number) {
        const bool never_written = block.size() > 0 && block.le16(0) == 0;
        return never_written || (is_sound_udf(block, 0, UdfTagId::terminal_entry, 36) && block.le32(12) == number);
    };
    std::optional<Icb> newest;
    for (int hop = 0; hop < kMaxIcbHops; ++hop) {
        const ProbeBytes block = space_.read_block(address);
        if (hop > 0 && is_end(block, address.block)) return newest;
        auto file = read_udf_file(block, address);
        if (!file) return {};
        newest = Icb{*std::move(file), address};
        if (block.le16(20) != kVersions) return newest;
        const UdfAddress next{address.block + 1, address.partition};
        const ProbeBytes behind = space_.read_block(next);
        if (is_end(behind, next.block)) return newest;
        if (!is_sound_udf(behind, 0, UdfTagId::indirect_entry, 52) || behind.le32(12) != next.block) return {};
        address = {behind.le32(40), behind.le16(44)};
    }
    return {};
}

Result<void> UdfReader::list(EntrySink& sink, const CancelToken& cancel) {
    pending_ = {{root_, "", std::nullopt}};
    seen_.insert(root_.number());
    folders_.insert(root_.number());
    TRY(walk_tree(pending_, cancel, [&](const Folder& folder) { return list_folder(folder, sink); }));
    seen_ = {};
    folders_ = {};
    unreadable_.clear();
    return {};
}

FolderContent UdfReader::read_folder(const Icb& icb) const {
    FolderContent out;
    const uint64_t size = std::min(icb.file.size, kMaxFolderBytes);
    if (icb.file.size > size) out.damage = "the folder is larger than any is";
    std::string bytes;
    const auto take = [&](UdfRun run) {
        run.length = std::min(run.length, size - bytes.size());
        if (run.length == 0) return;
        const size_t end = bytes.size() + run.length;
        if (run.image_offset) {
            const ByteRange place{*run.image_offset, run.length};
            out.ranges.push_back(place);
            if (unread_.in(place)) out.damage = "a part of it was not read from the medium";
            bytes += space_.read(place).text(0, run.length);
        }
        if (bytes.size() < end) out.damage = "a part of it lies beyond the end of the image, or nowhere";
        bytes.resize(end);
    };
    if (icb.file.form == UdfAllocation::embedded) {
        if (const auto place = space_.place_of(icb.address)) take({icb.file.embedded.length, *place + icb.file.embedded.offset});
    } else {
        const bool whole = space_.for_each_extent(icb.file, [&](const UdfExtent& extent) {
            if (bytes.size() >= size) return;
            if (extent.type == UdfExtentType::recorded)
                space_.locate(extent.start, extent.length, take);
            else
                take({extent.length, std::nullopt});
        });
        if (!whole) out.damage = "the list of its extents cannot be read";
    }
    if (bytes.size() < size && !out.damage) out.damage = "it has fewer extents than bytes";
    out.bytes = ProbeBytes(std::move(bytes));
    return out;
}

template <typename Take>
Result<void> UdfReader::for_each_name(const Folder& folder, const FolderContent& content, EntrySink& sink, const Take& take) {
    const auto unreadable = [&](uint64_t at, uint64_t length, const std::string& reason) {
        report_.add("directory_unreadable", "files may be missing here",
                    {{"path", folder.path}, {"image_offset", content.image_offset(at)}, {"length", length}, {"reason", reason}},
                    folder.ino, sink);
    };
    if (content.damage) unreadable(0, content.bytes.size(), *content.damage);
    const auto next_sound = [&](uint64_t from, uint64_t end) {
        for (uint64_t at = from; at + kUdfTagBytes < end; at += 4)
            if (const auto name = read_udf_name(content.bytes, at); name && name->sound) return at;
        return end;
    };
    const uint64_t size = content.bytes.size();
    for (uint64_t at = 0; at < size;) {
        const auto name = read_udf_name(content.bytes, at);
        if (!name) {
            if (content.bytes.text(at, size - at).find_first_not_of('\0') == std::string_view::npos && at > 0 && size - at < kUdfTagBytes) break;
            const uint64_t next = next_sound(at + 4, size);
            if (!content.damage) unreadable(at, next - at, "no sound name stands here");
            at = next;
            continue;
        }
        const uint64_t end = std::min(at + name->length, size);
        at = name->sound ? end : next_sound(at + 4, end);  // a damaged length must not hide the names behind it
        if (name->deleted) report_.count("deleted_entries");
        if (name->deleted || name->parent) continue;
        TRY(take(*name, content.image_offset(name->offset)));
    }
    return {};
}

Result<void> UdfReader::list_folder(const Folder& folder, EntrySink& sink) {
    const auto icb = read_icb(folder.address);
    if (space_.failure()) return *space_.failure();
    if (!icb || udf_kind(icb->file.type).letter != 'd') {
        report_.add("directory_unreadable", "files may be missing here: the folder's descriptor is damaged",
                    {{"path", folder.path}, {"block", folder.address.block}, {"partition", folder.address.partition}}, folder.ino, sink);
        return {};
    }
    const FolderContent content = read_folder(*icb);
    if (space_.failure()) return *space_.failure();
    if (unread_.any()) sink.add_directory({folder.path, folder.ino, content.ranges});
    return for_each_name(folder, content, sink,
                         [&](const UdfName& name, uint64_t place) { return visit(folder, name, place, sink); });
}

void UdfReader::report_lost(const std::string& path, UdfAddress address, EntrySink& sink) {
    json evidence = {{"path", path}, {"block", address.block}, {"partition", address.partition}};
    if (const auto place = space_.place_of(address)) {
        evidence["image_offset"] = *place;
        if (const auto lost = unread_.in({*place, space_.block_bytes()})) evidence["cause"] = to_string(lost->cause);
    }
    report_.add("inode_unreadable", "a file is lost: its descriptor is damaged or was not read", evidence,
                static_cast<int64_t>(address.number()), sink);
}

Result<void> UdfReader::visit(const Folder& folder, const UdfName& name, uint64_t place, EntrySink& sink) {
    std::string part = name.name;
    const bool valid = is_path_part(part);
    if (!valid) part = as_path_part(part);
    std::string path = folder.path.empty() ? part : folder.path + '/' + part;
    const UdfAddress address = name.icb;
    const uint64_t number = address.number();
    const auto ino = static_cast<int64_t>(number);
    if (!valid)
        report_.add("name_invalid", "a name cannot stand in a path and was changed",
                    {{"path", path}, {"name_hex", to_hex(as_bytes(name.name))}}, ino, sink);
    if (!name.sound) {
        report_.add("name_damaged", "a name's checksum is wrong: whether the name and its file belong together is not known",
                    {{"path", path}, {"image_offset", place}, {"block", address.block}}, ino, sink);
        const auto icb = read_icb(address);
        const char letter = icb ? udf_kind(icb->file.type).letter : 'u';
        if (letter == 'u' || (letter == 'f' && icb->file.size == 0)) {  // no byte to put the doubt on
            report_lost(path, address, sink);
            return {};
        }
        InodeEntry inode = describe(*icb);
        inode.ino = kFirstDoubtfulIno + static_cast<int64_t>(place);
        if (inode.fs_type == 'f') inode.faults.insert(inode.faults.begin(), {Cause::CHECKSUM, 0, inode.size, R"({"reason":"the name's checksum"})"});
        if (inode.fs_type == 'd') enter(address, path, inode.ino, sink);
        const int64_t own = inode.ino;
        TRY(sink.add_inode(std::move(inode)));
        return sink.add_name({std::move(path), "", own});
    }
    if (!seen_.insert(number)) {
        if (unreadable_.count(number) != 0) {
            report_lost(path, address, sink);
            return {};
        }
        if (number == root_.number()) {
            report_.add("directory_loop", "the root folder stands inside itself", {{"path", path}}, std::nullopt, sink);
            return {};
        }
        if (folders_.contains(number))
            report_.add("directory_loop", "a folder stands in two places; it is listed where it was seen first",
                        {{"path", path}, {"block", address.block}}, ino, sink);
        return sink.add_name({std::move(path), "", ino});
    }
    const auto icb = read_icb(address);
    if (space_.failure()) return *space_.failure();
    const char letter = icb ? udf_kind(icb->file.type).letter : 'u';
    if (letter == 'u' || (letter == 'd') != name.folder) {
        unreadable_.insert(number);
        report_lost(path, address, sink);
        return {};
    }
    InodeEntry inode = describe(*icb);
    inode.ino = ino;
    if (inode.fs_type == 'd') enter(address, path, ino, sink);
    if (inode.fs_type == 'l' && !inode.target) report_lost(path, address, sink);
    TRY(sink.add_inode(std::move(inode)));
    TRY(sink.add_name({path, "", ino}));
    return icb->file.streams.length == 0 ? Result<void>() : add_streams(icb->file, path, sink);
}

Result<void> UdfReader::add_streams(const UdfFile& file, const std::string& path, EntrySink& sink) {
    const auto folder = read_icb(file.streams.start);
    if (!folder || udf_kind(folder->file.type).letter != 'd') {
        report_lost(path + ":", file.streams.start, sink);
        return {};
    }
    return for_each_name({file.streams.start, path + ":", std::nullopt}, read_folder(*folder), sink, [&](const UdfName& name, uint64_t) -> Result<void> {
        if (name.metadata) return {};
        const auto icb = read_icb(name.icb);
        const std::string part = is_path_part(name.name) ? name.name : as_path_part(name.name);
        if (!icb || !name.sound || udf_kind(icb->file.type).letter != 'f') {
            report_lost(path + ":" + part, name.icb, sink);
            return {};
        }
        const auto ino = kFirstStreamIno + static_cast<int64_t>(name.icb.number());
        if (seen_.insert(static_cast<uint64_t>(ino))) {
            InodeEntry inode = describe(*icb);
            inode.ino = ino;
            inode.stream = part;
            TRY(sink.add_inode(std::move(inode)));
        }
        return sink.add_name({path + ":" + part, "", ino});
    });
}

void UdfReader::enter(UdfAddress address, std::string path, int64_t ino, EntrySink& sink) {
    if (path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply", {{"path_bytes", path.size()}},
                    ino, sink);
        return;
    }
    if (folders_.insert(address.number())) pending_.push_back({address, std::move(path), ino});
}

InodeEntry UdfReader::describe(const Icb& icb) const {
    const UdfFile& file = icb.file;
    const UdfKind kind = udf_kind(file.type);
    InodeEntry out;
    out.fs_ino = std::to_string(icb.address.number());
    out.fs_type = kind.letter;
    out.nlink = file.nlink;
    out.size = file.size;
    out.mtime = file.mtime;
    out.mtime_ns = file.mtime_ns;
    out.atime = file.atime;
    out.ctime = file.ctime;
    out.crtime = file.crtime;
    out.mode = kind.mode | file.permissions;
    out.uid = file.uid;
    out.gid = file.gid;
    if (kind.letter == 'l') {
        const auto content = space_.read_table(file, icb.address, kMaxLinkBytes);
        out.target = content ? udf_link_target(*content) : std::nullopt;
        out.size = out.target ? out.target->size() : 0;
    }
    if (kind.letter == 'f') lay_out(icb, out);
    return out;
}

void UdfReader::lay_out(const Icb& icb, InodeEntry& out) const {
    out.access = ContentAccess::extents;
    ContentMap map(out.size, volume_.size_bytes);
    uint64_t at = 0;
    if (icb.file.form == UdfAllocation::embedded) {
        if (const auto place = space_.place_of(icb.address)) map.add_data(0, *place + icb.file.embedded.offset, icb.file.embedded.length);
    } else {
        const bool whole = space_.for_each_extent(icb.file, [&](const UdfExtent& extent) {
            if (at >= out.size) return;  // space kept behind the end
            if (extent.type != UdfExtentType::recorded) {
                map.add_hole(at, extent.length);
                at += extent.length;
                return;
            }
            space_.locate(extent.start, extent.length, [&](UdfRun run) {
                if (run.image_offset)
                    map.add_data(at, *run.image_offset, run.length);
                else
                    map.add_fault(at, run.length, Cause::FS_CORRUPT, R"({"reason":"a block outside the partition, or one whose place is lost"})");
                at += run.length;
            });
        });
        if (!whole && at < out.size) map.add_fault(at, out.size - at, Cause::CHECKSUM, R"({"reason":"the list of extents cannot be read"})");
    }
    map.finish(ContentMap::Gap::missing, out);
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_udf(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings) {
    if (volume.offset_bytes >= source.size_bytes())
        return make_error(ErrorCode::unsupported, "the volume starts beyond the end of the image");
    auto reader = std::make_unique<UdfReader>(source, volume, options);
    TRY(reader->open(findings));
    return std::unique_ptr<FsReader>(std::move(reader));
}

}  // namespace ntt
