// A folder that somebody else fills and may change at any time: listed and opened step by step from its own descriptor, so
// that no name and no symlink in it leads out of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/extent.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

// What statx(2) says of one name. Times are seconds since 1970-01-01 UTC.
struct FileFacts {
    uint64_t ino = 0;
    uint64_t dev = 0;  // as st_dev
    uint64_t mount_id = 0;
    char type = 'u';   // f d l b c p s, u for anything else
    uint32_t mode = 0;
    uint64_t nlink = 1, size = 0;
    uint64_t uid = 0, gid = 0;
    int64_t mtime = 0, atime = 0, ctime = 0;
    int mtime_ns = 0;
    std::optional<int64_t> crtime;
};

// Raw bytes, unsorted, never "." or "..". What could be read stands in `names` also when `error` says why the rest is missing.
struct FolderNames {
    std::vector<std::string> names;
    std::optional<Error> error;
};

// The calls below carry errno. None follows a symlink, starts an automount, or changes an access time where the caller may
// say so (O_NOATIME).
Result<Fd> open_folder(const std::string& path);                         // follows symlinks: the user's own choice
// Whether `path` can be looked at, asked by a process that may be killed: ETIMEDOUT if its filesystem does not answer in time.
Result<void> answers_in_time(const std::string& path, std::chrono::milliseconds limit);
Result<Fd> open_folder_in(const Fd& folder, const std::string& name);
// Below `root`, part by part; the root itself for an empty path.
Result<Fd> open_folder_below(const Fd& root, std::string_view path);
FolderNames names_in(const Fd& folder);
Result<FileFacts> facts_of(const Fd& folder, const std::string& name);
Result<FileFacts> facts_of(const Fd& file);
Result<std::string> link_target(const Fd& folder, const std::string& name);
// A regular file below `root`: a FIFO or a device in its place is not opened, but ENOENT.
Result<Fd> open_file_below(const Fd& root, std::string_view path);

// From now on the kernel reads nothing of this open file but what is asked for, and forgets what it has of `range`: a read that
// fails for what lies beside it succeeds.
void read_nothing_ahead(const Fd& file, ByteRange range);

// Where the file's bytes lie on its block device (FIEMAP), clipped to `size`: data and, for what was never written, holes.
// Empty where the filesystem does not say, says it in part, or is none whose word is known to mean that (ext2-4, XFS).
std::vector<Extent> extents_on_device(const Fd& file, uint64_t size);

}  // namespace ntt
