#include <algorithm>
#include <cctype>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

constexpr uint64_t kBlock = 2048;
constexpr uint64_t kFirstDescriptor = 16 * kBlock;
constexpr uint64_t kMaxDescriptors = 16;  // before the terminator; discs have three or four
constexpr size_t kMaxLostDescriptors = 2;

// The label a disc shows. A Joliet label has 16 characters, the plain one 32: where the plain one only goes on with the
// same text (letters alike but for case, '_' for what it may not hold), both are put together.
// Source: util-linux libblkid/src/superblocks/iso9660.c (merge_utf16be_ascii); measured against blkid 2.38.1.
std::string merged_label(std::string_view joliet_be, std::string_view plain) {
    const std::string joliet = label_text(utf16_text(joliet_be, Utf16Order::big));
    if (joliet.empty()) return label_text(plain);
    const size_t shared = std::min<size_t>(joliet_be.size() / 2, plain.size());
    std::string out;
    for (size_t i = 0; i < shared; ++i) {
        const char high = joliet_be[2 * i], low = joliet_be[2 * i + 1];
        if (high != 0) return joliet;
        const auto upper = [](char c) { return std::toupper(static_cast<unsigned char>(c)); };
        if (upper(low) != upper(plain[i]) && plain[i] != '_') return joliet;
        out.push_back(low);
    }
    return label_text(out + std::string(plain.substr(shared)));
}

// "2022091706111500" + zone as blkid prints it: 2022-09-17-06-11-15-00; empty for a date that is not set.
std::string date_uuid(std::string_view date) {
    if (date.size() < 17) return {};
    const std::string_view digits = date.substr(0, 16);
    if (digits.find_first_not_of('0') == std::string_view::npos && date[16] == 0) return {};
    if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return {};
    std::string out(digits);
    for (const size_t dash : {14u, 12u, 10u, 8u, 6u, 4u}) out.insert(dash, 1, '-');
    return out;
}

bool is_joliet(const ProbeBytes& descriptor) {
    return descriptor.has(88, "%/@") || descriptor.has(88, "%/C") || descriptor.has(88, "%/E");
}

// Rock Ridge announces itself in the system use area of the root directory's first record.
// Source: IEEE P1281 (SUSP) 5.3, IEEE P1282 (RRIP) 4.3.
bool has_rock_ridge(const ProbeWindow& window, const ProbeBytes& primary) {
    const uint64_t root_at = uint64_t{primary.le32(156 + 2)} * kBlock;
    const ProbeBytes record = window.read(root_at, 256);
    const uint8_t length = record.u8(0);
    constexpr size_t kSystemUse = 34;  // the name of "." is one byte
    return length > kSystemUse && record.has(kSystemUse, "SP\x07");
}

}  // namespace

// Source: ECMA-119, sections 8.4 and 8.5; Joliet Specification (Microsoft, 1995).
Found iso9660(const ProbeWindow& window) { return iso9660(window, 0); }

Found iso9660(const ProbeWindow& window, uint64_t first_sector) {
    ProbeBytes primary, joliet;
    std::vector<uint64_t> lost;
    bool ended = false;
    for (uint64_t i = 0; i < kMaxDescriptors && lost.size() <= kMaxLostDescriptors && !ended; ++i) {
        const uint64_t at = first_sector * kBlock + kFirstDescriptor + i * kBlock;
        const ProbeBytes descriptor = window.read(at, kBlock);
        const uint8_t type = descriptor.u8(0);
        if (!descriptor.has(1, "CD001")) lost.push_back(at);
        else if (type == 255) ended = true;
        else if (type == 1 && primary.size() == 0) primary = descriptor;
        else if (type == 2 && joliet.size() == 0 && is_joliet(descriptor)) joliet = descriptor;
    }
    const bool has_primary = primary.size() != 0, has_joliet = joliet.size() != 0;
    if (!has_primary && !has_joliet) return {};
    Identity out;
    out.fs_type = "iso9660";
    if (ended && !lost.empty()) out.notes["descriptors_lost"] = lost;
    // The richest names first, as in Linux: Rock Ridge's are longer, raw, and only they know links and modes; in Joliet a
    // symbolic link is an empty file. The plain ones are always there, unless their descriptor is lost.
    std::vector<std::string> views;
    if (has_primary && has_rock_ridge(window, primary)) views.push_back("rockridge");
    if (has_joliet) views.push_back("joliet");
    if (has_primary) views.push_back("iso9660");
    out.view = views.front();
    out.further_views.assign(views.begin() + 1, views.end());
    const ProbeBytes& either = has_primary ? primary : joliet;
    const uint32_t block_size = either.le16(128);
    out.size_bytes = uint64_t{either.le32(80)} * (block_size == 0 ? kBlock : block_size);
    out.label = has_primary ? merged_label(joliet.text(40, 32), primary.text(40, 32)) : label_text(utf16_text(joliet.text(40, 32), Utf16Order::big));
    out.uuid = date_uuid(either.text(830, 17));
    if (out.uuid.empty()) out.uuid = date_uuid(either.text(813, 17));
    return out;
}

// Source: ECMA-119, 9.1: the first record of a folder is its own.
std::optional<uint64_t> iso9660_root(const ProbeWindow& disc, const ProbeBytes& descriptor) {
    constexpr uint64_t kRootRecord = 156, kFolder = 2;
    const uint32_t block = descriptor.le32(kRootRecord + 2), block_size = descriptor.le16(128);
    const uint64_t at = uint64_t{block} * block_size;
    const ProbeBytes itself = disc.read(at, 34);
    const bool sound = block != 0 && itself.u8(0) >= 34 && itself.le32(2) == block && itself.be32(6) == block && (itself.u8(25) & kFolder) != 0;
    return sound ? std::optional(at) : std::nullopt;
}

// Source: Linux fs/isofs/iso_fs or "High Sierra" working paper of 1986: the descriptor of ISO 9660, 8 bytes further on.
Found high_sierra(const ProbeWindow& window) {
    const ProbeBytes descriptor = window.read(kFirstDescriptor, kBlock);
    if (!descriptor.has(9, "CDROM") || descriptor.u8(8) != 1) return {};
    Identity out;
    out.view = out.fs_type = "highsierra";
    out.label = label_text(descriptor.text(48, 32));
    return out;
}

// Source: ECMA-167 part 2 (volume recognition sequence), part 3 sections 10.2 (anchor) and 10.6 (logical volume).
Found udf(const ProbeWindow& window) {
    bool nsr = false;
    for (uint64_t i = 0; i < kMaxDescriptors && !nsr; ++i) {
        const ProbeBytes structure = window.read(kFirstDescriptor + i * kBlock, 8);
        nsr = structure.has(1, "NSR02") || structure.has(1, "NSR03");
    }
    if (!nsr) return {};
    Identity out;
    out.view = out.fs_type = "udf";
    constexpr uint16_t kAnchor = 2, kLogicalVolume = 6, kTerminator = 8;
    for (const uint64_t block : {uint64_t{2048}, uint64_t{512}}) {
        const ProbeBytes anchor = window.read(256 * block, 512);
        if (anchor.le16(0) != kAnchor) continue;
        const uint64_t main_at = uint64_t{anchor.le32(20)} * block;
        for (uint64_t i = 0; i < 16; ++i) {
            const ProbeBytes descriptor = window.read(main_at + i * block, 512);
            if (descriptor.le16(0) == kTerminator) break;
            if (descriptor.le16(0) != kLogicalVolume) continue;
            const size_t used = std::min<size_t>(descriptor.u8(84 + 127), 127);
            if (used < 2) break;
            const std::string_view name = descriptor.text(85, used - 1);
            out.label = descriptor.u8(84) == 16 ? utf16_text(name, Utf16Order::big) : label_text(name);
            break;
        }
        break;
    }
    return out;
}

}  // namespace ntt::probes
