#include "image/fill.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace ntt {
namespace {

constexpr uint64_t kSamples = 64;
constexpr uint64_t kSampleBytes = 4 << 10;
constexpr uint64_t kSamplesThatMayDiffer = kSamples / 8;  // a leftover structure or two, not a disk in use
constexpr uint64_t kReadBytes = 1 << 20;
constexpr uint64_t kSectorBytes = 512;
constexpr size_t kShownBytes = 16;

// Sorted ranges of the image of which nothing is known.
class Unread {
public:
    explicit Unread(const std::vector<ByteRange>& ranges) : ranges_(ranges) {}
    bool touches(ByteRange range) const { return first_behind(range.offset) != ranges_.end() && first_behind(range.offset)->offset < range.end(); }
    uint64_t bytes_in(ByteRange range) const {
        uint64_t out = 0;
        for (auto at = first_behind(range.offset); at != ranges_.end() && at->offset < range.end(); ++at) out += intersect(*at, range).length;
        return out;
    }

private:
    std::vector<ByteRange>::const_iterator first_behind(uint64_t offset) const {
        return std::upper_bound(ranges_.begin(), ranges_.end(), offset, [](uint64_t at, const ByteRange& r) { return at < r.end(); });
    }
    const std::vector<ByteRange>& ranges_;
};

}  // namespace

std::optional<FillPattern> FillPattern::of(ByteView bytes, uint64_t offset) {
    for (size_t period = 1; period <= std::min(kMaxPeriod, bytes.size() / 2); ++period) {
        if (std::memcmp(bytes.data(), bytes.data() + period, bytes.size() - period) != 0) continue;
        FillPattern out;
        out.period_.resize(period);
        for (size_t i = 0; i < period; ++i) out.period_[static_cast<size_t>((offset + i) % period)] = static_cast<char>(bytes[i]);
        return out;
    }
    return std::nullopt;
}

bool FillPattern::gives(ByteView bytes, uint64_t offset) const {
    if (period_.empty()) return false;
    const size_t head = std::min(period_.size(), bytes.size());
    for (size_t i = 0; i < head; ++i)
        if (bytes[i] != static_cast<uint8_t>(period_[static_cast<size_t>((offset + i) % period_.size())])) return false;
    return bytes.size() == head || std::memcmp(bytes.data(), bytes.data() + head, bytes.size() - head) == 0;
}

std::optional<uint8_t> FillPattern::byte() const {
    return period_.size() == 1 ? std::optional(static_cast<uint8_t>(period_[0])) : std::nullopt;
}

std::string FillPattern::text() const {
    const ByteView bytes = as_bytes(period_);
    if (bytes.size() <= kShownBytes) return "0x" + to_hex(bytes);
    return fmt::format("0x{}... ({} bytes)", to_hex(bytes.first(kShownBytes)), bytes.size());
}

std::string_view FillPattern::word() const { return byte() == 0x00 ? "blank" : byte() == 0xF6 ? "erased" : "wiped"; }

Result<std::optional<Fill>> fill_of(const ByteSource& source, ByteRange range, const std::vector<ByteRange>& unread_ranges, const CancelToken& cancel) {
    if (range.empty()) return std::optional<Fill>();
    const Unread unread(unread_ranges);
    if (static_cast<double>(unread.bytes_in(range)) > (1 - kMinReadShare) * static_cast<double>(range.length)) return std::optional<Fill>();
    std::vector<uint8_t> buffer;

    // The pattern that most samples have; each votes until it is in the minority (Boyer and Moore).
    std::optional<FillPattern> favourite;
    uint64_t lead = 0, differing = 0;
    const uint64_t step = std::max(range.length / kSamples, kSampleBytes);
    const auto each_sample = [&](const auto& look) -> Result<void> {
        for (uint64_t at = range.offset; at < range.end(); at += step) {
            TRY(cancel.check());
            buffer.resize(std::min(kSampleBytes, range.end() - at));
            if (unread.touches({at, buffer.size()})) continue;
            TRY(source.read(at, buffer));
            look(ByteView(buffer), at);
        }
        return {};
    };
    uint64_t samples = 0;
    TRY(each_sample([&](ByteView sample, uint64_t at) {
        ++samples;
        std::optional<FillPattern> pattern = FillPattern::of(sample, at);
        if (!pattern) return;
        if (lead == 0) favourite = std::move(pattern), lead = 1;
        else favourite == pattern ? ++lead : --lead;
    }));
    if (!favourite) {
        if (range.length != 1 || samples == 0) return std::optional<Fill>();
        favourite = FillPattern::of(std::vector<uint8_t>(2, buffer[0]), range.offset);
    }
    TRY(each_sample([&](ByteView sample, uint64_t at) { differing += favourite->gives(sample, at) ? 0u : 1u; }));
    if (differing > std::max<uint64_t>(std::min(kSamplesThatMayDiffer, samples / 8), samples > 8 ? 1 : 0)) return std::optional<Fill>();

    Fill fill{*favourite, 0, range.length, unread.bytes_in(range), {}, 0};
    uint64_t other_end = 0;  // of the last range of something else
    for (uint64_t at = range.offset; at < range.end(); at += kReadBytes) {
        TRY(cancel.check());
        buffer.resize(std::min(kReadBytes, range.end() - at));
        TRY(source.read(at, buffer));
        const bool all_read = !unread.touches({at, buffer.size()});
        if (all_read && favourite->gives(buffer, at)) {
            fill.filled_bytes += buffer.size();
            continue;
        }
        for (uint64_t in = 0; in < buffer.size(); in += kSectorBytes) {
            const ByteView sector = ByteView(buffer).subspan(in, std::min<size_t>(kSectorBytes, buffer.size() - in));
            // What is left of a sector that was read in part is not looked at.
            if (const uint64_t lost = all_read ? 0 : unread.bytes_in({at + in, sector.size()}); lost != 0) {
                fill.unread_bytes += sector.size() - lost;
                continue;
            }
            if (favourite->gives(sector, at + in)) {
                fill.filled_bytes += sector.size();
                continue;
            }
            if (fill.other_ranges == 0 || other_end != at + in) {
                ++fill.other_ranges;
                if (fill.others.size() < kMaxOtherRanges) fill.others.push_back({at + in, 0});
            }
            other_end = at + in + sector.size();
            if (fill.other_ranges <= kMaxOtherRanges) fill.others.back().length = other_end - fill.others.back().offset;
        }
    }
    if (fill.filled_bytes == 0 || fill.share() < kMinFillShare || fill.other_bytes() > kMaxOtherBytes) return std::optional<Fill>();
    return std::optional(std::move(fill));
}

}  // namespace ntt
