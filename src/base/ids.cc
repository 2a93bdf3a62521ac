#include "base/ids.h"

#include <algorithm>

namespace ntt {
namespace {

bool is_lower_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<BlobId> BlobId::from_hex(std::string_view hex) {
    if (hex.size() != 64 || !is_lower_hex(hex)) return std::nullopt;
    const auto raw = ntt::from_hex(hex);
    BlobId id;
    std::copy(raw->begin(), raw->end(), id.bytes.begin());
    return id;
}

std::string_view to_string(BlobKind kind) { return kind == BlobKind::whole ? "whole" : "partial"; }

std::optional<BlobKind> blob_kind_from(std::string_view text) {
    if (text == "whole") return BlobKind::whole;
    if (text == "partial") return BlobKind::partial;
    return std::nullopt;
}

bool is_medium_hash(std::string_view text) { return text.size() >= 16 && text.size() <= 64 && is_lower_hex(text); }

}  // namespace ntt
