// The part of an image that a volume takes, as whoever looks for repairs sees it. Offsets count from the region's start.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fs/fs_reader.h"
#include "image/byte_source.h"
#include "image/overlay.h"
#include "volume/probe_window.h"

namespace ntt {

class Region {
public:
    using Unread = std::shared_ptr<const std::vector<UnreadRange>>;

    // `source` must outlive this; `range` may reach beyond the image, `unread` may be null.
    Region(const ByteSource& source, ByteRange range, Unread unread)
        : window_(source, range), range_(range), unread_(std::move(unread)) {}

    uint64_t size_bytes() const { return range_.length; }                 // as the partition table declares
    uint64_t visible_bytes() const { return window_.visible_bytes(); }    // what the image has of it
    ProbeBytes read(uint64_t offset, size_t length) const { return window_.read(offset, length); }
    // Whether the image has all of it and the rescue map knows no gap in it.
    bool was_read(uint64_t offset, uint64_t length) const;
    // The first failure of the source: what was read since is zeros.
    const std::optional<Error>& failure() const { return window_.failure(); }

    Patch copied(uint64_t offset, uint64_t length, uint64_t from) const {
        return Patch::copied({range_.offset + offset, length}, range_.offset + from);
    }
    Patch given(uint64_t offset, std::vector<uint8_t> bytes) const { return Patch::given(range_.offset + offset, std::move(bytes)); }
    uint64_t image_offset(uint64_t offset) const { return range_.offset + offset; }

private:
    ProbeWindow window_;
    ByteRange range_;
    Unread unread_;
};

}  // namespace ntt
