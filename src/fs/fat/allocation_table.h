// The file allocation table: for each cluster, which one comes next.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/finding.h"
#include "base/result.h"
#include "fs/fat/boot_sector.h"
#include "fs/fs_reader.h"
#include "image/byte_source.h"

namespace ntt {

// What an entry of the table says.
enum class LinkKind : uint8_t {
    next,          // the chain goes on with cluster `value`
    end,           // the last cluster of a chain
    free,          // 0: the cluster belongs to no chain
    reserved,      // 1, or one of the values between the last possible cluster and the bad mark
    bad,           // marked bad when the disk was formatted
    out_of_range,  // a cluster that the volume does not have
    absent,        // no copy of the entry was read: beyond the image's end, or on sectors that the rescue map names
};

struct FatLink {
    LinkKind kind = LinkKind::end;
    uint32_t value = 0;  // the entry as it stands, 28 bits at most
    Cause absence = Cause::BEYOND_EOF;  // of an absent entry
};

// Where a FAT volume lies, and what its findings are filed under.
struct FatPlace {
    const ByteSource& source;
    uint64_t offset_bytes = 0;  // of the volume in the image
    int volume = 0;
    std::shared_ptr<const std::vector<UnreadRange>> unread = nullptr;  // null: everything was read
};

// Reads the table through a cache of bounded size (kPageBytes * kCachedPages): a floppy's in one go, 500 GB's page by page.
// Uses the first copy, or the active one of a FAT32 volume without mirroring; what the image does not have of it, or
// was not read from the medium, comes from the other copies; where two were read and differ, use_second_copy() says which
// sectors are taken from the second (copy_choice.h). The source must outlive it. One thread at a time.
class AllocationTable {
public:
    static constexpr size_t kPageBytes = 48 << 10;  // a multiple of 12: no 12- or 32-bit entry lies on two pages
    static constexpr size_t kCachedPages = 1024;
    static constexpr size_t kMaxDifferingListed = 64 << 10;  // sectors; of more the first copy is used

    // Reads both copies once and compares them, unless mirroring is off. Findings: fat_copies_differ (how many sectors
    // differ, and the first one), fat_beyond_image, fat_on_missing_sectors. Errors: those of ByteSource::read.
    static Result<AllocationTable> load(const FatPlace& place, const FatGeometry& geometry, FindingSink& findings);
    // The table as this copy has it (0 or 1); nothing is compared.
    static AllocationTable of_copy(const FatPlace& place, const FatGeometry& geometry, uint32_t copy);

    // What the entry of `cluster` (0 … last_cluster()) says. Errors: those of ByteSource::read.
    Result<FatLink> link(uint32_t cluster);
    // What a value that names a cluster says: an entry of the table, or the start cluster of a directory entry.
    LinkKind classify(uint32_t value) const;

    uint64_t differing_sectors() const { return differing_sectors_; }
    // Which ones, sorted, in 512 bytes from the table's start; empty if they are more than kMaxDifferingListed.
    const std::vector<uint64_t>& differing() const { return differing_; }
    void use_second_copy(std::vector<uint64_t> sectors);

private:
    struct Page {
        uint64_t number = UINT64_MAX;
        std::vector<uint8_t> bytes;
        std::vector<UnreadRange> unread;  // in the table: what no copy has
    };

    AllocationTable(const FatPlace& place, const FatGeometry& geometry);
    ByteRange page_range(uint64_t number) const;  // in the table
    Result<size_t> read_copy(uint32_t copy, uint64_t offset, ByteSpan out) const;
    Result<const uint8_t*> page(uint64_t number);
    // The unread parts of a range of the table in one copy, in table offsets.
    std::vector<UnreadRange> unread_in(uint32_t copy, ByteRange range) const;
    Result<void> take_from_other_copies(Page& page, ByteRange range);
    Result<void> take_chosen_sectors(Page& page, ByteRange range);
    Result<void> compare_copies(FindingSink& findings);
    void report_absent(FindingSink& findings) const;
    uint64_t present_bytes(uint32_t copy) const;

    FatPlace place_;
    FatGeometry geometry_;
    uint32_t first_choice_ = 0;    // the copy that is used where the image has it
    uint64_t used_bytes_ = 0;      // of each copy: what entries 0 … last_cluster() take
    uint64_t readable_bytes_ = 0;  // of them, those that the image has in some copy
    uint64_t differing_sectors_ = 0;
    std::vector<uint64_t> differing_;
    std::vector<uint64_t> from_second_;  // sectors that the second copy has right
    std::vector<Page> pages_;  // page n is kept in slot n % size
};

}  // namespace ntt
