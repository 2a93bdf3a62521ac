// The reader of ISO 9660.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Walks the tree that `volume.view` names: rockridge (names, modes, links and times of Rock Ridge), joliet, or iso9660 (the
// plain names, without their version if that is 1).
// Of a disc's later session (`session` in the volume's detail) only the descriptors stand in the volume; its block numbers
// count from the disc's start.
// Numbers: ino is the offset of the directory record in bytes from where block numbers count; a hard link on a disc is two
// records, so two inodes on the same sectors. A resource fork (an associated file) is a stream "rsrc": ino = 2^62 + the
// record's offset, path = the file's + ":rsrc".
// Records in sectors that were not read are not believed. Folders below lost ones come from the path table, under their
// plain names; one that is lost itself gives its path to those below, if both path tables have it.
// Findings: directory_unreadable ("files may be missing here"), directory_loop, name_invalid (the name was changed to fit
// into a path), path_too_long, directory_by_path_table, superblock_on_missing_sectors. Errors: unsupported when the descriptors are not there; those of ByteSource::read.
// detail(): names, moved_folders.
Result<std::unique_ptr<FsReader>> open_iso9660(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                               FindingSink& findings);

}  // namespace ntt
