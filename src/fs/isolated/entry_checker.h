// The promises that fs_reader.h makes of entries, checked: against a process that cannot be trusted, and in tests and
// fuzzing against our own readers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fs/fs_reader.h"
#include "fs/listing/inode_set.h"

namespace ntt {

inline constexpr size_t kMaxPathOnWire = 72 << 10;    // kMaxPathBytes of folders, a name and a stream's name
inline constexpr size_t kMaxEvidenceBytes = 256 << 10;
inline constexpr uint64_t kMaxFindings = 100'000;     // of one volume

// Whether it is JSON of at most `max_bytes` that can be parsed and written without deep recursion.
bool is_flat_json(std::string_view text, size_t max_bytes = kMaxEvidenceBytes);

// Of one listing. Each check returns what is wrong with an entry, nothing if it may be believed as far as its form
// goes. Costs a bit for each inode.
class EntryChecker {
public:
    using Complaint = std::optional<std::string>;

    Complaint check(const InodeEntry& inode);
    Complaint check(const NameEntry& name) const;
    Complaint check(const DirectoryPlace& place) const;
    Complaint check(const Finding& finding);

private:
    InodeSet seen_;
    uint64_t findings_ = 0;
};

// Checks each entry of a message (messages.h) and hands it on: findings to `findings`, all others to `sink`; without a sink there may
// only be findings. Returns the complaint about what is no sound entry, with which it ends; an Error is the sink's.
Result<EntryChecker::Complaint> hand_on(std::string_view message, EntryChecker& checker, EntrySink* sink, FindingSink& findings);

}  // namespace ntt
