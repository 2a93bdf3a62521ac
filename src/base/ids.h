// The names of things: blobs and media.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ntt {

// BLAKE3-256 of a content; its text form is 64 lowercase hexadecimal digits.
struct BlobId {
    std::array<uint8_t, 32> bytes{};

    std::string hex() const { return to_hex(bytes); }
    static std::optional<BlobId> from_hex(std::string_view hex);
    auto operator<=>(const BlobId&) const = default;
};

struct BlobIdHash {
    size_t operator()(const BlobId& id) const {
        size_t out = 0;
        for (size_t i = 0; i < sizeof out; ++i) out |= size_t{id.bytes[i]} << (8 * i);
        return out;
    }
};

// A whole content and a salvaged one may have the same bytes; they are two blobs in two folders.
enum class BlobKind : uint8_t { whole, partial };
std::string_view to_string(BlobKind kind);
std::optional<BlobKind> blob_kind_from(std::string_view text);

// 16 to 64 lowercase hexadecimal digits (the contract's `^[a-f0-9]{16,64}$`).
bool is_medium_hash(std::string_view text);

}  // namespace ntt
