#include "volume/sessions.h"

#include <algorithm>

#include "volume/probes.h"

namespace ntt {

namespace {

constexpr uint64_t kSector = 2048, kFirstDescriptor = 16;
constexpr size_t kPieceBytes = size_t{1} << 20;

// The size counts from the session's start; some programs count from the disc's.
uint64_t end_of(uint64_t start, uint64_t declared_bytes, uint64_t disc_bytes) {
    const bool from_disc = declared_bytes > start && start + declared_bytes > disc_bytes && declared_bytes <= disc_bytes;
    return from_disc ? declared_bytes : start + declared_bytes;
}

}  // namespace

std::vector<Session> later_sessions(const ProbeWindow& disc, uint64_t from_bytes) {
    std::vector<Session> out;
    const uint64_t from = (from_bytes + kSector - 1) / kSector;
    const uint64_t end = std::min(disc.visible_bytes(), from_bytes + kMaxSessionSearchBytes) / kSector;
    ProbeBytes piece;
    uint64_t piece_at = 0;
    for (uint64_t sector = from + kFirstDescriptor; sector < end && out.size() < kMaxSessions && !disc.failure(); ++sector) {
        if (piece.size() == 0 || (sector - piece_at) * kSector >= piece.size()) {
            piece = disc.read(sector * kSector, kPieceBytes);
            piece_at = sector;
        }
        if (!piece.has((sector - piece_at) * kSector, std::string_view("\x01" "CD001\x01", 7))) continue;
        const uint64_t first = sector - kFirstDescriptor, start = first * kSector;
        const auto root = probes::iso9660_root(disc, disc.read(sector * kSector, kSector));
        if (!root || *root < start) continue;
        auto identity = probes::iso9660(disc, first);
        if (!identity) continue;
        const uint64_t session_end = end_of(start, identity->size_bytes, disc.visible_bytes());
        out.push_back({{start, session_end - start}, std::move(*identity)});
    }
    return out;
}

}  // namespace ntt
