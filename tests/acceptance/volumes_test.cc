// What ingest makes of images that hold more than one plain filesystem.
#include <set>
#include <sstream>

#include "acceptance/ntt.h"
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
