// FAT dates: local time of an unknown place, to the resolution of DOS.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ntt {

// Where the clock stood that wrote a volume's dates.
class TimeZone {
public:
    // "UTC", a fixed offset "+02:00" or "-05:30", or an IANA name, read from the system's zoneinfo folder.
    // invalid_argument for a name that is not there; malformed for a file that is no TZif file.
    // Source: RFC 8536. The footer for times behind the last transition (2037 on today's systems) is not read: the last
    // offset holds on.
    static Result<TimeZone> load(const std::string& name);
    // The same where no file can be opened: `file` is what read_file gave, null for a zone that needs none.
    static Result<TimeZone> parse(const std::string& name, const std::string* file);
    // The zoneinfo file of `name`; null for a zone that needs none.
    static Result<std::shared_ptr<const std::string>> read_file(const std::string& name);

    // Seconds since 1970 UTC for seconds since 1970 as a wall clock shows them. An hour that the clock shows twice is
    // taken as the first of both; one that it skips is counted on from before the skip.
    int64_t to_utc(int64_t local_s) const;

private:
    struct Transition {
        int64_t at_s = 0;      // UTC
        int32_t offset_s = 0;  // east of Greenwich, from then on
    };
    int32_t offset_at(int64_t utc_s) const;

    int32_t first_offset_s_ = 0;
    std::vector<Transition> transitions_;  // sorted
};

// A FAT date and time as seconds since 1970 of the local clock; nullopt for fields that no calendar has (month 0 or 13, 30
// February, 60 seconds …). Date 0 means "not set" and is nullopt too.
// Source: FAT specification 1.03, "Date and Time Formats".
std::optional<int64_t> fat_local_seconds(uint16_t date, uint16_t time);

}  // namespace ntt
