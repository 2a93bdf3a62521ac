// Disk images made with the tools of the systems they come from, with contents that a test knows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ntt::test {

// Path in the volume -> content.
using Contents = std::map<std::string, std::string>;

// A 1.44 MB FAT12 floppy (mformat, mcopy) with these files, in this order on the medium.
struct NamedContent {
    std::string name;
    std::string bytes;
};
void make_floppy(const std::string& image, const std::vector<NamedContent>& files);

// Byte ranges of the image that hold a file's content, by mtools' own reckoning (mshowfat), in file order.
struct ImageRange {
    uint64_t offset = 0, length = 0;
};
std::vector<ImageRange> place_on_floppy(const std::string& image, const std::string& name);

// The mission's floppy: small files, AliciaMainList.xls of 671,744 bytes, and small files behind it; cut after sector
// 840. What was put in, and the image offset at which each file begins.
struct MissionFloppy {
    std::vector<NamedContent> before, behind;
    NamedContent big;
    uint64_t big_offset = 0;
};
MissionFloppy make_mission_floppy(const std::string& image);

// An ext filesystem of `size_kib` made by mke2fs -d from a folder.
void make_ext(const std::string& image, const std::string& type, uint64_t size_kib, const std::string& folder, const std::string& extra = "");

// A ddrescue mapfile that says `status` of `bad` and + of the rest of `size` bytes.
std::string rescue_map(uint64_t size, const std::vector<ImageRange>& bad, char status);

}  // namespace ntt::test
