#include "fs/tsk/metadata_places.h"

#include <utility>

namespace ntt {

void MetadataPlaces::use_mft(std::vector<Extent> mft, uint64_t record_bytes) {
    mft_ = std::move(mft);
    record_bytes_ = record_bytes;
    kind_ = Kind::mft;
}

void MetadataPlaces::use_exfat(uint64_t heap_offset) {
    heap_ = heap_offset;
    kind_ = Kind::exfat;
}

std::optional<UnreadRange> MetadataPlaces::unread_under(uint64_t ino) const {
    if (!has_unread()) return {};
    switch (kind_) {
        case Kind::unknown: return {};
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

}  // namespace ntt
