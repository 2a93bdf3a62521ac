// CRC-32 with the reflected polynomial 0xEDB88320 (IEEE 802.3), as GPT and LVM2 use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ntt {

// Carries `crc` on over `bytes`, without inverting it before or after: GPT wants ~crc32_over(~0u, bytes), LVM2
// crc32_over(0xf597a6cf, bytes).
uint32_t crc32_over(uint32_t crc, std::string_view bytes);

}  // namespace ntt
