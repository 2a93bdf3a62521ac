// From the numbers of blocks that UDF uses to places in the image: anchors, volume descriptors and partition maps.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/extent.h"
#include "fs/fs_reader.h"
#include "fs/listing/unread_ranges.h"
#include "fs/udf/descriptors.h"
#include "volume/volume.h"

namespace ntt {

// A run of bytes as far as it lies together. Without a place: nobody knows where it is.
struct UdfRun {
    uint64_t length = 0;
    std::optional<uint64_t> image_offset;
};

class UdfSpace {
public:
    // `source` and `unread` must outlive it.
    UdfSpace(const ByteSource& source, const Volume& volume, const UnreadRanges& unread);

    // Finds the descriptors and the table of virtual blocks. Findings: udf_table_older (a newer table of virtual blocks may
    // have been lost, what it replaced is listed), udf_table_rebuilt (there is none; what descriptors say of themselves is taken),
    // udf_table_lost (of sparing or metadata). Fails with unsupported, which
    // says what was not found; with those of ByteSource::read.
    Result<void> open(FindingSink& findings);

    uint64_t block_bytes() const { return block_bytes_; }
    UdfAddress file_set() const { return file_set_; }
    uint64_t blocks_of(uint16_t partition) const;
    std::string revision() const;  // "1.50"

    // The places of `length` bytes from the start of a block on, in order.
    void locate(UdfAddress start, uint64_t length, const std::function<void(UdfRun)>& take) const;
    // The block, cut at the image's end; empty where its place is not known or was not read from the medium.
    ProbeBytes read_block(UdfAddress address) const;
    std::optional<uint64_t> place_of(UdfAddress address) const;  // in the image
    // Bytes of the image, read or not read from the medium; fewer where the image ends.
    ProbeBytes read(ByteRange image) const { return window_.read(image.offset - volume_.offset_bytes, static_cast<size_t>(image.length)); }

    // The first `limit` bytes of what `file` (in `block`, at `address`) holds, taken whole: nothing if a byte of it cannot be
    // had. For tables; files go through lay_out.
    std::optional<std::string> read_table(const UdfFile& file, UdfAddress address, uint64_t limit) const;
    // Follows the allocation descriptors of a file: each piece in order, with its kind. False when a table of them cannot be
    // read: what it maps is not known.
    bool for_each_extent(const UdfFile& file, const std::function<void(const UdfExtent&)>& take) const;

    const std::optional<Error>& failure() const { return window_.failure(); }

private:
    struct Partition {
        enum class Kind : uint8_t { physical, sparable, virtual_blocks, metadata, unknown } kind = Kind::unknown;
        uint16_t number = 0;
        uint64_t start = 0, blocks = 0;  // in the volume; of a physical or sparable one
        uint16_t base = 0;               // the map that a virtual or metadata one stands on
        std::vector<uint32_t> table;     // of virtual blocks
        uint32_t packet_blocks = 0;
        std::unordered_map<uint32_t, uint32_t> spared;  // first block of a packet in the partition -> in the volume
        std::vector<Extent> pieces;                     // of the metadata file; image offsets
        bool lost = false;
    };

    bool find_descriptors(uint64_t block_bytes);
    void read_sequence(uint64_t location, uint64_t bytes, int depth);
    Result<void> make_maps(FindingSink& findings);
    Result<void> load_virtual_table(Partition& partition, FindingSink& findings);
    Result<void> rebuild_virtual_table(Partition& partition, FindingSink& findings);
    bool take_virtual_table(Partition& partition, uint64_t block);
    void load_sparing_table(Partition& partition, const ProbeBytes& map, uint64_t at, FindingSink& findings);
    void load_metadata(Partition& partition, const ProbeBytes& map, uint64_t at, FindingSink& findings);
    ProbeBytes read_at(uint64_t offset, size_t length) const;  // in the volume; empty where it was not read
    UdfRun run_at(uint64_t volume_offset, uint64_t length) const;

    Volume volume_;
    ProbeWindow window_;
    const UnreadRanges& unread_;
    uint64_t block_bytes_ = 0;
    ProbeBytes logical_volume_;
    uint32_t logical_sequence_ = 0;
    struct Declared {
        uint32_t sequence;
        uint64_t start, blocks;
    };
    std::unordered_map<uint16_t, Declared> declared_;  // by partition number
    std::vector<Partition> partitions_;
    UdfAddress file_set_;
};

}  // namespace ntt
