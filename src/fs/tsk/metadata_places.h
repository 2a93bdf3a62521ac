// Where in the image the record of an inode lies, so that what was not read from the medium is not believed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/extent.h"
#include "fs/fs_reader.h"
#include "fs/listing/unread_ranges.h"

namespace ntt {

// Answers nothing for an inode whose place is not known (HFS+): then nothing is said of it.
class MetadataPlaces {
public:
    // `unread` may be null: every answer is then nullopt, at no cost.
    explicit MetadataPlaces(std::shared_ptr<const std::vector<UnreadRange>> unread) : unread_(std::move(unread)) {}

    bool has_unread() const { return unread_.any(); }

    // NTFS: records of `record_bytes` in the content of $MFT.
    void use_mft(std::vector<Extent> mft, uint64_t record_bytes);
    // exFAT: libtsk numbers directory entries of 32 bytes from the start of the cluster heap, from 3 on.
    void use_exfat(uint64_t heap_offset);

    // The first unread range under the inode's record, or under what leads to it.
    std::optional<UnreadRange> unread_under(uint64_t ino) const;
    // The first unread range that touches `range` of the image.
    std::optional<UnreadRange> unread_in(ByteRange range) const { return unread_.in(range); }

private:
    enum class Kind : uint8_t { unknown, mft, exfat };
    UnreadRanges unread_;
    Kind kind_ = Kind::unknown;
    std::vector<Extent> mft_;
    uint64_t record_bytes_ = 0;
    uint64_t heap_ = 0;
};

}  // namespace ntt
