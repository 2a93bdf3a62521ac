#include "image/fill.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ntt {
namespace {

constexpr uint64_t kSamples = 64;
constexpr uint64_t kSampleBytes = 64 << 10;
constexpr uint64_t kReadBytes = 1 << 20;

// All bytes equal to the first, and that one to `fill`.
bool is_all(ByteView bytes, uint8_t fill) {
    return bytes.front() == fill && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

Result<std::optional<uint8_t>> constant_fill(const ByteSource& source, ByteRange range, const CancelToken& cancel) {
    if (range.empty()) return std::optional<uint8_t>();
    uint8_t fill = 0;
    TRY(source.read(range.offset, {&fill, 1}));
    std::vector<uint8_t> buffer;
    // Reads `length` bytes at every `step`.
    const auto only_fill = [&](uint64_t length, uint64_t step) -> Result<bool> {
        for (uint64_t at = range.offset; at < range.end(); at += step) {
            TRY(cancel.check());
            buffer.resize(std::min(length, range.end() - at));
            TRY(source.read(at, buffer));
            if (!is_all(buffer, fill)) return false;
        }
        return true;
    };
    TRY_ASSIGN(const bool samples_agree, only_fill(kSampleBytes, std::max(range.length / kSamples, kSampleBytes)));
    if (!samples_agree) return std::optional<uint8_t>();
    TRY_ASSIGN(const bool proven, only_fill(kReadBytes, kReadBytes));
    return proven ? std::optional(fill) : std::nullopt;
}

std::string_view fill_word(uint8_t byte) { return byte == 0x00 ? "blank" : byte == 0xF6 ? "erased" : "wiped"; }

}  // namespace ntt
