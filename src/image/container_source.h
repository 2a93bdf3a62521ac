// Images inside evidence and virtual disk files: EWF (E01), VMDK, VHD. Decoded by libewf, libvmdk and libvhdi.
#pragma once

#include <memory>
#include <string>

#include "image/byte_source.h"

namespace ntt {

// `path` names any segment of an EWF image; the others are found by the format's naming scheme (E01 E02 … EAA).
// Errors of all three: malformed for a container that cannot be opened, not_found for a missing segment or extent,
// unsupported for a disk that is only the difference to another one, limit for an absurd size. `env` must outlive the
// source. Damage inside an opened container does not fail a read: see ByteSource::damaged_ranges().
Result<std::unique_ptr<ByteSource>> open_ewf(Env& env, const std::string& path);

// A sparse file, or a descriptor with its extents, which must be files in the same folder.
Result<std::unique_ptr<ByteSource>> open_vmdk(Env& env, const std::string& path);

// Fixed or dynamic.
Result<std::unique_ptr<ByteSource>> open_vhd(Env& env, const std::string& path);

// A virtual disk of this size is nonsense or an attack: it would have us hash zeros for days. VMDK ends at 62 TiB.
inline constexpr uint64_t kMaxVirtualDiskBytes = uint64_t{64} << 40;

}  // namespace ntt
