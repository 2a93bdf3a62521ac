#include "fs/fat/directory_sector.h"

#include <algorithm>
#include <cstring>

#include "fs/fat/timestamps.h"

namespace ntt {
namespace {

constexpr uint8_t kReservedAttributes = 0xC0;
constexpr size_t kMaxLongNameParts = 20;

ShortEntry entry_at(ByteView bytes, size_t index) {
    ShortEntry entry;
    std::memcpy(&entry, &bytes[index * kDirectoryEntryBytes], sizeof entry);
    return entry;
}

bool is_dot(const ShortEntry& entry, std::string_view name) {
    return std::memcmp(entry.name, name.data(), sizeof entry.name) == 0 && (entry.attributes & kAttributeDirectory) != 0;
}

bool is_impossible(const ShortEntry& entry, const FatGeometry& geometry) {
    const EntryKind kind = classify(entry, DirectoryRole::root, 0);
    if (kind == EntryKind::long_name) {
        LongEntry part;
        std::memcpy(&part, &entry, sizeof part);
        const unsigned ordinal = part.ordinal & 0x3Fu;
        return (part.type != 0) + (part.cluster != 0) + (ordinal == 0 || ordinal > kMaxLongNameParts || (part.ordinal & 0x80) != 0) >= 2;
    }
    if (is_dot(entry, ".          ") || is_dot(entry, "..         ")) return false;
    const uint32_t cluster = start_cluster(entry, geometry);
    const bool bad_name = kind == EntryKind::label ? false : !is_sound_short_name(entry);
    const bool bad_date = entry.write_date != 0 && !fat_local_seconds(entry.write_date, entry.write_time);
    return ((entry.attributes & kReservedAttributes) != 0) + bad_name + (cluster != 0 && !geometry.has_cluster(cluster)) + bad_date +
               (entry.size > geometry.data_bytes()) + (kind == EntryKind::directory && entry.size != 0) >= 2;
}

}  // namespace

DirectorySector judge_directory_sector(ByteView sector, const FatGeometry& geometry) {
    if (std::all_of(sector.begin(), sector.end(), [](uint8_t byte) { return byte == 0; })) return DirectorySector::zeroed;
    size_t sound = 0, impossible = 0;
    for (size_t i = 0; i < sector.size() / kDirectoryEntryBytes; ++i) {
        const ShortEntry entry = entry_at(sector, i);
        const EntryKind kind = classify(entry, DirectoryRole::root, 0);
        if (kind == EntryKind::end) break;
        if (kind == EntryKind::deleted) continue;
        ++(is_impossible(entry, geometry) ? impossible : sound);
    }
    return impossible > sound ? DirectorySector::garbage : DirectorySector::sound;
}

bool looks_alive(const ShortEntry& entry) {
    const EntryKind kind = classify(entry, DirectoryRole::root, 0);
    return (kind == EntryKind::file || kind == EntryKind::directory) && (entry.attributes & kReservedAttributes) == 0 &&
           is_sound_short_name(entry) && fat_local_seconds(entry.write_date, entry.write_time).has_value();
}

Dots judge_dots(ByteView head, uint32_t own_cluster, uint32_t parent_cluster, const FatGeometry& geometry) {
    const ShortEntry self = entry_at(head, 0), parent = entry_at(head, 1);
    if (!is_dot(self, ".          ") || start_cluster(self, geometry) != own_cluster) return Dots::wrong_self;
    if (!is_dot(parent, "..         ")) return Dots::wrong_parent;
    const uint32_t named = start_cluster(parent, geometry);
    const bool is_root = parent_cluster == 0 && named == geometry.root_cluster;
    return named == parent_cluster || is_root ? Dots::right : Dots::wrong_parent;
}

uint32_t start_cluster(const ShortEntry& entry, const FatGeometry& geometry) {
    const uint32_t low = entry.cluster_low;
    return geometry.fat_bits == 32 ? low | uint32_t{entry.cluster_high} << 16 : low;
}

}  // namespace ntt
