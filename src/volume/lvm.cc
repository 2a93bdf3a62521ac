// Physical volumes of LVM1 and LVM2, and which of their logical volumes lie in one piece.
#include <fmt/format.h>

#include <algorithm>

#include "volume/crc32.h"
#include "volume/lvm_text.h"
#include "volume/probes.h"

namespace ntt::probes {

namespace {

using nlohmann::json;

constexpr int kMaxLogicalVolumes = 256;  // named and read through; LVM1 has no more, and few LVM2 groups do
constexpr uint64_t kMaxMetadataBytes = uint64_t{4} << 20;
constexpr uint32_t kLvmCrcInitial = 0xf597a6cf;
constexpr uint64_t kUsualAreaAt = 4096;  // of the first metadata area in a physical volume

// The 32 letters of an LVM UUID as LVM prints them: 6-4-4-4-4-4-6. Empty if they are not letters, digits, '!' or '#'.
std::string lvm_uuid(std::string_view letters) {
    const auto is_letter = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '!' || c == '#'; };
    if (letters.size() != 32 || !std::all_of(letters.begin(), letters.end(), is_letter)) return {};
    std::string out(letters);
    for (const size_t dash : {26u, 22u, 18u, 14u, 10u, 6u}) out.insert(dash, 1, '-');
    return out;
}

Identity physical_volume(std::string view) {
    Identity out;
    out.view = out.fs_type = std::move(view);
    out.role = Role::lvm_pv;
    return out;
}

// What is told of a logical volume; `run` is where it lies if it is one run of bytes of this physical volume.
struct LogicalVolume {
    std::string name, uuid;
    uint64_t size_bytes = 0;
    std::optional<ByteRange> run;
    std::string reason;  // why there is no run
};

void add_logical_volumes(const std::string& group, const std::vector<LogicalVolume>& volumes, Identity& out) {
    json listed = json::array();
    std::string in_pieces;
    for (const LogicalVolume& volume : volumes) {
        json entry = {{"name", volume.name}, {"size_bytes", volume.size_bytes}};
        if (!volume.uuid.empty()) entry["uuid"] = volume.uuid;
        if (volume.run) {
            entry["offset"] = volume.run->offset;
            json context = entry;
            context["volume_group"] = group;
            out.holds.push_back({*volume.run, {{"logical_volume", context}}});
        } else {
            entry["not_read"] = volume.reason;
            in_pieces += (in_pieces.empty() ? "" : ", ") + volume.name;
        }
        listed.push_back(entry);
    }
    out.notes["volume_group"] = group;
    out.notes["logical_volumes"] = listed;
    if (!in_pieces.empty())
        out.needs = fmt::format("logical volumes that are not one run of bytes here ({}): activate the group read-only from images of all its physical volumes",
                                in_pieces);
}

// --- LVM2 ---

std::string string_of(const json& section, const char* name) {
    const auto found = section.find(name);
    return found != section.end() && found->is_string() ? found->get<std::string>() : std::string();
}

uint64_t number_of(const json& section, const char* name) {
    const auto found = section.find(name);
    return found != section.end() && found->is_number_integer() && *found >= 0 ? found->get<uint64_t>() : 0;
}

const json& section_of(const json& parent, const char* name) {
    static const json nothing = json::object();
    const auto found = parent.find(name);
    return found != parent.end() && found->is_object() ? *found : nothing;
}

// Bytes of this physical volume that hold the volume, if its segments follow one another there.
LogicalVolume lvm2_volume(const std::string& name, const json& lv, const std::string& our_pv, uint64_t data_at, uint64_t extent_bytes) {
    LogicalVolume out{name, string_of(lv, "id"), 0, {}, ""};
    struct Segment {
        uint64_t start, count, place;
    };
    std::vector<Segment> segments;
    for (const auto& [key, segment] : lv.items()) {
        if (!segment.is_object() || !key.starts_with("segment")) continue;
        const uint64_t start = number_of(segment, "start_extent"), count = number_of(segment, "extent_count");
        const std::string type = string_of(segment, "type");
        out.size_bytes += checked_mul(count, extent_bytes).value_or(0);
        const auto stripes = segment.find("stripes");
        const bool linear = (type == "striped" || type == "linear") && number_of(segment, "stripe_count") == 1 && stripes != segment.end() &&
                            stripes->is_array() && stripes->size() == 2 && (*stripes)[0].is_string() && (*stripes)[1].is_number_integer() && (*stripes)[1] >= 0;
        if (!linear) {
            out.reason = "a segment of type " + (type == "striped" ? "striped over several physical volumes" : type);
        } else if ((*stripes)[0] != our_pv) {
            out.reason = "a segment on another physical volume";
        } else {
            segments.push_back({start, count, (*stripes)[1].get<uint64_t>()});
        }
    }
    if (!out.reason.empty()) return out;
    std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) { return a.start < b.start; });
    uint64_t extents = 0;
    for (const Segment& segment : segments) {
        const bool follows = segment.start == extents && segment.place >= segments.front().place && segment.place - segments.front().place == extents;
        const auto end = checked_add(extents, segment.count);
        if (!follows || !end) {
            out.reason = "its segments do not follow one another";
            return out;
        }
        extents = *end;
    }
    const auto offset = segments.empty() ? std::nullopt : checked_mul(segments.front().place, extent_bytes);
    const auto place = offset ? checked_add(*offset, data_at) : std::nullopt;
    const auto length = checked_mul(extents, extent_bytes);
    if (!place || !length || *length == 0 || !checked_add(*place, *length)) {
        out.reason = "it has no extents";
    } else {
        out.run = ByteRange{*place, *length};
    }
    return out;
}

// The text in one metadata area, whose checksum is right; empty if there is none. `damage` gets what is wrong otherwise.
std::string lvm2_metadata(const ProbeWindow& window, uint64_t area_at, std::string& damage) {
    const ProbeBytes header = window.read(area_at, 512);
    if (!header.has(4, " LVM2 x[5A%r0N*>")) {
        damage = "its metadata area has no header";
        return {};
    }
    if (crc32_over(kLvmCrcInitial, header.text(4, 508)) != header.le32(0)) {
        damage = "the header of its metadata fails its checksum";
        return {};
    }
    const uint64_t area_length = header.le64(32), offset = header.le64(40), length = header.le64(48);
    if (offset == 0 && length == 0) return {};  // in no group yet
    if (offset >= area_length || offset < 512 || length > area_length - 512 || length > kMaxMetadataBytes || !checked_add(area_at, area_length)) {
        damage = "the place of its metadata makes no sense";
        return {};
    }
    // A text that reaches the end of the area goes on behind the header.
    const uint64_t before_wrap = std::min(length, area_length - offset);
    std::string text(window.read(area_at + offset, static_cast<size_t>(before_wrap)).text(0, static_cast<size_t>(before_wrap)));
    const ProbeBytes wrapped = window.read(area_at + 512, static_cast<size_t>(length - before_wrap));
    text += wrapped.text(0, wrapped.size());
    if (crc32_over(kLvmCrcInitial, text) != header.le32(56)) {
        damage = "its metadata fails its checksum";
        return {};
    }
    return text;
}

void read_lvm2_group(const std::string& text, Identity& out) {
    const auto parsed = parse_lvm_text(text);
    if (!parsed.ok()) {
        out.needs = "its metadata cannot be read: " + parsed.error().text();
        return;
    }
    // The group is the one section; values like "contents" stand beside it.
    const auto group = std::find_if(parsed->begin(), parsed->end(), [](const json& value) { return value.is_object(); });
    if (group == parsed->end()) {
        out.needs = "its metadata names no volume group";
        return;
    }
    std::string our_pv;
    uint64_t data_at = 0;
    const json& members = section_of(*group, "physical_volumes");
    for (const auto& [name, pv] : members.items()) {
        // Without its label it is known which one this is if there is no other.
        if (out.uuid.empty() && members.size() == 1 && pv.is_object()) {
            out.uuid = string_of(pv, "id");
            out.size_bytes = checked_mul(number_of(pv, "dev_size"), 512).value_or(0);
        }
        if (!pv.is_object() || string_of(pv, "id") != out.uuid) continue;
        our_pv = name;
        data_at = checked_mul(number_of(pv, "pe_start"), 512).value_or(0);
    }
    const uint64_t extent_bytes = checked_mul(number_of(*group, "extent_size"), 512).value_or(0);
    std::vector<LogicalVolume> volumes;
    for (const auto& [name, lv] : section_of(*group, "logical_volumes").items()) {
        if (!lv.is_object() || static_cast<int>(volumes.size()) >= kMaxLogicalVolumes) continue;
        const auto status = lv.find("status");
        const bool hidden = status != lv.end() && status->is_array() && std::find(status->begin(), status->end(), "VISIBLE") == status->end();
        if (!hidden) volumes.push_back(lvm2_volume(name, lv, our_pv, data_at, extent_bytes));
    }
    out.notes["volume_group_uuid"] = string_of(*group, "id");
    out.notes["extent_bytes"] = extent_bytes;
    out.notes["physical_volumes"] = members.size();
    add_logical_volumes(group.key(), volumes, out);
}

// The label is lost, and the metadata behind it is not.
Found lvm2_without_label(const ProbeWindow& window) {
    std::string damage;
    const std::string text = lvm2_metadata(window, kUsualAreaAt, damage);
    if (text.empty()) return {};
    Identity out = physical_volume("LVM2_member");
    out.notes["label"] = "lost";
    read_lvm2_group(text, out);
    if (out.uuid.empty() && out.needs.empty()) out.needs = "its label is lost, and with it which of the group's physical volumes this is";
    return out;
}

}  // namespace

// Source: lvm2 lib/format_text/layout.h and format-text.c; the label stands in one of the first four sectors. Measured
// against what pvcreate and vgcreate 2.03.16 write.
Found lvm2(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    for (uint64_t sector = 0; sector < 4; ++sector) {
        const uint64_t at = sector * 512;
        if (!head.has(at, "LABELONE") || !head.has(at + 24, "LVM2 001") || head.le64(at + 8) != sector) continue;
        const uint32_t header_at = head.le32(at + 20);
        if (header_at > 512 - 40) continue;
        Identity out = physical_volume("LVM2_member");
        out.uuid = lvm_uuid(head.text(at + header_at, 32));
        out.size_bytes = head.le64(at + header_at + 32);
        // Two lists of areas, each ended by an empty one: first of data, then of metadata.
        uint64_t area = at + header_at + 40;
        while (area + 16 <= at + 512 && head.le64(area) != 0) area += 16;
        std::string damage = "it holds no copy of the metadata";
        for (area += 16; area + 16 <= at + 512 && head.le64(area) != 0; area += 16) {
            damage.clear();
            const std::string text = lvm2_metadata(window, head.le64(area), damage);
            if (text.empty()) continue;
            read_lvm2_group(text, out);
            return out;
        }
        if (!damage.empty()) out.needs = damage + ": images of all physical volumes of the group and vgcfgrestore would help";
        return out;
    }
    return lvm2_without_label(window);
}

// Source: Linux 2.4 include/linux/lvm.h (pv_disk_t, vg_disk_t, lv_disk_t, pe_disk_t); lvm2 lib/format1/disk-rep.h (0 is a
// free extent, else the number of the volume plus one). No system of today reads it; an LV in one piece needs none.
Found lvm1(const ProbeWindow& window) {
    const ProbeBytes& head = window.head();
    const uint16_t version = head.le16(2);
    if (!head.has(0, "HM") || version == 0 || version > 2) return {};
    Identity out = physical_volume("LVM1_member");
    out.uuid = lvm_uuid(head.text(0x2C, 32));
    out.notes["needs_vintage_lvm"] = true;
    const std::string group = label_text(head.text(0xAC, 128));
    const uint64_t volumes_at = head.le32(28), volumes_size = head.le32(32), map_at = head.le32(36), map_size = head.le32(40);
    const uint64_t extent_bytes = uint64_t{head.le32(0x1C4)} * 512, extents = std::min<uint64_t>(head.le32(0x1C8), 65535);
    const uint64_t data_at = version == 2 ? uint64_t{head.le32(0x1D0)} * 512 : map_at + map_size;

    // Where each volume's first extent here stands, how many there are, and whether they follow one another.
    struct Run {
        uint64_t first = 0, count = 0;
        bool whole = true;
    };
    std::vector<Run> runs(kMaxLogicalVolumes);
    const ProbeBytes map = window.read(map_at, static_cast<size_t>(std::min(extents * 4, map_size)));
    for (uint64_t extent = 0; extent * 4 + 4 <= map.size(); ++extent) {
        const uint16_t number = map.le16(extent * 4), logical = map.le16(extent * 4 + 2);
        if (number == 0 || number > kMaxLogicalVolumes) continue;
        Run& run = runs[number - 1u];
        if (run.count == 0) run.first = extent;
        run.whole = run.whole && logical == run.count && extent == run.first + run.count;
        ++run.count;
    }
    constexpr uint64_t kVolumeSize = 328;
    std::vector<LogicalVolume> volumes;
    for (uint64_t i = 0; i < kMaxLogicalVolumes && (i + 1) * kVolumeSize <= volumes_size; ++i) {
        const ProbeBytes lv = window.read(volumes_at + i * kVolumeSize, kVolumeSize);
        const std::string path = label_text(lv.text(0, 128));
        if (path.empty()) continue;
        LogicalVolume volume{path.substr(path.find_last_of('/') + 1), "", uint64_t{lv.le32(288)} * 512, {}, ""};
        const Run& run = runs[i];
        if (lv.le32(304) > 1) {
            volume.reason = "striped over several physical volumes";
        } else if (run.count * extent_bytes < volume.size_bytes || extent_bytes == 0) {
            volume.reason = run.count == 0 ? "on another physical volume" : "partly on another physical volume";
        } else if (!run.whole) {
            volume.reason = "its extents do not follow one another";
        } else {
            volume.run = ByteRange{data_at + run.first * extent_bytes, volume.size_bytes};
        }
        volumes.push_back(std::move(volume));
    }
    add_logical_volumes(group, volumes, out);
    if (volumes.empty()) out.needs = "a system with LVM1 (Linux 2.4, or lvm2 before 2.02.178) would show its logical volumes";
    return out;
}

}  // namespace ntt::probes
