#include "fs/tsk/iso9660_directory.h"

#include <algorithm>
#include <ctime>
#include <string_view>

#include "volume/probe_window.h"

namespace ntt {

namespace {

constexpr size_t kRecordHeader = 33;
constexpr int kMaxContinuations = 32;  // of one system use area; a loop of them ends here

// Years since 1900, month, day, hour, minute, second, zone in quarters of an hour east of UTC. ECMA-119, 9.1.5.
std::optional<int64_t> short_date(std::string_view d) {
    if (d.size() < 7) return {};
    const auto byte = [&](size_t i) { return static_cast<int>(static_cast<uint8_t>(d[i])); };
    if (byte(1) < 1 || byte(1) > 12 || byte(2) < 1 || byte(2) > 31 || byte(3) > 23 || byte(4) > 59 || byte(5) > 60) return {};
    std::tm t{};
    t.tm_year = byte(0);
    t.tm_mon = byte(1) - 1;
    t.tm_mday = byte(2);
    t.tm_hour = byte(3);
    t.tm_min = byte(4);
    t.tm_sec = byte(5);
    const int zone = static_cast<int8_t>(d[6]);
    return int64_t{timegm(&t)} - (zone >= -48 && zone <= 56 ? int64_t{zone} * 15 * 60 : 0);
}

// "YYYYMMDDHHMMSSCC" and the zone. ECMA-119, 8.4.26.1.
std::optional<int64_t> long_date(std::string_view d) {
    if (d.size() < 17 || !std::all_of(d.begin(), d.begin() + 16, [](char c) { return c >= '0' && c <= '9'; })) return {};
    const auto number = [&](size_t at, size_t length) {
        int out = 0;
        for (size_t i = at; i < at + length; ++i) out = out * 10 + (d[i] - '0');
        return out;
    };
    const int year = number(0, 4);
    if (year < 1900 || year > 2155) return {};
    std::string brief = {static_cast<char>(year - 1900)};
    for (size_t at = 4; at < 14; at += 2) brief.push_back(static_cast<char>(number(at, 2)));
    brief.push_back(d[16]);
    return short_date(brief);
}

// The entries of a system use area, gathered into `record`.
class SystemUse {
public:
    SystemUse(const IsoContext& context, IsoRecord& record) : context_(context), record_(record) {}

    void read(std::string area) {
        for (int hop = 0; hop < kMaxContinuations; ++hop) {
            next_.reset();
            read_area(ProbeBytes(std::move(area)));
            if (!next_) break;
            area = context_.read_continuation(next_->block, next_->offset, next_->length);
        }
        if (!name_.empty()) record_.name = name_;
        if (has_target_) record_.target = target_;
    }

private:
    struct Continuation {
        uint32_t block, offset, length;
    };

    void read_area(const ProbeBytes& area) {
        for (uint64_t at = 0; at + 4 <= area.size();) {
            const uint8_t length = area.u8(at + 2);
            if (length < 4 || at + length > area.size()) return;
            if (area.has(at, "ST")) return;
            if (area.has(at, "CE"))
                next_ = Continuation{area.le32(at + 4), area.le32(at + 12), std::min<uint32_t>(area.le32(at + 20), kIsoSector)};
            if (area.has(at, "NM")) name(area, at, length);
            if (area.has(at, "PX") && length >= 36) posix(area, at);
            if (area.has(at, "SL")) link(area, at, length);
            if (area.has(at, "TF")) times(area, at, length);
            if (area.has(at, "CL")) record_.child = area.le32(at + 4);
            if (area.has(at, "RE")) record_.moved = true;
            if (area.has(at, "ZF")) record_.compressed = true;
            at += length;
        }
    }

    void name(const ProbeBytes& area, uint64_t at, uint8_t length) {
        constexpr uint8_t kSelfOrParent = 0x06;
        if (length > 5 && !(area.u8(at + 4) & kSelfOrParent)) name_ += area.text(at + 5, length - 5u);
    }

    void posix(const ProbeBytes& area, uint64_t at) {
        record_.mode = static_cast<int>(area.le32(at + 4));
        record_.nlink = area.le32(at + 12);
        record_.uid = area.le32(at + 20);
        record_.gid = area.le32(at + 28);
    }

    void link(const ProbeBytes& area, uint64_t at, uint8_t length) {
        constexpr uint8_t kGoesOn = 0x01, kCurrent = 0x02, kParent = 0x04, kRoot = 0x08;
        has_target_ = true;
        for (uint64_t part = at + 5; part + 2 <= at + length;) {
            const uint8_t flags = area.u8(part), size = area.u8(part + 1);
            if (!target_.empty() && !part_goes_on_ && target_.back() != '/') target_ += '/';
            if (flags & kRoot)
                target_ = "/";
            else if (flags & kParent)
                target_ += "..";
            else if (flags & kCurrent)
                target_ += ".";
            else
                target_ += area.text(part + 2, size);
            part_goes_on_ = (flags & kGoesOn) != 0;
            part += 2u + size;
        }
    }

    void times(const ProbeBytes& area, uint64_t at, uint8_t length) {
        const uint8_t flags = area.u8(at + 4);
        const size_t size = flags & 0x80 ? 17 : 7;
        uint64_t place = at + 5;
        std::optional<int64_t>* const fields[] = {&record_.crtime, &record_.mtime, &record_.atime, &record_.ctime};
        for (size_t i = 0; i < std::size(fields); ++i) {
            if (!(flags & 1u << i)) continue;
            if (place + size > at + length) return;
            const std::string_view date = area.text(place, size);
            *fields[i] = size == 17 ? long_date(date) : short_date(date);
            place += size;
        }
    }

    const IsoContext& context_;
    IsoRecord& record_;
    std::optional<Continuation> next_;
    std::string name_, target_;
    bool has_target_ = false, part_goes_on_ = false;
};

// "NAME.TXT;1" without the version if that is 1, and without the '.' of an empty extension.
std::string without_version(std::string name) {
    if (name.size() > 2 && name.compare(name.size() - 2, 2, ";1") == 0) name.resize(name.size() - 2);
    if (name.size() > 1 && name.back() == '.') name.pop_back();
    return name;
}

constexpr uint64_t kMaxRecordBytes = 254;

bool has_form_of_record(const ProbeBytes& sector, uint64_t at) {
    const uint8_t length = sector.u8(at), name_length = sector.u8(at + 32);
    return length > kRecordHeader && at + length <= sector.size() && kRecordHeader + name_length <= length && name_length != 0;
}

bool is_zeros(const ProbeBytes& sector, uint64_t from) {
    return sector.text(from, static_cast<size_t>(sector.size() - from)).find_first_not_of('\0') == std::string_view::npos;
}

// Behind damage: where something stands that has a record's form and says its block and its size in both byte orders alike. Records
// begin at even places. The sector's end if there is none.
uint64_t next_record(const ProbeBytes& sector, uint64_t from) {
    for (uint64_t at = from + 2 - from % 2; at + kRecordHeader < sector.size(); at += 2) {
        const bool alike = sector.le32(at + 2) == sector.be32(at + 6) && sector.le32(at + 10) == sector.be32(at + 14) && sector.le16(at + 28) == sector.be16(at + 30);
        if (alike && sector.le16(at + 28) != 0 && has_form_of_record(sector, at)) return at;
    }
    return sector.size();
}

}  // namespace

bool read_iso_directory_sector(ByteView raw, uint64_t sector_offset, bool last, const IsoContext& context, std::vector<IsoRecord>& out) {
    constexpr uint8_t kDirectory = 0x02, kAssociated = 0x04, kMoreFollow = 0x80;
    const ProbeBytes sector{std::string(as_text(raw))};
    bool sound = true;
    for (uint64_t at = 0; at < sector.size();) {
        const uint8_t length = sector.u8(at), name_length = sector.u8(at + 32);
        if (!has_form_of_record(sector, at)) {
            const uint64_t next = next_record(sector, at);
            const bool unused = length == 0 && at != 0 && next == sector.size() && is_zeros(sector, at);
            sound = sound && unused && (last || sector.size() - at <= kMaxRecordBytes);
            at = next;
            continue;
        }
        const std::string_view name = sector.text(at + kRecordHeader, name_length);
        const bool self_or_parent = name_length == 1 && (name[0] == 0 || name[0] == 1);
        if (!self_or_parent) {
            IsoRecord record;
            record.offset = sector_offset + at;
            record.block = sector.le32(at + 2) + sector.u8(at + 1);
            record.size = sector.le32(at + 10);
            record.recorded = short_date(sector.text(at + 18, 7));
            const uint8_t flags = sector.u8(at + 25);
            record.directory = flags & kDirectory;
            record.associated = flags & kAssociated;
            record.more_follow = flags & kMoreFollow;
            record.unit = sector.u8(at + 26);
            record.gap = sector.u8(at + 27);
            record.name =
                without_version(context.names == IsoNames::joliet ? utf16_text(name, Utf16Order::big) : std::string(name));
            const uint64_t system_use = kRecordHeader + name_length + (name_length % 2 == 0 ? 1 : 0) + context.system_use_skip;
            if (context.names == IsoNames::rock_ridge && system_use < length)
                SystemUse(context, record).read(std::string(sector.text(at + system_use, length - system_use)));
            out.push_back(std::move(record));
        }
        at += length;
    }
    return sound;
}

}  // namespace ntt
