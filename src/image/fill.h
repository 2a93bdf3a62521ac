// Whether a stretch of an image holds one repeated byte: erased, blank or wiped media, and partitions never used.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

// The byte that fills all of `range` (inside the image); nullopt if there is any other, or the range is empty. Samples spread
// over the range say no cheaply; a yes is proven by reading everything.
Result<std::optional<uint8_t>> constant_fill(const ByteSource& source, ByteRange range, const CancelToken& cancel);

// What such a fill is called: blank (0x00), erased (0xF6, which formatting leaves), wiped (any other).
std::string_view fill_word(uint8_t byte);

}  // namespace ntt
