// From the bytes of FAT names to UTF-8, and to a part of a path.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ntt {

// How a byte of a short name reads. All 256 bytes map to different characters, so that the bytes can be had back;
// 0x00-0x7F map to the same code points (a control byte is no smiley), the five bytes that cp1252 leaves open likewise.
// Source: Unicode Consortium, mapping tables VENDORS/MICSFT/PC and WINDOWS, ISO8859/8859-1; cp858 is cp850 with the euro sign.
class CodePage {
public:
    // cp437 cp850 cp852 cp858 cp1252 latin1; nullptr for any other name. The result lives forever.
    static const CodePage* find(std::string_view name);
    // The names that find() knows, for messages.
    static std::string known_names();

    std::string_view name() const { return name_; }
    char32_t to_unicode(uint8_t byte) const { return byte < 0x80 ? byte : upper_half_[byte - 0x80u]; }
    std::string to_utf8(ByteView bytes) const;

    using UpperHalf = std::array<char16_t, 128>;  // of bytes 0x80-0xFF
    constexpr CodePage(std::string_view name, const UpperHalf& upper_half) : name_(name), upper_half_(upper_half) {}

private:
    std::string_view name_;
    UpperHalf upper_half_;
};

// UTF-16 to UTF-8; a surrogate without its partner is encoded as if it were a character (WTF-8), so that nothing is lost.
std::string utf16_to_wtf8(std::span<const uint16_t> units);

// A name that can stand between the slashes of a path. What cannot stand there is shown by a character that looks like
// it, and `altered` says so: '/' is U+2215, NUL is U+2400; the names "." and ".." are U+2024 once and twice; a name
// without any character is U+2420. A short name's raw bytes are in NameEntry::short_name all the same.
struct PathPart {
    std::string text;
    bool altered = false;
};
PathPart to_path_part(std::string name);

}  // namespace ntt
