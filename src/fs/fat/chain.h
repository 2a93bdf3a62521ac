// Cluster chains: where a file's bytes lie, and where its chain breaks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cause.h"
#include "base/extent.h"
#include "base/result.h"
#include "fs/fat/allocation_table.h"
#include "fs/fat/cluster_set.h"
#include "fs/fat/table_trust.h"
#include "fs/fs_reader.h"

namespace ntt {

// Why following a chain came to its end.
enum class ChainStop : uint8_t { end, free, reserved, bad, out_of_range, absent, loop, longer, untrusted };
// "free", "out_of_range", "fat_absent" …: `kind` in evidence.
std::string_view to_string(ChainStop stop);

// A chain as far as it could be followed. `value` is what stands at the stop: the entry of `at_cluster` in the table, or
// the start cluster itself when at_cluster is 0 (there is no cluster 0).
struct Chain {
    std::vector<ClusterRun> runs;
    uint32_t first_cluster = 0;
    uint32_t clusters = 0;  // in all runs
    ChainStop stop = ChainStop::end;
    uint32_t at_cluster = 0;
    uint32_t value = 0;
    Cause absence = Cause::BEYOND_EOF;  // why an absent entry is absent

    // The cause of what is missing behind the stop; NTT_CHECKs for `longer`, behind which nothing is.
    Cause cause() const;
    // A JSON object that lets a person check the stop by hand in the table.
    std::string evidence(uint64_t expected_clusters) const;
};

// A file's content as entry and chain give it.
struct FileLayout {
    std::vector<Extent> extents;       // of the image, never clipped at its end
    std::vector<ContentFault> faults;  // one at most: all that is behind a stop
    Chain chain;
};

// Follows chains of one volume. The table must outlive it.
class ChainFollower {
public:
    ChainFollower(AllocationTable& table, const FatGeometry& geometry, uint64_t volume_offset)
        : table_(table), geometry_(geometry), volume_offset_(volume_offset), visited_(geometry) {}

    // Entries that it does not trust end a chain (kind: untrusted).
    void believe(TableTrust trust) { trust_ = std::move(trust); }
    const TableTrust& trust() const { return trust_; }

    // At most max_clusters; stops with `longer` where the chain goes on after them. A cluster is a part of the chain
    // when something sound leads to it, whatever its own entry says. Cost: one look into the table for each cluster.
    Result<Chain> follow(uint32_t first_cluster, uint64_t max_clusters);
    // Lays `size` bytes over the chain. Every byte of [0, size) is in an extent or in the fault.
    // Faults: FAT_CHAIN_SHORT, FAT_CHAIN_LOOP, FAT_CHAIN_INVALID (kind: free, reserved, bad, out_of_range, untrusted), BEYOND_EOF where
    // the table itself is beyond the image, IMPLAUSIBLE_SIZE when the size is more than the volume can hold.
    Result<FileLayout> lay_out(uint32_t first_cluster, uint64_t size);
    // The place of a run's first `length` bytes in the image.
    ByteRange place_of(ClusterRun run) const {
        return {volume_offset_ + geometry_.cluster_offset(run.first), uint64_t{run.count} * geometry_.cluster_size};
    }

private:
    AllocationTable& table_;
    const FatGeometry& geometry_;
    uint64_t volume_offset_;
    TableTrust trust_;
    ClusterSet visited_;  // of the chain at hand; empty between calls
};

}  // namespace ntt
