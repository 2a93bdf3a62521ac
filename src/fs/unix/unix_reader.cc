#include "fs/unix/unix_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fs/listing/content_map.h"
#include "fs/listing/inode_set.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/path_names.h"
#include "fs/listing/tree_walk.h"
#include "fs/unix/unix_inodes.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr std::string_view kLostFolder = "$lost";

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json evidence_of(const UnixInode& inode) {
    json out = {{"structure", "inode"}, {"ino", inode.ino}, {"image_offset", inode.place.offset}, {"length", inode.place.length}};
    if (inode.mismatch) out["stored"] = inode.mismatch->stored, out["computed"] = inode.mismatch->computed;
    return out;
}

class UnixReader final : public FsReader {
public:
    UnixReader(const Volume& volume, std::unique_ptr<UnixInodes> inodes)
        : volume_(volume), inodes_(std::move(inodes)), blocks_(inodes_->blocks()), ext_(volume.fs_type == "ext"), report_(volume.number) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override;
    std::string detail() const override {
        json out = json::object();
        inodes_->add_detail(out);
        report_.add_counts_to(out);
        return text_of(out);
    }

private:
    struct Folder {
        uint64_t ino;
        std::string path;
    };
    using TakeName = std::function<Result<void>(const DirectoryName& name)>;

    Result<void> list_tree(Folder top, EntrySink& sink, const CancelToken& cancel);
    Result<void> list_folder(const Folder& folder, EntrySink& sink);
    // Hands out the names; `unreadable` and `mistrusted` get the evidence of damage, and may be null.
    using TakeDamage = std::function<void(const char* code, const char* message, json evidence)>;
    Result<void> read_names(const UnixInode& inode, const TakeName& take, const TakeDamage& damage, DirectoryPlace* place);
    void check_block(const UnixInode& inode, ByteView block, uint64_t image_offset, bool is_first, const TakeDamage& damage) const;
    Result<void> visit(const Folder& folder, const DirectoryName& found, EntrySink& sink);
    Result<void> add(std::string path, const UnixInode& inode, EntrySink& sink);

    Result<void> list_lost(EntrySink& sink, const CancelToken& cancel);
    // The inode of a file that is in use and that no directory named so far.
    std::optional<UnixInode> lost_file(uint64_t ino);

    InodeEntry describe(const UnixInode& inode);
    // Adds the content's places; returns what it is that none of them covers.
    ContentMap::Gap map(const UnixInode& inode, ContentMap& places);
    std::string link_target(const UnixInode& inode);

    Result<void> host_failure() const { return blocks_.failure() ? Result<void>(*blocks_.failure()) : Result<void>(); }

    Volume volume_;
    std::unique_ptr<UnixInodes> inodes_;
    UnixBlocks& blocks_;
    bool ext_;
    ListingReport report_;
    bool encryption_reported_ = false;

    // of the running list()
    InodeSet seen_, folders_;
    std::unordered_set<uint64_t> unreadable_;
    std::vector<Folder> pending_;
};

// --- walking ---

Result<void> UnixReader::list(EntrySink& sink, const CancelToken& cancel) {
    seen_ = {};
    folders_ = {};
    unreadable_.clear();
    TRY(inodes_->check(report_, sink, cancel));
    seen_.insert(inodes_->root());
    folders_.insert(inodes_->root());
    TRY(list_tree({inodes_->root(), ""}, sink, cancel));
    TRY(list_lost(sink, cancel));
    seen_ = {};
    folders_ = {};
    unreadable_.clear();
    return {};
}

Result<void> UnixReader::list_tree(Folder top, EntrySink& sink, const CancelToken& cancel) {
    pending_.push_back(std::move(top));
    return walk_tree(pending_, cancel, [&](const Folder& folder) { return list_folder(folder, sink); });
}

Result<void> UnixReader::list_folder(const Folder& folder, EntrySink& sink) {
    if (folder.path.size() > kMaxPathBytes) {
        report_.add("path_too_long", "files may be missing here: the folders are nested too deeply",
                    {{"path_bytes", folder.path.size()}}, std::nullopt, sink);
        return {};
    }
    const TakeDamage damage = [&](const char* code, const char* message, json evidence) {
        evidence["path"] = folder.path;
        evidence["ino"] = folder.ino;
        report_.add(code, message, evidence, static_cast<int64_t>(folder.ino), sink);
    };
    const UnixInodeRead read = inodes_->read(folder.ino);
    TRY(host_failure());
    if (!read.inode || read.inode->type_letter() != 'd') {
        json evidence = {{"structure", "inode"}, {"reason", read.inode ? "it is no directory's" : read.reason}};
        if (read.image_offset) evidence["image_offset"] = *read.image_offset;
        if (read.unread) evidence["cause"] = to_string(read.unread->cause);
        damage("directory_unreadable", "the folder's inode cannot be believed: files may be missing here", evidence);
        return {};
    }
    if (read.inode->mismatch)
        damage("directory_checksum_failed", "the folder's inode fails its checksum: names may be wrong or missing here", evidence_of(*read.inode));
    DirectoryPlace place{folder.path, folder.ino == inodes_->root() ? std::nullopt : std::optional(static_cast<int64_t>(folder.ino)), {}};
    TRY(read_names(
        *read.inode, [&](const DirectoryName& name) { return visit(folder, name, sink); }, damage, &place));
    sink.add_directory(std::move(place));
    return {};
}

Result<void> UnixReader::read_names(const UnixInode& inode, const TakeName& take, const TakeDamage& damage, DirectoryPlace* place) {
    const DirectoryFormat format = inodes_->directory_format();
    std::vector<DirectoryName> names;
    if (inode.content == UnixInode::Content::in_inode) {
        // The parent's number in four bytes, entries in the rest of the 60, more entries behind.
        constexpr size_t kParent = 4, kFirst = 60;
        const ByteView all = as_bytes(inode.in_inode);
        bool sound = all.size() >= kFirst && read_directory_chunk(all.subspan(kParent, kFirst - kParent), format, inodes_->count(), names);
        if (all.size() > kFirst) sound = read_directory_chunk(all.subspan(kFirst), format, inodes_->count(), names) && sound;
        if (!sound) damage("directory_unreadable", "files may be missing here", evidence_of(inode));
        if (place) place->ranges.push_back(inode.place);
        for (const DirectoryName& name : names) TRY(take(name));
        return {};
    }
    // A folder as large as the volume is damage; its blocks are mapped, and those that are there are read.
    InodeEntry content;
    ContentMap blocks(std::min(inode.size, volume_.size_bytes), volume_.size_bytes);
    blocks.finish(map(inode, blocks), content);
    for (const ContentFault& fault : content.faults)
        damage("directory_unreadable", "files may be missing here",
               {{"at", fault.file_offset}, {"length", fault.length}, {"cause", to_string(fault.cause)}, {"fault", json::parse(fault.evidence, nullptr, false)}});
    std::vector<uint8_t> chunk(ext_ ? blocks_.layout().block_size : kUfsDirectoryChunk);
    for (const Extent& extent : content.extents) {
        if (extent.kind == ExtentKind::hole) continue;
        if (place) place->ranges.push_back({extent.image_offset, extent.length});
        if (extent.kind != ExtentKind::data) continue;
        for (uint64_t done = 0; done < extent.length; done += chunk.size()) {
            const uint64_t at = extent.image_offset + done;
            names.clear();
            const bool read = blocks_.read(at, chunk);
            TRY(host_failure());
            const bool some_unread = read && blocks_.unread().blank(at, chunk);
            const bool sound = read && read_directory_chunk(chunk, format, inodes_->count(), names);
            // Whoever has the rescue map tells of the sectors; here their zeros are no damage of their own.
            if (!sound && !some_unread)
                damage("directory_unreadable", "files may be missing here",
                       {{"at", extent.file_offset + done}, {"image_offset", at}, {"length", chunk.size()}, {"names_before", names.size()}});
            if (read && !some_unread) check_block(inode, chunk, at, extent.file_offset + done == 0, damage);
            for (const DirectoryName& name : names) TRY(take(name));
        }
    }
    return {};
}

void UnixReader::check_block(const UnixInode& inode, ByteView block, uint64_t image_offset, bool is_first, const TakeDamage& damage) const {
    if (!inode.checksum_seed) return;
    // A node of the index looks like one unused entry over the whole block, its root like a block with "." and "..".
    const auto le16 = [&](size_t at) { return static_cast<uint64_t>(block[at] | block[at + 1] << 8); };
    const bool unused = block[0] == 0 && block[1] == 0 && block[2] == 0 && block[3] == 0;
    const bool is_node = inode.hash_tree && (is_first || (unused && (le16(4) == block.size() || (block.size() == 65536 && (le16(4) == 0 || le16(4) == 65535)))));
    const ChecksumPair pair = is_node ? ext_index_node_checksum(*inode.checksum_seed, block, is_first ? 32 : 8)
                                      : ext_directory_block_checksum(*inode.checksum_seed, block);
    if (pair.agree()) return;
    const json evidence = {{"structure", is_node ? "directory index" : "directory block"}, {"image_offset", image_offset},
                           {"length", block.size()}, {"stored", pair.stored}, {"computed", pair.computed}};
    if (is_node)
        damage("checksum_failed", "a node of a directory's index fails its checksum; names do not depend on it", evidence);
    else
        damage("directory_checksum_failed", "a directory block fails its checksum: names here may be wrong or missing", evidence);
}

Result<void> UnixReader::visit(const Folder& folder, const DirectoryName& found, EntrySink& sink) {
    const auto& [ino, name, behind_damage] = found;
    std::string path;
    path.reserve(folder.path.size() + 1 + name.size());
    path = folder.path;
    if (!folder.path.empty()) path += '/';
    if (is_path_part(name)) {
        path += name;
    } else {
        path += as_path_part(name);
        report_.add("name_invalid", "a name cannot stand in a path and was changed",
                    {{"path", path}, {"name_hex", to_hex(as_bytes(name))}}, static_cast<int64_t>(ino), sink);
    }
    if (!seen_.insert(ino)) {
        if (unreadable_.count(ino) != 0) {
            report_.add("inode_unreadable", "a file is lost: its inode cannot be read", {{"path", path}, {"ino", ino}},
                        static_cast<int64_t>(ino), sink);
            return {};
        }
        if (folders_.contains(ino)) {
            report_.add("directory_loop", "a folder stands in two places; it is listed where it was seen first",
                        {{"path", path}, {"ino", ino}}, static_cast<int64_t>(ino), sink);
            if (ino == inodes_->root()) return {};
        }
        return sink.add_name({std::move(path), "", static_cast<int64_t>(ino)});
    }
    const UnixInodeRead read = inodes_->read(ino);
    TRY(host_failure());
    // The bitmap alone says that an inode is free, and it can be what was not read; a zeroed inode has neither type nor links.
    const bool in_use = read.inode && read.inode->type_letter() != 'u' && read.inode->nlink > 0;
    if (!in_use) {
        unreadable_.insert(ino);
        if (behind_damage && read.inode) return {};  // deleted, it may be; that names are missing has been said
        json evidence = {{"path", path}, {"ino", ino}, {"reason", read.inode ? "the inode is not in use" : read.reason}};
        if (read.image_offset) evidence["image_offset"] = *read.image_offset;
        if (read.unread) evidence["cause"] = to_string(read.unread->cause);
        report_.add("inode_unreadable", "a file is lost: its inode cannot be believed", evidence, static_cast<int64_t>(ino), sink);
        return {};
    }
    if (inodes_->is_marked_used(ino) == std::optional(false))
        report_.add("inode_marked_free", "the bitmap says that a file's inode is free; the file is read as its inode says",
                    {{"path", path}, {"ino", ino}}, static_cast<int64_t>(ino), sink);
    return add(std::move(path), *read.inode, sink);
}

Result<void> UnixReader::add(std::string path, const UnixInode& inode, EntrySink& sink) {
    const auto ino = static_cast<int64_t>(inode.ino);
    if (inode.mismatch) {
        json evidence = evidence_of(inode);
        evidence["path"] = path;
        report_.add("checksum_failed", "an inode fails its checksum: nothing that it says is believed", evidence, ino, sink);
    }
    if (inode.encrypted && !std::exchange(encryption_reported_, true))
        sink.add({"encryption_in_use", "some files are encrypted; names below encrypted folders are ciphertext", text_of({{"path", path}, {"ino", ino}}),
                  volume_.number, ino});
    InodeEntry entry = describe(inode);
    TRY(host_failure());
    if (entry.fs_type == 'd') {
        folders_.insert(inode.ino);
        pending_.push_back({inode.ino, path});
    }
    TRY(sink.add_inode(std::move(entry)));
    return sink.add_name({std::move(path), "", ino});
}

// --- what no directory names ---

std::optional<UnixInode> UnixReader::lost_file(uint64_t ino) {
    if (seen_.contains(ino) || !inodes_->may_be_lost_file(ino)) return {};
    if (inodes_->is_marked_used(ino) == std::optional(false)) return {};
    UnixInodeRead read = inodes_->read(ino);
    if (!read.inode) return {};
    const UnixInode& inode = *read.inode;
    const bool somebodys = inode.type_letter() != 'u' && inode.nlink > 0 && !inode.deleted && !inode.mismatch && !inode.holds_values;
    return somebodys ? std::move(read.inode) : std::nullopt;
}

Result<void> UnixReader::list_lost(EntrySink& sink, const CancelToken& cancel) {
    // First the folders, so that what they name keeps its name: one that another lost folder names comes out below that one.
    constexpr int kMaxAbsentTables = 4096;  // in a row: the image ended, and a hostile number of tables is declared behind it
    std::vector<uint64_t> files, folders;
    InodeSet named;
    uint64_t table_end = 0;
    int absent_tables = 0;
    for (uint64_t ino = 1; ino <= inodes_->count(); ++ino) {
        if (ino % 4096 == 0) TRY(cancel.check());
        if (ino > table_end) {
            table_end = inodes_->end_of_table(ino);
            const UnixInodeRead first = inodes_->read(ino);
            const bool absent = !first.inode && !first.unread;
            absent_tables = absent ? absent_tables + 1 : 0;
            if (absent_tables >= kMaxAbsentTables) break;
            if (absent) ino = table_end;
            if (absent) continue;
        }
        const std::optional<UnixInode> inode = lost_file(ino);
        TRY(host_failure());
        if (!inode) continue;
        if (inode->type_letter() != 'd') {
            files.push_back(ino);
            continue;
        }
        folders.push_back(ino);
        TRY(read_names(
            *inode,
            [&](const DirectoryName& child) -> Result<void> {
                if (child.ino != ino) named.insert(child.ino);
                return {};
            },
            [](const char*, const char*, const json&) {}, nullptr));
    }
    uint64_t count = 0;
    const auto give = [&](uint64_t ino) -> Result<void> {
        const std::optional<UnixInode> inode = lost_file(ino);
        TRY(host_failure());
        if (!inode) return {};  // it has come out below a folder by now
        ++count;
        seen_.insert(ino);
        TRY(add(fmt::format("{}/ino-{}", kLostFolder, ino), *inode, sink));
        if (pending_.empty()) return {};
        Folder folder = std::move(pending_.back());
        pending_.pop_back();
        return list_tree(std::move(folder), sink, cancel);
    };
    for (const uint64_t ino : folders)
        if (!named.contains(ino)) TRY(give(ino));
    for (const uint64_t ino : folders) TRY(give(ino));  // those that name each other in a ring
    for (const uint64_t ino : files) TRY(give(ino));
    if (count > 0) {
        report_.count("lost_files", count);
        report_.add("lost_files", fmt::format("{} files and folders are in use and no folder names them: they are listed below {}", count, kLostFolder),
                    {{"path", kLostFolder}, {"count", count}}, std::nullopt, sink);
    }
    return {};
}

// --- one inode ---

InodeEntry UnixReader::describe(const UnixInode& inode) {
    InodeEntry out;
    out.ino = static_cast<int64_t>(inode.ino);
    out.fs_ino = std::to_string(inode.ino);
    out.fs_type = inode.type_letter();
    out.nlink = inode.nlink;
    out.size = std::min<uint64_t>(inode.size, INT64_MAX);
    out.mtime = inode.mtime;
    out.atime = inode.atime;
    out.ctime = inode.ctime;
    out.crtime = inode.crtime;
    out.mtime_ns = inode.mtime_ns;
    out.mode = inode.mode;
    out.uid = inode.uid;
    out.gid = inode.gid;
    if (out.fs_type == 'l' && !inode.encrypted) out.target = link_target(inode);
    if (out.fs_type != 'f') return out;

    const auto unreadable = [&](Cause cause, std::string evidence) {
        out.access = ContentAccess::unreadable;
        if (out.size > 0) out.faults.push_back({cause, 0, out.size, std::move(evidence)});
        return out;
    };
    if (inode.mismatch) return unreadable(Cause::CHECKSUM, text_of(evidence_of(inode)));
    if (inode.encrypted) return unreadable(Cause::ENCRYPTED, R"({"reason":"encrypted by the filesystem"})");
    if (inode.compressed) return unreadable(Cause::UNSUPPORTED_COMPRESSION, R"({"reason":"e2compr"})");
    if (inode.content == UnixInode::Content::in_inode) {
        if (inode.in_inode.size() < inode.size) return unreadable(Cause::FS_CORRUPT, R"({"reason":"the inode holds less than the file's size"})");
        out.access = ContentAccess::through_reader;
        if (out.size > 0) out.extents.push_back({0, inode.place.offset, inode.place.length, ExtentKind::opaque});
        return out;
    }
    out.access = ContentAccess::extents;
    ContentMap places(out.size, volume_.size_bytes);
    places.finish(map(inode, places), out);
    return out;
}

ContentMap::Gap UnixReader::map(const UnixInode& inode, ContentMap& places) {
    if (inode.content == UnixInode::Content::extents) {
        map_extent_tree(blocks_, inode.extent_root, inode.checksum_seed, inode.size, places);
        return ContentMap::Gap::hole;
    }
    // An indirect block of zeros looks like holes. The inode knows how much it has.
    const uint64_t mapped = map_indirect(blocks_, inode.addresses, inode.size, places);
    return mapped < inode.held_bytes ? ContentMap::Gap::missing : ContentMap::Gap::hole;
}

std::string UnixReader::link_target(const UnixInode& inode) {
    constexpr uint64_t kMaxTarget = 4096;
    if (inode.content == UnixInode::Content::in_inode) return inode.in_inode;
    InodeEntry content;
    ContentMap places(std::min(inode.size, kMaxTarget), volume_.size_bytes);
    places.finish(map(inode, places), content);
    std::string target;
    for (const Extent& extent : content.extents) {
        if (extent.kind == ExtentKind::opaque) continue;
        if (extent.kind == ExtentKind::hole || blocks_.unread().in({extent.image_offset, extent.length})) break;
        std::string piece(extent.length, '\0');
        if (!blocks_.read(extent.image_offset, {reinterpret_cast<uint8_t*>(piece.data()), piece.size()})) break;
        target += piece;
    }
    return target;
}

// --- content ---

Result<size_t> UnixReader::read_content(const std::string& fs_ino, const std::string& /*there is one*/, uint64_t offset, ByteSpan out) {
    uint64_t ino = 0;
    const auto parsed = std::from_chars(fs_ino.data(), fs_ino.data() + fs_ino.size(), ino);
    if (parsed.ec != std::errc() || parsed.ptr != fs_ino.data() + fs_ino.size())
        return make_error(ErrorCode::invalid_argument, "not an inode of this filesystem: " + fs_ino);
    const UnixInodeRead read = inodes_->read(ino);
    TRY(host_failure());
    if (!read.inode || read.inode->mismatch || read.inode->content != UnixInode::Content::in_inode)
        return make_error(ErrorCode::io, fmt::format("inode {} cannot be read: {}", fs_ino, read.inode ? "its content is not in it" : read.reason));
    const std::string& content = read.inode->in_inode;
    if (offset >= content.size()) return size_t{0};
    const size_t length = std::min<size_t>(out.size(), content.size() - offset);
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), length, out.begin());
    return length;
}

}  // namespace

char UnixInode::type_letter() const {
    switch (mode & 0170000) {
        case 0100000: return 'f';
        case 0040000: return 'd';
        case 0120000: return 'l';
        case 0060000: return 'b';
        case 0020000: return 'c';
        case 0010000: return 'p';
        case 0140000: return 's';
        default: return 'u';
    }
}

Result<std::unique_ptr<FsReader>> open_unix(const ByteSource& source, const Volume& volume, const ReaderOptions& options) {
    const UnreadRanges unread(options.unread);
    const bool ufs = volume.fs_type == "ufs";
    if (!ufs && volume.fs_type != "ext") return make_error(ErrorCode::unsupported, "no reader for the filesystem " + volume.fs_type);
    TRY_ASSIGN(auto inodes, ufs ? open_ufs_inodes(source, volume, unread) : open_ext_inodes(source, volume, unread));
    return std::unique_ptr<FsReader>(std::make_unique<UnixReader>(volume, std::move(inodes)));
}

}  // namespace ntt
