#include "catalog/timestamps.h"

#include <cstdio>

#include <fmt/format.h>

#include "base/clock.h"

namespace ntt {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes `count` digits off the front.
std::optional<int> take_number(std::string_view& text, size_t count) {
    if (text.size() < count) return std::nullopt;
    int out = 0;
    for (size_t i = 0; i < count; ++i) {
        if (!is_digit(text[i])) return std::nullopt;
        out = out * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return out;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

// The zone's distance from UTC in minutes.
std::optional<int> take_zone(std::string_view& text) {
    if (text.empty() || take(text, "Zz")) return 0;
    const int sign = text.front() == '-' ? -1 : 1;
    if (!take(text, "+-")) return std::nullopt;
    const std::optional<int> hours = take_number(text, 2);
    if (!hours) return std::nullopt;
    if (text.empty()) return sign * *hours * 60;
    take(text, ":");
    const std::optional<int> minutes = take_number(text, 2);
    if (!minutes) return std::nullopt;
    return sign * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<std::string> catalog_time(std::string_view text) {
    if (text.size() == 27 && wall_us_from(text)) return std::string(text);
    const auto year = take_number(text, 4);
    if (!year || !take(text, "-")) return std::nullopt;
    const auto month = take_number(text, 2);
    if (!month || !take(text, "-")) return std::nullopt;
    const auto day = take_number(text, 2);
    if (!day || !take(text, "T ")) return std::nullopt;
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ":")) return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute) return std::nullopt;
    std::optional<int> second = 0;
    if (take(text, ":")) second = take_number(text, 2);
    if (!second || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    std::string micros;
    if (take(text, ".,"))
        for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) micros.push_back(text.front());
    micros.resize(6, '0');
    const std::optional<int> zone = take_zone(text);
    if (!zone || !text.empty()) return std::nullopt;
    const auto local = wall_us_from(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{}Z", *year, *month, *day, *hour, *minute, *second, micros));
    if (!local) return std::nullopt;
    return iso8601_utc(*local - int64_t{*zone} * 60 * 1'000'000);
}

}  // namespace ntt
