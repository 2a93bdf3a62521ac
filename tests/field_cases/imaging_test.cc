// Field cases I and X: what imaging left behind. docs/field-cases.md has the whole list.
#include <filesystem>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/images.h"

namespace ntt::test {
namespace {

constexpr uint64_t kFloppy = 1'474'560;

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

std::vector<NamedContent> documents(uint32_t count, size_t size) {
    std::vector<NamedContent> out;
    for (uint32_t i = 0; i < count; ++i) out.push_back({fmt::format("DOC{:02}.WP", i), chosen_bytes(i + 1, size)});
    return out;
}

TEST(FieldCase_I1, health_comes_from_the_map_every_time_and_one_bad_sector_is_no_failed_disk) {
    const TempDir dir;
    const std::string image = dir / "disk.img";
    make_floppy(image, documents(3, 9'000));
    Ntt ntt;
    const auto health = [&](const std::string& map) {
        write_file(image + ".map", map);
        return ntt.json({"ingest", image}).object("summary")["health"].get<std::string>();
    };
    EXPECT_EQ(health(rescue_map(kFloppy, {{512, kFloppy - 1024}}, '?')), "failed");
    EXPECT_EQ(health(rescue_map(kFloppy, {{kFloppy - 512, 512}}, '-')), "incomplete") << "99.97 %";
    EXPECT_EQ(health(rescue_map(kFloppy, {}, '-')), "ok");
    EXPECT_EQ(health(rescue_map(kFloppy, {{512 * 300, 512 * 600}}, '/')), "corrupt");
}

TEST(FieldCase_I2, copying_never_touches_the_health) {
    const TempDir dir;
    make_floppy(dir / "disk.img", documents(3, 9'000));
    write_file(dir / "disk.img.map", rescue_map(kFloppy, {{kFloppy / 2, kFloppy / 4}}, '-'));
    Ntt ntt;
    const std::string medium = ntt.json({"ingest", dir / "disk.img"}).object("summary")["medium_hash"];
    EXPECT_EQ(ntt.run({"requeue", medium, "--status", "stored"}).exit, 0);
    ntt.run({"copy", "--medium-hash", medium});
    EXPECT_EQ(ntt.sql("SELECT health FROM medium"), "corrupt\n");
}

TEST(FieldCase_I3, the_catalog_takes_no_health_but_those_there_are) {
    const TempDir dir;
    make_floppy(dir / "disk.img", documents(1, 100));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 0);
    for (const char* value : {"'banana'", "'true'", "'NULL'", "''", "NULL"})
        EXPECT_NE(sh(fmt::format("sqlite3 {} \"UPDATE medium SET health = {}\"", shell_quoted(ntt.home() + "/catalog.db"), value)).exit, 0) << value;
    EXPECT_EQ(ntt.sql("SELECT health FROM medium"), "ok\n");
}

TEST(FieldCase_I6, a_floppy_of_832_KB_gives_its_first_files_and_no_read_is_tried_twice) {
    const TempDir dir;
    const auto files = documents(3, 120'000);
    std::vector<NamedContent> all = files;
    all.push_back({"CNVJ_SIT.1", chosen_bytes(9, 1'000'000)});
    make_floppy(dir / "disk.img", all);
    std::filesystem::resize_file(dir / "disk.img", 832 * 1024);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 3);
    auto rows = ntt.files("disk.img");
    for (const NamedContent& file : files) EXPECT_EQ(rows[file.name]["blobid"], b3(file.bytes));
    EXPECT_EQ(rows["CNVJ_SIT.1"]["cause"], "BEYOND_EOF");
    EXPECT_EQ(ntt.sql("SELECT max(retry_count) FROM diagnostic_event"), "0\n");
}

TEST(FieldCase_I8, four_files_on_bad_sectors_cost_those_four) {
    const TempDir dir;
    const auto files = documents(60, 8'000);
    make_floppy(dir / "zip.img", files);
    std::vector<ImageRange> bad;
    for (const char* name : {"DOC07.WP", "DOC19.WP", "DOC31.WP", "DOC55.WP"}) bad.push_back({place_on_floppy(dir / "zip.img", name).front().offset + 1024, 512});
    for (const ImageRange& range : bad) patch_file(dir / "zip.img", range.offset, std::string(range.length, '\0'));
    write_file(dir / "zip.img.map", rescue_map(kFloppy, bad, '-'));
    Ntt ntt;
    const Json totals = ntt.json({"ingest", dir / "zip.img"}).object("summary")["totals"];
    EXPECT_EQ(totals["stored"], 56);
    EXPECT_EQ(totals["damaged"], 4);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE cause = 'BAD_SECTOR' AND missing_bytes = 512"), "4\n");
}

TEST(FieldCase_I9, of_a_dying_disk_of_which_2_per_cent_were_read_those_are_used) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    must("mkdir t", dir.path().string());
    write_file(dir / "t/early", chosen_bytes(1, 20'000));
    write_file(dir / "t/late", chosen_bytes(2, 4'000'000));
    make_ext(dir / "disk.img", "ext2", 32'768, dir / "t", "-b 1024 -O ^resize_inode");
    // The first 2 % were read, and as ddrescue does it the file has its full size.
    const uint64_t size = 32'768 * 1024, read = size / 50 / 512 * 512;
    patch_file(dir / "disk.img", read, std::string(size - read, '\0'));
    write_file(dir / "disk.img.map", rescue_map(size, {{read, size - read}}, '?'));
    Ntt ntt;
    EXPECT_EQ(ntt.json({"ingest", dir / "disk.img"}).object("summary")["health"], "failed");
    auto files = ntt.files("disk.img");
    for (const auto& [path, file] : files) EXPECT_TRUE(file["status"] != "stored" || file["blobid"] == b3(chosen_bytes(1, 20'000))) << path;
    EXPECT_EQ(files["late"]["cause"], "NOT_TRIED");
    EXPECT_EQ(files["early"]["status"], "stored");
}

TEST(FieldCase_I10, an_empty_image_is_an_error_at_once) {
    const TempDir dir;
    write_file(dir / "x.img", "");
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "x.img"});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_NE(ran.object("error")["message"].get<std::string>().find("empty"), std::string::npos) << ran.out;
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium"), "0\n");
}

TEST(FieldCase_X3, a_decoders_short_image_is_short_and_padding_with_a_map_makes_no_file_of_zeros) {
    const TempDir dir;
    const auto files = documents(20, 60'000);
    make_floppy(dir / "flux.img", files);
    const std::string whole = read_file(dir / "flux.img"), side = whole.substr(0, kFloppy / 2);
    const auto ingest = [&](const std::string& bytes, const std::string& map, const char* cause) {
        write_file(dir / "flux.img", bytes);
        std::filesystem::remove(dir / "flux.img.map");
        if (!map.empty()) write_file(dir / "flux.img.map", map);
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", dir / "flux.img"}).exit, 3);
        int stored = 0;
        for (const auto& [path, file] : ntt.files("flux.img")) {
            if (file["status"] != "stored") {
                EXPECT_EQ(file["cause"], cause);
                continue;
            }
            ++stored;
            EXPECT_EQ(file["blobid"], b3(files[std::stoul(path.substr(3))].bytes));
        }
        EXPECT_EQ(stored, 11);
    };
    ingest(side, "", "BEYOND_EOF");
    ingest(side + std::string(kFloppy / 2, '\0'), rescue_map(kFloppy, {{kFloppy / 2, kFloppy / 2}}, '?'), "NOT_TRIED");
}

TEST(FieldCase_X5, a_flux_container_is_not_taken_for_the_image) {
    const TempDir dir;
    write_file(dir / "disk.img", "SCP" + chosen_bytes(1, 70'000));
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "disk.img"});
    EXPECT_TRUE(ran.exit == 1 || ran.exit == 3) << ran.exit;
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode; SELECT count(*) FROM volume WHERE outcome <> 'no_filesystem'"), "0\n0\n");
}

TEST(FieldCase_X7, an_image_that_nothing_can_be_made_of_is_recorded_all_the_same) {
    const TempDir dir;
    write_file(dir / "disk.img", chosen_bytes(1, 1 << 20));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*), min(length(digest)) FROM image; SELECT outcome FROM volume"), "1|64\nno_filesystem\n");
}

}  // namespace
}  // namespace ntt::test
