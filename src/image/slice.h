// A part of an image as an image of its own: a disk inside a container.
#pragma once

#include <string_view>
#include <vector>

#include "image/byte_source.h"

namespace ntt {

class SliceSource final : public ByteSource {
public:
    // What of `range` the image has. `source` must outlive this.
    SliceSource(const ByteSource& source, ByteRange range) : source_(source), range_(intersect(range, {0, source.size_bytes()})) {}

    uint64_t size_bytes() const override { return range_.length; }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        if (offset > range_.length || out.size() > range_.length - offset) return make_error(ErrorCode::io, "beyond the end of this part of the image");
        return source_.read(range_.offset + offset, out);
    }

private:
    const ByteSource& source_;
    ByteRange range_;
};

}  // namespace ntt
