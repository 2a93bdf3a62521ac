// What is inside an archive that poses as a disk image: told, never unpacked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

struct ArchiveContents {
    std::string type;                // "tar.bz2", "zip", "gzip" (of something that is no archive)
    bool single = false;             // a compressed file and nothing else: perhaps an image
    uint64_t entries = 0;
    uint64_t bytes = 0;              // of their contents, as the entries say; of a single file as it was unpacked
    std::vector<std::string> first;  // their first kMaxNames names, raw bytes
    bool complete = true;            // false: `stopped` says why there may be more
    std::string stopped;
    std::string head;                // of a single file, its first kHeadBytes at most: for whoever knows filesystems
    std::string image;               // what he says of it: "fat12"; empty if it is nothing known

    // "tar.bz2 with 49129 entries, first: home/pball/Maildir/"
    std::string text() const;

    static constexpr size_t kMaxNames = 10, kMaxNameBytes = 256, kHeadBytes = 128 << 10;
};

// An archive may claim anything and unpack to a million times its size: whatever comes first ends the look.
struct ArchiveLimits {
    uint64_t entries = 10'000'000;
    uint64_t input_bytes = uint64_t{4} << 30;
    int64_t time_us = 60'000'000;
};

// Reads the names in `source` from its beginning; names only, but those of a compressed archive cost the decompression of
// what stands between them. Formats: tar, cpio, zip, 7z, rar; around them gzip, bzip2, xz, lzma, zstd, lz4. Damage ends the
// list early (complete is false, `stopped` has the reason), as do the limits, which are looked at after every kilobytes read.
// What is compressed and no archive is unpacked to its end, and only counted.
// Errors: those of ByteSource::read; cancelled. Nothing global is touched and no file is opened.
// Memory: what the format's dictionary takes (xz and 7z may ask for more than a gigabyte; under a memory limit that is an end
// of the list, too).
Result<ArchiveContents> look_into_archive(const ByteSource& source, const ArchiveLimits& limits, const Clock& clock, const CancelToken& cancel);

}  // namespace ntt
