// Regions that hold something other than a filesystem.
#include <array>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

// The 32 letters of an LVM UUID as LVM prints them: 6-4-4-4-4-4-6.
std::string lvm_uuid(std::string_view letters) {
    std::string out(letters);
    if (out.size() != 32) return {};
    for (const size_t dash : {26u, 22u, 18u, 14u, 10u, 6u}) out.insert(dash, 1, '-');
    return to_display_utf8(out);
}

Identity container(std::string view, Role role) {
    Identity out;
    out.view = out.fs_type = std::move(view);
    out.role = role;
    return out;
}

}  // namespace

// Source: LUKS On-Disk Format Specification 1.1.1 and LUKS2 On-Disk Format Specification 1.1.0, "binary header".
Found luks(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(0, "LUKS\xba\xbe")) return {};
    Identity out = container("crypto_LUKS", Role::encrypted);
    out.notes["version"] = head.be16(6);
    out.uuid = label_text(head.text(168, 40));
    if (head.be16(6) == 2) out.label = label_text(head.text(24, 48));
    return out;
}

// Source: Linux 2.4 include/linux/lvm.h, pv_disk_t.
Found lvm1(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(0, "HM") || head.le16(2) == 0 || head.le16(2) > 2) return {};
    Identity out = container("LVM1_member", Role::lvm_pv);
    out.uuid = lvm_uuid(head.text(0x2C, 32));
    out.notes["volume_group"] = label_text(head.text(0xAC, 128));
    return out;
}

// Source: lvm2 lib/format_text/layout.h; the label stands in one of the first four sectors.
Found lvm2(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (uint64_t sector = 0; sector < 4; ++sector) {
        const uint64_t at = sector * 512;
        if (!head.has(at, "LABELONE") || !head.has(at + 24, "LVM2 001") || head.le64(at + 8) != sector) continue;
        const uint32_t header_at = head.le32(at + 20);
        if (header_at > 512 - 40) continue;
        Identity out = container("LVM2_member", Role::lvm_pv);
        out.uuid = lvm_uuid(head.text(at + header_at, 32));
        out.size_bytes = head.le64(at + header_at + 32);
        return out;
    }
    return {};
}

// Source: Linux include/uapi/linux/raid/md_p.h: 0.90 in the last whole 64 KiB but one, 1.0 about 8 KiB before the end,
// 1.1 at the start, 1.2 at 4 KiB.
Found md_raid(const ProbeWindow& window) {
    constexpr uint32_t kMagic = 0xa92b4efc;
    const uint64_t size = window.size_bytes();
    struct Place {
        uint64_t offset;
        bool at_end;
    };
    std::vector<Place> places = {{0, false}, {4096, false}};
    if (size >= 16384) places.push_back({((size / 512 - 16) & ~uint64_t{7}) * 512, true});
    for (const Place& place : places) {
        const ProbeBytes super = window.read(place.offset, 256);
        if (super.le32(0) != kMagic || super.le32(4) != 1 || super.le64(144) * 512 != place.offset) continue;
        Identity out = container("linux_raid_member", Role::raid_member);
        out.uuid = uuid_text(super.text(16, 16));
        out.label = label_text(super.text(32, 32));
        out.notes = {{"raid_level", static_cast<int32_t>(super.le32(72))},
                     {"superblock_at_end", place.at_end},
                     {"data_offset", super.le64(128) * 512}};
        return out;
    }
    if (size < 2 * 65536) return {};
    const ProbeBytes super = window.read((size & ~uint64_t{65535}) - 65536, 256);
    const bool little = super.le32(0) == kMagic;
    if ((!little && super.be32(0) != kMagic) || (little ? super.le32(4) : super.be32(4)) != 0) return {};
    Identity out = container("linux_raid_member", Role::raid_member);
    std::string uuid(super.text(20, 4));
    uuid += super.text(52, 12);
    out.uuid = uuid_text(uuid);
    out.notes = {{"raid_level", static_cast<int32_t>(little ? super.le32(28) : super.be32(28))}, {"superblock_at_end", true}};
    return out;
}

// Source: Linux include/linux/swap.h, union swap_header; the signature ends the first page, whatever a page is.
Found swap(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (const uint64_t page : {4096u, 8192u, 16384u, 32768u, 65536u}) {
        const bool version1 = head.has(page - 10, "SWAPSPACE2");
        if (!version1 && !head.has(page - 10, "SWAP-SPACE")) continue;
        Identity out = container("swap", Role::swap);
        if (version1) {
            out.uuid = uuid_text(head.text(1036, 16));
            out.label = label_text(head.text(1052, 16));
        }
        return out;
    }
    return {};
}

}  // namespace ntt::probes
