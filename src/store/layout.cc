#include "store/layout.h"

#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "base/clock.h"

namespace ntt {
namespace {

constexpr size_t kMaxReason = 40;

}  // namespace

std::string folder_of(BlobKind kind) { return kind == BlobKind::whole ? "by-hash" : "partial"; }

std::string branch_name(uint8_t first_byte) { return to_hex({&first_byte, 1}); }

std::string blob_path(const BlobId& id, int fanout_levels) {
    const std::string hex = id.hex();
    std::string path;
    path.reserve(3 * kMaxFanoutLevels + hex.size());
    for (int level = 0; level < fanout_levels; ++level) path.append(hex, static_cast<size_t>(level) * 2, 2) += '/';
    return path += hex;
}

bool is_fanout_name(std::string_view name) {
    return name.size() == 2 &&
           std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string quarantine_name(BlobKind kind, const BlobId& id, int64_t wall_us, std::string_view reason, int n) {
    std::string time = iso8601_utc(wall_us).substr(0, 19) + "Z";  // without the fraction
    std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
    std::string word(reason.substr(0, kMaxReason));
    for (char& c : word)
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) c = '_';
    return fmt::format("{}-{}-{}-{}-{}", to_string(kind), id.hex(), time, word, n);
}

std::string random_hex(size_t bytes) {
    std::random_device random;
    std::string raw(bytes, '\0');
    for (char& c : raw) c = static_cast<char>(random());
    return to_hex(as_bytes(raw));
}

}  // namespace ntt
