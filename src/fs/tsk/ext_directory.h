// The names in an ext2/3/4 directory.
//
// Read here and not through libtsk because libtsk compares each name with all before it (a folder of 70,000 files takes
// minutes), also lists deleted ones, and gives up on a folder at its first bad block.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace ntt {

struct ExtName {
    uint64_t ino = 0;
    std::string_view name;  // raw bytes, in the block
};

// Appends the names of one directory block, without "." and "..". False when the block is damaged: names before the
// damage are in `out`, names behind it are lost. Hash tree nodes and checksums look like unused entries.
// Source: Linux Documentation/filesystems/ext4/directory.rst.
bool read_ext_directory_block(ByteView block, std::vector<ExtName>& out);

}  // namespace ntt
