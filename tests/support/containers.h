// Containers of other volumes, byte by byte as their systems write them: these need md or a device mapper in the kernel to
// be made by their own tools. The tests that use them ask mdadm, vslvminfo and blkid whether they are right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ntt::test {

void put_le16(std::string& bytes, size_t at, uint16_t value);
void put_le32(std::string& bytes, size_t at, uint32_t value);
void put_le64(std::string& bytes, size_t at, uint64_t value);

// CRC-32, bit by bit, without inverting: what GPT and LVM2 build on.
uint32_t crc32_bits(uint32_t crc, const std::string& bytes);

// Member `position` of an array of `devices`, with its checksum. `image` has the data at `data_offset` already.
struct MdMember {
    std::string version = "1.2";  // 1.0, 1.1, 1.2 or 0.90
    int32_t level = 1;
    uint32_t devices = 2, position = 0;
    uint64_t data_offset = 1 << 20;  // not for 0.90
    std::string name = "host:0";
    bool spare = false;
};
void write_md_superblock(std::string& image, const MdMember& member);
inline constexpr const char* kMdUuid = "30313233-3435-3637-3839-616263646566";  // of every such array

// A physical volume of LVM2 with the group's text behind "VG {"; extents of 4 MiB from 1 MiB on. Its id in the text is pv0's.
struct Lvm2Segment {
    uint64_t start = 0, count = 0;
    std::string pv = "pv0";
    uint64_t place = 0;
};
struct Lvm2Volume {
    std::string name;
    std::vector<Lvm2Segment> segments;
};
enum class LvmText : uint8_t { plain, wrapped };  // the text goes round the end of its area
void write_lvm2(std::string& image, const std::string& group, const std::vector<Lvm2Volume>& volumes, LvmText place = LvmText::plain);
inline constexpr uint64_t kLvm2DataAt = 1 << 20, kLvm2Extent = 4 << 20;

// A physical volume of LVM1: extents of 4 MiB from 1 MiB on. `map` has for each the volume (from 1; 0 is free) and the
// logical extent.
struct Lvm1Extent {
    uint16_t volume = 0, logical = 0;
};
void write_lvm1(std::string& image, const std::string& group, const std::vector<std::string>& volumes, const std::vector<Lvm1Extent>& map);

}  // namespace ntt::test
