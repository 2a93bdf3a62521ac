// Source of all layouts: FreeBSD sys/ufs/ffs/fs.h (struct fs, struct cg), sys/ufs/ufs/dinode.h; Solaris ufs_inode.h for the
// places of its owners.
#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "fs/unix/unix_inodes.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

constexpr uint32_t kUfs1 = 0x00011954, kUfs2 = 0x19540119, kGroupMagic = 0x00090255;
constexpr uint64_t kSuperblockBytes = 1376, kMagicAt = 1372;

// Integers of the filesystem's byte order.
class Fields {
public:
    Fields(std::string bytes, bool big) : bytes_(std::move(bytes)), big_(big) {}
    uint16_t u16(uint64_t at) const { return big_ ? bytes_.be16(at) : bytes_.le16(at); }
    uint32_t u32(uint64_t at) const { return big_ ? bytes_.be32(at) : bytes_.le32(at); }
    uint64_t u64(uint64_t at) const { return big_ ? bytes_.be64(at) : bytes_.le64(at); }
    int64_t s32(uint64_t at) const { return static_cast<int32_t>(u32(at)); }
    std::string_view text(uint64_t at, size_t length) const { return bytes_.text(at, length); }
    uint8_t u8(uint64_t at) const { return bytes_.u8(at); }

private:
    ProbeBytes bytes_;
    bool big_;
};

struct Geometry {
    bool ufs2 = false, big = false;
    bool old_owners = false;  // 16 bits, before 4.4BSD and on Solaris
    uint64_t superblock_at = 0;
    uint64_t copies_at = 0;  // fragments from a group's start
    uint64_t block_bytes = 0, fragment_bytes = 0, inode_bytes = 0;
    uint64_t groups = 0, inodes_per_group = 0, fragments_per_group = 0;
    uint64_t group_header_at = 0, inode_table_at = 0;  // fragments from a group's start
    uint32_t group_offset = 0, group_mask = 0;         // of UFS1: groups do not all begin on the same cylinder
    uint64_t count() const { return groups * inodes_per_group; }
};

class UfsInodes final : public UnixInodes {
public:
    UfsInodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread, const Geometry& geometry)
        : volume_(volume),
          g_(geometry),
          blocks_(source,
                  {volume.offset_bytes, volume.size_bytes, g_.fragment_bytes, g_.block_bytes, g_.ufs2 ? 8u : 4u,
                   g_.big ? UnixLayout::Order::big : UnixLayout::Order::little},
                  unread) {}

    UnixBlocks& blocks() override { return blocks_; }
    DirectoryFormat directory_format() const override { return g_.big ? DirectoryFormat::ufs_big_endian : DirectoryFormat::ufs_little_endian; }
    uint64_t count() const override { return g_.count() - 1; }  // they begin with 0, which is never used
    uint64_t end_of_table(uint64_t ino) const override { return (ino / g_.inodes_per_group + 1) * g_.inodes_per_group - 1; }
    UnixInodeRead read(uint64_t ino) override;
    std::optional<bool> is_marked_used(uint64_t ino) override {
        const Group& in = group(ino / g_.inodes_per_group);
        const uint64_t index = ino % g_.inodes_per_group;
        if (!in.good || index / 8 >= in.used.size()) return {};
        return (in.used[index / 8] >> (index % 8) & 1) != 0;
    }
    bool may_be_lost_file(uint64_t ino) override {
        if (ino <= root()) return false;
        const Group& in = group(ino / g_.inodes_per_group);
        return !g_.ufs2 || (in.good && ino % g_.inodes_per_group < in.written);
    }
    Result<void> check(ListingReport& report, FindingSink& sink, const CancelToken&) override {
        const ByteRange super{volume_.offset_bytes + g_.superblock_at, kSuperblockBytes};
        if (const auto lost = blocks_.unread().in(super))
            report.add("superblock_on_missing_sectors",
                       "the filesystem's superblock was not read from the medium: its copy in the first group is taken",
                       {{"image_offset", super.offset}, {"length", super.length}, {"cause", to_string(lost->cause)}}, std::nullopt, sink);
        return {};
    }
    void add_detail(nlohmann::json& detail) const override {
        detail["block_size"] = g_.block_bytes;
        detail["fragment_size"] = g_.fragment_bytes;
    }

private:
    struct Group {
        uint64_t number = UINT64_MAX;
        bool good = false;      // its header can be believed
        uint64_t written = 0;   // UFS2 writes its tables as they are needed
        std::vector<uint8_t> used;
    };
    uint64_t group_start(uint64_t number) const {  // in fragments
        const uint64_t start = number * g_.fragments_per_group;
        return g_.ufs2 ? start : start + uint64_t{g_.group_offset} * (number & ~uint64_t{g_.group_mask} & 0xFFFFFFFF);
    }
    const Group& group(uint64_t number);
    void parse_ufs1(const Fields& raw, UnixInode& out) const;
    void parse_ufs2(const Fields& raw, UnixInode& out) const;

    Volume volume_;
    Geometry g_;
    UnixBlocks blocks_;
    Group group_;
};

const UfsInodes::Group& UfsInodes::group(uint64_t number) {
    if (group_.number == number) return group_;
    group_ = Group{};
    group_.number = number;
    std::vector<uint8_t> bytes(g_.block_bytes);
    const uint64_t at = blocks_.image_offset(group_start(number) + g_.group_header_at);
    if (!blocks_.read(at, bytes) || blocks_.unread().in({at, bytes.size()})) return group_;
    const Fields header(std::string(as_text(bytes)), g_.big);
    if (header.u32(4) != kGroupMagic || header.u32(12) != number) return group_;
    const uint64_t map_at = header.u32(92), map_bytes = (g_.inodes_per_group + 7) / 8;
    if (map_at + map_bytes > bytes.size()) return group_;
    group_.used.assign(bytes.begin() + static_cast<std::ptrdiff_t>(map_at), bytes.begin() + static_cast<std::ptrdiff_t>(map_at + map_bytes));
    group_.written = header.u32(120);
    group_.good = true;
    return group_;
}

UnixInodeRead UfsInodes::read(uint64_t ino) {
    if (ino == 0 || ino >= g_.count()) return {{}, "there is no inode with this number", {}, {}};
    const uint64_t table = blocks_.image_offset(group_start(ino / g_.inodes_per_group) + g_.inode_table_at);
    const ByteRange place{checked_add(table, ino % g_.inodes_per_group * g_.inode_bytes).value_or(UINT64_MAX), g_.inode_bytes};
    std::string bytes(g_.inode_bytes, '\0');
    if (!blocks_.read(place.offset, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}))
        return {{}, "it lies beyond the image", {}, place.offset};
    if (const auto lost = blocks_.unread().in(place)) return {{}, "it lies on sectors that were not read", lost, place.offset};
    const Fields raw(std::move(bytes), g_.big);
    UnixInode out;
    out.ino = ino;
    out.place = place;
    out.mode = raw.u16(0);
    out.nlink = raw.u16(2);
    g_.ufs2 ? parse_ufs2(raw, out) : parse_ufs1(raw, out);
    return {std::move(out), "", {}, place.offset};
}

int nanoseconds(uint32_t stored) { return stored < 1'000'000'000 ? static_cast<int>(stored) : 0; }

void UfsInodes::parse_ufs1(const Fields& raw, UnixInode& out) const {
    constexpr uint64_t kAddressesAt = 40, kAddressBytes = 60, kBlocksAt = 104;
    out.size = raw.u64(8);
    out.atime = raw.s32(16);
    out.mtime = raw.s32(24);
    out.mtime_ns = nanoseconds(raw.u32(28));
    out.ctime = raw.s32(32);
    out.uid = g_.old_owners ? raw.u16(4) : raw.u32(112);
    out.gid = g_.old_owners ? raw.u16(6) : raw.u32(116);
    if (g_.old_owners && out.uid == 0xFFFF) out.uid = raw.u32(116);
    if (g_.old_owners && out.gid == 0xFFFF) out.gid = raw.u32(120);
    if (out.type_letter() == 'l' && out.size <= kAddressBytes && raw.u32(kBlocksAt) == 0) {
        out.content = UnixInode::Content::in_inode;
        out.in_inode = std::string(raw.text(kAddressesAt, out.size));
    }
    for (size_t i = 0; i < out.addresses.size(); ++i) out.addresses[i] = raw.u32(kAddressesAt + 4 * i);
    out.held_bytes = uint64_t{raw.u32(kBlocksAt)} * 512;
}

void UfsInodes::parse_ufs2(const Fields& raw, UnixInode& out) const {
    constexpr uint64_t kAddressesAt = 112, kAddressBytes = 120, kBlocksAt = 24, kAttributeBytesAt = 92;
    out.uid = raw.u32(4);
    out.gid = raw.u32(8);
    out.size = raw.u64(16);
    out.atime = static_cast<int64_t>(raw.u64(32));
    out.mtime = static_cast<int64_t>(raw.u64(40));
    out.ctime = static_cast<int64_t>(raw.u64(48));
    if (raw.u64(56) != 0) out.crtime = static_cast<int64_t>(raw.u64(56));
    out.mtime_ns = nanoseconds(raw.u32(64));
    if (out.type_letter() == 'l' && out.size <= kAddressBytes && raw.u64(kBlocksAt) == 0) {
        out.content = UnixInode::Content::in_inode;
        out.in_inode = std::string(raw.text(kAddressesAt, out.size));
    }
    for (size_t i = 0; i < out.addresses.size(); ++i) out.addresses[i] = raw.u64(kAddressesAt + 8 * i);
    const uint64_t sectors = std::min(raw.u64(kBlocksAt), uint64_t{1} << 54), attributes = raw.u32(kAttributeBytesAt);
    const uint64_t taken = (attributes + g_.fragment_bytes - 1) / g_.fragment_bytes * g_.fragment_bytes;
    out.held_bytes = sectors * 512 - std::min(sectors * 512, taken);
}

std::optional<Geometry> geometry_of(const std::string& bytes, uint64_t place) {
    for (const bool big : {false, true}) {
        const Fields super(bytes, big);
        const uint32_t magic = super.u32(kMagicAt);
        if (magic != kUfs1 && magic != kUfs2) continue;
        Geometry g;
        g.superblock_at = place;
        g.big = big;
        g.ufs2 = magic == kUfs2;
        g.copies_at = super.u32(8);
        g.group_header_at = super.u32(12);
        g.inode_table_at = super.u32(16);
        g.group_offset = super.u32(24);
        g.group_mask = super.u32(28);
        g.groups = super.u32(44);
        g.block_bytes = super.u32(48);
        g.fragment_bytes = super.u32(52);
        g.inodes_per_group = super.u32(184);
        g.fragments_per_group = super.u32(188);
        g.inode_bytes = g.ufs2 ? 256 : 128;
        constexpr uint32_t kInodeFormat44 = 2;
        g.old_owners = super.u32(1324) != kInodeFormat44;
        const bool sizes = std::has_single_bit(g.block_bytes) && std::has_single_bit(g.fragment_bytes) && g.fragment_bytes >= 512 &&
                           g.block_bytes <= 65536 && g.block_bytes >= g.fragment_bytes && g.block_bytes >= 4096;
        if (!sizes || g.groups == 0 || g.inodes_per_group == 0 || g.fragments_per_group == 0) continue;
        if (g.inodes_per_group > 8 * g.block_bytes || g.count() < 3) continue;
        return g;
    }
    return {};
}

// The copy in the first group of cylinders, if it was read. It stands where it says itself that copies stand (fs_sblkno), counted
// from the filesystem's start: so it is this filesystem's.
Result<std::optional<Geometry>> geometry_of_copy(const ByteSource& source, uint64_t volume_offset, uint64_t place, const UnreadRanges& unread) {
    constexpr uint64_t kSearched = uint64_t{1} << 20, kSector = 512;
    const uint64_t there = std::min(source.size_bytes() - volume_offset, kSearched);
    std::string head(there, '\0');
    TRY(source.read(volume_offset, {reinterpret_cast<uint8_t*>(head.data()), head.size()}));
    for (uint64_t at = place + kSector; at + kSuperblockBytes <= head.size(); at += kSector) {
        if (unread.in({volume_offset + at, kSuperblockBytes})) continue;
        auto geometry = geometry_of(head.substr(at, kSuperblockBytes), place);
        if (geometry && geometry->copies_at * geometry->fragment_bytes == at) return geometry;
    }
    return std::optional<Geometry>();
}

}  // namespace

Result<std::unique_ptr<UnixInodes>> open_ufs_inodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread) {
    for (const uint64_t place : {8u * 1024, 64u * 1024, 0u, 256u * 1024}) {  // as detection looks
        const auto at = checked_add(volume.offset_bytes, place);
        const auto end = at ? checked_add(*at, kSuperblockBytes) : std::nullopt;
        if (!end || *end > source.size_bytes()) continue;
        std::string bytes(kSuperblockBytes, '\0');
        TRY(source.read(*at, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
        auto geometry = geometry_of(bytes, place);
        if (!geometry) continue;
        if (unread.in({*at, kSuperblockBytes})) {  // what stands there may be anybody's
            TRY_ASSIGN(geometry, geometry_of_copy(source, volume.offset_bytes, place, unread));
            if (!geometry) return make_error(ErrorCode::unsupported, "the UFS superblock was not read from the medium, and no copy that was read stands near it");
        }
        return std::unique_ptr<UnixInodes>(std::make_unique<UfsInodes>(source, volume, unread, *geometry));
    }
    return make_error(ErrorCode::unsupported, "there is no UFS superblock that makes sense");
}

}  // namespace ntt
