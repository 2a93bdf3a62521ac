#include "fs/hfs/btree.h"

#include <algorithm>

namespace ntt {

namespace {

constexpr uint64_t kDescriptorBytes = 14;
constexpr uint8_t kIndexNode = 0, kHeaderNode = 1, kLeafNode = 0xFF;
constexpr uint8_t kMaxHeight = 8;

// The offsets of the records of a node, and where the last one ends; nothing unless they ascend inside it.
std::optional<std::vector<uint16_t>> record_offsets(const ProbeBytes& node) {
    const uint64_t count = node.be16(10);
    if (kDescriptorBytes + 2 * (count + 1) > kHfsNodeBytes) return {};
    const uint64_t table = kHfsNodeBytes - 2 * (count + 1);
    std::vector<uint16_t> out;
    for (uint64_t i = 0; i <= count; ++i) {
        out.push_back(node.be16(kHfsNodeBytes - 2 * (i + 1)));
        const bool ascends = i == 0 ? out[0] == kDescriptorBytes : out[i] > out[i - 1];
        if (!ascends || out[i] > table) return {};
    }
    return out;
}

}  // namespace

std::optional<uint64_t> HfsTree::place_of(uint32_t node) const {
    uint64_t at = node * kHfsNodeBytes;
    for (const ByteRange& place : places_) {
        if (at < place.length) return place.offset + at;
        at -= place.length;
    }
    return {};
}

Result<bool> HfsTree::for_each_record(const CancelToken& cancel, const std::function<void(const HfsRecord&)>& take,
                                      const std::function<void(const HfsNodeDamage&)>& lost) const {
    const auto read = [&](uint32_t number) -> std::optional<Node> {
        const auto place = place_of(number);
        if (!place) {
            lost({number, std::nullopt, "it lies outside the file", std::nullopt});
            return {};
        }
        if (const auto unread = unread_.in({*place, kHfsNodeBytes})) {
            lost({number, place, "it was not read from the medium", unread->cause});
            return {};
        }
        Node out{window_.read(*place - volume_offset_, kHfsNodeBytes), *place};
        if (out.bytes.size() < kHfsNodeBytes) {
            lost({number, place, "it lies beyond the end of the image", std::nullopt});
            return {};
        }
        return out;
    };

    const auto header = read(0);
    if (window_.failure()) return *window_.failure();
    if (!header) return false;
    const uint16_t depth = header->bytes.be16(14);
    if (header->bytes.u8(8) != kHeaderNode || header->bytes.be16(32) != kHfsNodeBytes || depth > kMaxHeight) {
        lost({0, header->image_offset, "the tree's header is damaged", std::nullopt});
        return false;
    }
    const uint32_t root = header->bytes.be32(16), first_leaf = header->bytes.be32(24);
    if (depth == 0) return true;  // empty

    std::unordered_set<uint32_t> seen;
    std::vector<Step> pending = {{first_leaf, uint8_t{1}}, {root, static_cast<uint8_t>(depth)}};
    while (!pending.empty()) {
        TRY(cancel.check());
        const Step step = pending.back();
        pending.pop_back();
        if (step.node == 0 || !seen.insert(step.node).second) continue;
        const auto node = read(step.node);
        if (window_.failure()) return *window_.failure();
        if (!node) continue;
        const ProbeBytes& bytes = node->bytes;
        const uint8_t kind = bytes.u8(8), height = bytes.u8(9);
        const auto offsets = record_offsets(bytes);
        const bool leaf = kind == kLeafNode;
        const bool expected = (leaf ? height == 1 : kind == kIndexNode && height > 1) && step.height == height;
        if (!expected || !offsets) {
            lost({step.node, node->image_offset, "its structure is damaged", std::nullopt});
            continue;
        }
        std::vector<HfsRecord> records;
        bool sound = true;
        for (size_t i = 0; i + 1 < offsets->size() && sound; ++i) {
            const uint64_t at = (*offsets)[i], end = (*offsets)[i + 1];
            const uint64_t key_end = at + 1 + bytes.u8(at), data = (key_end + 1) / 2 * 2;
            sound = bytes.u8(at) >= 6 && data < end && (leaf || end - data >= 4);
            if (!sound) break;
            records.push_back({ProbeBytes(std::string(bytes.text(at, key_end - at))), ProbeBytes(std::string(bytes.text(data, end - data))),
                               node->image_offset + at});
            // The number after the length and one more byte comes first in the order of both trees.
            if (i > 0) sound = records[i - 1].key.be32(2) <= records[i].key.be32(2);
        }
        if (!sound) {
            lost({step.node, node->image_offset, "its records are damaged", std::nullopt});
            continue;
        }
        for (const HfsRecord& record : records) {
            if (leaf)
                take(record);
            else
                pending.push_back({record.data.be32(0), static_cast<uint8_t>(height - 1)});
        }
        for (const uint64_t neighbour : {uint64_t{0}, uint64_t{4}})
            if (const uint32_t number = bytes.be32(neighbour); number != 0) pending.push_back({number, height});
    }
    return true;
}

}  // namespace ntt
