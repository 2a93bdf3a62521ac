// GNU ddrescue's mapfile: which bytes of the image were read from the medium.
// Source: GNU ddrescue manual 1.27, "Mapfile structure"; statuses and the current-position line as written there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/cause.h"
#include "base/finding.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

enum class BlockStatus : uint8_t { non_tried, non_trimmed, non_scraped, bad_sector, finished };  // ? * / - +
char to_char(BlockStatus status);
// The cause of bytes with this status being absent; nullopt for finished.
std::optional<Cause> cause_of(BlockStatus status);

struct MapBlock {
    ByteRange range;
    BlockStatus status = BlockStatus::finished;
    int line = 0;  // of the mapfile, from 1; 0 for a block that was added for bytes the map does not speak of
};

// The share of an image that was rescued, in the words of the contract: ok incomplete corrupt failed unknown.
std::string_view health_of(uint64_t rescued_bytes, uint64_t size_bytes);

class RescueMap {
public:
    // Parses the text of a mapfile. malformed with the line's number for anything that is not a mapfile: a bad number
    // or status, a line with too few or too many fields, blocks that overlap, leave a gap or are out of order, a block
    // of no bytes or whose end is beyond 2^63 - 1, no status line, an empty file. Numbers are what ddrescue reads: decimal,
    // 0x hexadecimal, 0 octal. Stricter than ddrescue, which ignores what follows the fields of a line.
    static Result<RescueMap> parse(std::string_view text);
    // Reads at most kMaxMapBytes; limit beyond that.
    static Result<RescueMap> load(Env& env, const std::string& path);

    // Fits the map to an image of `image_size` bytes: bytes the map does not speak of become NOT_TRIED
    // (finding map_shorter_than_image), blocks beyond the image stay as they are (finding image_shorter_than_map).
    void fit_to(uint64_t image_size, FindingSink& findings);

    const std::vector<MapBlock>& blocks() const { return blocks_; }  // sorted, without gaps or overlaps
    // Merged ranges that are not finished, sorted, each with its status and the map's line.
    std::vector<MapBlock> missing() const;
    // Bytes with status finished below `image_size`; agrees with `ddrescuelog -t`, which has no image and counts all.
    uint64_t rescued_bytes(uint64_t image_size) const;
    uint64_t end() const;                                             // where the last block ends
    const std::string& digest() const { return digest_; }             // BLAKE3 of the text, 64 hex
    const std::vector<std::string>& lines() const { return lines_; }  // the text, for evidence
private:
    std::vector<MapBlock> blocks_;
    std::vector<std::string> lines_;
    std::string digest_;
};

inline constexpr uint64_t kMaxMapBytes = uint64_t{256} << 20;  // a map of 4 million blocks

// Finds the map beside an image: IMAGE.map, IMAGE.mapfile, IMAGE.log, or the same with the image's suffix replaced, the
// first of them that is a ddrescue mapfile. nullopt if there is none. A candidate that begins like a mapfile but is
// damaged is an error: the map of an image is not to be lost in silence.
Result<std::optional<std::string>> find_map_beside(Env& env, const std::string& image_path);

}  // namespace ntt
