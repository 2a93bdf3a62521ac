#include "matrix/document.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "matrix/media.h"
#include "support/support.h"

namespace ntt::test {
namespace {

// Cases in which a peer may recover more. Empty text fits all.
struct Exception {
    std::string filesystem, structure, damage, reason;
};
const std::vector<Exception>& exceptions() {
    static const std::string luck = "some of the stale bytes happen to be right: nobody can tell which";
    static const std::vector<Exception> table{
        {"", "both FAT copies", "unread, stale", luck},
        {"", "both FAT copies, a third", "unread, stale", luck},
        {"", "both FAT copies, an eighth", "unread, stale", luck},
        {"hfsplus", "catalogue, a quarter", "unread, stale", luck},
        {"ntfs", "$MFT and $MFTMirr", "unread, stale", luck},
    };
    return table;
}

constexpr const char* kIntroduction = R"(# Damage matrix

Each metadata structure of each filesystem is damaged in six ways, and the files that come out whole are counted: by
`ntt ingest`, by `tsk_recover -a` (allocated files) and `-e` (all that it finds), and by `7z x`, on the same image. A file
is whole when its BLAKE3 is that of a file that was put in.

- **zeroed**, **inverted** (every bit flipped), **garbage**: nothing says that the bytes are wrong.
- **cut off**: the image ends in the middle of the structure.
- **unread**: a rescue map says that the structure was not read; the image holds zeros there, or what the same sectors of
  another medium hold (*stale*). The peers read no maps.

Two rules are checked by `tests/matrix` on every run: nothing is ever called stored that was not put in, whatever the
damage; and no fewer files come out whole than from the better peer, but for the exceptions that the last column names.
"exit" is that of `ntt ingest`: 0 everything was read, 3 something is damaged or missing, 1 not a medium.

The media have some 230 files of 0 to 1 MiB in nested folders, with long names; on FAT, ext and NTFS some lie in pieces.
Written by `NTT_WRITE_DAMAGE_MATRIX=docs/damage-matrix.md build/dev/tests/matrix/test_matrix`.

)";

std::string heading(const std::string& filesystem) { return fmt::format("## {}\n", filesystem); }

std::string cells(const MatrixRow& row) { return fmt::format("| {} | {} |", row.structure, row.damage); }

std::string text_of(const MatrixSection& section) {
    std::string out = heading(section.filesystem) + fmt::format("\n{} files.\n\n| structure | damage | ntt | exit | tsk_recover -a | -e | 7z | exception |\n|---|---|--:|--:|--:|--:|--:|---|\n", section.files);
    for (const MatrixRow& row : section.rows)
        out += cells(row) + fmt::format(" {} | {} | {} | {} | {} | {} |\n", row.ours, row.exit, row.tsk, row.tsk_all, row.seven, row.exception);
    return out + "\n";
}

// Heading -> section, as they stand in the document.
std::map<std::string, std::string> sections(const std::string& document) {
    std::map<std::string, std::string> out;
    std::string current;
    std::istringstream in(document);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("## ")) current = line + "\n";
        if (!current.empty()) out[current] += line + "\n";
    }
    return out;
}

}  // namespace

std::string exception_for(const std::string& filesystem, const std::string& structure, const std::string& damage) {
    const auto fits = [](const std::string& pattern, const std::string& text) { return pattern.empty() || pattern == text; };
    for (const Exception& e : exceptions())
        if (fits(e.filesystem, filesystem) && fits(e.structure, structure) && fits(e.damage, damage)) return e.reason;
    return "";
}

void write_matrix_section(const std::string& document, const MatrixSection& section) {
    auto all = sections(std::filesystem::exists(document) ? read_file(document) : "");
    all[heading(section.filesystem)] = text_of(section);
    std::string text = kIntroduction;
    for (const std::string& filesystem : matrix_filesystems()) text += all[heading(filesystem)];
    while (text.ends_with("\n\n")) text.pop_back();
    write_file(document, text);
}

void check_matrix_section(const MatrixSection& section) {
    const std::string document = (source_dir() / "docs/damage-matrix.md").string();
    const std::string text = sections(read_file(document))[heading(section.filesystem)];
    for (const MatrixRow& row : section.rows) {
        const size_t at = text.find(cells(row));
        ASSERT_NE(at, std::string::npos) << document << " does not name " << section.filesystem << ": " << row.structure << ", " << row.damage;
        EXPECT_GE(row.ours, std::stoul(text.substr(at + cells(row).size()))) << "less than " << document << " says: " << section.filesystem << ": " << row.structure << ", " << row.damage;
    }
}

MatrixTotals totals_of_document() {
    MatrixTotals out;
    size_t files = 0;
    std::istringstream in(read_file((source_dir() / "docs/damage-matrix.md").string()));
    for (std::string line; std::getline(in, line);) {
        if (line.ends_with(" files.")) files = std::stoul(line);
        if (!line.starts_with("| ") || line.starts_with("| structure")) continue;
        std::vector<std::string> cell;
        std::istringstream cells_in(line);
        for (std::string text; std::getline(cells_in, text, '|');) cell.push_back(text);
        const size_t ours = std::stoul(cell.at(3)), best = std::max(std::stoul(cell.at(5)), std::stoul(cell.at(7)));
        ++out.cases;
        out.peers_lose += best < files ? 1u : 0u;
        out.ours_is_better += ours > best ? 1u : 0u;
    }
    return out;
}

std::vector<ImageRange> sorted(std::vector<ImageRange> ranges) {
    std::sort(ranges.begin(), ranges.end(), [](const ImageRange& a, const ImageRange& b) { return a.offset < b.offset; });
    return ranges;
}

}  // namespace ntt::test
