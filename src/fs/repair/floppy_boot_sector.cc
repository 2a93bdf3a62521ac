#include "fs/repair/floppy_boot_sector.h"

#include <algorithm>
#include <array>

#include "volume/probe_window.h"

namespace ntt {
namespace {

constexpr uint64_t kSector = 512;
constexpr size_t kEntryBytes = 32;

struct Format {
    uint32_t size_kib;
    uint8_t sectors_per_cluster;
    uint16_t root_entries;
    uint8_t media;
    uint8_t fat_sectors, sectors_per_track, heads;
};
constexpr std::array kFormats = {
    Format{160, 1, 64, 0xFE, 1, 8, 1},   Format{180, 1, 64, 0xFC, 2, 9, 1},    Format{320, 2, 112, 0xFF, 1, 8, 2},
    Format{360, 2, 112, 0xFD, 2, 9, 2},  Format{720, 2, 112, 0xF9, 3, 9, 2},   Format{1200, 1, 224, 0xF9, 7, 15, 2},
    Format{1440, 1, 224, 0xF0, 9, 18, 2}, Format{2880, 2, 240, 0xF0, 9, 36, 2},
};

bool begins_fat(const ProbeWindow& window, uint64_t at, uint8_t media) {
    const ProbeBytes bytes = window.read(at, 3);
    return bytes.u8(0) == media && bytes.u8(1) == 0xFF && bytes.u8(2) == 0xFF;
}

bool is_zero(const ProbeWindow& window, uint64_t at) {
    const ProbeBytes bytes = window.read(at, kSector);
    const std::string_view text = bytes.text(0, kSector);
    return std::all_of(text.begin(), text.end(), [](char c) { return c == 0; });
}

// Directory entries up to the end mark or the sector's end, at least one of them, each as DOS writes it.
bool holds_entries(const ProbeBytes& sector) {
    constexpr uint8_t kDeleted = 0xE5, kKanji = 0x05, kUnusedAttributes = 0xC0;
    constexpr uint64_t kAttributes = 11, kLongName = 0x0F;
    size_t seen = 0;
    for (size_t at = 0; at + kEntryBytes <= kSector && sector.u8(at) != 0; at += kEntryBytes, ++seen) {
        const uint8_t attributes = sector.u8(at + kAttributes);
        if ((attributes & kUnusedAttributes) != 0) return false;
        if (attributes == kLongName) continue;
        for (size_t i = 0; i < 11; ++i) {
            const uint8_t c = sector.u8(at + i);
            if (c < 0x20 && !(i == 0 && c == kKanji)) return false;
            if (c == kDeleted && i == 0) continue;
        }
    }
    return seen > 0;
}

bool fits(const ProbeWindow& window, const Format& format) {
    const uint64_t first = kSector, second = first + format.fat_sectors * kSector, root = second + format.fat_sectors * kSector;
    if (window.visible_bytes() > uint64_t{format.size_kib} << 10) return false;
    const bool one = begins_fat(window, first, format.media), two = begins_fat(window, second, format.media);
    if (!one && !two) return false;
    if ((!one && !is_zero(window, first)) || (!two && !is_zero(window, second))) return false;
    return holds_entries(window.read(root, kSector));
}

std::vector<uint8_t> boot_sector(const Format& format) {
    std::vector<uint8_t> out(kSector, 0);
    const auto put16 = [&](size_t at, uint32_t value) {
        out[at] = static_cast<uint8_t>(value);
        out[at + 1] = static_cast<uint8_t>(value >> 8);
    };
    constexpr std::array<uint8_t, 11> kStart = {0xEB, 0x3C, 0x90, 'R', 'E', 'B', 'U', 'I', 'L', 'T', ' '};
    std::copy(kStart.begin(), kStart.end(), out.begin());
    put16(11, kSector);
    out[13] = format.sectors_per_cluster;
    put16(14, 1);  // reserved: this sector
    out[16] = 2;   // FATs
    put16(17, format.root_entries);
    put16(19, format.size_kib * 2);
    out[21] = format.media;
    put16(22, format.fat_sectors);
    put16(24, format.sectors_per_track);
    put16(26, format.heads);
    put16(510, 0xAA55);
    return out;
}

}  // namespace

Result<std::optional<FloppyBootSector>> rebuild_floppy_boot_sector(const ByteSource& source, uint64_t medium_bytes) {
    const ProbeWindow window(source, {0, source.size_bytes()});
    std::vector<const Format*> fitting;
    for (const Format& format : kFormats)
        if (fits(window, format)) fitting.push_back(&format);
    if (window.failure()) return *window.failure();
    if (fitting.size() > 1)
        std::erase_if(fitting, [&](const Format* format) { return uint64_t{format->size_kib} << 10 != medium_bytes; });
    if (fitting.size() != 1) return std::optional<FloppyBootSector>();
    return std::optional(FloppyBootSector{fitting.front()->size_kib, boot_sector(*fitting.front())});
}

}  // namespace ntt
