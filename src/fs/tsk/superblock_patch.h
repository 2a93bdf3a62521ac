// Superblocks that libtsk 4.11.1 does not understand, shown to it as it would like them. Only for opening: what it reads
// afterwards is the image as it is.
#pragma once

#include <memory>
#include <string>

#include "fs/fs_reader.h"
#include "image/byte_source.h"

namespace ntt {

// The source with a patched superblock, or nullptr where none is needed:
//   ext of revision 0 (until about 1996) has no field for the size of an inode, and libtsk takes what stands there, zero:
//   first inode 11, inodes of 128 bytes and no features are what its readers assume (Linux fs/ext2/super.c);
//   UFS2 with its superblock at 8 KiB, where makefs puts it, is shown at 64 KiB, the only place where libtsk looks.
// `source` must outlive it.
Result<std::unique_ptr<ByteSource>> with_readable_superblock(const ByteSource& source, const Volume& volume);

}  // namespace ntt
