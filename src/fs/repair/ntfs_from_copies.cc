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
    proposal.overrules = is_ntfs && unread;
    if (region.failure()) return *region.failure();
    if (!proposal.repairs.empty()) out.push_back(std::move(proposal));
    return out;
}

}  // namespace ntt
