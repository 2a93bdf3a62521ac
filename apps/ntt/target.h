// Which medium and which of its files a person means; options that several commands share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "catalog/catalog.h"

namespace ntt::cli {

// A medium with what is needed to name its files: where more than one volume has entries, paths are shown and taken with
// p<N>/ in front (design, section 9).
class MediumView {
public:
    // `text`: a hash, a unique prefix of one, or a label. Errors as Catalog::resolve_medium.
    static Result<MediumView> resolve(Catalog& catalog, const std::string& text);
    static Result<MediumView> of(Catalog& catalog, MediumRow row);

    const MediumRow& row() const { return row_; }
    const std::string& hash() const { return row_.medium_hash; }
    bool many_volumes() const { return volumes_.size() > 1; }
    std::string shown_path(const FileRow& file) const;

    // Narrows `filter` to a path or glob as it stands on the command line: p<N>/ becomes the volume.
    void narrow_by_glob(FileFilter& filter, const std::string& glob) const;
    // Every name that `text` can mean: a path (raw bytes, with or without p<N>/) or else an inode number. Several rows when
    // the name stands twice, or in several volumes. not_found when there is none.
    Result<std::vector<FileRow>> files_named(Catalog& catalog, const std::string& text, std::optional<int> volume) const;

private:
    struct Split {
        std::optional<int> volume;
        std::string rest;
    };
    Split split(const std::string& path) const;

    MediumRow row_;
    std::vector<int> volumes_;  // with entries
};

// One file of `files`, when all rows speak of one inode; invalid_argument, naming the inodes, otherwise.
Result<FileRow> only_one(const std::vector<FileRow>& files, const std::string& text);

// The first row of each inode.
std::vector<FileRow> one_row_per_inode(const std::vector<FileRow>& files);

// --- options ---
void declare_medium(CLI::App& app, std::string& medium);
void declare_status(CLI::App& app, std::optional<std::string>& status);
void declare_cause(CLI::App& app, std::optional<std::string>& cause);
void declare_volume(CLI::App& app, std::optional<int>& volume);

}  // namespace ntt::cli
