// Volumes whose reader was lost (it crashed, hung, or used up what it may): when they are listed again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/catalog.h"
#include "fs/fs_reader.h"
#include "volume/volume.h"

namespace ntt {

// Listings of a volume that are tried by themselves, the first one included: one whose parser is lost every time must not
// cost its patience at every run for ever.
inline constexpr uint64_t kMaxListings = 3;

// Outcomes that say: the reader was lost, and another try may get further. `failed` says what the image is, not what became
// of a process: it is tried again only when somebody asks for it.
bool is_of_a_lost_reader(std::string_view outcome);

// Whether this run should list the volume again: its reader was lost and it was listed less than kMaxListings times since
// then or since it was requeued, or a limit of the reader is higher than any that it had. Volume.detail has the evidence:
// "listings" and "reader_limits" {"memory_mib","cpu_seconds","patience_seconds"}.
bool is_due_for_listing(const VolumeRow& volume, const ReaderOptions& options);

// How often the volume was listed, by its row.
uint64_t listings_of(const VolumeRow& volume);

// The volume's detail as a listing begins: without what only the last one showed.
std::string detail_before_listing(const std::string& detail);

// Writes into volume.detail, after a listing, what the next run must know. `before`: the row as it was; nullptr at first.
void note_listing(Volume& volume, const VolumeRow* before, const ReaderOptions& options);

// The volumes that could not be listed whole (`failed` ones too) become due again, whatever was tried. Returns how many.
Result<uint64_t> requeue_lost_volumes(Catalog& catalog, const std::string& medium_hash, std::optional<int> volume);

}  // namespace ntt
