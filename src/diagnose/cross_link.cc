#include "diagnose/cross_link.h"

#include <algorithm>
#include <map>
#include <set>

namespace ntt {
namespace {

// A hostile directory can point thousands of entries at one cluster; beyond this many claimants of one place nobody is
// compared any more, and nobody keeps it.
constexpr size_t kMaxClaimants = 64;

struct Run {
    ByteRange place;      // in the image
    size_t claim = 0;     // index into the claims
    uint64_t file_offset = 0;
};

}  // namespace

std::vector<CrossLink> find_cross_links(std::vector<SectorClaim> claims) {
    std::vector<Run> runs;
    for (size_t i = 0; i < claims.size(); ++i)
        for (const Extent& extent : claims[i].extents)
            if (extent.kind == ExtentKind::data && extent.length > 0) runs.push_back({{extent.image_offset, extent.length}, i, extent.file_offset});
    std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.place < b.place; });

    // Sweep: `open` holds the runs that reach beyond the current start. Most images never have two open.
    struct Shared {
        std::vector<Extent> extents;
        std::set<size_t> others;
        bool crowded = false;
    };
    std::map<size_t, Shared> shared;
    std::vector<Run> open;
    for (const Run& run : runs) {
        std::erase_if(open, [&](const Run& other) { return other.place.end() <= run.place.offset; });
        if (open.size() >= kMaxClaimants) {
            shared[run.claim].extents.push_back({run.file_offset, run.place.offset, run.place.length, ExtentKind::data});
            shared[run.claim].crowded = true;
            for (const Run& other : open) shared[other.claim].crowded = true;
            continue;
        }
        for (const Run& other : open) {
            const ByteRange both = intersect(run.place, other.place);
            if (both.empty() || (run.claim == other.claim && run.file_offset == other.file_offset)) continue;
            for (const Run* side : {&run, &other})
                shared[side->claim].extents.push_back({side->file_offset + (both.offset - side->place.offset), both.offset, both.length, ExtentKind::data});
            shared[run.claim].others.insert(other.claim);
            shared[other.claim].others.insert(run.claim);
        }
        open.push_back(run);
    }

    std::vector<CrossLink> out;
    for (auto& [index, part] : shared) {
        const SectorClaim& claim = claims[index];
        if (claim.owner == SectorClaim::Owner::directory) continue;
        const auto twin = [&](size_t other) { return claims[other].owner == claim.owner && claims[other].extents == claim.extents; };
        const bool rival_fits = std::any_of(part.others.begin(), part.others.end(), [&](size_t o) { return !twin(o) && claims[o].fits; });
        // The very same runs under two entries: the first entry has them. Where the second one's content is, nobody knows.
        const bool first = std::none_of(part.others.begin(), part.others.end(), [&](size_t o) { return twin(o) && claims[o].ino < claim.ino; });
        const bool only_twins = std::all_of(part.others.begin(), part.others.end(), twin);
        const bool perhaps_elsewhere = claim.may_be_elsewhere && std::any_of(part.others.begin(), part.others.end(), twin);
        CrossLink link{claim.ino, !part.crowded && first && !perhaps_elsewhere && (only_twins || (claim.fits && !rival_fits)), {}, {}};
        std::sort(part.extents.begin(), part.extents.end(), [](const Extent& a, const Extent& b) { return a.file_offset < b.file_offset; });
        for (const Extent& extent : part.extents) {
            if (!link.shared.empty()) {
                Extent& last = link.shared.back();
                const uint64_t last_end = last.file_offset + last.length, end = extent.file_offset + extent.length;
                if (extent.file_offset < last_end || (extent.file_offset == last_end && extent.image_offset == last.image_offset + last.length)) {
                    last.length = std::max(last_end, end) - last.file_offset;
                    continue;
                }
            }
            link.shared.push_back(extent);
        }
        for (const size_t other : part.others)
            if (link.others.size() < kMaxOthersNamed && other != index && claims[other].owner == SectorClaim::Owner::file) link.others.push_back(claims[other].ino);
        out.push_back(std::move(link));
    }
    std::sort(out.begin(), out.end(), [](const CrossLink& a, const CrossLink& b) { return a.ino < b.ino; });
    return out;
}

}  // namespace ntt
