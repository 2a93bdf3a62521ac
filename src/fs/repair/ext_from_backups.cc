#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "base/integers.h"
#include "fs/repair/proposers.h"
#include "fs/unix/ext_checksums.h"

namespace ntt {
namespace {

constexpr uint64_t kSuperAt = 1024, kSuperBytes = 1024;
constexpr uint32_t kSparseSuper2 = 0x200;                              // compat
constexpr uint32_t kRecover = 0x4, kMetaBg = 0x10, k64Bit = 0x80, kChecksumSeed = 0x2000;  // incompat
constexpr uint32_t kSparseSuper = 0x1, kGroupChecksum = 0x10, kMetadataChecksum = 0x400;   // ro_compat
constexpr uint64_t kMaxGroupsLooked = 64;             // that may have a copy, for each size of block
constexpr uint64_t kMaxDescriptorBlocks = kMaxPatches / 2;
constexpr uint64_t kSearchedBytes = uint64_t{64} << 20;
constexpr uint64_t kSuperGroupAt = 0x5A, kSuperChecksumAt = 0x3FC;

// What must be the same in every copy of one filesystem's superblock, and whether it makes sense.
struct ExtSuper {
    uint64_t block_bytes = 0, blocks = 0, first_block = 0, blocks_per_group = 0, inodes_per_group = 0, inode_bytes = 0, descriptor_bytes = 32;
    uint32_t has = 0, needs = 0, writes = 0;  // compat, incompat without the journal's flag, ro_compat
    std::string uuid;
    uint64_t group = 0;       // in which the copy stands
    uint32_t made_at = 0;     // s_mkfs_time
    std::array<uint64_t, 2> backup_groups{};
    uint32_t seed = 0;

    uint64_t groups() const { return (blocks - first_block + blocks_per_group - 1) / blocks_per_group; }
    uint64_t group_at(uint64_t number) const { return (first_block + number * blocks_per_group) * block_bytes; }
    // The descriptors stand in the block behind the superblock's; blocks of 1 KiB that count from 0 have it in the second.
    uint64_t descriptors_at(uint64_t number) const {
        const uint64_t block = number == 0 ? (block_bytes == 1024 ? 2 : 1) : first_block + number * blocks_per_group + 1;
        return block * block_bytes;
    }
    uint64_t inode_table_blocks() const { return (inodes_per_group * inode_bytes + block_bytes - 1) / block_bytes; }

    bool same_filesystem(const ExtSuper& o) const {
        return block_bytes == o.block_bytes && blocks == o.blocks && first_block == o.first_block && blocks_per_group == o.blocks_per_group &&
               inodes_per_group == o.inodes_per_group && inode_bytes == o.inode_bytes && descriptor_bytes == o.descriptor_bytes && needs == o.needs &&
               writes == o.writes && uuid == o.uuid;
    }
};

std::optional<ExtSuper> parse(const ProbeBytes& super) {
    if (super.size() < kSuperBytes || super.le16(0x38) != 0xEF53 || super.le32(0x18) > 6) return std::nullopt;
    ExtSuper out;
    out.block_bytes = uint64_t{1024} << super.le32(0x18);
    const bool has_features = super.le32(0x4C) != 0;
    if (has_features) {
        out.has = super.le32(0x5C);
        out.needs = super.le32(0x60) & ~kRecover;
        out.writes = super.le32(0x64);
    }
    out.inode_bytes = has_features ? super.le16(0x58) : 128;
    if (out.needs & k64Bit) out.descriptor_bytes = super.le16(0xFE);
    out.blocks = super.le32(4) | (out.needs & k64Bit ? uint64_t{super.le32(0x150)} << 32 : 0);
    out.first_block = super.le32(0x14);
    out.blocks_per_group = super.le32(0x20);
    out.inodes_per_group = super.le32(0x28);
    out.uuid = std::string(super.text(0x68, 16));
    out.group = super.le16(kSuperGroupAt);
    out.made_at = super.le32(0x108);
    out.backup_groups = {super.le32(0x24C), super.le32(0x250)};
    out.seed = out.needs & kChecksumSeed ? super.le32(0x270) : crc32c(~0u, as_bytes(out.uuid));
    constexpr uint64_t kMaxBlocks = uint64_t{1} << 46;  // of 64 KiB at most: no place overflows
    const bool sizes = std::has_single_bit(out.inode_bytes) && out.inode_bytes >= 128 && out.inode_bytes <= out.block_bytes &&
                       std::has_single_bit(out.descriptor_bytes) && out.descriptor_bytes >= 32 && out.descriptor_bytes <= out.block_bytes;
    const bool counts = out.first_block <= 1 && out.blocks > out.first_block && out.blocks < kMaxBlocks && out.blocks_per_group >= 8 &&
                        out.inodes_per_group >= 8 && out.inodes_per_group <= 8 * out.block_bytes;
    if (!sizes || !counts) return std::nullopt;
    if ((out.writes & kMetadataChecksum) != 0 && !ext_superblock_checksum(as_bytes(super.text(0, kSuperBytes))).agree()) return std::nullopt;
    return out;
}

bool is_power_of(uint64_t base, uint64_t number) {
    uint64_t power = base;
    while (power < number) power *= base;
    return power == number;
}
// Groups that may have a copy, whichever features: 1 and the powers of 3, 5 and 7.
bool is_sparse_group(uint64_t number) { return number == 1 || is_power_of(3, number) || is_power_of(5, number) || is_power_of(7, number); }

bool has_copy(const ExtSuper& super, uint64_t number) {
    if (super.has & kSparseSuper2) return number == super.backup_groups[0] || number == super.backup_groups[1];
    return (super.writes & kSparseSuper) == 0 || is_sparse_group(number);
}

struct SuperCopy {
    ExtSuper super;
    uint64_t at = 0;
};

// A copy that was read, makes sense, and says that it is of this group.
std::optional<SuperCopy> copy_in(const Region& region, uint64_t at, uint64_t group, uint64_t block_bytes) {
    if (!region.was_read(at, kSuperBytes)) return std::nullopt;
    const auto super = parse(region.read(at, kSuperBytes));
    if (!super || super->group != group || super->block_bytes != block_bytes || group >= super->groups() || super->group_at(group) != at) return std::nullopt;
    return SuperCopy{*super, at};
}

// The copy to believe. Looked for are groups of the size that mke2fs makes them, of each size of block; of several filesystems
// that stood here the one that was made last.
std::optional<SuperCopy> find_copy(const Region& region) {
    std::optional<SuperCopy> best;
    for (uint64_t block_bytes = 1024; block_bytes <= 65536; block_bytes *= 2) {
        const uint64_t first_block = block_bytes == 1024 ? 1 : 0;
        uint64_t looked = 0;
        for (uint64_t group = 1; looked < kMaxGroupsLooked; ++group) {
            const uint64_t at = (first_block + group * 8 * block_bytes) * block_bytes;
            if (at >= region.visible_bytes()) break;
            if (!is_sparse_group(group)) continue;
            ++looked;
            const auto copy = copy_in(region, at, group, block_bytes);
            if (copy && (!best || copy->super.made_at > best->super.made_at)) best = copy;
        }
    }
    return best;
}

// Groups of a size that somebody chose (mke2fs -g): the first copy in the region's first kSearchedBytes that stands where its own
// numbers put it.
std::optional<SuperCopy> search_copy(const Region& region) {
    constexpr uint64_t kPieceBytes = 1 << 20;
    for (uint64_t from = kSuperBytes; from < std::min(region.visible_bytes(), kSearchedBytes); from += kPieceBytes) {
        const ProbeBytes piece = region.read(from, static_cast<size_t>(std::min(kPieceBytes, region.visible_bytes() - from)));
        for (uint64_t in = 0; in + kSuperBytes <= piece.size(); in += kSuperBytes) {
            const uint64_t group = piece.le16(in + kSuperGroupAt), scale = piece.le32(in + 0x18);
            if (piece.le16(in + 0x38) != 0xEF53 || group == 0 || scale > 6) continue;
            if (const auto copy = copy_in(region, from + in, group, uint64_t{1024} << scale)) return copy;
        }
    }
    return std::nullopt;
}

// As the first group's: its number, and the checksum with it.
std::vector<uint8_t> as_primary(const Region& region, const SuperCopy& copy) {
    const ProbeBytes super = region.read(copy.at, kSuperBytes);
    const ByteView bytes = as_bytes(super.text(0, kSuperBytes));
    std::vector<uint8_t> out(bytes.begin(), bytes.end());
    out[kSuperGroupAt] = out[kSuperGroupAt + 1] = 0;
    if (copy.super.writes & kMetadataChecksum) {
        const Le32 checksum(ext_superblock_checksum(out).computed);
        std::memcpy(&out[kSuperChecksumAt], &checksum, sizeof checksum);
    }
    return out;
}

// --- group descriptors ---

class Descriptors {
public:
    Descriptors(const Region& region, const ExtSuper& super) : region_(region), super_(super) {}

    uint64_t per_block() const { return super_.block_bytes / super_.descriptor_bytes; }
    uint64_t blocks() const { return (super_.groups() + per_block() - 1) / per_block(); }

    // The block of descriptors in a copy, if it was read and all in it makes sense.
    std::optional<std::string> sound(uint64_t copy, uint64_t block) const {
        const uint64_t at = super_.descriptors_at(copy) + block * super_.block_bytes;
        if (!region_.was_read(at, super_.block_bytes)) return std::nullopt;
        const ProbeBytes bytes = region_.read(at, static_cast<size_t>(super_.block_bytes));
        for (uint64_t i = 0; i < per_block() && block * per_block() + i < super_.groups(); ++i)
            if (!is_sound(bytes, i * super_.descriptor_bytes, block * per_block() + i)) return std::nullopt;
        return std::string(bytes.text(0, static_cast<size_t>(super_.block_bytes)));
    }

    // Whether two sound blocks lead to the same places.
    bool same_places(const std::string& a, const std::string& b) const {
        const ProbeBytes one(a), two(b);
        for (uint64_t at = 0; at + super_.descriptor_bytes <= a.size(); at += super_.descriptor_bytes)
            for (const Field& field : kPlaces)
                if (block_number(one, at, field) != block_number(two, at, field)) return false;
        return true;
    }

private:
    struct Field {
        uint64_t low, high;
    };
    static constexpr std::array<Field, 3> kPlaces = {Field{0x0, 0x20}, Field{0x4, 0x24}, Field{0x8, 0x28}};  // bitmaps, inode table

    uint64_t block_number(const ProbeBytes& bytes, uint64_t at, const Field& field) const {
        return bytes.le32(at + field.low) | (super_.descriptor_bytes >= 64 ? uint64_t{bytes.le32(at + field.high)} << 32 : 0);
    }

    bool is_sound(const ProbeBytes& bytes, uint64_t at, uint64_t group) const {
        for (const Field& field : kPlaces) {
            const uint64_t block = block_number(bytes, at, field);
            if (block <= super_.first_block || block >= super_.blocks) return false;
        }
        if (super_.blocks - block_number(bytes, at, kPlaces.back()) < super_.inode_table_blocks()) return false;
        const ByteView descriptor = as_bytes(bytes.text(at, static_cast<size_t>(super_.descriptor_bytes)));
        const auto number = static_cast<uint32_t>(group);
        if (super_.writes & kMetadataChecksum) return ext_group_checksum(super_.seed, number, descriptor).agree();
        if (super_.writes & kGroupChecksum) return ext_group_checksum_crc16(as_bytes(super_.uuid), number, descriptor).agree();
        return true;
    }

    const Region& region_;
    const ExtSuper& super_;
};

// Every block of descriptors that was not read, makes no sense, or leads elsewhere than a copy's. `unread` is set where what
// stands in the place of one was not read and leads elsewhere.
std::optional<Repair> descriptors_from_backups(const Region& region, const ExtSuper& super, bool& unread) {
    const Descriptors descriptors(region, super);
    if ((super.needs & kMetaBg) != 0 || descriptors.blocks() > kMaxDescriptorBlocks) return std::nullopt;
    std::vector<uint64_t> copies;
    for (uint64_t group = 1; group < super.groups() && copies.size() < kMaxGroupsLooked && super.group_at(group) < region.visible_bytes(); ++group)
        if (has_copy(super, group) && region.was_read(super.group_at(group), kSuperBytes)) copies.push_back(group);
    Repair out{std::string(repairs::kExtDescriptors), "", {}, {}};
    uint64_t from_group = 0;
    for (uint64_t block = 0; block < descriptors.blocks(); ++block) {
        const uint64_t at = super.descriptors_at(0) + block * super.block_bytes;
        if (at + super.block_bytes > region.visible_bytes()) break;
        const auto primary = descriptors.sound(0, block);
        // Checksums say that it is right; without them a copy is asked.
        if (primary && (super.writes & (kMetadataChecksum | kGroupChecksum)) != 0) continue;
        for (const uint64_t copy : copies) {
            const auto backup = descriptors.sound(copy, block);
            if (!backup) continue;
            const std::string stands_there(region.read(at, static_cast<size_t>(super.block_bytes)).text(0, static_cast<size_t>(super.block_bytes)));
            const bool was_read = region.was_read(at, super.block_bytes);
            const bool same = descriptors.same_places(stands_there, *backup);
            if (primary && same) break;
            out.patches.push_back(region.copied(at, super.block_bytes, super.descriptors_at(copy) + block * super.block_bytes));
            out.evidence["blocks"].push_back({{"block", block}, {"from_group", copy}});
            unread = unread || (!was_read && !same);
            from_group = copy;
            break;
        }
    }
    if (out.patches.empty()) return std::nullopt;
    out.from = fmt::format("the group descriptors in group {}, at byte {} of the volume", from_group, super.descriptors_at(from_group));
    return out;
}

}  // namespace

Result<std::vector<Proposal>> ext_from_backups(const Region& region, const Volume& volume, FindingSink&) {
    std::vector<Proposal> out;
    const bool is_ext = volume.fs_type == "ext";
    if (!volume.view.empty() && !is_ext) return out;
    bool unread = false;  // what stands in the place of something that is replaced
    std::optional<ExtSuper> super = parse(region.read(kSuperAt, kSuperBytes));
    if (!is_ext) super.reset();
    const bool super_read = region.was_read(kSuperAt, kSuperBytes);
    Proposal proposal{"ext", {}, false};
    // A checksum proves what was read. Without one a copy is asked; but one of another filesystem only where nothing makes sense.
    // What stands in the place of one that was not read is no evidence at all: the reader refuses it.
    const bool proven = super && super_read && (super->writes & kMetadataChecksum) != 0;
    std::optional<SuperCopy> copy;
    if (!proven) copy = find_copy(region);
    if (!copy && !super) copy = search_copy(region);
    if (copy && super && super_read && (super->same_filesystem(copy->super) || super->uuid != copy->super.uuid)) copy.reset();
    if (copy) {
        proposal.repairs.push_back({std::string(repairs::kExtSuperblock),
                                    fmt::format("the superblock in group {}, at byte {} of the volume", copy->super.group, copy->at),
                                    {region.given(kSuperAt, as_primary(region, *copy))},
                                    {{"group", copy->super.group}, {"backup_at", region.image_offset(copy->at)}}});
        unread = !super_read;
        super = copy->super;
    }
    if (super)
        if (auto descriptors = descriptors_from_backups(region, *super, unread)) proposal.repairs.push_back(*std::move(descriptors));
    if (region.failure()) return *region.failure();
    proposal.overrules = is_ext && unread;
    if (!proposal.repairs.empty()) out.push_back(std::move(proposal));
    return out;
}

}  // namespace ntt
