#include "volume/scan.h"

#include <algorithm>
#include <array>
#include <optional>

#include "volume/probe_window.h"
#include "volume/probes.h"

namespace ntt {

namespace {

constexpr uint64_t kSector = 512;
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kLookAhead = 68 * 1024;  // as far behind a start as a signature is looked for: UFS2's at 65 KiB
constexpr uint64_t kMiB = uint64_t{1} << 20, kTrack = 63 * kSector, kCylinder = 255 * kTrack;

// Counts what is read, by whichever probe. A single look at a place reads a few MiB at most.
class CountingSource final : public ByteSource {
public:
    explicit CountingSource(const ByteSource& source) : source_(source) {}
    uint64_t read_bytes() const { return read_bytes_; }

    uint64_t size_bytes() const override { return source_.size_bytes(); }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        read_bytes_ += out.size();
        return source_.read(offset, out);
    }

private:
    const ByteSource& source_;
    mutable uint64_t read_bytes_ = 0;
};

// Of both versions, in both byte orders. Source: FreeBSD sys/ufs/ffs/fs.h.
constexpr std::array<uint64_t, 2> kUfsSupers = {uint64_t{8} << 10, uint64_t{64} << 10};
bool is_ufs_magic(uint32_t magic) { return magic == 0x00011954 || magic == 0x54190100 || magic == 0x19540119 || magic == 0x19015419; }

// Whether a filesystem could start at `at`: cheap, and wrong now and then.
bool may_start_at(const ProbeBytes& bytes, uint64_t at) {
    if (bytes.le16(at + 1024 + 56) == 0xEF53) return true;
    if (std::any_of(kUfsSupers.begin(), kUfsSupers.end(), [&](uint64_t super) { return is_ufs_magic(bytes.le32(at + super + 1372)); })) return true;
    if (bytes.has(at + 1024, "H+") || bytes.has(at + 1024, "HX") || bytes.has(at + 1024, "BD") || bytes.has(at + 32769, "CD001")) return true;
    if (bytes.has(at + 3, "NTFS    ") || bytes.has(at + 3, "EXFAT   ")) return true;
    const uint8_t jump = bytes.u8(at), media = bytes.u8(at + 21);
    return (jump == 0xEB || jump == 0xE9) && (media == 0xF0 || media >= 0xF8) && bytes.le16(at + 11) % 128 == 0 && bytes.le16(at + 11) != 0;
}

// --- more evidence than a superblock; `window` begins with the filesystem ---

// Source: Linux Documentation/filesystems/ext4/{super,group_descr,inodes}.rst.
bool is_first_ext(const ProbeWindow& window, uint64_t size) {
    const ProbeBytes& head = window.head();
    constexpr uint64_t kSuper = 1024;
    constexpr uint32_t kRootInode = 2;
    const uint64_t block_size = uint64_t{1024} << std::min(head.le32(kSuper + 0x18), 6u), blocks = size / block_size;
    const uint64_t first_data_block = head.le32(kSuper + 0x14);
    if (head.le16(kSuper + 0x5A) != 0 || first_data_block != (block_size == 1024 ? 1u : 0u)) return false;
    const uint64_t inodes = head.le32(kSuper), blocks_per_group = head.le32(kSuper + 0x20), inodes_per_group = head.le32(kSuper + 0x28);
    if (blocks <= first_data_block || blocks_per_group == 0 || inodes_per_group == 0) return false;
    const uint64_t groups = (blocks - first_data_block + blocks_per_group - 1) / blocks_per_group;
    if (groups * inodes_per_group != inodes) return false;
    const uint64_t inode_size = head.le32(kSuper + 0x4C) == 0 ? 128 : head.le16(kSuper + 0x58);
    if (inode_size < 128) return false;
    const ProbeBytes group = window.read((first_data_block + 1) * block_size, 32);
    const uint64_t inode_table = group.le32(8) * block_size;
    if (inode_table <= kSuper || inode_table >= size) return false;
    constexpr uint16_t kTypeMask = 0xF000, kFolder = 0x4000;
    return (window.read(inode_table + (kRootInode - 1) * inode_size, 2).le16(0) & kTypeMask) == kFolder;
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

// Source: Microsoft exFAT specification, section 3.4: a sum over the first eleven sectors, repeated in the twelfth; 4.1: the
// table's first entry. The second tells the boot sectors from their backup, which stands twelve sectors behind.
bool has_exfat_checksum_and_table(const ProbeWindow& window) {
    const ProbeBytes& boot = window.head();
    const uint64_t sector = uint64_t{1} << std::clamp<unsigned>(boot.u8(108), 9, 12);
    uint32_t sum = 0;
    for (uint64_t at = 0; at < 11 * sector; ++at)
        if (at != 106 && at != 107 && at != 112) sum = (sum << 31 | sum >> 1) + boot.u8(at);
    return boot.le32(11 * sector) == sum && window.read(boot.le32(80) * sector, 4).le32(0) == 0xFFFFFFF8;
}

bool has_second_header(const ProbeWindow& window, uint64_t size) {
    const std::string_view first = window.head().text(1024, 2);
    return window.read(size - 1024, 2).has(0, first);
}

// Source: FreeBSD sys/ufs/ffs/fs.h: the first group's inodes (fs_iblkno), of which the root's is the third. The magic of a
// group, which identify() has seen, tells a first superblock from its copies.
bool has_ufs_root(const ProbeWindow& window, const Identity& identity) {
    const bool is_ufs2 = identity.view == "ufs2", little = identity.notes.value("byte_order", "") == "little";
    const auto place = std::find_if(kUfsSupers.begin(), kUfsSupers.end(), [&](uint64_t at) { return is_ufs_magic(window.read(at + 1372, 4).le32(0)); });
    if (place == kUfsSupers.end()) return false;
    const ProbeBytes super = window.read(*place, 64);
    const auto u32 = [&](uint64_t at) { return little ? super.le32(at) : super.be32(at); };
    constexpr uint64_t kRootInode = 2;
    const ProbeBytes root = window.read(uint64_t{u32(16)} * u32(52) + kRootInode * (is_ufs2 ? 256 : 128), 2);
    constexpr uint16_t kTypeMask = 0xF000, kFolder = 0x4000;
    return ((little ? root.le16(0) : root.be16(0)) & kTypeMask) == kFolder;
}

// `identity` is what identify() believes of `window`. A filesystem may reach beyond the end of the image, if the window does.
bool is_believable(const ProbeWindow& window, const Identity& identity, bool ends_with_image) {
    if (identity.role != Role::filesystem || identity.confidence != Confidence::sure || identity.start_bytes != 0) return false;
    if (identity.size_bytes < 4096 || (identity.size_bytes > window.visible_bytes() && !ends_with_image)) return false;
    if (identity.fs_type == "ext") return is_first_ext(window, identity.size_bytes);
    if (identity.fs_type == "ntfs") return has_mft(window);
    if (identity.fs_type == "fat") return has_fat_and_root(window);
    if (identity.fs_type == "exfat") return has_exfat_checksum_and_table(window);
    if (identity.fs_type == "ufs") return has_ufs_root(window, identity);
    if (identity.fs_type == "hfsplus" || identity.fs_type == "hfs") return has_second_header(window, identity.size_bytes);
    return identity.fs_type == "iso9660" && probes::iso9660_root(window, window.read(16 * 2048, 2048)).has_value();
}

}  // namespace

struct FilesystemScan::State {
    explicit State(const ByteSource& image) : source(image) {}

    // Whether the search may go on.
    bool goes_on() {
        if (!stopped_by && hits >= kMaxScanHits) stopped_by = "filesystems";
        if (!stopped_by && source.read_bytes() >= kMaxScanReadBytes) stopped_by = "read_bytes";
        return !stopped_by;
    }

    CountingSource source;
    size_t hits = 0;
    std::optional<std::string_view> stopped_by;
};

namespace {

// Places in a region at which a filesystem may start, one after another.
class Places {
public:
    explicit Places(const ProbeWindow& region) : region_(region) {}

    // From here on every sector is a place again.
    void start_at(uint64_t from) {
        next_ = from;
        fine_end_ = std::min(region_.visible_bytes(), from + kScanFineBytes);
        coarse_end_ = std::min(region_.visible_bytes(), from + kScanCoarseBytes);
    }

    // The next place that looks like a start; nullopt at the end, or when the source failed. Returns now and then with a place
    // that does not, so that the caller sees what was read.
    struct Place {
        uint64_t at;
        bool looks_like_a_start;
    };
    std::optional<Place> next() {
        if (region_.failure() || next_ >= coarse_end_) return std::nullopt;
        const uint64_t at = next_;
        if (at < fine_end_) {
            if (at < piece_at_ || at >= piece_at_ + kPieceBytes || piece_.size() == 0) {
                piece_ = region_.read(at, kPieceBytes + kLookAhead);
                piece_at_ = at;
            }
            next_ = at + kSector < fine_end_ ? at + kSector : coarse_behind(fine_end_ - 1);
            return Place{at, may_start_at(piece_, at - piece_at_)};
        }
        next_ = coarse_behind(at);
        return Place{at, may_start_at(region_.read(at, 4096), 0)};
    }

private:
    // The first multiple of a MiB or a cylinder, or second track of a cylinder, behind `at`.
    static uint64_t coarse_behind(uint64_t at) {
        const auto multiple = [&](uint64_t step, uint64_t plus) { return at < plus ? plus : ((at - plus) / step + 1) * step + plus; };
        return std::min({multiple(kMiB, 0), multiple(kCylinder, 0), multiple(kCylinder, kTrack)});
    }

    const ProbeWindow& region_;
    uint64_t next_ = 0, fine_end_ = 0, coarse_end_ = 0;
    ProbeBytes piece_;
    uint64_t piece_at_ = 0;
};

}  // namespace

FilesystemScan::FilesystemScan(const ByteSource& source) : state_(std::make_unique<State>(source)) {}
FilesystemScan::~FilesystemScan() = default;
std::optional<std::string_view> FilesystemScan::stopped_by() const { return state_->stopped_by; }

Result<std::vector<ScanHit>> FilesystemScan::search(ByteRange region) {
    const CountingSource& source = state_->source;
    region = intersect(region, {0, source.size_bytes()});
    std::vector<ScanHit> hits;
    const ProbeWindow window(source, region);
    Places places(window);
    places.start_at(0);
    while (state_->goes_on()) {
        const auto place = places.next();
        if (!place) break;
        if (!place->looks_like_a_start) continue;
        const ByteRange range{region.offset + place->at, region.length - place->at};
        TRY_ASSIGN(auto identities, identify(source, range));
        if (identities.empty()) continue;
        const ProbeWindow here(source, range);
        const bool believable = is_believable(here, identities.front(), region.end() >= source.size_bytes());
        if (here.failure()) return *here.failure();
        if (!believable) continue;
        places.start_at(place->at + (identities.front().size_bytes + kSector - 1) / kSector * kSector);
        hits.push_back({range.offset, std::move(identities)});
        ++state_->hits;
    }
    if (window.failure()) return *window.failure();
    return hits;
}

}  // namespace ntt
