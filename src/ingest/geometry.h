// Where the files of a mounted volume lie in its image: by the image engine's reader where there is one, else by the kernel.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "os/mount_table.h"
#include "volume/volume.h"

namespace ntt {

// What the image engine lists of a volume: places and faults by path, and findings. Nothing of it but these goes to the catalog.
class ImageGeometry final : public EntrySink {
public:
    // Lists the volume. That the image engine cannot read it leaves this empty, and is no error.
    static Result<ImageGeometry> of(const ByteSource& source, const Volume& volume, const ReaderOptions& options, const CancelToken& cancel);

    struct Place {
        int64_t ino = 0;
        std::string fs_ino;
        char fs_type = 'f';
        uint64_t size = 0;
        std::vector<Extent> extents;
        std::vector<ContentFault> faults;
    };
    // Of the only entry with this path, else with this path but for its case (drivers fold FAT names), of this type and, of a file, size;
    // null if there is none.
    const Place* find(const std::string& path, char fs_type, uint64_t size) const;
    // Whether several entries have just this path.
    bool is_doubled(const std::string& path) const;
    const std::vector<Finding>& findings() const { return findings_; }
    const std::vector<DirectoryPlace>& directories() const { return directories_; }

    void add(Finding finding) override { findings_.push_back(std::move(finding)); }
    Result<void> add_inode(InodeEntry inode) override;
    Result<void> add_name(NameEntry name) override;
    void add_directory(DirectoryPlace place) override { directories_.push_back(std::move(place)); }

private:
    std::unordered_map<int64_t, std::shared_ptr<Place>> by_inode_;
    std::unordered_map<std::string, std::vector<std::shared_ptr<Place>>> by_path_, by_folded_path_;
    std::vector<Finding> findings_;
    std::vector<DirectoryPlace> directories_;
};

// Whose inode numbers a tree shows.
enum class Numbers : uint8_t {
    kept,   // the filesystem's own
    given,  // the driver's, other ones at each mount: those of the image engine stand in, else numbers from 2^62 + 2^60 on, by path
};

Numbers numbers_of(const MountEntry& mount);

// A tree's listing with the places of its files in the image. Files of which nobody says where they lie, on a volume of which
// sectors were not read (`unread`: why), are not believed: what was not read looks like zeros. Neither is a name that stands twice in
// a folder: the driver shows one of the two for both.
class PlacedReader final : public FsReader {
public:
    PlacedReader(FsReader& tree, const ImageGeometry& geometry, const Volume& volume, Numbers numbers, std::optional<Cause> unread)
        : tree_(tree), geometry_(geometry), volume_(volume), numbers_(numbers), unread_(unread) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override {
        return tree_.read_content(fs_ino, stream, offset, out);
    }

private:
    FsReader& tree_;
    const ImageGeometry& geometry_;
    const Volume& volume_;
    const Numbers numbers_;
    const std::optional<Cause> unread_;
};

}  // namespace ntt
