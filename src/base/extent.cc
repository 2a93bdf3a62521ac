#include "base/extent.h"

namespace ntt {
namespace {

// Version byte, then per extent: varint(length << 2 | kind), zigzag varint(file gap) and, unless a hole, zigzag varint(image gap).
constexpr char kVersion = 1;

void put_varint(std::string& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7F));
    out += static_cast<char>(value);
}

// nullopt-like: false when the bytes end or the number is longer than 64 bits.
bool get_varint(std::string_view& in, uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (in.empty()) return false;
        const auto byte = static_cast<uint8_t>(in.front());
        in.remove_prefix(1);
        if (shift == 63 && byte > 1) return false;
        value |= uint64_t{byte & 0x7Fu} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

uint64_t zigzag(uint64_t delta) { return (delta << 1) ^ (0 - (delta >> 63)); }
uint64_t unzigzag(uint64_t value) { return (value >> 1) ^ (0 - (value & 1)); }

}  // namespace

std::string encode_extents(const std::vector<Extent>& extents) {
    std::string out;
    if (extents.empty()) return out;
    out += kVersion;
    uint64_t file_end = 0, image_end = 0;
    for (const Extent& extent : extents) {
        NTT_CHECK(extent.length < uint64_t{1} << 62, "an extent longer than any image");
        put_varint(out, extent.length << 2 | static_cast<uint64_t>(extent.kind));
        put_varint(out, zigzag(extent.file_offset - file_end));
        file_end = extent.file_offset + extent.length;
        if (extent.kind == ExtentKind::hole) continue;
        put_varint(out, zigzag(extent.image_offset - image_end));
        image_end = extent.image_offset + extent.length;
    }
    return out;
}

Result<std::vector<Extent>> decode_extents(std::string_view bytes) {
    const auto damaged = [] { return make_error(ErrorCode::catalog_damaged, "the extents of an inode cannot be decoded"); };
    std::vector<Extent> extents;
    if (bytes.empty()) return extents;
    if (bytes.front() != kVersion) return damaged();
    bytes.remove_prefix(1);
    uint64_t file_end = 0, image_end = 0;
    while (!bytes.empty()) {
        uint64_t head = 0, gap = 0, delta = 0;
        if (!get_varint(bytes, head) || !get_varint(bytes, gap) || (head & 3) > 2) return damaged();
        Extent extent{file_end + unzigzag(gap), 0, head >> 2, static_cast<ExtentKind>(head & 3)};
        file_end = extent.file_offset + extent.length;
        if (extent.kind != ExtentKind::hole) {
            if (!get_varint(bytes, delta)) return damaged();
            extent.image_offset = image_end + unzigzag(delta);
            image_end = extent.image_offset + extent.length;
        }
        extents.push_back(extent);
    }
    return extents;
}

}  // namespace ntt
