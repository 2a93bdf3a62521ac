// An image with some of its bytes replaced, for readers only: the file stays as it is.
#pragma once

#include <cstdint>
#include <vector>

#include "image/byte_source.h"

namespace ntt {

// Bytes to be seen at `offset` of the image instead of what stands there.
struct Patch {
    uint64_t offset = 0;
    std::vector<uint8_t> bytes;
};

// The decoded image under `patches`, which lie inside it and apart from each other. `below` must outlive this.
class Overlay final : public ByteSource {
public:
    Overlay(const ByteSource& below, std::vector<Patch> patches) : below_(below), patches_(std::move(patches)) {}

    uint64_t size_bytes() const override { return below_.size_bytes(); }
    uint32_t sector_size() const override { return below_.sector_size(); }
    std::string_view format() const override { return below_.format(); }
    const std::vector<ImagePart>& parts() const override { return below_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override;
    const Fd* plain_file(ByteRange range, uint64_t* file_offset) const override;
    std::vector<ByteRange> damaged_ranges() const override { return below_.damaged_ranges(); }

private:
    const ByteSource& below_;
    std::vector<Patch> patches_;
};

}  // namespace ntt
