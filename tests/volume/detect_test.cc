// What detect_volumes makes of filesystems; partition tables are in partition_table_test.cc.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "detection.h"
#include "support/containers.h"

namespace ntt::test {
namespace {

struct Expected {
    const char* table;
    std::vector<std::string> views;  // of the volumes in order; "-" for one without a filesystem
};

const std::map<std::string, Expected>& corpus_table() {
    static const std::map<std::string, Expected> table = {
        {"dfvfs-apfs.raw", {"none", {"apfs"}}},
        {"dfvfs-hfsplus.raw", {"none", {"hfsplus"}}},
        {"dfvfs-iso9660.raw", {"none", {"iso9660"}}},
        {"lde-test.ext2", {"none", {"ext2"}}},
        {"lde-test.ext3", {"none", {"ext2"}}},  // made without a journal
        {"lde-test.ext4", {"none", {"ext4"}}},
        {"lde-test.fat", {"none", {"fat12"}}},
        {"lde-test.fat16", {"none", {"fat16"}}},
        {"lde-test.iso9660j", {"none", {"rockridge", "joliet", "iso9660"}}},
        {"lde-test.minix", {"none", {"minix"}}},
        {"lde-test.msdos", {"none", {"fat12"}}},
        {"lde-test.vfat", {"none", {"fat12"}}},
        {"lde-test.vfat32", {"none", {"fat32"}}},
        {"rust-fatfs-fat12.img", {"none", {"fat12"}}},
        {"rust-fatfs-fat16.img", {"none", {"fat16"}}},
        {"sampler-atari-st-floppy.img", {"none", {"fat12"}}},  // no 0x55AA; blkid does not know it
        {"sampler-befs-intel.img", {"none", {"befs"}}},
        {"sampler-btrfs.img", {"none", {"btrfs"}}},
        {"sampler-dos-partitions-extended.img", {"dos", {"-", "-", "-", "-", "-"}}},
        {"sampler-dos-partitions-primary.img", {"dos", {"-", "-", "-", "-"}}},
        {"sampler-ext2.img", {"none", {"ext2"}}},
        {"sampler-ext3.img", {"none", {"ext3"}}},
        {"sampler-ext4.img", {"none", {"ext4"}}},
        {"sampler-fat12-floppy.img", {"none", {"fat12"}}},
        {"sampler-freebsd-disk.img", {"dos", {"-", "ufs1", "-", "ufs1", "ufs1"}}},
        {"sampler-gpt-empty.img", {"gpt", {"-"}}},
        {"sampler-gpt.img", {"gpt", {"ext2"}}},
        {"sampler-hfs-plus-wrapped.img", {"none", {"hfsplus"}}},
        {"sampler-hfs-plus.img", {"none", {"hfsplus"}}},
        {"sampler-hfs.img", {"none", {"hfs"}}},
        {"sampler-iso9660-hybrid.img", {"none", {"rockridge", "joliet", "iso9660", "hfs"}}},
        {"sampler-iso9660-joliet.img", {"none", {"joliet", "iso9660"}}},
        {"sampler-iso9660-plain.img", {"none", {"iso9660"}}},
        {"sampler-iso9660-rockridge.img", {"none", {"rockridge", "iso9660"}}},
        {"sampler-jfs.img", {"none", {"jfs"}}},
        {"sampler-linux-swap-v2-i386-4k.img", {"none", {"swap"}}},
        {"sampler-minix-v2-30.img", {"none", {"minix"}}},
        {"sampler-reiserfs-3.6.img", {"none", {"reiserfs"}}},
        {"sampler-romfs.img", {"none", {"romfs"}}},
        {"sampler-squashfs-2.1-i386.img", {"none", {"squashfs3"}}},
        {"sampler-ufs-darwin-old.img", {"none", {"ufs1"}}},
        {"sampler-ufs-darwin.img", {"none", {"ufs1"}}},
        {"sampler-xfs.img", {"none", {"xfs"}}},
        {"tsk-image.dd", {"none", {"ext2"}}},
        {"tsk-image.iso", {"none", {"iso9660"}}},
    };
    return table;
}

TEST(Detect, EveryImageOfTheCorpusIsWhatItIsAndHasBlkidsLabelAndUuid) {
    const auto corpus = corpus_dir();
    if (!corpus) GTEST_SKIP() << "needs the corpus beside the project or in $NTT_TEST_CORPUS";
    NTT_NEED_TOOL("blkid");
    TempDir dir;
    for (const auto& [name, expected] : corpus_table()) {
        SCOPED_TRACE(name);
        const std::string image = dir / "image";
        must("gzip -dc " + shell_quoted((*corpus / (name + ".gz")).string()) + " > image", dir.path().string());
        const Detected found = detect_file(image);
        EXPECT_EQ(found.detection.table, expected.table);
        EXPECT_EQ(found.views(), expected.views);
        const auto unsupported = std::count_if(found.detection.volumes.begin(), found.detection.volumes.end(),
                                               [](const Volume& volume) { return volume.outcome == Outcome::unsupported; });
        EXPECT_EQ(found.findings.count("unsupported_filesystem"), static_cast<size_t>(unsupported));
        EXPECT_EQ(found.findings.findings.size(), static_cast<size_t>(unsupported));
        if (expected.table != std::string("none")) continue;
        const Volume& volume = found.first();
        // blkid gives BeFS's from an index of the filesystem; JFS's label there is not text.
        if (name != "sampler-befs-intel.img") {
            EXPECT_EQ(volume.uuid, blkid(image, "UUID"));
        }
        if (name != "sampler-jfs.img") {
            EXPECT_EQ(volume.label, blkid(image, "LABEL"));
        }
    }
}

TEST(Detect, NamesLabelAndUuidOfFreshFilesystemsAsBlkidDoes) {
    NTT_NEED_TOOL("blkid");
    struct Case {
        std::string view, make;
    };
    const std::vector<Case> cases = {
        {"fat12", "truncate -s 1440K i && mkfs.fat -n 'FLOPPY' i"},
        {"fat16", "truncate -s 20M i && mkfs.fat -F 16 -n 'SIXTEEN' i"},
        {"fat32", "truncate -s 40M i && mkfs.fat -F 32 -n 'THIRTYTWO' i"},
        {"exfat", "truncate -s 8M i && mkfs.exfat -L 'Größe' i"},
        {"ntfs", "truncate -s 8M i && mkfs.ntfs -q -F -L 'Año 日本' i"},
        {"ext2", "truncate -s 2M i && mkfs.ext2 -q -L alpha i"},
        {"ext3", "truncate -s 8M i && mkfs.ext3 -q -L beta i"},
        {"ext4", "truncate -s 8M i && mkfs.ext4 -q -L gamma i"},
        {"ext2", "truncate -s 2M i && mkfs.ext2 -q -r 0 i"},
        {"swap", "truncate -s 2M i && mkswap -L swappy i"},
        {"joliet", "mkdir t && echo a > t/a && genisoimage -quiet -J -V 'A_label_that_is_longer_than_16' -o i t"},
        {"rockridge", "mkdir t && echo a > t/a && genisoimage -quiet -J -R -V 'Both sets' -o i t"},
        {"iso9660", "mkdir t && echo a > t/a && genisoimage -quiet -V 'PLAIN' -o i t"},
        {"ufs1", "mkdir t && makefs -t ffs -o version=1 -s 4m i t"},
        {"ufs2", "mkdir t && makefs -t ffs -B be -o version=2 -s 4m i t"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.make);
        TempDir dir;
        const CommandResult made = sh(c.make, dir.path().string());
        if (made.exit != 0) {
            std::printf("not made here: %s: %s\n", c.view.c_str(), made.err.c_str());
            continue;
        }
        const Detected found = detect_file(dir / "i");
        EXPECT_EQ(found.first().view, c.view);
        for (const Volume& volume : found.detection.volumes) {
            EXPECT_EQ(volume.label, blkid(dir / "i", "LABEL"));
            EXPECT_EQ(volume.uuid, blkid(dir / "i", "UUID"));
            EXPECT_EQ(volume.offset_bytes, 0u);
        }
        EXPECT_TRUE(found.findings.findings.empty());
    }
}

TEST(Detect, AnImageWithNothingInItIsOneVolumeWithoutAFilesystem) {
    for (const std::string& bytes :
         {std::string(100000, '\0'), std::string(1474560, '\xF6'), chosen_bytes(1, 70000), std::string(1, 'x')}) {
        const Detected found = detect_bytes(bytes);
        EXPECT_EQ(found.detection.table, "none");
        EXPECT_EQ(found.only().outcome, Outcome::no_filesystem);
        EXPECT_EQ(found.only().role, Role::unknown);
        EXPECT_EQ(found.only().number, 1);
        EXPECT_EQ(found.only().size_bytes, bytes.size());
    }
}

TEST(Detect, AFilesystemWithoutAPartitionTableIsAsLargeAsItSays) {
    NTT_NEED_TOOL("mkfs.fat");
    TempDir dir;
    must("truncate -s 1440K i && mkfs.fat i && truncate -s 2M i", dir.path().string());
    const Detected found = detect_file(dir / "i");
    EXPECT_EQ(found.only().size_bytes, 1474560u);
    EXPECT_TRUE(found.findings.findings.empty());
}

TEST(Detect, AFilesystemLargerThanItsImageIsAFinding) {
    NTT_NEED_TOOL("mkfs.ext2");
    TempDir dir;
    must("truncate -s 4M i && mkfs.ext2 -q i && truncate -s 3M i", dir.path().string());
    const Detected found = detect_file(dir / "i");
    EXPECT_EQ(found.only().view, "ext2");
    EXPECT_EQ(found.only().outcome, Outcome::read);
    EXPECT_EQ(found.only().size_bytes, 4u << 20);
    ASSERT_TRUE(found.findings.has("filesystem_beyond_image"));
    EXPECT_EQ(found.findings.findings[0].volume, 1);
}

TEST(Detect, ASizeThatNoDiskHasIsNotTakenForOne) {
    NTT_NEED_TOOL("mkfs.ntfs");
    TempDir dir;
    must("truncate -s 8M i && mkfs.ntfs -q -F i", dir.path().string());
    patch_file(dir / "i", 0x28, std::string("\0\0\0\0\0\0\x40\0", 8));  // 2^54 sectors of 512 bytes
    const Detected found = detect_file(dir / "i");
    EXPECT_EQ(found.only().view, "ntfs");
    EXPECT_EQ(found.only().size_bytes, uint64_t{8} << 20);
    EXPECT_NE(found.only().detail.find("\"impossible_size\":9223372036854775808"), std::string::npos) << found.only().detail;
}

TEST(Detect, AZipDisksFilesystemIsFoundBehindItsFirst32Sectors) {
    NTT_NEED_TOOL("mkfs.fat");
    TempDir dir;
    must("truncate -s 1440K f && mkfs.fat -n ZIP f && (head -c 16384 /dev/zero; cat f) > i", dir.path().string());
    const Detected found = detect_file(dir / "i");
    EXPECT_EQ(found.only().view, "fat12");
    EXPECT_EQ(found.only().offset_bytes, 16384u);
    EXPECT_EQ(found.only().label, "ZIP");
}

TEST(Detect, V2EachViewOfADiscIsAVolumeTheRichestNamesFirst) {
    NTT_NEED_TOOL("genisoimage");
    const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
        {"", {"iso9660"}},
        {"-R", {"rockridge", "iso9660"}},
        {"-J", {"joliet", "iso9660"}},
        {"-udf -J -R", {"rockridge", "joliet", "iso9660", "udf"}},
        {"-hfs -J -R", {"rockridge", "joliet", "iso9660", "hfs"}},
    };
    for (const auto& [options, views] : cases) {
        SCOPED_TRACE(options);
        TempDir dir;
        must("mkdir t && echo a > t/a && genisoimage -quiet " + options + " -V DISC -o i t", dir.path().string());
        const Detected found = detect_file(dir / "i");
        EXPECT_EQ(found.views(), views);
        for (const Volume& volume : found.detection.volumes) {
            EXPECT_EQ(volume.offset_bytes, 0u);
            EXPECT_EQ(volume.label, "DISC");
        }
        EXPECT_FALSE(found.findings.has("partitions_overlap"));
    }
}

TEST(Detect, OneLostDescriptorOfADiscCostsItsOwnNamesOnly) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must("mkdir t && echo a > t/a && genisoimage -quiet -J -R -V LABEL -o i t", dir.path().string());
    const std::string whole = read_file(dir / "i");
    for (const auto& [sector, views] : {std::pair<size_t, std::vector<std::string>>{16, {"joliet"}}, {17, {"rockridge", "iso9660"}}}) {
        std::string image = whole;
        image.replace(sector * 2048, 2048, std::string(2048, '\0'));
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.views(), views);
        EXPECT_EQ(found.first().label, "LABEL");
        EXPECT_EQ(found.findings.count("volume_descriptor_lost"), 1u);
    }
}

TEST(Detect, ACopyOfAUfsSuperblockIsNotTakenForTheFirst) {
    NTT_NEED_TOOL("makefs");
    TempDir dir;
    must("mkdir t && echo a > t/a && makefs -t ffs -o version=1 -s 4m i t", dir.path().string());
    std::string image = read_file(dir / "i");
    image.replace(8192, 8192, std::string(8192, '\0'));
    for (const Volume& volume : detect_bytes(image).detection.volumes) EXPECT_FALSE(volume.readable && volume.offset_bytes != 0);
}

TEST(Detect, V2ABridgeDiscWhoseUdfIsBrokenKeepsItsIso9660) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must("mkdir t && echo a > t/a && genisoimage -quiet -udf -R -J -o i t", dir.path().string());
    std::string image = read_file(dir / "i");
    image.replace(257 * 2048, 2048, std::string(2048, '\0'));  // UDF's file set descriptor
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.first().view, "rockridge");
    EXPECT_EQ(found.first().outcome, Outcome::read);
}

TEST(Detect, AFilesystemThatIsNotReadIsNamedWithWhatReadsIt) {
    NTT_NEED_TOOL("blkid");
    struct Case {
        std::string view, make;
    };
    const std::vector<Case> cases = {
        {"f2fs", "truncate -s 64M i && mkfs.f2fs -q -l flash i"},
        {"nilfs2", "truncate -s 140M i && mkfs.nilfs2 -q -L logged i"},
        {"erofs", "mkdir t && mkfs.erofs --quiet i t"},
        {"cramfs", "mkdir t && echo a > t/a && mkfs.cramfs -n crammed t i"},
        {"minix", "truncate -s 4M i && mkfs.minix i"},
        {"xfs", "truncate -s 400M i && mkfs.xfs -q -L big i"},
        {"btrfs", "truncate -s 120M i && mkfs.btrfs -q -L tree i"},
        {"reiserfs", "truncate -s 40M i && mkreiserfs -q -ff -l chad i"},
        {"jfs", "truncate -s 20M i && mkfs.jfs -q i"},
        {"romfs", "mkdir t && seq 9000 > t/a && genromfs -f i -d t -V rom"},
        {"squashfs", "mkdir t && echo a > t/a && mksquashfs t i -quiet"},
    };
    int made = 0;
    for (const Case& c : cases) {
        SCOPED_TRACE(c.make);
        TempDir dir;
        const CommandResult result = sh(c.make, dir.path().string());
        if (result.exit != 0) {
            std::printf("not made here: %s: %s\n", c.view.c_str(), result.err.c_str());
            continue;
        }
        ++made;
        const Detected found = detect_file(dir / "i");
        EXPECT_EQ(found.only().view, c.view);
        EXPECT_EQ(found.only().role, Role::filesystem);
        EXPECT_EQ(found.only().label, blkid(dir / "i", "LABEL"));
        EXPECT_EQ(found.only().uuid, blkid(dir / "i", "UUID"));
        if (found.only().outcome == Outcome::read) continue;  // there is a reader by now
        EXPECT_EQ(found.only().outcome, Outcome::unsupported);
        EXPECT_EQ(nlohmann::json::parse(found.only().detail)["cause"], "UNSUPPORTED_FS");
        ASSERT_EQ(found.findings.count("unsupported_filesystem"), 1u);
        EXPECT_NE(found.findings.findings[0].message.find("kernel"), std::string::npos);
    }
    EXPECT_GE(made, 3);
}

TEST(Detect, FilesystemsWithoutAToolHereAreKnownByTheirSuperblocks) {
    std::string hpfs(1 << 20, '\0'), refs(1 << 20, '\0'), affs(901120, '\0'), vxfs(1 << 20, '\0'), ubifs(1 << 20, '\0'), zfs(1 << 20, '\0');
    put_le32(hpfs, 8192, 0xF995E849);
    put_le32(hpfs, 8196, 0xFA53E9C5);
    refs.replace(3, 4, "ReFS");
    refs.replace(16, 4, "FSRS");
    affs.replace(0, 3, "DOS");
    affs[450560 + 3] = 2;
    affs.replace(450560 + 432, 10, "\x09Workbench");
    affs[450560 + 511] = 1;
    put_le32(vxfs, 1024, 0xa501fcf5);
    put_le32(ubifs, 0, 0x06101831);
    ubifs[20] = 6;
    for (size_t i = 0; i < 8; ++i) put_le32(zfs, 128 * 1024 + i * 1024, 0x00bab10c);
    for (const auto& [image, view] : std::vector<std::pair<std::string, std::string>>{
             {hpfs, "hpfs"}, {refs, "refs"}, {affs, "affs"}, {vxfs, "vxfs"}, {ubifs, "ubifs"}, {zfs, "zfs_member"}}) {
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.only().view, view);
        EXPECT_EQ(found.only().outcome, Outcome::unsupported);
        EXPECT_TRUE(found.findings.has("unsupported_filesystem"));
    }
    EXPECT_EQ(detect_bytes(affs).only().label, "Workbench");
}

// Not a test of what is found: of coming back at all, with volumes that make sense.
TEST(Detect, DamagedImagesAreSurvived) {
    NTT_NEED_TOOL("genisoimage");
    TempDir dir;
    must(
        "mkdir t && echo a > t/a && genisoimage -quiet -udf -J -R -o iso t && truncate -s 1M ext fat && mkfs.ext4 -q ext && "
        "mkfs.fat fat && "
        "truncate -s 2M ntfs && mkfs.ntfs -q -F ntfs && truncate -s 2M mbr && "
        "printf 'label: dos\\nstart=64,size=128,type=5\\nstart=512,size=512,type=83\\nstart=100,size=20,type=83\\n' | sfdisk -q "
        "mbr",
        dir.path().string());
    std::mt19937 random(7);
    for (const char* name : {"iso", "ext", "fat", "ntfs", "mbr"}) {
        const std::string whole = read_file(dir / name);
        for (int round = 0; round < 150; ++round) {
            std::string image = whole.substr(0, round % 3 == 0 ? random() % whole.size() + 1 : whole.size());
            for (int i = 0; i < 40; ++i)
                image[random() % std::min<size_t>(image.size(), round % 2 ? 4096 : 70000)] = static_cast<char>(random());
            const Detected found = detect_bytes(image);
            ASSERT_FALSE(found.detection.volumes.empty());
            int number = 0;
            for (const Volume& volume : found.detection.volumes) {
                EXPECT_EQ(volume.number, ++number);
                EXPECT_GE(volume.range().end(), volume.offset_bytes);
                EXPECT_TRUE(is_utf8(volume.label));
            }
        }
    }
}

}  // namespace
}  // namespace ntt::test
