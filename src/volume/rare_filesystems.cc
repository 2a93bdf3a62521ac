// Filesystems of flash memory, of other systems, and of pools: named, so that nobody takes them for empty space.
#include <fmt/format.h>

#include <algorithm>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

Identity filesystem(std::string name) {
    Identity out;
    out.view = out.fs_type = std::move(name);
    return out;
}

constexpr uint64_t kSuper = 1024;

}  // namespace

// Source: Linux include/linux/f2fs_fs.h.
Found f2fs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (head.le32(kSuper) != 0xF2F52010 || head.le32(kSuper + 16) > 16) return {};
    Identity out = filesystem("f2fs");
    out.uuid = uuid_text(head.text(kSuper + 108, 16));
    out.label = utf16_text(head.text(kSuper + 124, 1024), Utf16Order::little);
    out.size_bytes = checked_mul(head.le64(kSuper + 36), uint64_t{1} << head.le32(kSuper + 16)).value_or(0);
    return out;
}

// Source: Linux include/uapi/linux/nilfs2_ondisk.h. The magic has 16 bits: the size of the superblock must fit too.
Found nilfs2(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    const uint16_t bytes = head.le16(kSuper + 8);
    if (head.le16(kSuper + 6) != 0x3434 || bytes < 200 || bytes > 1024 || head.le64(kSuper + 32) == 0) return {};
    Identity out = filesystem("nilfs2");
    out.size_bytes = head.le64(kSuper + 32);
    out.uuid = uuid_text(head.text(kSuper + 152, 16));
    out.label = label_text(head.text(kSuper + 168, 80));
    return out;
}

// Source: Linux fs/erofs/erofs_fs.h.
Found erofs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    const uint8_t block_bits = head.u8(kSuper + 12);
    if (head.le32(kSuper) != 0xE0F5E1E2 || block_bits < 9 || block_bits > 16) return {};
    Identity out = filesystem("erofs");
    out.size_bytes = uint64_t{head.le32(kSuper + 36)} << block_bits;
    out.uuid = uuid_text(head.text(kSuper + 48, 16));
    out.label = label_text(head.text(kSuper + 64, 16));
    return out;
}

// Source: Linux include/uapi/linux/cramfs_fs.h; either byte order.
Found cramfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(16, "Compressed ROMFS")) return {};
    const bool little = head.le32(0) == 0x28cd3d45;
    Identity out = filesystem("cramfs");
    out.size_bytes = little ? head.le32(4) : head.be32(4);
    out.label = label_text(head.text(48, 16));
    return out;
}

// Source: Linux fs/hpfs/hpfs.h (boot block in sector 0, superblock in 16).
Found hpfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (head.le32(8192) != 0xF995E849 || head.le32(8196) != 0xFA53E9C5) return {};
    Identity out = filesystem("hpfs");
    out.size_bytes = uint64_t{head.le32(8192 + 16)} * 512;
    if (head.u8(38) == 0x28 || head.u8(38) == 0x29) {
        out.uuid = fmt::format("{:04X}-{:04X}", head.le16(41), head.le16(39));
        out.label = label_text(head.text(43, 11));
    }
    return out;
}

// Source: Linux fs/freevxfs/vxfs.h.
Found vxfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (const uint64_t place : {kSuper, uint64_t{8192}})
        if (head.le32(place) == 0xa501fcf5 || head.be32(place) == 0xa501fcf5) return filesystem("vxfs");
    return {};
}

// Source: libfsrefs documentation, "Resilient File System (ReFS)", boot record.
Found refs(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    if (!boot.has(3, std::string_view("ReFS\0\0\0\0", 8)) || !boot.has(16, "FSRS")) return {};
    Identity out = filesystem("refs");
    out.size_bytes = checked_mul(boot.le64(24), boot.le32(32)).value_or(0);
    if (boot.le64(56) != 0) out.uuid = fmt::format("{:016X}", boot.le64(56));
    return out;
}

// Amiga. The boot block may say anything; the root block stands in the middle of the volume.
// Source: Linux fs/affs/amigaffs.h (root and its tail, for blocks of 512 bytes).
Found affs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(0, "DOS") || head.u8(3) > 7) return {};
    const uint64_t root_at = window.size_bytes() / 512 / 2 * 512;
    const ProbeBytes root = window.read(root_at, 512);
    constexpr uint32_t kHeader = 2, kRoot = 1;
    if (root.be32(0) != kHeader || root.be32(508) != kRoot) return {};
    Identity out = filesystem("affs");
    out.label = label_text(root.text(433, std::min<size_t>(root.u8(432), 30)));
    return out;
}

// Source: OpenZFS include/sys/uberblock_impl.h, vdev_impl.h: 128 uberblocks of at least 1 KiB from 128 KiB on.
Found zfs(const ProbeWindow& window) {
    constexpr uint64_t kMagic = 0x00bab10c;
    constexpr size_t kRing = 128 * 1024;
    const ProbeBytes ring = window.read(kRing, kRing);
    int seen = 0;
    for (uint64_t at = 0; at < ring.size(); at += 1024) seen += ring.le64(at) == kMagic || ring.be64(at) == kMagic ? 1 : 0;
    return seen >= 4 ? Found(filesystem("zfs_member")) : std::nullopt;  // as many as libblkid asks for
}

// Source: Linux drivers/mtd/ubi/ubi-media.h, fs/ubifs/ubifs-media.h.
Found ubi(const ProbeWindow& window) { return window.head().has(0, "UBI#") ? Found(filesystem("ubi")) : std::nullopt; }

Found ubifs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    constexpr uint8_t kSuperblockNode = 6;
    if (head.le32(0) != 0x06101831 || head.u8(20) != kSuperblockNode) return {};
    Identity out = filesystem("ubifs");
    out.uuid = uuid_text(head.text(108, 16));
    return out;
}

}  // namespace ntt::probes
