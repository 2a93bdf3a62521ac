#include "report/table.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/check.h"

namespace ntt {
namespace {

struct CodeRange {
    char32_t first, last;
};

// The blocks that matter for names in practice, not all of UAX #11: a wrong width only misaligns a column.
constexpr std::array kZeroWidth = {CodeRange{0x300, 0x36F},   CodeRange{0x483, 0x489},   CodeRange{0x591, 0x5BD},
                                   CodeRange{0x610, 0x61A},   CodeRange{0x64B, 0x65F},   CodeRange{0x200B, 0x200F},
                                   CodeRange{0x202A, 0x202E}, CodeRange{0x20D0, 0x20FF}, CodeRange{0xFE00, 0xFE0F},
                                   CodeRange{0xFE20, 0xFE2F}, CodeRange{0xFEFF, 0xFEFF}};
constexpr std::array kWide = {CodeRange{0x1100, 0x115F},   CodeRange{0x2E80, 0x303E},  CodeRange{0x3041, 0xA4CF},
                              CodeRange{0xAC00, 0xD7A3},   CodeRange{0xF900, 0xFAFF},  CodeRange{0xFE30, 0xFE6F},
                              CodeRange{0xFF00, 0xFF60},   CodeRange{0xFFE0, 0xFFE6},  CodeRange{0x1F300, 0x1F64F},
                              CodeRange{0x1F900, 0x1F9FF}, CodeRange{0x20000, 0x3FFFD}};

template <size_t kSize>
bool is_in(const std::array<CodeRange, kSize>& ranges, char32_t code) {
    return std::any_of(ranges.begin(), ranges.end(), [&](CodeRange r) { return code >= r.first && code <= r.last; });
}

size_t width_of(char32_t code) {
    if (is_in(kZeroWidth, code)) return 0;
    return is_in(kWide, code) ? 2 : 1;
}

std::string_view colour_of(Status status) {
    switch (status) {
        case Status::stored: return "\033[32m";
        case Status::damaged: return "\033[33m";
        case Status::unreadable: return "\033[31m";
        default: return "\033[2m";
    }
}

}  // namespace

size_t display_width(std::string_view text) {
    size_t width = 0;
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        char32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
        for (size_t k = 1; k < length && i + k < text.size(); ++k)
            code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3Fu);
        width += width_of(code);
        i += length;
    }
    return width;
}

std::string with_commas(uint64_t number) {
    std::string out = std::to_string(number);
    for (size_t i = out.size(); i > 3; i -= 3) out.insert(i - 3, ",");
    return out;
}

std::string human_size(uint64_t bytes) {
    static constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{} B", bytes);
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_time(const std::optional<int64_t>& seconds_utc) {
    if (!seconds_utc) return "-";
    const std::time_t seconds = static_cast<std::time_t>(*seconds_utc);
    std::tm utc{};
    if (gmtime_r(&seconds, &utc) == nullptr) return fmt::format("@{}", *seconds_utc);  // a year beyond int
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", int64_t{utc.tm_year} + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                       utc.tm_min);
}

std::string painted(Status status, Colour colour) {
    if (colour == Colour::off) return std::string(to_string(status));
    return fmt::format("{}{}\033[0m", colour_of(status), to_string(status));
}

void Table::add(std::vector<std::string> cells) {
    NTT_CHECK(cells.size() == columns_.size(), "a row of another width than its table");
    for (std::string& cell : cells) cell = to_terminal_text(cell);
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<size_t> widths;
    for (size_t c = 0; c < columns_.size(); ++c) {
        size_t width = display_width(columns_[c].title);
        for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
        widths.push_back(width);
    }
    const auto line = [&](const auto& cell_of) {
        std::string out;
        for (size_t c = 0; c < columns_.size(); ++c) {
            const std::string& cell = cell_of(c);
            const std::string padding(widths[c] - display_width(cell), ' ');
            out += (c == 0 ? "" : "  ") + (columns_[c].align == Align::right ? padding + cell : cell + padding);
        }
        return out.substr(0, out.find_last_not_of(' ') + 1) + "\n";
    };
    std::string out = line([&](size_t c) -> const std::string& { return columns_[c].title; });
    for (const auto& row : rows_) out += line([&](size_t c) -> const std::string& { return row[c]; });
    return out;
}

}  // namespace ntt
