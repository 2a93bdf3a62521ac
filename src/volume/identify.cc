#include "volume/identify.h"

#include <algorithm>
#include <array>

#include "volume/probes.h"

namespace ntt {

namespace {

using Probe = probes::Found (*)(const ProbeWindow&);

// The order is the order of belief. A container hides what is in it. A boot sector at sector 0 was written by the last
// mkfs, since mke2fs and others clear the first KiB, while mkfs.fat leaves an old superblock at 1 KiB in its reserved
// sectors. ISO 9660 comes before UDF (bridge discs) and before what the first 32 KiB of a disc may hold besides.
constexpr std::array<Probe, 22> kProbes = {
    probes::luks,  probes::lvm2,     probes::lvm1,  probes::iso9660, probes::exfat, probes::ntfs,       probes::fat, probes::hfs,
    probes::apfs,  probes::swap,     probes::xfs,   probes::ext,     probes::btrfs, probes::reiserfs,   probes::jfs, probes::ufs,
    probes::minix, probes::squashfs, probes::romfs, probes::befs,    probes::udf,   probes::high_sierra};

constexpr std::array<std::string_view, 9> kReadable = {"fat", "exfat", "ntfs", "ext", "hfsplus", "ufs", "iso9660", "udf", "hfs"};

}  // namespace

bool is_readable_family(std::string_view fs_type) {
    return std::find(kReadable.begin(), kReadable.end(), fs_type) != kReadable.end();
}

Result<std::vector<Identity>> identify(const ByteSource& source, ByteRange range) {
    const ProbeWindow window(source, range);
    std::vector<Identity> found;
    for (const Probe probe : kProbes)
        if (auto identity = probe(window)) found.push_back(*std::move(identity));

    // A mirror whose superblock stands at the end holds its filesystem at the start, as it is: then the filesystem is
    // what we want, and the membership a note. In every other array the first member only looks like a filesystem.
    if (auto raid = probes::md_raid(window)) {
        const bool plain_mirror = raid->notes["raid_level"] == 1 && raid->notes["superblock_at_end"] == true;
        if (plain_mirror && !found.empty()) {
            found.front().notes["raid_member"] = raid->uuid;
        } else {
            found.insert(found.begin(), *std::move(raid));
        }
    }
    std::stable_partition(found.begin(), found.end(), [](const Identity& i) { return i.confidence == Confidence::sure; });
    if (window.failure()) return *window.failure();
    return found;
}

}  // namespace ntt
