#include "fs/fat/copy_choice.h"

#include <algorithm>

#include "fs/fat/table_trust.h"

namespace ntt {
namespace {

constexpr uint64_t kSector = 512;
constexpr size_t kMaxDisputes = 1 << 20;
constexpr uint64_t kClearMajority = 4;  // garbage looks like the end of a short chain now and then

// How many clusters two chains have in common from the start, and the last of them (0: none).
struct Common {
    uint64_t clusters = 0;
    uint32_t last = 0;
};
Common common_start(const Chain& a, const Chain& b) {
    Common out;
    size_t i = 0, j = 0;
    uint32_t in_a = 0, in_b = 0;  // clusters of the runs at hand that are passed
    while (i < a.runs.size() && j < b.runs.size()) {
        if (a.runs[i].first + in_a != b.runs[j].first + in_b) break;
        const uint32_t step = std::min(a.runs[i].count - in_a, b.runs[j].count - in_b);
        out.clusters += step;
        out.last = a.runs[i].first + in_a + step - 1;
        in_a += step;
        in_b += step;
        if (in_a == a.runs[i].count) ++i, in_a = 0;
        if (in_b == b.runs[j].count) ++j, in_b = 0;
    }
    return out;
}

}  // namespace

CopyChoice::CopyChoice(const FatPlace& place, const FatGeometry& geometry, std::vector<uint64_t> sectors)
    : geometry_(geometry),
      sectors_(std::move(sectors)),
      tables_{AllocationTable::of_copy(place, geometry, 0), AllocationTable::of_copy(place, geometry, 1)},
      chains_{ChainFollower(tables_[0], geometry_, place.offset_bytes), ChainFollower(tables_[1], geometry_, place.offset_bytes)} {}

Result<std::unique_ptr<CopyChoice>> CopyChoice::open(const FatPlace& place, const FatGeometry& geometry, std::vector<uint64_t> sectors,
                                                     const CancelToken& cancel) {
    std::unique_ptr<CopyChoice> out(new CopyChoice(place, geometry, std::move(sectors)));
    for (size_t copy = 0; copy < 2; ++copy) {
        TRY_ASSIGN(TableTrust trust, TableTrust::judge(out->tables_[copy], out->geometry_, cancel));
        out->chains_[copy].believe(std::move(trust));
    }
    return out;
}

Result<void> CopyChoice::weigh_file(int64_t ino, uint32_t first_cluster, uint64_t size) {
    if (size == 0) return {};
    TRY_ASSIGN(const FileLayout first, chains_[0].lay_out(first_cluster, size));
    TRY_ASSIGN(const FileLayout second, chains_[1].lay_out(first_cluster, size));
    const auto fits = [](const FileLayout& layout) { return layout.faults.empty() && layout.chain.stop == ChainStop::end; };
    if (fits(first) != fits(second)) {
        vote(fits(first) ? first.chain : second.chain, fits(first) ? 0 : 1);
    } else if (fits(first)) {
        const Common common = common_start(first.chain, second.chain);
        if (common.clusters < first.chain.clusters && disputes_.size() < kMaxDisputes)
            disputes_.push_back({ino, common.clusters * geometry_.cluster_size, sectors_of(common.last)});
    }
    return {};
}

Result<Chain> CopyChoice::weigh_directory(uint32_t first_cluster, uint64_t max_clusters) {
    TRY_ASSIGN(Chain first, chains_[0].follow(first_cluster, max_clusters));
    TRY_ASSIGN(Chain second, chains_[1].follow(first_cluster, max_clusters));
    const bool first_ends = first.stop == ChainStop::end, second_ends = second.stop == ChainStop::end;
    if (first_ends != second_ends) vote(first_ends ? first : second, first_ends ? 0 : 1);
    return second_ends && !first_ends ? std::move(second) : std::move(first);
}

void CopyChoice::vote(const Chain& chain, size_t copy) {
    ++all_votes_[copy];
    uint64_t last = UINT64_MAX;  // neighbours in a chain are neighbours in the table
    for (const ClusterRun& run : chain.runs)
        for (uint32_t cluster = run.first; cluster < run.first + run.count; ++cluster)
            for (const uint64_t sector : sectors_of(cluster))
                if (sector != last) ++votes_[last = sector][copy];
}

std::vector<uint64_t> CopyChoice::sectors_of(uint32_t cluster) const {
    const uint64_t offset = uint64_t{cluster} * static_cast<uint64_t>(geometry_.fat_bits) / 8, width = geometry_.fat_bits == 32 ? 4 : 2;
    std::vector<uint64_t> out;
    for (uint64_t sector = offset / kSector; sector <= (offset + width - 1) / kSector; ++sector)
        if (std::binary_search(sectors_.begin(), sectors_.end(), sector)) out.push_back(sector);
    return out;
}

std::vector<uint64_t> CopyChoice::of_second_copy() const {
    std::vector<uint64_t> out;
    for (const uint64_t sector : sectors_) {
        const auto found = votes_.find(sector);
        const Votes& votes = found == votes_.end() || found->second[0] == found->second[1] ? all_votes_ : found->second;
        if (votes[1] > votes[0]) out.push_back(sector);
    }
    return out;
}

std::map<int64_t, uint64_t> CopyChoice::disputed() const {
    std::map<int64_t, uint64_t> out;
    for (const Dispute& dispute : disputes_) {
        const bool settled = std::any_of(dispute.sectors.begin(), dispute.sectors.end(), [&](uint64_t sector) {
            const auto votes = votes_.find(sector);
            if (votes == votes_.end()) return false;
            const auto [few, many] = std::minmax(votes->second[0], votes->second[1]);
            return many >= 2 && many / kClearMajority >= few;
        });
        if (!settled) out.emplace(dispute.ino, dispute.file_offset);
    }
    return out;
}

}  // namespace ntt
