#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "fs/repair/proposers.h"

namespace ntt {
namespace {

constexpr uint64_t kSector = 512;               // of the search; the boot sector's fields are in its first 512 bytes
constexpr uint64_t kSearchedBytes = 1 << 20;    // at the region's end
constexpr uint64_t kMirroredRecords = 4;        // $MFT, $MFTMirr, $LogFile, $Volume
constexpr uint64_t kMaxRecordBytes = 64 << 10;
constexpr uint64_t kBitmapRecord = 6;

// What a boot sector says; offsets and sizes in bytes.
struct NtfsBoot {
    uint64_t sector_size = 0, cluster_size = 0, sectors = 0, mft = 0, mirror = 0, record_size = 0;

    uint64_t copy_at() const { return sectors * sector_size; }  // the copy stands behind the sectors that are counted
    bool operator==(const NtfsBoot&) const = default;
};

std::optional<NtfsBoot> parse(const ProbeBytes& boot) {
    if (!boot.has(3, "NTFS    ") || boot.u8(510) != 0x55 || boot.u8(511) != 0xAA) return std::nullopt;
    NtfsBoot out;
    out.sector_size = boot.le16(11);
    if (!std::has_single_bit(out.sector_size) || out.sector_size < 256 || out.sector_size > 4096) return std::nullopt;
    const uint32_t code = boot.u8(13);  // above 128: a negative power of two
    const uint64_t per_cluster = code > 128 ? (code >= 244 ? uint64_t{1} << (256 - code) : 0) : code;
    if (!std::has_single_bit(per_cluster)) return std::nullopt;
    out.cluster_size = per_cluster * out.sector_size;
    out.sectors = boot.le64(40);
    const auto record = static_cast<int8_t>(boot.u8(64));
    out.record_size = record > 0 ? static_cast<uint64_t>(record) * out.cluster_size : record >= -16 ? uint64_t{1} << -record : 0;
    if (out.record_size < 512 || out.record_size > kMaxRecordBytes) return std::nullopt;
    const auto bytes = checked_mul(out.sectors, out.sector_size);
    const auto mft = checked_mul(boot.le64(48), out.cluster_size), mirror = checked_mul(boot.le64(56), out.cluster_size);
    if (!bytes || !mft || !mirror || *mft == 0 || *mirror == 0 || *mft >= *bytes || *mirror >= *bytes) return std::nullopt;
    out.mft = *mft;
    out.mirror = *mirror;
    return out;
}

struct BootCopy {
    NtfsBoot boot;
    uint64_t at = 0;
};

// The last sector that says of itself that it is the copy: it stands where its own numbers put it.
std::optional<BootCopy> find_copy(const Region& region) {
    const uint64_t end = region.visible_bytes() / kSector * kSector, begin = end - std::min(end, kSearchedBytes);
    const ProbeBytes tail = region.read(begin, static_cast<size_t>(end - begin));
    for (uint64_t at = end; at >= begin + kSector; at -= kSector) {
        const uint64_t offset = at - kSector;
        if (!tail.has(offset - begin + 3, "NTFS    ")) continue;
        const auto boot = parse(ProbeBytes(std::string(tail.text(offset - begin, kSector))));
        if (boot && boot->copy_at() == offset && offset != 0 && region.was_read(offset, kSector)) return BootCopy{*boot, offset};
    }
    return std::nullopt;
}

// A record with its signature, and an update sequence that every sector of it ends with.
bool is_sound_record(const Region& region, uint64_t at, uint64_t size) {
    if (!region.was_read(at, size)) return false;
    const ProbeBytes record = region.read(at, static_cast<size_t>(size));
    constexpr uint64_t kStride = 512;
    const uint64_t sequence_at = record.le16(4), count = record.le16(6);
    if (!record.has(0, "FILE") || count != size / kStride + 1 || sequence_at + 2 * count > kStride - 2) return false;
    for (uint64_t end = kStride; end <= size; end += kStride)
        if (record.le16(end - 2) != record.le16(sequence_at)) return false;
    return true;
}

// The records that are not sound, or were not read: the reader would not believe them. `unread` is set by the latter.
std::optional<Repair> records_from_mirror(const Region& region, const NtfsBoot& boot, bool& unread) {
    Repair out{std::string(repairs::kNtfsRecords), fmt::format("$MFTMirr at byte {} of the volume", boot.mirror), {}, {}};
    const uint64_t size = boot.record_size;
    for (uint64_t i = 0; i < kMirroredRecords; ++i) {
        const uint64_t at = boot.mft + i * size, copy = boot.mirror + i * size;
        if (at + size > region.visible_bytes() || is_sound_record(region, at, size) || !is_sound_record(region, copy, size)) continue;
        unread = unread || !region.was_read(at, size);
        out.patches.push_back(region.copied(at, size, copy));
        out.evidence["records"].push_back(i);
    }
    return out.patches.empty() ? std::nullopt : std::optional(std::move(out));
}

// A record that says of $Bitmap no more than that it exists: libtsk opens no volume without it, and asks it only which clusters
// are free, which nobody wants to know. Its content stands where the volume begins, which any cluster would do for.
std::vector<uint8_t> bitmap_stand_in(const NtfsBoot& boot) {
    constexpr uint64_t kSequenceAt = 48, kStride = 512, kRunsAt = 64;
    constexpr uint16_t kSequence = 1;
    std::vector<uint8_t> out(boot.record_size);
    const auto put = [&](uint64_t at, uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) out[at + static_cast<uint64_t>(i)] = static_cast<uint8_t>(value >> (8 * i));
    };
    const uint64_t sectors_of_it = boot.record_size / kStride, attribute = (kSequenceAt + 2 * (sectors_of_it + 1) + 7) / 8 * 8;
    const uint64_t bytes = (boot.sectors * boot.sector_size / boot.cluster_size + 7) / 8, clusters = (bytes + boot.cluster_size - 1) / boot.cluster_size;
    constexpr uint64_t kAttributeBytes = kRunsAt + 16;
    std::copy_n("FILE", 4, out.begin());
    put(4, kSequenceAt, 2);
    put(6, sectors_of_it + 1, 2);
    put(16, kBitmapRecord, 2);  // how often it was used: of the first records their number
    put(18, 1, 2);              // names
    put(20, attribute, 2);
    put(22, 1, 2);              // in use
    put(24, attribute + kAttributeBytes + 8, 4);
    put(28, boot.record_size, 4);
    put(40, 1, 2);
    put(44, kBitmapRecord, 4);
    put(attribute, 0x80, 4);    // $DATA, not in the record
    put(attribute + 4, kAttributeBytes, 4);
    put(attribute + 8, 1, 1);
    put(attribute + 10, kRunsAt, 2);
    put(attribute + 24, clusters - 1, 8);
    put(attribute + 32, kRunsAt, 2);
    put(attribute + 40, clusters * boot.cluster_size, 8);
    put(attribute + 48, bytes, 8);
    put(attribute + 56, bytes, 8);
    put(attribute + kRunsAt, 0x18, 1);  // a length of eight bytes, a place of one
    put(attribute + kRunsAt + 1, clusters, 8);
    put(attribute + kRunsAt + 9, 0, 1);
    put(attribute + kAttributeBytes, 0xFFFFFFFF, 4);
    put(kSequenceAt, kSequence, 2);
    for (uint64_t end = kStride; end <= out.size(); end += kStride) {
        put(kSequenceAt + 2 * (end / kStride), static_cast<uint64_t>(out[end - 2] | out[end - 1] << 8), 2);
        put(end - 2, kSequence, 2);
    }
    return out;
}

std::optional<Repair> lost_bitmap(const Region& region, const NtfsBoot& boot) {
    const uint64_t at = boot.mft + kBitmapRecord * boot.record_size;
    if (at + boot.record_size > region.visible_bytes() || boot.record_size % 512 != 0 || is_sound_record(region, at, boot.record_size)) return std::nullopt;
    Repair out{std::string(repairs::kNtfsBitmap), "a stand-in: what it says of free clusters is not used", {region.given(at, bitmap_stand_in(boot))}, {}};
    out.evidence = {{"record", kBitmapRecord}, {"record_at", region.image_offset(at)}};
    return out;
}

}  // namespace

Result<std::vector<Proposal>> ntfs_from_copies(const Region& region, const Volume& volume, FindingSink&) {
    std::vector<Proposal> out;
    const bool is_ntfs = volume.fs_type == "ntfs";
    if (!volume.view.empty() && !is_ntfs) return out;
    bool unread = false;  // what stands in the place of something that is replaced
    std::optional<NtfsBoot> boot = parse(region.read(0, kSector));
    if (boot && !is_ntfs) boot.reset();  // detection has its reasons
    Proposal proposal{"ntfs", {}, false};
    if (const auto copy = find_copy(region); copy && boot != copy->boot) {
        Patch patch = region.copied(0, kSector, copy->at);
        proposal.repairs.push_back({std::string(repairs::kNtfsBackup), fmt::format("the copy of the boot sector at byte {} of the volume", copy->at),
                                    {std::move(patch)}, {{"copy_at", region.image_offset(copy->at)}}});
        unread = !region.was_read(0, kSector);
        boot = copy->boot;
    }
    if (boot)
        if (auto records = records_from_mirror(region, *boot, unread)) proposal.repairs.push_back(*std::move(records));
    if (boot)
        if (auto bitmap = lost_bitmap(region, *boot)) proposal.repairs.push_back(*std::move(bitmap));
    proposal.overrules = is_ntfs && unread;
    if (region.failure()) return *region.failure();
    if (!proposal.repairs.empty()) out.push_back(std::move(proposal));
    return out;
}

}  // namespace ntt
