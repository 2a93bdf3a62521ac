// ntt export: the files of a medium as a folder.
#include <map>

#include <fmt/format.h>

#include "base/bytes.h"
#include "command.h"
#include "contents.h"
#include "report/progress.h"
#include "os/safe_tree.h"
#include "target.h"

namespace ntt::cli {
namespace {

const Page kPage = {
    "export",
    "write the files of a medium into a folder",
    "MEDIUM DIR",
    "Makes the folders, files, symlinks and hard links of a medium below DIR, which must be absent or empty, with their times. "
    "Whole "
    "files only: what is damaged stays out, unless --damaged puts its salvaged part, with zeros for what is missing, under "
    "DIR/damaged "
    "beside a list LIST.tsv of paths, causes and missing ranges (offset+length). Where more than one volume has entries, each "
    "is a folder p<N>.\n\n"
    "Nothing is ever written outside of DIR, whatever the names on the medium are. A name that stands twice gets ~2, ~3 … behind "
    "it; a name that cannot be made is left out. Both are reported on standard error, or in --json as objects of the types "
    "renamed and left_out.",
    {{"ntt export f95834a4 /tmp/disk", "the whole files"},
     {"ntt export --damaged f95834a4 /tmp/disk", "and what was salvaged of the others"}},
    {{Exit::done, "every file was written; excluded ones and devices may have been left out"},
     {Exit::failed, "DIR is not empty, or a name could not be made, or the disk is full"},
     {Exit::damaged, "some files are damaged or unreadable"},
     {Exit::work_left, "some files have not been copied into the store yet"},
     {Exit::store_damaged, "a content in the store is missing or not what its name says"}},
};

constexpr std::string_view kDamagedDir = "damaged";
constexpr std::string_view kDamagedList = "damaged/LIST.tsv";

enum class Damaged { left_out, taken };

// A field of LIST.tsv: tabs, line ends, control bytes and backslashes as \xHH, the rest as it is.
std::string tsv_field(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || c == '\\')
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

FileTimes times_of(const InodeRow& inode) { return {inode.atime, inode.mtime, inode.mtime_ns}; }

bool all_zero(ByteView bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// Folders first, so that a file of the same name gives way; symlinks after all files, so that none is ever in the way;
// the times of folders last, when nothing changes inside them any more.
class Exporter {
public:
    Exporter(Session& session, Catalog& catalog, Store& store, const MediumView& medium, SafeTree& tree, Damaged damaged)
        : session_(session), catalog_(catalog), store_(store), medium_(medium), tree_(tree), damaged_(damaged) {}

    Result<void> run() {
        const Progress progress(session_.progress_terminal(), counters_);
        TRY(each_row([&](const FileRow& row) { return row.inode.fs_type == 'd' ? folder(row) : Result<void>(); }));
        TRY(each_row([&](const FileRow& row) {
            return row.inode.fs_type == 'd' || row.inode.fs_type == 'l' ? Result<void>() : file(row);
        }));
        TRY(each_row([&](const FileRow& row) { return row.inode.fs_type == 'l' ? symlink(row) : Result<void>(); }));
        for (auto it = folders_.rbegin(); it != folders_.rend(); ++it) TRY(tree_.set_times(it->first, it->second));
        return {};
    }

    Exit exit() const { return exit_; }
    Json summary() const {
        return {{"type", "export"}, {"files", files_}, {"bytes", bytes_}, {"damaged", damaged_files_}, {"left_out", left_out_}};
    }
    std::string summary_text() const {
        return fmt::format("{} files, {}; {} damaged, {} left out\n", with_commas(files_), human_size(bytes_),
                           with_commas(damaged_files_), with_commas(left_out_));
    }

private:
    Result<void> each_row(const std::function<Result<void>(const FileRow&)>& visit) {
        FileFilter filter;
        filter.medium_hash = medium_.hash();
        return catalog_.files(filter, [&](const FileRow& row) -> Result<void> {
            TRY(session_.io().cancel.check());
            return visit(row);
        });
    }

    // Where a row goes. A folder "damaged" of the medium's own must not mix with ours.
    std::string place_of(const FileRow& row) const {
        std::string path = medium_.shown_path(row);
        const bool is_ours = path.substr(0, path.find('/')) == kDamagedDir;
        if (damaged_ == Damaged::taken && is_ours) path.insert(kDamagedDir.size(), "~2");
        return path;
    }

    Result<void> folder(const FileRow& row) {
        if (row.path.exclude_reason) return {};
        const std::string path = place_of(row);
        const auto made = tree_.make_dir(path);
        if (!made.ok()) return not_made(row, made.error());
        folders_[path] = times_of(row.inode);
        return {};
    }

    Result<void> file(const FileRow& row) {
        const InodeRow& inode = row.inode;
        if (row.path.exclude_reason) return leave_out(row, "excluded: " + *row.path.exclude_reason, Exit::done);
        if (inode.fs_type != 'f') return leave_out(row, "neither a file nor a folder nor a symlink", Exit::done);
        if (inode.blobid) return content(row, {BlobKind::whole, *inode.blobid}, place_of(row));
        const std::string status(to_string(inode.counted_as()));
        if (inode.counted_as() == Status::pending)
            return leave_out(row, "pending: not copied into the store yet", Exit::work_left);
        if (inode.counted_as() == Status::excluded) return leave_out(row, status, Exit::done);
        ++damaged_files_;
        if (damaged_ == Damaged::left_out) return leave_out(row, status + ": --damaged takes what there is", Exit::damaged);
        TRY(begin_list());
        std::string written_as;
        if (inode.partial_blobid) {
            TRY(content(row, {BlobKind::partial, *inode.partial_blobid},
                        fmt::format("{}/{}", kDamagedDir, medium_.shown_path(row)), &written_as));
            exit_ = worst(exit_, Exit::damaged);
        } else {
            TRY(leave_out(row, status + ": the store has nothing of it", Exit::damaged));
        }
        return add_to_list(row, written_as);
    }

    struct Blob {
        BlobKind kind;
        BlobId id;
    };
    // Writes one content, or links it to the name under which this inode stands already.
    Result<void> content(const FileRow& row, const Blob& blob, const std::string& path, std::string* written_as = nullptr) {
        const std::pair<int, int64_t> inode{row.inode.volume, row.inode.ino};
        const auto linked = linked_.find(inode);
        std::string stands_at;
        if (linked != linked_.end()) {
            auto made = tree_.make_hard_link(linked->second, path);
            if (!made.ok()) return not_made(row, made.error());
            stands_at = std::move(*made);
        } else {
            auto made = tree_.make_file(path);
            if (!made.ok()) return not_made(row, made.error());
            stands_at = std::move(made->path);
            const auto written = fill(made->file, blob);
            if (!written.ok()) {
                TRY(tree_.remove_file(stands_at));
                return lost(row, written.error());
            }
            if (row.inode.nlink > 1) linked_[inode] = stands_at;
            TRY(tree_.set_times(stands_at, times_of(row.inode)));
        }
        ++files_;
        bytes_ += row.inode.size;
        ++counters_.files_done;
        if (written_as != nullptr) *written_as = stands_at;
        return stands_at == path ? Result<void>() : renamed(row, stands_at);
    }

    // Long runs of zeros become holes.
    Result<void> fill(const Fd& file, const Blob& blob) {
        Env& env = session_.io().env;
        uint64_t at = 0;
        const auto take = [&](ByteView bytes) -> Result<void> {
            if (!all_zero(bytes)) TRY(env.write_at(file, bytes, at));
            at += bytes.size();
            counters_.bytes_done += bytes.size();
            return {};
        };
        TRY(read_blob(env, store_, blob.kind, blob.id, session_.io().cancel, take));
        return env.truncate(file, at);
    }

    Result<void> symlink(const FileRow& row) {
        if (row.path.exclude_reason) return {};
        const std::string path = place_of(row);
        const auto made = tree_.make_symlink(row.inode.target.value_or(""), path);
        if (!made.ok()) return not_made(row, made.error());
        TRY(tree_.set_times(*made, times_of(row.inode)));
        return *made == path ? Result<void>() : renamed(row, *made);
    }

    // --- what went another way ---

    Result<void> leave_out(const FileRow& row, const std::string& reason, Exit exit) {
        ++left_out_;
        exit_ = worst(exit_, exit);
        return tell("left_out", row, "reason", reason);
    }

    // A name that the folder cannot have is one file's trouble, a full disk is everybody's.
    Result<void> not_made(const FileRow& row, const Error& error) {
        if (error.code == ErrorCode::no_space || error.code == ErrorCode::io || error.code == ErrorCode::cancelled) return error;
        return leave_out(row, "the name cannot be made: " + error.text(), Exit::failed);
    }

    Result<void> lost(const FileRow& row, const Error& error) {
        if (error.code == ErrorCode::not_found) return leave_out(row, "its content is missing in the store", Exit::store_damaged);
        if (error.code == ErrorCode::store_damaged) return leave_out(row, error.text(), Exit::store_damaged);
        return error;
    }

    Result<void> renamed(const FileRow& row, const std::string& stands_at) {
        return tell("renamed", row, "written_as", stands_at);
    }

    Result<void> tell(std::string_view type, const FileRow& row, const char* key, const std::string& text) {
        if (!session_.json()) {
            session_.say(fmt::format("{} {}: {}", type == "renamed" ? "renamed" : "left out",
                                     to_terminal_text(medium_.shown_path(row)), to_terminal_text(text)));
            return {};
        }
        Json object = {{"type", type}, {"medium_hash", row.medium_hash}, {"volume", row.inode.volume}, {"ino", row.inode.ino}};
        put_path(object, row.path.path);
        object[key] = to_display_utf8(text);
        return session_.out().json(object);
    }

    // --- the list of damaged files ---

    Result<void> begin_list() {
        if (list_.valid()) return {};
        TRY_ASSIGN(auto made, tree_.make_file(std::string(kDamagedList)));
        list_ = std::move(made.file);
        return append_to_list("path\tcause\tmissing\twritten_as\n");
    }

    Result<void> add_to_list(const FileRow& row, const std::string& written_as) {
        std::string ranges;
        for (const MissingRow& range : joined(row.missing))
            ranges += fmt::format("{}{}+{}", ranges.empty() ? "" : ",", range.file_offset, range.length);
        return append_to_list(fmt::format("{}\t{}\t{}\t{}\n", tsv_field(medium_.shown_path(row)),
                                          row.inode.cause ? to_string(*row.inode.cause) : "", ranges, tsv_field(written_as)));
    }

    Result<void> append_to_list(const std::string& text) {
        TRY(session_.io().env.write_at(list_, as_bytes(text), list_size_));
        list_size_ += text.size();
        return {};
    }

    Session& session_;
    Catalog& catalog_;
    Store& store_;
    const MediumView& medium_;
    SafeTree& tree_;
    Damaged damaged_;
    ProgressCounters counters_;
    std::map<std::string, FileTimes> folders_;
    std::map<std::pair<int, int64_t>, std::string> linked_;  // inodes with several names -> where the first one stands
    Fd list_;
    uint64_t list_size_ = 0;
    uint64_t files_ = 0, bytes_ = 0, damaged_files_ = 0, left_out_ = 0;
    Exit exit_ = Exit::done;
};

class ExportCommand final : public Command {
public:
    const Page& page() const override { return kPage; }
    void declare(CLI::App& app) override {
        declare_medium(app, medium_);
        app.add_option("DIR", dir_, "a folder that is absent or empty")->required();
        app.add_flag("--damaged", damaged_, "put salvaged parts of damaged files under DIR/damaged");
    }

    Result<Exit> run(Session& session) override {
        TRY_ASSIGN(const auto catalog, session.open_catalog());
        TRY_ASSIGN(const auto store, session.open_store());
        TRY_ASSIGN(const MediumView medium, MediumView::resolve(*catalog, medium_));
        TRY_ASSIGN(SafeTree tree, SafeTree::create(session.io().env, dir_));
        Exporter exporter(session, *catalog, *store, medium, tree, damaged_ ? Damaged::taken : Damaged::left_out);
        TRY(exporter.run());
        TRY(session.json() ? session.out().json(exporter.summary()) : session.out().text(exporter.summary_text()));
        return exporter.exit();
    }

private:
    std::string medium_, dir_;
    bool damaged_ = false;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace ntt::cli
