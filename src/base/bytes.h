// Views of bytes, ranges of bytes, and text forms of bytes.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ntt {

using ByteView = std::span<const uint8_t>;  // borrowed, read-only
using ByteSpan = std::span<uint8_t>;        // borrowed, to be filled

inline ByteView as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Bytes [offset, offset + length). Empty when length is 0. end() must not overflow: build from untrusted numbers
// with checked_add first.
struct ByteRange {
    uint64_t offset = 0;
    uint64_t length = 0;

    uint64_t end() const { return offset + length; }
    bool empty() const { return length == 0; }
    auto operator<=>(const ByteRange&) const = default;
};

// The bytes that both ranges have; empty if none.
constexpr ByteRange intersect(ByteRange a, ByteRange b) {
    const uint64_t begin = a.offset > b.offset ? a.offset : b.offset;
    const uint64_t a_end = a.offset + a.length, b_end = b.offset + b.length;
    const uint64_t end = a_end < b_end ? a_end : b_end;
    return begin < end ? ByteRange{begin, end - begin} : ByteRange{begin, 0};
}

// nullopt on overflow. Every size or offset that comes from an image goes through these.
constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
    return sum;
}
constexpr std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
    return product;
}

// Lowercase, two digits a byte.
std::string to_hex(ByteView bytes);
// nullopt unless `hex` is an even number of hexadecimal digits (upper case is accepted).
std::optional<std::string> from_hex(std::string_view hex);

// Whether `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
// `bytes` with every ill-formed byte replaced by U+FFFD: for showing, never for storing.
std::string to_display_utf8(std::string_view bytes);
// As to_display_utf8, and with control characters as U+FFFD as well: safe to print on a terminal, on one line.
std::string to_terminal_text(std::string_view bytes);

}  // namespace ntt
