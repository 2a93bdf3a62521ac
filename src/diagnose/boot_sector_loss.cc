#include "diagnose/boot_sector_loss.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <nlohmann/json.hpp>

namespace ntt {
namespace {

using nlohmann::json;

constexpr size_t kSector = 512;
constexpr size_t kMaxReserved = 64;    // sectors before the first FAT: 1 on floppies, up to 32 or so on FAT32
constexpr size_t kMaxFatSectors = 256;  // of one FAT16; the copies of longer ones are not compared

// FAT[0] is the media byte and ones, FAT[1] ones (but for FAT32's and FAT16's two flags).
bool begins_a_fat(ByteView sector) {
    return (sector[0] == 0xF0 || sector[0] >= 0xF8) && sector[1] == 0xFF && sector[2] == 0xFF &&
           !std::all_of(sector.begin(), sector.end(), [&](uint8_t byte) { return byte == sector[0]; });
}

bool has_text(ByteView sector, size_t at, std::string_view text) {
    return std::memcmp(&sector[at], text.data(), text.size()) == 0 && sector[510] == 0x55 && sector[511] == 0xAA;
}

}  // namespace

Result<std::optional<BootSectorLoss>> lost_boot_sector(const ByteSource& source, ByteRange range) {
    range = intersect(range, {0, source.size_bytes()});
    const uint64_t sectors = range.length / kSector;
    if (sectors < 16) return std::optional<BootSectorLoss>();
    std::vector<uint8_t> head(std::min<uint64_t>(sectors, kMaxReserved + kMaxFatSectors) * kSector);
    TRY(source.read(range.offset, head));
    const size_t count = head.size() / kSector;
    const auto sector = [&](size_t number) { return ByteView(head).subspan(number * kSector, kSector); };

    const ByteView first = sector(0);
    const bool one_byte = std::all_of(first.begin(), first.end(), [&](uint8_t byte) { return byte == first[0]; });
    const std::string_view state = !one_byte ? "garbage" : first[0] == 0 ? "zeroed" : "filled";
    const auto found = [&](std::string_view filesystem, json evidence) {
        evidence["offset"] = range.offset;
        return std::optional(BootSectorLoss{state, filesystem, evidence.dump()});
    };
    if (has_text(sector(6), 82, "FAT32   ")) return found("fat32", {{"backup_sector", range.offset + 6 * kSector}});
    if (has_text(sector(12), 3, "EXFAT   ")) return found("exfat", {{"backup_sector", range.offset + 12 * kSector}});
    std::vector<uint8_t> last(kSector);
    const uint64_t last_at = range.offset + (sectors - 1) * kSector;
    TRY(source.read(last_at, last));
    if (has_text(last, 3, "NTFS    ")) return found("ntfs", {{"backup_sector", last_at}});
    // FAT32's is longer than what is looked at, but its first eight bytes are its own.
    constexpr std::string_view kFat32Begins("\xF8\xFF\xFF\x0F\xFF\xFF\xFF", 7);
    for (size_t fat = 1; fat < std::min(count, kMaxReserved); ++fat)
        if (as_text(sector(fat)).starts_with(kFat32Begins) && (sector(fat)[7] & 0x0F) == 0x0F) return found("fat32", {{"fat", range.offset + fat * kSector}});
    for (size_t fat = 1; fat < std::min(count, kMaxReserved); ++fat) {
        if (!begins_a_fat(sector(fat))) continue;
        for (size_t length = 1; length <= kMaxFatSectors && fat + length < count; ++length)
            if (std::memcmp(sector(fat).data(), sector(fat + length).data(), kSector) == 0)
                return found("fat", {{"fat", range.offset + fat * kSector}, {"second_fat", range.offset + (fat + length) * kSector}, {"media", head[fat * kSector]}});
    }
    return std::optional<BootSectorLoss>();
}

}  // namespace ntt
