// An image that notices what is read of it: whether that gets on, and what this computer could not read.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "image/byte_source.h"
#include "image/reader_protocol.h"

namespace ntt {

class WatchedSource final : public ByteSource {
public:
    // `on_new_bytes` is told, now and then, how many bytes of the image were read for the first time; what loops over the
    // same bytes is not getting on. One thread.
    WatchedSource(const ByteSource& source, std::function<void(uint64_t)> on_new_bytes);

    // The last read that failed since the last call.
    std::optional<HostFailure> take_failure();

    uint64_t size_bytes() const override { return source_.size_bytes(); }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    std::vector<ByteRange> damaged_ranges() const override { return source_.damaged_ranges(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override;

private:
    const ByteSource& source_;
    std::function<void(uint64_t)> on_new_bytes_;
    mutable std::vector<bool> seen_;  // one for each kProgressBytes of the image
    mutable std::chrono::steady_clock::time_point told_at_;
    mutable uint64_t untold_ = 0;     // new bytes since on_new_bytes_ was called
    mutable std::optional<HostFailure> failure_;
};

}  // namespace ntt
