// The names in a directory of ext2/3/4 or UFS.
//
// Read here and not through libtsk because libtsk compares each name with all before it (a folder of 70,000 files takes
// minutes), gives up on an ext folder at its first bad block, and passes over zeros in a UFS folder without a word.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace ntt {

enum class DirectoryFormat : uint8_t { ext, ufs_little_endian, ufs_big_endian };

struct DirectoryName {
    uint64_t ino = 0;
    std::string_view name;      // raw bytes, in the chunk
    bool behind_damage = false;  // it may be one that was deleted
};

// The unit that entries do not cross: the filesystem's block in ext, 512 bytes in UFS.
inline constexpr uint64_t kUfsDirectoryChunk = 512;

// Appends the names of one chunk, without "." and "..". False when the chunk is damaged: names before the damage are in
// `out`, and of those behind it the ones from which entries follow each other without fault to the chunk's end; `max_ino` is the
// largest number an inode has. Hash tree nodes and checksums of ext look like unused entries.
// Sources: Linux Documentation/filesystems/ext4/directory.rst; FreeBSD sys/ufs/ufs/dir.h.
bool read_directory_chunk(ByteView chunk, DirectoryFormat format, uint64_t max_ino, std::vector<DirectoryName>& out);

}  // namespace ntt
