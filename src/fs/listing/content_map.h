// Collects where the bytes of one file lie, piece by piece and in any order, and hands out extents and faults as
// InodeEntry wants them: sorted, clipped, merged, without overlaps and with every byte accounted for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fs/fs_reader.h"

namespace ntt {

// Runs of one file that do not join with their neighbours, 32 bytes each; the rest of such a file is a fault.
inline constexpr size_t kMaxRuns = size_t{1} << 22;

class ContentMap {
public:
    // What bytes are that no piece covers.
    enum class Gap : uint8_t {
        hole,     // the filesystem maps what it wrote, the rest is zeros (ext, UFS)
        missing,  // it maps everything, or says that it is sparse (NTFS, HFS+, exFAT, ISO 9660)
    };

    // `size` is the file's, in bytes; `volume_bytes` tells an implausible size from a run list that stops early.
    ContentMap(uint64_t size, uint64_t volume_bytes) : size_(size), volume_bytes_(volume_bytes) {}

    // Bytes [file_offset, +length) of the file. Image offsets are absolute. Whatever lies beyond the size is dropped.
    void add_data(uint64_t file_offset, uint64_t image_offset, uint64_t length) {
        add(file_offset, image_offset, length, ExtentKind::data);
    }
    void add_hole(uint64_t file_offset, uint64_t length) { add(file_offset, 0, length, ExtentKind::hole); }
    // The place of metadata that bytes from `file_offset` on depend on; covers nothing.
    void add_opaque(uint64_t file_offset, uint64_t image_offset, uint64_t length);
    void add_fault(uint64_t file_offset, uint64_t length, Cause cause, std::string evidence);

    // Writes extents and faults; the map is used up. Two pieces that claim the same bytes: the first keeps them, and the
    // bytes get a fault FS_CORRUPT, because nobody knows which piece is right.
    void finish(Gap gap, InodeEntry& out);

private:
    void add(uint64_t file_offset, uint64_t image_offset, uint64_t length, ExtentKind kind);

    uint64_t size_, volume_bytes_;
    std::vector<Extent> extents_, opaque_;
    std::vector<ContentFault> faults_;
};

}  // namespace ntt
