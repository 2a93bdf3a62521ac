#include "fs/fat/fat_reader.h"
#include "fs/fs_reader.h"
#include "fs/tsk/tsk_reader.h"

namespace ntt {

Result<std::unique_ptr<FsReader>> open_reader(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                              FindingSink& findings) {
    if (volume.fs_type == "fat") return open_fat(source, volume, options, findings);
    return open_tsk(source, volume, options, findings);
}

}  // namespace ntt
