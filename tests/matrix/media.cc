#include "matrix/media.h"

#include <unistd.h>

#include <array>
#include <filesystem>

#include <fmt/format.h>

#include "support/support.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

constexpr std::array kFolders{"", "letters", "letters/1994 spring and summer", "photos/roll 1 of the long way home", "archive/a/b/c", "many"};

// Written after some of the fillers were deleted, into the gaps.
constexpr uint32_t kFillers = 48, kFillerSize = 8'000;
std::string filler(uint32_t i) { return fmt::format("fill/filler{:02}.bin", i); }
bool goes(uint32_t i) { return i % 3 != 0; }

// The files that are written at once.
Contents tree(uint32_t generation) {
    Contents out;
    uint32_t seed = generation * 10'000;
    const auto add = [&](const std::string& folder, const std::string& name, size_t size) {
        out[(folder.empty() ? "" : folder + "/") + name] = chosen_bytes(++seed, size);
    };
    for (uint32_t i = 0; i < 3; ++i) add(kFolders[i], fmt::format("empty{}.txt", i), 0);
    for (uint32_t i = 0; i < 90; ++i) add("many", fmt::format("note{:02}.txt", i), 1 + (i * 397 + generation * 131) % 3'000);
    for (uint32_t i = 0; i < 60; ++i)
        add(kFolders[i % 5], fmt::format("a small file with a long name, number {:02}.text", i), 100 + (i * 811 + generation * 57) % 4'000);
    for (uint32_t i = 0; i < 50; ++i) add(kFolders[i % 5], fmt::format("mid{:02}.doc", i), 4'000 + (i * 1'777 + generation * 913) % 20'000);
    for (uint32_t i = 0; i < 9; ++i) add(kFolders[i % 5], fmt::format("large{}.tif", i), 40'000 + i * 9'001 + generation * 1'111);
    add("photos/roll 1 of the long way home", "panorama.tif", 300'000 + generation * 2'048);
    add("archive/a/b/c", "mailbox", (1 << 20) - generation * 4'096);
    return out;
}

Contents written_into_gaps(uint32_t generation) {
    Contents out;
    for (uint32_t i = 0; i < 3; ++i) out[fmt::format("letters/in pieces {}.bin", i)] = chosen_bytes(generation * 10'000 + 9'000 + i, 70'000 + i * 9'000 + generation * 512);
    return out;
}

void write_tree(const std::string& dir, const Contents& contents) {
    for (const auto& [path, bytes] : contents) {
        fs::create_directories((fs::path(dir) / path).parent_path());
        write_file(dir + "/" + path, bytes);
    }
}

void fat(const std::string& image, const std::string& dir, const std::string& mkfs) {
    must(fmt::format("mkfs.fat -i 20260101 {} {} >/dev/null && mcopy -s -i {} tree/* ::", mkfs.substr(0, mkfs.find(';')).insert(0, "-C "), shell_quoted(image) + mkfs.substr(mkfs.find(';') + 1),
                     shell_quoted(image)), dir);
    std::string gone;
    for (uint32_t i = 0; i < kFillers; ++i)
        if (goes(i)) gone += " ::" + filler(i);
    must(fmt::format("mdel -i {0}{1} && mcopy -i {0} gaps/letters/* ::letters", shell_quoted(image), gone), dir);
}

void ext(const std::string& image, const std::string& dir, const std::string& type, uint64_t size_kib) {
    make_ext(image, type, size_kib, dir + "/tree", "-b 1024 -U 01234567-89ab-cdef-0123-456789abcdef -E hash_seed=01234567-89ab-cdef-0123-456789abcdef");
    std::string script;
    for (uint32_t i = 0; i < kFillers; ++i)
        if (goes(i)) script += "rm /" + filler(i) + "\n";
    for (const auto& entry : fs::directory_iterator(dir + "/gaps/letters")) script += fmt::format("write \"{0}\" \"/letters/{1}\"\n", entry.path().string(), entry.path().filename().string());
    write_file(dir + "/script", script);
    must(fmt::format("debugfs -w -f script {} 2>&1", shell_quoted(image)), dir);
}

void ntfs(const std::string& image, const std::string& dir) {
    std::string gone;
    for (uint32_t i = 0; i < kFillers; ++i)
        if (goes(i)) gone += " mnt/" + filler(i);
    must(fmt::format("truncate -s 12M {0} && mkntfs -q -F -s 512 -c 1024 -p 0 -H 16 -S 63 {0} && mkdir -p mnt && ntfs-3g {0} mnt && cp -r tree/. mnt && sync -f mnt &&"
                     " rm{1} && cp gaps/letters/* mnt/letters; e=$?; umount mnt && exit $e", shell_quoted(image), gone), dir);
}

// The HFS+ side of a disc alone: xorriso makes the only HFS+ that Debian's tools can make.
void hfsplus(const std::string& image, const std::string& dir) {
    must("xorriso -as mkisofs -hfsplus -o disc.iso tree 2>&1", dir);
    // "005:  002       0000000128   0000000259   0000000132   Apple_HFS"
    const std::string row = must("mmls -t mac disc.iso | grep Apple_HFS", dir);
    uint64_t start = 0, end = 0;
    EXPECT_EQ(std::sscanf(row.c_str(), "%*s %*s %lu %lu", &start, &end), 2) << row;
    write_file(image, read_file(dir + "/disc.iso").substr(start * 512, (end - start + 1) * 512));
    fs::remove(dir + "/disc.iso");
}

}  // namespace

const std::vector<std::string>& matrix_filesystems() {
    static const std::vector<std::string> all{"fat12", "fat16", "fat32", "ext2", "ext4", "ntfs", "iso9660", "joliet", "rockridge", "hfsplus"};
    return all;
}

std::string missing_tool(const std::string& filesystem) {
    std::vector<std::string> needed{"tsk_recover", "7z", "fsstat", "istat"};
    if (filesystem.starts_with("fat")) needed.insert(needed.end(), {"mkfs.fat", "mcopy"});
    if (filesystem.starts_with("ext")) needed.insert(needed.end(), {"mke2fs", "debugfs"});
    if (filesystem == "ntfs") {
        needed.insert(needed.end(), {"mkntfs", "ntfs-3g"});
        if (::geteuid() != 0 || ::access("/dev/fuse", R_OK | W_OK) != 0) return "a FUSE mount";
    }
    if (filesystem == "iso9660" || filesystem == "joliet" || filesystem == "rockridge") needed.insert(needed.end(), {"genisoimage", "isoinfo"});
    if (filesystem == "hfsplus") needed.insert(needed.end(), {"xorriso", "mmls"});
    for (const std::string& tool : needed)
        if (!have_tool(tool)) return tool;
    return "";
}

MatrixMedium make_matrix_medium(const std::string& filesystem, uint32_t generation, const std::string& dir) {
    MatrixMedium out{filesystem, fmt::format("{}/{}.img", dir, generation), tree(generation)};
    const bool writable = filesystem.starts_with("fat") || filesystem.starts_with("ext") || filesystem == "ntfs";
    const std::string work = fmt::format("{}/work{}", dir, generation);
    fs::create_directories(work);
    if (writable) {
        for (uint32_t i = 0; i < kFillers; ++i) out.contents[filler(i)] = chosen_bytes(generation * 10'000 + 8'000 + i, kFillerSize - generation * 100);
        write_tree(work + "/gaps", written_into_gaps(generation));
    }
    write_tree(work + "/tree", out.contents);
    if (writable) {
        for (uint32_t i = 0; i < kFillers; ++i)
            if (goes(i)) out.contents.erase(filler(i));
        for (auto& [path, bytes] : written_into_gaps(generation)) out.contents[path] = bytes;
    }

    const std::string genisoimage = fmt::format("genisoimage -quiet -V MATRIX -o {} ", shell_quoted(out.image));
    if (filesystem == "fat12") fat(out.image, work, "-F 12 -s 4; 7000");
    else if (filesystem == "fat16") fat(out.image, work, "-F 16 -s 2; 12000");
    else if (filesystem == "fat32") fat(out.image, work, "-F 32 -s 1; 34000");
    else if (filesystem == "ext2") ext(out.image, work, "ext2", 26'000);
    else if (filesystem == "ext4") ext(out.image, work, "ext4", 26'000);
    else if (filesystem == "ntfs") ntfs(out.image, work);
    else if (filesystem == "iso9660") must(genisoimage + "tree", work);
    else if (filesystem == "joliet") must(genisoimage + "-J -joliet-long tree", work);
    else if (filesystem == "rockridge") must(genisoimage + "-R tree", work);
    else if (filesystem == "hfsplus") hfsplus(out.image, work);
    else ADD_FAILURE() << "no such filesystem in the matrix: " << filesystem;
    fs::remove_all(work);
    return out;
}

}  // namespace ntt::test
