// The reader of HFS+ and HFSX.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Read here because libtsk 4.11.1 finds names through the catalogue's index alone: one node lost near its root hides every
// file, and it says nothing of nodes that were not read. Here all leaf nodes are walked (docs/decisions/0031). Contents that the
// filesystem compressed (decmpfs) are still decoded by libtsk.
// Source: Apple Technical Note TN1150; decmpfs: Apple's xnu bsd/sys/decmpfs.h.
//
// Names: UTF-8 of the stored characters (decomposed); '/' as ':' and NUL as U+2400, as Linux shows them. ino is the catalogue node ID.
// A resource fork that holds anything is a stream "rsrc": ino = 2^62 + (ID << 16) + 1, path = the file's + ":rsrc". A name of HFS+ can
// have '/' in it, so "a:rsrc" may also be a file of its own: the stream column tells them apart.
// A hard link is a further name of the file that it leads to, which also stands in the volume's private folder; a hard link to a
// folder is a name of that folder, whose content is listed where the folder itself stands.
// Files whose folder is lost come out as "$lost/ino-<ID of the folder>/<name>".
//
// A record is believed if it has its form and nothing of it is lost: a sector of its node that was not read or is of one byte
// alone, or in which another record has not its form. Else, or where a fork says twice what does not agree, the content is FS_CORRUPT or has
// the map's cause; of an empty fork, where there is no byte to put that on, inode_unreadable says it. Zeros that begin in the last record of
// a node and go on behind it count as lost if the catalogue has other damage.
//
// Findings: directory_unreadable (a node of the catalogue cannot be read and records are missing: how many, and the place),
// catalogue_node_damaged (the same, and nothing is missing), inode_unreadable, directory_loop, path_too_long, lost_files,
// superblock_on_missing_sectors, journal_not_replayed.
// Errors: unsupported when the header makes no sense or the catalogue has no nodes; those of ByteSource::read.
// detail(): block_size, streams, hard_links, compressed_files, extended_attributes (not read).
Result<std::unique_ptr<FsReader>> open_hfsplus(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                               FindingSink& findings);

}  // namespace ntt
