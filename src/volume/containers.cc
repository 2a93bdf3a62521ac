// Regions that hold something other than a filesystem.
#include "volume/probes.h"

namespace ntt::probes {

namespace {

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
    out.needs = "LUKS encrypts it: with the passphrase or key, cryptsetup open --readonly shows it decrypted; ingest an image of that";
    return out;
}

// BitLocker, and BitLocker To Go, which looks like FAT32 to systems that do not know it.
// Source: libbde documentation, "BitLocker Drive Encryption (BDE) format specification", volume header.
Found bitlocker(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    constexpr std::string_view kIdentifier("\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", 16);
    const bool to_go = boot.has(3, "MSWIN4.1") && boot.has(424, kIdentifier);
    if (!boot.has(3, "-FVE-FS-") && !to_go) return {};
    Identity out = container("BitLocker", Role::encrypted);
    out.notes["version"] = to_go ? "to_go" : boot.has(160, kIdentifier) ? "7" : "vista";
    out.needs = "BitLocker encrypts it: with the password or recovery key, dislocker or cryptsetup shows it decrypted; ingest an image of that";
    return out;
}

// What FileVault 2 stands on; it is nearly always encrypted.
// Source: Apple hfs-556 lf_cs_disk_format.h (metadata_header); libfvde documentation, "Core Storage volume header".
Found core_storage(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    if (!head.has(88, "CS") || head.le16(8) != 1 || head.u8(10) != 0x10) return {};
    Identity out = container("core_storage", Role::encrypted);
    out.uuid = uuid_text(head.text(304, 16));
    out.notes["group_uuid"] = uuid_text(head.text(320, 16));
    out.size_bytes = head.le64(64);
    out.needs = "FileVault encrypts it, as a rule: with the password or recovery key, fvdemount (libfvde) or a Mac shows it decrypted; ingest an image of that";
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
