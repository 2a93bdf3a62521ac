// Field cases N: names and numbers of files. docs/field-cases.md has the whole list.
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

TEST(FieldCase_N1, a_catalogue_with_a_lost_node_costs_the_names_of_that_node_and_says_so) {
    NTT_NEED_TOOL("xorriso");
    NTT_NEED_TOOL("mmls");
    const TempDir dir;
    std::filesystem::create_directory(dir / "t");
    std::map<std::string, std::string> hashes;
    for (uint32_t i = 0; i < 120; ++i) {
        const std::string name = fmt::format("a letter with a long name, number {:03}.text", i);
        write_file(dir / "t/" + name, chosen_bytes(i + 1, 3'000));
        hashes[name] = b3(chosen_bytes(i + 1, 3'000));
    }
    // The HFS+ side of the disc alone: "005:  002  0000000128  0000000259  …  Apple_HFS".
    must("xorriso -as mkisofs -quiet -hfsplus -o disc.iso t && set -- $(mmls -t mac disc.iso | grep Apple_HFS) && dd if=disc.iso of=mac.img bs=512 skip=$(echo $3 | sed s/^0*//) status=none",
         dir.path().string());
    // The catalogue file by the volume header, a leaf node in its middle (Technical Note 1150: kind -1 at 8 of a node of 4 KiB).
    const std::string bytes = read_file(dir / "mac.img");
    const auto be32 = [&](size_t at) { return uint64_t{static_cast<uint8_t>(bytes[at])} << 24 | static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + 1])) << 16 | static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + 2])) << 8 | static_cast<uint8_t>(bytes[at + 3]); };
    const uint64_t node = be32(1024 + 272 + 16) * be32(1024 + 40) + 4 * 4096;
    ASSERT_EQ(bytes[node + 8], '\xFF') << "a leaf node";
    patch_file(dir / "mac.img", node, std::string(4096, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "mac.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT view, outcome FROM volume"), "hfsplus|partial\n");
    size_t stored = 0;
    for (const auto& [path, file] : ntt.files("mac.img")) {
        if (file["status"] != "stored") continue;
        ++stored;
        EXPECT_EQ(file["blobid"], hashes[path]) << path;
    }
    EXPECT_GE(stored, 80u);
    EXPECT_LT(stored, 120u);
}

// Where the 32 bytes of this short name ("ASC-LET WP ") stand in the image.
uint64_t entry_of(const std::string& image, const std::string& name) {
    const size_t at = read_file(image).find(name);
    EXPECT_NE(at, std::string::npos) << name;
    return at;
}

TEST(FieldCase_N2, doubled_names_stay_two_files_and_an_impossible_size_is_told) {
    const TempDir dir;
    const std::string image = dir / "floppy.img";
    make_floppy(image, {{"ASC-LET.WP", "the first"}, {"ASC-LEU.WP", "the second"}, {"MONSTER.DAT", chosen_bytes(1, 2'000)}, {"GOOD.TXT", "good"}});
    patch_file(image, entry_of(image, "ASC-LEU WP ") + 6, "T");
    patch_file(image, entry_of(image, "MONSTER DAT") + 28, std::string("\xFC\x08\xC4\xF9", 4));  // 4,190,374,140 bytes
    ASSERT_NE(must("mdir -i " + shell_quoted(image)).find("ASC-LET"), std::string::npos);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM path WHERE CAST(path AS TEXT) = 'ASC-LET.WP'"), "2\n");
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode WHERE blobid IN ('{}', '{}')", b3("the first"), b3("the second"))), "2\n");
    const auto row = [&](const char* column, const char* path) {
        return ntt.sql(fmt::format("SELECT {} FROM inode JOIN path USING (medium_hash, volume, ino) WHERE CAST(path AS TEXT) = '{}'", column, path));
    };
    EXPECT_EQ(row("blobid", "GOOD.TXT"), b3("good") + "\n");
    EXPECT_EQ(row("blobid IS NULL", "MONSTER.DAT"), "1\n");
    EXPECT_EQ(row("cause", "MONSTER.DAT"), "IMPLAUSIBLE_SIZE\n");
}

// N5 has the same with a carriage return.
TEST(FieldCase_N4, names_with_backslashes_and_control_characters_are_read_at_the_first_go) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    const std::vector<std::string> names{"Wrap in \\left-\\right.plist", "\\n.plist", "\\r", "\\newenvironment{Rdaemon}.tmSnippet", "Icon\r", "\\N", "a\tb", "end\x1C"};
    std::filesystem::create_directory(dir / "t");
    std::filesystem::create_directory(dir / "t/.HFS+ Private Directory Data\r");
    for (const std::string& name : names) write_file(dir / "t/" + name, "content of " + name);
    write_file(dir / "t/.HFS+ Private Directory Data\r/iNode1", "linked");
    make_ext(dir / "mac.img", "ext2", 4096, dir / "t");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "mac.img"}).exit, 0);
    auto files = ntt.files("mac.img");
    for (const std::string& name : names) EXPECT_EQ(files[name]["blobid"], b3("content of " + name)) << name;
    EXPECT_EQ(files[".HFS+ Private Directory Data\r/iNode1"]["blobid"], b3("linked"));
}

TEST(FieldCase_N5, a_carriage_return_in_an_hfsplus_name_is_part_of_the_name) {
    NTT_NEED_TOOL("xorriso");
    const TempDir dir;
    std::filesystem::create_directories(dir / "t/.HFS+ Private Directory Data\r");
    write_file(dir / "t/Icon\r", "an icon");
    write_file(dir / "t/.HFS+ Private Directory Data\r/iNode1", "linked");
    must("xorriso -as mkisofs -quiet -hfsplus -o disc.iso t", dir.path().string());
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "disc.iso"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode JOIN volume USING (medium_hash, volume) JOIN path USING (medium_hash, volume, ino) WHERE view = 'hfsplus' AND hex(path) = '{}' AND blobid = '{}'",
                                  "49636F6E0D", b3("an icon"))), "1\n");
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode JOIN volume USING (medium_hash, volume) WHERE view = 'hfsplus' AND blobid = '{}'", b3("linked"))), "1\n");
}

TEST(FieldCase_N6, no_path_holds_where_the_image_lay) {
    const TempDir dir;
    std::filesystem::create_directories(dir / "mnt/deep");
    must(fmt::format("mformat -C -f 720 -i {0} ::; mmd -i {0} ::home ::home/pball; echo hi > x; mcopy -i {0} x ::home/pball/MAIL", shell_quoted(dir / "mnt/deep/one.img")), dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "mnt/deep/one.img"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT CAST(path AS TEXT) FROM path ORDER BY 1"), "home\nhome/pball\nhome/pball/MAIL\n");
}

TEST(FieldCase_N12, fat_files_have_the_same_numbers_at_every_run) {
    const TempDir dir;
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 30; ++i) files.push_back({fmt::format("F{}.TXT", i), i % 5 == 0 ? "" : fmt::format("content {}", i)});
    make_floppy(dir / "one.img", files);
    const auto numbers = [&] {
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
        return ntt.sql("SELECT ino, CAST(path AS TEXT) FROM path ORDER BY 2");
    };
    const std::string once = numbers();
    EXPECT_EQ(numbers(), once);
    must(fmt::format("mdel -i {} ::F3.TXT", shell_quoted(dir / "one.img")));
    const std::string without = numbers();
    for (size_t at = 0, end; (end = without.find('\n', at)) != std::string::npos; at = end + 1)
        EXPECT_NE(once.find(without.substr(at, end - at)), std::string::npos) << "the others keep theirs when one goes";
}

}  // namespace
}  // namespace ntt::test
