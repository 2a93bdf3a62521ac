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

}  // namespace

// Source: Linux Documentation/filesystems/ext4/super.rst; which name for which features: util-linux
// libblkid/src/superblocks/ext.c.
Found ext(const ProbeWindow& window) {
    constexpr uint64_t kSuper = 1024;
    const ProbeBytes& head = window.head();
    if (head.le16(kSuper + 0x38) != 0xEF53) return {};
    const bool has_features = head.le32(kSuper + 0x4C) != 0;  // revision 0 has no such fields
    const uint32_t compat = has_features ? head.le32(kSuper + 0x5C) : 0;
    const uint32_t incompat = has_features ? head.le32(kSuper + 0x60) : 0;
    const uint32_t ro_compat = has_features ? head.le32(kSuper + 0x64) : 0;
    constexpr uint32_t kHasJournal = 0x4, kJournalDevice = 0x8, k64Bit = 0x80;
    constexpr uint32_t kExt2Incompat = 0x2 | 0x10;           // filetype, meta_bg
    constexpr uint32_t kExt3Incompat = kExt2Incompat | 0x4;  // recover
    constexpr uint32_t kExt2RoCompat = 0x1 | 0x2 | 0x4;      // sparse_super, large_file, btree_dir
    const uint32_t log_block_size = head.le32(kSuper + 0x18);
    if (log_block_size > 6) return {};

    Identity out;
    out.fs_type = "ext";
    const bool plain = (ro_compat & ~kExt2RoCompat) == 0;
    if (incompat & kJournalDevice) {
        out = filesystem("jbd");
    } else if (!(compat & kHasJournal) && plain && (incompat & ~kExt2Incompat) == 0) {
        out.view = "ext2";
    } else if ((compat & kHasJournal) && plain && (incompat & ~kExt3Incompat) == 0) {
        out.view = "ext3";
    } else {
        out.view = "ext4";
    }
    const uint64_t blocks = head.le32(kSuper + 4) | (incompat & k64Bit ? uint64_t{head.le32(kSuper + 0x150)} << 32 : 0);
    out.size_bytes = checked_mul(blocks, uint64_t{1024} << log_block_size).value_or(0);
    // The magic has 16 bits only: the counts must make sense as well. A journal on a device of its own has no inodes.
    const bool has_blocks = blocks != 0 && head.le32(kSuper + 0x20) != 0, has_inodes = head.le32(kSuper) != 0 && head.le32(kSuper + 0x28) != 0;
    if (!has_blocks || (!has_inodes && out.fs_type == "ext")) return {};
    out.uuid = uuid_text(head.text(kSuper + 0x68, 16));
    out.label = label_text(head.text(kSuper + 0x78, 16));
    return out;
}

// Source: FreeBSD sys/ufs/ffs/fs.h (struct fs).
Found ufs(const ProbeWindow& window) {
    constexpr uint32_t kUfs1 = 0x00011954, kUfs2 = 0x19540119;
    for (const uint64_t place : {8u * 1024, 64u * 1024, 0u, 256u * 1024}) {
        const ProbeBytes super = window.read(place, 1376);
        const bool little = super.le32(1372) == kUfs1 || super.le32(1372) == kUfs2;
        const uint32_t magic = little ? super.le32(1372) : super.be32(1372);
        if (magic != kUfs1 && magic != kUfs2) continue;
        const auto u32 = [&](uint64_t at) { return little ? super.le32(at) : super.be32(at); };
        const auto u64 = [&](uint64_t at) { return little ? super.le64(at) : super.be64(at); };
        const uint32_t fragment = u32(52);
        if (fragment < 512 || fragment > 65536 || (fragment & (fragment - 1)) != 0) continue;
        Identity out;
        out.fs_type = "ufs";
        out.view = magic == kUfs2 ? "ufs2" : "ufs1";
        out.notes["byte_order"] = little ? "little" : "big";
        out.size_bytes = checked_mul(magic == kUfs2 ? u64(1080) : u32(36), fragment).value_or(0);
        // A copy of the superblock says the same as the first: that the first group of cylinders is where it says tells them apart.
        constexpr uint32_t kGroupMagic = 0x00090255;
        const auto group_at = checked_mul(u32(12), fragment);
        const ProbeBytes group = window.read(group_at.value_or(0), 8);
        if ((little ? group.le32(4) : group.be32(4)) != kGroupMagic) out.confidence = Confidence::weak;
        if (magic == kUfs2) out.label = label_text(super.text(680, 32));
        if (u32(144) != 0 || u32(148) != 0) out.uuid = fmt::format("{:08x}{:08x}", u32(144), u32(148));
        return out;
    }
    return {};
}

// Source: Linux fs/xfs/libxfs/xfs_format.h (struct xfs_dsb).
Found xfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    const uint32_t block_size = head.be32(4);
    if (!head.has(0, "XFSB") || block_size < 512 || block_size > 65536) return {};
    Identity out = filesystem("xfs");
    out.size_bytes = checked_mul(head.be64(8), block_size).value_or(0);
    out.uuid = uuid_text(head.text(32, 16));
    out.label = label_text(head.text(108, 12));
    return out;
}

// Source: btrfs wiki, "On-disk Format", superblock.
Found btrfs(const ProbeWindow& window) {
    constexpr uint64_t kSuper = 65536;
    const ProbeBytes& head = window.head();
    if (!head.has(kSuper + 64, "_BHRfS_M")) return {};
    Identity out = filesystem("btrfs");
    out.uuid = uuid_text(head.text(kSuper + 32, 16));
    out.label = label_text(head.text(kSuper + 299, 256));
    // total_bytes counts all devices; a single one is the only case in which it says something of this region.
    if (head.le64(kSuper + 136) == 1) out.size_bytes = head.le64(kSuper + 112);
    return out;
}

// Source: Linux fs/reiserfs/reiserfs.h (struct reiserfs_super_block).
Found reiserfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (const uint64_t place : {uint64_t{65536}, uint64_t{8192}}) {
        const bool old = head.has(place + 52, "ReIsErFs");
        if (!old && !head.has(place + 52, "ReIsEr2Fs") && !head.has(place + 52, "ReIsEr3Fs")) continue;
        Identity out = filesystem("reiserfs");
        out.size_bytes = uint64_t{head.le32(place)} * head.le16(place + 44);
        if (!old) {
            out.uuid = uuid_text(head.text(place + 84, 16));
            out.label = label_text(head.text(place + 100, 16));
        }
        return out;
    }
    return {};
}

// Source: Linux fs/jfs/jfs_superblock.h.
Found jfs(const ProbeWindow& window) {
    constexpr uint64_t kSuper = 32768;
    const ProbeBytes& head = window.head();
    if (!head.has(kSuper, "JFS1")) return {};
    Identity out = filesystem("jfs");
    out.uuid = uuid_text(head.text(kSuper + 136, 16));
    out.label = label_text(head.text(kSuper + 152, 16));
    return out;
}

// Source: Linux include/uapi/linux/minix_fs.h. The magic has 16 bits only: the counts must make sense as well.
Found minix(const ProbeWindow& window) {
    constexpr uint64_t kSuper = 1024;
    const ProbeBytes& head = window.head();
    const auto try_order = [&](auto u16, auto u32) -> Found {
        const uint16_t magic = u16(kSuper + 16);
        const bool version1 = magic == 0x137F || magic == 0x138F, version2 = magic == 0x2468 || magic == 0x2478;
        const bool version3 = u16(kSuper + 24) == 0x4D5A;
        if (!version1 && !version2 && !version3) return {};
        const uint64_t inodes = version3 ? u32(kSuper) : u16(kSuper);
        const uint64_t zones = version1 ? u16(kSuper + 2) : u32(kSuper + 20);
        const uint64_t inode_maps = version3 ? u16(kSuper + 6) : u16(kSuper + 4);
        const uint64_t zone_maps = version3 ? u16(kSuper + 8) : u16(kSuper + 6);
        const uint64_t first_zone = version3 ? u16(kSuper + 10) : u16(kSuper + 8);
        const uint64_t block_size = version3 ? u16(kSuper + 28) : 1024;
        if (inodes == 0 || zones == 0 || inode_maps == 0 || zone_maps == 0 || first_zone <= 4 || first_zone >= zones) return {};
        if (block_size < 1024 || inode_maps * block_size * 8 < inodes) return {};
        Identity out = filesystem("minix");
        out.notes["version"] = version1 ? 1 : version2 ? 2 : 3;
        out.size_bytes = zones * block_size;
        return out;
    };
    if (auto little = try_order([&](uint64_t at) { return head.le16(at); }, [&](uint64_t at) { return head.le32(at); }))
        return little;
    return try_order([&](uint64_t at) { return head.be16(at); }, [&](uint64_t at) { return head.be32(at); });
}

// Source: Haiku src/add-ons/kernel/file_systems/bfs/bfs.h (disk_super_block); at 512 on Intel, at 0 on PowerPC.
Found befs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (const uint64_t place : {uint64_t{512}, uint64_t{0}}) {
        const bool little = head.le32(place + 32) == 0x42465331;
        if (!little && head.be32(place + 32) != 0x42465331) continue;
        Identity out = filesystem("befs");
        out.label = label_text(head.text(place, 32));
        out.notes["byte_order"] = little ? "little" : "big";
        const uint64_t block_size = little ? head.le32(place + 40) : head.be32(place + 40);
        out.size_bytes = checked_mul(little ? head.le64(place + 48) : head.be64(place + 48), block_size).value_or(0);
        return out;
    }
    return {};
}

// Source: Linux Documentation/filesystems/romfs.rst.
Found romfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(0, "-rom1fs-")) return {};
    Identity out = filesystem("romfs");
    out.size_bytes = head.be32(8);
    out.label = label_text(head.text(16, 32));
    return out;
}

// Source: Linux fs/squashfs/squashfs_fs.h; versions before 4 exist in both byte orders and are another format.
Found squashfs(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    const bool little = head.has(0, "hsqs");
    if (!little && !head.has(0, "sqsh")) return {};
    const uint16_t major = little ? head.le16(28) : head.be16(28), minor = little ? head.le16(30) : head.be16(30);
    Identity out = filesystem(major >= 4 ? "squashfs" : "squashfs3");
    out.notes["version"] = fmt::format("{}.{}", major, minor);
    if (major >= 4) out.size_bytes = head.le64(40);
    return out;
}

}  // namespace ntt::probes
