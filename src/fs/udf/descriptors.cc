#include "fs/udf/descriptors.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "fs/fat/names.h"

namespace ntt {

namespace {

constexpr std::array<uint16_t, 256> make_crc_table() {
    std::array<uint16_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i << 8;
        for (int bit = 0; bit < 8; ++bit) value = (value & 0x8000) != 0 ? value << 1 ^ 0x1021 : value << 1;
        table[i] = static_cast<uint16_t>(value);
    }
    return table;
}
constexpr std::array<uint16_t, 256> kCrcTable = make_crc_table();

// x^16 + x^12 + x^5 + 1, from 0. 3/7.2.6.
uint16_t crc_of(std::string_view bytes) {
    uint32_t crc = 0;
    for (const char c : bytes) crc = (crc << 8 ^ kCrcTable[(crc >> 8 ^ static_cast<uint8_t>(c)) & 0xFF]) & 0xFFFF;
    return static_cast<uint16_t>(crc);
}

UdfAddress address_at(const ProbeBytes& bytes, uint64_t at) { return {bytes.le32(at), bytes.le16(at + 4)}; }

constexpr uint32_t kLengthMask = 0x3FFFFFFF;

UdfExtent long_descriptor(const ProbeBytes& bytes, uint64_t at) {
    const uint32_t length = bytes.le32(at);
    return {address_at(bytes, at + 4), length & kLengthMask, static_cast<UdfExtentType>(length >> 30)};
}

struct Time {
    std::optional<int64_t> seconds;
    int nanoseconds = 0;
};

// 1/7.3. A zone of -2047 is not known: taken as UTC.
Time time_at(const ProbeBytes& bytes, uint64_t at) {
    std::tm t{};
    t.tm_year = static_cast<int16_t>(bytes.le16(at + 2)) - 1900;
    t.tm_mon = bytes.u8(at + 4) - 1;
    t.tm_mday = bytes.u8(at + 5);
    t.tm_hour = bytes.u8(at + 6);
    t.tm_min = bytes.u8(at + 7);
    t.tm_sec = bytes.u8(at + 8);
    if (t.tm_year < -1900 || t.tm_year > 8100 || t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 ||
        t.tm_min > 59 || t.tm_sec > 60)
        return {};
    const int raw_zone = bytes.le16(at) & 0xFFF, zone = raw_zone >= 0x800 ? raw_zone - 0x1000 : raw_zone;
    const bool known = zone >= -1440 && zone <= 1440;
    const int hundredths = bytes.u8(at + 9), hundreds_of_us = bytes.u8(at + 10), us = bytes.u8(at + 11);
    const bool fraction = hundredths < 100 && hundreds_of_us < 100 && us < 100;
    return {int64_t{timegm(&t)} - (known ? int64_t{zone} * 60 : 0),
            fraction ? (hundredths * 10'000 + hundreds_of_us * 100 + us) * 1000 : 0};
}

// 4/14.9.5: five bits each for others, group and owner; of them execute, write and read come first.
int permissions_of(uint32_t bits, uint16_t flags) {
    constexpr uint16_t kSetUid = 0x40, kSetGid = 0x80, kSticky = 0x100;
    const auto triple = [&](int shift) { return static_cast<int>(bits >> shift & 7); };
    return triple(10) << 6 | triple(5) << 3 | triple(0) | (flags & kSetUid ? 04000 : 0) | (flags & kSetGid ? 02000 : 0) |
           (flags & kSticky ? 01000 : 0);
}

constexpr uint64_t kNameHeader = 38;

}  // namespace

bool has_udf_tag(const ProbeBytes& bytes, uint64_t at, UdfTagId id) {
    if (bytes.le16(at) != static_cast<uint16_t>(id) || at + kUdfTagBytes > bytes.size()) return false;
    uint8_t sum = 0;
    for (uint64_t i = 0; i < kUdfTagBytes; ++i)
        if (i != 4) sum = static_cast<uint8_t>(sum + bytes.u8(at + i));
    return sum == bytes.u8(at + 4);
}

bool is_sound_udf(const ProbeBytes& bytes, uint64_t at, UdfTagId id, uint64_t body_end) {
    if (!has_udf_tag(bytes, at, id)) return false;
    const uint16_t length = bytes.le16(at + 10);
    const std::string_view body = bytes.text(at + kUdfTagBytes, length);
    return body.size() == length && kUdfTagBytes + length >= body_end && crc_of(body) == bytes.le16(at + 8);
}

std::vector<UdfExtent> read_udf_extents(std::string_view text, UdfAllocation form, uint16_t home) {
    const ProbeBytes bytes{std::string(text)};
    std::vector<UdfExtent> out;
    const uint64_t size = form == UdfAllocation::short_form ? 8 : form == UdfAllocation::long_form ? 16 : 20;
    if (form == UdfAllocation::embedded) return out;
    for (uint64_t at = 0; at + size <= bytes.size(); at += size) {
        UdfExtent extent = long_descriptor(bytes, at);
        if (form == UdfAllocation::short_form) extent.start.partition = home;
        if (form == UdfAllocation::extended_form) extent.start = address_at(bytes, at + 12);
        if (extent.length == 0) break;
        out.push_back(extent);
    }
    return out;
}

UdfKind udf_kind(uint8_t type) {
    switch (type) {
        case kUdfFolder:
        case 13: return {0040000, 'd'};  // 13: of streams
        case 0:
        case 5:
        case 249: return {0100000, 'f'};  // 249: a file to be read in real time
        case 6: return {0060000, 'b'};
        case 7: return {0020000, 'c'};
        case 9: return {0010000, 'p'};
        case 10: return {0140000, 's'};
        case 12: return {0120000, 'l'};
        default: return {};
    }
}

std::optional<UdfFile> read_udf_file(const ProbeBytes& block, UdfAddress address) {
    const bool extended = block.le16(0) == static_cast<uint16_t>(UdfTagId::extended_file_entry);
    const uint64_t lengths = extended ? 208 : 168, body = lengths + 8;
    const uint64_t attributes = block.le32(lengths), descriptors = block.le32(lengths + 4), end = body + attributes + descriptors;
    if (end > block.size() || block.le32(12) != address.block) return {};
    if (!is_sound_udf(block, 0, extended ? UdfTagId::extended_file_entry : UdfTagId::file_entry, end)) return {};

    UdfFile out;
    const uint16_t flags = block.le16(34);
    constexpr uint32_t kNoOwner = 0xFFFFFFFF;
    out.type = block.u8(27);
    if (block.le32(36) != kNoOwner) out.uid = block.le32(36);
    if (block.le32(40) != kNoOwner) out.gid = block.le32(40);
    out.permissions = permissions_of(block.le32(44), flags);
    out.nlink = block.le16(48);
    out.size = block.le64(56);
    const uint64_t times = extended ? 80 : 72;
    out.atime = time_at(block, times).seconds;
    const Time modified = time_at(block, times + 12);
    out.mtime = modified.seconds;
    out.mtime_ns = modified.nanoseconds;
    if (extended) out.crtime = time_at(block, 104).seconds;
    out.ctime = time_at(block, extended ? 116 : 96).seconds;
    if (extended) out.streams = long_descriptor(block, 152);
    out.form = static_cast<UdfAllocation>(flags & 3);
    if (out.form == UdfAllocation::embedded)
        out.embedded = {body + attributes, descriptors};
    else
        out.extents = read_udf_extents(block.text(body + attributes, descriptors), out.form, address.partition);
    return out;
}

std::optional<UdfName> read_udf_name(const ProbeBytes& folder, uint64_t at) {
    if (!has_udf_tag(folder, at, UdfTagId::file_identifier)) return {};
    const uint64_t name_bytes = folder.u8(at + 19), use_bytes = folder.le16(at + 36);
    const uint64_t used = kNameHeader + use_bytes + name_bytes;
    if (at + used > folder.size()) return {};
    const uint8_t flags = folder.u8(at + 18);
    UdfName out;
    out.offset = at;
    out.length = (used + 3) / 4 * 4;
    out.name = udf_text(folder.text(at + kNameHeader + use_bytes, name_bytes));
    out.icb = address_at(folder, at + 24);
    out.folder = flags & 2;
    out.deleted = flags & 4;
    out.parent = flags & 8;
    out.metadata = flags & 16;
    out.sound = is_sound_udf(folder, at, UdfTagId::file_identifier, used);
    return out;
}

std::string udf_text(std::string_view compressed) {
    if (compressed.empty()) return {};
    const auto form = static_cast<uint8_t>(compressed[0]);
    std::vector<uint16_t> units;
    const bool wide = form == 16 || form == 255;  // 254 and 255: of a name that was deleted
    for (size_t i = 1; i + (wide ? 1 : 0) < compressed.size(); i += wide ? 2 : 1) {
        const auto byte = [&](size_t k) { return static_cast<uint16_t>(static_cast<uint8_t>(compressed[k])); };
        units.push_back(wide ? static_cast<uint16_t>(byte(i) << 8 | byte(i + 1)) : byte(i));
    }
    return utf16_to_wtf8(units);
}

std::optional<std::string> udf_link_target(std::string_view components) {
    std::string out;
    for (size_t at = 0; at < components.size();) {
        if (at + 4 > components.size()) return {};
        const auto type = static_cast<uint8_t>(components[at]);
        const size_t length = static_cast<uint8_t>(components[at + 1]);
        if (at + 4 + length > components.size()) return {};
        const bool root = type == 1 || type == 2;
        if (!root && !out.empty() && out.back() != '/') out.push_back('/');
        switch (type) {
            case 1:
            case 2: out = "/"; break;
            case 3: out += ".."; break;
            case 4: out += "."; break;
            case 5: out += udf_text(components.substr(at + 4, length)); break;
            default: return {};
        }
        at += 4 + length;
    }
    return out;
}

}  // namespace ntt
