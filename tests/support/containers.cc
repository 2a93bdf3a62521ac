#include "support/containers.h"

#include <algorithm>

#include <fmt/format.h>

namespace ntt::test {

namespace {

void put(std::string& bytes, size_t at, uint64_t value, size_t length) {
    for (size_t i = 0; i < length; ++i) bytes.at(at + i) = static_cast<char>(value >> (8 * i));
}

uint32_t le32(const std::string& bytes, size_t at) {
    uint32_t out = 0;
    for (size_t i = 4; i-- > 0;) out = out << 8 | static_cast<uint8_t>(bytes.at(at + i));
    return out;
}

uint32_t folded(uint64_t sum) { return static_cast<uint32_t>((sum & 0xFFFFFFFF) + (sum >> 32)); }

void put_text(std::string& bytes, size_t at, const std::string& text) { bytes.replace(at, text.size(), text); }

}  // namespace

void put_le16(std::string& bytes, size_t at, uint16_t value) { put(bytes, at, value, 2); }
void put_le32(std::string& bytes, size_t at, uint32_t value) { put(bytes, at, value, 4); }
void put_le64(std::string& bytes, size_t at, uint64_t value) { put(bytes, at, value, 8); }

uint32_t crc32_bits(uint32_t crc, const std::string& bytes) {
    for (const char c : bytes) {
        crc ^= static_cast<uint8_t>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return crc;
}

void write_md_superblock(std::string& image, const MdMember& member) {
    constexpr uint32_t kMagic = 0xa92b4efc;
    std::string super(4096, '\0');
    put_le32(super, 0, kMagic);
    if (member.version == "0.90") {
        const size_t at = (image.size() & ~size_t{65535}) - 65536;
        const auto word = [&](size_t index, uint32_t value) { put_le32(super, index * 4, value); };
        word(2, 90);
        word(5, 0x30313233);  // the UUID in four numbers
        word(13, 0x34353637);
        word(14, 0x38396162);
        word(15, 0x63646566);
        word(7, static_cast<uint32_t>(member.level));
        word(8, static_cast<uint32_t>(at / 1024));
        word(9, member.devices);
        word(10, member.devices);
        word(33, 1);
        word(992, member.position);
        word(995, member.position);
        word(996, member.spare ? 0 : 6);  // active, in sync
        uint64_t sum = 0;
        for (size_t i = 0; i < 1024; ++i) sum += le32(super, i * 4);
        word(38, folded(sum));
        image.replace(at, 4096, super);
        return;
    }
    const bool at_end = member.version == "1.0";
    const size_t at = at_end ? ((image.size() / 512 - 16) & ~size_t{7}) * 512 : member.version == "1.1" ? 0 : 4096;
    const uint64_t data_offset = at_end ? 0 : member.data_offset, data_length = (at_end ? at : image.size()) - data_offset;
    put_le32(super, 4, 1);
    put_text(super, 16, "0123456789abcdef");
    put_text(super, 32, member.name);
    put_le32(super, 72, static_cast<uint32_t>(member.level));
    put_le64(super, 80, data_length / 512);
    put_le32(super, 92, member.devices);
    put_le64(super, 128, data_offset / 512);
    put_le64(super, 136, data_length / 512);
    put_le64(super, 144, at / 512);
    put_le32(super, 160, member.position);
    put_text(super, 168, "fedcba9876543210");
    put_le64(super, 208, UINT64_MAX);
    put_le32(super, 220, member.devices);
    for (uint32_t i = 0; i < member.devices; ++i)
        put_le16(super, 256 + i * 2, member.spare && i == member.position ? 0xFFFF : static_cast<uint16_t>(i));
    uint64_t sum = 0;
    const size_t end = 256 + size_t{member.devices} * 2;
    for (size_t i = 0; i + 4 <= end; i += 4) sum += le32(super, i);
    if (end % 4 != 0) sum += le32(super, end - 2) & 0xFFFF;
    put_le32(super, 216, folded(sum));
    image.replace(at, 4096, super);
}

void write_lvm2(std::string& image, const std::string& group, const std::vector<Lvm2Volume>& volumes, LvmText place) {
    constexpr uint32_t kInitial = 0xf597a6cf;
    std::string text = group + " {\nid = \"de62zH-2ODn-8Hlp-jgvp-WwPm-RRSx-4NM6G0\"\nseqno = 2\nformat = \"lvm2\"\n"
                               "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nextent_size = 8192\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\n\nphysical_volumes {\n";
    const bool two = std::any_of(volumes.begin(), volumes.end(), [](const Lvm2Volume& volume) {
        return std::any_of(volume.segments.begin(), volume.segments.end(), [](const Lvm2Segment& segment) { return segment.pv == "pv1"; });
    });
    for (const char* pv : {"pv0", "pv1"})
        if (pv == std::string("pv0") || two) text += fmt::format("\n{0} {{\nid = \"{1}\"\ndevice = \"/dev/sdx\"\t# Hint only\n\nstatus = [\"ALLOCATABLE\"]\nflags = []\ndev_size = {2}\npe_start = 2048\npe_count = {3}\n}}\n",
                            pv, pv == std::string("pv0") ? "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF" : "FEDCBA-ghij-klmn-opqr-stuv-wxyz-ABCDEF", image.size() / 512,
                            (image.size() - kLvm2DataAt) / kLvm2Extent);
    text += "}\n\nlogical_volumes {\n";
    for (size_t i = 0; i < volumes.size(); ++i) {
        text += fmt::format("\n{} {{\nid = \"lvlvlv-{:04}-cccc-dddd-eeee-ffff-gggggg\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\ncreation_time = 1795578996\n"
                            "creation_host = \"host\"\nsegment_count = {}\n", volumes[i].name, i, volumes[i].segments.size());
        for (size_t s = 0; s < volumes[i].segments.size(); ++s) {
            const Lvm2Segment& segment = volumes[i].segments[s];
            text += fmt::format("\nsegment{} {{\nstart_extent = {}\nextent_count = {}\n\ntype = \"striped\"\nstripe_count = 1\t# linear\n\nstripes = [\n\"{}\", {}\n]\n}}\n", s + 1,
                                segment.start, segment.count, segment.pv, segment.place);
        }
        text += "}\n";
    }
    text += "}\n\n}\n# Generated by a test\ncontents = \"Text Format Volume Group\"\nversion = 1\n";
    text.push_back('\0');

    std::string label(512, '\0');
    put_text(label, 0, "LABELONE");
    put_le64(label, 8, 1);
    put_le32(label, 20, 32);
    put_text(label, 24, "LVM2 001abcdefghijklmnopqrstuvwxyzABCDEF");
    put_le64(label, 64, image.size());
    put_le64(label, 72, kLvm2DataAt);
    put_le64(label, 104, 4096);
    put_le64(label, 112, kLvm2DataAt - 4096);
    put_le32(label, 16, crc32_bits(kInitial, label.substr(20)));
    image.replace(512, 512, label);

    const uint64_t area = kLvm2DataAt - 4096, text_at = place == LvmText::wrapped ? area - 100 : 1024;
    std::string header(512, '\0');
    put_text(header, 4, " LVM2 x[5A%r0N*>");
    put_le32(header, 20, 1);
    put_le64(header, 24, 4096);
    put_le64(header, 32, area);
    put_le64(header, 40, text_at);
    put_le64(header, 48, text.size());
    put_le32(header, 56, crc32_bits(kInitial, text));
    put_le32(header, 0, crc32_bits(kInitial, header.substr(4)));
    image.replace(4096, 512, header);
    const size_t first = place == LvmText::wrapped ? 100 : text.size();
    image.replace(4096 + text_at, first, text.substr(0, first));
    image.replace(4096 + 512, text.size() - first, text.substr(first));
}

void write_lvm1(std::string& image, const std::string& group, const std::vector<std::string>& volumes, const std::vector<Lvm1Extent>& map) {
    constexpr uint32_t kVolumesAt = 0xB000, kVolumeSize = 328, kMapAt = 0x20000, kDataAt = 1 << 20;
    std::string head(kDataAt, '\0');
    put_text(head, 0, std::string("HM\x02\0", 4));  // version 2
    const std::vector<uint32_t> areas = {0, 1024, 0x1000, 0x400, 0x1800, 256 * 128, kVolumesAt, 256 * kVolumeSize, kMapAt, kDataAt - kMapAt};
    for (size_t i = 0; i < areas.size(); ++i) put_le32(head, 4 + i * 4, areas[i]);
    put_text(head, 0x2C, "QCDA5yabcdefghijklmnopqrstuvwxyz");
    put_text(head, 0xAC, group);
    put_le32(head, 0x1BC, static_cast<uint32_t>(image.size() / 512));
    put_le32(head, 0x1C0, static_cast<uint32_t>(volumes.size()));
    put_le32(head, 0x1C4, 8192);
    put_le32(head, 0x1C8, static_cast<uint32_t>(map.size()));
    put_le32(head, 0x1D0, kDataAt / 512);
    for (size_t i = 0; i < volumes.size(); ++i) {
        const size_t at = kVolumesAt + i * kVolumeSize;
        put_text(head, at, "/dev/" + group + "/" + volumes[i]);
        put_text(head, at + 128, group);
        put_le32(head, at + 272, static_cast<uint32_t>(i));
        const auto extents = std::count_if(map.begin(), map.end(), [&](const Lvm1Extent& e) { return e.volume == i + 1; });
        put_le32(head, at + 288, static_cast<uint32_t>(extents) * 8192);
        put_le32(head, at + 304, 1);
    }
    for (size_t i = 0; i < map.size(); ++i) {
        put_le16(head, kMapAt + i * 4, map[i].volume);
        put_le16(head, kMapAt + i * 4 + 2, map[i].logical);
    }
    image.replace(0, head.size(), head);
}

}  // namespace ntt::test
