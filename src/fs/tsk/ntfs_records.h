// Records of the master file table as they stand on the disk: which can be believed, which are in use, what holds the rest of a
// file that needs more than one. libtsk 4.11.1 takes a record without update sequence numbers as it is, whatever it begins
// with, and has no words for where one lies.
// Source: Linux-NTFS project, "NTFS Documentation": FILE Record, Attribute List, Index Record, Data Runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/extent.h"
#include "base/result.h"
#include "fs/listing/unread_ranges.h"
#include "image/byte_source.h"

namespace ntt {

struct NtfsRecord {
    enum class State : uint8_t { in_use, free, not_believed } state = State::not_believed;
    std::string reason;  // of not_believed
    std::optional<uint64_t> image_offset;
    std::optional<Cause> cause;  // from the rescue map, or BEYOND_EOF

    uint16_t sequence = 0;
    uint64_t base = 0;  // the record that this one continues; 0 for none
    uint16_t base_sequence = 0;
    bool directory = false;

    // Where $DATA attributes go on, as the attribute list says.
    struct Continuation {
        uint64_t record = 0;
        uint16_t sequence = 0;
        std::string stream;  // UTF-16 as it stands; empty for the main one
    };
    std::vector<Continuation> data_elsewhere;
    bool list_is_lost = false;  // the attribute list itself cannot be believed
};

class NtfsRecords {
public:
    // `mft`: the extents of $MFT; sizes in bytes. `source` must outlive this.
    NtfsRecords(const ByteSource& source, ByteRange volume, std::vector<Extent> mft, uint64_t record_bytes, uint64_t cluster_bytes, UnreadRanges unread);

    uint64_t count() const { return count_; }
    Result<NtfsRecord> read(uint64_t number) const;

    // Why an index record at `image_offset` cannot be believed; nullopt if it can.
    struct IndexDamage {
        std::string reason;
        std::optional<Cause> cause;
    };
    Result<std::optional<IndexDamage>> index_damage(uint64_t image_offset, uint64_t bytes) const;

private:
    std::vector<ByteRange> places_of(uint64_t number) const;
    Result<void> read_attribute_list(const std::string& record, uint64_t number, NtfsRecord& out) const;
    // The bytes of a list that stands outside of the record; empty if they cannot be believed.
    Result<std::string> read_runs(const std::string& attribute) const;

    const ByteSource& source_;
    ByteRange volume_;
    std::vector<Extent> mft_;
    uint64_t record_bytes_, cluster_bytes_, count_ = 0;
    UnreadRanges unread_;
};

}  // namespace ntt
