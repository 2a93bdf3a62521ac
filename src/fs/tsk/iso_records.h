// What libtsk knows of an ISO 9660 disc's files but does not give through its interface: Rock Ridge names and modes, the
// recording time with its zone, and the flags of files that its runs are wrong for.
#pragma once

#include <tsk/libtsk.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace ntt {

struct IsoRecord {
    std::string rock_ridge_name;      // empty if there is none
    std::optional<int> mode;          // st_mode, from Rock Ridge
    std::optional<int64_t> uid, gid;
    std::optional<int64_t> recorded;  // seconds since 1970 UTC
    bool in_pieces = false;           // more than one directory record, or interleaved: libtsk maps the first piece only
};

// By libtsk's inode number. `fs` must be an ISO 9660 filesystem that libtsk has open. About 200 bytes a file, beside
// libtsk's own 500.
std::unordered_map<uint64_t, IsoRecord> read_iso_records(const TSK_FS_INFO& fs);

}  // namespace ntt
