// No map at all: what only looks as if it had not been read is stored, and said.
#include <fmt/format.h>

#include <filesystem>

#include "acceptance/ntt.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string noise(uint32_t seed, size_t size) {
    std::string out(size, '\0');
    uint32_t state = seed * 2654435761u + 1;
    for (char& c : out) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(state >> 24 | 1);
    }
    return out;
}

std::string suspects(Ntt& ntt) {
    std::string out;
    for (const Json& file : ntt.json({"files", "f.img", "--suspect"}).objects())
        if (file["type"] == "file") out += file["path"].get<std::string>() + " ";
    return out;
}

// Case I4 without its map: forty sectors of zeros in the middle of a file.
TEST(FieldCase_I4, zeros_in_the_place_of_sectors_make_a_stored_file_suspect_and_with_a_map_a_damaged_one) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img";
    make_floppy(image, {{"GOOD.BIN", noise(1, 60'000)}, {"S2.BIN", noise(2, 60'000)}, {"COPY.BIN", noise(2, 60'000)}});
    const auto one = place_on_floppy(image, "S2.BIN"), two = place_on_floppy(image, "COPY.BIN");
    ASSERT_EQ(one.size(), 1u);
    for (const auto& place : {one[0], two[0]}) patch_file(image, place.offset + 20 * 512, std::string(40 * 512, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0) << "suspicion alone is no damage";
    EXPECT_EQ(suspects(ntt), "S2.BIN COPY.BIN ") << "one content, two files, a finding for each";
    EXPECT_EQ(ntt.sql("SELECT count(*), count(DISTINCT blobid) FROM inode WHERE status='stored'"), "3|2\n");
    EXPECT_EQ(ntt.sql("SELECT json_extract(evidence, '$.bytes'), json_extract(evidence, '$.runs[0].image_offset') FROM finding WHERE code='suspect' LIMIT 1"),
              fmt::format("20480|{}\n", one[0].offset + 20 * 512));
    EXPECT_EQ(ntt.run({"requeue", "f.img", "--status", "stored"}).exit, 0);
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code='suspect'"), "2\n") << "once for each file, however often it is copied";

    write_file(image + ".map", rescue_map(1'474'560, {{one[0].offset + 20 * 512, 40 * 512}}, '-'));
    Ntt with_map;
    EXPECT_EQ(with_map.run({"ingest", image}).exit, 3);
    EXPECT_EQ(with_map.sql("SELECT count(*) FROM finding WHERE code='suspect'"), "0\n") << "the map says what was read";
    EXPECT_EQ(with_map.files("f.img")["S2.BIN"]["status"], "damaged");
    EXPECT_EQ(with_map.files("f.img")["COPY.BIN"]["status"], "stored");
}

TEST(FillMode, of_ddrescue_leaves_suspects) {
    NTT_NEED_TOOL("mformat");
    NTT_NEED_TOOL("ddrescue");
    for (const char* types : {"-", "l-"}) {
        const TempDir dir;
        const std::string image = dir / "f.img";
        make_floppy(image, {{"GOOD.BIN", noise(1, 60'000)}, {"S2.BIN", noise(2, 60'000)}});
        const auto place = place_on_floppy(image, "S2.BIN");
        write_file(dir / "the.map", rescue_map(1'474'560, {{place[0].offset + 20 * 512, 40 * 512}}, '-'));
        write_file(dir / "word", "BADSECTOR ");
        must(fmt::format("ddrescue -q --fill-mode={} word f.img the.map", types), dir.path().string());
        std::filesystem::remove(dir / "the.map");
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
        EXPECT_EQ(suspects(ntt), "S2.BIN ") << types;
    }
}

// X3: a decoder gave half a floppy, and truncate -s made it whole.
TEST(FieldCase_X3, files_in_the_padding_of_a_short_image_are_suspect) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img";
    make_floppy(image, {{"FIRST.BIN", noise(1, 600'000)}, {"ACROSS.BIN", noise(2, 200'000)}, {"LAST.BIN", noise(3, 100'000)}});
    std::filesystem::resize_file(image, 737'280);
    std::filesystem::resize_file(image, 1'474'560);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    EXPECT_EQ(suspects(ntt), "ACROSS.BIN LAST.BIN ");
}

// Sectors that were lost at the end of one file and at the start of the next, and up to the end of one alone.
TEST(FieldCase_I4, a_lost_end_of_a_file_is_suspect_as_well) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img";
    for (const char byte : {'\0', '\xF6'}) {
        make_floppy(image, {{"F1.BIN", noise(1, 60'000)}, {"F2.BIN", noise(2, 60'000)}, {"F3.BIN", noise(3, 60'000)}, {"F4.BIN", noise(4, 60'000)}});
        const auto two = place_on_floppy(image, "F2.BIN"), four = place_on_floppy(image, "F4.BIN");
        patch_file(image, two[0].offset + 96 * 512, std::string(32 * 512, byte));
        patch_file(image, four[0].offset + 104 * 512, std::string(14 * 512, byte));
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
        EXPECT_EQ(suspects(ntt), "F2.BIN F3.BIN F4.BIN ");
        std::filesystem::remove(image);
    }
}

TEST(Programs, that_write_runs_of_zeros_are_not_suspected) {
    NTT_NEED_TOOL("mformat");
    NTT_NEED_TOOL("tar");
    const TempDir dir;
    const std::string image = dir / "f.img";
    std::filesystem::create_directory(dir / "d");
    for (int i = 0; i < 5; ++i) write_file(dir / fmt::format("d/{}", i), noise(static_cast<uint32_t>(i), 700));
    must("tar cf t.tar d", dir.path().string());
    make_floppy(image, {{"T.TAR", read_file(dir / "t.tar")},
                        {"SH.EXE", read_file("/bin/sh")},
                        {"ZEROS.BIN", std::string(20'000, '\0')},
                        {"PADDED.DAT", noise(1, 5003) + std::string(9000, '\0') + noise(2, 777)},
                        {"END.BIN", noise(3, 5000)}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    EXPECT_EQ(suspects(ntt), "");
}

TEST(Suspects, are_not_looked_for_when_the_configuration_says_so) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img";
    make_floppy(image, {{"S.BIN", noise(1, 5120) + std::string(8192, '\0') + noise(2, 5120)}});
    write_file(dir / "off.toml", "suspect_run_bytes = 0\n");
    Ntt off;
    EXPECT_EQ(off.run({"ingest", image, "--config", dir / "off.toml"}).exit, 0);
    EXPECT_EQ(suspects(off), "");
    Ntt on;
    EXPECT_EQ(on.run({"ingest", image}).exit, 0);
    EXPECT_EQ(suspects(on), "S.BIN ");
}

// A directory entry that claims four gigabytes on a floppy: what there is of it is salvaged, not four gigabytes of zeros.
TEST(FieldCase_N2, a_size_beyond_the_medium_is_salvaged_as_far_as_there_are_bytes) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img";
    make_floppy(image, {{"MONSTER.DOC", noise(1, 3000)}, {"GOOD.TXT", "good"}});
    const size_t entry = read_file(image).find("MONSTER DOC");
    ASSERT_NE(entry, std::string::npos);
    patch_file(image, entry + 28, std::string("\x3c\x3e\xc3\xf9", 4));  // 4,190,322,236
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    const Json monster = ntt.files("f.img")["MONSTER.DOC"];
    EXPECT_EQ(monster["status"], "damaged");
    EXPECT_EQ(monster["cause"], "IMPLAUSIBLE_SIZE");
    const std::string partial = read_file(ntt.blob_path(monster["partial_blobid"], "partial"));
    EXPECT_EQ(partial.size(), 3072u) << "the six clusters of its chain";
    EXPECT_EQ(partial.substr(0, 3000), noise(1, 3000));
    EXPECT_EQ(ntt.files("f.img")["GOOD.TXT"]["status"], "stored");
    EXPECT_EQ(ntt.run({"verify", "--strict"}).exit, 0);
}

}  // namespace
}  // namespace ntt::test
