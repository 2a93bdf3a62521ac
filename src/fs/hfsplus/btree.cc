#include "fs/hfsplus/btree.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace ntt {

namespace {

constexpr uint64_t kDescriptor = 14, kSector = 512;
constexpr int8_t kLeaf = -1, kIndex = 0, kHeader = 1, kMap = 2;
constexpr uint64_t kMaxMapNodes = 65536;
constexpr uint64_t kMaxTimesTheImage = 2;  // more than the whole image in one tree: its extents lie

int8_t kind_of(const ProbeBytes& node) { return static_cast<int8_t>(node.u8(8)); }

// Where the records of a node begin, and where the last one ends; as many as stand in ascending order inside the node.
std::vector<uint64_t> record_places(const ProbeBytes& node) {
    const uint64_t count = node.be16(10), size = node.size();
    std::vector<uint64_t> out;
    for (uint64_t i = 0; i <= count && 2 * (i + 1) + kDescriptor <= size; ++i) {
        const uint64_t at = node.be16(size - 2 * (i + 1));
        if (at < kDescriptor || at > size - 2 * (count + 1) || (!out.empty() && at <= out.back())) break;
        out.push_back(at);
    }
    return out;
}

bool looks_like_a_node(const ProbeBytes& node) {
    const int8_t kind = kind_of(node);
    if (kind != kLeaf && kind != kIndex && kind != kHeader && kind != kMap) return false;
    return node.be16(10) > 0 && node.be16(node.size() - 2) == kDescriptor && record_places(node).size() > 1;
}

// Sectors of one byte over and over: records never look so, they have keys. Only their last one may end in zeros.
void add_blank_sectors(const ProbeBytes& node, uint64_t records_end, std::vector<HfsPlusLostSector>& lost) {
    for (uint64_t at = 0; at < records_end; at += kSector) {
        const std::string_view sector = node.text(at, kSector);
        const bool blank = sector.find_first_not_of(sector[0]) == std::string_view::npos;
        if (blank) lost.push_back({at, std::nullopt, at + kSector <= records_end || sector[0] != '\0'});
    }
}

}  // namespace

const HfsPlusLostSector* HfsPlusRecord::lost_in(uint64_t at, uint64_t length) const {
    for (const HfsPlusLostSector& sector : lost)
        if (sector.at < at + length && at < sector.at + kSector) return &sector;
    return nullptr;
}

Result<HfsPlusTree::Node> HfsPlusTree::read_node(uint64_t number, uint64_t node_bytes) const {
    Node out;
    uint64_t skip = number * node_bytes;
    std::string bytes;
    for (const ByteRange& piece : fork_.places) {
        if (skip >= piece.length) {
            skip -= piece.length;
            continue;
        }
        const ByteRange here{piece.offset + skip, std::min(piece.length - skip, node_bytes - bytes.size())};
        skip = 0;
        if (bytes.empty()) out.place = {here.offset, node_bytes};
        if (here.end() > source_.size_bytes()) {
            out.damage = HfsPlusNodeDamage{number, here.offset, "it lies beyond the image", Cause::BEYOND_EOF};
            return out;
        }
        const size_t before = bytes.size();
        bytes.resize(before + here.length);
        TRY(source_.read(here.offset, {reinterpret_cast<uint8_t*>(bytes.data()) + before, here.length}));
        if (const auto lost = unread_.in(here)) {
            if (!out.damage) out.damage = HfsPlusNodeDamage{number, here.offset, "it lies on sectors that were not read", lost->cause};
            for (uint64_t at = 0; at < here.length; at += kSector) {
                const ByteRange sector{here.offset + at, std::min(kSector, here.length - at)};
                const auto unread = unread_.in(sector);
                if (!unread) continue;
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(before + at), sector.length, '\0');
                out.unread.push_back({before + at, unread->cause, true});
            }
        }
        if (bytes.size() == node_bytes) break;
    }
    if (bytes.size() < node_bytes) {
        out.damage = HfsPlusNodeDamage{number, std::nullopt, "no extent has it", std::nullopt};
        out.unread.clear();
    }
    out.bytes = ProbeBytes(std::move(bytes));
    return out;
}

Result<bool> HfsPlusTree::open() {
    constexpr uint64_t kSmallest = 512;
    if (fork_.size < kSmallest) return false;
    TRY_ASSIGN(const Node small, read_node(0, kSmallest));
    const uint64_t declared = small.bytes.be16(kDescriptor + 18);
    const bool sound = !small.damage && kind_of(small.bytes) == kHeader && declared >= kSmallest && declared <= 32768 &&
                       std::has_single_bit(declared) && declared <= fork_.size;
    if (sound) {
        node_bytes_ = declared;
        TRY_ASSIGN(const Node header, read_node(0, node_bytes_));
        if (!header.damage) {
            leaf_records_ = header.bytes.be32(kDescriptor + 6);
            TRY(read_map(header.bytes));
        }
    } else {
        TRY_ASSIGN(node_bytes_, guessed_node_bytes());
    }
    if (node_bytes_ == 0) return false;
    nodes_ = std::min(fork_.size, bytes_placed()) / node_bytes_;
    without_extent_ = fork_.size / node_bytes_ - nodes_;
    return nodes_ + without_extent_ > 0;
}

// How much of the fork has a place that can be. A damaged header may claim thousands of millions of nodes.
uint64_t HfsPlusTree::bytes_placed() const {
    const uint64_t most = kMaxTimesTheImage * source_.size_bytes();
    uint64_t sum = 0;
    for (const ByteRange& place : fork_.places) sum += std::min(place.length, most - sum);
    return sum;
}

// The header's third record, and the map nodes that follow it.
Result<void> HfsPlusTree::read_map(const ProbeBytes& header) {
    const auto places = record_places(header);
    if (places.size() >= 4) map_ = std::string(header.text(places[2], places[3] - places[2]));
    uint64_t next = header.be32(0);
    for (uint64_t i = 0; next != 0 && i < kMaxMapNodes; ++i) {
        TRY_ASSIGN(const Node node, read_node(next, node_bytes_));
        const auto records = node.damage ? std::vector<uint64_t>() : record_places(node.bytes);
        if (node.damage || kind_of(node.bytes) != kMap || records.size() < 2) break;  // nodes that the map does not speak of count as used
        map_ += node.bytes.text(records[0], records[1] - records[0]);
        next = node.bytes.be32(0);
    }
    return {};
}

bool HfsPlusTree::is_in_use(uint64_t number) const {
    if (number / 8 >= map_.size()) return true;
    return (static_cast<uint8_t>(map_[number / 8]) >> (7 - number % 8) & 1) != 0;
}

// The size at which most of the first nodes look like nodes.
Result<uint64_t> HfsPlusTree::guessed_node_bytes() const {
    constexpr uint64_t kTried = 64;
    uint64_t best = 0, best_bytes = 0;
    for (const uint64_t candidate : {8192u, 4096u, 16384u, 2048u, 1024u, 512u, 32768u}) {
        uint64_t good = 0;
        for (uint64_t i = 1; i <= kTried && (i + 1) * candidate <= fork_.size; ++i) {
            TRY_ASSIGN(const Node node, read_node(i, candidate));
            if (!node.damage && looks_like_a_node(node.bytes)) ++good;
        }
        if (good * candidate > best_bytes) best = candidate, best_bytes = good * candidate;
    }
    return best;
}

// A node that was given up keeps its old records; its neighbours do not lead to it any more.
Result<bool> HfsPlusTree::is_chained(uint64_t number, const ProbeBytes& node) const {
    const uint64_t next = node.be32(0), previous = node.be32(4);
    for (const auto& [neighbour, link_at] : {std::pair<uint64_t, uint64_t>{next, 4}, {previous, 0}}) {
        if (neighbour == 0 || neighbour >= nodes_) continue;
        TRY_ASSIGN(const Node other, read_node(neighbour, node_bytes_));
        if (!other.damage && kind_of(other.bytes) == kLeaf && other.bytes.be32(link_at) == number) return true;
    }
    return next == 0 && previous == 0;
}

Result<bool> HfsPlusTree::hand_out(const Node& node, const std::function<Result<void>(const HfsPlusRecord&)>& take) const {
    const auto places = record_places(node.bytes);
    std::vector<HfsPlusLostSector> lost = node.unread;
    add_blank_sectors(node.bytes, places.back(), lost);
    bool sound = places.size() == size_t{node.bytes.be16(10)} + 1 && std::none_of(lost.begin(), lost.end(), [](const auto& sector) { return sector.certain; });
    std::vector<HfsPlusRecord> records;
    for (size_t i = 0; i + 1 < places.size(); ++i) {
        const uint64_t key_length = node.bytes.be16(places[i]);
        const uint64_t data = places[i] + 2 + key_length + key_length % 2;
        HfsPlusRecord record{node.bytes, places[i] + 2, key_length, data, places[i + 1] - std::min(data, places[i + 1]), node.place, lost};
        if (data <= places[i + 1] && has_form_(record)) {
            records.push_back(record);
            continue;
        }
        sound = false;
        lost.push_back({places[i] / kSector * kSector, std::nullopt, true});
    }
    std::stable_sort(lost.begin(), lost.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
    for (const HfsPlusRecord& record : records) TRY(take(record));
    return sound;
}

Result<void> HfsPlusTree::for_each_leaf_record(const std::function<Result<void>(const HfsPlusRecord&)>& take,
                                               const std::function<void(const HfsPlusNodeDamage&)>& damage, const CancelToken& cancel) {
    for (uint64_t number = 1; number < nodes_; ++number) {
        if (number % 64 == 0) TRY(cancel.check());
        if (!is_in_use(number)) continue;
        TRY_ASSIGN(const Node node, read_node(number, node_bytes_));
        const bool a_leaf = node.bytes.size() == node_bytes_ && looks_like_a_node(node.bytes) && kind_of(node.bytes) == kLeaf;
        if (node.damage && (node.unread.empty() || !a_leaf)) {
            damage(*node.damage);
            continue;
        }
        const int8_t kind = kind_of(node.bytes);
        // Where the map of used nodes is lost, most nodes that are none were never used.
        const bool known_to_be_used = number / 8 < map_.size();
        if (kind == kMap && known_to_be_used) continue;
        if (looks_like_a_node(node.bytes) && kind == kIndex) continue;
        if (!a_leaf) {
            if (known_to_be_used) damage({number, node.place.offset, "it is no node of a tree", std::nullopt});
            continue;
        }
        if (!known_to_be_used) {
            TRY_ASSIGN(const bool chained, is_chained(number, node.bytes));
            if (!chained) continue;
        }
        TRY_ASSIGN(const bool sound, hand_out(node, take));
        if (node.damage) damage(*node.damage);
        else if (!sound) damage({number, node.place.offset, "some of its records are damaged", std::nullopt});
    }
    if (without_extent_ > 0)
        damage({nodes_, std::nullopt, "no extent has it, nor those behind it: " + std::to_string(without_extent_) + " in all", std::nullopt});
    return {};
}

}  // namespace ntt
