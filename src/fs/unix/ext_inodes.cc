// Source of all layouts: Linux Documentation/filesystems/ext4 (super.rst, group_descr.rst, inodes.rst, attributes.rst,
// inlinedata.rst); fs/ext4/ext4.h for flags.
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "fs/unix/unix_inodes.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

constexpr uint64_t kSuperblockAt = 1024, kSuperblockBytes = 1024;
constexpr uint64_t kOldInodeBytes = 128;

// Features by the word they stand in.
namespace compat {
constexpr uint32_t kSparseSuper2 = 0x200, kOrphanFile = 0x1000;
}
namespace incompat {
constexpr uint32_t kCompression = 0x1, kRecover = 0x4, kJournalDevice = 0x8, kMetaBg = 0x10, k64Bit = 0x80, kChecksumSeed = 0x2000,
                   kLargeDirectory = 0x4000;
}
namespace ro_compat {
constexpr uint32_t kSparseSuper = 0x1, kHugeFile = 0x8, kGroupChecksum = 0x10, kBigAlloc = 0x200, kMetadataChecksum = 0x400;
}
constexpr uint32_t kCompressedFile = 0x4, kEncrypted = 0x800, kHashTree = 0x1000, kHugeInode = 0x40000, kExtents = 0x80000, kHoldsValues = 0x200000,
                   kInline = 0x10000000;
constexpr uint32_t kInodeBitmapUnset = 1, kBlockBitmapUnset = 2;  // of a group: nothing was written there yet

struct Geometry {
    uint64_t block_bytes = 0, inode_bytes = 0, descriptor_bytes = 32;
    uint64_t blocks = 0, first_block = 0, blocks_per_group = 0, clusters_per_group = 0, inodes_per_group = 0, groups = 0, inodes = 0;
    uint64_t first_free_ino = 11, orphan_file = 0;
    uint32_t has = 0, needs = 0, writes = 0;  // compat, incompat, ro_compat
    uint64_t first_meta_group = 0;
    std::array<uint64_t, 2> backup_groups{};
    std::string uuid;
    bool first_revision = false;
};

Result<Geometry> read_geometry(const ProbeBytes& super) {
    const auto refuse = [](const char* what) { return make_error(ErrorCode::unsupported, std::string("the ext superblock makes no sense: ") + what); };
    Geometry g;
    if (super.le16(0x38) != 0xEF53) return refuse("no signature");
    if (super.le32(0x18) > 6) return refuse("the block size");
    g.block_bytes = uint64_t{1024} << super.le32(0x18);
    g.first_revision = super.le32(0x4C) == 0;
    if (!g.first_revision) {
        g.first_free_ino = super.le32(0x54);
        g.has = super.le32(0x5C);
        g.needs = super.le32(0x60);
        g.writes = super.le32(0x64);
    }
    if (g.needs & incompat::kJournalDevice) return make_error(ErrorCode::unsupported, "this is the journal of another ext filesystem");
    g.inode_bytes = g.first_revision ? kOldInodeBytes : super.le16(0x58);
    if (g.inode_bytes < kOldInodeBytes || g.inode_bytes > g.block_bytes || !std::has_single_bit(g.inode_bytes)) return refuse("the size of an inode");
    if (g.needs & incompat::k64Bit) g.descriptor_bytes = super.le16(0xFE);
    if (g.descriptor_bytes < 32 || g.descriptor_bytes > g.block_bytes || !std::has_single_bit(g.descriptor_bytes)) return refuse("the size of a group descriptor");
    g.inodes = super.le32(0);
    g.blocks = super.le32(0x4);
    if (g.needs & incompat::k64Bit) g.blocks |= uint64_t{super.le32(0x150)} << 32;
    g.first_block = super.le32(0x14);
    g.blocks_per_group = super.le32(0x20);
    g.clusters_per_group = g.writes & ro_compat::kBigAlloc ? super.le32(0x24) : g.blocks_per_group;
    g.inodes_per_group = super.le32(0x28);
    if (g.blocks_per_group == 0 || g.clusters_per_group > 8 * g.block_bytes) return refuse("the blocks of a group");
    if (g.inodes_per_group == 0 || g.inodes_per_group > 8 * g.block_bytes) return refuse("the inodes of a group");
    if (g.blocks <= g.first_block) return refuse("the number of blocks");
    g.groups = (g.blocks - g.first_block + g.blocks_per_group - 1) / g.blocks_per_group;
    g.inodes = std::min(g.inodes, g.groups * g.inodes_per_group);
    g.first_meta_group = super.le32(0x104);
    g.backup_groups = {super.le32(0x24C), super.le32(0x250)};
    if (g.has & compat::kOrphanFile) g.orphan_file = super.le32(0x280);
    g.uuid = std::string(super.text(0x68, 16));
    g.uuid.resize(16);
    return g;
}

// One group's descriptor.
struct Group {
    uint64_t number = UINT64_MAX;
    uint64_t block_bitmap = 0, inode_bitmap = 0, inode_table = 0;  // blocks
    uint32_t block_bitmap_checksum = 0, inode_bitmap_checksum = 0;
    uint64_t unused_inodes = 0;  // at the table's end, never written
    uint32_t flags = 0;
    ByteRange place;
    std::optional<UnreadRange> unread;
    std::optional<ChecksumPair> mismatch;
    bool absent = false;  // beyond the image
};

class ExtInodes final : public UnixInodes {
public:
    ExtInodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread, Geometry geometry, std::vector<uint8_t> superblock)
        : volume_(volume),
          g_(std::move(geometry)),
          superblock_(std::move(superblock)),
          blocks_(source, {volume.offset_bytes, volume.size_bytes, g_.block_bytes, g_.block_bytes, 4, UnixLayout::Order::little}, unread),
          inode_(g_.inode_bytes) {}

    void choose_checksums();

    UnixBlocks& blocks() override { return blocks_; }
    DirectoryFormat directory_format() const override { return DirectoryFormat::ext; }
    uint64_t count() const override { return g_.inodes; }
    uint64_t end_of_table(uint64_t ino) const override { return ((ino - 1) / g_.inodes_per_group + 1) * g_.inodes_per_group; }
    UnixInodeRead read(uint64_t ino) override;
    std::optional<bool> is_marked_used(uint64_t ino) override;
    bool may_be_lost_file(uint64_t ino) override;
    Result<void> check(ListingReport& report, FindingSink& sink, const CancelToken& cancel) override;
    void add_detail(nlohmann::json& detail) const override {
        detail["block_size"] = g_.block_bytes;
        detail["metadata_checksums"] = crc32c_ ? "crc32c" : crc16_ ? "crc16 of group descriptors" : "none";
    }

private:
    const Group& group(uint64_t number);
    uint64_t descriptor_offset(uint64_t number) const;  // in the image
    bool has_superblock(uint64_t number) const;
    ByteRange inode_place(const Group& group, uint64_t ino) const;
    std::optional<ChecksumPair> group_mismatch(uint64_t number, ByteView descriptor) const;
    UnixInode parse(uint64_t ino, ByteRange place) const;
    std::string inline_data(const UnixInode& inode) const;
    // The bitmap's bytes and its checksum in a group; false if it cannot be believed.
    bool read_inode_bitmap(const Group& group);

    Volume volume_;
    Geometry g_;
    std::vector<uint8_t> superblock_;
    UnixBlocks blocks_;
    bool crc32c_ = false, crc16_ = false;
    bool feature_bit_lost_ = false;  // checksums are there, and the superblock does not say so
    uint32_t seed_ = 0;
    Group group_;
    std::vector<uint8_t> inode_;                                 // the one that was read last
    uint64_t bitmap_of_ = UINT64_MAX;
    bool bitmap_is_good_ = false;
    std::vector<uint8_t> bitmap_;
};

// A flipped bit in the superblock must not switch off the check of all the rest: checksums that are there are used.
void ExtInodes::choose_checksums() {
    constexpr size_t kSeedAt = 0x270, kTypeAt = 0x175;
    const ProbeBytes super{std::string(as_text(superblock_))};
    seed_ = g_.needs & incompat::kChecksumSeed ? super.le32(kSeedAt) : crc32c(~0u, as_bytes(g_.uuid));
    crc32c_ = (g_.writes & ro_compat::kMetadataChecksum) != 0;
    crc16_ = !crc32c_ && (g_.writes & ro_compat::kGroupChecksum) != 0;
    if (crc32c_ || super.u8(kTypeAt) != 1) return;
    std::vector<uint8_t> descriptor(g_.descriptor_bytes);
    const uint64_t at = descriptor_offset(0);
    if (!blocks_.read(at, descriptor) || blocks_.unread().in({at, descriptor.size()})) return;
    feature_bit_lost_ = ext_group_checksum(seed_, 0, descriptor).agree();
    if (feature_bit_lost_) crc32c_ = true, crc16_ = false;
}

bool ExtInodes::has_superblock(uint64_t number) const {
    if (number == 0) return true;
    if (g_.has & compat::kSparseSuper2) return number == g_.backup_groups[0] || number == g_.backup_groups[1];
    if (!(g_.writes & ro_compat::kSparseSuper) || number == 1) return true;
    for (const uint64_t base : {3u, 5u, 7u}) {
        uint64_t power = base;
        while (power < number) power *= base;
        if (power == number) return true;
    }
    return false;
}

uint64_t ExtInodes::descriptor_offset(uint64_t number) const {
    const uint64_t in_block = g_.block_bytes / g_.descriptor_bytes;
    const uint64_t meta_group = number / in_block;
    uint64_t block = 0;
    if ((g_.needs & incompat::kMetaBg) != 0 && meta_group >= g_.first_meta_group) {
        const uint64_t first = meta_group * in_block;
        block = g_.first_block + first * g_.blocks_per_group + (has_superblock(first) ? 1 : 0);
    } else {
        // Blocks of 1 KiB that count from 0 (bigalloc) still have the superblock in the second one.
        block = (g_.first_block == 0 && g_.block_bytes == 1024 ? 1 : g_.first_block) + 1 + meta_group;
    }
    return blocks_.image_offset(block) + number % in_block * g_.descriptor_bytes;
}

std::optional<ChecksumPair> ExtInodes::group_mismatch(uint64_t number, ByteView descriptor) const {
    if (!crc32c_ && !crc16_) return {};
    const auto pair = crc32c_ ? ext_group_checksum(seed_, static_cast<uint32_t>(number), descriptor)
                              : ext_group_checksum_crc16(as_bytes(g_.uuid), static_cast<uint32_t>(number), descriptor);
    return pair.agree() ? std::nullopt : std::optional(pair);
}

const Group& ExtInodes::group(uint64_t number) {
    if (group_.number == number) return group_;
    group_ = Group{};
    group_.number = number;
    std::vector<uint8_t> bytes(g_.descriptor_bytes);
    group_.place = {descriptor_offset(number), bytes.size()};
    group_.absent = !blocks_.read(group_.place.offset, bytes);
    if (group_.absent) return group_;
    group_.unread = blocks_.unread().in(group_.place);
    group_.mismatch = group_mismatch(number, bytes);
    const ProbeBytes d{std::string(as_text(bytes))};
    const bool wide = g_.descriptor_bytes >= 64;
    const auto block = [&](uint64_t low, uint64_t high) { return d.le32(low) | (wide ? uint64_t{d.le32(high)} << 32 : 0); };
    const auto checksum = [&](uint64_t low, uint64_t high) { return d.le16(low) | (wide ? uint32_t{d.le16(high)} << 16 : 0); };
    group_.block_bitmap = block(0x0, 0x20);
    group_.inode_bitmap = block(0x4, 0x24);
    group_.inode_table = block(0x8, 0x28);
    group_.flags = d.le16(0x12);
    group_.block_bitmap_checksum = checksum(0x18, 0x38);
    group_.inode_bitmap_checksum = checksum(0x1A, 0x3A);
    group_.unused_inodes = crc32c_ || crc16_ ? checksum(0x1C, 0x32) : 0;
    return group_;
}

ByteRange ExtInodes::inode_place(const Group& group, uint64_t ino) const {
    const uint64_t table = blocks_.image_offset(group.inode_table);
    return {checked_add(table, (ino - 1) % g_.inodes_per_group * g_.inode_bytes).value_or(UINT64_MAX), g_.inode_bytes};
}

UnixInodeRead ExtInodes::read(uint64_t ino) {
    if (ino == 0 || ino > g_.inodes) return {{}, "there is no inode with this number", {}, {}};
    const Group& in = group((ino - 1) / g_.inodes_per_group);
    if (in.absent) return {{}, "the group descriptor lies beyond the image", {}, in.place.offset};
    if (in.unread) return {{}, "the group descriptor lies on sectors that were not read", in.unread, in.place.offset};
    const ByteRange place = inode_place(in, ino);
    if (!blocks_.read(place.offset, inode_)) return {{}, "it lies beyond the image", {}, place.offset};
    if (const auto lost = blocks_.unread().in(place)) return {{}, "it lies on sectors that were not read", lost, place.offset};
    UnixInodeRead out{parse(ino, place), "", {}, place.offset};
    if (out.inode->checksum_seed) {
        const auto pair = ext_inode_checksum(*out.inode->checksum_seed, inode_);
        if (!pair.agree()) out.inode->mismatch = pair;
    } else if (in.mismatch) {
        out.inode->mismatch = in.mismatch;  // inodes have no checksums of their own: where the table is was the descriptor's word
    }
    return out;
}

UnixInode ExtInodes::parse(uint64_t ino, ByteRange place) const {
    const ProbeBytes raw{std::string(as_text(inode_))};
    UnixInode out;
    out.ino = ino;
    out.place = place;
    out.mode = raw.le16(0);
    out.nlink = raw.le16(0x1A);
    out.deleted = raw.le32(0x14) != 0;
    const char type = out.type_letter();
    out.size = raw.le32(0x4);
    // In a folder the upper half is something else, unless it may be that large; as it is in the first revision.
    if (!g_.first_revision && (type != 'd' || (g_.needs & incompat::kLargeDirectory))) out.size |= uint64_t{raw.le32(0x6C)} << 32;
    out.uid = raw.le16(0x2) | int64_t{raw.le16(0x78)} << 16;
    out.gid = raw.le16(0x18) | int64_t{raw.le16(0x7A)} << 16;
    const uint64_t extra = g_.inode_bytes > kOldInodeBytes ? raw.le16(0x80) : 0;
    const auto time = [&](uint64_t at, uint64_t extra_at) {
        int64_t seconds = static_cast<int32_t>(raw.le32(at));
        if (kOldInodeBytes + extra >= extra_at + 4) seconds += int64_t{raw.le32(extra_at) & 3} << 32;
        return seconds;
    };
    out.ctime = time(0xC, 0x84);
    out.mtime = time(0x10, 0x88);
    out.atime = time(0x8, 0x8C);
    if (kOldInodeBytes + extra >= 0x8C) out.mtime_ns = static_cast<int>(std::min<uint32_t>(raw.le32(0x88) >> 2, 999'999'999));
    if (kOldInodeBytes + extra >= 0x98 && raw.le32(0x90) != 0) out.crtime = time(0x90, 0x94);

    const uint32_t flags = raw.le32(0x20);
    out.encrypted = flags & kEncrypted;
    out.compressed = (flags & kCompressedFile) != 0 && (g_.needs & incompat::kCompression) != 0;
    out.holds_values = flags & kHoldsValues;
    out.hash_tree = flags & kHashTree;
    const std::string_view area = raw.text(0x28, 60);
    if (flags & kInline) {
        out.content = UnixInode::Content::in_inode;
        out.in_inode = inline_data(out);
    } else if (type == 'l' && !(flags & kExtents) && out.size < area.size()) {
        out.content = UnixInode::Content::in_inode;
        out.in_inode = std::string(area.substr(0, out.size));
    } else if (flags & kExtents) {
        out.content = UnixInode::Content::extents;
        std::copy(area.begin(), area.end(), out.extent_root.begin());
    } else {
        for (size_t i = 0; i < out.addresses.size(); ++i) out.addresses[i] = raw.le32(0x28 + 4 * i);
        const uint64_t count = raw.le32(0x1C) | (g_.writes & ro_compat::kHugeFile ? uint64_t{raw.le16(0x74)} << 32 : 0);
        const uint64_t bytes = count * (flags & kHugeInode ? g_.block_bytes : 512);
        const uint64_t attributes = raw.le32(0x68) != 0 || raw.le16(0x76) != 0 ? g_.block_bytes : 0;
        // Clusters are counted whole, however little of one is in use.
        if (!(g_.writes & ro_compat::kBigAlloc)) out.held_bytes = bytes - std::min(bytes, attributes);
    }
    if (crc32c_) out.checksum_seed = ext_inode_seed(seed_, static_cast<uint32_t>(ino), raw.le32(0x64));
    return out;
}

// The first 60 bytes stand where the addresses would, the rest in the attribute "system.data" behind the inode's fields.
std::string ExtInodes::inline_data(const UnixInode& inode) const {
    constexpr uint64_t kFirst = 60, kHeader = 4, kEntry = 16;
    constexpr uint8_t kSystem = 7;
    const ProbeBytes raw{std::string(as_text(inode_))};
    std::string out(raw.text(0x28, kFirst));
    const uint64_t at = kOldInodeBytes + raw.le16(0x80);
    if (raw.le32(at) == 0xEA020000) {
        const uint64_t first = at + kHeader;
        for (uint64_t entry = first; entry + kEntry <= raw.size() && raw.le32(entry) != 0;) {
            const uint64_t name_length = raw.u8(entry), value_length = raw.le32(entry + 8);
            if (raw.u8(entry + 1) == kSystem && raw.text(entry + kEntry, name_length) == "data" && raw.le32(entry + 4) == 0)
                out += raw.text(first + raw.le16(entry + 2), value_length);
            entry += (kEntry + name_length + 3) / 4 * 4;
        }
    }
    // What is too short stays so: those bytes are missing.
    if (out.size() > inode.size) out.resize(inode.size);
    return out;
}

bool ExtInodes::read_inode_bitmap(const Group& in) {
    if (bitmap_of_ == in.number) return bitmap_is_good_;
    bitmap_of_ = in.number;
    bitmap_is_good_ = false;
    if (in.absent || in.unread || in.mismatch) return false;
    bitmap_.resize((g_.inodes_per_group + 7) / 8);
    const uint64_t at = blocks_.image_offset(in.inode_bitmap);
    if (!blocks_.read(at, bitmap_) || blocks_.unread().in({at, bitmap_.size()})) return false;
    if (crc32c_) {
        const uint32_t mask = g_.descriptor_bytes >= 64 ? 0xFFFFFFFF : 0xFFFF;
        if ((crc32c(seed_, ByteView(bitmap_).first(g_.inodes_per_group / 8)) & mask) != in.inode_bitmap_checksum) return false;
    }
    bitmap_is_good_ = true;
    return true;
}

std::optional<bool> ExtInodes::is_marked_used(uint64_t ino) {
    const Group& in = group((ino - 1) / g_.inodes_per_group);
    if ((crc32c_ || crc16_) && !in.mismatch && (in.flags & kInodeBitmapUnset)) return false;
    if (!read_inode_bitmap(in)) return {};
    const uint64_t bit = (ino - 1) % g_.inodes_per_group;
    return (bitmap_[bit / 8] >> (bit % 8) & 1) != 0;
}

bool ExtInodes::may_be_lost_file(uint64_t ino) {
    if (ino < g_.first_free_ino || ino == g_.orphan_file) return false;
    const Group& in = group((ino - 1) / g_.inodes_per_group);
    if (in.absent || in.unread) return false;
    if (in.mismatch || (!crc32c_ && !crc16_)) return true;
    if (in.flags & kInodeBitmapUnset) return false;
    return (ino - 1) % g_.inodes_per_group < g_.inodes_per_group - std::min(g_.inodes_per_group, in.unused_inodes);
}

Result<void> ExtInodes::check(ListingReport& report, FindingSink& sink, const CancelToken& cancel) {
    using nlohmann::json;
    const auto failed = [&](const char* structure, std::optional<uint64_t> number, ByteRange place, const ChecksumPair& pair, const char* message) {
        json evidence = {{"structure", structure}, {"image_offset", place.offset}, {"length", place.length}, {"stored", pair.stored}, {"computed", pair.computed}};
        if (number) evidence["group"] = *number;
        report.add("checksum_failed", message, evidence, std::nullopt, sink);
    };
    const ByteRange super{volume_.offset_bytes + kSuperblockAt, kSuperblockBytes};
    if (const auto lost = blocks_.unread().in(super)) {
        report.add("superblock_on_missing_sectors",
                   "the filesystem's superblock was not read from the medium: what stands there in the image is taken as it is",
                   {{"image_offset", super.offset}, {"length", super.length}, {"cause", to_string(lost->cause)}}, std::nullopt, sink);
    } else if (crc32c_) {
        const auto pair = ext_superblock_checksum(superblock_);
        if (!pair.agree() || feature_bit_lost_)
            failed("superblock", {}, super, pair, "the superblock fails its checksum; what else it leads to is judged by checksums of its own");
    }
    if (g_.needs & incompat::kRecover)
        report.add("journal_not_replayed", "the filesystem was not unmounted: what its journal holds of the last seconds is not read",
                   {{"image_offset", super.offset + 0x60}}, std::nullopt, sink);
    if (!crc32c_ && !crc16_) return {};
    std::vector<uint8_t> bitmap;
    const uint32_t mask = g_.descriptor_bytes >= 64 ? 0xFFFFFFFF : 0xFFFF;
    for (uint64_t number = 0; number < g_.groups; ++number) {
        TRY(cancel.check());
        const Group& in = group(number);
        if (blocks_.failure()) return *blocks_.failure();
        if (in.absent) break;  // and so are those behind it
        if (in.unread) continue;  // each file that is lost so says it
        if (in.mismatch) {
            failed("group descriptor", number, in.place, *in.mismatch, "a group descriptor fails its checksum");
            continue;
        }
        if (!crc32c_) continue;
        const auto check_bitmap = [&](const char* what, uint64_t block, uint64_t bits, uint32_t stored, uint32_t unset) {
            if (in.flags & unset) return;
            const ByteRange place{blocks_.image_offset(block), bits / 8};
            bitmap.resize(place.length);
            if (!blocks_.read(place.offset, bitmap) || blocks_.unread().in(place)) return;
            const ChecksumPair pair{stored, crc32c(seed_, bitmap) & mask};
            if (!pair.agree()) failed(what, number, place, pair, "a bitmap fails its checksum: which blocks or inodes are free is not known here; files are read all the same");
        };
        check_bitmap("inode bitmap", in.inode_bitmap, g_.inodes_per_group, in.inode_bitmap_checksum, kInodeBitmapUnset);
        check_bitmap("block bitmap", in.block_bitmap, g_.clusters_per_group, in.block_bitmap_checksum, kBlockBitmapUnset);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<UnixInodes>> open_ext_inodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread) {
    std::vector<uint8_t> superblock(kSuperblockBytes);
    const auto end = checked_add(volume.offset_bytes, kSuperblockAt + kSuperblockBytes);
    if (!end || *end > source.size_bytes()) return make_error(ErrorCode::unsupported, "the ext superblock lies beyond the end of the image");
    // What the sector holds instead may be an older superblock of the same medium, and lead to wrong content everywhere.
    // Its sizes and features stand in its first sector.
    if (unread.in({volume.offset_bytes + kSuperblockAt, 512}))
        return make_error(ErrorCode::unsupported, "the ext superblock was not read from the medium");
    TRY(source.read(volume.offset_bytes + kSuperblockAt, superblock));
    TRY_ASSIGN(Geometry geometry, read_geometry(ProbeBytes(std::string(as_text(superblock)))));
    auto inodes = std::make_unique<ExtInodes>(source, volume, unread, std::move(geometry), std::move(superblock));
    inodes->choose_checksums();
    if (inodes->blocks().failure()) return *inodes->blocks().failure();
    return std::unique_ptr<UnixInodes>(std::move(inodes));
}

}  // namespace ntt
