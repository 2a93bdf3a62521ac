#include "fs/unix/unix_directory.h"

namespace ntt {

bool read_directory_chunk(ByteView chunk, DirectoryFormat format, std::vector<DirectoryName>& out) {
    constexpr uint64_t kHeaderSize = 8, kMinimum = 12;
    const bool big = format == DirectoryFormat::ufs_big_endian;
    for (uint64_t at = 0; at < chunk.size();) {
        if (chunk.size() - at < kHeaderSize) return false;
        const auto byte = [&](uint64_t i) { return uint32_t{chunk[at + i]}; };
        const uint32_t ino =
            big ? byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3) : byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
        uint64_t length = big ? byte(4) << 8 | byte(5) : byte(4) | byte(5) << 8;
        if (chunk.size() == 65536 && (length == 65535 || length == 0)) length = 65536;  // ext: 16 bits do not hold the block size
        // ext has the name's length and the type here, UFS the type and the length; before 4.4BSD UFS had no type and a
        // length of 16 bits, of which a little-endian machine leaves the second byte zero.
        uint64_t name_length = byte(6);
        if (format != DirectoryFormat::ext && (big || byte(7) != 0)) name_length = byte(7);
        if (length < kMinimum || length % 4 != 0 || length > chunk.size() - at || kHeaderSize + name_length > length)
            return false;
        const std::string_view name = as_text(chunk.subspan(at + kHeaderSize, name_length));
        if (ino != 0 && name != "." && name != "..") {
            if (name.empty()) return false;
            out.push_back({ino, name});
        }
        at += length;
    }
    return true;
}

}  // namespace ntt
