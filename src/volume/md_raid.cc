// Members of Linux software RAID ("md").
#include <fmt/format.h>

#include <array>

#include "volume/probes.h"

namespace ntt::probes {

namespace {

constexpr uint32_t kMagic = 0xa92b4efc;

// Of either format, what an archivist needs to know. Offsets and sizes in bytes from the start of the member.
struct Member {
    std::string version, uuid, name, device_uuid;
    int32_t level = 0;
    uint32_t devices = 0, number = 0;
    std::optional<uint32_t> position;  // in the array; nullopt for a spare or a faulty member
    uint64_t superblock_offset = 0, data_offset = 0, data_length = 0;
    enum class Checksum : uint8_t { right, wrong, none } checksum = Checksum::right;
    std::string defect;  // why its data is not to be trusted, though it is a member; empty if there is no reason
};

std::string level_name(int32_t level) {
    switch (level) {
        case -4: return "multipath";
        case -1: return "linear";
        case 0: case 1: case 4: case 5: case 6: case 10: return fmt::format("raid{}", level);
        default: return fmt::format("level {}", level);
    }
}

Member::Checksum compare(uint32_t stored, uint64_t sum) {
    const auto folded = static_cast<uint32_t>((sum & 0xFFFFFFFF) + (sum >> 32));
    return stored == folded ? Member::Checksum::right : stored == 0 ? Member::Checksum::none : Member::Checksum::wrong;
}

// The list of sectors that the array knows to be bad on this member: 8 bytes each, ended by all ones.
bool lists_bad_blocks(const ProbeWindow& window, uint64_t superblock_at, const ProbeBytes& super) {
    constexpr uint32_t kBadBlocks = 0x8;
    if ((super.le32(8) & kBadBlocks) == 0) return false;
    const int64_t sectors = static_cast<int32_t>(super.le32(188));
    const uint64_t at = superblock_at + static_cast<uint64_t>(sectors) * 512;  // the offset may be negative
    const ProbeBytes first = window.read(at, 8);
    return first.size() == 8 && first.le64(0) != UINT64_MAX && first.le64(0) != 0;
}

// Version 1.0 about 8 KiB before the end, 1.1 at the start, 1.2 at 4 KiB.
std::optional<Member> version1(const ProbeWindow& window) {
    struct Place {
        uint64_t offset;
        const char* version;
    };
    std::vector<Place> places = {{0, "1.1"}, {4096, "1.2"}};
    const uint64_t size = window.size_bytes();
    if (size >= 16384) places.push_back({((size / 512 - 16) & ~uint64_t{7}) * 512, "1.0"});
    for (const Place& place : places) {
        const ProbeBytes super = window.read(place.offset, 4096);
        if (super.le32(0) != kMagic || super.le32(4) != 1 || super.le64(144) != place.offset / 512) continue;
        constexpr uint32_t kMaxDevices = 1920;  // what fits
        constexpr uint32_t kRecovering = 0x2, kReshaping = 0x4;
        const uint32_t features = super.le32(8);
        Member out;
        out.version = place.version;
        out.superblock_offset = place.offset;
        out.uuid = uuid_text(super.text(16, 16));
        out.name = label_text(super.text(32, 32));
        out.device_uuid = uuid_text(super.text(168, 16));
        out.level = static_cast<int32_t>(super.le32(72));
        out.devices = super.le32(92);
        out.number = super.le32(160);
        const uint32_t roles = std::min(super.le32(220), kMaxDevices);
        constexpr uint16_t kFirstNoRole = 0xFF00;  // journal, faulty, spare
        if (out.number < roles && super.le16(256 + uint64_t{out.number} * 2) < kFirstNoRole)
            out.position = super.le16(256 + uint64_t{out.number} * 2);

        const auto data_offset = checked_mul(super.le64(128), 512), data_length = checked_mul(super.le64(136), 512);
        const uint64_t array_length = checked_mul(super.le64(80), 512).value_or(0);
        const bool at_end = place.offset > 4096;
        // Data never stands before the superblock at the start: a smaller offset is none.
        out.data_offset = std::max(data_offset.value_or(0), at_end ? 0 : place.offset + 4096);
        const uint64_t room = at_end ? place.offset : size;
        out.data_length = room > out.data_offset ? room - out.data_offset : 0;
        for (const uint64_t limit : {data_length.value_or(0), out.level == 1 ? array_length : 0})
            if (limit != 0) out.data_length = std::min(out.data_length, limit);

        uint64_t sum = 0;
        for (uint64_t at = 0; at + 4 <= 256 + uint64_t{roles} * 2; at += 4) sum += at == 216 ? 0 : super.le32(at);
        if (roles % 2 != 0) sum += super.le16(256 + uint64_t{roles - 1} * 2);
        out.checksum = compare(super.le32(216), sum);

        if (out.checksum == Member::Checksum::none && roles == 0) out.position = 0;  // a superblock that says no more than its level
        if ((features & kRecovering) != 0) out.defect = "the array had not finished rebuilding it";
        if ((features & kReshaping) != 0) out.defect = "the array was being reshaped";
        if (lists_bad_blocks(window, place.offset, super)) out.defect = "the array lists bad blocks on it";
        return out;
    }
    return {};
}

// Version 0.90 in the last whole 64 KiB but one, in the byte order of the machine.
std::optional<Member> version090(const ProbeWindow& window) {
    const uint64_t size = window.size_bytes();
    if (size < 2 * 65536) return {};
    const uint64_t at = (size & ~uint64_t{65535}) - 65536;
    const ProbeBytes super = window.read(at, 4096);
    const bool little = super.le32(0) == kMagic;
    if (!little && super.be32(0) != kMagic) return {};
    const auto word = [&](uint64_t index) { return little ? super.le32(index * 4) : super.be32(index * 4); };
    if (word(1) != 0) return {};
    Member out;
    out.version = "0.90";
    out.superblock_offset = at;
    std::string uuid;  // four numbers, shown as such
    for (const uint64_t index : {5u, 13u, 14u, 15u})
        for (const int shift : {24, 16, 8, 0}) uuid.push_back(static_cast<char>(word(index) >> shift));
    out.uuid = uuid_text(uuid);
    out.level = static_cast<int32_t>(word(7));
    out.devices = word(10);
    constexpr uint64_t kThisDisk = 992, kChecksum = 38;
    out.number = word(kThisDisk);
    constexpr uint32_t kFaulty = 1, kActive = 2, kSync = 4;
    const uint32_t state = word(kThisDisk + 4);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 1024; ++i) sum += i == kChecksum ? 0 : word(i);
    out.checksum = compare(word(kChecksum), sum);
    if ((state & kFaulty) == 0 && (state & (kActive | kSync)) == (kActive | kSync)) out.position = word(kThisDisk + 3);
    if (out.checksum == Member::Checksum::none && state == 0) out.position = 0;
    out.data_length = at;
    if (word(8) != 0) out.data_length = std::min(at, uint64_t{word(8)} * 1024);
    return out;
}

// A few blocks spread over the data, all of one byte: worth a look at the whole, whatever the level.
bool looks_wiped(const ProbeWindow& window, const Member& member) {
    constexpr uint64_t kSamples = 16;
    constexpr size_t kSampleBytes = 4096;
    const uint64_t there = std::min(member.data_length, window.visible_bytes() - std::min(window.visible_bytes(), member.data_offset));
    std::optional<char> byte;
    for (uint64_t i = 0; i < kSamples; ++i) {
        const ProbeBytes sample = window.read(member.data_offset + there / kSamples * i, kSampleBytes);
        const std::string_view bytes = sample.text(0, kSampleBytes);
        if (bytes.empty()) continue;
        if (!byte) byte = bytes.front();
        if (bytes.find_first_not_of(*byte) != std::string_view::npos) return false;
    }
    return byte.has_value();
}

}  // namespace

// Source: Linux include/uapi/linux/raid/md_p.h; measured against `mdadm --examine` 4.2.
Found md_raid(const ProbeWindow& window) {
    auto member = version1(window);
    if (!member) member = version090(window);
    if (!member) return {};
    Identity out;
    out.view = out.fs_type = "linux_raid_member";
    out.role = Role::raid_member;
    out.uuid = member->uuid;
    out.label = member->name;
    nlohmann::json facts = {{"uuid", member->uuid},
                            {"name", member->name},
                            {"level", level_name(member->level)},
                            {"device_number", member->number},
                            {"devices", member->devices},
                            {"superblock_offset", member->superblock_offset},
                            {"data_offset", member->data_offset},
                            {"metadata_version", member->version}};
    if (member->position) facts["position"] = *member->position;
    if (!member->device_uuid.empty()) facts["device_uuid"] = member->device_uuid;
    if (member->checksum == Member::Checksum::wrong) facts["superblock_checksum"] = "wrong";
    out.notes["raid_member"] = facts;

    const bool mirror = member->level == 1 || member->level == -4;
    const bool first_of_linear = member->level == -1 && member->position == 0u;
    if (member->checksum == Member::Checksum::wrong) {
        out.needs = "its superblock fails its checksum, so what it says is not acted upon; mdadm --examine shows more";
    } else if (!member->defect.empty()) {
        out.needs = "its data may be old: " + member->defect + "; ingest another member of the array";
    } else if (!member->position) {
        out.needs = "it was a spare or had failed, its data may be old; ingest another member of the array";
    } else if (!mirror && !first_of_linear) {
        out.needs = fmt::format("{} spreads its data: assemble the array read-only from images of all members (mdadm), and ingest what it shows",
                                level_name(member->level));
    } else if (first_of_linear && member->devices > 1) {
        out.needs = "it is the first part of a linear array: its end stands on the other members";
    }
    const bool read_through = (mirror || first_of_linear) && member->position && member->defect.empty() &&
                              member->checksum != Member::Checksum::wrong;
    if (member->data_length != 0 && (read_through || looks_wiped(window, *member)))
        out.holds.push_back({{member->data_offset, member->data_length}, {{"raid_member", facts}}});
    return out;
}

}  // namespace ntt::probes
