// A mounted filesystem or a plain folder, as the kernel shows it. Nothing in it is followed out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "os/env.h"

namespace ntt {

// One file of a tree as it was listed.
struct TreeFile {
    std::string path;     // relative to the root
    std::string fs_ino;   // st_ino in decimal; empty: not to be compared
    uint64_t size = 0;
    std::optional<int64_t> mtime;  // nullopt: not to be compared
    int mtime_ns = 0;              // 0: seconds are all that is known
};

// A filesystem's calls may hang for ever: fs/isolated/tree_client.h has the same in a process that may be killed.
class Tree {
public:
    explicit Tree(Fd root) : root_(std::move(root)) {}

    // Walks what is on the root's own filesystem, folders in the order of their names. Inodes are listed with
    // ContentAccess::through_reader; where the kernel tells (FIEMAP) their extents stand there too, in bytes of the block device.
    // Inode numbers from 2^62 on are folded into 62 bits and begin at 2^62; a number that two different files claim is given
    // to the first, the others get numbers from 2^62 + 2^61 on in the order of the walk.
    // Findings, with `path`, `errno` and `cause` in the evidence: directory_unreadable, inode_unreadable, link_unreadable;
    // other_filesystem (a mount point that is not entered), inode_number_shared, directory_loop, path_too_long.
    Result<void> list(EntrySink& sink, const CancelToken& cancel);

    // Bytes of a file from `offset`, less than asked for only where the filesystem says that it ends. Errors carry errno: ENOENT
    // also for another file in its place; source_changed, without one, where its size or its time is another than when it was listed, or it
    // changes while it is read. The file of the last call stays open.
    Result<size_t> read(const TreeFile& file, uint64_t offset, ByteSpan out);

    // Whether there is a file with this name. Nothing of it is read.
    Result<void> look(const std::string& path) const;
    // Whether the root can still be looked at.
    Result<void> check() const;

private:
    Result<void> open(const TreeFile& file);

    Fd root_;
    std::string open_path_, open_ino_;
    Fd open_file_;
    int64_t open_mtime_ = 0;
    int open_mtime_ns_ = 0;
};

}  // namespace ntt
