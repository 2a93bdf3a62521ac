#include "fs/unix/unix_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "fs/unix/ext_checksums.h"

namespace ntt {

namespace {

uint64_t little(ByteView bytes, uint64_t at, int length) {
    uint64_t out = 0;
    for (int i = length - 1; i >= 0; --i) out = out << 8 | bytes[at + static_cast<uint64_t>(i)];
    return out;
}

uint64_t big(ByteView bytes, uint64_t at, int length) {
    uint64_t out = 0;
    for (int i = 0; i < length; ++i) out = out << 8 | bytes[at + static_cast<uint64_t>(i)];
    return out;
}

// Every node of a sound file is visited once; a file that is made to cross itself, or is as large as none was when these
// filesystems were in use, meets this limit. Each is a read of one block.
constexpr uint64_t kMaxNodes = uint64_t{1} << 20;

// What both mappers share: reads with a budget.
class Mapper {
public:
    Mapper(UnixBlocks& blocks, uint64_t size, ContentMap& map) : blocks_(blocks), size_(size), map_(map) {}

protected:
    const UnixLayout& layout() const { return blocks_.layout(); }

    bool read_node(uint64_t address, std::vector<uint8_t>& out) {
        if (++nodes_ > kMaxNodes || nodes_ > layout().volume_bytes / layout().block_size || !blocks_.take_node()) return false;
        out.resize(layout().block_size);
        return blocks_.read(blocks_.image_offset(address), out);
    }

    void add_blocks(uint64_t file_offset, uint64_t address, uint64_t count) {
        map_.add_data(file_offset, blocks_.image_offset(address), count * layout().block_size);
    }

    UnixBlocks& blocks_;
    uint64_t size_;
    ContentMap& map_;

private:
    uint64_t nodes_ = 0;
};

// --- indirect blocks ---

class IndirectMapper : Mapper {
public:
    using Mapper::Mapper;
    uint64_t taken_bytes() const { return taken_bytes_; }

    // What a block `level` levels above the data stands for; level 0 is the data itself. Never more calls than there are
    // blocks in the file: a zero pointer is a hole of any level at once.
    void visit(uint64_t address, int level, uint64_t file_offset, uint64_t span) {
        if (file_offset >= size_ || address == 0) return;  // the map fills what nobody claims with a hole
        if (level == 0) {
            // The last block of a small UFS file is as many fragments as it needs.
            const uint64_t unit = size_ > kDirect * layout().block_size ? layout().block_size : layout().unit_size;
            taken_bytes_ += std::min(layout().block_size, (size_ - file_offset + unit - 1) / unit * unit);
            return add_blocks(file_offset, address, 1);
        }
        taken_bytes_ += layout().block_size;
        std::vector<uint8_t> block;
        if (!read_node(address, block)) {
            map_.add_fault(
                file_offset, span, blocks_.cause_of_absence(blocks_.image_offset(address)),
                fmt::format(R"({{"reason":"an indirect block cannot be read","address":{},"level":{}}})", address, level));
            return;
        }
        // Sectors of it that were not read look like holes, or hold what stood there once.
        const ByteRange place{blocks_.image_offset(address), block.size()};
        const bool some_unread = blocks_.unread().in(place).has_value();
        // For a rescue map that changes later.
        if (!some_unread) map_.add_opaque(file_offset, place.offset, place.length);
        const uint64_t pointers = layout().block_size / layout().pointer_size, child_span = span / pointers;
        const int width = static_cast<int>(layout().pointer_size);
        for (uint64_t i = 0; i < pointers && file_offset + i * child_span < size_; ++i) {
            const uint64_t at = i * layout().pointer_size;
            if (some_unread) {
                if (const auto lost = blocks_.unread().in({place.offset + at, layout().pointer_size})) {
                    map_.add_fault(file_offset + i * child_span, child_span, lost->cause,
                                   fmt::format(R"({{"reason":"an indirect block was not read","image_offset":{}}})", place.offset));
                    continue;
                }
            }
            const uint64_t child = layout().order == UnixLayout::Order::big ? big(block, at, width) : little(block, at, width);
            visit(child, level - 1, file_offset + i * child_span, child_span);
        }
    }

private:
    static constexpr uint64_t kDirect = 12;
    uint64_t taken_bytes_ = 0;
};

// --- extents ---

constexpr uint16_t kExtentMagic = 0xF30A;
constexpr uint64_t kHeaderSize = 12, kEntrySize = 12;
constexpr int kMaxDepth = 5;
constexpr uint32_t kMaxInitialized = 32768;  // a longer length marks an unwritten extent

class ExtentTreeMapper : Mapper {
public:
    ExtentTreeMapper(UnixBlocks& blocks, std::optional<uint32_t> checksum_seed, uint64_t size, ContentMap& map)
        : Mapper(blocks, size, map), checksum_seed_(checksum_seed) {}

    // `node` stands for the file's blocks [begin, end).
    void visit(ByteView node, int depth, uint64_t begin, uint64_t end) {
        const uint64_t count = little(node, 2, 2);
        const bool sound = little(node, 0, 2) == kExtentMagic && little(node, 6, 2) == static_cast<uint64_t>(depth) &&
                           kHeaderSize + count * kEntrySize <= node.size();
        if (!sound) return fault(begin, end, "an extent tree node is damaged");
        // Sectors of it that were not read are zeros: then the entries do not ascend.
        uint64_t reached = begin;
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t at = kHeaderSize + i * kEntrySize;
            const uint64_t first = little(node, at, 4);
            const uint64_t raw_length = depth == 0 ? little(node, at + 4, 2) : 1;
            if (first < reached || first >= end || raw_length == 0) return fault(reached, end, "an extent tree node is damaged");
            if (depth == 0) {
                const uint64_t length = raw_length > kMaxInitialized ? raw_length - kMaxInitialized : raw_length;
                if (raw_length > kMaxInitialized)
                    map_.add_hole(first * layout().block_size, length * layout().block_size);
                else
                    add_blocks(first * layout().block_size, little(node, at + 8, 4) | little(node, at + 6, 2) << 32, length);
                reached = first + length;
            } else {
                const uint64_t last = i + 1 < count ? std::min(end, little(node, at + kEntrySize, 4)) : end;
                if (last <= first) return fault(first, end, "an extent tree node is damaged");
                descend(little(node, at + 4, 4) | little(node, at + 8, 2) << 32, depth - 1, first, last);
                reached = last;
            }
        }
    }

private:
    void descend(uint64_t address, int depth, uint64_t first, uint64_t last) {
        if (first * layout().block_size >= size_) return;
        std::vector<uint8_t> block;
        const ByteRange place{blocks_.image_offset(address), layout().block_size};
        if (!read_node(address, block))
            return fault(first, last, "an extent tree node cannot be read", blocks_.cause_of_absence(place.offset));
        if (const auto lost = blocks_.unread().in(place))
            return fault(first, last, "an extent tree node was not read", lost->cause, place.offset);
        if (checksum_seed_ && !ext_extent_node_checksum(*checksum_seed_, block).agree())
            return fault(first, last, "an extent tree node fails its checksum", Cause::CHECKSUM, place.offset);
        map_.add_opaque(first * layout().block_size, place.offset, place.length);  // for a rescue map that changes later
        visit(block, depth, first, last);
    }

    void fault(uint64_t begin, uint64_t end, const char* reason, Cause cause = Cause::FS_CORRUPT, std::optional<uint64_t> image_offset = {}) {
        const uint64_t from = begin * layout().block_size;
        const std::string place = image_offset ? fmt::format(R"(,"image_offset":{})", *image_offset) : "";
        map_.add_fault(from, end * layout().block_size - from, cause,
                       fmt::format(R"({{"reason":"{}","first_block":{}{}}})", reason, begin, place));
    }

    std::optional<uint32_t> checksum_seed_;
};

}  // namespace

uint64_t UnixBlocks::image_offset(uint64_t address) const {
    const auto offset = checked_mul(address, layout_.unit_size);
    return offset ? checked_add(*offset, layout_.volume_offset).value_or(UINT64_MAX) : UINT64_MAX;
}

Cause UnixBlocks::cause_of_absence(uint64_t image_offset) const {
    const uint64_t volume_end = layout_.volume_offset + layout_.volume_bytes;
    return image_offset >= source_.size_bytes() && image_offset < volume_end ? Cause::BEYOND_EOF : Cause::FS_CORRUPT;
}

bool UnixBlocks::read(uint64_t image_offset, ByteSpan out) {
    const auto end = checked_add(image_offset, out.size());
    if (!end || *end > source_.size_bytes()) return false;
    auto done = source_.read(image_offset, out);
    if (!done.ok() && !failure_) failure_ = std::move(done).take_error();
    return !failure_;
}

uint64_t map_indirect(UnixBlocks& blocks, const InodeAddresses& addresses, uint64_t size, ContentMap& map) {
    const UnixLayout& layout = blocks.layout();
    IndirectMapper mapper(blocks, size, map);
    uint64_t at = 0;
    for (size_t i = 0; i < 12; ++i, at += layout.block_size) mapper.visit(addresses[i], 0, at, layout.block_size);
    uint64_t span = layout.block_size;
    for (int level = 1; level <= 3; ++level) {
        // The largest, UFS2 with blocks of 64 KiB: 2^16 * (2^13)^3 = 2^55.
        span *= layout.block_size / layout.pointer_size;
        mapper.visit(addresses[11 + static_cast<size_t>(level)], level, at, span);
        at += span;
    }
    if (at < size) map.add_fault(at, size - at, Cause::IMPLAUSIBLE_SIZE, R"({"reason":"beyond what an inode can address"})");
    return mapper.taken_bytes();
}

void map_extent_tree(UnixBlocks& blocks, ByteView root, std::optional<uint32_t> checksum_seed, uint64_t size, ContentMap& map) {
    constexpr uint64_t kMaxBlocks = uint64_t{1} << 32;
    const uint64_t depth = little(root, 6, 2);
    if (little(root, 0, 2) != kExtentMagic || depth > kMaxDepth) {
        map.add_fault(0, size, Cause::FS_CORRUPT, R"({"reason":"the extent tree's root is damaged"})");
        return;
    }
    ExtentTreeMapper(blocks, checksum_seed, size, map).visit(root, static_cast<int>(depth), 0, kMaxBlocks);
    const uint64_t addressable = kMaxBlocks * blocks.layout().block_size;
    if (addressable < size)
        map.add_fault(addressable, size - addressable, Cause::IMPLAUSIBLE_SIZE,
                      R"({"reason":"beyond what an inode can address"})");
}

}  // namespace ntt
