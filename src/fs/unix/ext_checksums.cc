#include "fs/unix/ext_checksums.h"

#include <array>
#include <cstring>

#include "base/integers.h"

namespace ntt {

namespace {

// Eight tables: table k of a byte is its effect k bytes further on, so that eight bytes go at once.
using Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Tables make_tables() {
    constexpr uint32_t kPolynomial = 0x82F63B78;
    Tables out{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
        out[0][byte] = crc;
    }
    for (size_t k = 1; k < 8; ++k)
        for (size_t byte = 0; byte < 256; ++byte) out[k][byte] = out[k - 1][byte] >> 8 ^ out[0][out[k - 1][byte] & 0xFF];
    return out;
}
constexpr Tables kTables = make_tables();

uint32_t le32(ByteView bytes, size_t at) {
    uint32_t out = 0;
    for (size_t i = 4; i-- > 0;) out = out << 8 | bytes[at + i];
    return out;
}
uint16_t le16(ByteView bytes, size_t at) { return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8); }

uint32_t crc32c_of(uint32_t seed, uint32_t number) {
    const Le32 little(number);
    uint8_t bytes[4];
    std::memcpy(bytes, &little, sizeof bytes);
    return crc32c(seed, bytes);
}
uint32_t crc32c_of_zeros(uint32_t seed, size_t count) {
    constexpr uint8_t kZeros[4] = {};
    return crc32c(seed, ByteView(kZeros).first(count));
}

constexpr uint32_t kNever = 0xFFFFFFFF;  // as `stored` beside a computed value that is not it

ChecksumPair without_place(uint32_t computed) { return {computed == kNever ? 0 : kNever, computed}; }

}  // namespace

uint32_t crc32c(uint32_t seed, ByteView bytes) {
    uint32_t crc = seed;
    size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
        const uint32_t low = crc ^ le32(bytes, at), high = le32(bytes, at + 4);
        crc = kTables[7][low & 0xFF] ^ kTables[6][low >> 8 & 0xFF] ^ kTables[5][low >> 16 & 0xFF] ^ kTables[4][low >> 24] ^
              kTables[3][high & 0xFF] ^ kTables[2][high >> 8 & 0xFF] ^ kTables[1][high >> 16 & 0xFF] ^ kTables[0][high >> 24];
    }
    for (; at < bytes.size(); ++at) crc = crc >> 8 ^ kTables[0][(crc ^ bytes[at]) & 0xFF];
    return crc;
}

uint16_t crc16(uint16_t seed, ByteView bytes) {
    constexpr uint32_t kPolynomial = 0xA001;
    uint32_t crc = seed;
    for (const uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    }
    return static_cast<uint16_t>(crc);
}

uint32_t ext_inode_seed(uint32_t filesystem_seed, uint32_t ino, uint32_t generation) {
    return crc32c_of(crc32c_of(filesystem_seed, ino), generation);
}

ChecksumPair ext_superblock_checksum(ByteView superblock) {
    constexpr size_t kAt = 0x3FC;
    return {le32(superblock, kAt), crc32c(~0u, superblock.first(kAt))};
}

ChecksumPair ext_inode_checksum(uint32_t inode_seed, ByteView inode) {
    constexpr size_t kOldSize = 128, kLowAt = 0x7C, kExtraSizeAt = 0x80, kHighAt = 0x82;
    uint32_t crc = crc32c(inode_seed, inode.first(kLowAt));
    crc = crc32c_of_zeros(crc, 2);
    crc = crc32c(crc, inode.subspan(kLowAt + 2, kOldSize - kLowAt - 2));
    const bool has_high = inode.size() > kOldSize && le16(inode, kExtraSizeAt) >= 4;
    if (inode.size() > kOldSize) {
        if (has_high) {
            crc = crc32c(crc, inode.subspan(kOldSize, kHighAt - kOldSize));
            crc = crc32c_of_zeros(crc, 2);
            crc = crc32c(crc, inode.subspan(kHighAt + 2));
        } else {
            crc = crc32c(crc, inode.subspan(kOldSize));
        }
    }
    uint32_t stored = le16(inode, kLowAt);
    if (has_high) stored |= uint32_t{le16(inode, kHighAt)} << 16;
    return {stored, has_high ? crc : crc & 0xFFFF};
}

constexpr size_t kGroupChecksumAt = 0x1E;

ChecksumPair ext_group_checksum(uint32_t filesystem_seed, uint32_t group, ByteView descriptor) {
    uint32_t crc = crc32c_of(filesystem_seed, group);
    crc = crc32c(crc, descriptor.first(kGroupChecksumAt));
    crc = crc32c_of_zeros(crc, 2);
    crc = crc32c(crc, descriptor.subspan(kGroupChecksumAt + 2));
    return {le16(descriptor, kGroupChecksumAt), crc & 0xFFFF};
}

ChecksumPair ext_group_checksum_crc16(ByteView uuid, uint32_t group, ByteView descriptor) {
    const Le32 little(group);
    uint8_t number[4];
    std::memcpy(number, &little, sizeof number);
    uint16_t crc = crc16(crc16(0xFFFF, uuid), number);
    crc = crc16(crc, descriptor.first(kGroupChecksumAt));
    crc = crc16(crc, descriptor.subspan(kGroupChecksumAt + 2));
    return {le16(descriptor, kGroupChecksumAt), crc};
}

ChecksumPair ext_extent_node_checksum(uint32_t inode_seed, ByteView block) {
    constexpr size_t kHeader = 12, kEntry = 12;
    const size_t at = kHeader + size_t{le16(block, 4)} * kEntry;  // behind the room for entries
    if (at + 4 > block.size()) return without_place(0);
    return {le32(block, at), crc32c(inode_seed, block.first(at))};
}

ChecksumPair ext_directory_block_checksum(uint32_t inode_seed, ByteView block) {
    constexpr size_t kTail = 12;  // looks like an unused entry: inode 0, length 12, no name, type 0xDE, then the checksum
    const size_t at = block.size() - kTail;
    const uint32_t computed = crc32c(inode_seed, block.first(at));
    const bool is_tail = le32(block, at) == 0 && le16(block, at + 4) == kTail && block[at + 6] == 0 && block[at + 7] == 0xDE;
    return is_tail ? ChecksumPair{le32(block, at + 8), computed} : without_place(computed);
}

ChecksumPair ext_index_node_checksum(uint32_t inode_seed, ByteView block, uint32_t entries_at) {
    constexpr size_t kEntry = 8;
    if (entries_at + kEntry > block.size()) return without_place(0);
    const size_t room = le16(block, entries_at), used = le16(block, entries_at + 2);
    const size_t tail = entries_at + room * kEntry;
    if (used > room || tail + 8 > block.size()) return without_place(0);
    uint32_t crc = crc32c(inode_seed, block.first(entries_at + used * kEntry));
    crc = crc32c(crc, block.subspan(tail, 4));
    crc = crc32c_of_zeros(crc, 4);
    return {le32(block, tail + 4), crc};
}

}  // namespace ntt
