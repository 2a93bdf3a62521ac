// What the writer and the reader of enumeration files agree on.
#pragma once

#include <cstddef>

namespace ntt {

inline constexpr size_t kMaxHeaderText = 64 << 10;               // of one text of the header
inline constexpr size_t kMaxVolumeDetail = size_t{4} << 20;      // as messages between processes have it
inline constexpr int kMaxVolumeNumber = 4096;                    // likewise
inline constexpr size_t kMaxDetailsTogether = size_t{64} << 20;  // of all volumes: they are held in memory

}  // namespace ntt
