// Which sectors of the allocation table hold what no driver wrote.
#pragma once

#include <cstdint>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fat/allocation_table.h"
#include "fs/fat/cluster_set.h"

namespace ntt {

// A garbage table gives chains that look sound by chance: a link that lands on an end mark makes a file of two clusters of
// somebody else's content. So each sector of the table is judged as a whole, by the entries that cannot be: values out of
// range, links to free clusters, links from afar to a cluster that another one links to as well. Where more than a quarter of
// the entries in use are such, none of the sector is believed. An inverted table has another sign: each entry links to the
// cluster before the one that the entry before links to. Where the table does not even begin with the media byte, a sector
// whose links do not mostly lead to the next cluster is not believed either.
class TableTrust {
public:
    TableTrust() = default;  // trusts everything
    // Reads the table twice, in order; memory of three bits for each cluster meanwhile. Errors: those of ByteSource::read; cancelled.
    static Result<TableTrust> judge(AllocationTable& table, const FatGeometry& geometry, const CancelToken& cancel);

    // Whether the entry of this cluster may be believed.
    bool trusts(uint32_t cluster) const { return bad_.empty() || !bad_[sector_of(cluster)]; }
    uint64_t bad_sectors() const { return bad_sectors_; }
    // A table begins with the media byte, even of an empty disk. Where its first sector is zeros it was lost, and so was what
    // follows of zeros: the first cluster behind them. 0 if the table begins as it should.
    uint32_t zeroed_until() const { return zeroed_until_; }

private:
    size_t sector_of(uint32_t cluster) const { return static_cast<size_t>(uint64_t{cluster} * bits_ / 8 / 512); }

    uint64_t bits_ = 12;
    std::vector<bool> bad_;  // empty if none is
    uint64_t bad_sectors_ = 0;
    uint32_t zeroed_until_ = 0;
};

}  // namespace ntt
