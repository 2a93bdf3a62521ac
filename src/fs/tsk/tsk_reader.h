// The reader of exFAT, NTFS, ext2/3/4, HFS+, UFS1/2 and ISO 9660, on libtsk.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Opens `volume` by its family (Volume::fs_type). Bytes beyond the image's end are absent; extents are given as the
// filesystem has them.
//
// From libtsk: superblocks, inodes, directories (but ext's), runs of NTFS, HFS+, exFAT and ISO 9660. Ours: the names of
// ext directories (ext_directory.h) and the blocks of ext and UFS (unix_blocks.h).
//
// Content of this filesystem are its allocated names with allocated inodes. Left out and counted in detail(): the
// system files of NTFS ($MFT ..., $Extend and all below), what libtsk invents ($OrphanFiles, $MBR ...), deleted names.
// Streams: NTFS's named $DATA attributes and HFS+'s resource forks are inodes of their own, ino = 2^62 + (inode << 16) +
// attribute id, stream = their name ("rsrc" for the fork), fs_ino = "inode-type-id", path = the file's + ":" + stream.
// Names: raw bytes of ext and UFS; UTF-8 of the others, as libtsk decodes it. HFS+: '/' in a name is given as ':', as Mac OS
// shows it in a shell. ISO 9660: Joliet names if the disc has them, else Rock Ridge names, else the plain ones.
// Times: ISO 9660's only time is given as mtime, its zone obeyed. exFAT's are taken as UTC.
//
// Findings: directory_unreadable ("files may be missing here": path, and the block or libtsk's words), directory_loop,
// inode_unreadable (a name whose inode cannot be read), path_too_long. At most kMaxTskFindings of each; detail() counts
// the rest. Errors: unsupported when libtsk does not take it for what it was detected as; those of ByteSource::read.
//
// detail(): libtsk's version, block_size, system_files, virtual_files, deleted_names, streams, extended_attributes
// (of HFS+; not read), symlinks_without_target (Rock Ridge's targets are not read), findings_left_out.
Result<std::unique_ptr<FsReader>> open_tsk(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

inline constexpr uint64_t kMaxTskFindings = 1000;     // of one code in one volume
inline constexpr size_t kMaxPathBytes = 64 * 1024;    // of a path: deeper folders are not entered

}  // namespace ntt
