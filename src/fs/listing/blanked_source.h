// An image whose unread sectors are zeros, whatever the file holds there: for a library that knows no rescue map.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "fs/listing/unread_ranges.h"
#include "image/byte_source.h"

namespace ntt {

class BlankedSource final : public ByteSource {
public:
    // `kept` reads as it stands: the superblock, without which there is nothing to read. `source` must outlive this.
    BlankedSource(const ByteSource& source, UnreadRanges unread, ByteRange kept) : source_(source), unread_(std::move(unread)), kept_(kept) {}

    uint64_t size_bytes() const override { return source_.size_bytes(); }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    std::vector<ByteRange> damaged_ranges() const override { return source_.damaged_ranges(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(source_.read(offset, out));
        const ByteRange kept = intersect(kept_, {offset, out.size()});
        const uint64_t before = kept.empty() ? out.size() : kept.offset - offset;
        unread_.blank(offset, out.first(before));
        if (!kept.empty()) unread_.blank(kept.end(), out.subspan(kept.end() - offset));
        return {};
    }

private:
    const ByteSource& source_;
    UnreadRanges unread_;
    ByteRange kept_;
};

}  // namespace ntt
