// Runs in a content that look like sectors nobody read, where no rescue map says so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "image/fill.h"

namespace ntt {

struct SuspectRun {
    uint64_t file_offset = 0, length = 0;
    std::string pattern;      // "0x00", "0x424144…"; or "ddrescue location data"
    bool at_start = false;    // nothing of the content stands before it
    bool at_end = false;      // it reaches the content's last byte; if it is also at_start, what stands around it has to bear it out
    FillPattern fill = {};
};

// Tools that could not read a sector leave one byte (zeros mostly) or a repeated word in its place, and keep no map. Programs
// write such runs as well: padding, empty pages, plain areas of pictures. What tells them apart is where a run stops: damage
// begins and ends with a sector, a program's run where its data does. So a run is suspect only if
//   - it is at least `min_bytes` long and made of whole sectors of the image,
//   - it is abrupt: the sixteen bytes before it and behind it do not go on with the pattern (a run of a program begins on a
//     sector's boundary once in 512 times, and then ends on one once in 512 times),
//   - where it reaches the content's end, one abrupt end is enough; but zeros there must be four times as long in a tar archive,
//     whose format ends with up to 10.5 KiB of them; a content that is nothing else is suspect only if the image has the same
//     on both sides.
// Text that ddrescue's fill mode writes with the position ("\n# position 0x…") is suspect from one sector on.
// What cannot be told apart: a program that writes whole empty pages between full ones (databases, disk images in files).
// Source of the text: ddrescue 1.27 --fill-mode=l, measured. Cost: a compare of eight bytes for each sector.
class SuspectRuns {
public:
    explicit SuspectRuns(uint64_t min_bytes) : min_bytes_(min_bytes) {}

    bool wanted() const { return min_bytes_ != 0; }
    void begin(uint64_t content_bytes);
    // The content in order. Pieces begin at multiples of 512, and lie so in the image too; only the last may have another length.
    void take(uint64_t file_offset, ByteView bytes);
    // What follows is not behind what came before in the image, or is no data at all.
    void interrupt();
    // Those that are suspect, but for one that is the whole content; the first kMaxRuns. Call it after the last piece.
    std::vector<SuspectRun> finish();
    uint64_t min_bytes() const { return min_bytes_; }

    static constexpr size_t kMaxRuns = 16, kNeighbourBytes = 16;
    static constexpr uint64_t kLongerAtTarsEnd = 4;

private:
    void open(FillPattern fill, std::string pattern, uint64_t start, bool abrupt);
    void close(uint64_t end, bool abrupt);

    struct Open {
        SuspectRun run;
        bool abrupt = false;    // at its start
        bool location = false;  // ddrescue's text
    };
    const uint64_t min_bytes_;
    uint64_t content_bytes_ = 0;
    std::optional<Open> open_;
    std::array<uint8_t, kNeighbourBytes> before_{};  // the last bytes taken
    bool has_before_ = false;
    bool is_tar_ = false;
    std::vector<SuspectRun> found_;
};

}  // namespace ntt
