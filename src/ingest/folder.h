// A folder on its way into the store: another disk's mounted tree, carved files, a network share.
#pragma once

#include <string>

#include "base/result.h"
#include "ingest/ingest.h"
#include "os/env.h"
#include "os/mount_table.h"
#include "volume/volume.h"

namespace ntt {

enum class FolderWork : uint8_t {
    list_and_copy,  // a medium that is known is listed again: what is new or changed is added, nothing is taken away
    copy,           // only what is pending
};

Result<IngestReport> ingest_folder(const IngestContext& context, const std::string& path, const IngestOptions& options, FolderWork work);

// The one volume of a folder.
inline constexpr int kFolderVolume = 1;
Volume folder_volume(const MountEntry& mount);

// Where a folder lies, whatever it is called: the text whose BLAKE3 names the medium (design, section 5). Parts are
// "ntt-directory", the machine, the filesystem (its UUID, else its source) and the path inside it, with a NUL between them.
// Two bind mounts of a folder are one medium; another stick at the same mount point is another.
std::string folder_identity(const std::string& machine, const std::string& filesystem, const std::string& path_inside);

// The folder's path inside its filesystem: "/" for its root. `path` is absolute and without symlinks.
std::string path_inside(const MountEntry& mount, const std::string& path);

}  // namespace ntt
