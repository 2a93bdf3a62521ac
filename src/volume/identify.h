// Which filesystem, swap space or container starts at a place in an image, told by its superblock alone.
//
// libblkid would know all of these, but it reads from a file descriptor and our sectors may be decoded (EWF, VMDK).
// Names, labels and UUIDs are those that `blkid -p` prints, except that FAT, ext and UFS come with their variant.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "image/byte_source.h"
#include "volume/volume.h"

namespace ntt {

// How far a match can be trusted where a partition table could be meant as well.
enum class Confidence : uint8_t { sure, weak };

// A part of a region that is looked at as a region of its own: the data of a RAID member, a logical volume.
struct Inner {
    ByteRange range;         // from the start of the region that holds it
    nlohmann::json context;  // what it is there: for Volume::detail
};

struct Identity {
    std::string view;     // as Volume::view
    std::string fs_type;  // as Volume::fs_type
    Role role = Role::filesystem;
    std::vector<std::string> further_views;  // the same filesystem under other names: iso9660 behind rockridge and joliet
    std::string label, uuid;
    uint64_t start_bytes = 0;  // where the filesystem starts in the region: not 0 for HFS+ inside an HFS wrapper
    uint64_t size_bytes = 0;   // as the superblock declares, from start_bytes; 0 where it does not say
    Confidence confidence = Confidence::sure;
    nlohmann::json notes = nlohmann::json::object();  // for Volume::detail
    std::vector<Inner> holds;
    std::string needs;  // of a container: why not all it holds is in `holds`, and what would help; empty if all is
};

// Whether src/fs has a reader for the family `fs_type`.
bool is_readable_family(std::string_view fs_type);

// For people: which engine or system reads a family that src/fs has no reader for.
std::string what_reads(std::string_view fs_type);

// Everything that claims the region, the one to believe first: containers, then filesystems by how surely they say that
// the region is theirs. Empty if nothing is known. Fails only where the source cannot be read.
// `range` may reach beyond the image.
Result<std::vector<Identity>> identify(const ByteSource& source, ByteRange range);

}  // namespace ntt
