// A set of clusters of one volume.
#pragma once

#include <cstdint>
#include <vector>

#include "fs/fat/boot_sector.h"

namespace ntt {

// Clusters first … first + count - 1, in the order of the chain.
struct ClusterRun {
    uint32_t first = 0;
    uint32_t count = 0;
};

// A bit for each cluster, 32 MiB at most.
class ClusterSet {
public:
    explicit ClusterSet(const FatGeometry& geometry) : words_(uint64_t{geometry.last_cluster()} / 64 + 1) {}
    // Whether the cluster was new.
    bool insert(uint32_t cluster) {
        const uint64_t bit = uint64_t{1} << (cluster % 64);
        uint64_t& word = words_[cluster / 64];
        const bool is_new = (word & bit) == 0;
        word |= bit;
        return is_new;
    }
    void insert(ClusterRun run) {
        for (uint32_t i = 0; i < run.count; ++i) insert(run.first + i);
    }
    bool contains(uint32_t cluster) const { return (words_[cluster / 64] >> (cluster % 64) & 1) != 0; }
    bool contains_any(ClusterRun run) const {
        for (uint32_t i = 0; i < run.count; ++i)
            if (contains(run.first + i)) return true;
        return false;
    }
    void erase(ClusterRun run);
    // What both sets have, as runs in order; of more than max_runs the last reaches to the last cluster that both have.
    std::vector<ClusterRun> common_with(const ClusterSet& other, size_t max_runs) const;

private:
    std::vector<uint64_t> words_;
};

}  // namespace ntt
