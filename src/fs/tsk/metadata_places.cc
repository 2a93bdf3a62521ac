#include "fs/tsk/metadata_places.h"

#include <algorithm>

#include "base/integers.h"
#include "volume/probe_window.h"

namespace ntt {

Result<void> MetadataPlaces::use_ext(const ByteSource& source, ByteRange volume) {
    constexpr uint64_t kSuperblockAt = 1024, kSuperblockBytes = 1024;
    constexpr uint32_t kMetaBg = 0x10, k64Bit = 0x80;
    if (!has_unread()) return {};
    const ProbeBytes super = ProbeWindow(source, {volume.offset + kSuperblockAt, kSuperblockBytes}).head();
    const uint32_t log_block = super.le32(24), incompat = super.le32(0x60);
    const bool revision0 = super.le32(76) == 0;
    if (log_block > 6 || (incompat & kMetaBg) != 0 || super.le32(40) == 0) return {};
    ext_.source = &source;
    ext_.volume_offset = volume.offset;
    ext_.block_bytes = uint64_t{1024} << log_block;
    ext_.descriptors = volume.offset + (uint64_t{super.le32(20)} + 1) * ext_.block_bytes;
    ext_.descriptor_bytes = (incompat & k64Bit) != 0 ? super.le16(0xFE) : 32;
    ext_.inode_bytes = revision0 ? 128 : super.le16(88);
    ext_.inodes_per_group = super.le32(40);
    if (ext_.descriptor_bytes >= 32 && ext_.inode_bytes >= 128) kind_ = Kind::ext;
    return {};
}

void MetadataPlaces::use_mft(std::vector<Extent> mft, uint64_t record_bytes) {
    mft_ = std::move(mft);
    record_bytes_ = record_bytes;
    kind_ = Kind::mft;
}

void MetadataPlaces::use_exfat(uint64_t heap_offset) {
    heap_ = heap_offset;
    kind_ = Kind::exfat;
}

std::optional<UnreadRange> MetadataPlaces::unread_in(ByteRange range) const {
    if (!has_unread()) return {};
    const auto found = std::lower_bound(unread_->begin(), unread_->end(), range.offset,
                                        [](const UnreadRange& lost, uint64_t at) { return lost.range.end() <= at; });
    if (found == unread_->end() || found->range.offset >= range.end()) return {};
    return *found;
}

std::optional<UnreadRange> MetadataPlaces::unread_under(uint64_t ino) const {
    if (!has_unread()) return {};
    switch (kind_) {
        case Kind::unknown: return {};
        case Kind::ext: return unread_under_ext(ino);
        case Kind::exfat: {
            constexpr uint64_t kFirst = 3, kEntryBytes = 32, kEntriesOfAFile = 3;  // file, stream extension, first name
            const auto in_heap = ino >= kFirst ? checked_mul(ino - kFirst, kEntryBytes) : std::nullopt;
            const auto at = in_heap ? checked_add(*in_heap, heap_) : std::nullopt;
            return at ? unread_in({*at, kEntriesOfAFile * kEntryBytes}) : std::nullopt;
        }
        case Kind::mft: {
            const auto begin = checked_mul(ino, record_bytes_);
            if (!begin) return {};
            for (const Extent& extent : mft_) {
                const ByteRange here = intersect({*begin, record_bytes_}, {extent.file_offset, extent.length});
                if (here.empty() || extent.kind == ExtentKind::hole) continue;
                if (auto lost = unread_in({extent.image_offset + (here.offset - extent.file_offset), here.length})) return lost;
            }
            return {};
        }
    }
    return {};
}

std::optional<UnreadRange> MetadataPlaces::unread_under_ext(uint64_t ino) const {
    if (ino == 0) return {};
    const uint64_t group = (ino - 1) / ext_.inodes_per_group;
    const ByteRange descriptor{ext_.descriptors + group * ext_.descriptor_bytes, ext_.descriptor_bytes};
    if (auto lost = unread_in(descriptor)) return lost;
    const ProbeBytes bytes = ProbeWindow(*ext_.source, descriptor).head();
    uint64_t table = bytes.le32(8);
    if (ext_.descriptor_bytes >= 64) table |= uint64_t{bytes.le32(0x28)} << 32;
    const auto in_volume = checked_mul(table, ext_.block_bytes);
    const auto at = in_volume ? checked_add(*in_volume, ext_.volume_offset + (ino - 1) % ext_.inodes_per_group * ext_.inode_bytes) : std::nullopt;
    return at ? unread_in({*at, ext_.inode_bytes}) : std::nullopt;
}

}  // namespace ntt
