// Images that nobody here made: no crash, no hang, and contents equal to those that other programs read.
// They lie in $NTT_TEST_CORPUS or ../shared/corpus; without them these tests are skipped by name.

#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "acceptance/ntt.h"
#include "base/hash.h"

namespace ntt::test {
namespace {
namespace fs = std::filesystem;

// Files by path and content, as another program extracts them.
using Extracted = std::multiset<std::pair<std::string, std::string>>;

Extracted extracted_in(const std::string& folder) {
    Extracted out;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && !entry.is_symlink())
            out.emplace(fs::relative(entry.path(), folder).string(), blake3_of(as_bytes(read_file(entry.path()))).hex());
    return out;
}

// The kernel's own mount for ext, mtools for FAT, xorriso for the names that extend ISO 9660, 7z for the rest.
bool extract(const std::string& image, const std::string& view, const std::string& folder) {
    fs::create_directory(folder);
    if (view.substr(0, 3) == "ext")
        return ::geteuid() == 0 && sh(fmt::format("mkdir m && mount -o ro,noload,loop {0} m || mount -o ro,loop {0} m; e=$?; [ $e = 0 ] && cp -a m/. {1}; umount m; exit $e",
                                                  shell_quoted(image), shell_quoted(folder)), fs::path(folder).parent_path()).exit == 0;
    if (view.substr(0, 3) == "fat") return sh(fmt::format("mcopy -s -n -m -i {} '::*' {}", shell_quoted(image), shell_quoted(folder))).exit == 0;
    if (view == "rockridge" || view == "joliet")
        return sh(fmt::format("xorriso -osirrox on -read_fs {} -indev {} -extract / {}", view == "joliet" ? "norock" : "any", shell_quoted(image), shell_quoted(folder))).exit == 0;
    if (view == "iso9660" || view == "ntfs")
        return sh(fmt::format("7z x -y -o{} {}", shell_quoted(folder), shell_quoted(image))).exit == 0;
    return false;
}

// Where the unpacked image of this name stands.
std::string unpacked(const std::string& name) {
    static const TempDir folder;
    return folder / name;
}

// Unpacks the corpus once; names of images, the first segment alone of a split one.
const std::vector<std::string>& images() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> out;
        const auto corpus = corpus_dir();
        if (!corpus) return out;
        for (const auto& entry : fs::directory_iterator(*corpus)) {
            const std::string name = entry.path().filename();
            if (name.ends_with(".gz")) sh(fmt::format("gzip -dc {} > {}", shell_quoted(entry.path().string()), shell_quoted(unpacked(name.substr(0, name.size() - 3)))));
            if (name.ends_with(".E01")) fs::copy_file(entry.path(), unpacked(name));
        }
        for (const auto& entry : fs::directory_iterator(unpacked("")))
            if (!entry.path().string().ends_with(".001")) out.push_back(entry.path());
        std::sort(out.begin(), out.end());
        return out;
    }();
    return names;
}

// What each image must give. Counts and views were compared with blkid, the kernel's mount, mtools, fls, isoinfo and 7z; a row
// changes when another filesystem is read.
struct Expected {
    const char* image;
    int exit;
    const char* volumes;  // "offset view outcome" of each
    int stored, nonfile;  // inodes; none are damaged, unreadable, excluded or pending
};
constexpr Expected kExpected[] = {
    {"dfvfs-apfs.raw", 3, "0 apfs unsupported", 0, 0},
    {"dfvfs-ext2.E01", 0, "0 ext2 read", 3, 3},
    {"dfvfs-ext2.qcow2", 1, "", 0, 0},
    {"dfvfs-ext2.splitraw.000", 0, "0 ext2 read", 3, 3},
    {"dfvfs-ext2.vhd", 0, "0 ext2 read", 3, 3},
    {"dfvfs-ext2.vmdk", 0, "0 ext2 read", 3, 3},
    {"dfvfs-hfsplus.raw", 0, "0 hfsplus read", 8, 5},
    {"dfvfs-iso9660.raw", 0, "0 iso9660 read", 3, 2},
    {"lde-test.ext2", 0, "0 ext2 read", 6, 16},
    {"lde-test.ext3", 0, "0 ext2 read", 6, 16},
    {"lde-test.ext4", 0, "0 ext4 read", 6, 16},
    {"lde-test.fat", 0, "0 fat12 read", 0, 0},
    {"lde-test.fat16", 0, "0 fat16 read", 0, 0},
    {"lde-test.iso9660j", 0, "0 rockridge read; 0 joliet read; 0 iso9660 read", 352, 50},
    {"lde-test.minix", 3, "0 minix unsupported", 0, 0},
    {"lde-test.msdos", 0, "0 fat12 read", 105, 16},
    {"lde-test.vfat", 0, "0 fat12 read", 105, 16},
    {"lde-test.vfat32", 0, "0 fat32 read", 0, 0},
    {"rust-fatfs-fat12.img", 0, "0 fat12 read", 4, 4},
    {"rust-fatfs-fat16.img", 0, "0 fat16 read", 4, 4},
    {"sampler-atari-st-floppy.img", 0, "0 fat12 read", 0, 0},
    {"sampler-befs-intel.img", 3, "0 befs unsupported", 0, 0},
    {"sampler-btrfs.img", 3, "0 btrfs unsupported", 0, 0},
    {"sampler-dos-partitions-extended.img", 3, "8192 - skipped; 16384 - no_filesystem; 819200 - no_filesystem; 3547136 - no_filesystem; 5152768 - no_filesystem", 0, 0},
    {"sampler-dos-partitions-primary.img", 3, "8192 - no_filesystem; 802816 - no_filesystem; 3547136 - no_filesystem; 5144576 - no_filesystem", 0, 0},
    {"sampler-ext2.img", 0, "0 ext2 read", 0, 1},
    {"sampler-ext3.img", 0, "0 ext3 read", 0, 1},
    {"sampler-ext4.img", 0, "0 ext4 read", 0, 1},
    {"sampler-fat12-floppy.img", 0, "0 fat12 read", 0, 0},
    {"sampler-freebsd-disk.img", 0, "8704 - skipped; 8704 ufs1 read; 2105856 - no_filesystem; 3155456 ufs1 read; 5252608 ufs1 read", 0, 2},
    {"sampler-gpt-empty.img", 3, "0 - no_filesystem", 0, 0},
    {"sampler-gpt.img", 0, "17408 ext2 read", 0, 1},
    {"sampler-hfs-plus-wrapped.img", 0, "45056 hfsplus read", 0, 0},
    {"sampler-hfs-plus.img", 0, "0 hfsplus read", 0, 0},
    {"sampler-hfs.img", 0, "0 hfs read", 0, 0},
    {"sampler-iso9660-hybrid.img", 0, "0 rockridge read; 0 joliet read; 0 iso9660 read; 0 hfs read", 34, 8},
    {"sampler-iso9660-joliet.img", 0, "0 joliet read; 0 iso9660 read", 16, 4},
    {"sampler-iso9660-plain.img", 0, "0 iso9660 read", 8, 2},
    {"sampler-iso9660-rockridge.img", 0, "0 rockridge read; 0 iso9660 read", 16, 4},
    {"sampler-jfs.img", 3, "0 jfs unsupported", 0, 0},
    {"sampler-linux-swap-v2-i386-4k.img", 3, "0 swap skipped", 0, 0},
    {"sampler-minix-v2-30.img", 3, "0 minix unsupported", 0, 0},
    {"sampler-reiserfs-3.6.img", 3, "0 reiserfs unsupported", 0, 0},
    {"sampler-romfs.img", 3, "0 romfs unsupported", 0, 0},
    {"sampler-squashfs-2.1-i386.img", 3, "0 squashfs3 unsupported", 0, 0},
    {"sampler-udif-udro.img", 1, "", 0, 0},
    {"sampler-udif-udzo.img", 1, "", 0, 0},
    {"sampler-ufs-darwin-old.img", 3, "0 ufs1 partial", 0, 0},
    {"sampler-ufs-darwin.img", 3, "0 ufs1 partial", 0, 0},
    {"sampler-xfs.img", 3, "0 xfs unsupported", 0, 0},
    {"tsk-image.E01", 0, "0 ext2 read", 3, 3},
    {"tsk-image.dd", 0, "0 ext2 read", 3, 3},
    {"tsk-image.iso", 0, "0 iso9660 read", 3, 2},
};

TEST(Corpus, every_image_has_the_outcome_of_the_table) {
    if (!corpus_dir()) GTEST_SKIP() << "no corpus: set NTT_TEST_CORPUS";
    std::set<std::string> left;
    for (const std::string& image : images()) left.insert(fs::path(image).filename());
    Ntt ntt;
    for (const Expected& expected : kExpected) {
        ASSERT_TRUE(left.erase(expected.image)) << expected.image << " is not in the corpus";
        SCOPED_TRACE(expected.image);
        const Ran ran = ntt.json({"ingest", unpacked(expected.image)});
        EXPECT_EQ(ran.exit, expected.exit) << ran.err;
        if (ran.exit == 1) {
            EXPECT_EQ(ran.object("error")["code"], "unsupported");
            continue;
        }
        const Json summary = ran.object("summary"), totals = summary["totals"];
        EXPECT_EQ(totals["stored"], expected.stored);
        EXPECT_EQ(totals["nonfile"], expected.nonfile);
        EXPECT_EQ(totals["inodes"], expected.stored + expected.nonfile) << totals;
        EXPECT_EQ(ntt.sql(fmt::format("SELECT group_concat(text, '; ') FROM (SELECT offset_bytes || ' ' || iif(coalesce(view, '') = '', '-', view) || ' ' || outcome AS text "
                                      "FROM volume WHERE medium_hash = '{}' ORDER BY volume)", summary["medium_hash"].get<std::string>())),
                  expected.volumes + std::string("\n"));
    }
    EXPECT_TRUE(left.empty()) << *left.begin() << " is not in the table";
    EXPECT_EQ(ntt.run({"verify", "--strict"}).exit, 0);
}

TEST(Corpus, the_table_agrees_with_what_blkid_says_of_each_image) {
    if (!corpus_dir()) GTEST_SKIP() << "no corpus: set NTT_TEST_CORPUS";
    // Columns of MANIFEST.tsv: file, bytes, SHA-256, filesystem by blkid, partition table by blkid, origin.
    std::map<std::string, std::string> blkid;
    std::istringstream manifest(read_file((*corpus_dir() / "MANIFEST.tsv").string()));
    for (std::string line; std::getline(manifest, line);) {
        std::vector<std::string> columns(1);
        for (const char c : line) c == '\t' ? columns.emplace_back() : columns.back().append(1, c);
        if (columns.size() >= 4) blkid[columns[0].ends_with(".gz") ? columns[0].substr(0, columns[0].size() - 3) : columns[0]] = columns[3];
    }
    const std::map<std::string, std::set<std::string>> views{{"vfat", {"fat12", "fat16", "fat32"}}, {"iso9660", {"iso9660", "joliet", "rockridge"}}, {"ufs", {"ufs1", "ufs2"}}};
    for (const Expected& expected : kExpected) {
        const std::string type = blkid[expected.image];
        if (type == "-" || type.empty()) continue;
        std::istringstream first(expected.volumes);
        std::string offset, view;
        first >> offset >> view;
        EXPECT_TRUE(view == type || (views.count(type) != 0 && views.at(type).count(view) != 0)) << expected.image << ": " << view << ", blkid: " << type;
    }
}

TEST(Corpus, contents_are_those_that_the_kernel_mtools_xorriso_and_7z_read) {
    if (!corpus_dir()) GTEST_SKIP() << "no corpus: set NTT_TEST_CORPUS";
    NTT_NEED_TOOL("mcopy");
    NTT_NEED_TOOL("7z");
    NTT_NEED_TOOL("xorriso");
    int compared = 0;
    for (const std::string& image : images()) {
        Ntt ntt;
        const Ran ran = ntt.json({"ingest", image});
        if (ran.exit != 0) continue;
        const std::string medium = ran.object("summary")["medium_hash"];
        if (ntt.sql("SELECT max(offset_bytes) FROM volume") != "0\n" || ntt.sql("SELECT format FROM image") != "raw\n") continue;
        std::vector<std::string> views;
        std::istringstream rows(ntt.sql("SELECT view FROM volume ORDER BY volume"));
        for (std::string view; std::getline(rows, view);) views.push_back(view);
        const auto files = ntt.files_by_volume(medium);
        for (size_t i = 0; i < views.size(); ++i) {
            if (views[i] == "iso9660" && views.size() > 1) continue;  // 7z shows the richer names alone
            const TempDir dir;
            if (!extract(image, views[i], dir / "out")) continue;
            ++compared;

            Extracted ours;
            for (const auto& [place, file] : files)
                if (place.first == static_cast<int>(i) + 1) ours.emplace(place.second, file["blobid"].is_null() ? "" : file["blobid"].get<std::string>());
            Extracted theirs = extracted_in(dir / "out");
            std::erase_if(theirs, [](const auto& file) { return file.first.find("[BOOT]") == 0; });  // 7z shows an El Torito image as a file
            EXPECT_EQ(ours, theirs) << image << " (" << views[i] << ")";
        }
    }
    EXPECT_GE(compared, ::geteuid() == 0 ? 12 : 8) << "the oracles could read hardly anything";
}

}  // namespace
}  // namespace ntt::test
