#include "fs/fat/cluster_set.h"

#include <algorithm>

namespace ntt {

void ClusterSet::erase(ClusterRun run) {
    for (uint32_t cluster = run.first; cluster < run.first + run.count;) {
        if (cluster % 64 == 0 && run.first + run.count - cluster >= 64) {
            words_[cluster / 64] = 0;
            cluster += 64;
        } else {
            words_[cluster / 64] &= ~(uint64_t{1} << (cluster % 64));
            ++cluster;
        }
    }
}

std::vector<ClusterRun> ClusterSet::common_with(const ClusterSet& other, size_t max_runs) const {
    std::vector<ClusterRun> out;
    for (size_t i = 0; i < std::min(words_.size(), other.words_.size()); ++i) {
        const uint64_t both = words_[i] & other.words_[i];
        for (uint32_t bit = 0; both != 0 && bit < 64; ++bit) {
            if ((both >> bit & 1) == 0) continue;
            const auto cluster = static_cast<uint32_t>(i * 64 + bit);
            if (!out.empty() && (out.back().first + out.back().count == cluster || out.size() >= max_runs))
                out.back().count = cluster + 1 - out.back().first;
            else
                out.push_back({cluster, 1});
        }
    }
    return out;
}

}  // namespace ntt
