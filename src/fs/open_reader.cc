#include "fs/fat/fat_reader.h"
#include "fs/fs_reader.h"
#include "fs/hfs/hfs_reader.h"
#include "fs/hfsplus/hfsplus_reader.h"
#include "fs/listing/budget.h"
#include "fs/repair/repair.h"
#include "fs/tsk/tsk_reader.h"
#include "fs/udf/udf_reader.h"
#include "fs/unix/unix_reader.h"

namespace ntt {

namespace {

Result<std::unique_ptr<FsReader>> open_unlimited(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                                 FindingSink& findings) {
    if (volume.fs_type == "fat") return open_fat(source, volume, options, findings);
    if (volume.fs_type == "udf") return open_udf(source, volume, options, findings);
    if (volume.fs_type == "ext" || volume.fs_type == "ufs") return open_unix(source, volume, options);
    if (volume.fs_type == "hfs") return open_hfs(source, volume, options, findings);
    if (volume.fs_type == "hfsplus") return open_hfsplus(source, volume, options, findings);
    return open_tsk(source, volume, options, findings);
}

// A reader and the overlay through which it sees the image.
class RepairedReader final : public FsReader {
public:
    RepairedReader(std::unique_ptr<Overlay> overlay, std::unique_ptr<FsReader> reader) : overlay_(std::move(overlay)), reader_(std::move(reader)) {}
    Result<void> list(EntrySink& sink, const CancelToken& cancel) override { return reader_->list(sink, cancel); }
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override {
        return reader_->read_content(fs_ino, stream, offset, out);
    }
    std::string detail() const override { return reader_->detail(); }

private:
    std::unique_ptr<Overlay> overlay_;  // outlives reader_
    std::unique_ptr<FsReader> reader_;
};

Result<std::unique_ptr<FsReader>> open_repaired(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                                FindingSink& findings) {
    TRY_ASSIGN(std::vector<Patch> patches, recorded_patches(volume.detail));
    if (patches.empty()) return open_unlimited(source, volume, options, findings);
    ReaderOptions covered = options;
    covered.unread = without(options.unread, patches);
    TRY_ASSIGN(auto overlay, Overlay::over(source, std::move(patches)));
    TRY_ASSIGN(auto reader, open_unlimited(*overlay, volume, covered, findings));
    return std::unique_ptr<FsReader>(std::make_unique<RepairedReader>(std::move(overlay), std::move(reader)));
}

}  // namespace

Result<std::unique_ptr<FsReader>> open_reader(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                              FindingSink& findings) {
    TRY_ASSIGN(auto reader, open_repaired(source, volume, options, findings));
    return within_budget(std::move(reader), volume, source.size_bytes(), ListingBudget::of(volume, source.size_bytes()));
}

}  // namespace ntt
