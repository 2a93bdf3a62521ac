#include "ingest/geometry.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "fs/isolated/reader_client.h"
#include "ingest/enumerate.h"

namespace ntt {
namespace {

constexpr int64_t kFirstGiven = (int64_t{1} << 62) + (int64_t{1} << 60);

std::string folded(std::string path) {
    for (char& c : path) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return path;
}

// Gives each inode its places when its first name says who it is.
class PlacingSink final : public EntrySink {
public:
    PlacingSink(EntrySink& to, const ImageGeometry& geometry, const Volume& volume, Numbers numbers, std::optional<Cause> unread)
        : to_(to), geometry_(geometry), volume_(volume), numbers_(numbers), unread_(unread) {}

    void add(Finding finding) override {
        if (finding.ino && numbers_ == Numbers::given) finding.ino.reset();
        to_.add(std::move(finding));
    }
    void add_directory(DirectoryPlace) override {}  // those of the image say where they lie
    Result<void> add_inode(InodeEntry inode) override {
        TRY(pass_on());
        inode_ = std::move(inode);
        return {};
    }
    Result<void> add_name(NameEntry name) override {
        if (inode_ && inode_->ino == name.ino) {
            place(*inode_, name.path);
            TRY(pass_on());
        }
        if (const auto given = number_of_.find(name.ino); given != number_of_.end()) name.ino = given->second;
        return to_.add_name(std::move(name));
    }
    Result<void> pass_on() {
        if (!inode_) return {};
        InodeEntry inode = *std::exchange(inode_, std::nullopt);
        return to_.add_inode(std::move(inode));
    }

private:
    void place(InodeEntry& inode, const std::string& path) {
        const ImageGeometry::Place* known = geometry_.find(path, inode.fs_type, inode.size);
        if (numbers_ == Numbers::given) {
            const int64_t number = known != nullptr && taken_.insert(known->ino).second ? known->ino : number_by(path);
            if (number < kFirstGiven) inode.fs_ino = known->fs_ino;
            number_of_.emplace(inode.ino, number);
            inode.ino = number;
        }
        if (inode.fs_type != 'f') return;
        if (geometry_.is_doubled(path)) return do_not_believe(inode, Cause::FS_CORRUPT, "doubled_name");
        if (known != nullptr) {
            inode.extents = known->extents;
            inode.faults = known->faults;
            return;
        }
        for (Extent& extent : inode.extents)  // of the block device, which begins where the volume does
            if (extent.kind == ExtentKind::data) extent.image_offset += volume_.offset_bytes;
        if (inode.extents.empty() && unread_) do_not_believe(inode, *unread_, "place_unknown");
    }

    static void do_not_believe(InodeEntry& inode, Cause cause, const char* kind) {
        if (inode.size == 0) return;
        inode.extents.clear();
        inode.faults = {{cause, 0, inode.size, nlohmann::json{{"kind", kind}}.dump()}};
    }

    // The same at every listing.
    int64_t number_by(const std::string& path) {
        uint64_t hash = 0;
        const BlobId digest = blake3_of(as_bytes(path));
        std::memcpy(&hash, digest.bytes.data(), sizeof hash);
        int64_t number = kFirstGiven | static_cast<int64_t>(hash & ((uint64_t{1} << 60) - 1));
        while (!taken_.insert(number).second) ++number;
        return number;
    }

    EntrySink& to_;
    const ImageGeometry& geometry_;
    const Volume& volume_;
    const Numbers numbers_;
    const std::optional<Cause> unread_;
    std::optional<InodeEntry> inode_;
    std::unordered_map<int64_t, int64_t> number_of_;  // by the driver's
    std::unordered_set<int64_t> taken_;
};

}  // namespace

Result<ImageGeometry> ImageGeometry::of(const ByteSource& source, const Volume& volume, const ReaderOptions& options, const CancelToken& cancel) {
    ImageGeometry out;
    if (!volume.readable) return out;
    Result<std::unique_ptr<FsReader>> reader = open_apart(source, volume, options, out);
    Result<void> listed = reader.ok() ? (*reader)->list(out, cancel) : Result<void>(reader.error());
    TRY(cancel.check());
    if (!listed.ok() && is_of_the_host(listed.error())) return std::move(listed).take_error();
    return out;
}

Result<void> ImageGeometry::add_inode(InodeEntry inode) {
    if (!inode.stream.empty()) return {};
    by_inode_[inode.ino] = std::make_shared<Place>(Place{inode.ino, inode.fs_ino, inode.fs_type, inode.size, std::move(inode.extents), std::move(inode.faults)});
    return {};
}

Result<void> ImageGeometry::add_name(NameEntry name) {
    if (const auto known = by_inode_.find(name.ino); known != by_inode_.end()) {
        by_folded_path_[folded(name.path)].push_back(known->second);
        by_path_[std::move(name.path)].push_back(known->second);
    }
    return {};
}

const ImageGeometry::Place* ImageGeometry::find(const std::string& path, char fs_type, uint64_t size) const {
    auto named = by_path_.find(path);
    if (named == by_path_.end()) {
        named = by_folded_path_.find(folded(path));
        if (named == by_folded_path_.end()) return nullptr;
    }
    const Place* only = nullptr;
    for (const auto& place : named->second) {
        const bool fits = place->fs_type == fs_type && (fs_type != 'f' || place->size == size);
        if (!fits || place.get() == only) continue;
        if (only != nullptr) return nullptr;  // two of one name: nobody knows which of them the driver shows
        only = place.get();
    }
    return only;
}

bool ImageGeometry::is_doubled(const std::string& path) const {
    const auto named = by_path_.find(path);
    return named != by_path_.end() && std::any_of(named->second.begin(), named->second.end(), [&](const auto& place) { return place != named->second.front(); });
}

Numbers numbers_of(const MountEntry& mount) { return mount.fs_type.starts_with("fuse.") || mount.fs_type == "fuse" ? Numbers::given : Numbers::kept; }

Result<void> PlacedReader::list(EntrySink& sink, const CancelToken& cancel) {
    for (const DirectoryPlace& place : geometry_.directories()) {
        DirectoryPlace without_inode = place;
        without_inode.ino.reset();  // the image engine's numbers are others
        sink.add_directory(std::move(without_inode));
    }
    for (Finding finding : geometry_.findings()) {
        finding.ino.reset();
        sink.add(std::move(finding));
    }
    PlacingSink placing(sink, geometry_, volume_, numbers_, unread_);
    TRY(tree_.list(placing, cancel));
    return placing.pass_on();
}

}  // namespace ntt
