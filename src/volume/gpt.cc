#include "volume/gpt.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "volume/crc32.h"

namespace ntt {

namespace {

using nlohmann::json;

constexpr uint64_t kMaxEntryBytes = uint64_t{1} << 20;  // 128 entries have 16 KiB

// A GUID as blkid prints it: the first three numbers are little-endian.
std::string guid_text(std::string_view bytes) {
    if (bytes.size() < 16) return {};
    std::string swapped(bytes.substr(0, 16));
    std::reverse(swapped.begin(), swapped.begin() + 4);
    std::reverse(swapped.begin() + 4, swapped.begin() + 6);
    std::reverse(swapped.begin() + 6, swapped.begin() + 8);
    return uuid_text(swapped);
}

// One of the two, with its entries.
struct Half {
    uint64_t sector = 0;
    bool there = false;  // the signature is
    bool header_right = false, entries_right = false;
    uint64_t other_sector = 0;
    uint64_t entry_size = 0;
    std::string disk_id;
    ProbeBytes entries;

    bool right() const { return header_right && entries_right; }
    // Entries that fit their checksum cannot be there by chance, whatever became of the header.
    bool usable() const { return entries_right || (header_right && entries.size() > 0); }
    std::string_view state() const {
        return !there ? "no header" : !header_right ? "the header fails its checksum" : !entries_right ? "the entries fail their checksum" : "right";
    }
};

Half read_half(const ProbeWindow& image, uint64_t sector, uint64_t sector_size) {
    Half out;
    out.sector = sector;
    const auto at = checked_mul(sector, sector_size);
    if (!at) return out;
    const ProbeBytes header = image.read(*at, static_cast<size_t>(sector_size));
    if (!header.has(0, "EFI PART")) return out;
    out.there = true;
    constexpr uint32_t kSmallestHeader = 92;
    const uint32_t header_size = header.le32(12);
    if (header_size >= kSmallestHeader && header_size <= header.size()) {
        std::string bytes(header.text(0, header_size));
        bytes.replace(16, 4, 4, '\0');
        out.header_right = ~crc32_over(~0u, bytes) == header.le32(16) && header.le64(24) == sector;
    }
    out.other_sector = header.le64(32);
    out.disk_id = guid_text(header.text(56, 16));
    out.entry_size = header.le32(84);
    const auto entries_at = checked_mul(header.le64(72), sector_size);
    const uint64_t length = header.le32(80) * out.entry_size;  // 32 bits each
    if (out.entry_size < 128 || out.entry_size % 8 != 0 || length == 0 || length > kMaxEntryBytes || !entries_at) return out;
    out.entries = image.read(*entries_at, static_cast<size_t>(length));
    out.entries_right = out.entries.size() == length && ~crc32_over(~0u, out.entries.text(0, out.entries.size())) == header.le32(88);
    return out;
}

// The usual 128 entries without a header that says so: none of them may be impossible, and no two may overlap.
bool make_a_table(const ProbeBytes& entries, uint64_t entry_size) {
    std::vector<ByteRange> places;  // in sectors
    for (uint64_t at = 0; at + entry_size <= entries.size(); at += entry_size) {
        const bool used = !guid_text(entries.text(at, 16)).empty();
        if (!used) {
            const std::string_view rest = entries.text(at, static_cast<size_t>(entry_size));
            if (rest.find_first_not_of('\0') != std::string_view::npos) return false;
            continue;
        }
        const uint64_t first = entries.le64(at + 32), last = entries.le64(at + 40);
        constexpr uint64_t kMaxSector = uint64_t{1} << 48;
        constexpr uint64_t kUndefinedAttributes = 0x0000'FFFF'FFFF'FFF8;
        const bool is_guid = (entries.u8(at + 16 + 8) & 0xC0) == 0x80;  // RFC 4122
        if (first < 3 || last < first || last > kMaxSector || !is_guid || (entries.le64(at + 48) & kUndefinedAttributes) != 0) return false;
        bool ended = false;  // the name is text, and zeros behind it
        for (uint64_t i = 0; i < 36; ++i) {
            const uint16_t unit = entries.le16(at + 56 + 2 * i);
            if (unit == 0) ended = true;
            else if (ended || unit < 0x20) return false;
        }
        places.push_back({first, last - first + 1});
    }
    std::sort(places.begin(), places.end());
    for (size_t i = 1; i < places.size(); ++i)
        if (places[i - 1].end() > places[i].offset) return false;
    return !places.empty();
}

// Entries where they usually stand, when both headers are lost.
std::optional<Half> half_without_header(const ProbeWindow& image, uint64_t sector_size) {
    constexpr uint64_t kEntryBytes = 128, kEntries = 128;
    constexpr size_t kBytes = kEntryBytes * kEntries;
    const uint64_t from_end = kBytes / sector_size + 1, sectors = image.size_bytes() / sector_size;
    for (const uint64_t sector : {uint64_t{2}, sectors - std::min(sectors, from_end)}) {
        ProbeBytes entries = image.read(sector * sector_size, kBytes);
        if (entries.size() != kBytes || !make_a_table(entries, kEntryBytes)) continue;
        Half out;
        out.sector = sector;
        out.entry_size = kEntryBytes;
        out.entries = std::move(entries);
        return out;
    }
    return {};
}

Finding finding(std::string code, std::string message, const json& evidence) {
    return {std::move(code), std::move(message), evidence.dump(-1, ' ', false, json::error_handler_t::replace), 0, std::nullopt};
}

void add_partitions(const Half& half, uint64_t sector_size, PartitionTable& out) {
    out.type = "gpt";
    out.disk_id = half.disk_id;
    for (uint64_t at = 0; at + half.entry_size <= half.entries.size(); at += half.entry_size) {
        const std::string type = guid_text(half.entries.text(at, 16));
        if (type.empty()) continue;
        const uint64_t first = half.entries.le64(at + 32), last = half.entries.le64(at + 40);
        const auto start = checked_mul(first, sector_size);
        const auto length = last >= first && last != UINT64_MAX ? checked_mul(last - first + 1, sector_size) : std::nullopt;
        const uint64_t slot = at / half.entry_size + 1;
        if (!start || *start == 0 || !length || !checked_add(*start, *length)) {
            out.findings.push_back(finding("partition_table_damaged", "a partition has an impossible place", {{"slot", slot}, {"first_sector", first}, {"last_sector", last}}));
            continue;
        }
        if (static_cast<int>(out.partitions.size()) >= kMaxPartitions) {
            out.findings.push_back(finding("partition_table_damaged", "more partitions than are read", {{"limit", kMaxPartitions}}));
            break;
        }
        Partition partition{{*start, *length}, "gpt", std::to_string(slot), type, utf16_text(half.entries.text(at + 56, 72), Utf16Order::little), Partition::Kind::plain};
        partition.uuid = guid_text(half.entries.text(at + 16, 16));
        out.partitions.push_back(std::move(partition));
    }
}

std::optional<Gpt> read_at_sector_size(const ProbeWindow& image, uint64_t sector_size) {
    const uint64_t sectors = image.size_bytes() / sector_size;
    if (sectors < 3) return {};
    const Half first = read_half(image, 1, sector_size);
    // The copy stands where the first header says, and in any case in the last sector.
    Half copy = first.there ? read_half(image, first.other_sector, sector_size) : Half{};
    if (!copy.there) copy = read_half(image, sectors - 1, sector_size);
    Gpt out;
    if (!first.usable() && !copy.usable()) {
        const auto entries = half_without_header(image, sector_size);
        if (!entries) return {};
        out.table.findings.push_back(finding("partition_table_damaged", "the headers of the partition table and of its copy are lost: entries that make sense were found where they usually stand",
                                             {{"first", first.state()}, {"copy", copy.state()}, {"entries_sector", entries->sector}, {"sector_size", sector_size}}));
        out.from_copy_alone = true;
        add_partitions(*entries, sector_size, out.table);
        return out;
    }
    const Half& chosen = first.right() ? first : copy.right() ? copy : first.usable() ? first : copy;
    out.from_copy_alone = !first.there;
    const json evidence = {{"first", first.state()}, {"first_sector", first.sector}, {"copy", copy.state()}, {"copy_sector", copy.sector},
                           {"sector_size", sector_size}, {"chosen", &chosen == &first ? "first" : "copy"}};
    const bool copy_is_beyond_image = first.there && first.other_sector >= sectors;
    if (!first.right()) {
        out.table.findings.push_back(finding("partition_table_damaged",
                                             &chosen == &copy ? "the table was read from its copy at the end of the medium"
                                                              : "the table fails its checksums, and so does its copy: what makes sense of it is used",
                                             evidence));
    } else if (!copy.right() && !copy_is_beyond_image) {
        out.table.findings.push_back(finding("partition_table_copy_damaged", "the copy of the partition table is damaged; the table itself is not", evidence));
    } else if (copy.right() && copy.entries.text(0, copy.entries.size()) != first.entries.text(0, first.entries.size())) {
        out.table.findings.push_back(finding("partition_tables_differ", "the partition table and its copy list different partitions; the table was taken", evidence));
    }
    add_partitions(chosen, sector_size, out.table);
    return out;
}

}  // namespace

std::optional<Gpt> read_gpt(const ProbeWindow& image, uint64_t sector_size) {
    if (auto found = read_at_sector_size(image, sector_size)) return found;
    constexpr uint64_t kOtherSize = 4096;  // images of disks with large sectors
    return sector_size == kOtherSize ? std::nullopt : read_at_sector_size(image, kOtherSize);
}

}  // namespace ntt
