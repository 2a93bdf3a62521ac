// The main job on real images: what an archivist does, and what must come out.

#include <sys/stat.h>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "os/mount_table.h"
#include "support/images.h"

namespace ntt::test {
namespace {

std::string b3(const std::string& bytes) { return blake3_of(as_bytes(bytes)).hex(); }

TEST(FieldCase_I5, small_files_are_stored_the_big_one_is_damaged_from_the_byte_where_the_image_ends_and_what_lies_behind_is_unreadable) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f95834a4b718f54edc7b549ca854aef8.img";
    const MissionFloppy floppy = make_mission_floppy(image);
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", image});
    EXPECT_EQ(ran.exit, 3) << ran.err;
    const Json summary = ran.object("summary");
    EXPECT_EQ(summary["medium_hash"], "f95834a4b718f54edc7b549ca854aef8");
    EXPECT_EQ(summary["totals"]["stored"], 3);
    EXPECT_EQ(summary["totals"]["damaged"], 1);
    EXPECT_EQ(summary["totals"]["unreadable"], 2);
    EXPECT_EQ(summary["totals"]["pending"], 0);
    EXPECT_EQ(summary["totals"]["inodes"], 6);
    EXPECT_EQ(summary["exit"], 3);
    EXPECT_EQ(ran.object("result")["exit"], 3);

    auto files = ntt.files("f95834a4");
    for (const NamedContent& file : floppy.before) {
        EXPECT_EQ(files[file.name]["status"], "stored");
        EXPECT_EQ(files[file.name]["blobid"], b3(file.bytes));
        EXPECT_EQ(read_file(ntt.blob_path(b3(file.bytes))), file.bytes);
    }
    const Json big = files[floppy.big.name];
    const uint64_t readable = 841 * 512 - floppy.big_offset;
    EXPECT_EQ(big["status"], "damaged");
    EXPECT_EQ(big["cause"], "BEYOND_EOF");
    EXPECT_TRUE(big["blobid"].is_null());
    EXPECT_EQ(big["missing"], Json::array({{{"offset", readable}, {"length", 671'744 - readable}, {"cause", "BEYOND_EOF"}}}));
    const std::string salvaged = floppy.big.bytes.substr(0, readable) + std::string(671'744 - readable, '\0');
    EXPECT_EQ(big["partial_blobid"], b3(salvaged));
    EXPECT_EQ(read_file(ntt.blob_path(b3(salvaged), "partial")), salvaged);
    for (const NamedContent& file : floppy.behind) {
        EXPECT_EQ(files[file.name]["status"], "unreadable");
        EXPECT_EQ(files[file.name]["cause"], "BEYOND_EOF");
        EXPECT_EQ(files[file.name]["missing_bytes"], file.bytes.size());
        EXPECT_TRUE(files[file.name]["partial_blobid"].is_null());
    }
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored' AND blobid IS NULL"), "0\n");
    EXPECT_EQ(ntt.sql("SELECT copied, claimed_by FROM inode WHERE cause='BEYOND_EOF' GROUP BY 1, 2"), "1|DIAGNOSTIC_SKIP:BEYOND_EOF\n");
    EXPECT_EQ(ntt.sql("SELECT max(retry_count) FROM diagnostic_event"), "0\n") << "conclusive evidence: no second attempt";

    const Json why = ntt.json({"why", "f95834a4", floppy.big.name}).object("why");
    EXPECT_EQ(why["cause"], "BEYOND_EOF");
    EXPECT_EQ(why["evidence"]["missing_ranges"][0]["sector"], 841);
    EXPECT_EQ(why["evidence"]["missing_ranges"][0]["limit"], 841);
}

TEST(FieldCase_I5, ingested_again_adds_nothing_and_ends_the_same) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "floppy.img";
    make_mission_floppy(image);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    const std::string dump = "SELECT * FROM inode; SELECT * FROM path; SELECT * FROM missing_range; SELECT * FROM finding; SELECT * FROM diagnostic_event; SELECT * FROM blob";
    const std::string before = ntt.sql(dump);
    const Ran again = ntt.json({"ingest", image});
    EXPECT_EQ(again.exit, 3);
    EXPECT_EQ(again.object("summary")["blobs"]["new"], 0);
    EXPECT_EQ(ntt.sql(dump), before);
    EXPECT_EQ(ntt.run({"verify"}).exit, 0);
}

class FieldCase_I4 : public testing::TestWithParam<std::pair<char, const char*>> {};

TEST_P(FieldCase_I4, bad_sectors_under_one_file_make_exactly_that_file_damaged_with_exact_ranges) {
    NTT_NEED_TOOL("mformat");
    const auto [status, cause] = GetParam();
    const TempDir dir;
    const std::string image = dir / "floppy.img";
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 4; ++i) files.push_back({fmt::format("S{}.BIN", i), chosen_bytes(i, 120'000)});
    make_floppy(image, files);
    const ImageRange place = place_on_floppy(image, "S2.BIN").front();
    const ImageRange bad{place.offset + 50 * 512, 40 * 512};
    patch_file(image, bad.offset, std::string(bad.length, '\0'));
    write_file(image + ".map", rescue_map(1'474'560, {bad}, status));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    auto rows = ntt.files("floppy.img");
    ASSERT_EQ(rows.size(), 4u);
    for (const NamedContent& file : files) {
        if (file.name == "S2.BIN") continue;
        EXPECT_EQ(rows[file.name]["blobid"], b3(file.bytes));
    }
    const Json hit = rows["S2.BIN"];
    EXPECT_EQ(hit["status"], "damaged");
    EXPECT_EQ(hit["cause"], cause);
    EXPECT_EQ(hit["missing"], Json::array({{{"offset", 50 * 512}, {"length", 40 * 512}, {"cause", cause}}}));
    EXPECT_EQ(ntt.sql(fmt::format("SELECT count(*) FROM inode WHERE blobid = '{}'", hit["partial_blobid"].get<std::string>())), "0\n");
}

INSTANTIATE_TEST_SUITE_P(OfEveryStatus, FieldCase_I4,
                         testing::Values(std::pair{'-', "BAD_SECTOR"}, std::pair{'?', "NOT_TRIED"}, std::pair{'*', "NOT_TRIMMED"}, std::pair{'/', "NOT_SCRAPED"}));

TEST(FieldCase_N7, a_directory_on_bad_sectors_is_a_finding_and_exit_3_never_silence) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "floppy.img";
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 40; ++i) files.push_back({fmt::format("F{}.TXT", i), fmt::format("content {}", i)});
    make_floppy(image, files);
    // The root directory begins at sector 19, 16 entries a sector: its second sector is lost.
    patch_file(image, 20 * 512, std::string(512, '\0'));
    write_file(image + ".map", rescue_map(1'474'560, {{20 * 512, 512}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "partial\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code='directory_on_missing_sectors' AND message LIKE '%files may be missing here%'"), "1\n");

    write_file(image + ".map", rescue_map(1'474'560, {{30 * 512, 512}}, '-'));
    Ntt unharmed;
    make_floppy(image, {{"A.TXT", "one entry"}});
    EXPECT_EQ(unharmed.run({"ingest", image}).exit, 0) << "a lost sector behind a directory's end mark hides nothing";
}

TEST(FieldCase_N7, a_lost_root_directory_is_told_by_the_clusters_in_use_when_there_is_no_map) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "floppy.img";
    make_floppy(image, {{"A.BIN", chosen_bytes(1, 9000)}});
    patch_file(image, 19 * 512, std::string(14 * 512, '\0'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code='directory_unreadable'"), "1\n");
    make_floppy(dir / "empty.img", {});
    Ntt empty;
    EXPECT_EQ(empty.run({"ingest", dir / "empty.img"}).exit, 0);
}

TEST(RescueMapChange, brings_new_verdicts_and_what_was_damaged_becomes_stored) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "floppy.img", content = chosen_bytes(1, 60'000);
    make_floppy(image, {{"A.BIN", content}, {"B.BIN", chosen_bytes(2, 60'000)}});
    const ImageRange place = place_on_floppy(image, "A.BIN").front();
    write_file(image + ".map", rescue_map(1'474'560, {{place.offset, 1024}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.files("floppy.img")["A.BIN"]["status"], "damaged");

    write_file(image + ".map", rescue_map(1'474'560, {}, '-'));
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    EXPECT_EQ(ntt.files("floppy.img")["A.BIN"]["blobid"], b3(content));

    const ImageRange other = place_on_floppy(image, "B.BIN").front();
    write_file(image + ".map", rescue_map(1'474'560, {{other.offset + 512, 512}}, '?'));
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    const Json b = ntt.files("floppy.img")["B.BIN"];
    EXPECT_EQ(b["status"], "damaged");
    EXPECT_EQ(b["cause"], "NOT_TRIED");
    EXPECT_TRUE(b["blobid"].is_null());
}

TEST(ChangedImage, is_refused_with_what_changed_and_nothing_is_touched) {
    NTT_NEED_TOOL("mformat");
    for (const char* name : {"f95834a4b718f54edc7b549ca854aef8.img", "floppy.img"}) {
        const TempDir dir;
        const std::string image = dir / name;
        make_floppy(image, {{"A.BIN", chosen_bytes(1, 60'000)}});
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
        const std::string dump = "SELECT * FROM medium; SELECT * FROM image; SELECT * FROM inode";
        const std::string before = ntt.sql(dump);
        patch_file(image, 700'000, "changed");
        const Ran ran = ntt.json({"ingest", image});
        EXPECT_EQ(ran.exit, 1);
        EXPECT_EQ(ran.object("error")["code"], "source_changed");
        EXPECT_NE(ran.object("error")["message"].get<std::string>().find("digest"), std::string::npos);
        EXPECT_EQ(ntt.sql(dump), before);
    }
}

TEST(FieldCase_A1, two_images_with_equal_first_and_last_MiB_are_two_media) {
    const TempDir dir;
    std::string bytes(4 << 20, '\0');
    write_file(dir / "one.img", bytes);
    bytes[2 << 20] = 1;
    write_file(dir / "two.img", bytes);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img", dir / "two.img"}).exit, 3) << "no filesystem in either";
    EXPECT_EQ(ntt.sql("SELECT count(DISTINCT medium_hash) FROM medium"), "2\n");
}

TEST(Sources, that_are_no_images_are_named_errors_and_do_not_stop_the_others) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "good.img", {{"A.TXT", "hello"}});
    write_file(dir / "empty.img", "");
    write_file(dir / "posing.img", "QFI\xfb" + std::string(1000, '\1'));
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "empty.img", dir / "missing.img", dir / "posing.img", dir / "good.img"});
    EXPECT_EQ(ran.exit, 1);
    size_t errors = 0;
    for (const Json& object : ran.objects()) errors += object["type"] == "error" ? 1u : 0u;
    EXPECT_EQ(errors, 3u);
    EXPECT_EQ(ran.object("summary")["totals"]["stored"], 1);
    EXPECT_EQ(ran.object("result")["sources"], 4);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium"), "1\n");
}

TEST(FieldCase_N11, two_ext_partitions_with_equal_inode_numbers_keep_their_own_contents) {
    NTT_NEED_TOOL("mke2fs");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    const std::string image = dir / "disk.img", one = chosen_bytes(1, 30'000), two = chosen_bytes(2, 31'000);
    must("mkdir a b; truncate -s 12M disk.img; printf 'start=2048,size=8192,type=83\\nstart=10240,size=8192,type=83\\n' | sfdisk -q disk.img", dir.path().string());
    write_file(dir / "a/one.bin", one);
    write_file(dir / "b/two.bin", two);
    make_ext(dir / "p1", "ext2", 4096, dir / "a");
    make_ext(dir / "p2", "ext2", 4096, dir / "b");
    must("dd if=p1 of=disk.img bs=512 seek=2048 conv=notrunc status=none; dd if=p2 of=disk.img bs=512 seek=10240 conv=notrunc status=none", dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE fs_type='f' AND ino=12"), "2\n") << "the case is only one when the numbers are equal";
    auto files = ntt.files("disk.img");
    EXPECT_EQ(files["one.bin"]["blobid"], b3(one));
    EXPECT_EQ(files["two.bin"]["blobid"], b3(two));
    EXPECT_NE(files["one.bin"]["volume"], files["two.bin"]["volume"]);
}

TEST(FieldCase_N3, names_with_every_byte_but_NUL_and_slash_are_listed_found_and_exported_byte_for_byte) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    std::map<std::string, std::string> contents;
    for (int byte = 1; byte < 256; ++byte) {
        if (byte == '/') continue;
        const std::string name = fmt::format("n{}", byte) + static_cast<char>(byte) + "x";
        contents[name] = fmt::format("content {}", byte);
    }
    for (const char* name : {"Wrap in \\left-\\right.plist", "\\n.plist", "\\newenvironment{Rdaemon}.tmSnippet", "-leading", "a\nb", " ", "~2", "..."})
        contents[name] = name;
    std::filesystem::create_directory(dir / "tree");
    for (const auto& [name, bytes] : contents) write_file(dir / "tree/" + name, bytes);
    make_ext(dir / "names.img", "ext4", 16384, dir / "tree");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "names.img"}).exit, 0);
    auto files = ntt.files("names.img");
    for (const auto& [name, bytes] : contents) {
        ASSERT_TRUE(files.count(name)) << to_display_utf8(name);
        EXPECT_EQ(files[name]["blobid"], b3(bytes));
    }
    const std::string hostile = "n28\x1Cx";
    EXPECT_EQ(ntt.json({"find", hostile}).object("file")["path"], to_display_utf8(hostile));
    EXPECT_EQ(ntt.run({"export", "names.img", dir / "out"}).exit, 0);
    EXPECT_EQ(sh("diff -r tree out --exclude=lost+found", dir.path().string()).exit, 0);
}

TEST(DosNames, in_code_page_850_and_long_ones_are_found_and_none_is_merged) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "dos.img";
    make_floppy(image, {{"NXNO.DOC", "n tilde"}, {"CAFX.TXT", "e acute"}, {"CAFY.TXT", "e grave"}, {"A long name, ünïcode ☃.txt", "long"}});
    // Put the code page's own bytes into the directory entries: 0xA5 Ñ, 0x90 É, 0xD4 È.
    std::string bytes = read_file(image);
    const auto patch = [&](const std::string& from, const std::string& to) {
        const size_t at = bytes.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        bytes.replace(at, to.size(), to);
    };
    patch("NXNO    DOC", "NI\xA5O    DOC");
    patch("CAFX    TXT", "CAF\x90    TXT");
    patch("CAFY    TXT", "CAF\xD4    TXT");
    write_file(image, bytes);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    auto files = ntt.files("dos.img");
    EXPECT_EQ(files["NIÑO.DOC"]["blobid"], b3("n tilde"));
    EXPECT_EQ(files["CAFÉ.TXT"]["blobid"], b3("e acute"));
    EXPECT_EQ(files["CAFÈ.TXT"]["blobid"], b3("e grave"));
    EXPECT_EQ(files["A long name, ünïcode ☃.txt"]["blobid"], b3("long"));
    EXPECT_EQ(ntt.json({"find", "NIÑO.DOC"}).object("file")["medium_hash"], files["NIÑO.DOC"]["medium_hash"]);
}

TEST(Deduplication, holds_within_a_medium_and_across_media) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string shared = chosen_bytes(5, 50'000);
    make_floppy(dir / "one.img", {{"A.BIN", shared}, {"B.BIN", shared}});
    make_floppy(dir / "two.img", {{"C.BIN", shared}, {"D.BIN", "other"}});
    Ntt ntt;
    const Json one = ntt.json({"ingest", dir / "one.img"}).object("summary");
    EXPECT_EQ(one["blobs"]["new"], 1);
    EXPECT_EQ(one["blobs"]["deduplicated"], 1);
    EXPECT_EQ(one["bytes"]["unique_new"], 50'000);
    const Json two = ntt.json({"ingest", dir / "two.img"}).object("summary");
    EXPECT_EQ(two["blobs"]["new"], 1);
    EXPECT_EQ(two["blobs"]["deduplicated"], 1);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM blob"), "2\n");
}

TEST(WrongSizedBlob, goes_to_quarantine_and_the_good_bytes_take_its_place) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string content = chosen_bytes(5, 50'000);
    make_floppy(dir / "one.img", {{"A.BIN", content}});
    Ntt ntt;
    std::filesystem::create_directories(ntt.home() + "/by-hash/" + b3(content).substr(0, 2));
    write_file(ntt.blob_path(b3(content)), content.substr(0, 100));
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    EXPECT_EQ(read_file(ntt.blob_path(b3(content))), content);
    EXPECT_FALSE(std::filesystem::is_empty(ntt.home() + "/quarantine"));
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code='blob_quarantined'"), "1\n");
}

TEST(LostBlobs, that_verify_finds_are_pending_again_and_the_next_ingest_of_their_source_brings_them_back) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.BIN", chosen_bytes(1, 9000)}, {"B.BIN", chosen_bytes(2, 9000)}, {"C.BIN", "kept"}});
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    std::filesystem::remove(ntt.blob_path(b3(chosen_bytes(1, 9000))));
    std::filesystem::permissions(ntt.blob_path(b3(chosen_bytes(2, 9000))), std::filesystem::perms(0644));
    patch_file(ntt.blob_path(b3(chosen_bytes(2, 9000))), 17, "flip");
    EXPECT_EQ(ntt.run({"verify"}).exit, 5);
    EXPECT_EQ(ntt.json({"show", "one.img"}).object("medium")["totals"]["pending"], 2);
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    EXPECT_EQ(read_file(ntt.blob_path(b3(chosen_bytes(1, 9000)))), chosen_bytes(1, 9000));
    EXPECT_EQ(read_file(ntt.blob_path(b3(chosen_bytes(2, 9000)))), chosen_bytes(2, 9000));
    EXPECT_EQ(ntt.run({"verify"}).exit, 0);
}

TEST(FatCopies, on_sectors_that_were_not_read_are_not_trusted_and_the_other_copy_stands_in) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "one.img", a = chosen_bytes(1, 40'000), b = chosen_bytes(2, 40'000);
    make_floppy(image, {{"A.BIN", a}, {"B.BIN", b}});
    patch_file(image, 512, chosen_bytes(3, 9 * 512));  // stale links in the first copy, sectors 1 to 9
    write_file(image + ".map", rescue_map(1'474'560, {{512, 9 * 512}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0);
    auto files = ntt.files("one.img");
    EXPECT_EQ(files["A.BIN"]["blobid"], b3(a));
    EXPECT_EQ(files["B.BIN"]["blobid"], b3(b));
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code='fat_on_missing_sectors'"), "1\n");

    // Neither copy was read: behind its first cluster no file can be found, and none is called stored.
    write_file(image + ".map", rescue_map(1'474'560, {{512, 18 * 512}}, '?'));
    Ntt neither;
    EXPECT_EQ(neither.run({"ingest", image}).exit, 3);
    files = neither.files("one.img");
    EXPECT_EQ(files["A.BIN"]["status"], "damaged");
    EXPECT_EQ(files["A.BIN"]["cause"], "NOT_TRIED");
    EXPECT_EQ(files["A.BIN"]["missing"][0]["offset"], 512);
}

TEST(UnknownPartition, that_is_not_empty_or_lies_beyond_the_image_is_no_success) {
    NTT_NEED_TOOL("mke2fs");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    std::filesystem::create_directory(dir / "tree");
    write_file(dir / "tree/hi", "hello");
    make_ext(dir / "part", "ext2", 3072, dir / "tree");
    must("truncate -s 20M disk.img; printf 'label: dos\nstart=2048,size=6144,type=83\nstart=10240,size=6144,type=83\n' | sfdisk -q disk.img;"
         "dd if=part of=disk.img bs=512 seek=2048 conv=notrunc status=none", dir.path().string());
    Ntt empty;
    EXPECT_EQ(empty.run({"ingest", dir / "disk.img"}).exit, 0) << "an empty partition beside a filesystem is no failure";
    write_file(dir / "disk.img.map", rescue_map(20 << 20, {{10242 * 512, 1024}}, '-'));
    Ntt unread;
    EXPECT_EQ(unread.run({"ingest", dir / "disk.img"}).exit, 3) << "its superblock was not read";
    std::filesystem::remove(dir / "disk.img.map");
    patch_file(dir / "disk.img", 10300 * 512, "something");
    Ntt unknown;
    EXPECT_EQ(unknown.run({"ingest", dir / "disk.img"}).exit, 3);
    EXPECT_EQ(unknown.sql("SELECT count(*) FROM finding WHERE code='filesystem_unrecognised'"), "1\n");
    std::filesystem::resize_file(dir / "disk.img", 9000 * 512);
    Ntt beyond;
    EXPECT_EQ(beyond.run({"ingest", dir / "disk.img"}).exit, 3);
}

// Field cases V5, V18 and the mission's pattern 5.
TEST(FieldCase_V18, an_erased_disk_is_told_with_its_byte_and_its_share) {
    const TempDir dir;
    const auto problems_of_image = [&](const std::string& bytes, const std::string& map = "") {
        write_file(dir / "e.img", bytes);
        if (!map.empty()) write_file(dir / "e.img.map", map);
        Ntt ntt;
        EXPECT_EQ(ntt.run({"ingest", dir / "e.img"}).exit, 3);
        const std::string problems = ntt.sql("SELECT problems FROM medium");
        return problems == "\n" ? Json() : Json::parse(problems);
    };
    const auto erased = [](const char* byte) { return Json{{"erased_disk", true}, {"fill_byte", byte}, {"fill_share", 1.0}}; };
    EXPECT_EQ(problems_of_image(std::string(1'474'560, '\xF6')), erased("0xf6"));
    Json wiped = erased("0x55");
    wiped["wiped"] = true;
    EXPECT_EQ(problems_of_image(std::string(1'474'561, '\x55')), wiped);
    Json zeros = erased("0x00");
    zeros["all_zeros"] = zeros["blank"] = true;
    EXPECT_EQ(problems_of_image(std::string(9'000'000, '\0')), zeros);

    std::string one_other(9'000'000, '\xF6');
    one_other[8'500'123] = 'x';  // between the samples
    Json almost = erased("0xf6");
    almost["fill_share"] = 1.0 - 512.0 / 9'000'000;
    EXPECT_EQ(problems_of_image(one_other), almost) << "one other byte is enough to deny that all is";
    // Zeros that stand for sectors nobody has read say nothing of the medium; a few do not hide what all the others say.
    const Json unread = problems_of_image(std::string(1'474'560, '\0'), rescue_map(1'474'560, {{512, 204'800}}, '-'));
    EXPECT_FALSE(unread.contains("erased_disk")) << unread;
    for (const uint64_t at : {uint64_t{0}, uint64_t{700'416}}) {
        std::string with_hole(1'474'560, '\xF6');
        with_hole.replace(at, 512, std::string(512, '\0'));
        EXPECT_EQ(problems_of_image(with_hole, rescue_map(1'474'560, {{at, 512}}, '-')), erased("0xf6")) << at;
    }
}

TEST(DamagedContainer, is_named_and_costs_health) {
    NTT_NEED_TOOL("mformat");
    NTT_NEED_TOOL("ewfacquire");
    const TempDir dir;
    make_floppy(dir / "f.img", {{"A.BIN", chosen_bytes(1, 300'000)}});
    must("ewfacquire -u -t f -c none f.img >/dev/null 2>&1", dir.path().string());
    patch_file(dir / "f.E01", 200'000, "somebody else's bytes");
    Ntt ntt;
    for (int run = 0; run < 2; ++run) {
        EXPECT_EQ(ntt.run({"ingest", dir / "f.E01"}).exit, 3);
        EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'container_damaged'"), "1\n");
        EXPECT_EQ(ntt.sql("SELECT health FROM medium"), "incomplete\n");
    }
}

// The sectors hold what another floppy had there: without a map nothing tells.
TEST(ALaterMap, is_applied_to_directories_and_tables_too) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "f.img", a = chosen_bytes(1, 20'000), b = chosen_bytes(2, 20'000);
    make_floppy(image, {{"A.BIN", a}, {"B.BIN", b}});
    make_floppy(dir / "other.img", {{"OTHER.BIN", chosen_bytes(3, 3000)}, {"A.BIN", chosen_bytes(4, 12'000)}});
    patch_file(image, 512, read_file(dir / "other.img").substr(512, (9 + 9 + 1) * 512));  // both FATs, and the root's first sector
    Ntt ntt;
    ntt.run({"ingest", image});
    EXPECT_NE(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "0\n") << "of that other floppy";
    write_file(image + ".map", rescue_map(1'474'560, {{512, (9 + 9 + 1) * 512}}, '-'));
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status = 'stored'"), "0\n");
    EXPECT_EQ(ntt.sql("SELECT DISTINCT cause FROM inode"), "BAD_SECTOR\n");
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "partial\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'directory_on_missing_sectors'"), "1\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode"), "2\n") << "no record is destroyed";
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'map_changed'"), "1\n");
    EXPECT_EQ(ntt.run({"verify"}).exit, 0);
}

TEST(IndirectBlock, on_unread_sectors_damages_what_it_maps_and_the_rest_is_salvaged) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    std::filesystem::create_directory(dir / "tree");
    const std::string content = chosen_bytes(1, 50'000);
    write_file(dir / "tree/f", content);
    make_ext(dir / "e.img", "ext2", 4096, dir / "tree", "-b 1024");
    const std::string stat = must("debugfs -R 'stat f' e.img 2>/dev/null", dir.path().string());
    const uint64_t block = std::stoull(stat.substr(stat.find("(IND):") + 6));
    patch_file(dir / "e.img", block * 1024, std::string(1024, '\0'));
    write_file(dir / "e.img.map", rescue_map(4096 * 1024, {{block * 1024, 1024}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "e.img"}).exit, 3);
    const Json file = ntt.files("e.img")["f"];
    EXPECT_EQ(file["status"], "damaged");
    EXPECT_EQ(file["missing"], Json::array({{{"offset", 12'288}, {"length", 37'712}, {"cause", "BAD_SECTOR"}}}));
    EXPECT_EQ(file["partial_blobid"], b3(content.substr(0, 12'288) + std::string(37'712, '\0')));
}

TEST(Limit, leaves_work_and_copy_finishes_it) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    std::vector<NamedContent> files;
    for (uint32_t i = 0; i < 9; ++i) files.push_back({fmt::format("F{}.BIN", i), chosen_bytes(i, 3000)});
    make_floppy(dir / "one.img", files);
    Ntt ntt;
    const Ran first = ntt.json({"ingest", dir / "one.img", "--limit", "4"});
    EXPECT_EQ(first.exit, 4);
    EXPECT_EQ(first.object("summary")["totals"]["stored"], 4);
    EXPECT_EQ(first.object("summary")["totals"]["pending"], 5);
    const std::string medium = first.object("summary")["medium_hash"];
    EXPECT_EQ(ntt.run({"copy", "--medium-hash", medium}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored'"), "9\n");
}

TEST(EnumerateOnly, gives_the_verdicts_and_copies_nothing) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_mission_floppy(dir / "floppy.img");
    Ntt ntt;
    ntt.run({"ingest", dir / "floppy.img", "--enumerate-only"});
    auto files = ntt.files("floppy.img");
    EXPECT_EQ(files["AliciaMainList.xls"]["status"], "pending");
    EXPECT_EQ(files["AliciaMainList.xls"]["cause"], "BEYOND_EOF");
    EXPECT_EQ(files["LETTER0.TXT"]["status"], "unreadable");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM blob"), "0\n");
}

TEST(DryRun, keeps_nothing) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.BIN", "x"}});
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", "--dry-run", dir / "one.img"});
    EXPECT_EQ(ran.object("summary")["totals"]["inodes"], 1);
    EXPECT_TRUE(std::filesystem::is_empty(ntt.home()));
}

TEST(FieldCase_N8, exclude_patterns_mark_files_that_are_listed_but_not_copied) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.BIN", "x"}, {"B.TMP", "y"}});
    write_file(dir / "patterns", "\\.TMP$\n");
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "one.img", "--exclude-from", dir / "patterns"});
    EXPECT_EQ(ran.exit, 0);
    EXPECT_EQ(ran.object("summary")["totals"]["excluded"], 1);
    EXPECT_EQ(ntt.sql("SELECT claimed_by FROM inode WHERE status='excluded'"), "EXCLUDED\n");
    EXPECT_EQ(ntt.files("one.img")["B.TMP"]["status"], "excluded");
}

TEST(Requeue, by_the_missions_SQL_brings_a_file_back_and_it_is_judged_again) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_mission_floppy(dir / "floppy.img");
    Ntt ntt;
    const std::string medium = ntt.json({"ingest", dir / "floppy.img"}).object("summary")["medium_hash"];
    must("sqlite3 " + shell_quoted(ntt.home() + "/catalog.db") + " \"UPDATE inode SET copied=false, claimed_by=NULL WHERE medium_hash='" + medium + "'\"");
    EXPECT_EQ(ntt.json({"show", medium}).object("medium")["totals"]["pending"], 6);
    EXPECT_EQ(ntt.run({"copy", "--medium-hash", medium}).exit, 3);
    auto files = ntt.files(medium);
    EXPECT_EQ(files["AliciaMainList.xls"]["status"], "damaged");
    EXPECT_EQ(files["LETTER0.TXT"]["status"], "unreadable");
    EXPECT_EQ(files["REPORT0.DOC"]["status"], "stored");
}

TEST(FieldCase_V14, a_lock_on_a_medium_or_its_image_sends_a_second_ingest_away_with_75_and_touches_nothing) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    const std::string image = dir / "one.img";
    make_floppy(image, {{"A.BIN", "x"}});
    struct stat info {};
    ASSERT_EQ(::stat(image.c_str(), &info), 0);
    Ntt ntt;
    ASSERT_OK_ASSIGN(const auto catalog, open_catalog(Env::host(), Clock::system(), "sqlite:" + ntt.home() + "/catalog.db"));
    const std::string medium = b3(read_file(image)).substr(0, 32);
    for (const std::string& name : {fmt::format("image-{}-{}-{}", b3(machine_id()).substr(0, 12), info.st_dev, info.st_ino), "medium-" + medium}) {
        ASSERT_OK_ASSIGN(const auto held, catalog->lock(name));
        const Ran ran = ntt.json({"ingest", image});
        EXPECT_EQ(ran.exit, 75) << name;
        EXPECT_EQ(ran.object("error")["code"], "busy");
        EXPECT_EQ(ntt.sql("SELECT count(*) FROM medium"), "0\n");
    }
    EXPECT_EQ(ntt.run({"ingest", image}).exit, 0) << "a lock that is gone holds nobody";
}

TEST(Interrupted, before_it_begins_ends_with_130_and_a_second_run_completes) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.BIN", "x"}});
    Ntt ntt;
    ntt.cancel.cancel();
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 130);
    Ntt again;
    EXPECT_EQ(again.run({"ingest", dir / "one.img"}).exit, 0);
}

TEST(FieldCase_V9, a_truncated_partition_is_named_so_and_its_front_part_is_read) {
    NTT_NEED_TOOL("mke2fs");
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    std::filesystem::create_directory(dir / "tree");
    write_file(dir / "tree/first.bin", chosen_bytes(1, 10'000));
    write_file(dir / "tree/large.bin", chosen_bytes(2, 6'000'000));
    make_ext(dir / "part", "ext2", 16384, dir / "tree");
    must("truncate -s 18M disk.img; echo 'start=2048,size=32768,type=83' | sfdisk -q disk.img; dd if=part of=disk.img bs=512 seek=2048 conv=notrunc status=none; truncate -s 5M disk.img",
         dir.path().string());
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "disk.img"}).exit, 3);
    EXPECT_EQ(ntt.sql("SELECT outcome FROM volume"), "truncated\n");
    auto files = ntt.files("disk.img");
    EXPECT_EQ(files["first.bin"]["blobid"], b3(chosen_bytes(1, 10'000)));
    EXPECT_EQ(files["large.bin"]["status"], "damaged");
    EXPECT_EQ(files["large.bin"]["cause"], "BEYOND_EOF");
}

TEST(SharedExtents, are_used_for_large_files_where_image_and_store_lie_on_a_filesystem_that_can) {
    NTT_NEED_TOOL("mkfs.xfs");
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    const std::string mount = dir / "xfs";
    std::filesystem::create_directory(mount);
    if (sh(fmt::format("truncate -s 320M xfs.img && mkfs.xfs -q xfs.img && mount -o loop xfs.img xfs"), dir.path().string()).exit != 0)
        GTEST_SKIP() << "XFS cannot be mounted here";
    std::filesystem::create_directory(dir / "tree");
    const std::string content = chosen_bytes(1, 8 << 20);
    write_file(dir / "tree/large.bin", content);
    make_ext(mount + "/disk.img", "ext4", 32'768, dir / "tree");
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", mount + "/disk.img", "--store", mount + "/store"}).exit, 0);
    const std::string blob = mount + "/store/by-hash/" + b3(content).substr(0, 2) + "/" + b3(content);
    EXPECT_EQ(read_file(blob), content);
    EXPECT_NE(must("filefrag -v " + shell_quoted(blob)).find("shared"), std::string::npos);
    must("umount " + shell_quoted(mount));
}

TEST(Store, files_have_the_contracts_modes_whatever_the_umask) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "one.img", {{"A.BIN", "x"}, {"EMPTY.BIN", ""}});
    const mode_t before = ::umask(077);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "one.img"}).exit, 0);
    ::umask(before);
    struct stat info {};
    ASSERT_EQ(::stat(ntt.blob_path(b3("x")).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0444u);
    ASSERT_EQ(::stat(ntt.blob_path("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262").c_str(), &info), 0) << "the empty file";
    ASSERT_EQ(::stat((ntt.home() + "/by-hash").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0755u);
}

TEST(Work, CopiesWhatWasOnlyEnumeratedAndThenFindsNothingLeft) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "a.img", {{"ONE.TXT", "one"}, {"SAME.TXT", "same"}});
    make_floppy(dir / "b.img", {{"TWO.TXT", "two"}, {"SAME.TXT", "same"}});
    Ntt ntt;
    ASSERT_EQ(ntt.run({"ingest", "--enumerate-only", dir / "a.img", dir / "b.img"}).exit, 4);
    EXPECT_EQ(ntt.run({"work", "--limit", "1"}).exit, 4);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored'"), "1\n");
    const Ran rest = ntt.json({"work"});
    EXPECT_EQ(rest.exit, 0) << rest.err;
    EXPECT_EQ(rest.object("result")["exit"], 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored'; SELECT count(*) FROM blob; SELECT count(*) FROM medium WHERE copy_done IS NULL"), "4\n3\n0\n");
    EXPECT_EQ(ntt.json({"work"}).object("result")["sources"], 0);
    EXPECT_EQ(ntt.run({"workers"}).exit, 1) << "nobody shares this catalog";
}

TEST(Work, LeavesAMediumAloneWhoseImageIsNotHereAndDoesTheOthers) {
    NTT_NEED_TOOL("mformat");
    const TempDir dir;
    make_floppy(dir / "a.img", {{"ONE.TXT", "one"}});
    make_floppy(dir / "b.img", {{"TWO.TXT", "two"}});
    Ntt ntt;
    ASSERT_EQ(ntt.run({"ingest", "--enumerate-only", dir / "a.img", dir / "b.img"}).exit, 4);
    std::filesystem::rename(dir / "a.img", dir / "elsewhere.img");
    EXPECT_EQ(ntt.run({"work"}).exit, 1);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored'"), "1\n");
    write_file(dir / "ntt.toml", "[image_paths]\n\"" + dir.path().string() + "/a.img\" = \"" + dir.path().string() + "/elsewhere.img\"\n");
    EXPECT_EQ(ntt.run({"work", "--config", dir / "ntt.toml"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM inode WHERE status='stored'"), "2\n");
}

TEST(ImagePaths, ReplaceTheLongestBeginningWhereAPartOfThePathEnds) {
    const std::vector<std::pair<std::string, std::string>> paths = {{"/data/img", "/mnt/a"}, {"/data", "/mnt/b"}, {"/slash/", "/c/"}};
    EXPECT_EQ(path_on_this_host("/data/img/x.img", paths), "/mnt/a/x.img");
    EXPECT_EQ(path_on_this_host("/data/img2/x.img", paths), "/mnt/b/img2/x.img");
    EXPECT_EQ(path_on_this_host("/database/x.img", paths), "/database/x.img");
    EXPECT_EQ(path_on_this_host("/slash/x", paths), "/c/x");
    EXPECT_EQ(path_on_this_host("/data", paths), "/mnt/b");
}

}  // namespace
}  // namespace ntt::test
