#include "copy/suspect_runs.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ntt {
namespace {

constexpr size_t kSector = 512;
constexpr size_t kPatternEvery = 8;     // sectors between two looks for a word: a run of 4 KiB has one of them
constexpr size_t kMaxPatternPeriod = 128;
constexpr std::string_view kLocation = "\n# position 0x";

uint64_t word_at(const uint8_t* bytes) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

bool is_one_byte(ByteView sector) {
    return word_at(sector.data()) == sector[0] * uint64_t{0x0101010101010101} && std::memcmp(sector.data(), sector.data() + 1, sector.size() - 1) == 0;
}

// The header of a tar archive, of any dialect: its checksum is the sum of its bytes with the checksum itself as eight spaces, in octal.
// Source: POSIX.1-1988, ustar; the same in the archives of Unix V7.
bool is_tar_header(ByteView sector) {
    constexpr size_t kChecksum = 148, kDigits = 8;
    uint64_t said = 0, sum = kDigits * ' ';
    bool any = false;
    for (size_t i = 0; i < kDigits; ++i) {
        const uint8_t c = sector[kChecksum + i];
        if (c == ' ' && !any) continue;
        if (c < '0' || c > '7') break;
        said = said * 8 + (c - '0');
        any = true;
    }
    for (size_t i = 0; i < kSector; ++i)
        if (i < kChecksum || i >= kChecksum + kDigits) sum += sector[i];
    return any && said == sum;
}

// Whether the sector repeats itself at all, before its pattern is worked out.
bool repeats(ByteView sector) {
    const uint64_t first = word_at(sector.data());
    const uint8_t* const end = &sector[kMaxPatternPeriod] + 1;
    for (const uint8_t* at = &sector[2]; at < end; ++at) {
        at = static_cast<const uint8_t*>(std::memchr(at, sector[0], static_cast<size_t>(end - at)));
        if (at == nullptr) return false;
        const auto period = static_cast<size_t>(at - sector.data());
        if (word_at(at) == first && std::memcmp(sector.data(), at, sector.size() - period) == 0) return true;
    }
    return false;
}

}  // namespace

void SuspectRuns::begin(uint64_t content_bytes) {
    content_bytes_ = content_bytes;
    open_.reset();
    has_before_ = false;
    is_tar_ = false;
    found_.clear();
}

void SuspectRuns::interrupt() {
    // An end that is not seen is no abrupt one.
    open_.reset();
    has_before_ = false;
}

void SuspectRuns::open(FillPattern fill, std::string pattern, uint64_t start, bool abrupt) {
    open_ = Open{};
    open_->abrupt = abrupt;
    open_->location = pattern.empty();
    open_->run.file_offset = start;
    open_->run.at_start = start == 0;
    open_->run.pattern = pattern.empty() ? "ddrescue location data" : std::move(pattern);
    open_->run.fill = std::move(fill);
}

void SuspectRuns::close(uint64_t end, bool abrupt) {
    SuspectRun& run = open_->run;
    run.length = end - run.file_offset;
    run.at_end = end == content_bytes_ && !open_->location;
    const bool may_be_trailer = is_tar_ && run.at_end && run.fill.byte() == 0;
    const uint64_t needed = open_->location ? kSector : may_be_trailer ? kLongerAtTarsEnd * min_bytes_ : min_bytes_;
    if (run.length >= needed && open_->abrupt && (abrupt || run.at_end || open_->location) && found_.size() < kMaxRuns) found_.push_back(std::move(run));
    open_.reset();
}

void SuspectRuns::take(uint64_t file_offset, ByteView bytes) {
    if (content_bytes_ < std::min<uint64_t>(min_bytes_, kSector)) return;
    if (file_offset == 0 && bytes.size() >= kSector) is_tar_ = is_tar_header(bytes.first(kSector));
    for (size_t at = 0; at < bytes.size(); at += kSector) {
        const ByteView sector = bytes.subspan(at, std::min(kSector, bytes.size() - at));
        const uint64_t place = file_offset + at;
        const ByteView head = sector.first(std::min(kNeighbourBytes, sector.size()));
        const bool is_location = sector.size() == kSector && std::memcmp(sector.data(), kLocation.data(), kLocation.size()) == 0;
        if (open_) {
            const bool goes_on = open_->location ? is_location : open_->run.fill.gives(sector, place);
            // The last sector of a content may go on with what is behind it in the image, or with nothing.
            if (goes_on) continue;
            close(place, !open_->run.fill.gives(head, place));
        }
        if (sector.size() < kSector) break;
        const ByteView before = at != 0 ? bytes.subspan(at - kNeighbourBytes, kNeighbourBytes) : has_before_ ? ByteView(before_) : ByteView();
        const auto abrupt = [&](const FillPattern& fill) { return before.empty() ? place == 0 : !fill.gives(before, place - kNeighbourBytes); };
        if (is_location) {
            open({}, {}, place, true);
        } else if (is_one_byte(sector)) {
            FillPattern fill = *FillPattern::of(sector, place);
            const bool sudden = abrupt(fill);
            std::string text = fill.text();
            open(std::move(fill), std::move(text), place, sudden);
        } else if ((place / kSector) % kPatternEvery == 0 && repeats(sector)) {
            std::optional<FillPattern> fill = FillPattern::of(sector, place);
            if (!fill) continue;
            // The look came late: the run began up to seven sectors ago.
            size_t start = at;
            while (start >= kSector && fill->gives(bytes.subspan(start - kSector, kSector), file_offset + start - kSector)) start -= kSector;
            const bool sudden = start >= kNeighbourBytes ? !fill->gives(bytes.subspan(start - kNeighbourBytes, kNeighbourBytes), file_offset + start - kNeighbourBytes)
                                                        : has_before_ ? !fill->gives(before_, file_offset + start - kNeighbourBytes) : file_offset == 0;
            std::string text = fill->text();
            open(*std::move(fill), std::move(text), file_offset + start, sudden);
        }
    }
    if (bytes.size() >= kNeighbourBytes) {
        std::memcpy(before_.data(), bytes.data() + bytes.size() - kNeighbourBytes, kNeighbourBytes);
        has_before_ = true;
    }
}

std::vector<SuspectRun> SuspectRuns::finish() {
    if (open_) close(content_bytes_, true);
    return std::move(found_);
}

}  // namespace ntt
