#include "base/clock.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>

namespace ntt {
namespace {

template <typename C>
int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(C::now().time_since_epoch()).count();
}

class SystemClock final : public Clock {
public:
    int64_t wall_us() const override { return now_us<std::chrono::system_clock>(); }
    int64_t monotonic_us() const override { return now_us<std::chrono::steady_clock>(); }
};

}  // namespace

const Clock& Clock::system() {
    static const SystemClock clock;
    return clock;
}

std::string iso8601_utc(int64_t wall_us) {
    const int64_t micros = ((wall_us % 1'000'000) + 1'000'000) % 1'000'000;
    const std::time_t seconds = static_cast<std::time_t>((wall_us - micros) / 1'000'000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, micros);
}

std::optional<int64_t> wall_us_from(std::string_view iso8601) {
    const std::string text(iso8601);
    std::tm utc{};
    int micros = 0, end = 0;
    const int fields = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour, &utc.tm_min,
                                   &utc.tm_sec, &micros, &end);
    if (fields != 7 || static_cast<size_t>(end) != text.size() || text.size() != 27) return std::nullopt;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    return int64_t{timegm(&utc)} * 1'000'000 + micros;
}

}  // namespace ntt
