#include "diagnose/verdict.h"

#include <algorithm>
#include <cctype>
#include <array>

#include <nlohmann/json.hpp>

namespace ntt {
namespace {

constexpr size_t kMaxListed = 64;  // ranges, extents and faults written out in evidence; the counts are always whole
constexpr uint64_t kSector = 512;

using nlohmann::json;

// A part of a file that is missing, before overlaps are settled.
struct Piece {
    MissingRange missing;
    int map_line = 0;
};

// Sorts by place in the file, gives each byte to the first piece that claims it, joins neighbours.
std::vector<Piece> settle(std::vector<Piece> pieces) {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.missing.file_offset < b.missing.file_offset; });
    std::vector<Piece> out;
    uint64_t covered = 0;
    for (Piece piece : pieces) {
        MissingRange& range = piece.missing;
        const uint64_t end = range.file_offset + range.length;
        if (range.length == 0 || end <= covered) continue;
        if (range.file_offset < covered) {
            if (range.image_offset) *range.image_offset += covered - range.file_offset;
            range.length = end - covered;
            range.file_offset = covered;
        }
        covered = end;
        if (!out.empty()) {
            MissingRange& last = out.back().missing;
            const bool adjacent = last.file_offset + last.length == range.file_offset && last.cause == range.cause &&
                                  last.image_offset.has_value() == range.image_offset.has_value() &&
                                  (!range.image_offset || *last.image_offset + last.length == *range.image_offset);
            if (adjacent && out.back().map_line == piece.map_line) {
                last.length += range.length;
                continue;
            }
        }
        out.push_back(piece);
    }
    return out;
}

Cause largest(const std::vector<Piece>& pieces, json& bytes_by_cause) {
    std::array<uint64_t, 32> bytes{};
    for (const Piece& piece : pieces) bytes[static_cast<size_t>(piece.missing.cause)] += piece.missing.length;
    for (size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != 0) bytes_by_cause[std::string(to_string(static_cast<Cause>(i)))] = bytes[i];
    return static_cast<Cause>(std::max_element(bytes.begin(), bytes.end()) - bytes.begin());
}

json parsed(const std::string& text) {
    json value = json::parse(text, nullptr, false);
    return value.is_discarded() ? json(text) : value;
}

}  // namespace

DamageMap::DamageMap(uint64_t image_size, const RescueMap* map, std::vector<ByteRange> container_damage) : image_size_(image_size) {
    if (map != nullptr) {
        map_lines_ = map->lines();
        for (const MapBlock& block : map->missing()) {
            const ByteRange range = intersect(block.range, {0, image_size});
            if (!range.empty()) damages_.push_back({range, *cause_of(block.status), block.line});
        }
    }
    // What the container reports as damaged and the map does not already name.
    std::sort(container_damage.begin(), container_damage.end());
    const std::vector<Damage> from_map = damages_;
    for (ByteRange range : container_damage) {
        range = intersect(range, {0, image_size});
        uint64_t at = range.offset;
        auto next = std::lower_bound(from_map.begin(), from_map.end(), at,
                                     [](const Damage& damage, uint64_t offset) { return damage.range.end() <= offset; });
        for (; at < range.end(); ++next) {
            const uint64_t stop = next == from_map.end() ? range.end() : std::min(range.end(), next->range.offset);
            if (at < stop) damages_.push_back({{at, stop - at}, Cause::BAD_SECTOR, 0});
            if (next == from_map.end()) break;
            at = std::max(at, next->range.end());
        }
    }
    std::sort(damages_.begin(), damages_.end(), [](const Damage& a, const Damage& b) { return a.range < b.range; });
}

std::vector<MissingRange> DamageMap::missing_in(ByteRange range) const {
    std::vector<MissingRange> out;
    auto damage = std::lower_bound(damages_.begin(), damages_.end(), range.offset,
                                   [](const Damage& d, uint64_t offset) { return d.range.end() <= offset; });
    for (; damage != damages_.end() && damage->range.offset < range.end(); ++damage) {
        const ByteRange hit = intersect(damage->range, range);
        if (!hit.empty()) out.push_back({hit.offset - range.offset, hit.length, hit.offset, damage->cause});
    }
    if (range.end() > image_size_) {
        const uint64_t begin = std::max(range.offset, image_size_);
        out.push_back({begin - range.offset, range.end() - begin, begin, Cause::BEYOND_EOF});
    }
    return out;
}

Verdict DamageMap::judge(const InodeEntry& inode, const ByteRange& volume) const {
    std::vector<Piece> pieces;
    for (const ContentFault& fault : inode.faults) pieces.push_back({{fault.file_offset, fault.length, std::nullopt, fault.cause}, 0});

    uint64_t mapped_to = 0;  // file bytes below this are under an extent or a fault
    const auto unmapped_until = [&](uint64_t file_offset) {
        if (file_offset > mapped_to) pieces.push_back({{mapped_to, file_offset - mapped_to, std::nullopt, Cause::FS_CORRUPT}, 0});
    };
    size_t next_fault = 0;
    const auto pass_faults_until = [&](uint64_t file_offset) {
        for (; next_fault < inode.faults.size() && inode.faults[next_fault].file_offset <= std::max(mapped_to, file_offset); ++next_fault) {
            const ContentFault& fault = inode.faults[next_fault];
            unmapped_until(std::min(fault.file_offset, inode.size));
            mapped_to = std::max(mapped_to, fault.file_offset + fault.length);
        }
    };

    for (const Extent& extent : inode.extents) {
        if (extent.kind != ExtentKind::opaque) {
            pass_faults_until(extent.file_offset);
            unmapped_until(extent.file_offset);
            mapped_to = std::max(mapped_to, extent.file_offset + extent.length);
        }
        if (extent.kind == ExtentKind::hole) continue;
        const ByteRange place{extent.image_offset, extent.length};
        const ByteRange inside = intersect(place, volume);
        if (extent.kind == ExtentKind::opaque) {
            // One bad byte may spoil all that depends on it: everything decoded from it, or all that it maps from here on.
            const uint64_t from = inode.access == ContentAccess::through_reader ? 0 : std::min(extent.file_offset, inode.size);
            const std::vector<MissingRange> hits = missing_in(place);
            if (inside.length != place.length) pieces.push_back({{from, inode.size - from, std::nullopt, Cause::FS_CORRUPT}, 0});
            else if (!hits.empty()) pieces.push_back({{from, inode.size - from, hits.front().image_offset, hits.front().cause}, 0});
            continue;
        }
        if (inside.empty()) {
            pieces.push_back({{extent.file_offset, extent.length, extent.image_offset, Cause::FS_CORRUPT}, 0});
            continue;
        }
        const uint64_t before = inside.offset - place.offset, after = place.end() - inside.end();
        if (before > 0) pieces.push_back({{extent.file_offset, before, extent.image_offset, Cause::FS_CORRUPT}, 0});
        if (after > 0) pieces.push_back({{extent.file_offset + extent.length - after, after, inside.end(), Cause::FS_CORRUPT}, 0});
        for (const MissingRange& hit : missing_in(inside)) {
            const auto damage = std::lower_bound(damages_.begin(), damages_.end(), *hit.image_offset,
                                                 [](const Damage& d, uint64_t offset) { return d.range.end() <= offset; });
            const bool from_map = hit.cause != Cause::BEYOND_EOF && damage != damages_.end();
            pieces.push_back({{extent.file_offset + before + hit.file_offset, hit.length, hit.image_offset, hit.cause},
                              from_map ? damage->map_line : 0});
        }
    }
    if (inode.access != ContentAccess::through_reader) {
        pass_faults_until(inode.size);
        unmapped_until(inode.size);
    }
    for (Piece& piece : pieces) {  // nothing is missing beyond the end of the file
        const ByteRange inside = intersect({piece.missing.file_offset, piece.missing.length}, {0, inode.size});
        piece.missing.length = inside.length;
    }

    Verdict verdict;
    const std::vector<Piece> settled = settle(std::move(pieces));
    if (settled.empty()) return verdict;
    json evidence = {{"image_size_bytes", image_size_}, {"image_sectors", image_size_ / kSector}, {"file_size_bytes", inode.size}};
    verdict.cause = largest(settled, evidence["missing_bytes_by_cause"]);
    evidence["missing_ranges_total"] = settled.size();
    json& ranges = evidence["missing_ranges"] = json::array();
    for (const Piece& piece : settled) {
        verdict.missing.push_back(piece.missing);
        verdict.missing_bytes += piece.missing.length;
        if (ranges.size() >= kMaxListed) continue;
        json range = {{"file_offset", piece.missing.file_offset}, {"length", piece.missing.length}, {"cause", to_string(piece.missing.cause)}};
        if (piece.missing.image_offset) {
            range["image_offset"] = *piece.missing.image_offset;
            range["sector"] = *piece.missing.image_offset / kSector;
        }
        if (piece.missing.cause == Cause::BEYOND_EOF) range["limit"] = image_size_ / kSector;
        if (piece.map_line > 0 && static_cast<size_t>(piece.map_line) <= map_lines_.size()) {
            range["map_line"] = piece.map_line;
            range["map"] = map_lines_[static_cast<size_t>(piece.map_line) - 1];
        }
        ranges.push_back(std::move(range));
    }
    json& extents = evidence["extents"] = json::array();
    evidence["extents_total"] = inode.extents.size();
    for (const Extent& extent : inode.extents) {
        if (extents.size() >= kMaxListed) break;
        json item = {{"file_offset", extent.file_offset}, {"length", extent.length}};
        if (extent.kind == ExtentKind::hole) item["hole"] = true;
        else item["image_offset"] = extent.image_offset;
        extents.push_back(std::move(item));
    }
    if (!inode.faults.empty()) {
        json& faults = evidence["faults"] = json::array();
        for (const ContentFault& fault : inode.faults) {
            if (faults.size() >= kMaxListed) break;
            json item = parsed(fault.evidence);
            if (!item.is_object()) item = {{"note", item}};
            item["cause"] = to_string(fault.cause);
            item["file_offset"] = fault.file_offset;
            item["length"] = fault.length;
            faults.push_back(std::move(item));
        }
    }
    verdict.evidence = evidence.dump(-1, ' ', false, json::error_handler_t::replace);
    return verdict;
}

bool nothing_readable(const InodeEntry& inode, const Verdict& verdict) {
    if (verdict.clean()) return false;
    if (inode.access == ContentAccess::through_reader) return verdict.missing_bytes >= inode.size;
    for (const Extent& extent : inode.extents) {
        if (extent.kind != ExtentKind::data) continue;
        uint64_t left = extent.length;
        for (const MissingRange& gap : verdict.missing)
            left -= intersect({extent.file_offset, extent.length}, {gap.file_offset, gap.length}).length;
        if (left > 0) return false;
    }
    return true;
}

std::shared_ptr<const std::vector<UnreadRange>> DamageMap::unread() const {
    if (damages_.empty()) return nullptr;
    auto out = std::make_shared<std::vector<UnreadRange>>();
    for (const Damage& damage : damages_) out->push_back({damage.range, damage.cause});
    return out;
}

std::string check_of(Cause cause) {
    if (cause == Cause::BEYOND_EOF) return "extent:beyond_eof";
    return "map:" + std::string(to_string(cause));
}

std::string reason_of(Cause cause) {
    std::string out(to_string(cause));
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

}  // namespace ntt
