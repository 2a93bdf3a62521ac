// The reader of exFAT, NTFS and HFS+ on libtsk, and of ISO 9660.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Opens `volume` by its family (Volume::fs_type). Bytes beyond the image's end are absent; extents are given as the
// filesystem has them.
//
// From libtsk: inodes, directories and runs. Ours: what exFAT entries say beside (exfat_entry.h), and the whole of ISO 9660
// (iso9660_reader.h). Each says why.
//
// Content of a filesystem are its allocated names with allocated inodes. Left out and counted in detail(): the system files
// of NTFS ($MFT ..., $Extend and all below) and exFAT, what libtsk invents ($OrphanFiles, $MBR ...), deleted names.
// Streams: NTFS's named $DATA attributes and HFS+'s resource forks are inodes of their own, ino = 2^62 + (inode << 16) +
// attribute id, stream = their name ("rsrc" for the fork), fs_ino = "inode-type-id", path = the file's + ":" + stream.
// Names: UTF-8, as libtsk decodes it. HFS+: '/' in a name is given as ':', as Mac OS
// shows it in a shell.
// What ReaderOptions::unread covers is not believed (metadata_places.h): an inode there is inode_unreadable, whatever the image
// holds. Not known, and so believed: inodes of HFS+, and extension records of NTFS.
//
// Findings: directory_unreadable ("files may be missing here": path, and the block or libtsk's words), directory_loop,
// inode_unreadable (a name whose inode cannot be read), name_invalid, path_too_long; from opening superblock_on_missing_sectors. At
// most kMaxFindingsOfOneCode of each.
// Errors: unsupported when libtsk does not take it for what it was detected as; those of ByteSource::read.
//
// detail(): libtsk, block_size, system_files, virtual_files, deleted_names, streams, extended_attributes (of HFS+; not
// read), findings_left_out.
Result<std::unique_ptr<FsReader>> open_tsk(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

}  // namespace ntt
