// The reader of ext2/3/4 and UFS1/2.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Everything is read by us from the raw structures, because libtsk ignores ext4's checksums, cannot tell unwritten extents,
// takes time with the square of a directory's size and has no words for what was not read (docs/decisions/0030).
//
// What is believed: only inodes, extent nodes and addresses that were read from the medium (ReaderOptions::unread) and that pass their
// checksum, where the filesystem has one. What a failed checksum hides is CHECKSUM: the whole file for its inode, its part
// for an extent node. Names in a directory block that fails its checksum are given, and the finding says so.
//
// Names: raw bytes. Allocated inodes that no directory names, because the directory was lost, come out below "$lost" as
// "$lost/ino-<number>", directories with all that is below them. Deleted files do not.
// Small files inside their inode are read through the reader; encrypted ones (by fscrypt) are ENCRYPTED, those of e2compr
// UNSUPPORTED_COMPRESSION.
//
// Findings: directory_unreadable ("files may be missing here": path and place), directory_checksum_failed (the same, by checksum),
// checksum_failed (any other structure: superblock, group descriptor, bitmaps, inode, directory index), directory_loop,
// inode_unreadable (a name whose inode cannot be believed), inode_marked_free (it is read all the same), lost_files (how many came out
// below "$lost"), name_invalid, path_too_long, encryption_in_use, superblock_on_missing_sectors, journal_not_replayed. At most
// kMaxFindingsOfOneCode of each.
// Errors: unsupported when the superblock makes no sense; those of ByteSource::read.
//
// detail(): block_size, fragment_size (UFS), metadata_checksums (ext), lost_files, findings_left_out.
Result<std::unique_ptr<FsReader>> open_unix(const ByteSource& source, const Volume& volume, const ReaderOptions& options);

}  // namespace ntt
