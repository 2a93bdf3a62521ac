#include "volume/partition_table.h"

#include <fmt/format.h>
#include <tsk/libtsk.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "image/tsk_image.h"
#include "volume/gpt.h"
#include "volume/probe_window.h"

namespace ntt {

namespace {

Finding damaged_table(std::string message, nlohmann::json evidence) {
    return {"partition_table_damaged", std::move(message),
            evidence.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 0, std::nullopt};
}

// --- MBR ---

constexpr uint64_t kDiskIdAt = 440, kEntriesAt = 446, kEntrySize = 16;
constexpr int kEntryCount = 4;
constexpr uint8_t kProtective = 0xEE;

struct MbrEntry {
    uint8_t active = 0, type = 0;
    uint64_t start = 0, count = 0;  // sectors

    bool used() const { return type != 0 && count != 0; }
    bool sane() const { return (active & 0x7F) == 0 && (!used() || start != 0); }
    bool extended() const { return type == 0x05 || type == 0x0F || type == 0x85; }
    bool has_bsd_label() const { return type == 0xA5 || type == 0xA6 || type == 0xA9; }
};

std::vector<MbrEntry> mbr_entries(const ProbeBytes& sector) {
    std::vector<MbrEntry> out;
    for (int i = 0; i < kEntryCount; ++i) {
        const uint64_t at = kEntriesAt + static_cast<uint64_t>(i) * kEntrySize;
        out.push_back({sector.u8(at), sector.u8(at + 4), sector.le32(at + 8), sector.le32(at + 12)});
    }
    return out;
}

bool has_boot_signature(const ProbeBytes& sector) { return sector.u8(510) == 0x55 && sector.u8(511) == 0xAA; }

// A boot sector's code can stand where the table would be: every entry must look like one.
bool is_mbr(const ProbeBytes& sector) {
    if (!has_boot_signature(sector)) return false;
    const auto entries = mbr_entries(sector);
    const auto sane = [](const MbrEntry& e) { return e.sane(); };
    const auto used = [](const MbrEntry& e) { return e.used(); };
    return std::all_of(entries.begin(), entries.end(), sane) && std::any_of(entries.begin(), entries.end(), used);
}

// Or it is a damaged one of which some entries are left: what they point to must prove it.
bool may_be_mbr(const ProbeBytes& sector) {
    const auto entries = mbr_entries(sector);
    return has_boot_signature(sector) && std::any_of(entries.begin(), entries.end(), [](const MbrEntry& e) { return e.sane() && e.used(); });
}

bool is_protective(const ProbeBytes& sector) {
    const auto entries = mbr_entries(sector);
    return is_mbr(sector) && std::any_of(entries.begin(), entries.end(), [](const MbrEntry& e) { return e.type == kProtective; });
}

// Reads one image's MBR family of tables into a PartitionTable.
class DosTableReader {
public:
    DosTableReader(const ProbeWindow& image, uint64_t sector_size, PartitionTable& out)
        : image_(image), sector_size_(sector_size), out_(out) {}

    void read(const ProbeBytes& mbr) {
        out_.type = "dos";
        if (mbr.le32(kDiskIdAt) != 0) out_.disk_id = fmt::format("{:#010x}", mbr.le32(kDiskIdAt));
        int slot = 0;
        for (const MbrEntry& entry : mbr_entries(mbr)) {
            ++slot;
            if (!entry.sane())
                out_.findings.push_back(damaged_table("an entry of the MBR cannot be: a partition may be missing",
                                                      {{"slot", slot}, {"active", entry.active}, {"type", entry.type}, {"first_sector", entry.start}, {"sectors", entry.count}}));
            if (!entry.used() || !entry.sane() || entry.type == kProtective) continue;
            add(entry, 0, std::to_string(slot));
            if (entry.extended()) read_chain(entry.start);
        }
    }

    // The label in sector 1 of `slice`, or in sector 0 where the boot code leaves it room; its partitions are added. Offsets
    // in it count from the start of the disk, in FreeBSD's newer ones from the start of the slice: then the raw partition
    // "c" starts at 0.
    bool read_bsd_label(ByteRange slice) {
        constexpr uint32_t kMagic = 0x82564557;
        constexpr uint64_t kPartitionsAt = 148;
        constexpr uint16_t kMaxBsdPartitions = 22;  // OpenBSD has 16, NetBSD up to 22
        constexpr uint64_t kRaw = 2;
        const auto is_label = [&](const ProbeBytes& bytes) { return bytes.le32(0) == kMagic && bytes.le32(132) == kMagic; };
        ProbeBytes label = image_.read(slice.offset + sector_size_, 512);
        if (!is_label(label)) label = image_.read(slice.offset + 64, 512);
        if (!is_label(label)) return false;
        const uint16_t count = std::min(label.le16(138), kMaxBsdPartitions);
        const bool relative = label.le32(kPartitionsAt + kRaw * 16) != 0 && label.le32(kPartitionsAt + kRaw * 16 + 4) == 0;
        for (uint16_t i = 0; i < count; ++i) {
            const uint64_t at = kPartitionsAt + uint64_t{i} * 16;
            const uint8_t type = label.u8(at + 12);
            const uint64_t sectors = label.le32(at);
            const uint64_t start = label.le32(at + 4) * sector_size_ + (relative ? slice.offset : 0);
            if (sectors == 0 || type == 0 || i == kRaw) continue;
            push({{start, sectors * sector_size_},
                  "bsd",
                  std::string(1, static_cast<char>('a' + i)),
                  fmt::format("{:#04x}", type),
                  "",
                  Partition::Kind::plain});
        }
        return true;
    }

private:
    // Each table of the chain has a logical partition, counted from itself, and a link, counted from the chain's start.
    void read_chain(uint64_t chain_start) {
        std::set<uint64_t> seen;
        uint64_t at = chain_start;
        while (static_cast<int>(out_.partitions.size()) < kMaxPartitions) {
            if (!seen.insert(at).second) {
                out_.findings.push_back(damaged_table("the chain of logical partitions is a loop", {{"sector", at}}));
                return;
            }
            const ProbeBytes table = image_.read(at * sector_size_, 512);
            if (!has_boot_signature(table)) {
                out_.findings.push_back(
                    damaged_table("a table of logical partitions cannot be read: partitions may be missing here",
                                  {{"sector", at}, {"bytes_there", table.size()}}));
                return;
            }
            std::optional<uint64_t> next;
            for (const MbrEntry& entry : mbr_entries(table)) {
                if (!entry.used()) continue;
                if (entry.extended()) {
                    if (!next) next = chain_start + entry.start;
                } else {
                    add(entry, at, std::to_string(next_logical_++));
                }
            }
            if (!next) return;
            at = *next;
        }
        out_.findings.push_back(damaged_table("more logical partitions than are read", {{"limit", kMaxPartitions}}));
    }

    void add(const MbrEntry& entry, uint64_t base, std::string slot) {
        Partition partition{{(base + entry.start) * sector_size_, entry.count * sector_size_},
                            "dos",
                            std::move(slot),
                            fmt::format("{:#04x}", entry.type),
                            "",
                            entry.extended() ? Partition::Kind::extended : Partition::Kind::plain};
        const size_t place = out_.partitions.size();
        push(partition);
        if (entry.has_bsd_label() && read_bsd_label(partition.range)) out_.partitions[place].kind = Partition::Kind::disklabel;
    }

    void push(Partition partition) { out_.partitions.push_back(std::move(partition)); }

    const ProbeWindow& image_;
    uint64_t sector_size_;
    PartitionTable& out_;
    int next_logical_ = 5;
};

bool same_places(const PartitionTable& dos, const PartitionTable& gpt) {
    const auto places = [](const PartitionTable& table) {
        std::set<ByteRange> out;
        for (const Partition& partition : table.partitions)
            if (partition.kind != Partition::Kind::extended) out.insert(partition.range);
        return out;
    };
    return places(dos) == places(gpt);
}

// A hybrid MBR repeats some of the GPT's partitions for systems that know no GPT. What it has besides may be older, or newer:
// it is taken where the GPT has nothing.
void add_what_only_the_mbr_lists(const ProbeWindow& image, uint64_t sector_size, const ProbeBytes& mbr, PartitionTable& gpt) {
    PartitionTable dos;
    DosTableReader(image, sector_size, dos).read(mbr);
    std::vector<Partition> added;
    nlohmann::json differ = nlohmann::json::array();
    for (Partition& partition : dos.partitions) {
        if (partition.type == "0xee" || partition.range.length == 0) continue;
        const auto is_same = [&](const Partition& other) { return other.range == partition.range; };
        const auto overlaps = [&](const Partition& other) { return !intersect(other.range, partition.range).empty(); };
        if (std::any_of(gpt.partitions.begin(), gpt.partitions.end(), is_same)) continue;
        const bool taken = std::none_of(gpt.partitions.begin(), gpt.partitions.end(), overlaps);
        differ.push_back({{"slot", partition.slot}, {"offset", partition.range.offset}, {"length", partition.range.length}, {"taken", taken}});
        if (taken) added.push_back(std::move(partition));
    }
    if (differ.empty()) return;
    gpt.findings.push_back({"partition_tables_differ", "the MBR lists partitions that the GPT does not have; the GPT was taken, and what lies outside its partitions",
                            nlohmann::json{{"only_in_mbr", differ}, {"chosen", "gpt"}}.dump(), 0, std::nullopt});
    for (Partition& partition : added) gpt.partitions.push_back(std::move(partition));
}

// --- through libtsk ---

// The image as long as the medium may have been: libtsk refuses tables with partitions beyond the end of the image.
class PaddedSource : public ByteSource {
public:
    explicit PaddedSource(const ByteSource& source) : source_(source) {}
    uint64_t size_bytes() const override { return uint64_t{1} << 60; }
    uint32_t sector_size() const override { return source_.sector_size(); }
    std::string_view format() const override { return source_.format(); }
    const std::vector<ImagePart>& parts() const override { return source_.parts(); }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        const uint64_t size = source_.size_bytes();
        if (offset >= size) return make_error(ErrorCode::io, "beyond the end of the image");
        const size_t there = static_cast<size_t>(std::min<uint64_t>(out.size(), size - offset));
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(there), out.end(), uint8_t{0});  // libtsk reads 64 KiB at a time
        return source_.read(offset, out.first(there));
    }

private:
    const ByteSource& source_;
};

struct CloseTable {
    void operator()(TSK_VS_INFO* table) const { tsk_vs_close(table); }
};

// What a table lists that is neither a partition nor data: its own map, the whole disk, space marked free.
bool is_table_metadata(TSK_VS_TYPE_ENUM type, std::string_view description) {
    if (type == TSK_VS_TYPE_MAC) return description.starts_with("Apple_partition_map") || description == "Apple_Free";
    if (type == TSK_VS_TYPE_SUN) return description.ends_with("(0x05)");  // "backup": the whole disk
    return false;
}

Result<bool> read_with_tsk(const ByteSource& source, TSK_VS_TYPE_ENUM type, std::string_view name, PartitionTable& out) {
    TRY_ASSIGN(const auto image, TskImage::open(source));
    const std::unique_ptr<TSK_VS_INFO, CloseTable> table(tsk_vs_open(image->get(), 0, type));
    if (!table) {
        take_tsk_error();  // "not such a table" is the usual answer
        return false;
    }
    for (const TSK_VS_PART_INFO* part = table->part_list; part; part = part->next) {
        const std::string description = to_display_utf8(part->desc ? part->desc : "");
        if (!(part->flags & TSK_VS_PART_FLAG_ALLOC) || (part->flags & TSK_VS_PART_FLAG_META)) continue;
        if (is_table_metadata(type, description)) continue;
        const auto start = checked_mul(part->start, table->block_size), length = checked_mul(part->len, table->block_size);
        if (!start || !length || !checked_add(*start, *length)) {
            out.findings.push_back(
                damaged_table("a partition has an impossible size", {{"start", part->start}, {"sectors", part->len}}));
            continue;
        }
        if (static_cast<int>(out.partitions.size()) >= kMaxPartitions) {
            out.findings.push_back(damaged_table("more partitions than are read", {{"limit", kMaxPartitions}}));
            break;
        }
        Partition partition{{*start, *length},     std::string(name), std::to_string(part->slot_num + 1), "", "",
                            Partition::Kind::plain};
        partition.type = description;
        out.partitions.push_back(std::move(partition));
    }
    if (table->is_backup) out.findings.push_back(damaged_table("the table was read from its copy at the end of the medium", nlohmann::json::object()));
    out.type = name;
    return true;
}

Result<bool> read_with_tsk_even_if_truncated(const ByteSource& source, TSK_VS_TYPE_ENUM type, std::string_view name,
                                             PartitionTable& out) {
    TRY_ASSIGN(const bool found, read_with_tsk(source, type, name, out));
    if (found) return true;
    return read_with_tsk(PaddedSource(source), type, name, out);
}

}  // namespace

Result<PartitionTable> read_partition_table(const ByteSource& source) {
    const ProbeWindow image(source, {0, source.size_bytes()});
    const uint64_t sector_size = source.sector_size();
    const ProbeBytes first = image.read(0, 4096);
    if (image.failure()) return *image.failure();
    PartitionTable out;

    const bool mbr = is_mbr(first);
    auto gpt = read_gpt(image, sector_size);
    if (image.failure()) return *image.failure();
    if (gpt && !mbr) {
        gpt->table.doubtful = gpt->from_copy_alone;
        return std::move(gpt->table);
    }
    if (gpt && is_protective(first)) {
        add_what_only_the_mbr_lists(image, sector_size, first, gpt->table);
        return std::move(gpt->table);
    }
    if (is_protective(first)) out.findings.push_back(damaged_table("the GPT cannot be read, neither the first nor its copy", {{"sector", 1}}));
    DosTableReader dos(image, sector_size, out);
    if (mbr) {
        dos.read(first);
        if (out.partitions.empty()) out.type = "gpt";  // a protective entry alone
        // A copy alone may be left from before the disk was partitioned anew.
        if (gpt && !gpt->from_copy_alone && !same_places(out, gpt->table)) out.others.push_back(std::move(gpt->table));
    } else if (first.has(512, "PM\0\0") || first.has(0, "ER")) {
        TRY_ASSIGN(const bool found, read_with_tsk_even_if_truncated(source, TSK_VS_TYPE_MAC, "mac", out));
        if (!found) out.findings.push_back(damaged_table("the Apple partition map cannot be read", {{"sector", 1}}));
    } else if (first.be16(508) == 0xDABE) {
        TRY_ASSIGN(const bool found, read_with_tsk_even_if_truncated(source, TSK_VS_TYPE_SUN, "sun", out));
        if (!found) out.findings.push_back(damaged_table("the Sun disk label cannot be read", {{"sector", 0}}));
    } else if (dos.read_bsd_label({0, source.size_bytes()})) {
        out.type = "bsd";
    } else if (may_be_mbr(first)) {
        dos.read(first);
        out.doubtful = out.unproven = true;
    }
    if (image.failure()) return *image.failure();
    return out;
}

}  // namespace ntt
