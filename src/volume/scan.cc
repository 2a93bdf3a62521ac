#include "volume/scan.h"

#include <algorithm>
#include <optional>

#include "volume/probe_window.h"

namespace ntt {

namespace {

constexpr uint64_t kSector = 512;
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kLookAhead = 36 * 1024;  // as far behind a start as a signature is looked for: ISO 9660's at 32 KiB
constexpr uint64_t kMiB = uint64_t{1} << 20, kTrack = 63 * kSector, kCylinder = 255 * kTrack;

// Whether a filesystem could start at `at`: cheap, and wrong now and then.
bool may_start_at(const ProbeBytes& bytes, uint64_t at) {
    if (bytes.le16(at + 1024 + 56) == 0xEF53) return true;
    if (bytes.has(at + 1024, "H+") || bytes.has(at + 1024, "HX") || bytes.has(at + 32769, "CD001")) return true;
    if (bytes.has(at + 3, "NTFS    ") || bytes.has(at + 3, "EXFAT   ")) return true;
    const uint8_t jump = bytes.u8(at), media = bytes.u8(at + 21);
    return (jump == 0xEB || jump == 0xE9) && (media == 0xF0 || media >= 0xF8) && bytes.le16(at + 11) % 128 == 0 && bytes.le16(at + 11) != 0;
}

// --- more evidence than a superblock; `window` begins with the filesystem ---

bool is_first_ext(const ProbeWindow& window, uint64_t size) {
    const ProbeBytes& head = window.head();
    constexpr uint64_t kSuper = 1024;
    const uint64_t block_size = uint64_t{1024} << std::min(head.le32(kSuper + 0x18), 6u);
    const uint64_t first_data_block = head.le32(kSuper + 0x14);
    if (head.le16(kSuper + 0x5A) != 0 || first_data_block != (block_size == 1024 ? 1u : 0u)) return false;
    if (head.le32(kSuper + 0x28) == 0 || head.le32(kSuper + 0x20) == 0) return false;  // inodes and blocks per group
    const ProbeBytes group = window.read((first_data_block + 1) * block_size, 32);
    const uint64_t inode_table = group.le32(8) * block_size;
    return inode_table > kSuper && inode_table < size;
}

bool has_mft(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    const uint64_t cluster = uint64_t{boot.le16(11)} * (boot.u8(13) > 128 ? uint64_t{1} << std::min(256 - boot.u8(13), 21) : boot.u8(13));
    const auto mft = checked_mul(boot.le64(48), cluster);
    return mft && window.read(*mft, 4).has(0, "FILE");
}

bool has_fat_and_root(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    const uint64_t sector = boot.le16(11), fat_at = boot.le16(14) * sector;
    const ProbeBytes table = window.read(fat_at, 8);
    if (table.u8(0) != boot.u8(21) || table.u8(1) != 0xFF || (table.u8(2) & 0x0F) != 0x0F) return false;
    const bool fat32 = boot.le16(22) == 0;
    const uint64_t fats_end = fat_at + uint64_t{boot.u8(16)} * (fat32 ? boot.le32(36) : boot.le16(22)) * sector;
    const uint32_t root_cluster = boot.le32(44);
    if (fat32 && root_cluster < 2) return false;
    const uint64_t root_at = fat32 ? fats_end + uint64_t{root_cluster - 2} * boot.u8(13) * sector : fats_end;
    const ProbeBytes root = window.read(root_at, 16 * 32);
    if (root.size() == 0) return false;
    for (uint64_t at = 0; at + 32 <= root.size(); at += 32) {
        const uint8_t first = root.u8(at);
        if (first == 0) return true;  // the end of the directory
        if (first == 0xE5) continue;
        const bool long_name = root.u8(at + 11) == 0x0F && (first & 0x3F) >= 1 && (first & 0x3F) <= 20;
        const std::string_view name = root.text(at, 11);
        const bool plain = (root.u8(at + 11) & 0xC0) == 0 &&
                           std::all_of(name.begin(), name.end(), [](char c) { return static_cast<uint8_t>(c) >= 0x20 || c == 0x05; });
        if (!long_name && !plain) return false;
    }
    return true;
}

// Source: Microsoft exFAT specification, section 3.4: a sum over the first eleven sectors, repeated in the twelfth.
bool has_exfat_checksum(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    const uint64_t sector = uint64_t{1} << std::clamp<unsigned>(boot.u8(108), 9, 12);
    uint32_t sum = 0;
    for (uint64_t at = 0; at < 11 * sector; ++at)
        if (at != 106 && at != 107 && at != 112) sum = (sum << 31 | sum >> 1) + boot.u8(at);
    return boot.le32(11 * sector) == sum;
}

bool has_second_header(const ProbeWindow& window, uint64_t size) {
    const ProbeBytes second = window.read(size - 1024, 2);
    return second.has(0, "H+") || second.has(0, "HX");
}

// `identity` is what identify() believes of `window`.
bool is_believable(const ProbeWindow& window, const Identity& identity) {
    if (identity.role != Role::filesystem || identity.confidence != Confidence::sure || identity.start_bytes != 0) return false;
    if (identity.size_bytes < 4096 || identity.size_bytes > window.visible_bytes()) return false;
    if (identity.fs_type == "ext") return is_first_ext(window, identity.size_bytes);
    if (identity.fs_type == "ntfs") return has_mft(window);
    if (identity.fs_type == "fat") return has_fat_and_root(window);
    if (identity.fs_type == "exfat") return has_exfat_checksum(window);
    if (identity.fs_type == "hfsplus") return has_second_header(window, identity.size_bytes);
    return identity.fs_type == "iso9660";
}

class Scan {
public:
    Scan(const ByteSource& source, ByteRange region) : source_(source), region_(intersect(region, {0, source.size_bytes()})), bytes_(source, region_) {}

    Result<std::vector<ScanHit>> run(uint64_t from) {
        while (static_cast<int>(hits_.size()) < kMaxScanHits) {
            TRY_ASSIGN(const auto end, find_from(from));
            if (!end) break;
            from = *end;
        }
        if (bytes_.failure()) return *bytes_.failure();
        return std::move(hits_);
    }

private:
    // The next filesystem at or behind `from`: where it ends.
    Result<std::optional<uint64_t>> find_from(uint64_t from) {
        const uint64_t fine_end = std::min(region_.length, from + kScanFineBytes);
        for (uint64_t piece = from; piece < fine_end; piece += kPieceBytes) {
            const ProbeBytes bytes = bytes_.read(piece, kPieceBytes + kLookAhead);
            const uint64_t length = std::min<uint64_t>(kPieceBytes, fine_end - piece);
            for (uint64_t at = 0; at < length; at += kSector) {
                if (!may_start_at(bytes, at)) continue;
                TRY_ASSIGN(const auto end, try_at(piece + at));
                if (end) return end;
            }
        }
        std::vector<uint64_t> places;
        const uint64_t coarse_end = std::min(region_.length, from + kScanCoarseBytes);
        const auto add_multiples = [&](uint64_t step, uint64_t plus) {
            for (uint64_t at = (fine_end + step - 1) / step * step + plus; at < coarse_end; at += step) places.push_back(at);
        };
        add_multiples(kMiB, 0);
        add_multiples(kCylinder, 0);
        add_multiples(kCylinder, kTrack);
        std::sort(places.begin(), places.end());
        for (const uint64_t place : places) {
            if (bytes_.failure()) break;
            if (!may_start_at(bytes_.read(place, 4096), 0)) continue;
            TRY_ASSIGN(const auto end, try_at(place));
            if (end) return end;
        }
        return std::optional<uint64_t>();
    }

    Result<std::optional<uint64_t>> try_at(uint64_t place) {
        if (++tries_ > kMaxScanTries) return std::optional<uint64_t>();
        const ByteRange range{region_.offset + place, region_.length - place};
        TRY_ASSIGN(auto identities, identify(source_, range));
        if (identities.empty() || !is_believable(ProbeWindow(source_, range), identities.front())) return std::optional<uint64_t>();
        const uint64_t length = (identities.front().size_bytes + kSector - 1) / kSector * kSector;
        hits_.push_back({range.offset, std::move(identities)});
        return std::optional(place + length);
    }

    const ByteSource& source_;
    ByteRange region_;
    ProbeWindow bytes_;
    std::vector<ScanHit> hits_;
    int tries_ = 0;
};

}  // namespace

Result<std::vector<ScanHit>> scan_for_filesystems(const ByteSource& source, ByteRange region, uint64_t from) { return Scan(source, region).run(from); }

}  // namespace ntt
