#include "fs/fat/chain.h"

#include <algorithm>

#include <fmt/format.h>

namespace ntt {
namespace {

ChainStop stop_of(LinkKind kind) {
    switch (kind) {
        case LinkKind::next: return ChainStop::longer;
        case LinkKind::end: return ChainStop::end;
        case LinkKind::free: return ChainStop::free;
        case LinkKind::reserved: return ChainStop::reserved;
        case LinkKind::bad: return ChainStop::bad;
        case LinkKind::out_of_range: return ChainStop::out_of_range;
        case LinkKind::absent: return ChainStop::absent;
    }
    NTT_CHECK(false, "a kind of link that does not exist");
}

void append(std::vector<ClusterRun>& runs, uint32_t cluster) {
    if (!runs.empty() && runs.back().first + runs.back().count == cluster)
        ++runs.back().count;
    else
        runs.push_back({cluster, 1});
}

}  // namespace

std::string_view to_string(ChainStop stop) {
    switch (stop) {
        case ChainStop::end: return "end";
        case ChainStop::free: return "free";
        case ChainStop::reserved: return "reserved";
        case ChainStop::bad: return "bad";
        case ChainStop::out_of_range: return "out_of_range";
        case ChainStop::absent: return "fat_absent";
        case ChainStop::loop: return "loop";
        case ChainStop::longer: return "longer";
        case ChainStop::untrusted: return "untrusted";
    }
    NTT_CHECK(false, "a stop that does not exist");
}

Cause Chain::cause() const {
    switch (stop) {
        case ChainStop::end: return Cause::FAT_CHAIN_SHORT;
        case ChainStop::free:
        case ChainStop::reserved:
        case ChainStop::bad:
        case ChainStop::out_of_range:
        case ChainStop::untrusted: return Cause::FAT_CHAIN_INVALID;
        case ChainStop::absent: return absence;
        case ChainStop::loop: return Cause::FAT_CHAIN_LOOP;
        case ChainStop::longer: break;
    }
    NTT_CHECK(false, "a chain that goes on has no cause of damage");
}

std::string Chain::evidence(uint64_t expected_clusters) const {
    const auto number_or_null = [](bool known, uint32_t number) { return known ? fmt::to_string(number) : std::string("null"); };
    return fmt::format(
        R"({{"kind":"{}","first_cluster":{},"clusters_followed":{},"expected_clusters":{},"at_cluster":{},"fat_value":{}}})",
        to_string(stop), first_cluster, clusters, expected_clusters, number_or_null(at_cluster != 0, at_cluster),
        number_or_null(at_cluster != 0 && stop != ChainStop::absent, value));
}

Result<Chain> ChainFollower::follow(uint32_t first_cluster, uint64_t max_clusters) {
    Chain chain;
    chain.first_cluster = first_cluster;
    FatLink link{table_.classify(first_cluster), first_cluster};
    if (link.kind == LinkKind::end) link.kind = LinkKind::out_of_range;  // no chain starts with an end mark
    Result<void> outcome;
    bool untrusted = false;
    while (link.kind == LinkKind::next && chain.clusters < max_clusters) {
        if (!visited_.insert(link.value)) break;
        append(chain.runs, link.value);
        ++chain.clusters;
        chain.at_cluster = link.value;
        auto next = table_.link(link.value);
        if (!next.ok()) {
            outcome = std::move(next).take_error();
            break;
        }
        link = *next;
        if (!trust_.trusts(chain.at_cluster)) {
            untrusted = true;
            break;
        }
    }
    for (const ClusterRun& run : chain.runs) visited_.erase(run);
    TRY(std::move(outcome));
    chain.value = link.value;
    chain.absence = link.absence;
    chain.stop = untrusted ? ChainStop::untrusted : link.kind == LinkKind::next && chain.clusters < max_clusters ? ChainStop::loop : stop_of(link.kind);
    return chain;
}

Result<FileLayout> ChainFollower::lay_out(uint32_t first_cluster, uint64_t size) {
    FileLayout layout;
    const uint64_t expected = size / geometry_.cluster_size + (size % geometry_.cluster_size != 0 ? 1 : 0);
    // More clusters than the volume has cannot be followed: a cluster is in a chain only once.
    TRY_ASSIGN(layout.chain, follow(first_cluster, expected));

    uint64_t covered = 0;
    layout.extents.reserve(layout.chain.runs.size());
    for (const ClusterRun& run : layout.chain.runs) {
        const ByteRange place = place_of(run);
        const uint64_t length = std::min(place.length, size - covered);
        layout.extents.push_back({covered, place.offset, length, ExtentKind::data});
        covered += length;
    }
    if (covered < size) {
        const Cause cause = size > geometry_.data_bytes() ? Cause::IMPLAUSIBLE_SIZE : layout.chain.cause();
        layout.faults.push_back({cause, covered, size - covered, layout.chain.evidence(expected)});
    }
    return layout;
}

}  // namespace ntt
