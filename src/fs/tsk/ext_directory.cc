#include "fs/tsk/ext_directory.h"

namespace ntt {

bool read_ext_directory_block(ByteView block, std::vector<ExtName>& out) {
    constexpr uint64_t kHeaderSize = 8, kMinimum = 12;
    for (uint64_t at = 0; at < block.size();) {
        if (block.size() - at < kHeaderSize) return false;
        const auto byte = [&](uint64_t i) { return uint32_t{block[at + i]}; };
        const uint32_t ino = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
        uint64_t length = byte(4) | byte(5) << 8;
        if (block.size() == 65536 && (length == 65535 || length == 0)) length = 65536;  // 16 bits do not hold the block size
        const uint64_t name_length = byte(6);
        if (length < kMinimum || length % 4 != 0 || length > block.size() - at || kHeaderSize + name_length > length)
            return false;
        const std::string_view name = as_text(block.subspan(at + kHeaderSize, name_length));
        if (ino != 0 && name != "." && name != "..") {
            if (name.empty()) return false;
            out.push_back({ino, name});
        }
        at += length;
    }
    return true;
}

}  // namespace ntt
