#include "fs/fat/table_trust.h"

namespace ntt {
namespace {

constexpr uint32_t kCheckEvery = 1 << 16;  // entries between two looks at the cancel token
constexpr uint64_t kFewEntries = 8;        // of so few a quarter says little: half of them must be impossible

// What one sector of the table shows.
struct Tally {
    uint64_t used = 0, impossible = 0, links = 0, to_next = 0;
    uint64_t descending = 0;  // links to the cluster before the one that the entry before links to
    uint32_t last_target = 0;

    bool is_garbage(bool head_is_wrong) const {
        if (used < kFewEntries ? impossible >= 2 && impossible * 2 > used : impossible * 4 > used) return true;
        if (links >= kFewEntries && descending * 2 > links) return true;
        return head_is_wrong && links >= 2 && to_next * 2 < links;
    }
};

// The first entry repeats the media byte with ones before it.
bool is_head(const FatLink& link, int fat_bits) {
    if (link.kind == LinkKind::absent) return true;  // not known
    const uint32_t mask = fat_bits == 12 ? 0xF00u : fat_bits == 16 ? 0xFF00u : 0x0FFFFF00u, media = link.value & 0xFF;
    return (link.value & mask) == mask && (media == 0xF0 || media >= 0xF8);
}

}  // namespace

Result<TableTrust> TableTrust::judge(AllocationTable& table, const FatGeometry& geometry, const CancelToken& cancel) {
    TableTrust out;
    out.bits_ = static_cast<uint64_t>(geometry.fat_bits);
    ClusterSet free(geometry), linked(geometry), linked_twice(geometry);
    TRY_ASSIGN(const FatLink head, table.link(0));
    const bool head_is_wrong = !is_head(head, geometry.fat_bits);
    TRY_ASSIGN(const FatLink second, table.link(1));
    uint32_t zeros = head.kind == LinkKind::free && second.kind == LinkKind::free ? kFirstDataCluster : 0;
    for (uint32_t cluster = kFirstDataCluster; cluster <= geometry.last_cluster(); ++cluster) {
        if (cluster % kCheckEvery == 0) TRY(cancel.check());
        TRY_ASSIGN(const FatLink link, table.link(cluster));
        if (link.kind == LinkKind::free) {
            free.insert(cluster);
            if (zeros == cluster) ++zeros;
        }
        if (link.kind == LinkKind::next && !linked.insert(link.value)) linked_twice.insert(link.value);
    }
    if (zeros > geometry.last_cluster() || out.sector_of(zeros) > 0) out.zeroed_until_ = zeros;

    std::vector<size_t> bad;
    Tally tally;
    size_t sector = out.sector_of(kFirstDataCluster);
    const auto close = [&](size_t next) {
        if (tally.is_garbage(head_is_wrong)) bad.push_back(sector);
        tally = {};
        sector = next;
    };
    for (uint32_t cluster = kFirstDataCluster; cluster <= geometry.last_cluster(); ++cluster) {
        if (cluster % kCheckEvery == 0) TRY(cancel.check());
        if (const size_t its = out.sector_of(cluster); its != sector) close(its);
        TRY_ASSIGN(const FatLink link, table.link(cluster));
        switch (link.kind) {
            case LinkKind::free:
            case LinkKind::bad:
            case LinkKind::absent: break;
            case LinkKind::end: ++tally.used; break;
            case LinkKind::reserved:
            case LinkKind::out_of_range:
                ++tally.used;
                ++tally.impossible;
                break;
            case LinkKind::next:
                ++tally.used;
                ++tally.links;
                if (link.value == cluster + 1) ++tally.to_next;
                if (link.value + 1 == tally.last_target) ++tally.descending;
                tally.last_target = link.value;
                // Of two links to one cluster the one from the cluster before it is likely the right one.
                if (free.contains(link.value) || (link.value != cluster + 1 && linked_twice.contains(link.value))) ++tally.impossible;
                break;
        }
    }
    close(sector);
    if (bad.empty()) return out;
    out.bad_.resize(out.sector_of(geometry.last_cluster()) + 1);
    for (const size_t one : bad) out.bad_[one] = true;
    out.bad_sectors_ = bad.size();
    return out;
}

}  // namespace ntt
