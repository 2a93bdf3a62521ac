// An image with some of its bytes replaced, for those who read filesystems: the file stays as it is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "image/byte_source.h"

namespace ntt {

// What is to be seen at `place` of the image instead of what stands there: bytes that are given, or those that the image has
// at another place.
struct Patch {
    ByteRange place;
    std::vector<uint8_t> bytes;           // place.length of them; empty when they are copied
    std::optional<uint64_t> copied_from;  // offset in the image; what stands there, never what a patch shows there

    static Patch given(uint64_t offset, std::vector<uint8_t> bytes) { return {{offset, bytes.size()}, std::move(bytes), {}}; }
    static Patch copied(ByteRange place, uint64_t from) { return {place, {}, from}; }
};

// The decoded image under patches. Thread-safe, like every source. Parts, format, sector size and damaged ranges are those
// of the image below; plain_file() answers where no patch lies.
class Overlay final : public ByteSource {
public:
    // `below` must outlive the overlay. invalid_argument when a patch is empty, holds another number of bytes than its
    // place, reaches beyond the image (its origin too), or lies on another patch.
    static Result<std::unique_ptr<Overlay>> over(const ByteSource& below, std::vector<Patch> patches);

    uint64_t size_bytes() const override { return below_.size_bytes(); }
    uint32_t sector_size() const override { return below_.sector_size(); }
    std::string_view format() const override { return below_.format(); }
    const std::vector<ImagePart>& parts() const override { return below_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override;
    const Fd* plain_file(ByteRange range, uint64_t* file_offset) const override;
    std::vector<ByteRange> damaged_ranges() const override { return below_.damaged_ranges(); }

private:
    Overlay(const ByteSource& below, std::vector<Patch> patches) : below_(below), patches_(std::move(patches)) {}
    // The first patch that ends behind `offset`.
    std::vector<Patch>::const_iterator first_behind(uint64_t offset) const;

    const ByteSource& below_;
    std::vector<Patch> patches_;  // sorted by place, disjoint
};

}  // namespace ntt
