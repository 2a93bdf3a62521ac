#include "fs/tsk/iso_records.h"

#include <tsk/fs/tsk_iso9660.h>

#include <cstring>
#include <ctime>

namespace ntt {

namespace {

// Source: ECMA-119, 9.1.5: years since 1900, zone in quarters of an hour east of Greenwich.
std::optional<int64_t> recorded_at(const record_data& date) {
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31 || date.hour > 23 || date.min > 59 || date.sec > 60) return {};
    std::tm broken_down{};
    broken_down.tm_year = date.year;
    broken_down.tm_mon = date.month - 1;
    broken_down.tm_mday = date.day;
    broken_down.tm_hour = date.hour;
    broken_down.tm_min = date.min;
    broken_down.tm_sec = date.sec;
    const bool zone_makes_sense = date.gmt_off >= -48 && date.gmt_off <= 52;
    return int64_t{timegm(&broken_down)} - (zone_makes_sense ? int64_t{date.gmt_off} * 15 * 60 : 0);
}

}  // namespace

std::unordered_map<uint64_t, IsoRecord> read_iso_records(const TSK_FS_INFO& fs) {
    constexpr int kMoreRecordsFollow = 0x80;
    std::unordered_map<uint64_t, IsoRecord> out;
    const auto& iso = reinterpret_cast<const ISO_INFO&>(fs);  // libtsk's way to derive from TSK_FS_INFO
    for (const iso9660_inode_node* node = iso.in_list; node; node = node->next) {
        IsoRecord record;
        if (const rockridge_ext* rr = node->inode.rr) {
            record.rock_ridge_name.assign(rr->fn, strnlen(rr->fn, sizeof rr->fn));
            if (rr->mode != 0) {
                record.mode = rr->mode;
                record.uid = rr->uid;
                record.gid = rr->gid;
            }
        }
        record.recorded = recorded_at(node->inode.dr.rec_time);
        record.in_pieces = (node->inode.dr.flags & kMoreRecordsFollow) != 0 || node->inode.dr.unit_sz != 0;
        out.emplace(node->inum, std::move(record));
    }
    return out;
}

}  // namespace ntt
