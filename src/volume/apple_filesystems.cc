#include <tsk/libtsk.h>

#include <algorithm>
#include <array>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

constexpr uint64_t kVolumeHeader = 1024;  // HFS and HFS+ alike

// Mac OS derives a volume's UUID from the 8 bytes it keeps in the finder information: MD5 over a fixed namespace and them.
// Source: util-linux libblkid/src/superblocks/hfs.c (hfs_set_uuid); measured against blkid 2.38.1.
std::string finder_uuid(std::string_view id) {
    if (id.size() != 8 || id.find_first_not_of('\0') == std::string_view::npos) return {};
    std::array<uint8_t, 24> input = {0xB3, 0xE2, 0x0F, 0x39, 0xF2, 0x92, 0x11, 0xD6,
                                     0x97, 0xA4, 0x00, 0x30, 0x65, 0x43, 0xEC, 0xAC};
    std::copy(id.begin(), id.end(), input.begin() + 16);
    TSK_MD5_CTX md5;
    TSK_MD5_Init(&md5);
    TSK_MD5_Update(&md5, input.data(), static_cast<unsigned int>(input.size()));
    std::array<uint8_t, 16> digest{};
    TSK_MD5_Final(digest.data(), &md5);
    digest[6] = static_cast<uint8_t>(0x30 | (digest[6] & 0x0F));  // a version 3 UUID
    digest[8] = static_cast<uint8_t>(0x80 | (digest[8] & 0x3F));
    return uuid_text(as_text(digest));
}

// The name of the root folder: the first record of the catalogue's first leaf has it as its key. Only in the
// catalogue's first extent: enough for any volume whose catalogue is not in pieces at its very start.
// Source: Apple Technical Note TN1150, "B-Trees" and "Catalog File".
std::string root_folder_name(const ProbeWindow& window, uint64_t start, const ProbeBytes& header) {
    const uint32_t block_size = header.be32(40);
    const auto catalogue = checked_mul(header.be32(272 + 16), block_size);
    if (!catalogue || *catalogue == 0) return {};
    const ProbeBytes tree = window.read(start + *catalogue, 512);
    const uint32_t first_leaf = tree.be32(14 + 10);
    const uint16_t node_size = tree.be16(14 + 18);
    if (first_leaf == 0 || node_size < 512) return {};
    if (uint64_t{first_leaf} * node_size >= uint64_t{header.be32(272 + 20)} * block_size) return {};
    const ProbeBytes leaf = window.read(start + *catalogue + uint64_t{first_leaf} * node_size, node_size);
    constexpr uint32_t kRootParent = 1;
    if (leaf.u8(8) != 0xFF || leaf.be32(14 + 2) != kRootParent) return {};
    return utf16_text(leaf.text(14 + 8, size_t{2} * std::min<uint16_t>(leaf.be16(14 + 6), 255)), Utf16Order::big);
}

Found hfs_plus_at(const ProbeWindow& window, uint64_t start) {
    const ProbeBytes header = window.read(start + kVolumeHeader, 512);
    const bool hfsx = header.has(0, "HX");
    if (!hfsx && !header.has(0, "H+")) return {};
    const uint32_t block_size = header.be32(40);
    if (block_size < 512 || (block_size & (block_size - 1)) != 0) return {};
    Identity out;
    out.view = out.fs_type = "hfsplus";
    if (hfsx) out.notes["variant"] = "hfsx";
    out.start_bytes = start;
    out.size_bytes = uint64_t{header.be32(44)} * block_size;
    out.uuid = finder_uuid(header.text(104, 8));
    out.label = root_folder_name(window, start, header);
    return out;
}

}  // namespace

// Source: Inside Macintosh: Files, "Master Directory Blocks"; TN1150, "HFS Wrapper".
Found hfs(const ProbeWindow& window) {
    const ProbeBytes header = window.read(kVolumeHeader, 512);
    if (!header.has(0, "BD")) return hfs_plus_at(window, 0);
    const uint32_t block_size = header.be32(20);
    if (block_size == 0 || block_size % 512 != 0) return {};
    const uint64_t first_block = uint64_t{header.be16(28)} * 512;
    if (header.has(124, "H+") || header.has(124, "HX")) {
        const uint64_t start = first_block + uint64_t{header.be16(126)} * block_size;
        if (auto embedded = hfs_plus_at(window, start)) {
            embedded->notes["wrapper"] = "hfs";
            return embedded;
        }
    }
    Identity out;
    out.view = out.fs_type = "hfs";
    out.size_bytes = first_block + uint64_t{header.be16(18)} * block_size + 1024;
    out.label = label_text(header.text(37, std::min<size_t>(header.u8(36), 27)));
    out.uuid = finder_uuid(header.text(116, 8));
    return out;
}

// Source: Apple File System Reference (2020-06-22), nx_superblock_t.
Found apfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(32, "NXSB")) return {};
    Identity out;
    out.view = out.fs_type = "apfs";
    out.uuid = uuid_text(head.text(72, 16));
    out.size_bytes = checked_mul(head.le32(36), head.le64(40)).value_or(0);
    return out;
}

}  // namespace ntt::probes
