#include "target.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/bytes.h"

namespace ntt::cli {
namespace {

constexpr size_t kMaxNamed = 10'000;  // rows that one name may have

// The whole of `text` as a number.
template <typename T>
std::optional<T> number_from(std::string_view text) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Result<std::vector<FileRow>> rows_of(Catalog& catalog, const FileFilter& filter) {
    std::vector<FileRow> out;
    const auto visit = [&](const FileRow& row) -> Result<void> {
        out.push_back(row);
        return out.size() < kMaxNamed ? Result<void>() : make_error(ErrorCode::limit, "enough");
    };
    TRY(catalog.files(filter, visit));
    return out;
}

Result<bool> has_entries(Catalog& catalog, const std::string& medium_hash, int volume) {
    FileFilter filter;
    filter.medium_hash = medium_hash;
    filter.volume = volume;
    bool any = false;
    TRY(catalog.files(filter, [&](const FileRow&) -> Result<void> {
        any = true;
        return make_error(ErrorCode::limit, "one is enough");
    }));
    return any;
}

}  // namespace

Result<MediumView> MediumView::resolve(Catalog& catalog, const std::string& text) {
    TRY_ASSIGN(MediumRow row, catalog.resolve_medium(text));
    return of(catalog, std::move(row));
}

Result<MediumView> MediumView::of(Catalog& catalog, MediumRow row) {
    MediumView out;
    out.row_ = std::move(row);
    TRY_ASSIGN(const auto volumes, catalog.volumes(out.hash()));
    for (const VolumeRow& volume : volumes) {
        TRY_ASSIGN(const bool any, has_entries(catalog, out.hash(), volume.volume));
        if (any) out.volumes_.push_back(volume.volume);
    }
    return out;
}

std::string MediumView::shown_path(const FileRow& file) const {
    return many_volumes() ? fmt::format("p{}/{}", file.path.volume, file.path.path) : file.path.path;
}

MediumView::Split MediumView::split(const std::string& path) const {
    const size_t slash = path.find('/');
    if (!many_volumes() || path.empty() || path[0] != 'p' || slash == std::string::npos) return {std::nullopt, path};
    const auto volume = number_from<int>(std::string_view(path).substr(1, slash - 1));
    if (!volume || std::find(volumes_.begin(), volumes_.end(), *volume) == volumes_.end()) return {std::nullopt, path};
    return {volume, path.substr(slash + 1)};
}

void MediumView::narrow_by_glob(FileFilter& filter, const std::string& glob) const {
    Split parts = split(glob);
    if (parts.volume) filter.volume = parts.volume;
    filter.path_glob = std::move(parts.rest);
}

Result<std::vector<FileRow>> MediumView::files_named(Catalog& catalog, const std::string& text, std::optional<int> volume) const {
    const std::string path = text.substr(0, 1) == "/" ? text.substr(1) : text;  // no path in the catalog begins with one
    const Split parts = split(path);
    FileFilter by_path;
    by_path.medium_hash = hash();
    by_path.volume = parts.volume ? parts.volume : volume;
    by_path.path_exact = parts.rest;
    TRY_ASSIGN(auto rows, rows_of(catalog, by_path));
    if (!rows.empty()) return rows;

    if (const auto ino = number_from<int64_t>(parts.rest)) {
        FileFilter by_ino;
        by_ino.medium_hash = hash();
        by_ino.volume = by_path.volume;
        by_ino.ino = ino;
        TRY_ASSIGN(rows, rows_of(catalog, by_ino));
        if (!rows.empty()) return rows;
    }
    return make_error(
        ErrorCode::not_found, fmt::format("{} has no file {}", row_.medium_human, to_terminal_text(text)),
        fmt::format("ntt files {} lists its files{}", hash(), many_volumes() ? "; several volumes: paths begin with p<N>/" : ""));
}

std::vector<FileRow> one_row_per_inode(const std::vector<FileRow>& files) {
    std::vector<FileRow> out;
    std::set<std::pair<int, int64_t>> seen;
    for (const FileRow& row : files)
        if (seen.emplace(row.inode.volume, row.inode.ino).second) out.push_back(row);
    return out;
}

Result<FileRow> only_one(const std::vector<FileRow>& files, const std::string& text) {
    auto inodes = one_row_per_inode(files);
    if (inodes.size() == 1) return std::move(inodes.front());
    std::string list;
    for (const FileRow& row : inodes)
        list += fmt::format("{}inode {} of volume {}", list.empty() ? "" : ", ", row.inode.ino, row.inode.volume);
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} names {} files: {}", to_terminal_text(text), inodes.size(), list),
                      "name the inode instead of the path, and --volume N");
}

void declare_medium(CLI::App& app, std::string& medium) {
    app.add_option("MEDIUM", medium, "a medium: its hash, a unique prefix of it, or its label")->required();
}

void declare_status(CLI::App& app, std::optional<std::string>& status) {
    app.add_option("--status", status, "stored, damaged, unreadable, excluded, nonfile or pending")
        ->type_name("STATUS")
        ->check([](const std::string& text) { return status_from(text) ? "" : "there is no status " + text; });
}

void declare_cause(CLI::App& app, std::optional<std::string>& cause) {
    app.add_option("--cause", cause, "a cause of damage, such as BAD_SECTOR or NOT_TRIED")
        ->type_name("CAUSE")
        ->check([](const std::string& text) { return cause_from(text) ? "" : "there is no cause " + text; });
}

void declare_volume(CLI::App& app, std::optional<int>& volume) {
    app.add_option("--volume", volume, "only this volume of the medium")->type_name("N");
}

}  // namespace ntt::cli
