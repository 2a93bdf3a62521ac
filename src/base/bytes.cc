#include "base/bytes.h"

namespace ntt {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none (Unicode 15, table 3-7).
size_t sequence_length(std::string_view text) {
    const auto at = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
    const auto in = [](uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; };
    const uint8_t first = at(0);
    if (first < 0x80) return 1;
    if (in(first, 0xC2, 0xDF)) return in(at(1), 0x80, 0xBF) ? 2 : 0;
    if (in(first, 0xE0, 0xEF)) {
        const uint8_t low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
        return in(at(1), low, high) && in(at(2), 0x80, 0xBF) ? 3 : 0;
    }
    if (in(first, 0xF0, 0xF4)) {
        const uint8_t low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
        return in(at(1), low, high) && in(at(2), 0x80, 0xBF) && in(at(3), 0x80, 0xBF) ? 4 : 0;
    }
    return 0;
}

bool is_control(std::string_view sequence) {
    const auto first = static_cast<uint8_t>(sequence[0]);
    if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
    // C1 controls, and the marks that turn the writing direction round.
    if (sequence.size() == 2) return first == 0xC2 && static_cast<uint8_t>(sequence[1]) < 0xA0;
    return sequence == "\xE2\x80\xAA" || sequence == "\xE2\x80\xAB" || sequence == "\xE2\x80\xAC" ||
           sequence == "\xE2\x80\xAD" || sequence == "\xE2\x80\xAE" || sequence == "\xE2\x80\xA8" ||
           sequence == "\xE2\x80\xA9";
}

std::string replace_ill_formed(std::string_view bytes, bool controls_too) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const size_t length = sequence_length(bytes);
        const std::string_view sequence = bytes.substr(0, length == 0 ? 1 : length);
        const bool shown = length != 0 && !(controls_too && is_control(sequence));
        out += shown ? sequence : kReplacement;
        bytes.remove_prefix(sequence.size());
    }
    return out;
}

}  // namespace

std::string to_hex(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const uint8_t byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    out.reserve(hex.size() / 2);
    for (size_t i = 0; i < hex.size(); i += 2) {
        const int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
    }
    return out;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string to_display_utf8(std::string_view bytes) { return replace_ill_formed(bytes, false); }
std::string to_terminal_text(std::string_view bytes) { return replace_ill_formed(bytes, true); }

}  // namespace ntt
