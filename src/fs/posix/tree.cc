#include "fs/posix/tree.h"

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fs/listing/listing_report.h"
#include "fs/listing/tree_walk.h"
#include "os/folder.h"

namespace ntt {
namespace {

using nlohmann::json;

constexpr uint64_t kFirstFolded = uint64_t{1} << 62, kFirstShared = kFirstFolded + (uint64_t{1} << 61);

Cause cause_of(const Error& error) {
    switch (error.sys_errno) {
        case EACCES:
        case EPERM: return Cause::PERMISSION;
        case ENOENT:
        case ESTALE: return Cause::MISSING_FILE;
        case ENOTCONN:
        case ENODEV: return Cause::MOUNT_INACCESSIBLE;
        case ETIMEDOUT: return Cause::TIMEOUT;
        default: return Cause::IO_ERROR;
    }
}

int64_t number_of(uint64_t ino) { return static_cast<int64_t>(ino < kFirstFolded ? ino : kFirstFolded | (ino & (kFirstFolded / 2 - 1))); }

// One walk over a tree.
class Walk {
public:
    Walk(const Fd& root, EntrySink& sink, const CancelToken& cancel) : root_(root), sink_(sink), cancel_(cancel), report_(0) {}

    Result<void> run() {
        TRY_ASSIGN(root_facts_, facts_of(root_));
        seen_.emplace(number_of(root_facts_.ino), Seen::of(root_facts_));
        std::vector<std::string> pending = {""};
        return walk_tree(pending, cancel_, [&](const std::string& folder) { return list_folder(folder, pending); });
    }

private:
    struct Seen {
        char type;
        uint64_t size;
        int64_t mtime;
        bool operator==(const Seen&) const = default;
        static Seen of(const FileFacts& facts) { return {facts.type, facts.size, facts.mtime}; }
    };

    Result<void> list_folder(const std::string& path, std::vector<std::string>& pending) {
        const Result<Fd> folder = open_folder_below(root_, path);
        if (!folder.ok()) {
            note("directory_unreadable", path, folder.error(), "could not be opened: files may be missing here", {});
            return {};
        }
        FolderNames found = names_in(*folder);
        if (found.error) note("directory_unreadable", path, *found.error, "could not be read to its end: files may be missing here", {});
        std::sort(found.names.begin(), found.names.end());
        sink_.add_directory({path, {}, {}});
        for (const std::string& name : found.names) {
            TRY(cancel_.check());
            TRY(take(*folder, path, name, pending));
        }
        return {};
    }

    Result<void> take(const Fd& folder, const std::string& parent, const std::string& name, std::vector<std::string>& pending) {
        std::string path = parent.empty() ? name : parent + "/" + name;
        if (path.size() > kMaxPathBytes) {
            note("path_too_long", parent, make_error(ErrorCode::limit, "the path is too long"), "has names that are not listed", {});
            return {};
        }
        const Result<FileFacts> facts = facts_of(folder, name);
        if (!facts.ok()) {
            note("inode_unreadable", path, facts.error(), "is named, and cannot be looked at", {});
            return {};
        }
        const auto [ino, is_new] = number(*facts, path);
        const bool elsewhere = facts->dev != root_facts_.dev || facts->mount_id != root_facts_.mount_id;
        if (is_new) TRY(sink_.add_inode(entry_of(folder, name, path, *facts, ino)));
        TRY(sink_.add_name({path, "", ino}));
        if (facts->type != 'd') return {};
        if (elsewhere) {
            report_.add("other_filesystem", fmt::format("/{} is another filesystem's mount point and was not entered", to_terminal_text(path)),
                        {{"path", "/" + to_terminal_text(path)}}, ino, sink_);
        } else if (is_new) {
            pending.push_back(std::move(path));
        } else {
            report_.add("directory_loop", fmt::format("/{} is a folder that was listed before; it is not followed", to_terminal_text(path)),
                        {{"path", "/" + to_terminal_text(path)}}, ino, sink_);
        }
        return {};
    }

    // The inode's number in the catalog, and whether it was not seen before.
    std::pair<int64_t, bool> number(const FileFacts& facts, const std::string& path) {
        const int64_t ino = number_of(facts.ino);
        const Seen seen = Seen::of(facts);
        const auto [first, is_new] = seen_.try_emplace(ino, seen);
        if (is_new || (first->second == seen && (facts.type == 'd' || facts.nlink > 1))) return {ino, is_new};
        const auto other = static_cast<int64_t>(kFirstShared + shared_++);
        report_.add("inode_number_shared", fmt::format("/{} has the inode number of another file, {}", to_terminal_text(path), facts.ino),
                    {{"path", "/" + to_terminal_text(path)}, {"inode", facts.ino}}, other, sink_);
        return {other, true};
    }

    InodeEntry entry_of(const Fd& folder, const std::string& name, const std::string& path, const FileFacts& facts, int64_t ino) {
        InodeEntry out;
        out.ino = ino;
        out.fs_ino = fmt::to_string(facts.ino);
        out.fs_type = facts.type;
        out.nlink = facts.nlink;
        out.size = facts.size;
        out.mtime = facts.mtime;
        out.mtime_ns = facts.mtime_ns;
        out.atime = facts.atime;
        out.ctime = facts.ctime;
        out.crtime = facts.crtime;
        out.mode = static_cast<int>(facts.mode);
        out.uid = static_cast<int64_t>(facts.uid);
        out.gid = static_cast<int64_t>(facts.gid);
        if (facts.type == 'l') {
            Result<std::string> target = link_target(folder, name);
            if (target.ok()) out.target = std::move(target).value();
            else note("link_unreadable", path, target.error(), "is a symbolic link whose target cannot be read", ino);
        }
        if (facts.type == 'f') {
            out.access = ContentAccess::through_reader;
            if (facts.size > 0 && kernel_tells_extents_) out.extents = extents_of(folder, name, facts.size);
        }
        return out;
    }

    // A filesystem that says nothing of its first files is not asked for each of millions.
    std::vector<Extent> extents_of(const Fd& folder, const std::string& name, uint64_t size) {
        const Result<Fd> file = open_file_below(folder, name);
        if (!file.ok()) return {};
        std::vector<Extent> extents = extents_on_device(*file, size);
        silent_files_ = extents.empty() ? silent_files_ + 1 : 0;
        kernel_tells_extents_ = silent_files_ < kSilentFiles;
        return extents;
    }

    void note(const char* code, const std::string& path, const Error& error, std::string_view words, std::optional<int64_t> ino) {
        const std::string shown = "/" + to_terminal_text(path);
        report_.add(code, fmt::format("{} {} ({})", shown, words, error.text()),
                    {{"path", shown}, {"errno", error.sys_errno}, {"cause", to_string(cause_of(error))}}, ino, sink_);
    }

    static constexpr int kSilentFiles = 64;

    const Fd& root_;
    EntrySink& sink_;
    const CancelToken& cancel_;
    ListingReport report_;
    FileFacts root_facts_;
    std::unordered_map<int64_t, Seen> seen_;
    uint64_t shared_ = 0;
    bool kernel_tells_extents_ = true;
    int silent_files_ = 0;
};

}  // namespace

Result<void> Tree::list(EntrySink& sink, const CancelToken& cancel) { return Walk(root_, sink, cancel).run(); }

Result<void> Tree::look(const std::string& path) const {
    TRY(open_file_below(root_, path));
    return {};
}

Result<void> Tree::check() const {
    TRY(open_folder_in(root_, "."));
    return {};
}

Result<void> Tree::open(const TreeFile& file) {
    const bool same_file = file.fs_ino.empty() || file.fs_ino == open_ino_;
    if (open_file_.valid() && open_path_ == file.path && same_file) return {};
    open_file_.reset();
    TRY_ASSIGN(Fd opened, open_file_below(root_, file.path));
    TRY_ASSIGN(const FileFacts facts, facts_of(opened));
    if (!file.fs_ino.empty() && fmt::to_string(facts.ino) != file.fs_ino) return errno_error(ENOENT, "another file has the place of " + to_terminal_text(file.path));
    open_file_ = std::move(opened);
    open_path_ = file.path;
    open_ino_ = fmt::to_string(facts.ino);
    open_mtime_ = facts.mtime;
    open_mtime_ns_ = facts.mtime_ns;
    return {};
}

Result<size_t> Tree::read(const TreeFile& file, uint64_t offset, ByteSpan out) {
    TRY(open(file));
    Result<size_t> done = Env::host().read_at(open_file_, out, offset);
    if (!done.ok() && done.error().sys_errno == EIO) {
        read_nothing_ahead(open_file_, {offset, out.size()});
        done = Env::host().read_at(open_file_, out, offset);
    }
    if (!done.ok()) {
        open_file_.reset();  // a handle may be what is stale
        return done;
    }
    TRY_ASSIGN(const FileFacts now, facts_of(open_file_));
    const bool other_time = file.mtime && (*file.mtime != now.mtime || (file.mtime_ns != 0 && file.mtime_ns != now.mtime_ns));
    if (now.size != file.size || other_time || now.mtime != open_mtime_ || now.mtime_ns != open_mtime_ns_) {
        open_file_.reset();
        return make_error(ErrorCode::source_changed,
                          fmt::format("/{} changed since it was listed: it has {} bytes, and had {}", to_terminal_text(file.path), now.size, file.size));
    }
    return done;
}

}  // namespace ntt
