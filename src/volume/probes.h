// The probes that identify() tries, by the world they come from. Private to src/volume.
#pragma once

#include <optional>

#include "volume/identify.h"
#include "volume/probe_window.h"

namespace ntt::probes {

using Found = std::optional<Identity>;

// containers.cc
Found luks(const ProbeWindow& window);
Found bitlocker(const ProbeWindow& window);
Found core_storage(const ProbeWindow& window);
Found swap(const ProbeWindow& window);
// lvm.cc
Found lvm1(const ProbeWindow& window);
Found lvm2(const ProbeWindow& window);
// md_raid.cc
Found md_raid(const ProbeWindow& window);
// dos_filesystems.cc
Found fat(const ProbeWindow& window);
Found exfat(const ProbeWindow& window);
Found ntfs(const ProbeWindow& window);
// apple_filesystems.cc
Found hfs(const ProbeWindow& window);  // HFS, HFS+, HFSX, and HFS+ inside an HFS wrapper
Found apfs(const ProbeWindow& window);
// optical_filesystems.cc
Found iso9660(const ProbeWindow& window);
Found iso9660(const ProbeWindow& disc, uint64_t first_sector);  // of a session
// Where in `disc` the root folder of this descriptor stands, if it points to itself.
std::optional<uint64_t> iso9660_root(const ProbeWindow& disc, const ProbeBytes& descriptor);
Found high_sierra(const ProbeWindow& window);
Found udf(const ProbeWindow& window);
// unix_filesystems.cc
Found ext(const ProbeWindow& window);
Found ufs(const ProbeWindow& window);
Found xfs(const ProbeWindow& window);
Found btrfs(const ProbeWindow& window);
Found reiserfs(const ProbeWindow& window);
Found jfs(const ProbeWindow& window);
Found minix(const ProbeWindow& window);
Found befs(const ProbeWindow& window);
Found romfs(const ProbeWindow& window);
Found squashfs(const ProbeWindow& window);
// rare_filesystems.cc
Found f2fs(const ProbeWindow& window);
Found nilfs2(const ProbeWindow& window);
Found erofs(const ProbeWindow& window);
Found cramfs(const ProbeWindow& window);
Found hpfs(const ProbeWindow& window);
Found vxfs(const ProbeWindow& window);
Found refs(const ProbeWindow& window);
Found affs(const ProbeWindow& window);
Found zfs(const ProbeWindow& window);
Found ubi(const ProbeWindow& window);
Found ubifs(const ProbeWindow& window);

}  // namespace ntt::probes
