#include "fs/fat/fat_reader.h"
#include "fs/fs_reader.h"
#include "fs/hfs/hfs_reader.h"
#include "fs/hfsplus/hfsplus_reader.h"
#include "fs/listing/budget.h"
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

}  // namespace

Result<std::unique_ptr<FsReader>> open_reader(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                              FindingSink& findings) {
    TRY_ASSIGN(auto reader, open_unlimited(source, volume, options, findings));
    return within_budget(std::move(reader), volume, source.size_bytes(), ListingBudget::of(volume, source.size_bytes()));
}

}  // namespace ntt
