#include "fs/tsk/exfat_entry.h"

#include <ctime>
#include <string>

#include "volume/probe_window.h"

namespace ntt {

namespace {

// A DOS time stamp; `zone` is quarters of an hour east of UTC in seven bits, valid if the eighth is set.
std::optional<int64_t> seconds_of(uint32_t stamp, uint8_t zone) {
    std::tm t{};
    t.tm_year = static_cast<int>(stamp >> 25) + 80;
    t.tm_mon = static_cast<int>(stamp >> 21 & 15) - 1;
    t.tm_mday = static_cast<int>(stamp >> 16 & 31);
    t.tm_hour = static_cast<int>(stamp >> 11 & 31);
    t.tm_min = static_cast<int>(stamp >> 5 & 63);
    t.tm_sec = static_cast<int>(stamp & 31) * 2;
    if (t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday < 1 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 59) return {};
    int quarters = 0;
    if (zone & 0x80) quarters = (zone & 0x7F) >= 64 ? (zone & 0x7F) - 128 : zone & 0x7F;
    return int64_t{timegm(&t)} - int64_t{quarters} * 15 * 60;
}

}  // namespace

ExfatEntry read_exfat_entry(ByteView raw) {
    constexpr uint8_t kBitmap = 0x81, kFile = 0x85, kStream = 0xC0;
    const ProbeBytes entries{std::string(as_text(raw))};
    ExfatEntry out;
    out.is_file = entries.u8(0) == kFile;
    out.is_bitmap = entries.u8(0) == kBitmap && (entries.u8(1) & 1) == 0;
    if (!out.is_file) return out;
    out.attributes = entries.le16(4);
    out.created = seconds_of(entries.le32(8), entries.u8(22));
    out.modified = seconds_of(entries.le32(12), entries.u8(23));
    out.accessed = seconds_of(entries.le32(16), entries.u8(24));
    const int hundredths = entries.u8(21);
    if (out.modified && hundredths < 200) {
        *out.modified += hundredths / 100;
        out.modified_ns = hundredths % 100 * 10'000'000;
    }
    if (entries.u8(32) == kStream) out.valid_bytes = entries.le64(32 + 8);
    return out;
}

}  // namespace ntt
