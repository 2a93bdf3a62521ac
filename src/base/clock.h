// Time behind an interface, so that tests can drive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ntt {

class Clock {
public:
    virtual ~Clock() = default;
    virtual int64_t wall_us() const = 0;       // microseconds since 1970-01-01 UTC
    virtual int64_t monotonic_us() const = 0;  // microseconds since some fixed moment

    static const Clock& system();
};

// "2025-10-08T12:34:56.123456Z": the form of every timestamp in the catalog and in JSON.
std::string iso8601_utc(int64_t wall_us);

// The moment that such text names, in microseconds since 1970-01-01 UTC; nullopt for other text.
std::optional<int64_t> wall_us_from(std::string_view iso8601);

}  // namespace ntt
