// A region of an image as the probes of filesystems see it: reads that never leave it, and text fields of superblocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

// Bytes read by a probe. Reading beyond their end gives zeros, so that a probe need not check each field: no magic
// number is zero.
class ProbeBytes {
public:
    ProbeBytes() = default;
    explicit ProbeBytes(std::string bytes) : bytes_(std::move(bytes)) {}

    uint8_t u8(uint64_t offset) const { return offset < bytes_.size() ? static_cast<uint8_t>(bytes_[offset]) : uint8_t{0}; }
    uint16_t le16(uint64_t offset) const { return static_cast<uint16_t>(little(offset, 2)); }
    uint32_t le32(uint64_t offset) const { return static_cast<uint32_t>(little(offset, 4)); }
    uint64_t le64(uint64_t offset) const { return little(offset, 8); }
    uint16_t be16(uint64_t offset) const { return static_cast<uint16_t>(big(offset, 2)); }
    uint32_t be32(uint64_t offset) const { return static_cast<uint32_t>(big(offset, 4)); }
    uint64_t be64(uint64_t offset) const { return big(offset, 8); }

    // At most `length` bytes; shorter at the end.
    std::string_view text(uint64_t offset, size_t length) const {
        return offset < bytes_.size() ? std::string_view(bytes_).substr(static_cast<size_t>(offset), length) : std::string_view{};
    }
    bool has(uint64_t offset, std::string_view magic) const { return text(offset, magic.size()) == magic; }
    size_t size() const { return bytes_.size(); }

private:
    uint64_t little(uint64_t offset, uint64_t length) const {
        uint64_t out = 0;
        for (uint64_t i = length; i > 0; --i) out = out << 8 | u8(offset + i - 1);
        return out;
    }
    uint64_t big(uint64_t offset, uint64_t length) const {
        uint64_t out = 0;
        for (uint64_t i = 0; i < length; ++i) out = out << 8 | u8(offset + i);
        return out;
    }
    std::string bytes_;
};

// The part of `range` that the image has. Keeps the first failure of the source: probes go on with zeros, and the
// caller asks once at the end.
class ProbeWindow {
public:
    static constexpr size_t kHeadBytes = 72 * 1024;  // holds every superblock up to the one of btrfs at 64 KiB

    ProbeWindow(const ByteSource& source, ByteRange range);

    // Bytes [offset, +length) of the window; fewer where the image or the window ends.
    ProbeBytes read(uint64_t offset, size_t length) const;
    const ProbeBytes& head() const { return head_; }       // the first kHeadBytes
    uint64_t size_bytes() const { return range_.length; }  // as declared: may reach beyond the image
    uint64_t visible_bytes() const { return visible_; }    // what the image has of it
    uint64_t image_offset() const { return range_.offset; }
    const std::optional<Error>& failure() const { return failure_; }

private:
    const ByteSource& source_;
    ByteRange range_;
    uint64_t visible_ = 0;
    ProbeBytes head_;
    mutable std::optional<Error> failure_;
};

// --- text fields ---

// Up to the first NUL, without blanks at either end; bytes that are not UTF-8 become U+FFFD.
std::string label_text(std::string_view field);
enum class Utf16Order : uint8_t { little, big };
// UTF-16 up to the first NUL as UTF-8; a lone surrogate becomes U+FFFD.
std::string utf16_text(std::string_view field, Utf16Order order);
// 16 bytes as 8-4-4-4-12 lowercase digits; empty for all zeros.
std::string uuid_text(std::string_view bytes);

}  // namespace ntt
