#include "fs/isolated/watched_source.h"

#include <utility>

namespace ntt {
namespace {

constexpr auto kTellEvery = std::chrono::seconds(1);

}  // namespace

WatchedSource::WatchedSource(const ByteSource& source, std::function<void(uint64_t)> on_new_bytes)
    : source_(source), on_new_bytes_(std::move(on_new_bytes)), seen_((source.size_bytes() + kProgressBytes - 1) / kProgressBytes) {}

std::optional<HostFailure> WatchedSource::take_failure() { return std::exchange(failure_, std::nullopt); }

Result<void> WatchedSource::read(uint64_t offset, ByteSpan out) const {
    Result<void> done = source_.read(offset, out);
    if (!done.ok()) {
        if (done.error().code != ErrorCode::invalid_argument) failure_ = HostFailure{{offset, out.size()}, done.error()};
        return done;
    }
    if (out.empty()) return done;
    const uint64_t before = untold_;
    for (uint64_t unit = offset / kProgressBytes; unit <= (offset + out.size() - 1) / kProgressBytes; ++unit) {
        if (seen_[unit]) continue;
        seen_[unit] = true;
        untold_ += kProgressBytes;
    }
    if (untold_ == before) return done;
    if (const auto now = std::chrono::steady_clock::now(); now - told_at_ >= kTellEvery) {
        told_at_ = now;
        on_new_bytes_(std::exchange(untold_, 0));
    }
    return done;
}

}  // namespace ntt
