#include "fs/listing/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "volume/detail.h"

namespace ntt {

namespace {

// A sink that counts, before the one that is wanted.
class BudgetSink final : public EntrySink {
public:
    BudgetSink(EntrySink& sink, const Volume& volume, uint64_t image_bytes, const ListingBudget& budget)
        : sink_(sink), number_(volume.number), image_{0, image_bytes}, budget_(budget) {}

    void add(Finding finding) override { sink_.add(std::move(finding)); }
    void add_directory(DirectoryPlace place) override { sink_.add_directory(std::move(place)); }

    Result<void> add_inode(InodeEntry inode) override {
        uint64_t data = 0, holes = 0, opaque = 0;
        for (const Extent& extent : inode.extents) {
            if (extent.kind == ExtentKind::hole)
                holes += extent.length;
            else
                (extent.kind == ExtentKind::data ? data : opaque) += intersect({extent.image_offset, extent.length}, image_).length;
        }
        if (inode.access == ContentAccess::through_reader) {
            data = opaque;
            holes = inode.size - std::min(inode.size, opaque);
        }
        if (data > budget_.data_bytes_of_file) {
            refuse(inode, "data_bytes_of_file", budget_.data_bytes_of_file, data);
        } else if (holes > budget_.hole_bytes - holes_) {
            refuse(inode, "hole_bytes", budget_.hole_bytes, holes);
        } else {
            holes_ += holes;
            data_ += data;
            if (data_ > budget_.data_bytes) return end("data_bytes", budget_.data_bytes, inode.fs_ino);
        }
        return sink_.add_inode(std::move(inode));
    }

    Result<void> add_name(NameEntry name) override {
        if (++names_ > budget_.names) return end("names", budget_.names, name.path);
        const auto depth = static_cast<uint64_t>(std::count(name.path.begin(), name.path.end(), '/'));
        if (depth > budget_.depth) return end("depth", budget_.depth, name.path.substr(0, 200));
        if (depth >= open_.size()) open_.resize(depth + 1);
        const size_t parent = std::hash<std::string_view>{}(std::string_view(name.path).substr(0, name.path.rfind('/') + 1));
        Directory& directory = open_[depth];
        if (directory.path_hash != parent) directory = {parent, 0};
        if (++directory.names > budget_.names_in_directory)
            return end("names_in_directory", budget_.names_in_directory, name.path);
        return sink_.add_name(std::move(name));
    }

private:
    // Readers list a directory before or while they enter those below it: one at a time at each depth.
    struct Directory {
        size_t path_hash = 0;
        uint64_t names = 0;
    };

    void report(const char* limit, uint64_t value, std::string message, std::optional<int64_t> ino) {
        if (!reported_.insert(limit).second) return;
        sink_.add({"budget_exceeded", std::move(message), fmt::format(R"({{"limit":"{}","value":{}}})", limit, value), number_, ino});
    }

    void refuse(InodeEntry& inode, const char* limit, uint64_t value, uint64_t claimed) {
        report(limit, value, "a file claims more than there can be; it is not read", inode.ino);
        inode.access = ContentAccess::unreadable;
        inode.extents.clear();
        inode.faults = {{Cause::IMPLAUSIBLE_SIZE, 0, inode.size, fmt::format(R"({{"limit":"{}","value":{},"claimed":{}}})", limit, value, claimed)}};
        if (inode.size == 0) inode.faults.clear();
    }

    Error end(const char* limit, uint64_t value, const std::string& at) {
        report(limit, value, "the volume names more than it can hold; the listing ended, and files may be missing", std::nullopt);
        return make_error(ErrorCode::limit, fmt::format("the listing's budget is used up at {}: {} is at most {}", to_terminal_text(at), limit, value));
    }

    EntrySink& sink_;
    int number_;
    ByteRange image_;
    ListingBudget budget_;
    uint64_t names_ = 0, data_ = 0, holes_ = 0;
    std::vector<Directory> open_;
    std::set<std::string_view> reported_;
};

class BudgetReader final : public FsReader {
public:
    BudgetReader(std::unique_ptr<FsReader> reader, const Volume& volume, uint64_t image_bytes, const ListingBudget& budget)
        : reader_(std::move(reader)), volume_(volume), image_bytes_(image_bytes), budget_(budget) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override {
        BudgetSink counted(sink, volume_, image_bytes_, budget_);
        return reader_->list(counted, cancel);
    }
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override {
        return reader_->read_content(fs_ino, stream, offset, out);
    }
    std::string detail() const override { return reader_->detail(); }

private:
    std::unique_ptr<FsReader> reader_;
    Volume volume_;
    uint64_t image_bytes_;
    ListingBudget budget_;
};

bool shares_extents(std::string_view family) {
    constexpr std::string_view kSharing[] = {"iso9660", "udf", "xfs", "btrfs", "apfs"};
    return std::find(std::begin(kSharing), std::end(kSharing), family) != std::end(kSharing);
}

}  // namespace

ListingBudget ListingBudget::of(const Volume& volume, uint64_t image_bytes) {
    constexpr uint64_t kMiB = uint64_t{1} << 20, kGiB = uint64_t{1} << 30;
    const ByteRange reach = reach_of(volume);
    const uint64_t bytes = std::min(image_bytes, uint64_t{1} << 48) - std::min({reach.offset, image_bytes, uint64_t{1} << 48});
    const uint64_t held = std::min(bytes, reach.length == 0 ? bytes : reach.length);
    ListingBudget budget;
    budget.names = 100'000 + held / 256;
    budget.names_in_directory = 20'000'000;
    budget.depth = 1'000;
    budget.data_bytes = (shares_extents(volume.fs_type) ? 64 : 4) * held + kMiB;
    budget.data_bytes_of_file = shares_extents(volume.fs_type) ? budget.data_bytes : held;
    budget.hole_bytes = 64 * held + 16 * kGiB;
    return budget;
}

std::unique_ptr<FsReader> within_budget(std::unique_ptr<FsReader> reader, const Volume& volume, uint64_t image_bytes,
                                        const ListingBudget& budget) {
    return std::make_unique<BudgetReader>(std::move(reader), volume, image_bytes, budget);
}

}  // namespace ntt
