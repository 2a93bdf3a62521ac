// The reader of HFS, the Mac's filesystem before HFS+.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// HFS with all of its catalogue in memory (a volume has at most 65,535 blocks). Read here because libfshfs 20201104 and libtsk 4.11.1 read
// HFS+ only (docs/decisions/0070-filesystem-libraries.md). Source: Inside Macintosh: Files, chapter 2 (1992).
// Names: Mac Roman as UTF-8, '/' as ':' (which HFS forbids), as Mac OS X shows it in a shell. Times: HFS keeps local time and no zone;
// given as if it were UTC.
// Numbers: ino is the catalogue node ID. A resource fork that holds anything is a stream "rsrc": ino = 2^62 + the ID, path = the
// file's + ":rsrc". A second file with an ID that is taken gets 3 * 2^61 + the place of its record, and no trust.
//
// HFS has no checksums. What its structures say twice is compared, and content that does not agree is FS_CORRUPT: a fork's
// length in blocks against its extents, its blocks against the volume's bitmap and against the blocks of the two trees;
// blocks that two forks claim are CROSS_LINK in both. A folder that holds fewer names than it says is directory_unreadable. Files whose
// folder is lost are listed in "$lost/ino-<ID>".
// Findings: directory_unreadable ("files may be missing here"), folder_lost, inode_unreadable, path_too_long, hfs_alternate_header (the
// volume's first header is lost). Errors: unsupported when there is no header or no catalogue; those of ByteSource::read.
// detail(): block_size, clean (whether the volume was unmounted).
Result<std::unique_ptr<FsReader>> open_hfs(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

}  // namespace ntt
