#include "fs/fat/timestamps.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "base/integers.h"
#include "os/env.h"

namespace ntt {
namespace {

constexpr const char* kZoneFolder = "/usr/share/zoneinfo/";
constexpr size_t kMaxZoneFileBytes = 64 << 10;  // the largest of tzdata has 4 KiB
constexpr int64_t kDay = 86400;

// RFC 8536, section 3.1.
struct TzifHeader {
    char magic[4];
    char version;
    char unused[15];
    Be32 ut_indicators, std_indicators, leap_seconds, transitions, types, name_bytes;

    // Of the data block behind it, whose times have `time_bytes` bytes.
    uint64_t block_bytes(uint64_t time_bytes) const {
        return transitions * (time_bytes + 1) + uint64_t{types} * 6 + name_bytes + leap_seconds * (time_bytes + 4) +
               std_indicators + ut_indicators;
    }
};
static_assert(sizeof(TzifHeader) == 44);

// "+hh:mm" in seconds.
std::optional<int32_t> fixed_offset(const std::string& name) {
    if (name.size() != 6 || (name[0] != '+' && name[0] != '-') || name[3] != ':') return std::nullopt;
    for (const size_t i : {1u, 2u, 4u, 5u})
        if (name[i] < '0' || name[i] > '9') return std::nullopt;
    const int hours = (name[1] - '0') * 10 + name[2] - '0', minutes = (name[4] - '0') * 10 + name[5] - '0';
    if (hours > 15 || minutes > 59) return std::nullopt;
    return (name[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

Result<std::string> read_zone_file(const std::string& name) {
    const bool inside = !name.empty() && name[0] != '/' && name.find("..") == std::string::npos;
    auto file = inside ? Env::host().open_read(kZoneFolder + name) : Result<Fd>(make_error(ErrorCode::not_found, name));
    if (!file.ok())
        return make_error(ErrorCode::invalid_argument, "unknown time zone \"" + name + "\"",
                          "give a name such as Europe/Berlin, an offset such as +02:00, or UTC");
    std::string bytes(kMaxZoneFileBytes, '\0');
    TRY_ASSIGN(const size_t size, Env::host().read_at(*file, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, 0));
    bytes.resize(size);
    return bytes;
}

}  // namespace

Result<std::shared_ptr<const std::string>> TimeZone::read_file(const std::string& name) {
    if (name == "UTC" || fixed_offset(name)) return std::shared_ptr<const std::string>();
    TRY_ASSIGN(std::string bytes, read_zone_file(name));
    return std::make_shared<const std::string>(std::move(bytes));
}

Result<TimeZone> TimeZone::load(const std::string& name) {
    TRY_ASSIGN(const auto file, read_file(name));
    return parse(name, file.get());
}

Result<TimeZone> TimeZone::parse(const std::string& name, const std::string* file) {
    TimeZone zone;
    if (name == "UTC") return zone;
    if (const auto offset = fixed_offset(name)) {
        zone.first_offset_s_ = *offset;
        return zone;
    }
    const Error malformed = make_error(ErrorCode::malformed, "the zoneinfo file of \"" + name + "\" is not a TZif file");
    if (file == nullptr) return malformed;
    const std::string& bytes = *file;

    // The 64-bit block stands behind the 32-bit one; a version 1 file has only that one and is not made any more.
    TzifHeader header;
    if (bytes.size() < sizeof header) return malformed;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (std::memcmp(header.magic, "TZif", 4) != 0 || header.version < '2') return malformed;
    const uint64_t second = sizeof header + header.block_bytes(4);
    if (second + sizeof header > bytes.size()) return malformed;
    std::memcpy(&header, bytes.data() + second, sizeof header);
    if (second + sizeof header + header.block_bytes(8) > bytes.size() || header.types == 0) return malformed;

    const char* times = bytes.data() + second + sizeof header;
    const char* type_of = times + uint64_t{header.transitions} * 8;
    const char* types = type_of + header.transitions;
    const auto offset_of = [&](uint8_t type) {
        Be32 offset;
        std::memcpy(&offset, types + uint64_t{type} * 6, sizeof offset);
        return static_cast<int32_t>(uint32_t{offset});
    };
    zone.first_offset_s_ = offset_of(0);
    for (uint32_t i = 0; i < header.transitions; ++i) {
        Be64 at;
        std::memcpy(&at, times + uint64_t{i} * 8, sizeof at);
        const auto type = static_cast<uint8_t>(type_of[i]);
        if (type >= header.types) return malformed;
        zone.transitions_.push_back({static_cast<int64_t>(uint64_t{at}), offset_of(type)});
    }
    return zone;
}

int32_t TimeZone::offset_at(int64_t utc_s) const {
    const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), utc_s,
                                        [](int64_t at, const Transition& transition) { return at < transition.at_s; });
    return after == transitions_.begin() ? first_offset_s_ : std::prev(after)->offset_s;
}

int64_t TimeZone::to_utc(int64_t local_s) const {
    // No zone is a day away from UTC, and none changes twice in two days.
    const int32_t before = offset_at(local_s - kDay), after = offset_at(local_s + kDay);
    for (const int32_t offset : {before, after})
        if (offset_at(local_s - offset) == offset) return local_s - offset;
    return local_s - before;
}

std::optional<int64_t> fat_local_seconds(uint16_t date, uint16_t time) {
    using namespace std::chrono;
    const year_month_day day{year{1980 + (date >> 9)}, month{(date >> 5) & 15u}, std::chrono::day{date & 31u}};
    const int hour = time >> 11, minute = time >> 5 & 63, second = (time & 31) * 2;
    if (!day.ok() || hour > 23 || minute > 59 || second > 58) return std::nullopt;
    return sys_days{day}.time_since_epoch().count() * kDay + hour * 3600 + minute * 60 + second;
}

}  // namespace ntt
