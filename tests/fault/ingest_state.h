// What an ingest leaves behind, in a form that two runs can be compared by.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/support.h"

namespace ntt::test {

// Rows of the catalog as the sqlite3 shell prints them, without what tells of the runs themselves: times, names of
// workers, and the errors that this host had on the way.
inline std::string rows_of(const std::string& home) {
    return must("sqlite3 -readonly " + shell_quoted(home + "/catalog.db") +
                " 'SELECT medium_hash, medium_human, image_path, size_bytes, health, rescued_bytes, enum_done IS NULL, copy_done IS NULL FROM medium;"
                " SELECT medium_hash, path, digest, map_digest FROM image; SELECT * FROM volume;"
                " SELECT volume, ino, fs_type, size, first_offset, hex(extents), status, copied, claimed_by, blobid, partial_blobid, missing_bytes, cause,"
                " evidence FROM inode ORDER BY volume, ino;"
                " SELECT volume, entry, ino, hex(path) FROM path ORDER BY volume, entry; SELECT * FROM missing_range;"
                " SELECT volume, ino, code, message FROM finding ORDER BY id; SELECT blobid, kind, size FROM blob ORDER BY kind, blobid;"
                " SELECT volume, ino, checks, action, cause FROM diagnostic_event ORDER BY volume, ino;'");
}

// Names of all files below by-hash/ and partial/.
inline std::vector<std::string> blobs_of(const std::string& home) {
    std::vector<std::string> out;
    for (const char* kind : {"by-hash", "partial"}) {
        if (!std::filesystem::is_directory(home + "/" + kind)) continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(home + "/" + kind))
            if (entry.is_regular_file()) out.push_back(std::string(kind) + "/" + entry.path().filename().string());
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace ntt::test
