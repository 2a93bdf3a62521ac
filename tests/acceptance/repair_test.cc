// Repairs without writing: a structure is lost, what the medium has elsewhere stands in for it, and every content that comes
// out is one that was put in. The image stays as it was.
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <random>
#include <set>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/exfat_image.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }
std::string zeros(size_t count) { return std::string(count, '\0'); }

// An image whose files are known, and one ingest of it.
class Medium {
public:
    std::string file(const std::string& name) const { return dir_ / name; }
    std::string image() const { return file("m.img"); }
    std::string tool(const std::string& command) const { return must(command, dir_.path().string()); }

    // A file of `size` chosen bytes in the folder, to be copied in by `command` with {} for its name.
    void put(const std::string& path, const std::string& bytes, const std::string& command) {
        write_file(file("content"), bytes);
        tool(fmt::format(fmt::runtime(command), path));
        contents[path] = bytes;
    }
    void map_unread(const std::vector<ImageRange>& ranges, char status = '-') {
        write_file(image() + ".map", rescue_map(std::filesystem::file_size(image()), ranges, status));
    }
    void lose(uint64_t offset, const std::string& bytes) { patch_file(image(), offset, bytes); }

    Contents contents;

private:
    TempDir dir_;
};

// Every file is stored with what was put in, the repair stands in catalog and findings, and the image is as it was.
void expect_all_given_back(Medium& medium, const std::string& repair, const std::string& from = "") {
    const std::string before = read_file(medium.image());
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", medium.image(), "--name", "m"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const auto files = ntt.files("m");
    EXPECT_EQ(files.size(), medium.contents.size());
    for (const auto& [path, bytes] : medium.contents) {
        ASSERT_TRUE(files.contains(path)) << path;
        EXPECT_EQ(files.at(path)["status"], "stored") << path;
        EXPECT_EQ(files.at(path)["blobid"], b3(bytes)) << path;
    }
    EXPECT_EQ(ntt.sql("SELECT DISTINCT json_extract(r.value, '$.repair') FROM volume, json_each(detail, '$.repairs') r ORDER BY 1"), repair);
    EXPECT_NE(ntt.sql("SELECT group_concat(json_extract(r.value, '$.from')) FROM volume, json_each(detail, '$.repairs') r").find(from), std::string::npos);
    EXPECT_NE(ntt.sql("SELECT count(*) FROM finding WHERE code = 'repaired'"), "0\n");
    // The bytes that were replaced are those that stand in the image.
    const std::string shown = ntt.sql("SELECT json_extract(p.value, '$.offset') || ' ' || json_extract(p.value, '$.length') || ' ' || json_extract(p.value, '$.replaced') "
                                      "FROM volume, json_each(detail, '$.repairs') r, json_each(r.value, '$.patches') p LIMIT 1");
    uint64_t offset = 0, length = 0;
    char hex[4096] = {};
    ASSERT_EQ(std::sscanf(shown.c_str(), "%lu %lu %4000s", &offset, &length, hex), 3) << shown;
    EXPECT_EQ(hex, to_hex(as_bytes(before.substr(offset, std::min<uint64_t>(length, 1024)))));
    // Another run finds nothing new to do, and verify agrees.
    EXPECT_EQ(ntt.run({"ingest", medium.image(), "--name", "m"}).exit, 0);
    EXPECT_EQ(ntt.run({"verify"}).exit, 0);
    EXPECT_EQ(read_file(medium.image()), before);
}

// As it was before there were repairs: nothing is read.
void expect_nothing_without_repair(const Medium& medium) {
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", medium.image(), "--name", "m", "--no-repair"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "0\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'repaired'"), "0\n");
}

std::string boot_sector_problem(const Medium& medium) {
    Ntt ntt;
    ntt.run({"ingest", medium.image()});
    return ntt.sql("SELECT json_extract(problems, '$.boot_sector_corruption') FROM medium");
}

// --- FAT12: made from what the floppy shows ---

struct Floppy : Medium {
    explicit Floppy(const std::string& format) { tool("mformat -C -i m.img " + format + " ::"); }
    void add(const std::string& path, const std::string& bytes) { put(path, bytes, "mcopy -i m.img content ::{}"); }
    void add_folder(const std::string& path) { tool("mmd -i m.img ::" + path); }
};

// The mission's pattern 2, field case V17: "without boot sector, filesystem cannot be mounted".
TEST(FieldCase_V17_Repaired, of_every_standard_floppy_is_made_anew_in_memory_and_the_files_come_back) {
    NTT_NEED_TOOL("mformat");
    for (const int kib : {160, 180, 320, 360, 720, 1200, 1440, 2880}) {
        SCOPED_TRACE(kib);
        Floppy floppy(fmt::format("-f {}", kib));
        for (uint32_t i = 0; i < 3; ++i) floppy.add(fmt::format("F{}.BIN", i), chosen_bytes(i + 7, 9000 + i));
        floppy.lose(0, std::string(512, kib % 160 == 0 ? '\0' : '\x5A'));
        floppy.map_unread({{0, 512}});
        expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n", fmt::format("the standard format of {} KiB", kib));
        expect_nothing_without_repair(floppy);
        EXPECT_EQ(boot_sector_problem(floppy), "1\n");
    }
}

TEST(FieldCase_V17_Repaired, is_found_by_content_as_well_without_a_map) {
    NTT_NEED_TOOL("mformat");
    for (const std::string& garbage : {zeros(512), std::string(512, '\xF6'), chosen_bytes(3, 512), chosen_bytes(4, 510) + "\x55\xAA"}) {
        Floppy floppy("-f 1440");
        floppy.add_folder("LETTERS");
        floppy.add("LETTERS/A.TXT", chosen_bytes(1, 3000));
        floppy.add("B.TXT", chosen_bytes(2, 100));
        floppy.lose(0, garbage);
        expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n");
        EXPECT_EQ(boot_sector_problem(floppy), "1\n");
    }
}

TEST(LostBootSector, is_made_anew_for_unusual_roots_and_clusters_too_and_never_by_assuming_a_standard_format) {
    NTT_NEED_TOOL("mformat");
    for (const char* format : {"-f 1440 -r 28", "-f 1440 -r 7", "-f 1440 -c 2", "-f 1440 -r 1 -c 4", "-t 80 -h 2 -s 21 -r 1 -c 4", "-f 720 -c 1"}) {
        SCOPED_TRACE(format);
        Floppy floppy(format);
        floppy.add("A.DAT", chosen_bytes(1, 20'000));
        floppy.add("B.DAT", chosen_bytes(2, 700));
        floppy.lose(0, zeros(512));
        expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n");
    }
}

TEST(LostBootSector, is_not_made_anew_where_nothing_proves_where_the_files_lie) {
    NTT_NEED_TOOL("mformat");
    // All that stands in the first sectors of the file is what an unused root directory holds.
    Floppy floppy("-f 1440 -r 1");
    floppy.add("A.DAT", zeros(13 * 512) + chosen_bytes(1, 3000));
    floppy.lose(0, zeros(512));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 3);
    EXPECT_TRUE(ntt.files("m").empty());
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'repair_unproven'"), "1\n");
}

TEST(LostBootSector, of_a_standard_floppy_that_was_in_use_before_is_made_anew) {
    NTT_NEED_TOOL("mformat");
    for (const auto& [kib, data_at] : {std::pair<int, uint64_t>{360, 12}, {720, 14}, {1440, 33}}) {
        SCOPED_TRACE(kib);
        Floppy floppy(fmt::format("-f {}", kib));
        std::string old;
        while (old.size() < static_cast<size_t>(kib) * 1024) old += "something else that somebody wrote before\r\n";
        floppy.lose(data_at * 512, old.substr(0, static_cast<size_t>(kib) * 1024 - data_at * 512));
        for (uint32_t i = 0; i < 3; ++i) floppy.add(fmt::format("LETTER{}.TXT", i), chosen_bytes(i + 1, 3000 + 700 * i));
        floppy.lose(0, zeros(512));
        expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n");
    }
}

TEST(LostBootSector, with_one_FAT_or_the_start_of_one_lost_too_is_made_anew) {
    NTT_NEED_TOOL("mformat");
    for (const uint64_t also : {uint64_t{512}, uint64_t{512 * 10}}) {
        Floppy floppy("-f 1440");
        floppy.add_folder("D");
        for (uint32_t i = 0; i < 4; ++i) floppy.add(fmt::format("D/F{}.BIN", i), chosen_bytes(i + 1, 30'000));
        floppy.lose(0, zeros(512));
        floppy.lose(also, zeros(512));
        floppy.map_unread({{0, 512}, {also, 512}});
        expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n");
    }
}

TEST(LostBootSector, that_was_not_read_is_not_believed_where_the_files_prove_another_layout) {
    NTT_NEED_TOOL("mformat");
    Floppy floppy("-f 1440 -r 28");
    floppy.add_folder("D");
    floppy.add("D/A.DAT", chosen_bytes(1, 20'000));
    floppy.add("B.DAT", chosen_bytes(2, 9000));
    Floppy other("-f 1440");
    floppy.lose(0, read_file(other.image()).substr(0, 512));  // what the image file held before
    floppy.map_unread({{0, 512}});
    expect_all_given_back(floppy, "fat_boot_sector_rebuilt\n");
}

// Any layout, any files, old data below or not: what is stored is always what was put in.
TEST(LostBootSector, never_gives_a_wrong_content_over_a_grid_of_layouts) {
    NTT_NEED_TOOL("mformat");
    std::mt19937 random(20);
    const auto up_to = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    uint32_t given_back = 0, all = 0;
    for (int round = 0; round < 60; ++round) {
        const std::string size = round % 3 == 0 ? "-f 720" : "-f 1440";
        const std::string format = fmt::format("{}{}{}", size, up_to(2) ? fmt::format(" -r {}", 1 + up_to(32)) : "", up_to(2) ? fmt::format(" -c {}", 1u << up_to(4)) : "");
        SCOPED_TRACE(fmt::format("round {} {}", round, format));
        Floppy floppy(up_to(2) ? format : size);
        for (uint32_t i = 0; i < up_to(5); ++i) floppy.add(fmt::format("OLD{}.DAT", i), chosen_bytes(up_to(UINT32_MAX), 1 + up_to(60'000)));
        floppy.contents.clear();
        floppy.tool("mformat -i m.img " + format + " ::");  // leaves the data of before
        const bool folder = up_to(3) == 0;
        if (folder) floppy.add_folder("D");
        for (uint32_t i = 0; i < 1 + up_to(6); ++i) {
            const std::string path = fmt::format("{}F{}.DAT", folder && up_to(2) ? "D/" : "", i);
            const uint32_t kind = up_to(3);
            floppy.add(path, (kind == 0 ? zeros(size_t{512} * up_to(20)) : "") + chosen_bytes(up_to(UINT32_MAX), 1 + up_to(kind == 1 ? 500 : 20'000)));
        }
        floppy.lose(0, zeros(512));
        Ntt ntt;
        ntt.run({"ingest", floppy.image(), "--name", "m"});
        all += static_cast<uint32_t>(floppy.contents.size());
        for (const auto& [path, file] : ntt.files("m")) {
            if (file["status"] != "stored") continue;
            ASSERT_TRUE(floppy.contents.contains(path)) << path;
            ASSERT_EQ(file["blobid"], b3(floppy.contents.at(path))) << path;
            ++given_back;
        }
    }
    EXPECT_GT(given_back, all / 3);  // old data often leaves it unproven
}

// --- FAT32 ---

TEST(LostBootSector, of_FAT32_is_read_from_its_backup_wherever_that_stands) {
    NTT_NEED_TOOL("mkfs.fat");
    NTT_NEED_TOOL("mcopy");
    for (const char* options : {"", "-b 2", "-b 11"}) {
        SCOPED_TRACE(options);
        for (const bool garbage : {false, true}) {
            Medium medium;
            medium.tool(fmt::format("truncate -s 40M m.img && mkfs.fat -F 32 {} m.img", options));
            for (uint32_t i = 0; i < 4; ++i) medium.put(fmt::format("F{}.BIN", i), chosen_bytes(i + 1, 30'000), "mcopy -i m.img content ::{}");
            medium.lose(0, garbage ? chosen_bytes(9, 512) : zeros(512));
            if (!garbage) medium.map_unread({{0, 512}});
            expect_all_given_back(medium, "fat_boot_sector_from_backup\n", "the backup boot sector");
            expect_nothing_without_repair(medium);
            EXPECT_EQ(boot_sector_problem(medium), "1\n");
        }
    }
}

TEST(LostBootSector, of_FAT32_with_the_sector_behind_it_is_read_from_its_backup) {
    NTT_NEED_TOOL("mkfs.fat");
    Medium medium;
    medium.tool("truncate -s 40M m.img && mkfs.fat -F 32 m.img");
    medium.put("F.BIN", chosen_bytes(1, 30'000), "mcopy -i m.img content ::{}");
    medium.lose(0, zeros(1024));
    medium.map_unread({{0, 1024}});
    expect_all_given_back(medium, "fat_boot_sector_from_backup\n");
    medium.lose(6 * 512, zeros(512));
    EXPECT_EQ(boot_sector_problem(medium), "1\n") << "nor is it called erased";
    Ntt ntt;
    ntt.run({"ingest", medium.image()});
    EXPECT_EQ(ntt.sql("SELECT json_extract(problems, '$.erased_disk') FROM medium"), "\n");
}

TEST(LostBootSector, of_FAT32_in_a_partition_leaves_the_other_partition_alone) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mkfs.fat");
    Medium medium;
    medium.tool("truncate -s 90M m.img && printf 'start=2048,size=90112,type=c\\nstart=92160,size=90112,type=c\\n' | sfdisk -q m.img");
    for (const char* offset : {"2048", "92160"}) medium.tool(fmt::format("mkfs.fat -F 32 --offset {} m.img 45056", offset));
    for (uint32_t part = 1; part <= 2; ++part) {
        write_file(medium.file("content"), chosen_bytes(part, 30'000));
        medium.tool(fmt::format("mcopy -i m.img@@{}K content ::A{}.BIN", part == 1 ? 1024 : 46080, part));
        medium.contents[fmt::format("A{}.BIN", part)] = chosen_bytes(part, 30'000);
    }
    medium.lose(92160 * 512, zeros(512));
    expect_all_given_back(medium, "fat_boot_sector_from_backup\n");
}

// --- exFAT ---

struct ExfatDisk : Medium {
    ExfatDisk() {
        ExfatImage disk;
        for (uint32_t i = 0; i < 4; ++i) {
            const std::string name = fmt::format("file {}", i);
            contents[name] = chosen_bytes(i + 1, 20'000 + i);
            entries.push_back(disk.add_file(name, contents[name]));
        }
        write(disk);
    }
    void write(const ExfatImage& disk) const { write_file(image(), disk.bytes); }
    std::vector<ExfatImage::Entry> entries;
};

TEST(LostBootSector, of_exFAT_is_read_from_the_backup_boot_region) {
    NTT_NEED_TOOL("mkfs.exfat");
    for (const bool by_map : {false, true}) {
        ExfatDisk medium;
        medium.lose(0, by_map ? zeros(512) : chosen_bytes(5, 512));
        if (by_map) medium.map_unread({{0, 512}});
        expect_all_given_back(medium, "exfat_boot_sector_from_backup\n");
        expect_nothing_without_repair(medium);
    }
    // Wrong numbers in a sector that looks like a boot sector.
    ExfatDisk wrong;
    wrong.lose(88, std::string("\x77", 1));
    expect_all_given_back(wrong, "exfat_boot_sector_from_backup\n");
    // A backup that does not fit its checksum is none.
    ExfatDisk both;
    both.lose(0, zeros(512));
    both.lose(12 * 512 + 100, "?");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", both.image()}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'repaired'"), "0\n");
}

TEST(CrossLinks, of_exFAT_are_judged_as_those_of_FAT) {
    NTT_NEED_TOOL("mkfs.exfat");
    ExfatDisk medium;
    ExfatImage disk = ExfatImage();
    disk.bytes = read_file(medium.image());
    disk.set_in_stream(medium.entries[1], ExfatImage::kFirstCluster, medium.entries[2].cluster, 4);
    disk.mend_checksum(medium.entries[1]);
    medium.write(disk);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", medium.image(), "--name", "m"}).exit, 3);
    const auto files = ntt.files("m");
    for (const char* name : {"file 1", "file 2"}) {  // both fit
        EXPECT_NE(files.at(name)["status"], "stored") << name;
        EXPECT_EQ(files.at(name)["cause"], "CROSS_LINK") << name;
    }
    for (const char* name : {"file 0", "file 3"}) EXPECT_EQ(files.at(name)["blobid"], b3(medium.contents.at(name))) << name;
}

// --- NTFS ---

struct NtfsDisk : Medium {
    NtfsDisk() {
        tool("truncate -s 12M m.img && mkntfs -q -F m.img");
        for (uint32_t i = 0; i < 4; ++i) put(fmt::format("f{}", i), chosen_bytes(i + 1, i == 0 ? 200 : 20'000), "ntfscp -q -f m.img content {}");
        const std::string boot = read_file(image()).substr(0, 512);
        const auto le64 = [&](size_t at) {
            uint64_t out = 0;
            for (size_t i = 8; i-- > 0;) out = out << 8 | static_cast<uint8_t>(boot[at + i]);
            return out;
        };
        mft = le64(48) * 4096;
    }
    uint64_t mft = 0;
};

TEST(LostBootSector, of_NTFS_is_read_from_the_volumes_last_sector) {
    NTT_NEED_TOOL("ntfscp");
    for (const bool by_map : {false, true}) {
        NtfsDisk medium;
        medium.lose(0, by_map ? zeros(512) : chosen_bytes(5, 512));
        if (by_map) medium.map_unread({{0, 512}});
        expect_all_given_back(medium, "ntfs_boot_sector_from_backup\n");
        expect_nothing_without_repair(medium);
        EXPECT_EQ(boot_sector_problem(medium), "1\n");
    }
    // The image holds more than the volume.
    NtfsDisk longer;
    longer.tool("truncate -s +100K m.img");
    longer.lose(0, zeros(512));
    expect_all_given_back(longer, "ntfs_boot_sector_from_backup\n");
}

TEST(LostMftRecords, are_read_from_the_mirror) {
    NTT_NEED_TOOL("ntfscp");
    for (const int kind : {0, 1, 2}) {
        SCOPED_TRACE(kind);
        NtfsDisk medium;
        if (kind == 0) medium.lose(medium.mft, zeros(4096));
        if (kind == 1) medium.lose(medium.mft + 510, "\xAB\xCD");  // one sector is of another time than the record
        if (kind == 2) {  // what the image file held before is a sound record, and another one
            medium.lose(medium.mft, read_file(medium.image()).substr(medium.mft + 1024, 1024));
            medium.map_unread({{medium.mft, 1024}}, '/');
        }
        expect_all_given_back(medium, "ntfs_records_from_mirror\n");
    }
    NtfsDisk both;
    both.lose(0, zeros(512));
    both.lose(both.mft, zeros(1024));
    expect_all_given_back(both, "ntfs_boot_sector_from_backup\nntfs_records_from_mirror\n");
    expect_nothing_without_repair(both);
}

// --- HFS+ ---

TEST(LostVolumeHeader, of_HFS_plus_is_read_from_the_alternate_one) {
    NTT_NEED_TOOL("xorriso");
    for (const bool by_map : {false, true}) {
        Medium medium;
        std::filesystem::create_directory(medium.file("t"));
        for (uint32_t i = 0; i < 3; ++i) {
            medium.contents[fmt::format("f{}", i)] = chosen_bytes(i + 1, 15'000);
            write_file(medium.file(fmt::format("t/f{}", i)), chosen_bytes(i + 1, 15'000));
        }
        // The disc's HFS+ partition is one of its own: "PM", at 8 and 12 its first block and their number, at 48 its type.
        medium.tool("xorriso -as mkisofs -quiet -hfsplus -o disc.iso t 2>/dev/null");
        const std::string disc = read_file(medium.file("disc.iso"));
        const auto be32 = [&](size_t at) {
            uint64_t out = 0;
            for (size_t i = 0; i < 4; ++i) out = out << 8 | static_cast<uint8_t>(disc[at + i]);
            return out;
        };
        std::string volume;
        for (size_t at = 512; disc.compare(at, 2, "PM") == 0; at += 512)
            if (disc.compare(at + 48, 9, "Apple_HFS") == 0) volume = disc.substr(be32(at + 8) * 512, be32(at + 12) * 512);
        ASSERT_FALSE(volume.empty());
        write_file(medium.image(), volume);
        medium.lose(1024, by_map ? zeros(512) : chosen_bytes(8, 512));
        if (by_map) medium.map_unread({{1024, 512}});
        expect_all_given_back(medium, "hfsplus_volume_header_from_alternate\n");
        expect_nothing_without_repair(medium);
    }
}

TEST(LostInNtfs, bitmap_record_keeps_no_file_from_being_read) {
    NTT_NEED_TOOL("ntfscp");
    for (const bool by_map : {false, true}) {
        NtfsDisk medium;
        medium.lose(medium.mft + 6 * 1024, by_map ? zeros(1024) : chosen_bytes(5, 1024));
        if (by_map) medium.map_unread({{medium.mft + 6 * 1024, 1024}});
        expect_all_given_back(medium, "ntfs_bitmap_record_replaced\n");
        expect_nothing_without_repair(medium);
    }
}

// --- ext2, ext3, ext4 ---

struct ExtCase {
    const char* type;
    uint64_t block_bytes, size_kib;
};

struct ExtDisk : Medium {
    explicit ExtDisk(const ExtCase& made) {
        std::filesystem::create_directories(file("t/folder"));
        for (uint32_t i = 0; i < 20; ++i) {
            const std::string path = fmt::format("{}f{}", i % 2 == 0 ? "" : "folder/", i);
            contents[path] = chosen_bytes(i + 1, 5000 + 700 * i);
            write_file(file("t/" + path), contents[path]);
        }
        make_ext(image(), made.type, made.size_kib, file("t"), fmt::format("-b {}", made.block_bytes));
        descriptors = made.block_bytes == 1024 ? 2048 : made.block_bytes;
    }
    uint64_t descriptors = 0;
};

class LostInExt : public ::testing::TestWithParam<ExtCase> {
protected:
    void SetUp() override { NTT_NEED_TOOL("mke2fs"); }
};

TEST_P(LostInExt, superblock_comes_from_another_group) {
    for (const int kind : {0, 1, 2}) {
        SCOPED_TRACE(kind);
        ExtDisk medium(GetParam());
        medium.lose(1024, kind == 0 ? zeros(1024) : chosen_bytes(6, 1024));
        if (kind == 2) medium.map_unread({{1024, 1024}});
        expect_all_given_back(medium, "ext_superblock_from_backup\n");
        expect_nothing_without_repair(medium);
        EXPECT_EQ(boot_sector_problem(medium), "\n");
    }
}

TEST_P(LostInExt, group_descriptors_come_from_another_group) {
    for (const int kind : {0, 1, 2, 3}) {
        SCOPED_TRACE(kind);
        ExtDisk medium(GetParam());
        const uint64_t block = GetParam().block_bytes;
        if (kind != 2) medium.lose(medium.descriptors, kind == 0 ? zeros(block) : chosen_bytes(6, block));
        if (kind >= 2) medium.map_unread({{medium.descriptors, block}}, '*');
        expect_all_given_back(medium, "ext_group_descriptors_from_backup\n");
    }
}

TEST_P(LostInExt, superblock_and_group_descriptors_both_do) {
    ExtDisk medium(GetParam());
    medium.lose(0, zeros(medium.descriptors + GetParam().block_bytes));
    expect_all_given_back(medium, "ext_group_descriptors_from_backup\next_superblock_from_backup\n");
    expect_nothing_without_repair(medium);
}

INSTANTIATE_TEST_SUITE_P(OfEachKind, LostInExt,
                         ::testing::Values(ExtCase{"ext2", 1024, 20 << 10}, ExtCase{"ext3", 2048, 72 << 10}, ExtCase{"ext4", 1024, 40 << 10}, ExtCase{"ext4", 4096, 300 << 10}),
                         [](const auto& made) { return fmt::format("{}_{}", made.param.type, made.param.block_bytes); });

TEST(LostInExt, superblock_comes_from_a_group_of_a_size_that_somebody_chose) {
    NTT_NEED_TOOL("mke2fs");
    Medium medium;
    std::filesystem::create_directories(medium.file("t"));
    for (uint32_t i = 0; i < 5; ++i) {
        medium.contents[fmt::format("f{}", i)] = chosen_bytes(i + 1, 5000);
        write_file(medium.file(fmt::format("t/f{}", i)), chosen_bytes(i + 1, 5000));
    }
    make_ext(medium.image(), "ext3", 5 << 10, medium.file("t"), "-b 2048 -g 2048");
    medium.lose(1024, zeros(1024));
    medium.lose(2049 * 2048, zeros(512));  // the copy of the group descriptors, which are whole
    medium.map_unread({{1024, 1024}, {2049 * 2048, 512}});
    expect_all_given_back(medium, "ext_superblock_from_backup\n");
}

TEST(LostInExt, a_flipped_field_that_no_checksum_covers_is_seen_by_the_copy) {
    NTT_NEED_TOOL("mke2fs");
    for (const std::string& inode_size : {std::string("\x80\0", 2), std::string("\0\x08", 2)}) {  // not 256, and not possible
        ExtDisk medium({"ext2", 1024, 20 << 10});
        medium.lose(1024 + 0x58, inode_size);
        expect_all_given_back(medium, "ext_superblock_from_backup\n");
    }
    ExtDisk medium({"ext2", 1024, 20 << 10});
    medium.lose(medium.descriptors + 8, std::string("\x99\x01", 2));  // where the first inode table is
    expect_all_given_back(medium, "ext_group_descriptors_from_backup\n");
}

// --- media in order ---

TEST(Repairs, are_not_made_where_nothing_is_lost) {
    NTT_NEED_TOOL("mkfs.fat");
    NTT_NEED_TOOL("ntfscp");
    NTT_NEED_TOOL("mkfs.exfat");
    Floppy floppy("-f 1440");
    floppy.add("A.DAT", chosen_bytes(1, 20'000));
    NtfsDisk ntfs;
    Medium fat32;
    fat32.tool("truncate -s 40M m.img && mkfs.fat -F 32 m.img");
    fat32.put("F.BIN", chosen_bytes(1, 30'000), "mcopy -i m.img content ::{}");
    ExtDisk ext2({"ext2", 1024, 20 << 10}), ext4({"ext4", 1024, 20 << 10});
    ExfatDisk exfat;
    const std::vector<const Medium*> media = {&floppy, &ntfs, &fat32, &exfat, &ext2, &ext4};
    for (const Medium* medium : media) {
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", medium->image()}).exit, 0);
        EXPECT_EQ(ntt.sql("SELECT count(*) FROM volume WHERE json_extract(detail, '$.repairs') IS NOT NULL"), "0\n");
        EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code LIKE 'repair%'"), "0\n");
    }
}

// A run that may repair makes good what one that might not left out: the medium as a whole, and one volume of two.
TEST(Repairs, are_made_later_on_a_medium_that_was_first_read_without) {
    NTT_NEED_TOOL("mformat");
    Floppy floppy("-f 1440");
    floppy.add("A.DAT", chosen_bytes(1, 20'000));
    floppy.add("B.DAT", chosen_bytes(2, 20'000));
    floppy.lose(0, zeros(512));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m", "--no-repair"}).exit, 3);
    EXPECT_TRUE(ntt.files("m").empty());
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m", "--no-repair"}).exit, 3);
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 0);
    for (const auto& [path, bytes] : floppy.contents) EXPECT_EQ(ntt.files("m").at(path)["blobid"], b3(bytes)) << path;
    EXPECT_EQ(ntt.sql("SELECT volume, view, outcome FROM volume"), "1|fat12|read\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'volume_listed_again'"), "1\n");
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 0);
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m", "--no-repair"}).exit, 0) << "what is known is not unlearned";
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'volume_listed_again'"), "1\n");
    EXPECT_EQ(ntt.files("m").size(), 2u);
    EXPECT_EQ(ntt.run({"verify"}).exit, 0);
}

// Without the map the stale boot sector of another format is what there is.
TEST(Repairs, are_made_when_a_map_shows_later_that_a_boot_sector_was_not_read) {
    NTT_NEED_TOOL("mformat");
    Floppy floppy("-f 1440");
    floppy.add("A.DAT", chosen_bytes(1, 20'000));
    floppy.add("B.DAT", chosen_bytes(2, 20'000));
    const Floppy other("-f 720");
    floppy.lose(0, read_file(other.image()).substr(0, 512));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 3);
    floppy.map_unread({{0, 512}});
    ntt.run({"ingest", floppy.image(), "--name", "m"});
    const auto files = ntt.files("m");
    for (const auto& [path, bytes] : floppy.contents) {
        ASSERT_TRUE(files.contains(path)) << path;
        EXPECT_EQ(files.at(path)["status"], "stored") << path;
        EXPECT_EQ(files.at(path)["blobid"], b3(bytes)) << path;
    }
    EXPECT_EQ(ntt.sql("SELECT json_extract(detail, '$.repairs[0].repair') FROM volume WHERE volume = 1"), "fat_boot_sector_rebuilt\n");
}

TEST(Repairs, stay_as_recorded_when_the_map_changes) {
    NTT_NEED_TOOL("mformat");
    Floppy floppy("-f 1440");
    floppy.add("A.DAT", chosen_bytes(1, 20'000));
    floppy.add("B.DAT", chosen_bytes(2, 20'000));
    const uint64_t second = place_on_floppy(floppy.image(), "B.DAT").front().offset;
    floppy.lose(0, zeros(512));
    floppy.map_unread({{0, 512}, {second, 512}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 3);
    EXPECT_EQ(ntt.files("m").at("B.DAT")["status"], "damaged");
    floppy.map_unread({{0, 512}});
    EXPECT_EQ(ntt.run({"ingest", floppy.image(), "--name", "m"}).exit, 0);
    for (const auto& [path, file] : ntt.files("m")) EXPECT_EQ(file["blobid"], b3(floppy.contents.at(path))) << path;
    EXPECT_EQ(ntt.sql("SELECT json_extract(detail, '$.repairs[0].repair') FROM volume"), "fat_boot_sector_rebuilt\n");
}

}  // namespace
}  // namespace ntt::test
