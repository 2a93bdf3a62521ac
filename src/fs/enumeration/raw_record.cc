#include "fs/enumeration/raw_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/bytes.h"

namespace ntt {
namespace {

constexpr std::string_view kTypes = "fdlbcpsu";  // u: a type that our readers do not know; the predecessor has none

constexpr std::array<std::string_view, 7> kFields = {"type", "dev", "ino", "nlink", "size", "mtime", "path"};

std::string shown(std::string_view field) { return "'" + to_terminal_text(field.substr(0, 80)) + "'"; }

template <typename Number>
bool parse_all(std::string_view digits, Number& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc() && end == digits.data() + digits.size();
}

bool is_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "12", "-2.5000000000": find writes st_mtim's two numbers with a point between them (measured with findutils 4.9.0), so the
// fraction counts upwards from the seconds for times before 1970 too.
bool parse_mtime(std::string_view field, RawRecord& out) {
    const size_t point = std::min(field.find('.'), field.size());
    if (!parse_all(field.substr(0, point), out.mtime)) return false;
    out.mtime_ns = 0;
    if (point == field.size()) return true;
    const std::string_view fraction = field.substr(point + 1);
    if (!is_digits(fraction)) return false;
    for (size_t i = 0; i < 9; ++i) out.mtime_ns = out.mtime_ns * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
    return true;
}

}  // namespace

bool has_permission_bits(std::string_view bytes) {
    const std::string_view field = bytes.substr(0, bytes.find(kRawSeparator));
    const auto only = [](std::string_view text, std::string_view allowed) { return text.find_first_not_of(allowed) == std::string_view::npos; };
    if (field.size() >= 3 && field.size() <= 7) return only(field, "01234567");
    return field.size() >= 10 && field.size() <= 11 && only(field.substr(0, 1), "-dlbcps") && only(field.substr(1, 9), "-rwxsStT");
}

std::optional<std::string> parse_raw_record(std::string_view bytes, RawRecord& out) {
    std::array<std::string_view, kFields.size()> fields;
    for (size_t i = 0; i + 1 < fields.size(); ++i) {
        const size_t end = bytes.find(kRawSeparator);
        if (end == std::string_view::npos) return fmt::format("it has {} of {} fields", i + 1, kFields.size());
        fields[i] = bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
    }
    out.path = bytes;

    if (fields[0].size() != 1 || kTypes.find(fields[0][0]) == std::string_view::npos) return "its type is " + shown(fields[0]);
    out.type = fields[0][0];
    size_t at = 1;
    for (uint64_t* number : {&out.dev, &out.ino, &out.nlink, &out.size}) {
        if (!is_digits(fields[at])) return fmt::format("its {} is no number: {}", kFields[at], shown(fields[at]));
        const uint64_t most = number == &out.dev || number == &out.ino ? UINT64_MAX : static_cast<uint64_t>(INT64_MAX);
        if (!parse_all(fields[at], *number) || *number > most)
            return fmt::format("its {} is more than {}: {}", kFields[at], most, shown(fields[at]));
        ++at;
    }
    if (!parse_mtime(fields[at], out)) return fmt::format("its mtime is no number of seconds: {}", shown(fields[at]));
    if (out.path.empty()) return "its path is empty";
    return std::nullopt;
}

std::string format_raw_record(const RawRecord& record) {
    std::string out = fmt::format("{0}{1}{2}{1}{3}{1}{4}{1}{5}{1}{6}{1}", record.type, kRawSeparator, record.dev, record.ino, record.nlink, record.size, record.mtime);
    out += record.path;
    out.push_back('\0');
    return out;
}

std::optional<std::string> relative_path(std::string_view path, std::string_view root, std::string_view& out) {
    std::string_view rest = path;
    if (!root.empty()) {
        if (!rest.starts_with(root)) return fmt::format("its path is not below {}: {}", shown(root), shown(path));
        rest.remove_prefix(root.size());
        if (!rest.empty() && rest[0] != '/') return fmt::format("its path is not below {}: {}", shown(root), shown(path));
    } else if (rest == "." || rest.starts_with("./")) {
        rest.remove_prefix(1);
    }
    if (rest.starts_with('/')) rest.remove_prefix(1);
    out = rest;
    if (rest.empty()) return std::nullopt;
    if (rest.size() > kMaxPathOnWire) return fmt::format("its path has {} bytes, more than {}", rest.size(), kMaxPathOnWire);
    for (size_t begin = 0; begin <= rest.size();) {
        const size_t end = std::min(rest.find('/', begin), rest.size());
        const std::string_view part = rest.substr(begin, end - begin);
        if (part.empty()) return "its path has an empty part: " + shown(path);
        if (part == "." || part == "..") return fmt::format("its path has a part {}: {}", shown(part), shown(path));
        begin = end + 1;
    }
    return std::nullopt;
}

}  // namespace ntt
