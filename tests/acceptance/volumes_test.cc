// What ingest makes of images that hold more than one plain filesystem.
#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "acceptance/ntt.h"
#include "base/hash.h"
#include "support/containers.h"
#include "support/images.h"

namespace ntt::test {
namespace {

// The contents of regular files by volume and path, as the store has them.
std::map<std::pair<int, std::string>, std::string> stored(Ntt& ntt, const std::string& medium) {
    std::map<std::pair<int, std::string>, std::string> out;
    for (const auto& [place, file] : ntt.files_by_volume(medium)) {
        EXPECT_EQ(file["status"], "stored") << place.second;
        if (!file["blobid"].is_null()) out[place] = read_file(ntt.blob_path(file["blobid"]));
    }
    return out;
}

// The names that isoinfo lists for one kind of names.
std::set<std::string> isoinfo_names(const std::string& image, const std::string& kind) {
    std::set<std::string> out;
    std::istringstream lines(must("isoinfo -f " + kind + " -i " + shell_quoted(image) + " 2>/dev/null"));
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with(";1")) line.resize(line.size() - 2);
        if (line.ends_with(".")) line.pop_back();  // of a name without an extension
        out.insert(line.substr(1));
    }
    return out;
}

TEST(FieldCase_V11, each_view_of_a_hybrid_disc_has_its_own_names_and_equal_contents_are_stored_once) {
    NTT_NEED_TOOL("xorriso");
    NTT_NEED_TOOL("isoinfo");
    const TempDir dir;
    must("mkdir -p t/folder && echo one > 't/A long name, with blanks.text' && seq 30000 > t/folder/numbers && ln -s numbers t/folder/link && "
         "xorriso -as mkisofs -quiet -R -J -hfsplus -o disc.iso t",
         dir.path().string());
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "disc.iso"});
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ntt.sql("SELECT volume, view, outcome FROM volume ORDER BY volume"), "1|rockridge|read\n2|joliet|read\n3|iso9660|read\n4|hfsplus|read\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM blob"), "3\n") << "two contents, and the empty file that a link is in Joliet";

    for (const auto& [volume, kind] : std::map<std::string, std::string>{{"1", "-R"}, {"2", "-J"}, {"3", ""}}) {
        std::istringstream rows(ntt.sql("SELECT CAST(path AS TEXT) FROM path WHERE volume = " + volume));
        std::set<std::string> ours;
        for (std::string row; std::getline(rows, row);) ours.insert(row);
        EXPECT_EQ(ours, isoinfo_names(dir / "disc.iso", kind)) << kind;
    }
    const auto contents = stored(ntt, ran.object("summary")["medium_hash"]);
    const std::string numbers = read_file(dir / "t/folder/numbers");
    EXPECT_EQ(contents.at({1, "folder/numbers"}), numbers);
    EXPECT_EQ(contents.at({2, "folder/numbers"}), numbers);
    EXPECT_EQ(contents.at({3, "FOLDER/NUMBERS"}), numbers);
    EXPECT_EQ(contents.at({4, "folder/numbers"}), numbers);
    EXPECT_EQ(contents.at({4, "A long name, with blanks.text"}), "one\n");
}

TEST(Volumes, a_rock_ridge_disc_without_joliet_gives_the_rock_ridge_names) {
    NTT_NEED_TOOL("genisoimage");
    const TempDir dir;
    must("mkdir t && echo one > 't/A long name, with blanks.text' && genisoimage -quiet -R -o disc.iso t", dir.path().string());
    Ntt ntt;
    const Ran ran = ntt.json({"ingest", dir / "disc.iso"});
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(stored(ntt, ran.object("summary")["medium_hash"]).at({1, "A long name, with blanks.text"}), "one\n");
}

// An image of `size` with an ext4 filesystem of 4 MiB at `offset` that holds one file.
std::string with_file(const TempDir& dir, size_t size, size_t offset) {
    must("mkdir -p t && seq 20000 > t/numbers", dir.path().string());
    make_ext(dir / "fs", "ext4", 4096, dir / "t");
    std::string image(size, '\0');
    image.replace(offset, 4 << 20, read_file(dir / "fs"));
    return image;
}

// Two sessions: the second takes over one file of the first, replaces one, drops one and adds one. Between them lies a gap of
// 11,400 sectors that no drive reads.
class TwoSessions {
public:
    TwoSessions() {
        for (const char* tree : {"first", "second"}) std::filesystem::create_directory(dir_ / tree);
        put("first/kept.bin", 1, 100'000);
        put("first/changed.bin", 2, 50'000);
        must("genisoimage -quiet -R -J -o first.iso first 2>&1", dir_.path().string());
        put("second/changed.bin", 3, 40'000);
        put("second/new.bin", 4, 70'000);
        const uint64_t sectors = std::filesystem::file_size(dir_ / "first.iso") / 2048;
        start = (sectors + 11'400 + 15) / 16 * 16;
        must(fmt::format("genisoimage -quiet -R -J -C 0,{} -M first.iso -o second.iso second 2>&1", start), dir_.path().string());
        write_file(image(), read_file(dir_ / "first.iso") + std::string((start - sectors) * 2048, '\0') + read_file(dir_ / "second.iso"));
        gap = {sectors * 2048, (start - sectors) * 2048};
    }
    std::string image() const { return dir_ / "disc.iso"; }
    std::string content(int n) const { return contents_.at(n); }

    uint64_t start = 0;  // of the second session, in sectors
    ByteRange gap;

private:
    void put(const std::string& path, int n, size_t size) {
        contents_[n] = chosen_bytes(static_cast<unsigned>(n), size);
        write_file(dir_ / path, contents_[n]);
    }
    TempDir dir_;
    std::map<int, std::string> contents_;
};

TEST(Sessions, of_a_disc_are_volumes_each_and_the_later_one_has_the_files_of_the_earlier) {
    NTT_NEED_TOOL("genisoimage");
    const TwoSessions disc;
    write_file(disc.image() + ".map", rescue_map(std::filesystem::file_size(disc.image()), {{disc.gap.offset, disc.gap.length}}, '-'));
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", disc.image(), "--name", "d"}).exit, 0);
    EXPECT_EQ(ntt.sql("SELECT volume, view, outcome, ifnull(detail ->> '$.session', 1) FROM volume ORDER BY volume"),
              "1|rockridge|read|1\n2|joliet|read|1\n3|iso9660|read|1\n4|rockridge|read|2\n5|joliet|read|2\n6|iso9660|read|2\n");
    const auto files = ntt.files_by_volume("d");
    EXPECT_EQ(files.size(), 3u * 2 + 3u * 3);
    const std::map<std::pair<int, std::string>, int> expected = {{{1, "kept.bin"}, 1}, {{1, "changed.bin"}, 2}, {{4, "kept.bin"}, 1},
                                                                 {{4, "changed.bin"}, 3}, {{4, "new.bin"}, 4}, {{6, "NEW.BIN"}, 4}};
    for (const auto& [place, n] : expected) {
        ASSERT_TRUE(files.contains(place)) << place.first << " " << place.second;
        EXPECT_EQ(files.at(place)["blobid"], blake3_of(as_bytes(disc.content(n))).hex()) << place.first << " " << place.second;
    }
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'image_larger_than_filesystem'"), "0\n");
}

TEST(Sessions, that_the_image_has_only_in_part_lose_what_lies_behind_its_end) {
    NTT_NEED_TOOL("genisoimage");
    const TwoSessions disc;
    const std::string bytes = read_file(disc.image());
    const uint64_t cut = bytes.find(disc.content(4), disc.start * 2048) + 4096;
    ASSERT_LT(cut, bytes.size());
    std::filesystem::resize_file(disc.image(), cut);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", disc.image(), "--name", "d"}).exit, 3);
    const auto files = ntt.files_by_volume("d");
    EXPECT_EQ(files.at({4, "kept.bin"})["status"], "stored");
    EXPECT_EQ(files.at({4, "new.bin"})["cause"], "BEYOND_EOF");
    EXPECT_EQ(files.at({1, "changed.bin"})["blobid"], blake3_of(as_bytes(disc.content(2))).hex());
}

// The descriptors of an image file count their blocks from that file's start.
TEST(Sessions, are_not_seen_in_an_image_file_that_stands_behind_the_disc) {
    NTT_NEED_TOOL("genisoimage");
    const TempDir dir;
    std::filesystem::create_directory(dir / "t");
    write_file(dir / "t/a.bin", chosen_bytes(1, 30'000));
    must("genisoimage -quiet -R -o disc.iso t 2>&1", dir.path().string());
    const std::string disc = read_file(dir / "disc.iso");
    write_file(dir / "twice.iso", disc + disc);
    Ntt ntt;
    ntt.run({"ingest", dir / "twice.iso", "--name", "d"});
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM volume WHERE detail ->> '$.session' > 1"), "0\n");
    EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding WHERE code = 'image_larger_than_filesystem'"), "1\n");
}

TEST(FieldCase_V4, a_mirrors_member_and_a_logical_volume_in_one_piece_are_read_through) {
    NTT_NEED_TOOL("mke2fs");
    const TempDir dir;
    std::string mirror = with_file(dir, 8 << 20, 1 << 20), lvm = with_file(dir, 12 << 20, kLvm2DataAt);
    write_md_superblock(mirror, {"1.2", 1, 4, 3});
    write_lvm2(lvm, "VG", {{"home", {{0, 1, "pv0", 0}}}});
    const std::string numbers = read_file(dir / "t/numbers");
    for (const std::string* image : {&mirror, &lvm}) {
        Ntt ntt;
        write_file(dir / "image", *image);
        const Ran ran = ntt.json({"ingest", dir / "image"});
        EXPECT_EQ(ran.exit, 0) << ran.err;
        const auto contents = stored(ntt, ran.object("summary")["medium_hash"]);
        EXPECT_EQ(contents, (decltype(contents){{{2, "numbers"}, numbers}}));
        EXPECT_EQ(ntt.sql("SELECT outcome FROM volume ORDER BY volume"), "skipped\nread\n");
        EXPECT_EQ(ntt.sql("SELECT count(*) FROM finding"), "0\n");
    }
}

TEST(FieldCase_V5, a_wiped_disk_behind_a_raid_superblock_is_named_wiped) {
    NTT_NEED_TOOL("sfdisk");
    const TempDir dir;
    must("truncate -s 8M i && printf 'label: dos\nstart=2048,size=8192,type=fd\n' | sfdisk -q i", dir.path().string());
    std::string image = read_file(dir / "i"), partition(4 << 20, '\x55');
    write_md_superblock(partition, {"1.2", 1, 2, 0, 1 << 20, "Microknoppix:0"});
    image.replace(2048 * 512, partition.size(), partition);
    write_file(dir / "i", image);
    Ntt ntt;
    EXPECT_EQ(ntt.run({"ingest", dir / "i"}).exit, 3) << "no filesystem was found";
    EXPECT_EQ(ntt.sql("SELECT role, outcome, detail ->> '$.fill', detail ->> '$.fill_byte', detail ->> '$.raid_member.name' FROM volume ORDER BY volume"),
              "raid_member|skipped|wiped|0x55|Microknoppix:0\nunknown|no_filesystem|wiped|0x55|Microknoppix:0\n");
}

}  // namespace
}  // namespace ntt::test
