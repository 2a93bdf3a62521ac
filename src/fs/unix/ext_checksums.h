// The checksums of ext4's metadata.
// Source: Linux Documentation/filesystems/ext4/checksums.rst; fs/ext4 (ext4_chksum, ext4_inode_csum, ext4_dirblock_csum,
// ext4_dx_csum, ext4_extent_block_csum, ext4_group_desc_csum) for what the document leaves open.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace ntt {

// CRC-32C, reflected, without the inversion at the end, as ext4 has it: crc32c(crc32c(s, a), b) is that of a and b together.
uint32_t crc32c(uint32_t seed, ByteView bytes);
// CRC-16 (polynomial 0x8005, reflected): the older kind, of group descriptors only.
uint16_t crc16(uint16_t seed, ByteView bytes);

// What stands in a structure, and what should.
struct ChecksumPair {
    uint32_t stored = 0, computed = 0;
    bool agree() const { return stored == computed; }
};

// The seed of all that belongs to one inode: extent nodes and directory blocks.
uint32_t ext_inode_seed(uint32_t filesystem_seed, uint32_t ino, uint32_t generation);

ChecksumPair ext_superblock_checksum(ByteView superblock);                        // 1024 bytes
ChecksumPair ext_inode_checksum(uint32_t inode_seed, ByteView inode);             // inode_size bytes; where there is room for 16 bits only, those
ChecksumPair ext_group_checksum(uint32_t filesystem_seed, uint32_t group, ByteView descriptor);
ChecksumPair ext_group_checksum_crc16(ByteView uuid, uint32_t group, ByteView descriptor);  // uninit_bg without metadata_csum
ChecksumPair ext_extent_node_checksum(uint32_t inode_seed, ByteView block);
ChecksumPair ext_directory_block_checksum(uint32_t inode_seed, ByteView block);  // stored is not computed if it has no place for one
// Of a node of a hash tree; `entries_at` is 32 in the root and 8 elsewhere.
ChecksumPair ext_index_node_checksum(uint32_t inode_seed, ByteView block, uint32_t entries_at);

}  // namespace ntt
