// Images inside evidence and virtual disk files: EWF (E01), VMDK, VHD. Decoded by libewf, libvmdk and libvhdi from files
// that are open already.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/byte_source.h"
#include "image/raw_source.h"

namespace ntt {

// Errors of all three: malformed for a container that cannot be opened, unsupported for a disk that is only the difference
// to another one, limit for an absurd size, and the host's own where it cannot read a part. `env` must outlive the source.
// Damage inside an opened container does not fail a read: see ByteSource::damaged_ranges().

// All segments, in order.
Result<std::unique_ptr<ByteSource>> open_ewf(Env& env, std::vector<OpenPart> parts);
// A file that holds its own sectors, or a descriptor and behind it the files that vmdk_missing_files() asked for.
Result<std::unique_ptr<ByteSource>> open_vmdk(Env& env, std::vector<OpenPart> parts);
// Fixed or dynamic; one file.
Result<std::unique_ptr<ByteSource>> open_vhd(Env& env, std::vector<OpenPart> parts);

// The segment files of the EWF image that `path` is one of, by the format's naming scheme (E01 E02 … EAA), in order; only
// `path` where its name does not follow it. A missing one is not noticed here.
std::vector<std::string> ewf_segments(const std::string& path);

// The names of the files that a VMDK's descriptor (the first of `parts`) needs besides, in its order; none if it needs none
// or they are there. Each is_extent_name().
Result<std::vector<std::string>> vmdk_missing_files(Env& env, std::vector<OpenPart>& parts);
bool is_extent_name(std::string_view name);  // of a file beside the descriptor, and nowhere else

// A virtual disk of this size is nonsense or an attack: it would have us hash zeros for days. VMDK ends at 62 TiB.
inline constexpr uint64_t kMaxVirtualDiskBytes = uint64_t{64} << 40;

}  // namespace ntt
