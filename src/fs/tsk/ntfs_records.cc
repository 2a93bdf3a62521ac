#include "fs/tsk/ntfs_records.h"

#include <algorithm>
#include <utility>

#include "volume/probe_window.h"

namespace ntt {

namespace {

constexpr uint64_t kSector = 512;  // the stride of update sequence numbers, whatever the disk's sectors are
constexpr uint64_t kMaxListBytes = 256 * 1024;
constexpr uint64_t kRecordNumber = (uint64_t{1} << 48) - 1;

// Checks the update sequence numbers of a record and puts back what they stand for. Why not, in words; nullptr if all is well.
const char* mend_sectors(std::string& bytes, std::string_view signature) {
    const ProbeBytes raw{bytes};
    if (!raw.has(0, signature)) return raw.has(0, "BAAD") ? "the filesystem itself marked it as damaged" : "it does not begin as one";
    const uint64_t at = raw.le16(4), count = raw.le16(6);
    if (count != bytes.size() / kSector + 1 || at + 2 * count > bytes.size() || at % 2 != 0) return "its update sequence makes no sense";
    for (uint64_t i = 1; i < count; ++i) {
        const uint64_t end = i * kSector - 2;
        if (raw.le16(end) != raw.le16(at)) return "its sectors do not belong together (update sequence)";
        bytes[end] = static_cast<char>(raw.u8(at + 2 * i));
        bytes[end + 1] = static_cast<char>(raw.u8(at + 2 * i + 1));
    }
    return nullptr;
}

}  // namespace

NtfsRecords::NtfsRecords(const ByteSource& source, ByteRange volume, std::vector<Extent> mft, uint64_t record_bytes, uint64_t cluster_bytes, UnreadRanges unread)
    : source_(source), volume_(volume), mft_(std::move(mft)), record_bytes_(record_bytes), cluster_bytes_(cluster_bytes), unread_(std::move(unread)) {
    if (!mft_.empty() && record_bytes_ != 0) count_ = (mft_.back().file_offset + mft_.back().length) / record_bytes_;
}

std::vector<ByteRange> NtfsRecords::places_of(uint64_t number) const {
    std::vector<ByteRange> out;
    const ByteRange wanted{number * record_bytes_, record_bytes_};
    auto extent = std::upper_bound(mft_.begin(), mft_.end(), wanted.offset, [](uint64_t at, const Extent& e) { return at < e.file_offset + e.length; });
    for (; extent != mft_.end() && extent->file_offset < wanted.end(); ++extent) {
        const ByteRange here = intersect(wanted, {extent->file_offset, extent->length});
        if (!here.empty() && extent->kind == ExtentKind::data) out.push_back({extent->image_offset + (here.offset - extent->file_offset), here.length});
    }
    return out;
}

Result<NtfsRecord> NtfsRecords::read(uint64_t number) const {
    NtfsRecord out;
    if (number >= count_) {
        out.reason = "there is no record with this number";
        return out;
    }
    std::string bytes;
    for (const ByteRange& place : places_of(number)) {
        if (!out.image_offset) out.image_offset = place.offset;
        if (place.end() > source_.size_bytes()) {
            out.reason = "it lies beyond the image";
            out.cause = Cause::BEYOND_EOF;
            return out;
        }
        if (const auto lost = unread_.in(place)) {
            out.reason = "it lies on sectors that were not read";
            out.cause = lost->cause;
            return out;
        }
        const size_t before = bytes.size();
        bytes.resize(before + place.length);
        TRY(source_.read(place.offset, {reinterpret_cast<uint8_t*>(bytes.data()) + before, place.length}));
    }
    if (bytes.size() != record_bytes_) {
        out.reason = "$MFT has no place for it";
        return out;
    }
    if (const char* reason = mend_sectors(bytes, "FILE")) {
        out.reason = reason;
        return out;
    }
    const ProbeBytes record{bytes};
    constexpr uint16_t kInUse = 1, kDirectory = 2;
    out.state = record.le16(22) & kInUse ? NtfsRecord::State::in_use : NtfsRecord::State::free;
    out.directory = record.le16(22) & kDirectory;
    out.sequence = record.le16(16);
    out.base = record.le64(32) & kRecordNumber;
    out.base_sequence = record.le16(38);
    if (out.state == NtfsRecord::State::in_use) TRY(read_attribute_list(bytes, number, out));
    return out;
}

Result<void> NtfsRecords::read_attribute_list(const std::string& bytes, uint64_t number, NtfsRecord& out) const {
    constexpr uint32_t kList = 0x20, kData = 0x80, kEnd = 0xFFFFFFFF;
    constexpr uint64_t kEntry = 26;
    const ProbeBytes record{bytes};
    for (uint64_t at = record.le16(20); at + 24 <= bytes.size() && record.le32(at) != kEnd;) {
        const uint64_t length = record.le32(at + 4);
        if (length < 24 || length > bytes.size() - at) return {};
        if (record.le32(at) == kList) {
            std::string list;
            if (record.u8(at + 8) == 0) {
                list = std::string(record.text(at + record.le16(at + 20), record.le32(at + 16)));
            } else {
                TRY_ASSIGN(list, read_runs(bytes.substr(at, length)));
                out.list_is_lost = list.empty();
            }
            const ProbeBytes entries{std::move(list)};
            for (uint64_t entry = 0; entry + kEntry <= entries.size();) {
                const uint64_t entry_length = entries.le16(entry + 4), owner = entries.le64(entry + 16) & kRecordNumber;
                if (entry_length < kEntry) {
                    out.list_is_lost = true;
                    break;
                }
                if (entries.le32(entry) == kData && owner != number)
                    out.data_elsewhere.push_back({owner, entries.le16(entry + 22), std::string(entries.text(entry + entries.u8(entry + 7), size_t{2} * entries.u8(entry + 6)))});
                entry += entry_length;
            }
        }
        at += length;
    }
    return {};
}

Result<std::string> NtfsRecords::read_runs(const std::string& attribute) const {
    const ProbeBytes header{attribute};
    const uint64_t size = header.le64(48);
    if (size == 0 || size > kMaxListBytes) return std::string();
    std::string out;
    int64_t cluster = 0;
    for (uint64_t at = header.le16(32); at < attribute.size() && header.u8(at) != 0 && out.size() < size;) {
        const unsigned length_bytes = header.u8(at) & 15, offset_bytes = header.u8(at) >> 4;
        if (length_bytes == 0 || length_bytes > 8 || offset_bytes == 0 || offset_bytes > 8) return std::string();
        uint64_t length = 0;
        int64_t step = 0;
        for (unsigned i = length_bytes; i-- > 0;) length = length << 8 | header.u8(at + 1 + i);
        for (unsigned i = offset_bytes; i-- > 0;) step = static_cast<int64_t>(static_cast<uint64_t>(step) << 8 | header.u8(at + 1 + length_bytes + i));
        if (offset_bytes < 8 && (header.u8(at + length_bytes + offset_bytes) & 0x80)) step -= int64_t{1} << (8 * offset_bytes);
        if (__builtin_add_overflow(cluster, step, &cluster) || cluster < 0) return std::string();
        const auto in_volume = checked_mul(static_cast<uint64_t>(cluster), cluster_bytes_);
        const auto bytes = checked_mul(length, cluster_bytes_);
        const auto image = in_volume ? checked_add(*in_volume, volume_.offset) : std::nullopt;
        if (!image || !bytes) return std::string();
        const ByteRange place{*image, std::min(*bytes, size - out.size())};
        if (!checked_add(place.offset, place.length) || place.end() > source_.size_bytes() || unread_.in(place)) return std::string();
        const size_t before = out.size();
        out.resize(before + place.length);
        TRY(source_.read(place.offset, {reinterpret_cast<uint8_t*>(out.data()) + before, place.length}));
        at += 1 + length_bytes + offset_bytes;
    }
    if (out.size() < size) out.clear();
    return out;
}

Result<std::optional<NtfsRecords::IndexDamage>> NtfsRecords::index_damage(uint64_t image_offset, uint64_t bytes) const {
    const ByteRange place{image_offset, bytes};
    if (!checked_add(image_offset, bytes) || place.end() > source_.size_bytes()) return std::optional(IndexDamage{"it lies beyond the image", Cause::BEYOND_EOF});
    if (const auto lost = unread_.in(place)) return std::optional(IndexDamage{"it lies on sectors that were not read", lost->cause});
    std::string record(bytes, '\0');
    TRY(source_.read(image_offset, {reinterpret_cast<uint8_t*>(record.data()), record.size()}));
    if (const char* reason = mend_sectors(record, "INDX")) return std::optional(IndexDamage{reason, std::nullopt});
    return std::optional<IndexDamage>();
}

}  // namespace ntt
