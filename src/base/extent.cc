#include "base/extent.h"

#include "base/check.h"
#include "base/wire.h"

namespace ntt {
namespace {

// Version byte, then per extent: varint(length << 2 | kind), zigzag varint(file gap) and, unless a hole, zigzag varint(image gap).
constexpr uint64_t kVersion = 1;

}  // namespace

std::string encode_extents(const std::vector<Extent>& extents) {
    if (extents.empty()) return {};
    WireWriter out;
    out.number(kVersion);
    uint64_t file_end = 0, image_end = 0;
    for (const Extent& extent : extents) {
        NTT_CHECK(extent.length < uint64_t{1} << 62, "an extent longer than any image");
        out.number(extent.length << 2 | static_cast<uint64_t>(extent.kind));
        out.signed_number(static_cast<int64_t>(extent.file_offset - file_end));
        file_end = extent.file_offset + extent.length;
        if (extent.kind == ExtentKind::hole) continue;
        out.signed_number(static_cast<int64_t>(extent.image_offset - image_end));
        image_end = extent.image_offset + extent.length;
    }
    return out.take();
}

Result<std::vector<Extent>> decode_extents(std::string_view bytes) {
    std::vector<Extent> extents;
    if (bytes.empty()) return extents;
    WireReader in(bytes);
    if (in.number() != kVersion) in.fail();
    uint64_t file_end = 0, image_end = 0;
    while (in.ok() && !in.empty()) {
        const uint64_t head = in.number();
        Extent extent{file_end + static_cast<uint64_t>(in.signed_number()), 0, head >> 2, static_cast<ExtentKind>(head & 3)};
        file_end = extent.file_offset + extent.length;
        if ((head & 3) > static_cast<uint64_t>(ExtentKind::opaque)) in.fail();
        if (extent.kind != ExtentKind::hole) {
            extent.image_offset = image_end + static_cast<uint64_t>(in.signed_number());
            image_end = extent.image_offset + extent.length;
        }
        extents.push_back(extent);
    }
    if (!in.ok()) return make_error(ErrorCode::catalog_damaged, "the extents of an inode cannot be decoded");
    return extents;
}

}  // namespace ntt
