// What kind of file holds an image, told from its content alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace ntt {

// A foreign format that is named and refused.
struct ForeignFormat {
    std::string_view name;  // reads after "this is": "a qcow2 disk image"
    std::string_view hint;  // what the user can do
};

// How the sectors are kept in a file. `raw` is what no signature speaks for: also wiped, random and unknown content.
struct ImageFormat {
    enum class Kind : uint8_t { raw, ewf, vmdk, vhd, archive, foreign } kind = Kind::raw;
    ForeignFormat foreign;  // with Kind::archive and Kind::foreign
};

inline constexpr size_t kFormatHeadBytes = 36 << 10;  // identify_format looks at this much of the beginning
inline constexpr size_t kFormatTailBytes = 512;   // and at this much of the end

// Identifies a file by its first kFormatHeadBytes and last kFormatTailBytes (fewer in a shorter file). Only signatures
// that a sector of a medium cannot well have by chance count, since a raw image may begin with anything; where a
// signature is short, more fields of the header must make sense.
ImageFormat identify_format(ByteView head, ByteView tail);

// "a tar archive (POSIX)" or "a tar archive (GNU)" if `head` begins with a tar header whose checksum is right.
// Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
std::optional<std::string_view> tar_variant(ByteView head);

}  // namespace ntt
