#include "volume/probe_window.h"

#include <algorithm>

namespace ntt {

namespace {

void append_utf8(std::string& out, uint32_t code) {
    const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    }
}

}  // namespace

ProbeWindow::ProbeWindow(const ByteSource& source, ByteRange range) : source_(source), range_(range) {
    visible_ = intersect(range, {0, source.size_bytes()}).length;
    head_ = read(0, kHeadBytes);
}

ProbeBytes ProbeWindow::read(uint64_t offset, size_t length) const {
    if (offset >= visible_) return {};
    std::string bytes(static_cast<size_t>(std::min<uint64_t>(length, visible_ - offset)), '\0');
    auto done = source_.read(range_.offset + offset, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    if (!done.ok()) {
        if (!failure_) failure_ = std::move(done).take_error();
        return {};
    }
    return ProbeBytes(std::move(bytes));
}

std::string label_text(std::string_view field) {
    field = field.substr(0, field.find('\0'));
    const size_t begin = field.find_first_not_of(' ');
    if (begin == std::string_view::npos) return {};
    return to_display_utf8(field.substr(begin, field.find_last_not_of(' ') - begin + 1));
}

std::string utf16_text(std::string_view field, Utf16Order order) {
    const auto unit = [&](size_t i) {
        const auto a = static_cast<uint8_t>(field[i]), b = static_cast<uint8_t>(field[i + 1]);
        return order == Utf16Order::little ? uint32_t{a} | uint32_t{b} << 8 : uint32_t{b} | uint32_t{a} << 8;
    };
    std::string out;
    for (size_t i = 0; i + 2 <= field.size(); i += 2) {
        uint32_t code = unit(i);
        if (code == 0) break;
        if (code >= 0xD800 && code < 0xE000) {
            const bool pair = code < 0xDC00 && i + 4 <= field.size() && (unit(i + 2) & 0xFC00) == 0xDC00;
            if (pair) {
                code = 0x10000 + ((code & 0x3FF) << 10) + (unit(i + 2) & 0x3FF);
                i += 2;
            } else {
                code = 0xFFFD;
            }
        }
        append_utf8(out, code);
    }
    return out;
}

std::string uuid_text(std::string_view bytes) {
    if (bytes.size() < 16 || bytes.substr(0, 16).find_first_not_of('\0') == std::string_view::npos) return {};
    std::string out = to_hex(as_bytes(bytes.substr(0, 16)));
    for (const size_t dash : {20u, 16u, 12u, 8u}) out.insert(dash, 1, '-');
    return out;
}

}  // namespace ntt
