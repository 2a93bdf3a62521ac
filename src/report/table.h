// Text for people: tables, sizes, colours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/rows.h"

namespace ntt {

// Columns that `text` (UTF-8) takes on a terminal: 2 for East Asian wide characters and emoji, 0 for combining ones.
size_t display_width(std::string_view text);

// "1,474,560"
std::string with_commas(uint64_t number);
// "1.4 MiB"; plain bytes below 1 KiB.
std::string human_size(uint64_t bytes);
// "2025-10-08 12:34"; "-" if absent.
std::string human_time(const std::optional<int64_t>& seconds_utc);

// Whether words may be coloured: a terminal, and NO_COLOR unset or empty (no-color.org).
enum class Colour { off, on };
std::string painted(Status status, Colour colour);

// Rows of cells under a headline, columns as wide as needed, two spaces between. Every cell goes through
// to_terminal_text, so that no name can move the cursor or break a line. No line ends in spaces.
class Table {
public:
    enum class Align : uint8_t { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }
    std::string text() const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace ntt
