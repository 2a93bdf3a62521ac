// The reader of exFAT, NTFS and HFS+ on libtsk, and of ISO 9660.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Opens `volume` by its family (Volume::fs_type). Bytes beyond the image's end are absent; extents are given as the
// filesystem has them.
//
// From libtsk: inodes, directories and runs. Ours: what exFAT entries say beside (exfat_entry.h), their checksums and the allocation
// bitmap (exfat_directory.h), and the whole of ISO 9660
// (iso9660_reader.h). Each says why.
//
// Content of a filesystem are its allocated names with allocated inodes. Left out and counted in detail(): the system files
// of NTFS ($MFT ..., $Extend and all below) and exFAT, what libtsk invents ($OrphanFiles, $MBR ...), deleted names.
// Streams: NTFS's named $DATA attributes are inodes of their own, ino = 2^62 + (inode << 16) + attribute id, stream = their name,
// fs_ino = "inode-type-id", path = the file's + ":" + stream. A name with ':' in it, which NTFS's POSIX names may have, can look the
// same; ino and the stream column tell them apart.
// Names: UTF-8, as libtsk decodes it.
// What ReaderOptions::unread covers is not believed: libtsk sees zeros there (blanked_source.h). Records of NTFS are checked by
// us before libtsk reads them (ntfs_records.h), those in which a file goes on too: what they hide is FS_CORRUPT or has the map's cause.
// exFAT: content of a file whose entries do not fit their checksum is CHECKSUM (inode_unreadable where it has no byte); a folder of that kind is
// listed and is directory_checksum_failed.
// Records in use that no index names are listed where their own names place them, below "$lost/ino-<folder>" if that folder is gone.
// Compressed by Windows (WOF), deduplicated or moved off: UNSUPPORTED_COMPRESSION; by EFS: ENCRYPTED.
//
// Findings: directory_unreadable ("files may be missing here": path, and the block or libtsk's words), directory_loop,
// inode_unreadable (a name whose inode cannot be believed), lost_files (how many no index named), name_invalid, path_too_long; of exFAT directory_checksum_failed, directory_cross_link (files run into
// folders: ranges), lost_clusters (in use by the bitmap and nobody's; a folder that ends where a zeroed sector may stand is then
// directory_unreadable); from
// opening superblock_on_missing_sectors. At most kMaxFindingsOfOneCode of each.
// Errors: unsupported when libtsk does not take it for what it was detected as; those of ByteSource::read.
//
// detail(): libtsk, block_size, system_files, virtual_files, deleted_names, lost_clusters, streams, lost_files, findings_left_out.
// HFS+ (hfsplus_reader.h lists it): only read_content() is of use, for what that filesystem compressed.
Result<std::unique_ptr<FsReader>> open_tsk(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

}  // namespace ntt
