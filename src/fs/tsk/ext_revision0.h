// The first ext2, as made until about 1996, has no field for the size of an inode; libtsk 4.11.1 reads zero there and
// then no inode at all.
#pragma once

#include "image/byte_source.h"

namespace ntt {

// Whether the ext filesystem at `volume_offset` is of revision 0.
Result<bool> is_ext_revision0(const ByteSource& source, uint64_t volume_offset);

// The source, with the fields of the superblock that revision 0 does not have filled in as its readers take them: first
// inode 11, inodes of 128 bytes, no features. Source: Linux fs/ext2/super.c (EXT2_GOOD_OLD_REV). `source` must outlive it.
std::unique_ptr<ByteSource> with_revision0_defaults(const ByteSource& source, uint64_t volume_offset);

}  // namespace ntt
