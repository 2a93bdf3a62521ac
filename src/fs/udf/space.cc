#include "fs/udf/space.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace ntt {

namespace {

using nlohmann::json;

constexpr std::array<uint64_t, 4> kBlockSizes = {2048, 512, 4096, 1024};
constexpr uint64_t kMaxSequenceBlocks = 256;  // of volume descriptors; real ones have 6
constexpr int kMaxSequenceJumps = 8;
constexpr uint32_t kMaxPartitionMaps = 16;
constexpr uint64_t kMaxTableBytes = uint64_t{64} << 20;         // of virtual blocks: 16 million
constexpr uint64_t kMaxTableSearchBytes = uint64_t{1} << 30;    // backwards from the end of the image
constexpr uint64_t kMaxSparingBytes = uint64_t{1} << 20;
constexpr size_t kMaxAllocationBlocks = 65'536;  // of one file
constexpr uint32_t kNotMapped = 0xFFFFFFFF;

}  // namespace

UdfSpace::UdfSpace(const ByteSource& source, const Volume& volume, const UnreadRanges& unread)
    : volume_(volume), window_(source, {volume.offset_bytes, source.size_bytes() - volume.offset_bytes}), unread_(unread) {}

ProbeBytes UdfSpace::read_at(uint64_t offset, size_t length) const {
    if (const auto image = checked_add(volume_.offset_bytes, offset); !image || unread_.in({*image, length})) return {};
    return window_.read(offset, length);
}

Result<void> UdfSpace::open(FindingSink& findings) {
    for (const uint64_t block_bytes : kBlockSizes)
        if (find_descriptors(block_bytes)) break;
    if (window_.failure()) return *window_.failure();
    if (logical_volume_.size() == 0) return make_error(ErrorCode::unsupported, "no sound UDF volume descriptors");
    TRY(make_maps(findings));
    if (window_.failure()) return *window_.failure();
    return {};
}

// An anchor stands at block 256, at the last block, and 256 before it (3/8.4.2.1, UDF 2.2.3); 512 on discs not closed.
bool UdfSpace::find_descriptors(uint64_t block_bytes) {
    block_bytes_ = block_bytes;
    const uint64_t blocks = window_.visible_bytes() / block_bytes;
    for (const uint64_t at : {uint64_t{256}, blocks - 1, blocks - 257, uint64_t{512}}) {
        if (at >= blocks) continue;
        const ProbeBytes anchor = read_at(at * block_bytes, 512);
        if (!is_sound_udf(anchor, 0, UdfTagId::anchor, 32) || anchor.le32(12) != at) continue;
        read_sequence(anchor.le32(20), anchor.le32(16), 0);
        read_sequence(anchor.le32(28), anchor.le32(24), 0);
        if (logical_volume_.size() != 0) return true;
    }
    return false;
}

// Of descriptors of one kind the one with the highest number is valid. 3/8.4.3.
void UdfSpace::read_sequence(uint64_t location, uint64_t bytes, int depth) {
    const uint64_t blocks = std::min(bytes / block_bytes_, kMaxSequenceBlocks);
    for (uint64_t i = 0; i < blocks; ++i) {
        const ProbeBytes block = read_at((location + i) * block_bytes_, block_bytes_);
        if (block.le32(12) != location + i) continue;
        const uint32_t sequence = block.le32(16);
        if (is_sound_udf(block, 0, UdfTagId::terminator, 0)) return;
        if (is_sound_udf(block, 0, UdfTagId::volume_pointer, 28) && depth < kMaxSequenceJumps)
            return read_sequence(block.le32(24), block.le32(20), depth + 1);
        if (is_sound_udf(block, 0, UdfTagId::partition, 196)) {
            const auto [known, fresh] = declared_.try_emplace(block.le16(22));
            if (fresh || known->second.sequence < sequence) known->second = {sequence, block.le32(188), block.le32(192)};
        }
        if (is_sound_udf(block, 0, UdfTagId::logical_volume, uint64_t{440} + block.le32(264))) {
            if (logical_volume_.size() != 0 && sequence <= logical_sequence_) continue;
            logical_volume_ = block;
            logical_sequence_ = sequence;
        }
    }
}

std::string UdfSpace::revision() const {
    const uint16_t revision = logical_volume_.le16(216 + 24);  // binary coded: 0x0150
    const std::string minor = to_hex(std::array<uint8_t, 1>{static_cast<uint8_t>(revision)});
    return std::to_string(revision >> 8) + "." + minor;
}

Result<void> UdfSpace::make_maps(FindingSink& findings) {
    const ProbeBytes& lvd = logical_volume_;
    if (lvd.le32(212) != block_bytes_)
        return make_error(ErrorCode::unsupported, "the UDF volume has blocks of " + std::to_string(lvd.le32(212)) + " bytes on sectors of " +
                                                      std::to_string(block_bytes_));
    file_set_ = {lvd.le32(252), lvd.le16(256)};
    const uint32_t count = std::min(lvd.le32(268), kMaxPartitionMaps);
    const uint64_t end = uint64_t{440} + lvd.le32(264);
    std::vector<uint64_t> places;  // of the maps
    uint64_t at = 440;
    for (uint32_t i = 0; i < count && at + 2 <= end && lvd.u8(at + 1) >= 2; at += lvd.u8(at + 1), ++i) {
        Partition partition;
        if (lvd.u8(at) == 1) {
            partition.kind = Partition::Kind::physical;
            partition.number = lvd.le16(at + 4);
        } else if (lvd.u8(at) == 2) {
            partition.number = lvd.le16(at + 38);
            if (lvd.has(at + 5, "*UDF Virtual Partition")) partition.kind = Partition::Kind::virtual_blocks;
            if (lvd.has(at + 5, "*UDF Sparable Partition")) partition.kind = Partition::Kind::sparable;
            if (lvd.has(at + 5, "*UDF Metadata Partition")) partition.kind = Partition::Kind::metadata;
        }
        if (const auto declared = declared_.find(partition.number); declared != declared_.end()) {
            partition.start = declared->second.start;
            partition.blocks = declared->second.blocks;
        } else {
            partition.lost = true;
        }
        partitions_.push_back(std::move(partition));
        places.push_back(at);
    }
    // First those that stand on the medium itself, since the others stand on them.
    for (size_t i = 0; i < partitions_.size(); ++i)
        if (partitions_[i].kind == Partition::Kind::sparable) load_sparing_table(partitions_[i], lvd, places[i], findings);
    for (size_t i = 0; i < partitions_.size(); ++i) {
        Partition& partition = partitions_[i];
        if (partition.kind != Partition::Kind::virtual_blocks && partition.kind != Partition::Kind::metadata) continue;
        const auto base = std::find_if(partitions_.begin(), partitions_.end(), [&](const Partition& p) {
            return p.number == partition.number && (p.kind == Partition::Kind::physical || p.kind == Partition::Kind::sparable);
        });
        partition.lost |= base == partitions_.end();
        if (partition.lost) continue;
        partition.base = static_cast<uint16_t>(base - partitions_.begin());
        if (partition.kind == Partition::Kind::virtual_blocks)
            TRY(load_virtual_table(partition, findings));
        else
            load_metadata(partition, lvd, places[i], findings);
    }
    return {};
}

// UDF 2.2.9 and 2.2.12. Every copy says the same; the newest sound one counts.
void UdfSpace::load_sparing_table(Partition& partition, const ProbeBytes& map, uint64_t at, FindingSink& findings) {
    partition.packet_blocks = map.le16(at + 40);
    const uint64_t tables = std::min<uint64_t>(map.u8(at + 42), 4), bytes = std::min<uint64_t>(map.le32(at + 44), kMaxSparingBytes);
    std::optional<uint32_t> newest;
    for (uint64_t i = 0; i < tables; ++i) {
        const ProbeBytes table = read_at(uint64_t{map.le32(at + 48 + 4 * i)} * block_bytes_, bytes);
        const uint64_t entries = table.le16(48), sequence = table.le32(52);
        if (!table.has(17, "*UDF Sparing Table") || !is_sound_udf(table, 0, UdfTagId{0}, 56 + 8 * entries)) continue;
        if (newest && *newest >= sequence) continue;
        newest = static_cast<uint32_t>(sequence);
        partition.spared.clear();
        for (uint64_t k = 0; k < entries; ++k) {
            const uint32_t original = table.le32(56 + 8 * k);
            if (original < 0xFFFFFFF0) partition.spared[original] = table.le32(60 + 8 * k);  // above: not in use
        }
    }
    if (newest && partition.packet_blocks != 0) return;
    partition.lost = true;
    findings.add({"udf_table_lost", "the table of packets that were moved cannot be read: nobody knows where the content lies", "{}",
                  volume_.number, std::nullopt});
}

// UDF 2.2.10 and 2.2.13: the metadata file, else its mirror.
void UdfSpace::load_metadata(Partition& partition, const ProbeBytes& map, uint64_t at, FindingSink& findings) {
    for (const uint64_t field : {uint64_t{40}, uint64_t{44}}) {
        const UdfAddress address{map.le32(at + field), partition.base};
        const auto file = read_udf_file(read_block(address), address);
        if (!file || (file->type != kUdfMetadataFile && file->type != kUdfMetadataMirror)) continue;
        uint64_t file_offset = 0;
        partition.pieces.clear();
        const bool whole = for_each_extent(*file, [&](const UdfExtent& extent) {
            uint64_t done = file_offset;
            if (extent.type == UdfExtentType::recorded)
                locate(extent.start, extent.length, [&](UdfRun run) {
                    if (run.image_offset) partition.pieces.push_back({done, *run.image_offset, run.length, ExtentKind::data});
                    done += run.length;
                });
            file_offset += extent.length;
        });
        if (whole && !partition.pieces.empty()) {
            partition.blocks = file_offset / block_bytes_;
            return;
        }
    }
    partition.lost = true;
    findings.add({"udf_table_lost", "the metadata file and its mirror cannot be read: files are missing", "{}", volume_.number, std::nullopt});
}

// The table stands in the last block that was written (UDF 2.2.11). An image can have something behind it, or lack its end: then it is
// the last one found, which can be an older state of the disc.
Result<void> UdfSpace::load_virtual_table(Partition& partition, FindingSink& findings) {
    const uint64_t end = window_.visible_bytes() / block_bytes_;
    const uint64_t limit = std::min(end, kMaxTableSearchBytes / block_bytes_);
    constexpr uint64_t kChunkBlocks = 512;
    bool something_behind = window_.visible_bytes() % block_bytes_ != 0;
    for (uint64_t searched = 0; searched < limit;) {
        const uint64_t count = std::min(kChunkBlocks, limit - searched), first = end - searched - count;
        const ProbeBytes chunk = window_.read(first * block_bytes_, count * block_bytes_);
        if (window_.failure()) return *window_.failure();
        for (uint64_t i = count; i > 0; --i) {
            const uint64_t block = first + i - 1, place = volume_.offset_bytes + block * block_bytes_;
            const uint16_t id = chunk.le16((i - 1) * block_bytes_);
            const bool file = id == static_cast<uint16_t>(UdfTagId::file_entry) || id == static_cast<uint16_t>(UdfTagId::extended_file_entry);
            if (file && take_virtual_table(partition, block)) {
                if (something_behind)
                    findings.add({"udf_table_older", "something stands behind the last table of virtual blocks that can be read: what was written later is missing",
                                  json{{"image_offset", place}, {"image_bytes", volume_.offset_bytes + window_.visible_bytes()}}.dump(),
                                  volume_.number, std::nullopt});
                return {};
            }
            const std::string_view bytes = chunk.text((i - 1) * block_bytes_, block_bytes_);
            something_behind |= bytes.find_first_not_of('\0') != bytes.npos || unread_.in({place, block_bytes_}).has_value();
        }
        searched += count;
    }
    return rebuild_virtual_table(partition, findings);
}

// Without its table, because the disc was not closed or the end of it is missing: each descriptor in virtual space says the virtual number of
// its block, and on write-once media what stands further back is newer.
Result<void> UdfSpace::rebuild_virtual_table(Partition& partition, FindingSink& findings) {
    const uint64_t start = partitions_[partition.base].start;
    const uint64_t end = std::min(window_.visible_bytes(), kMaxTableSearchBytes) / block_bytes_;
    partition.table.clear();
    for (uint64_t block = start; block < end; ++block) {
        const ProbeBytes bytes = read_at(block * block_bytes_, block_bytes_);
        if (window_.failure()) return *window_.failure();
        const uint32_t number = bytes.le32(12);
        if (number >= end) continue;
        const auto file = read_udf_file(bytes, {number, partition.base});
        const bool of_the_medium = number == block - start && file && (file->type == 0 || file->type == kUdfVirtualTable);
        if (of_the_medium || (!file && !is_sound_udf(bytes, 0, UdfTagId::file_set, 416))) continue;
        if (partition.table.size() <= number) partition.table.resize(uint64_t{number} + 1, kNotMapped);
        partition.table[number] = static_cast<uint32_t>(block - start);
    }
    if (partition.table.empty())
        return make_error(ErrorCode::unsupported, "neither the table of virtual blocks was found, nor a descriptor to make it anew from");
    partition.blocks = partition.table.size();
    findings.add({"udf_table_rebuilt",
                  "the table of virtual blocks is lost; it was made anew from the descriptors that are there: what was written last is missing",
                  json{{"entries", partition.table.size()}}.dump(), volume_.number, std::nullopt});
    return {};
}

bool UdfSpace::take_virtual_table(Partition& partition, uint64_t block) {
    const uint64_t start = partitions_[partition.base].start;
    if (block < start) return false;
    const UdfAddress address{static_cast<uint32_t>(block - start), partition.base};
    const auto file = read_udf_file(read_block(address), address);
    if (!file || (file->type != kUdfVirtualTable && file->type != 0) || file->size > kMaxTableBytes) return false;
    const auto content = read_table(*file, address, kMaxTableBytes);
    if (!content) return false;
    const ProbeBytes bytes(*content);
    uint64_t from = 0, to = bytes.size();
    if (file->type == kUdfVirtualTable) {  // UDF 2.00
        from = bytes.le16(0);
        if (from < 152 || from > to) return false;
    } else {  // UDF 1.50: behind the entries a name and the place of the table before
        constexpr uint64_t kTail = 36;
        if (to < kTail || !bytes.has(to - kTail + 1, "*UDF Virtual Alloc Tbl")) return false;
        to -= kTail;
    }
    partition.table.clear();
    for (uint64_t at = from; at + 4 <= to; at += 4) partition.table.push_back(bytes.le32(at));
    partition.blocks = partition.table.size();
    return true;
}

UdfRun UdfSpace::run_at(uint64_t volume_offset, uint64_t length) const {
    return {length, checked_add(volume_.offset_bytes, volume_offset)};
}

uint64_t UdfSpace::blocks_of(uint16_t partition) const { return partition < partitions_.size() ? partitions_[partition].blocks : 0; }

void UdfSpace::locate(UdfAddress start, uint64_t length, const std::function<void(UdfRun)>& take) const {
    if (length == 0) return;
    const uint64_t blocks = (length + block_bytes_ - 1) / block_bytes_;
    if (start.partition >= partitions_.size()) return take({length, std::nullopt});
    const Partition& partition = partitions_[start.partition];
    const uint64_t there = start.block < partition.blocks ? std::min(blocks, partition.blocks - start.block) : 0;
    if (partition.lost || there == 0) return take({length, std::nullopt});
    const uint64_t inside = std::min(length, there * block_bytes_);
    switch (partition.kind) {
        case Partition::Kind::unknown: take({inside, std::nullopt}); break;
        case Partition::Kind::physical: take(run_at((partition.start + start.block) * block_bytes_, inside)); break;
        case Partition::Kind::sparable:
            for (uint64_t done = 0; done < inside;) {
                const uint64_t block = start.block + done / block_bytes_, within = block % partition.packet_blocks;
                const uint64_t run = std::min(inside - done, (partition.packet_blocks - within) * block_bytes_);
                const auto moved = partition.spared.find(static_cast<uint32_t>(block - within));
                take(run_at((moved != partition.spared.end() ? moved->second + within : partition.start + block) * block_bytes_, run));
                done += run;
            }
            break;
        case Partition::Kind::virtual_blocks:
            for (uint64_t done = 0; done < inside; done += block_bytes_) {
                const uint32_t block = partition.table[start.block + done / block_bytes_];
                const uint64_t run = std::min(inside - done, block_bytes_);
                if (block == kNotMapped)
                    take({run, std::nullopt});
                else
                    locate({block, partition.base}, run, take);
            }
            break;
        case Partition::Kind::metadata: {
            const uint64_t from = uint64_t{start.block} * block_bytes_;
            uint64_t done = 0;
            for (const Extent& piece : partition.pieces) {  // in order, with gaps
                const ByteRange common = intersect({piece.file_offset, piece.length}, {from + done, inside - done});
                if (common.empty()) continue;
                if (common.offset > from + done) take({common.offset - from - done, std::nullopt});
                take({common.length, piece.image_offset + (common.offset - piece.file_offset)});
                done = common.end() - from;
            }
            if (done < inside) take({inside - done, std::nullopt});
            break;
        }
    }
    if (inside < length) take({length - inside, std::nullopt});
}

std::optional<uint64_t> UdfSpace::place_of(UdfAddress address) const {
    std::optional<uint64_t> out;
    locate(address, block_bytes_, [&](UdfRun run) {
        if (run.length == block_bytes_) out = run.image_offset;
    });
    return out;
}

ProbeBytes UdfSpace::read_block(UdfAddress address) const {
    const auto place = place_of(address);
    if (!place || *place < volume_.offset_bytes) return {};
    return read_at(*place - volume_.offset_bytes, block_bytes_);
}

bool UdfSpace::for_each_extent(const UdfFile& file, const std::function<void(const UdfExtent&)>& take) const {
    std::unordered_set<uint64_t> seen;
    std::vector<UdfExtent> extents = file.extents;
    for (size_t i = 0; i < extents.size(); ++i) {
        const UdfExtent extent = extents[i];
        if (extent.type != UdfExtentType::continuation) {
            take(extent);
            continue;
        }
        const ProbeBytes block = read_block(extent.start);
        const uint64_t bytes = block.le32(20);
        const bool sound = block.le32(12) == extent.start.block && 24 + bytes <= block.size() &&
                           is_sound_udf(block, 0, UdfTagId::allocation_extent, 24);
        if (!sound || !seen.insert(extent.start.number()).second || seen.size() > kMaxAllocationBlocks) return false;
        extents = read_udf_extents(block.text(24, bytes), file.form, extent.start.partition);
        i = static_cast<size_t>(-1);
    }
    return true;
}

std::optional<std::string> UdfSpace::read_table(const UdfFile& file, UdfAddress address, uint64_t limit) const {
    std::string out;
    const uint64_t size = std::min(file.size, limit);
    if (file.form == UdfAllocation::embedded) {
        const ProbeBytes block = read_block(address);
        out = block.text(file.embedded.offset, std::min(file.embedded.length, size));
    } else {
        const bool whole = for_each_extent(file, [&](const UdfExtent& extent) {
            if (extent.type != UdfExtentType::recorded || out.size() >= size) return;
            locate(extent.start, std::min<uint64_t>(extent.length, size - out.size()), [&](UdfRun run) {
                if (!run.image_offset || *run.image_offset < volume_.offset_bytes) return;
                out += read_at(*run.image_offset - volume_.offset_bytes, run.length).text(0, run.length);
            });
        });
        if (!whole) return {};
    }
    if (out.size() != size) return {};
    return out;
}

}  // namespace ntt
