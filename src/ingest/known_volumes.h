// Volumes that are detected a second time keep the numbers they have in the catalog.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "volume/volume.h"

namespace ntt {

// What a run needs to know of a volume that an earlier one detected.
Volume volume_of(const VolumeRow& row);
// The row of a volume.
VolumeRow row_of(const std::string& medium_hash, int64_t image_id, const Volume& volume);

// `found`: what detection sees now; `rows`: what it saw before. A volume is the same if offset and view are, or, but for the
// views of a disc, offset and filesystem family. What is new takes the number of a row without a view at its offset (nothing was
// recognised there), or of one that only says that the search for volumes was lost, else a number that no row has. A row with a
// view that is not found any more stays as it was: its files are in the catalog.
//
// Gives each volume its number, adds those that stay, sorts by number. Returns the number that stands for each that
// detection gave, for its findings.
std::map<int, int> take_known_numbers(std::vector<Volume>& found, const std::vector<VolumeRow>& rows);

// Whether the volume was listed by a run that made no repairs (--no-repair): a run that may is to detect it anew.
bool was_listed_without_repairs(const VolumeRow& row);
// Key of Volume::detail that says so.
inline constexpr const char* kRepairsOff = "repairs_off";

// Whether the volume is read with repairs.
bool was_repaired(const VolumeRow& row);

}  // namespace ntt
