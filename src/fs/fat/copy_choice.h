// Which copy of the FAT to believe where the two were read and differ: sector by sector, the one under which files are whole.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fat/allocation_table.h"
#include "fs/fat/chain.h"

namespace ntt {

// Shown every file and directory of a volume once, it follows each in both copies. A chain that fits its entry in one copy only
// speaks for that copy in every differing sector it goes through. The tables must outlive it. One thread at a time.
class CopyChoice {
public:
    // `sectors` are those in which the copies differ and both were read: 512 bytes each, counted from the table's start, sorted. Each
    // copy is judged as a whole first (table_trust.h). Errors: those of ByteSource::read; cancelled.
    static Result<std::unique_ptr<CopyChoice>> open(const FatPlace& place, const FatGeometry& geometry, std::vector<uint64_t> sectors,
                                                    const CancelToken& cancel);

    // Errors: those of AllocationTable::link.
    Result<void> weigh_file(int64_t ino, uint32_t first_cluster, uint64_t size);
    // The directory's chain, from the copy in which it comes to its end.
    Result<Chain> weigh_directory(uint32_t first_cluster, uint64_t max_clusters);

    // The sectors that the second copy has right: those that more chains speak for, and of those that no chain speaks for all
    // if more speaks for it in all others. Sorted.
    std::vector<uint64_t> of_second_copy() const;
    // Files that are whole in both copies but not with the same clusters, and nothing else speaks for one of them: from which
    // byte on, by ino.
    std::map<int64_t, uint64_t> disputed() const;

private:
    CopyChoice(const FatPlace& place, const FatGeometry& geometry, std::vector<uint64_t> sectors);

    using Votes = std::array<uint64_t, 2>;  // for the first and the second copy
    struct Dispute {
        int64_t ino;
        uint64_t file_offset;
        std::vector<uint64_t> sectors;  // where the chains part
    };
    void vote(const Chain& chain, size_t copy);
    // The differing sectors that the entry of `cluster` stands in.
    std::vector<uint64_t> sectors_of(uint32_t cluster) const;

    FatGeometry geometry_;
    std::vector<uint64_t> sectors_;
    std::array<AllocationTable, 2> tables_;
    std::array<ChainFollower, 2> chains_;
    std::map<uint64_t, Votes> votes_;
    Votes all_votes_{};
    std::vector<Dispute> disputes_;
};

}  // namespace ntt
