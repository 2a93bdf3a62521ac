#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "fs/repair/proposers.h"

namespace ntt {
namespace {

constexpr uint64_t kHeaderAt = 1024, kHeaderBytes = 512;
constexpr uint64_t kBeforeEnd = 1024;           // where the alternate header begins
constexpr uint64_t kSearchedBytes = 64 << 10;   // at the region's end: an image may hold more than the volume
constexpr uint64_t kForksAt = 112;              // of the five special files, to the end

struct HfsPlusHeader {
    uint64_t block_size = 0, blocks = 0;
    std::string forks;
    bool operator==(const HfsPlusHeader&) const = default;
};

std::optional<HfsPlusHeader> parse(const ProbeBytes& header) {
    const uint16_t version = header.be16(2);
    if (!(header.has(0, "H+") && version == 4) && !(header.has(0, "HX") && version == 5)) return std::nullopt;
    HfsPlusHeader out{header.be32(40), header.be32(44), std::string(header.text(kForksAt, kHeaderBytes - kForksAt))};
    if (!std::has_single_bit(out.block_size) || out.block_size < 512 || out.block_size > (1 << 20) || out.blocks == 0) return std::nullopt;
    return out;
}

// The alternate header's own numbers put the volume's end at its place, but for a part of a block.
bool is_at_end(const HfsPlusHeader& header, uint64_t at) {
    const uint64_t end = at + kBeforeEnd, declared = header.block_size * header.blocks;
    return declared <= end + header.block_size && end <= declared + header.block_size;
}

}  // namespace

Result<std::vector<Proposal>> hfsplus_header(const Region& region, const Volume& volume, FindingSink&) {
    std::vector<Proposal> out;
    const bool is_hfsplus = volume.fs_type == "hfsplus";
    if (!volume.view.empty() && !is_hfsplus) return out;
    const bool unread = !region.was_read(kHeaderAt, kHeaderBytes);
    const auto header = parse(region.read(kHeaderAt, kHeaderBytes));
    const uint64_t end = region.visible_bytes() / kHeaderBytes * kHeaderBytes, begin = end - std::min(end, kSearchedBytes);
    const ProbeBytes tail = region.read(begin, static_cast<size_t>(end - begin));
    if (region.failure()) return *region.failure();
    for (uint64_t offset = end; offset >= begin + kHeaderBytes; offset -= kHeaderBytes) {
        const uint64_t at = offset - kHeaderBytes;
        const auto alternate = parse(ProbeBytes(std::string(tail.text(at - begin, kHeaderBytes))));
        if (!alternate || at == kHeaderAt || !is_at_end(*alternate, at) || !region.was_read(at, kHeaderBytes)) continue;
        if (is_hfsplus && header == alternate) break;
        Repair repair{std::string(repairs::kHfsPlusHeader), fmt::format("the alternate volume header at byte {} of the volume", at),
                      {region.copied(kHeaderAt, kHeaderBytes, at)}, {{"alternate_at", region.image_offset(at)}}};
        out.push_back({"hfsplus", {std::move(repair)}, is_hfsplus && unread});
        break;
    }
    return out;
}

}  // namespace ntt
