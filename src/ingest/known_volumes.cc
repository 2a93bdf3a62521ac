#include "ingest/known_volumes.h"

#include <algorithm>
#include <functional>
#include <set>

#include "ingest/lost_volumes.h"
#include "volume/detail.h"

namespace ntt {
namespace {

using Same = std::function<bool(const Volume&, const VolumeRow&)>;

bool has_same_view(const Volume& volume, const VolumeRow& row) { return volume.offset_bytes == row.offset_bytes && volume.view == row.view; }

bool has_same_family(const Volume& volume, const VolumeRow& row) {
    return volume.offset_bytes == row.offset_bytes && !volume.fs_type.empty() && volume.fs_type == row.fs_type && row.fs_type != "iso9660";
}

bool was_nothing_there(const Volume& volume, const VolumeRow& row) { return row.view.empty() && volume.offset_bytes == row.offset_bytes; }

bool stood_for_a_lost_search(const Volume&, const VolumeRow& row) { return row.view.empty() && is_of_a_lost_reader(row.outcome); }

}  // namespace

Volume volume_of(const VolumeRow& row) {
    Volume volume;
    volume.number = row.volume;
    volume.offset_bytes = row.offset_bytes;
    volume.size_bytes = row.size_bytes;
    volume.view = row.view;
    volume.fs_type = row.fs_type;
    volume.label = row.label;
    volume.uuid = row.uuid;
    volume.outcome = outcome_from(row.outcome).value_or(Outcome::no_filesystem);
    volume.role = role_from(row.role).value_or(Role::unknown);
    volume.readable = !row.view.empty() && volume.outcome != Outcome::unsupported && volume.outcome != Outcome::skipped;
    volume.detail = row.detail;
    return volume;
}

VolumeRow row_of(const std::string& medium_hash, int64_t image_id, const Volume& volume) {
    VolumeRow row;
    row.medium_hash = medium_hash;
    row.volume = volume.number;
    row.image_id = image_id;
    row.offset_bytes = volume.offset_bytes;
    row.size_bytes = volume.size_bytes;
    row.view = volume.view;
    row.role = to_string(volume.role);
    row.fs_type = volume.fs_type;
    row.label = volume.label;
    row.uuid = volume.uuid;
    row.outcome = to_string(volume.outcome);
    row.detail = volume.detail;
    return row;
}

std::map<int, int> take_known_numbers(std::vector<Volume>& found, const std::vector<VolumeRow>& rows) {
    std::map<int, int> number_of;  // by the number of detection
    std::set<int> taken;
    int next = 1;
    for (const VolumeRow& row : rows) next = std::max(next, row.volume + 1);
    for (const Same& same : {Same(has_same_view), Same(has_same_family), Same(was_nothing_there), Same(stood_for_a_lost_search)}) {
        for (const Volume& volume : found) {
            if (number_of.count(volume.number) != 0) continue;
            const auto row = std::find_if(rows.begin(), rows.end(), [&](const VolumeRow& r) { return taken.count(r.volume) == 0 && same(volume, r); });
            if (row == rows.end()) continue;
            taken.insert(row->volume);
            number_of[volume.number] = row->volume;
        }
    }
    for (Volume& volume : found) {
        const auto [known, is_new] = number_of.try_emplace(volume.number, next);
        if (is_new) ++next;
        volume.number = known->second;
    }
    for (const VolumeRow& row : rows)
        if (!row.view.empty() && taken.count(row.volume) == 0) found.push_back(volume_of(row));
    std::sort(found.begin(), found.end(), [](const Volume& a, const Volume& b) { return a.number < b.number; });
    return number_of;
}

bool was_listed_without_repairs(const VolumeRow& row) { return parse_detail(row.detail).contains(kRepairsOff); }

bool was_repaired(const VolumeRow& row) { return parse_detail(row.detail).contains("repairs"); }

}  // namespace ntt
