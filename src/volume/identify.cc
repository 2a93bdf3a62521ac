#include "volume/identify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "volume/probes.h"

namespace ntt {

namespace {

using Probe = probes::Found (*)(const ProbeWindow&);

// The order is the order of belief. A container hides what is in it. A boot sector at sector 0 was written by the last
// mkfs, since mke2fs and others clear the first KiB, while mkfs.fat leaves an old superblock at 1 KiB in its reserved
// sectors. ISO 9660 comes before UDF (bridge discs) and before what the first 32 KiB of a disc may hold besides.
constexpr std::array<Probe, 35> kProbes = {
    probes::luks,  probes::bitlocker, probes::core_storage, probes::lvm2, probes::lvm1, probes::iso9660, probes::exfat, probes::ntfs, probes::fat, probes::hfs,
    probes::apfs,  probes::swap,     probes::xfs,   probes::ext,     probes::btrfs, probes::reiserfs,   probes::jfs, probes::ufs,
    probes::minix, probes::squashfs, probes::romfs, probes::befs,    probes::udf,   probes::high_sierra,
    probes::f2fs,  probes::nilfs2,   probes::erofs, probes::cramfs,  probes::hpfs,  probes::vxfs,       probes::refs, probes::affs,
    probes::zfs,   probes::ubi,      probes::ubifs};

constexpr std::array<std::string_view, 9> kReadable = {"fat", "exfat", "ntfs", "ext", "hfsplus", "ufs", "iso9660", "udf", "hfs"};

// Beyond it no disk goes, and no sum of an offset and a size overflows.
constexpr uint64_t kMaxSize = uint64_t{1} << 62;

}  // namespace

bool is_readable_family(std::string_view fs_type) {
    return std::find(kReadable.begin(), kReadable.end(), fs_type) != kReadable.end();
}

std::string what_reads(std::string_view fs_type) {
    struct Reader {
        std::string_view fs_type, by;
    };
    constexpr std::array<Reader, 6> kOthers = {{{"apfs", "a Mac, or apfs-fuse through the mount engine"},
                                                {"zfs_member", "a system with OpenZFS that has all devices of the pool"},
                                                {"refs", "Windows"},
                                                {"ubi", "a Linux kernel with ubi over nandsim"},
                                                {"jbd", "nobody needs to: it is the journal of an ext filesystem on another device and holds no files"},
                                                {"reiserfs", "the mount engine on a Linux kernel with reiserfs, before 6.13"}}};
    for (const Reader& reader : kOthers)
        if (reader.fs_type == fs_type) return std::string(reader.by);
    const std::string_view driver = fs_type == "squashfs3" ? "squashfs" : fs_type == "vxfs" ? "freevxfs" : fs_type;
    return fmt::format("the mount engine on a kernel with the driver {}", driver);
}

Result<std::vector<Identity>> identify(const ByteSource& source, ByteRange range) {
    const ProbeWindow window(source, range);
    std::vector<Identity> found;
    for (const Probe probe : kProbes)
        if (auto identity = probe(window)) found.push_back(*std::move(identity));

    if (auto raid = probes::md_raid(window)) {
        // A filesystem that covers the superblock at the end was made later, on the bare partition.
        const uint64_t superblock_at = raid->notes["raid_member"]["superblock_offset"];
        const bool at_end = superblock_at > range.length / 2;
        if (at_end && !found.empty() && found.front().size_bytes > superblock_at && found.front().size_bytes <= range.length) {
            found.front().notes["stale_raid_superblock"] = raid->uuid;
        } else {
            found.insert(found.begin(), *std::move(raid));
        }
    }
    for (Identity& identity : found) {
        if (identity.size_bytes <= kMaxSize - std::min(range.offset, kMaxSize)) continue;
        identity.notes["impossible_size"] = identity.size_bytes;
        identity.size_bytes = 0;
    }
    std::stable_partition(found.begin(), found.end(), [](const Identity& i) { return i.confidence == Confidence::sure; });
    if (window.failure()) return *window.failure();
    return found;
}

}  // namespace ntt
