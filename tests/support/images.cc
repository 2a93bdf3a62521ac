#include "support/images.h"

#include <fmt/format.h>

#include "support/support.h"

namespace ntt::test {

void make_floppy(const std::string& image, const std::vector<NamedContent>& files) {
    const TempDir files_dir;
    must(fmt::format("mformat -C -f 1440 -N 12345678 -i {} ::", shell_quoted(image)));
    for (const NamedContent& file : files) {
        write_file(files_dir / "content", file.bytes);
        must(fmt::format("mcopy -i {} {} {}", shell_quoted(image), shell_quoted(files_dir / "content"), shell_quoted("::" + file.name)));
    }
}

std::vector<ImageRange> place_on_floppy(const std::string& image, const std::string& name) {
    // "::/A.TXT <2-81> <90>": clusters of one sector; cluster 2 is sector 33 of a 1.44 MB floppy.
    const std::string line = must(fmt::format("mshowfat -i {} {}", shell_quoted(image), shell_quoted("::" + name)));
    std::vector<ImageRange> out;
    for (size_t at = line.find('<'); at != std::string::npos; at = line.find('<', at + 1)) {
        const uint64_t first = std::stoull(line.substr(at + 1));
        const size_t dash = line.find('-', at), close = line.find('>', at);
        const uint64_t last = dash < close ? std::stoull(line.substr(dash + 1)) : first;
        out.push_back({(first + 31) * 512, (last - first + 1) * 512});
    }
    EXPECT_FALSE(out.empty()) << line;
    return out;
}

MissionFloppy make_mission_floppy(const std::string& image) {
    MissionFloppy out;
    for (uint32_t i = 0; i < 3; ++i) out.before.push_back({fmt::format("REPORT{}.DOC", i), chosen_bytes(i, 40'000 + 1000 * i)});
    out.big = {"AliciaMainList.xls", chosen_bytes(100, 671'744)};
    for (uint32_t i = 0; i < 2; ++i) out.behind.push_back({fmt::format("LETTER{}.TXT", i), chosen_bytes(200 + i, 5000)});
    std::vector<NamedContent> all = out.before;
    all.push_back(out.big);
    all.insert(all.end(), out.behind.begin(), out.behind.end());
    make_floppy(image, all);
    out.big_offset = place_on_floppy(image, out.big.name).front().offset;
    std::filesystem::resize_file(image, 841 * 512);
    return out;
}

void make_ext(const std::string& image, const std::string& type, uint64_t size_kib, const std::string& folder, const std::string& extra) {
    must(fmt::format("mke2fs -q -F -t {} {} -d {} {} {}", type, extra, shell_quoted(folder), shell_quoted(image), size_kib));
}

std::string rescue_map(uint64_t size, const std::vector<ImageRange>& bad, char status) {
    std::string out = "# Mapfile. Created by GNU ddrescue version 1.27\n# current_pos  current_status  current_pass\n0x00000000     +               1\n";
    uint64_t at = 0;
    const auto block = [&](uint64_t end, char s) {
        if (end > at) out += fmt::format("0x{:08X}  0x{:08X}  {}\n", at, end - at, s);
        at = end;
    };
    for (const ImageRange& range : bad) {
        block(range.offset, '+');
        block(range.offset + range.length, status);
    }
    block(size, '+');
    return out;
}

}  // namespace ntt::test
