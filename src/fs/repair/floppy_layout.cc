#include "fs/repair/floppy_layout.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace ntt {
namespace {

using nlohmann::json;

constexpr size_t kSlotBytes = 32, kSlotsPerSector = kFloppySector / kSlotBytes;
constexpr uint32_t kMaxReserved = 8, kMaxFatSectors = 12;  // 12 hold the entries of 4084 clusters
constexpr uint32_t kMaxRootSectors = 64;
constexpr std::array<uint32_t, 7> kClusterSectors = {1, 2, 4, 8, 16, 32, 64};
constexpr uint32_t kFirstCluster = 2, kFree = 0, kBadCluster = 0xFF7, kFirstEnd = 0xFF8;
constexpr int kMinFilesOfStandard = 3;
constexpr size_t kMaxPlacements = 16, kMaxEntriesWeighed = 2048;

struct StandardFormat {
    uint32_t kib;
    uint8_t media;
    uint32_t fat_sectors, root_sectors, cluster_sectors, sectors_per_track, heads;
};
constexpr std::array kStandardFormats = {
    StandardFormat{160, 0xFE, 1, 4, 1, 8, 1},   StandardFormat{180, 0xFC, 2, 4, 1, 9, 1},   StandardFormat{320, 0xFF, 1, 7, 2, 8, 2},
    StandardFormat{360, 0xFD, 2, 7, 2, 9, 2},   StandardFormat{720, 0xF9, 3, 7, 2, 9, 2},   StandardFormat{1200, 0xF9, 7, 14, 1, 15, 2},
    StandardFormat{1440, 0xF0, 9, 14, 1, 18, 2}, StandardFormat{2880, 0xF0, 9, 15, 2, 36, 2},
};

const StandardFormat* standard_of(const FloppyLayout& layout) {
    const auto found = std::find_if(kStandardFormats.begin(), kStandardFormats.end(), [&](const StandardFormat& f) {
        return layout.fat_at == 1 && f.media == layout.media && f.fat_sectors == layout.fat_sectors && f.root_sectors == layout.root_sectors &&
               f.cluster_sectors == layout.cluster_sectors;
    });
    return found == kStandardFormats.end() ? nullptr : &*found;
}

uint16_t le16(ByteView bytes, size_t at) { return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8); }
uint32_t le32(ByteView bytes, size_t at) { return le16(bytes, at) | uint32_t{le16(bytes, at + 2)} << 16; }

// The byte that fills `bytes`; nullopt if there is another.
std::optional<uint8_t> fill_of(ByteView bytes) {
    if (bytes.empty() || !std::all_of(bytes.begin(), bytes.end(), [&](uint8_t b) { return b == bytes.front(); })) return std::nullopt;
    return bytes.front();
}

// The sectors of the floppy, and what is known of each.
class Sectors {
public:
    explicit Sectors(const Region& region)
        : bytes_(region.read(0, kMaxFloppyBytes)), count_(static_cast<uint32_t>(bytes_.size() / kFloppySector)) {
        for (uint32_t n = 0; n < count_; ++n) {
            read_.push_back(region.was_read(n * kFloppySector, kFloppySector));
            fills_.push_back(fill_of(at(n)));
        }
    }
    uint32_t count() const { return count_; }
    bool was_read(uint32_t n) const { return n < count_ && read_[n]; }
    bool is_fill(uint32_t n) const { return fills_[n].has_value(); }
    std::optional<uint8_t> fill(uint32_t n) const { return fills_[n]; }
    ByteView at(uint32_t n) const { return as_bytes(bytes_.text(n * kFloppySector, kFloppySector)); }

private:
    ProbeBytes bytes_;
    uint32_t count_ = 0;
    std::vector<bool> read_;
    std::vector<std::optional<uint8_t>> fills_;
};

// --- the FAT ---

// Where the first copy is and how long; the second follows it.
struct FatPlacement {
    uint32_t at = 1, sectors = 0;
    uint8_t media = 0xF0;
    bool operator<(const FatPlacement& o) const { return std::tie(at, sectors, media) < std::tie(o.at, o.sectors, o.media); }
};

// The media byte, if a FAT12 begins here.
std::optional<uint8_t> fat_begins(const Sectors& disk, uint32_t n) {
    if (!disk.was_read(n)) return std::nullopt;
    const ByteView sector = disk.at(n);
    const bool media = sector[0] == 0xF0 || sector[0] >= 0xF8;
    return media && sector[1] == 0xFF && sector[2] == 0xFF ? std::optional(sector[0]) : std::nullopt;
}

// A sector that was not read, or holds what is written where nothing was read.
bool is_lost(const Sectors& disk, uint32_t n) { return !disk.was_read(n) || disk.is_fill(n); }

// Whether the two copies say the same wherever both say something: of ten sectors one may differ.
bool copies_agree(const Sectors& disk, const FatPlacement& fat) {
    uint32_t same = 0, different = 0;
    for (uint32_t n = fat.at; n < fat.at + fat.sectors; ++n) {
        if (is_lost(disk, n) || is_lost(disk, n + fat.sectors)) continue;
        const ByteView a = disk.at(n), b = disk.at(n + fat.sectors);
        ++(std::equal(a.begin(), a.end(), b.begin()) ? same : different);
    }
    return different <= same / 9 + (same + different >= 2 ? 1u : 0u);
}

std::vector<FatPlacement> possible_fats(const Sectors& disk) {
    std::set<FatPlacement> found;
    for (uint32_t second = 2; second <= kMaxReserved + kMaxFatSectors && second < disk.count(); ++second) {
        const auto media = fat_begins(disk, second);
        if (!media) continue;
        for (uint32_t first = 1; first < second && first <= kMaxReserved; ++first)
            if (second - first <= kMaxFatSectors && fat_begins(disk, first) == media) found.insert({first, second - first, *media});
        if (is_lost(disk, 1) && second - 1 <= kMaxFatSectors) found.insert({1, second - 1, *media});
    }
    if (const auto media = fat_begins(disk, 1))
        for (const StandardFormat& format : kStandardFormats)
            if (format.media == *media && is_lost(disk, 1 + format.fat_sectors)) found.insert({1, format.fat_sectors, *media});
    std::vector<FatPlacement> out;
    for (const FatPlacement& fat : found)
        if (out.size() < kMaxPlacements && fat.at + 2 * fat.sectors < disk.count() && copies_agree(disk, fat)) out.push_back(fat);
    return out;
}

// The entries, each from the copy that was read.
class Table {
public:
    Table(const Sectors& disk, const FatPlacement& fat) {
        for (uint32_t n = fat.at; n < fat.at + fat.sectors; ++n) {
            const ByteView sector = disk.at(is_lost(disk, n) ? n + fat.sectors : n);
            bytes_.insert(bytes_.end(), sector.begin(), sector.end());
        }
        entries_ = static_cast<uint32_t>(bytes_.size() * 2 / 3);
        for (uint32_t cluster = 0; cluster < entries_; ++cluster) {
            chains_.push_back(cluster < kFirstCluster ? Chain{} : follow(cluster));
            if (cluster >= kFirstCluster && is_used(cluster)) highest_used_ = cluster;
        }
    }
    bool has(uint32_t cluster) const { return cluster >= kFirstCluster && cluster < entries_; }
    bool is_used(uint32_t cluster) const { return entry(cluster) != kFree && entry(cluster) != kBadCluster; }
    uint32_t highest_used() const { return highest_used_; }  // 0: none

    // How many clusters follow from one on, that one counted, and the last of them; none when they do not come to an end mark.
    struct Chain {
        uint32_t clusters = 0, last = 0;
    };
    Chain chain(uint32_t first) const { return has(first) ? chains_[first] : Chain{}; }
    uint32_t entry(uint32_t cluster) const {
        const size_t at = size_t{cluster} * 3 / 2;
        if (at + 1 >= bytes_.size()) return kFree;
        const uint32_t pair = le16(bytes_, at);
        return cluster % 2 == 0 ? pair & 0xFFF : pair >> 4;
    }

private:
    Chain follow(uint32_t cluster) const {
        for (Chain out; has(cluster) && out.clusters < entries_;) {
            ++out.clusters;
            out.last = cluster;
            cluster = entry(cluster);
            if (cluster >= kFirstEnd) return out;
        }
        return {};
    }
    std::vector<uint8_t> bytes_;
    std::vector<Chain> chains_;
    uint32_t entries_ = 0, highest_used_ = 0;
};

// --- the root directory ---

struct Entry {
    std::string extension;  // upper case, as it stands
    bool is_directory = false;
    uint32_t size = 0;
    uint32_t first = 0;  // cluster
    Table::Chain chain;
};

constexpr size_t kAttributesAt = 11, kClusterAt = 26, kSizeAt = 28;
constexpr uint8_t kEnd = 0, kDeleted = 0xE5, kLongName = 0x0F, kLabel = 0x08, kDirectory = 0x10, kNoAttributes = 0xC0;

// Whether a slot could be one of a directory: an entry, a deleted one, a part of a long name, or one that was never used.
bool is_slot(ByteView slot, const Table& table) {
    const uint8_t attributes = slot[kAttributesAt];
    if (fill_of(slot.subspan(1)) && (slot[0] == kEnd || slot[0] == kDeleted)) return true;
    if ((attributes & kNoAttributes) != 0) return false;
    const uint32_t cluster = le16(slot, kClusterAt);
    if (attributes == kLongName) return cluster == 0 && slot[12] == 0;
    if (slot[0] != kEnd && slot[0] != 0x05 && slot[0] <= 0x20) return false;
    if (!std::all_of(slot.begin() + 1, slot.begin() + 11, [](uint8_t c) { return c >= 0x20; })) return false;
    return cluster == 0 || table.has(cluster);
}

bool is_directory_sector(ByteView sector, const Table& table) {
    for (size_t at = 0; at < kFloppySector; at += kSlotBytes)
        if (!is_slot(sector.subspan(at, kSlotBytes), table)) return false;
    return true;
}

// Takes the entries of one sector; whether the directory's end mark is in it.
bool take_entries(ByteView sector, const Table& table, std::vector<Entry>& out) {
    for (size_t at = 0; at < kFloppySector; at += kSlotBytes) {
        const ByteView slot = sector.subspan(at, kSlotBytes);
        if (slot[0] == kEnd) return true;
        if (slot[0] == kDeleted || slot[0] == '.' || slot[kAttributesAt] == kLongName || (slot[kAttributesAt] & kLabel) != 0) continue;
        Entry entry;
        entry.extension = as_text(slot.subspan(8, 3));
        entry.is_directory = (slot[kAttributesAt] & kDirectory) != 0;
        entry.size = le32(slot, kSizeAt);
        entry.first = le16(slot, kClusterAt);
        entry.chain = table.chain(entry.first);
        out.push_back(std::move(entry));
    }
    return false;
}

struct Root {
    std::vector<Entry> entries;
    uint32_t min_sectors = 1, max_sectors = 0;
};

// All slots up to max_sectors could be a directory's; the entries are those before the end mark.
Root read_root(const Sectors& disk, uint32_t at, const Table& table) {
    Root root;
    bool ended = false;
    for (uint32_t n = at; n < at + kMaxRootSectors && n < disk.count(); ++n) {
        if (disk.was_read(n) && !is_directory_sector(disk.at(n), table)) break;
        root.max_sectors = n - at + 1;
        const size_t before = root.entries.size();
        if (!ended) ended = take_entries(disk.at(n), table, root.entries);
        if (root.entries.size() > before) root.min_sectors = n - at + 1;
    }
    return root;
}

// --- what speaks for a layout ---

struct Evidence {
    uint32_t fits = 0, misfits = 0;  // chains as long as the files' sizes say, and others
    uint32_t subdirectories = 0, subdirectories_wrong = 0;
    bool edges = false;
    bool standard = false;
    uint32_t signatures = 0, signatures_testable = 0;
    uint32_t ends = 0, ends_testable = 0;

    bool proves() const {
        if (subdirectories_wrong > 0) return false;
        return subdirectories > 0 || edges || (standard && misfits == 0) || (signatures >= 2 && signatures * 2 > signatures_testable) || (ends >= 3 && ends * 4 >= ends_testable * 3);
    }
    // Whether something speaks for the other that does not speak for this.
    bool lacks_of(const Evidence& other) const {
        return other.subdirectories > subdirectories || (other.edges && !edges) || (other.standard && !standard) || other.signatures > signatures || other.ends > ends;
    }
    json as_json() const {
        return {{"chains_that_fit", fits}, {"chains_that_do_not", misfits}, {"subdirectories", subdirectories},
                {"edges", edges},          {"signatures", signatures},      {"ends", ends}};
    }
};

struct Signature {
    std::string_view extension, bytes;
};
constexpr std::string_view kOle("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8);
constexpr std::array kSignatures = {
    Signature{"DOC", kOle},        Signature{"XLS", kOle},        Signature{"PPT", kOle},      Signature{"ZIP", {"PK\3\4", 4}},
    Signature{"GIF", "GIF8"},      Signature{"PDF", "%PDF"},      Signature{"RTF", "{\\rtf"},  Signature{"PNG", "\x89PNG"},
    Signature{"WAV", "RIFF"},      Signature{"AVI", "RIFF"},      Signature{"MID", "MThd"},    Signature{"CAB", "MSCF"},
    Signature{"TIF", {"II*\0", 4}}, Signature{"JPG", "\xFF\xD8\xFF\xE0"}, Signature{"WPD", "\xFFWPC"}, Signature{"WP", "\xFFWPC"},
    Signature{"HLP", {"?_\3\0", 4}}, Signature{"PS", "%!PS"},     Signature{"EPS", "%!PS"},    Signature{"HQX", "(This file"},
    Signature{"SIT", "SIT!"},      Signature{"RAR", "Rar!"},      Signature{"DWG", "AC10"},
};

// The assumption at hand over the disk.
class Trial {
public:
    Trial(const Sectors& disk, const Table& table, const Root& root, const FloppyLayout& layout) : disk_(disk), table_(table), root_(root), layout_(layout) {}

    Evidence weigh() const {
        Evidence out;
        std::vector<Entry> entries = root_.entries;
        const size_t in_root = entries.size();
        for (size_t i = 0; i < entries.size() && i < kMaxEntriesWeighed; ++i) {
            const Entry entry = entries[i];  // a copy: entries grows
            if (!entry.is_directory && entry.size != 0) weigh_file(entry, out);
            // A folder within a folder is one more proof; that it is none proves nothing: what stands there may be of no folder.
            if (entry.is_directory && entry.chain.clusters != 0) weigh_directory(entry, i < in_root, out, entries);
        }
        const bool sharp = begins_sharply();
        out.edges = sharp && ends_sharply(entries);
        out.standard = sharp && is_standard(entries);
        return out;
    }

private:
    uint32_t place(uint32_t cluster) const { return layout_.data_at() + (cluster - kFirstCluster) * layout_.cluster_sectors; }
    uint64_t cluster_bytes() const { return layout_.cluster_sectors * kFloppySector; }
    uint64_t clusters_for(uint32_t size) const { return (size + cluster_bytes() - 1) / cluster_bytes(); }
    bool fits(const Entry& entry) const { return entry.chain.clusters != 0 && entry.chain.clusters == clusters_for(entry.size); }
    // The sector that holds the last byte of a file whose chain fits.
    uint32_t last_sector(const Entry& entry) const {
        const uint64_t in_last = entry.size - (entry.chain.clusters - 1) * cluster_bytes();
        return place(entry.chain.last) + static_cast<uint32_t>((in_last - 1) / kFloppySector);
    }

    // Adds the entries of a directory that is one.
    void weigh_directory(const Entry& entry, bool in_root, Evidence& out, std::vector<Entry>& entries) const {
        const uint32_t first = entry.first, n = place(first);
        if (!disk_.was_read(n)) return;
        const std::string_view text = as_text(disk_.at(n));
        const bool own = text.substr(0, 11) == ".          " && (disk_.at(n)[kAttributesAt] & kDirectory) != 0 && le16(disk_.at(n), kClusterAt) == first;
        const bool parent = text.substr(kSlotBytes, 11) == "..         " && (!in_root || le16(disk_.at(n), kSlotBytes + kClusterAt) == 0);
        if (!own || !parent) {
            if (in_root) ++out.subdirectories_wrong;
            return;
        }
        ++out.subdirectories;
        uint32_t cluster = first;
        for (uint32_t n_clusters = 0; n_clusters < entry.chain.clusters; ++n_clusters, cluster = table_.entry(cluster))
            for (uint32_t i = 0; i < layout_.cluster_sectors; ++i)
                if (!disk_.was_read(place(cluster) + i) || entries.size() > kMaxEntriesWeighed || take_entries(disk_.at(place(cluster) + i), table_, entries))
                    return;
    }

    void weigh_file(const Entry& entry, Evidence& out) const {
        if (!fits(entry)) {
            ++out.misfits;
            return;
        }
        ++out.fits;
        const uint32_t first = place(entry.first);
        for (const Signature& known : kSignatures) {
            if (!disk_.was_read(first) || entry.extension.substr(0, entry.extension.find(' ')) != known.extension) continue;
            ++out.signatures_testable;
            if (as_text(disk_.at(first)).substr(0, known.bytes.size()) == known.bytes) ++out.signatures;
        }

        constexpr size_t kMinFill = 16;
        const uint32_t last = last_sector(entry);
        const size_t used = (entry.size - 1) % kFloppySector + 1;
        if (kFloppySector - used < kMinFill || !disk_.was_read(last)) return;
        ++out.ends_testable;
        const auto fill = fill_of(disk_.at(last).subspan(used));
        if (fill && disk_.at(last)[used - 1] != *fill) ++out.ends;
    }

    // Cluster 2 is in use, and neither fill nor more of the root directory.
    bool begins_sharply() const {
        const uint32_t n = layout_.data_at();
        return table_.has(kFirstCluster) && table_.is_used(kFirstCluster) && disk_.was_read(n) && !disk_.is_fill(n) && !is_directory_sector(disk_.at(n), table_);
    }

    // All that can be seen is as one standard format has it: the size of the disk, the media byte, the table's length, a root
    // directory that was cleared to its end, and clusters of its size, of which a file has several; and no file begins with fill.
    bool is_standard(const std::vector<Entry>& entries) const {
        const StandardFormat* format = standard_of(layout_);
        const uint32_t last_of_root = layout_.data_at() - 1;
        if (format == nullptr || disk_.count() != format->kib * 2 || !disk_.was_read(last_of_root) || disk_.fill(last_of_root) != 0) return false;
        int files = 0;
        bool several_clusters = false;
        for (const Entry& entry : entries) {
            if (entry.is_directory || entry.size == 0 || !fits(entry)) continue;
            const uint32_t first = place(entry.first);
            if (!disk_.was_read(first) || disk_.is_fill(first)) return false;
            ++files;
            several_clusters = several_clusters || entry.chain.clusters > 1;
        }
        return files >= kMinFilesOfStandard && several_clusters;
    }

    // The highest cluster in use ends a file, and behind that file's last sector all is one fill, to the end of the image.
    bool ends_sharply(const std::vector<Entry>& entries) const {
        const auto last_file = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
            return !entry.is_directory && entry.size != 0 && fits(entry) && entry.chain.last == table_.highest_used();
        });
        if (last_file == entries.end()) return false;
        const uint32_t last = last_sector(*last_file);
        if (!disk_.was_read(last) || disk_.is_fill(last) || last + 1 >= disk_.count()) return false;
        const auto fill = disk_.fill(last + 1);
        for (uint32_t n = last + 1; n < disk_.count(); ++n)
            if (!disk_.was_read(n) || !fill || disk_.fill(n) != fill) return false;
        return true;
    }

    const Sectors& disk_;
    const Table& table_;
    const Root& root_;
    const FloppyLayout& layout_;
};

struct Candidate {
    FloppyLayout layout;
    Evidence evidence;
    uint32_t highest_used = 0;
};

// Whether every cluster in use has the same place under both.
bool same_places(const Candidate& a, const Candidate& b) {
    if (a.layout.root_at() != b.layout.root_at() || a.layout.data_at() != b.layout.data_at()) return false;
    return a.layout.cluster_sectors == b.layout.cluster_sectors || a.highest_used <= kFirstCluster;
}

uint32_t total_sectors_of(const FloppyLayout& layout, const Sectors& disk, uint32_t highest_used) {
    if (const StandardFormat* standard = standard_of(layout)) return standard->kib * 2;
    const uint32_t in_use = highest_used == 0 ? 0 : layout.data_at() + (highest_used - kFirstCluster + 1) * layout.cluster_sectors;
    return std::max({disk.count(), in_use, layout.data_at() + layout.cluster_sectors});
}

}  // namespace

FloppyFinding find_floppy_layout(const Region& region) {
    FloppyFinding out;
    out.evidence = {{"layouts_proven", 0}};
    if (region.visible_bytes() > kMaxFloppyBytes) return out;
    const Sectors disk(region);

    std::vector<Candidate> candidates;
    uint32_t most_fits = 0;
    for (const FatPlacement& fat : possible_fats(disk)) {
        const Table table(disk, fat);
        FloppyLayout layout{fat.at, fat.sectors, 0, 1, 0, fat.media, ""};
        const Root root = read_root(disk, layout.root_at(), table);
        out.entries = std::max<uint64_t>(out.entries, root.entries.size());
        for (layout.root_sectors = root.min_sectors; layout.root_sectors <= root.max_sectors; ++layout.root_sectors) {
            for (layout.cluster_sectors = 1; layout.cluster_sectors <= kClusterSectors.back(); layout.cluster_sectors *= 2) {
                const Evidence evidence = Trial(disk, table, root, layout).weigh();
                if (evidence.misfits > evidence.fits) continue;
                most_fits = std::max(most_fits, evidence.fits);
                candidates.push_back({layout, evidence, table.highest_used()});
                candidates.back().layout.total_sectors = total_sectors_of(layout, disk, table.highest_used());
            }
        }
    }
    std::erase_if(candidates, [&](const Candidate& c) { return c.evidence.fits < most_fits; });

    const Candidate* best = nullptr;
    uint64_t proven = 0;
    for (const Candidate& candidate : candidates) {
        if (!candidate.evidence.proves()) continue;
        ++proven;
        const bool first_choice = best == nullptr || best->evidence.lacks_of(candidate.evidence) ||
                                  (same_places(*best, candidate) && standard_of(candidate.layout) != nullptr);
        if (first_choice) best = &candidate;
    }
    out.evidence["layouts_proven"] = proven;
    if (best == nullptr) return out;
    out.evidence = best->evidence.as_json();
    for (const Candidate& rival : candidates) {
        if (!rival.evidence.proves() || same_places(*best, rival)) continue;
        if (!best->evidence.lacks_of(rival.evidence) && rival.evidence.lacks_of(best->evidence)) continue;
        out.evidence["rival"] = {{"root_sectors", rival.layout.root_sectors}, {"cluster_sectors", rival.layout.cluster_sectors}, {"evidence", rival.evidence.as_json()}};
        return out;
    }
    out.proven = best->layout;
    if (const StandardFormat* standard = standard_of(best->layout)) out.proven->format = fmt::format("{} KiB", standard->kib);
    return out;
}

std::vector<uint8_t> boot_sector_of(const FloppyLayout& layout) {
    std::vector<uint8_t> out(kFloppySector, 0);
    const auto put16 = [&](size_t at, uint32_t value) {
        out[at] = static_cast<uint8_t>(value);
        out[at + 1] = static_cast<uint8_t>(value >> 8);
    };
    const StandardFormat* standard = standard_of(layout);
    constexpr std::array<uint8_t, 11> kStart = {0xEB, 0x3C, 0x90, 'R', 'E', 'B', 'U', 'I', 'L', 'T', ' '};
    std::copy(kStart.begin(), kStart.end(), out.begin());
    put16(11, kFloppySector);
    out[13] = static_cast<uint8_t>(layout.cluster_sectors);
    put16(14, layout.fat_at);
    out[16] = 2;
    put16(17, layout.root_sectors * kSlotsPerSector);
    put16(19, layout.total_sectors);
    out[21] = layout.media;
    put16(22, layout.fat_sectors);
    put16(24, standard != nullptr ? standard->sectors_per_track : 18);
    put16(26, standard != nullptr ? standard->heads : 2);
    put16(510, 0xAA55);
    return out;
}

}  // namespace ntt
