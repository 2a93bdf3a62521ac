// How ext2/3/4 and UFS inodes say where a file's blocks are: extent trees and indirect blocks.
//
// libtsk 4.11.1 gives runs for both, but it does not tell unwritten extents from written ones, cuts block numbers above
// 2^32, and on a sparse file with triple indirection it builds a million runs. What the inode itself holds comes from it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "fs/listing/content_map.h"
#include "fs/listing/unread_ranges.h"
#include "image/byte_source.h"

namespace ntt {

// Sizes in bytes.
struct UnixLayout {
    uint64_t volume_offset = 0;  // in the image
    uint64_t volume_bytes = 0;
    uint64_t unit_size = 0;                                            // what addresses count: a block of ext, a fragment of UFS
    uint64_t block_size = 0;                                           // what the inode's entries stand for
    uint32_t pointer_size = 4;                                         // in an indirect block: 4, in UFS2 8
    enum class Order : uint8_t { little, big } order = Order::little;  // of UFS's pointers
};

// Reads blocks of metadata.
class UnixBlocks {
public:
    UnixBlocks(const ByteSource& source, const UnixLayout& layout, UnreadRanges unread)
        : source_(source), layout_(layout), unread_(std::move(unread)), nodes_left_(kNodesOfABlock * (layout.volume_bytes / layout.block_size) + kFirstNodes) {}
    const UnixLayout& layout() const { return layout_; }
    const UnreadRanges& unread() const { return unread_; }

    // Absolute offset in the image; UINT64_MAX for an address that no image can have.
    uint64_t image_offset(uint64_t address) const;
    // Fills `out`; false if the block lies beyond the image, or if this computer could not read it: see failure().
    bool read(uint64_t image_offset, ByteSpan out);
    // The first failure of the source, which is no damage of the image: the caller gives up with it.
    const std::optional<Error>& failure() const { return failure_; }
    // Why a block of metadata cannot be had: the image ends before it, or it is nowhere.
    Cause cause_of_absence(uint64_t image_offset) const;
    // Whether one more node of a tree may be visited: sound files visit each block of the volume once at most, whereas nodes
    // that all files share, or that lead to themselves, would keep the listing busy for days.
    bool take_node() { return nodes_left_ > 0 && nodes_left_-- > 0; }

private:
    static constexpr uint64_t kNodesOfABlock = 4, kFirstNodes = 4096;

    const ByteSource& source_;
    UnixLayout layout_;
    UnreadRanges unread_;
    uint64_t nodes_left_;
    std::optional<Error> failure_;
};

using InodeAddresses = std::array<uint64_t, 15>;  // 12 direct, single, double and triple indirect

// Adds what the addresses map below `size` bytes. An indirect block that cannot be read gives a fault over the bytes
// that it stands for: BEYOND_EOF if the image ends before it, else FS_CORRUPT. What of it was not read from the medium is not
// believed: a fault with the map's cause over what those addresses stand for. Bytes beyond what three levels can address get
// IMPLAUSIBLE_SIZE. Returns how many bytes of the volume the content and its indirect blocks take. Source: Linux Documentation/filesystems/ext4/ifork.rst, "Direct/Indirect Block Addressing"; FreeBSD
// sys/ufs/ufs/dinode.h.
uint64_t map_indirect(UnixBlocks& blocks, const InodeAddresses& addresses, uint64_t size, ContentMap& map);

// The same for an extent tree. `root` is the 60 bytes of i_block. Unwritten extents are holes. A node that cannot be read
// (BEYOND_EOF, FS_CORRUPT), was not read from the medium (the map's cause), fails its checksum (CHECKSUM; `checksum_seed` is
// the inode's, nullopt where the filesystem has none) or is not one (FS_CORRUPT) gives a fault over the bytes that it stands for.
// Source: Linux Documentation/filesystems/ext4/ifork.rst, "Extent Tree".
void map_extent_tree(UnixBlocks& blocks, ByteView root, std::optional<uint32_t> checksum_seed, uint64_t size, ContentMap& map);

}  // namespace ntt
