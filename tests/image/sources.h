// Images of every format, made with the formats' own tools from chosen content.
#pragma once

#include <string>

#include "image/byte_source.h"
#include "support/support.h"

namespace ntt::test {

// Writes `content` (whole sectors) as an image of the named kind into `dir` and gives the path to open. Kinds: raw,
// split_raw, ewf, ewf_segments, vmdk, vmdk_flat, vmdk_stream, vhd, vhd_fixed. Empty where the tool it needs is missing.
std::string make_image(const TempDir& dir, const std::string& kind, const std::string& content);
// The tool make_image needs for `kind`; empty for none.
std::string tool_for(const std::string& kind);

// The whole decoded image.
std::string read_all(const ByteSource& source);
std::string read_piece(const ByteSource& source, uint64_t offset, size_t length);

}  // namespace ntt::test
