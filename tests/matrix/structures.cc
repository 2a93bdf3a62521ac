#include "matrix/structures.h"

#include <filesystem>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include "support/support.h"

namespace ntt::test {
namespace {

using Ranges = std::vector<ImageRange>;

uint64_t number_after(const std::string& text, const std::string& label) {
    const size_t at = text.find(label);
    EXPECT_NE(at, std::string::npos) << label << " is not in:\n" << text;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + label.size()));
}

// Numbers of blocks, one range each.
Ranges blocks(const std::string& numbers, uint64_t block_size, uint64_t at_most = UINT64_MAX) {
    Ranges out;
    std::istringstream in(numbers);
    for (uint64_t block = 0; out.size() < at_most && in >> block;) out.push_back({block * block_size, block_size});
    return out;
}

// --- anywhere ---

Locator bytes(uint64_t offset, uint64_t length) {
    return [=](const MatrixMedium&) { return Ranges{{offset, length}}; };
}

Locator before_end(uint64_t back, uint64_t length) {
    return [=](const MatrixMedium& m) { return Ranges{{std::filesystem::file_size(m.image) - back, length}}; };
}

// Of the bytes that `whole` says, those from the `index`th of `pieces` equal pieces, in whole sectors.
Locator piece(const Locator& whole, uint64_t index, uint64_t pieces) {
    return [=](const MatrixMedium& m) {
        Ranges out;
        uint64_t total = 0, at = 0;
        const Ranges all = whole(m);
        for (const ImageRange& range : all) total += range.length;
        const uint64_t begin = total / pieces * index / 512 * 512, end = begin + std::max<uint64_t>(total / pieces / 512 * 512, 512);
        for (const ImageRange& range : all) {
            const uint64_t from = std::max(begin, at), to = std::min(end, at + range.length);
            if (from < to) out.push_back({range.offset + from - at, to - from});
            at += range.length;
        }
        return out;
    };
}

Locator both(const Locator& one, const Locator& other) {
    return [=](const MatrixMedium& m) {
        Ranges out = one(m);
        for (const ImageRange& range : other(m)) out.push_back(range);
        return out;
    };
}

// --- FAT: sectors by fsstat ("* FAT 0: 1 - 9") and istat ---

Locator fsstat(const std::string& label) {
    return [=](const MatrixMedium& m) {
        const std::string text = must("fsstat " + shell_quoted(m.image));
        std::smatch found;
        if (!std::regex_search(text, found, std::regex(label + ": (\\d+)(?: - (\\d+))?"))) return Ranges{};
        const uint64_t first = std::stoull(found[1]), last = found[2].matched ? std::stoull(found[2]) : first;
        return Ranges{{first * 512, (last - first + 1) * 512}};
    };
}

Locator fat_directory(const std::string& path) {
    return [=](const MatrixMedium& m) {
        const std::string text =
            must(fmt::format("istat {0} $(ifind -n {1} {0})", shell_quoted(m.image), shell_quoted(path)));
        return blocks(text.substr(text.find("Sectors:") + 8), 512);
    };
}

// --- ext: dumpe2fs ("  Inode table at 214-619 (+213)", the `nth` of them from 0) and debugfs; blocks of 1 KiB ---

Locator dumpe2fs(const std::string& label, int nth = 0) {
    return [=](const MatrixMedium& m) {
        const std::string text = must("dumpe2fs " + shell_quoted(m.image) + " 2>/dev/null");
        const std::regex pattern(label + " at (\\d+)(?:-(\\d+))?");
        auto found = std::sregex_iterator(text.begin(), text.end(), pattern);
        for (int i = 0; i < nth && found != std::sregex_iterator(); ++i) ++found;
        if (found == std::sregex_iterator()) return Ranges{};
        const uint64_t first = std::stoull((*found)[1]), last = (*found)[2].matched ? std::stoull((*found)[2]) : first;
        return Ranges{{first * 1024, (last - first + 1) * 1024}};
    };
}

Locator ext_directory(const std::string& path) {
    return [=](const MatrixMedium& m) { return blocks(must(fmt::format("debugfs -R 'blocks {}' {} 2>/dev/null", path, shell_quoted(m.image))), 1024); };
}

// Blocks that map a file: "(ETB0):1917", "(IND):1918", "(DIND):2100".
Locator mapping_block(const std::string& path, const std::string& kind) {
    return [=](const MatrixMedium& m) {
        const std::string text = must(fmt::format("debugfs -R 'stat \"{}\"' {} 2>/dev/null", path, shell_quoted(m.image)));
        std::smatch found;
        if (!std::regex_search(text, found, std::regex("\\(" + kind + "\\):(\\d+)"))) return Ranges{};
        return Ranges{{std::stoull(found[1]) * 1024, 1024}};
    };
}

// The sectors of the inode table that hold this file's inode and its neighbours.
Locator inode_block(const std::string& path) {
    return [=](const MatrixMedium& m) {
        return Ranges{{number_after(must(fmt::format("debugfs -R 'imap \"{}\"' {} 2>/dev/null", path, shell_quoted(m.image))), "at block ") * 1024, 1024}};
    };
}

// --- NTFS: clusters of 1 KiB that istat lists under an attribute ---

Locator ntfs_attribute(const std::string& path, const std::string& attribute, uint64_t at_most = UINT64_MAX) {
    return [=](const MatrixMedium& m) {
        std::string text = must(fmt::format("istat {0} $(ifind -n {1} {0})", shell_quoted(m.image), shell_quoted(path)));
        const size_t at = text.find("Type: " + attribute);
        if (at == std::string::npos) return Ranges{};
        text = text.substr(text.find('\n', at));
        return blocks(text.substr(0, text.find("Type:")), 1024, at_most);
    };
}

// --- ISO 9660: isoinfo, and for the path tables the descriptor itself (ECMA-119, 8.4.14 to 8.4.18) ---

Locator path_tables(uint64_t descriptor_sector) {
    return [=](const MatrixMedium& m) {
        const std::string sector = read_file(m.image).substr(descriptor_sector * 2048, 2048);
        const auto byte = [&](size_t at) { return static_cast<uint64_t>(static_cast<uint8_t>(sector[at])); };
        const uint64_t little = byte(140) | byte(141) << 8, big = byte(151) | byte(150) << 8;
        return Ranges{{little * 2048, 2048}, {big * 2048, 2048}};
    };
}

// The extent of a directory: its own first entry in isoinfo's listing, "[     28 02]  .".
Locator iso_directory(const std::string& path, const std::string& option = "") {
    return [=](const MatrixMedium& m) {
        const std::string text = must(fmt::format("isoinfo -l {} -i {} 2>&1", option, shell_quoted(m.image)));
        const size_t at = text.find("Directory listing of " + path + "\n");
        if (at == std::string::npos) return Ranges{};
        std::smatch found;
        const std::string listing = text.substr(at);
        if (!std::regex_search(listing, found, std::regex("(\\d+) \\S+ +\\d+ \\d+ \\[ *(\\d+) \\d+\\] +\\. "))) return Ranges{};
        return Ranges{{std::stoull(found[2]) * 2048, std::stoull(found[1])}};
    };
}

// --- HFS+: special files by the volume header (Apple, Technical Note 1150, "Volume Header", "Fork Data Structure") ---

Locator hfs_special(size_t fork_at) {
    return [=](const MatrixMedium& m) {
        const std::string image = read_file(m.image);
        const auto be32 = [&](size_t at) {
            uint64_t value = 0;
            for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(image[1024 + at + i]);
            return value;
        };
        const uint64_t block_size = be32(40);
        Ranges out;
        for (size_t i = 0; i < 8; ++i)
            if (const uint64_t count = be32(fork_at + 16 + i * 8 + 4); count != 0) out.push_back({be32(fork_at + 16 + i * 8) * block_size, count * block_size});
        return out;
    };
}
constexpr size_t kAllocationFile = 112, kExtentsFile = 192, kCatalogFile = 272;

// The `index`th B-tree node of 4 KiB in the catalogue.
Locator catalog_node(uint64_t index) {
    return [=](const MatrixMedium& m) {
        const Ranges catalog = hfs_special(kCatalogFile)(m);
        return catalog.empty() || catalog[0].length < (index + 1) * 4096 ? Ranges{} : Ranges{{catalog[0].offset + index * 4096, 4096}};
    };
}

}  // namespace

const std::vector<Structure>& matrix_structures() {
    static const std::string kPieces = "/letters/in pieces 0.bin";
    static const std::vector<Structure> table{
        {"fat12", "boot sector", bytes(0, 512)},
        {"fat12", "FAT copy 1", fsstat("FAT 0")},
        {"fat12", "FAT copy 2", fsstat("FAT 1")},
        {"fat12", "both FAT copies", both(fsstat("FAT 0"), fsstat("FAT 1"))},
        {"fat12", "both FAT copies, a third", both(piece(fsstat("FAT 0"), 1, 3), piece(fsstat("FAT 1"), 1, 3))},
        {"fat12", "root directory", fsstat("Root Directory")},
        {"fat12", "subdirectory of folders", fat_directory("/letters")},
        {"fat12", "subdirectory, one sector", piece(fat_directory("/many"), 1, 8)},

        {"fat16", "boot sector", bytes(0, 512)},
        {"fat16", "FAT copy 1", fsstat("FAT 0")},
        {"fat16", "FAT copy 2", fsstat("FAT 1")},
        {"fat16", "both FAT copies", both(fsstat("FAT 0"), fsstat("FAT 1"))},
        {"fat16", "both FAT copies, an eighth", both(piece(fsstat("FAT 0"), 1, 8), piece(fsstat("FAT 1"), 1, 8))},
        {"fat16", "root directory", fsstat("Root Directory")},
        {"fat16", "subdirectory", fat_directory("/many")},
        {"fat16", "subdirectory, one sector", piece(fat_directory("/many"), 1, 8)},

        {"fat32", "boot sector", bytes(0, 512)},
        {"fat32", "FS information sector", fsstat("FS Info Sector")},
        {"fat32", "backup boot sector", fsstat("Backup Boot Sector")},
        {"fat32", "boot sector and backup", both(bytes(0, 512), fsstat("Backup Boot Sector"))},
        {"fat32", "FAT copy 1", fsstat("FAT 0")},
        {"fat32", "FAT copy 2", fsstat("FAT 1")},
        {"fat32", "both FAT copies", both(fsstat("FAT 0"), fsstat("FAT 1"))},
        {"fat32", "root directory", fat_directory("/")},
        {"fat32", "subdirectory of folders", fat_directory("/photos")},
        {"fat32", "subdirectory, some sectors", piece(fat_directory("/many"), 1, 4)},

        {"ext2", "superblock", bytes(1024, 1024)},
        {"ext2", "superblock copy", dumpe2fs("Backup superblock")},
        {"ext2", "group descriptors", dumpe2fs("Group descriptors")},
        {"ext2", "superblock and group descriptors", both(bytes(1024, 1024), dumpe2fs("Group descriptors"))},
        {"ext2", "block bitmap", dumpe2fs("Block bitmap")},
        {"ext2", "inode bitmap", dumpe2fs("Inode bitmap")},
        {"ext2", "inode table of a group", dumpe2fs("Inode table")},
        {"ext2", "inode table, one block", inode_block(kPieces)},
        {"ext2", "root directory", ext_directory("/")},
        {"ext2", "subdirectory", ext_directory("/many")},
        {"ext2", "subdirectory, first block", piece(ext_directory("/letters"), 0, 4)},
        {"ext2", "indirect block", mapping_block(kPieces, "IND")},
        {"ext2", "double indirect block", mapping_block("/archive/a/b/c/mailbox", "DIND")},

        {"ext4", "superblock", bytes(1024, 1024)},
        {"ext4", "superblock copy", dumpe2fs("Backup superblock")},
        {"ext4", "group descriptors", dumpe2fs("Group descriptors")},
        {"ext4", "superblock and group descriptors", both(bytes(1024, 1024), dumpe2fs("Group descriptors"))},
        {"ext4", "block bitmap", dumpe2fs("Block bitmap")},
        {"ext4", "inode bitmap", dumpe2fs("Inode bitmap")},
        {"ext4", "inode table of a group", dumpe2fs("Inode table")},
        {"ext4", "inode table, one block", inode_block(kPieces)},
        {"ext4", "root directory", ext_directory("/")},
        {"ext4", "subdirectory", ext_directory("/many")},
        {"ext4", "subdirectory, first block", piece(ext_directory("/letters"), 0, 4)},
        {"ext4", "extent tree block", mapping_block(kPieces, "ETB0")},
        {"ext4", "journal", piece(ext_directory("<8>"), 0, 16)},

        {"ntfs", "boot sector", bytes(0, 512)},
        {"ntfs", "boot sector copy", before_end(512, 512)},
        {"ntfs", "$MFT, first 4 records", ntfs_attribute("/$MFT", "$DATA", 4)},
        {"ntfs", "$MFTMirr", ntfs_attribute("/$MFTMirr", "$DATA")},
        {"ntfs", "$MFT and $MFTMirr", both(ntfs_attribute("/$MFT", "$DATA", 4), ntfs_attribute("/$MFTMirr", "$DATA"))},
        {"ntfs", "$MFT, record of the root directory", piece(ntfs_attribute("/$MFT", "$DATA", 6), 5, 6)},
        {"ntfs", "$MFT, a quarter in the middle", piece(ntfs_attribute("/$MFT", "$DATA"), 2, 4)},
        {"ntfs", "$MFT bitmap", ntfs_attribute("/$MFT", "$BITMAP")},
        {"ntfs", "index of the root directory", ntfs_attribute("/", "$INDEX_ALLOCATION")},
        {"ntfs", "index of a subdirectory", ntfs_attribute("/many", "$INDEX_ALLOCATION")},
        {"ntfs", "index of a subdirectory, one block", ntfs_attribute("/many", "$INDEX_ALLOCATION", 4)},
        {"ntfs", "$Bitmap", ntfs_attribute("/$Bitmap", "$DATA")},
        {"ntfs", "$LogFile", ntfs_attribute("/$LogFile", "$DATA", 64)},

        {"iso9660", "system area", bytes(0, 32'768)},
        {"iso9660", "primary volume descriptor", bytes(16 * 2048, 2048)},
        {"iso9660", "descriptor set terminator", bytes(17 * 2048, 2048)},
        {"iso9660", "path tables", path_tables(16)},
        {"iso9660", "root directory", iso_directory("/")},
        {"iso9660", "directory of folders", iso_directory("/PHOTOS/")},
        {"iso9660", "directory records, second sector", piece(iso_directory("/MANY/"), 1, 3)},

        {"joliet", "primary volume descriptor", bytes(16 * 2048, 2048)},
        {"joliet", "Joliet volume descriptor", bytes(17 * 2048, 2048)},
        {"joliet", "both volume descriptors", bytes(16 * 2048, 4096)},
        {"joliet", "path tables of Joliet", path_tables(17)},
        {"joliet", "root directory of Joliet", iso_directory("/", "-J")},
        {"joliet", "root directory of ISO 9660", iso_directory("/")},
        {"joliet", "directory of folders of Joliet", iso_directory("/photos/", "-J")},
        {"joliet", "directory of folders in both", both(iso_directory("/photos/", "-J"), iso_directory("/PHOTOS/"))},

        {"rockridge", "primary volume descriptor", bytes(16 * 2048, 2048)},
        {"rockridge", "path tables", path_tables(16)},
        {"rockridge", "root directory", iso_directory("/", "-R")},
        {"rockridge", "directory of folders", iso_directory("/photos/", "-R")},
        {"rockridge", "directory records, second sector", piece(iso_directory("/many/", "-R"), 1, 6)},

        {"hfsplus", "volume header", bytes(1024, 512)},
        {"hfsplus", "alternate volume header", before_end(1024, 512)},
        {"hfsplus", "both volume headers", both(bytes(1024, 512), before_end(1024, 512))},
        {"hfsplus", "allocation file", hfs_special(kAllocationFile)},
        {"hfsplus", "extents overflow file", hfs_special(kExtentsFile)},
        {"hfsplus", "catalogue, header node", catalog_node(0)},
        {"hfsplus", "catalogue, first node behind it", catalog_node(1)},
        {"hfsplus", "catalogue, a node in the middle", catalog_node(7)},
        {"hfsplus", "catalogue, a quarter", piece(hfs_special(kCatalogFile), 1, 4)},
    };
    return table;
}

}  // namespace ntt::test
