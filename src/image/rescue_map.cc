#include "image/rescue_map.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "base/hash.h"

namespace ntt {
namespace {

using namespace std::string_view_literals;

constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();  // ddrescue's own
constexpr size_t kMaxShownBytes = 80;                                 // of a bad line, in a message

std::optional<BlockStatus> status_of(char c) {
    switch (c) {
        case '?': return BlockStatus::non_tried;
        case '*': return BlockStatus::non_trimmed;
        case '/': return BlockStatus::non_scraped;
        case '-': return BlockStatus::bad_sector;
        case '+': return BlockStatus::finished;
        default: return std::nullopt;
    }
}

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::optional<uint64_t> digit_of(char c) {
    if (c >= '0' && c <= '9') return static_cast<uint64_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<uint64_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<uint64_t>(c - 'A' + 10);
    return std::nullopt;
}

// As strtoll(…, 0) reads it, but the whole field and nothing negative.
std::optional<uint64_t> parse_number(std::string_view field) {
    uint64_t base = 10;
    if (field.starts_with("0x") || field.starts_with("0X")) {
        base = 16;
        field.remove_prefix(2);
    } else if (field.starts_with('0')) {
        base = 8;
    }
    if (field.empty()) return std::nullopt;
    uint64_t value = 0;
    for (const char c : field) {
        const auto digit = digit_of(c);
        if (!digit || *digit >= base) return std::nullopt;
        if (value > (kMaxOffset - *digit) / base) return std::nullopt;
        value = value * base + *digit;
    }
    return value;
}

constexpr size_t kMaxFields = 4;  // one more than any good line has

struct Fields {
    std::array<std::string_view, kMaxFields> text;
    size_t count = 0;  // up to kMaxFields; the rest of the line is left alone
};

Fields split(std::string_view line) {
    Fields out;
    for (size_t i = 0; out.count < kMaxFields;) {
        while (i < line.size() && is_blank(line[i])) ++i;
        if (i == line.size()) break;
        const size_t begin = i;
        while (i < line.size() && !is_blank(line[i])) ++i;
        out.text[out.count++] = line.substr(begin, i - begin);
    }
    return out;
}

std::optional<std::string> bad_number(std::string_view what, std::string_view field) {
    return fmt::format("the {} '{}' is not a number from 0 to 2^63-1", what, to_terminal_text(field.substr(0, kMaxShownBytes)));
}

// "position status [pass]". What is wrong with it; nullopt if nothing is.
std::optional<std::string> status_line_fault(const Fields& fields) {
    if (fields.count >= 3 && parse_number(fields.text[1]) && fields.text[2].size() == 1 && status_of(fields.text[2][0]))
        return "no status line before the first block";
    if (fields.count < 2) return "missing fields in the status line (position, status, pass)";
    if (fields.count > 3) return "extra fields in the status line";
    if (!parse_number(fields.text[0])) return bad_number("current position", fields.text[0]);
    if (fields.text[1].size() != 1 || "?*/-FG+"sv.find(fields.text[1][0]) == std::string_view::npos)
        return fmt::format("unknown status '{}' in the status line", to_terminal_text(fields.text[1].substr(0, kMaxShownBytes)));
    if (fields.count == 3 && parse_number(fields.text[2]).value_or(0) == 0) return "the pass is not a number from 1";
    return std::nullopt;
}

// "position size status". Appends the block, or says what is wrong with the line.
std::optional<std::string> add_block(const Fields& fields, int line, std::vector<MapBlock>& blocks) {
    if (fields.count < 3) return "missing fields (position, size, status)";
    if (fields.count > 3) return "extra fields after position, size and status";
    const auto offset = parse_number(fields.text[0]), length = parse_number(fields.text[1]);
    if (!offset) return bad_number("position", fields.text[0]);
    if (!length) return bad_number("size", fields.text[1]);
    const auto status = fields.text[2].size() == 1 ? status_of(fields.text[2][0]) : std::nullopt;
    if (!status) return fmt::format("unknown status '{}'", to_terminal_text(fields.text[2].substr(0, kMaxShownBytes)));
    if (*length == 0) return "a block of zero size";
    if (*length > kMaxOffset - *offset) return "overflow: the block ends beyond 2^63-1";

    const uint64_t expected = blocks.empty() ? 0 : blocks.back().range.end();
    if (*offset > expected)
        return fmt::format("a gap: the block begins at {:#x}, the one before ends at {:#x}", *offset, expected);
    if (*offset < expected && *offset < blocks.back().range.offset)
        return fmt::format("out of order: the block begins at {:#x}, the one before at {:#x}", *offset,
                           blocks.back().range.offset);
    if (*offset < expected)
        return fmt::format("an overlap: the block begins at {:#x}, the one before ends at {:#x}", *offset, expected);
    blocks.push_back({{*offset, *length}, *status, line});
    return std::nullopt;
}

Error malformed(int line, std::string_view text, std::string_view fault) {
    return make_error(ErrorCode::malformed,
                      fmt::format("rescue map, line {}: {}: {}", line, fault, to_terminal_text(text.substr(0, kMaxShownBytes))),
                      "check the map with ddrescuelog -t");
}

struct Parsed {
    std::vector<MapBlock> blocks;
    std::vector<std::string> lines;
    std::optional<Error> fault;  // the first; blocks are those before it
};

Parsed parse_lines(std::string_view text) {
    Parsed out;
    bool status_seen = false;
    for (size_t begin = 0; begin < text.size();) {
        const size_t newline = std::min(text.find('\n', begin), text.size());
        std::string_view line = text.substr(begin, newline - begin);
        begin = newline + 1;
        if (line.ends_with('\r')) line.remove_suffix(1);
        out.lines.emplace_back(line);

        const Fields fields = split(line);
        if (fields.count == 0 || fields.text[0].starts_with('#')) continue;
        const int number = static_cast<int>(out.lines.size());  // kMaxMapBytes keeps it far below 2^31
        const auto fault = status_seen ? add_block(fields, number, out.blocks) : status_line_fault(fields);
        status_seen = true;
        if (fault) {
            out.fault = malformed(number, line, *fault);
            return out;
        }
    }
    const int end_line = static_cast<int>(out.lines.size());
    if (!status_seen)
        out.fault = malformed(end_line, "(end of file)", "no status line");
    else if (out.blocks.empty())
        out.fault = malformed(end_line, "(end of file)", "no blocks");
    return out;
}

Result<std::string> read_map_text(Env& env, const std::string& path) {
    TRY_ASSIGN(const struct stat info, env.stat_path(path));
    if (!S_ISREG(info.st_mode))
        return make_error(ErrorCode::invalid_argument, to_terminal_text(path) + " is not a regular file, so not a rescue map");
    TRY_ASSIGN(const Fd fd, env.open_read(path));
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > kMaxMapBytes)
        return make_error(ErrorCode::limit, fmt::format("the rescue map {} has {} bytes; the limit is {}", to_terminal_text(path),
                                                        size, kMaxMapBytes));
    std::string text(size, '\0');
    TRY_ASSIGN(const size_t done, env.read_at(fd, {reinterpret_cast<uint8_t*>(text.data()), text.size()}, 0));
    text.resize(done);
    return text;
}

Error with_path(Error error, const std::string& path) {
    error.message = to_terminal_text(path) + ": " + error.message;
    return error;
}

constexpr std::array kMapHeadings = {"# Mapfile. Created by GNU ddrescue"sv, "# Rescue Logfile. Created by GNU ddrescue"sv};

bool has_map_heading(std::string_view text) {
    return std::any_of(kMapHeadings.begin(), kMapHeadings.end(),
                       [&](std::string_view heading) { return text.starts_with(heading); });
}

// Whether the file is a mapfile. A damaged one is an error; anything else is just another file.
Result<bool> is_map(Env& env, const std::string& path) {
    const auto info = env.stat_path(path);
    if (!info.ok() && info.error().code == ErrorCode::not_found) return false;
    if (!info.ok()) return info.error();
    if (!S_ISREG(info->st_mode)) return false;
    if (static_cast<uint64_t>(info->st_size) > kMaxMapBytes) {
        TRY_ASSIGN(const Fd fd, env.open_read(path));
        std::array<uint8_t, 64> head{};
        TRY_ASSIGN(const size_t done, env.read_at(fd, head, 0));
        if (!has_map_heading(as_text(ByteView(head).first(done)))) return false;
    }
    TRY_ASSIGN(const std::string text, read_map_text(env, path));
    const Parsed parsed = parse_lines(text);
    if (!parsed.fault) return true;
    if (has_map_heading(text) || !parsed.blocks.empty()) return with_path(*parsed.fault, path);
    return false;
}

}  // namespace

char to_char(BlockStatus status) {
    switch (status) {
        case BlockStatus::non_tried: return '?';
        case BlockStatus::non_trimmed: return '*';
        case BlockStatus::non_scraped: return '/';
        case BlockStatus::bad_sector: return '-';
        case BlockStatus::finished: return '+';
    }
    NTT_CHECK(false, "unknown BlockStatus");
    return 0;
}

std::optional<Cause> cause_of(BlockStatus status) {
    switch (status) {
        case BlockStatus::non_tried: return Cause::NOT_TRIED;
        case BlockStatus::non_trimmed: return Cause::NOT_TRIMMED;
        case BlockStatus::non_scraped: return Cause::NOT_SCRAPED;
        case BlockStatus::bad_sector: return Cause::BAD_SECTOR;
        case BlockStatus::finished: return std::nullopt;
    }
    NTT_CHECK(false, "unknown BlockStatus");
    return std::nullopt;
}

std::string_view health_of(uint64_t rescued_bytes, uint64_t size_bytes) {
    if (size_bytes == 0) return "unknown";
    // Exact, at any size: a medium with 399,999,999,488 of 400,000,000,000 bytes is not at 100 %.
    using Wide = unsigned __int128;
    const auto at_least = [&](unsigned percent) { return Wide{rescued_bytes} * 100 >= Wide{size_bytes} * percent; };
    return at_least(100) ? "ok" : at_least(90) ? "incomplete" : at_least(20) ? "corrupt" : "failed";
}

Result<RescueMap> RescueMap::parse(std::string_view text) {
    if (text.size() > kMaxMapBytes)
        return make_error(ErrorCode::limit, fmt::format("a rescue map of {} bytes; the limit is {}", text.size(), kMaxMapBytes));
    Parsed parsed = parse_lines(text);
    if (parsed.fault) return *std::move(parsed.fault);
    RescueMap map;
    map.blocks_ = std::move(parsed.blocks);
    map.lines_ = std::move(parsed.lines);
    map.digest_ = blake3_of(as_bytes(text)).hex();
    return map;
}

Result<RescueMap> RescueMap::load(Env& env, const std::string& path) {
    TRY_ASSIGN(const std::string text, read_map_text(env, path));
    auto map = parse(text);
    if (!map.ok()) return with_path(std::move(map).take_error(), path);
    return map;
}

void RescueMap::fit_to(uint64_t image_size, FindingSink& findings) {
    const uint64_t map_end = end();
    const std::string evidence = fmt::format(R"({{"image_size":{},"map_end":{}}})", image_size, map_end);
    if (map_end < image_size) {
        findings.add(
            {"map_shorter_than_image",
             fmt::format("The rescue map ends at {} of the image's {} bytes; the rest counts as not tried.", map_end, image_size),
             evidence, 0, std::nullopt});
        blocks_.push_back({{map_end, image_size - map_end}, BlockStatus::non_tried, 0});
    } else if (map_end > image_size) {
        findings.add({"image_shorter_than_map",
                      fmt::format("The image has {} bytes, but its rescue map speaks of {}.", image_size, map_end), evidence, 0,
                      std::nullopt});
    }
}

std::vector<MapBlock> RescueMap::missing() const {
    std::vector<MapBlock> out;
    for (const MapBlock& block : blocks_) {
        if (block.status == BlockStatus::finished) continue;
        const bool continues = !out.empty() && out.back().status == block.status && out.back().range.end() == block.range.offset;
        if (continues)
            out.back().range.length += block.range.length;
        else
            out.push_back(block);
    }
    return out;
}

uint64_t RescueMap::rescued_bytes(uint64_t image_size) const {
    uint64_t bytes = 0;
    for (const MapBlock& block : blocks_)
        if (block.status == BlockStatus::finished) bytes += intersect(block.range, {0, image_size}).length;
    return bytes;
}

uint64_t RescueMap::end() const { return blocks_.empty() ? 0 : blocks_.back().range.end(); }

Result<std::optional<std::string>> find_map_beside(Env& env, const std::string& image_path) {
    constexpr std::array kSuffixes = {".map"sv, ".mapfile"sv, ".log"sv};
    const size_t slash = image_path.rfind('/');
    const size_t name_at = slash == std::string::npos ? 0 : slash + 1;
    const size_t dot = image_path.rfind('.');

    std::vector<std::string> stems = {image_path};
    if (dot != std::string::npos && dot > name_at) stems.push_back(image_path.substr(0, dot));
    for (const std::string& stem : stems) {
        for (const std::string_view suffix : kSuffixes) {
            std::string candidate = stem + std::string(suffix);
            if (candidate == image_path) continue;
            TRY_ASSIGN(const bool found, is_map(env, candidate));
            if (found) return std::optional(std::move(candidate));
        }
    }
    return std::optional<std::string>();
}

}  // namespace ntt
