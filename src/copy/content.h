// Reads the content of one file: from its extents in the image, or through the filesystem's reader.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "catalog/rows.h"
#include "copy/segments.h"
#include "fs/fs_reader.h"
#include "image/byte_source.h"
#include "volume/volume.h"

namespace ntt {

// Readers of the volumes, opened when the first file needs one. Thread-safe: one read at a time for each volume.
class VolumeReaders {
public:
    VolumeReaders(const ByteSource& source, const std::vector<Volume>& volumes, ReaderOptions options)
        : source_(source), volumes_(volumes), options_(std::move(options)) {}

    Result<size_t> read(const WorkItem& item, uint64_t offset, ByteSpan out);

private:
    struct Slot {
        std::mutex mutex;
        std::unique_ptr<FsReader> reader;
    };
    const ByteSource& source_;
    const std::vector<Volume>& volumes_;
    ReaderOptions options_;
    std::mutex mutex_;
    std::map<int, Slot> slots_;
};

}  // namespace ntt
