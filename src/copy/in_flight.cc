#include "copy/in_flight.h"

namespace ntt {

bool InFlight::claim(BlobKind kind, const BlobId& id, const CopyOutcome& outcome) {
    const std::lock_guard lock(mutex_);
    const auto [entry, first] = of(kind).try_emplace(id);
    if (!first) entry->second.push_back(outcome);
    return first;
}

std::vector<CopyOutcome> InFlight::settle(BlobKind kind, const BlobId& id) {
    const std::lock_guard lock(mutex_);
    Waiting& waiting = of(kind);
    const auto entry = waiting.find(id);
    if (entry == waiting.end()) return {};
    std::vector<CopyOutcome> out = std::move(entry->second);
    waiting.erase(entry);
    return out;
}

}  // namespace ntt
