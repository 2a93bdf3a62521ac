// The mapfile parser: what it accepts is a partition of the medium, and comes back when it is written down.
#include <fmt/format.h>

#include <iterator>

#include "base/bytes.h"
#include "fuzzer.h"
#include "image/rescue_map.h"
#include "promises.h"

namespace ntt::fuzz {
namespace {

std::string text_of(const RescueMap& map) {
    std::string out = "0x0 + 1\n";
    for (const MapBlock& block : map.blocks())
        fmt::format_to(std::back_inserter(out), "{:#x}\t{:#x} {}\n", block.range.offset, block.range.length, to_char(block.status));
    return out;
}

void check_blocks(const RescueMap& map) {
    uint64_t expected = 0;
    for (const MapBlock& block : map.blocks()) {
        NTT_PROMISE(block.range.offset == expected && block.range.length > 0, "blocks are sorted, without gaps or overlaps");
        NTT_PROMISE(block.range.length <= INT64_MAX - expected, "no block ends beyond 2^63-1");
        NTT_PROMISE(block.line >= 0 && static_cast<size_t>(block.line) <= map.lines().size(), "a block's line is one of the map's");
        expected = block.range.end();
    }
    NTT_PROMISE(map.end() == expected, "the end of the map");
    uint64_t missing = 0, reached = 0;
    for (const MapBlock& block : map.missing()) {
        NTT_PROMISE(block.range.offset >= reached && block.range.length > 0, "missing ranges are sorted");
        reached = block.range.end();
        missing += block.range.length;
    }
    NTT_PROMISE(map.rescued_bytes(map.end()) + missing == map.end(), "rescued and missing bytes add up");
    for (const uint64_t size : {uint64_t{0}, uint64_t{1}, map.end() / 2, map.end(), uint64_t{INT64_MAX}})
        NTT_PROMISE(map.rescued_bytes(size) <= size, "no more is rescued than there is");
}

void run(std::string_view text) {
    auto parsed = RescueMap::parse(text);
    if (!parsed.ok()) {
        NTT_PROMISE(parsed.error().code == ErrorCode::malformed, "what is no map is malformed");
        NTT_PROMISE(is_utf8(parsed.error().text()), "an error is text for people");
        return;
    }
    RescueMap map = *std::move(parsed);
    NTT_PROMISE(!map.blocks().empty(), "a map has blocks");
    check_blocks(map);
    const auto again = RescueMap::parse(text_of(map));
    NTT_PROMISE(again.ok() && again->blocks().size() == map.blocks().size(), "a map that is written down is a map");
    for (size_t i = 0; i < map.blocks().size(); ++i)
        NTT_PROMISE(again->blocks()[i].range == map.blocks()[i].range && again->blocks()[i].status == map.blocks()[i].status,
                    "a map comes back as it was");
    NoFindings none;
    const uint64_t size = map.end() / 2 + text.size() * 512;
    map.fit_to(size, none);
    check_blocks(map);
    NTT_PROMISE(map.end() >= size, "a map that was fitted speaks of the whole image");
}

}  // namespace
}  // namespace ntt::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ntt::fuzz::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
