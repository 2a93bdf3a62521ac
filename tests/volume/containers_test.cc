// Volumes that hold other volumes: RAID members, LVM, encryption.
#include <nlohmann/json.hpp>
#include <random>

#include "detection.h"
#include "support/containers.h"
#include "volume/lvm_text.h"

namespace ntt::test {
namespace {

using nlohmann::json;

json detail_of(const Volume& volume) { return json::parse(volume.detail); }

// An image of zeros of this size with an ext4 filesystem of 4 MiB, labelled "inside", at `offset`.
std::string with_ext(const TempDir& dir, size_t size, size_t offset) {
    must("rm -f fs && truncate -s 4M fs && mkfs.ext4 -q -L inside fs", dir.path().string());
    std::string image(size, '\0');
    image.replace(offset, 4 << 20, read_file(dir / "fs"));
    return image;
}

TEST(Raid, V4TheFilesystemOnAMirrorsMemberIsAVolumeOfItsOwn) {
    NTT_NEED_TOOL("mdadm");
    for (const char* version : {"1.2", "1.1", "1.0", "0.90"}) {
        SCOPED_TRACE(version);
        TempDir dir;
        const bool at_end = version == std::string("1.0") || version == std::string("0.90");
        const uint64_t data = at_end ? 0 : 1 << 20;
        std::string image = with_ext(dir, 8 << 20, data);
        write_md_superblock(image, {version, 1, 4, 3});
        write_file(dir / "i", image);
        const std::string examined = must("mdadm --examine i", dir.path().string());
        EXPECT_NE(examined.find("- correct"), std::string::npos) << examined;
        const Detected found = detect_bytes(image);
        ASSERT_EQ(found.views(), (std::vector<std::string>{"linux_raid_member", "ext4"}));
        EXPECT_EQ(found.first().role, Role::raid_member);
        EXPECT_EQ(found.first().outcome, Outcome::skipped) << "all it holds is a volume of its own";
        EXPECT_EQ(found.first().uuid, kMdUuid);
        EXPECT_EQ(found.first().uuid, blkid(dir / "i", "UUID"));
        const Volume& inside = found.detection.volumes[1];
        EXPECT_EQ(inside.offset_bytes, data);
        EXPECT_EQ(inside.label, "inside");
        EXPECT_EQ(inside.outcome, Outcome::read);
        const json member = detail_of(inside)["raid_member"];
        EXPECT_EQ(member["uuid"], kMdUuid);
        EXPECT_EQ(member["level"], "raid1");
        EXPECT_EQ(member["device_number"], 3);
        EXPECT_EQ(member["data_offset"], data);
        EXPECT_EQ(member["name"], version == std::string("0.90") ? "" : "host:0");
        EXPECT_TRUE(found.findings.findings.empty());
    }
}

TEST(Raid, AMemberThatCannotStandAloneIsNamedWithWhatWouldHelp) {
    NTT_NEED_TOOL("mkfs.ext4");
    struct Case {
        MdMember member;
        const char* level;
        const char* needs;
    };
    const std::vector<Case> cases = {
        {{"1.2", 0, 2, 0}, "raid0", "images of all members"},
        {{"1.2", 5, 3, 0}, "raid5", "images of all members"},
        {{"1.0", 6, 4, 0}, "raid6", "images of all members"},
        {{"0.90", 10, 2, 0}, "raid10", "images of all members"},
        {{"1.2", -1, 2, 1}, "linear", "images of all members"},
        {{"1.2", 1, 2, 0, 1 << 20, "", true}, "raid1", "spare"},
        {{"0.90", 1, 2, 0, 1 << 20, "", true}, "raid1", "spare"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.member.version + " " + c.level);
        TempDir dir;
        std::string image = with_ext(dir, 8 << 20, c.member.version == "1.2" ? 1 << 20 : 0);
        write_md_superblock(image, c.member);
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.only().role, Role::raid_member);
        EXPECT_EQ(found.only().outcome, Outcome::unsupported);
        EXPECT_EQ(detail_of(found.only())["raid_member"]["level"], c.level);
        EXPECT_NE(detail_of(found.only())["needs"].get<std::string>().find(c.needs), std::string::npos) << found.only().detail;
        EXPECT_TRUE(found.findings.has("container_not_read"));
    }
}

TEST(Raid, TheFirstPartOfALinearArrayIsReadAsFarAsItGoes) {
    NTT_NEED_TOOL("mkfs.ext4");
    TempDir dir;
    std::string image = with_ext(dir, 8 << 20, 1 << 20);
    write_md_superblock(image, {"1.2", -1, 2, 0});
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.views(), (std::vector<std::string>{"linux_raid_member", "ext4"}));
    EXPECT_EQ(found.first().outcome, Outcome::unsupported);
}

TEST(Raid, ASuperblockThatFailsItsChecksumIsNotActedUpon) {
    NTT_NEED_TOOL("mkfs.ext4");
    for (const char* version : {"1.2", "0.90"}) {
        TempDir dir;
        std::string image = with_ext(dir, 8 << 20, version == std::string("1.2") ? 1 << 20 : 0);
        write_md_superblock(image, {version, 5, 3, 0});
        const size_t super = version == std::string("1.2") ? 4096 : (8 << 20) - 65536;
        image[super + (version == std::string("1.2") ? 72 : 28)] = 1;  // a flipped level makes a mirror of it
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.only().role, Role::raid_member);
        EXPECT_EQ(found.only().outcome, Outcome::unsupported);
        EXPECT_EQ(detail_of(found.only())["raid_member"]["superblock_checksum"], "wrong");
    }
}

TEST(Raid, V5AWipedDiskBehindASuperblockIsSeenAsItIs) {
    for (const int32_t level : {1, 5}) {
        std::string image(4 << 20, '\x55');
        write_md_superblock(image, {"1.2", level, 2, 0});
        const Detected found = detect_bytes(image);
        ASSERT_EQ(found.detection.volumes.size(), 2u);
        EXPECT_EQ(found.first().role, Role::raid_member);
        const Volume& inside = found.detection.volumes[1];
        EXPECT_EQ(inside.outcome, Outcome::no_filesystem);
        EXPECT_EQ(inside.offset_bytes, 1u << 20);
        EXPECT_EQ(inside.range().end(), 4u << 20);
        EXPECT_EQ(detail_of(inside)["raid_member"]["uuid"], kMdUuid);
    }
}

TEST(Raid, AFilesystemOverAnOldSuperblockIsWhatCounts) {
    NTT_NEED_TOOL("mkfs.ext2");
    TempDir dir;
    must("truncate -s 8M i && mkfs.ext2 -q i", dir.path().string());
    std::string image = read_file(dir / "i");
    write_md_superblock(image, {"0.90", 5, 3, 0});
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.only().view, "ext2");
    EXPECT_EQ(detail_of(found.only())["stale_raid_superblock"], kMdUuid);
}

TEST(Lvm, ALogicalVolumeInOnePieceIsAVolumeOfItsOwn) {
    NTT_NEED_TOOL("vslvminfo");
    TempDir dir;
    std::string image = with_ext(dir, 24 << 20, kLvm2DataAt + kLvm2Extent);
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}});
    write_file(dir / "i", image);
    const std::string shown = must("vslvminfo i", dir.path().string());  // knows neither wrapped texts nor two segments
    for (const char* line : {"\tVGslow\n", "\tguate\n", "Data area offset:\t0x00400000"}) EXPECT_NE(shown.find(line), std::string::npos) << shown;
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}, {"hrdag", {{0, 1, "pv0", 4}, {1, 1, "pv0", 0}}}, {"two_in_a_row", {{1, 1, "pv0", 3}, {0, 1, "pv0", 2}}}, {"elsewhere", {{0, 1, "pv1", 0}}}},
               LvmText::wrapped);
    write_file(dir / "i", image);
    const Detected found = detect_bytes(image);
    ASSERT_EQ(found.views(), (std::vector<std::string>{"LVM2_member", "ext4", "-"}));
    EXPECT_EQ(found.first().role, Role::lvm_pv);
    EXPECT_EQ(found.first().outcome, Outcome::unsupported) << "one of its logical volumes is in pieces";
    EXPECT_EQ(found.first().uuid, blkid(dir / "i", "UUID"));
    const json pv = detail_of(found.first());
    EXPECT_EQ(pv["volume_group"], "VGslow");
    ASSERT_EQ(pv["logical_volumes"].size(), 4u) << pv.dump(1);
    for (const json& lv : pv["logical_volumes"])
        EXPECT_EQ(lv.contains("not_read"), lv["name"] == "hrdag" || lv["name"] == "elsewhere") << lv.dump();
    const Volume& inside = found.detection.volumes[1];
    EXPECT_EQ(inside.label, "inside");
    EXPECT_EQ(inside.offset_bytes, kLvm2DataAt + kLvm2Extent);
    EXPECT_EQ(inside.size_bytes, kLvm2Extent);
    EXPECT_EQ(detail_of(inside)["logical_volume"]["name"], "guate");
    EXPECT_EQ(detail_of(inside)["logical_volume"]["volume_group"], "VGslow");
    EXPECT_EQ(detail_of(found.detection.volumes[2])["logical_volume"]["name"], "two_in_a_row");
    EXPECT_EQ(found.detection.volumes[2].size_bytes, 2 * kLvm2Extent);
}

TEST(Lvm, APhysicalVolumeWithoutItsLabelIsKnownByItsMetadata) {
    NTT_NEED_TOOL("mkfs.ext4");
    TempDir dir;
    std::string image = with_ext(dir, 24 << 20, kLvm2DataAt + kLvm2Extent);
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}});
    image.replace(0, 2048, std::string(2048, '\0'));
    const Detected found = detect_bytes(image);
    ASSERT_EQ(found.views(), (std::vector<std::string>{"LVM2_member", "ext4"}));
    EXPECT_EQ(found.first().uuid, "abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF");
    EXPECT_EQ(detail_of(found.first())["label"], "lost");
    EXPECT_EQ(detail_of(found.detection.volumes[1])["logical_volume"]["name"], "guate");
    // Of two physical volumes nobody knows which one this is.
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}, {"elsewhere", {{0, 1, "pv1", 0}}}});
    image.replace(0, 2048, std::string(2048, '\0'));
    const Detected either = detect_bytes(image);
    EXPECT_EQ(either.views(), (std::vector<std::string>{"LVM2_member"}));
    EXPECT_EQ(either.first().outcome, Outcome::unsupported);
}

TEST(Lvm, ADiskInALogicalVolumeHasItsPartitions) {
    NTT_NEED_TOOL("mkfs.ext4");
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    must("truncate -s 1M fs && mkfs.ext4 -q -F -L inside fs && truncate -s 4M disk && printf 'start=2048,size=2048,type=83\\nstart=4096,size=2048,type=83\\n' | sfdisk -q disk"
         " && dd if=fs of=disk bs=512 seek=2048 conv=notrunc status=none && dd if=fs of=disk bs=512 seek=4096 conv=notrunc status=none", dir.path().string());
    std::string image(24 << 20, '\0');
    const uint64_t at = kLvm2DataAt + kLvm2Extent;
    image.replace(at, 4 << 20, read_file(dir / "disk"));
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}});
    const Detected found = detect_bytes(image);
    ASSERT_EQ(found.views(), (std::vector<std::string>{"LVM2_member", "ext4", "ext4"}));
    EXPECT_EQ(found.detection.volumes[1].offset_bytes, at + (1 << 20));
    EXPECT_EQ(found.detection.volumes[2].offset_bytes, at + (2 << 20));
    EXPECT_EQ(detail_of(found.detection.volumes[2])["logical_volume"]["name"], "guate");
    EXPECT_EQ(detail_of(found.detection.volumes[2])["slot"], "2");
}

TEST(Lvm, ALogicalVolumeBeyondTheImageIsTruncated) {
    std::string image(28 << 20, '\0');
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 4}}}});
    const uint64_t at = kLvm2DataAt + 4 * kLvm2Extent;
    for (const uint64_t size : {at - 512, at, at + 512}) {
        image.resize(size);
        const Detected found = detect_bytes(image);
        ASSERT_EQ(found.views(), (std::vector<std::string>{"LVM2_member", "-"})) << size;
        EXPECT_EQ(found.detection.volumes[1].outcome, Outcome::truncated) << size;
        EXPECT_EQ(found.detection.volumes[1].size_bytes, kLvm2Extent) << size;
        EXPECT_TRUE(found.findings.has("partition_beyond_image")) << size;
    }
}

TEST(Lvm, WithoutLabelAndMetadataAFilesystemInAnLvmPartitionIsNotTakenToLieInOnePiece) {
    NTT_NEED_TOOL("mkfs.ext4");
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    for (const auto& [type, view] : {std::pair<std::string, std::string>{"8e", "-"}, {"83", "ext4"}}) {
        must("truncate -s 4M fs && mkfs.ext4 -q -F fs && rm -f disk && truncate -s 16M disk && printf 'start=2048,size=20480,type=" + type + "\\n' | sfdisk -q disk"
             " && dd if=fs of=disk bs=1M seek=2 conv=notrunc status=none", dir.path().string());
        EXPECT_EQ(detect_file(dir / "disk").views(), (std::vector<std::string>{view})) << type;
    }
}

TEST(Lvm, MetadataThatFailsItsChecksumIsNotBelieved) {
    NTT_NEED_TOOL("mkfs.ext4");
    TempDir dir;
    std::string image = with_ext(dir, 24 << 20, kLvm2DataAt + kLvm2Extent);
    write_lvm2(image, "VGslow", {{"guate", {{0, 1, "pv0", 1}}}});
    image[4096 + 1024 + 300] ^= 1;
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.only().role, Role::lvm_pv);
    EXPECT_NE(detail_of(found.only())["needs"].get<std::string>().find("checksum"), std::string::npos);
}

TEST(FieldCase_V15, AnLvm1PhysicalVolumeIsNamedAndWhatIsInOnePieceIsRead) {
    NTT_NEED_TOOL("blkid");
    TempDir dir;
    std::string image = with_ext(dir, 24 << 20, (1 << 20) + (4 << 20));
    write_lvm1(image, "VGfast", {"chad-images", "rafe"}, {{2, 1}, {1, 0}, {2, 0}, {0, 0}, {0, 0}});
    write_file(dir / "i", image);
    const Detected found = detect_bytes(image);
    ASSERT_EQ(found.views(), (std::vector<std::string>{"LVM1_member", "ext4"}));
    EXPECT_EQ(found.first().fs_type, blkid(dir / "i", "TYPE"));
    EXPECT_EQ(found.first().uuid, blkid(dir / "i", "UUID"));
    EXPECT_EQ(found.first().outcome, Outcome::unsupported);
    const json pv = detail_of(found.first());
    EXPECT_EQ(pv["volume_group"], "VGfast");
    EXPECT_EQ(pv["needs_vintage_lvm"], true);
    EXPECT_EQ(pv["logical_volumes"][1]["name"], "rafe");
    EXPECT_EQ(pv["logical_volumes"][1]["size_bytes"], 8 << 20);
    EXPECT_EQ(detail_of(found.detection.volumes[1])["logical_volume"]["name"], "chad-images");
    EXPECT_EQ(found.detection.volumes[1].label, "inside");
}

TEST(Lvm, AnUuidThatIsNoneIsNotShown) {
    std::string image(24 << 20, '\0');
    write_lvm1(image, "VG", {"a"}, {{1, 0}});
    ASSERT_FALSE(detect_bytes(image).first().uuid.empty());
    image[0x2C + 5] = '\0';
    EXPECT_EQ(detect_bytes(image).first().uuid, "");
}

TEST(Lvm, TheTextOfMetadataIsBounded) {
    std::string deep, wide = "a = [";
    for (int i = 0; i < 100000; ++i) deep += "x {";
    for (int i = 0; i < kMaxLvmValues + 10; ++i) wide += "1,";
    for (const std::string& text : {deep, wide + "]", std::string("a = 99999999999999999999"), std::string("a = \"x"), std::string("= 1"), std::string("a 1")})
        EXPECT_FALSE(parse_lvm_text(text).ok()) << text.substr(0, 30);
    ASSERT_OK_ASSIGN(const json parsed, parse_lvm_text("# hello\nvg-1 { a = [\"b\\\"c\", -2] n=3.5 }\n"));
    EXPECT_EQ(parsed, (json{{"vg-1", {{"a", {"b\"c", -2}}, {"n", 3}}}}));
}

TEST(Lvm, DamagedContainersAreSurvived) {
    std::mt19937 random(11);
    std::string lvm2(12 << 20, '\0'), lvm1(12 << 20, '\0'), md(2 << 20, '\0');
    write_lvm2(lvm2, "VG", {{"a", {{0, 1, "pv0", 0}}}});
    write_lvm1(lvm1, "VG", {"a", "b"}, {{1, 0}, {2, 0}});
    write_md_superblock(md, {});
    for (int round = 0; round < 300; ++round) {
        for (const std::string* whole : {&lvm2, &lvm1, &md}) {
            std::string image = whole->substr(0, 256 * 1024);
            for (int i = 0; i < 12; ++i) image[random() % 8192] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
            if (whole == &lvm1)
                for (int i = 0; i < 40; ++i) image[(i % 2 != 0 ? 0xB000 : 0x20000) + random() % 700] = static_cast<char>(random());
            for (const Volume& volume : detect_bytes(image).detection.volumes) EXPECT_GE(volume.range().end(), volume.offset_bytes);
        }
    }
}

TEST(Encrypted, LuksBitLockerAndCoreStorageAreNamed) {
    NTT_NEED_TOOL("cryptsetup");
    TempDir dir;
    for (const char* type : {"luks1", "luks2"}) {
        must(std::string("rm -f i && truncate -s 20M i && printf secret | cryptsetup luksFormat -q --type ") + type +
                 (type == std::string("luks2") ? " --label named --pbkdf pbkdf2" : "") + " --iter-time 10 i -",
             dir.path().string());
        const Detected found = detect_file(dir / "i");
        EXPECT_EQ(found.only().role, Role::encrypted);
        EXPECT_EQ(found.only().outcome, Outcome::unsupported);
        EXPECT_EQ(found.only().fs_type, blkid(dir / "i", "TYPE"));
        EXPECT_EQ(found.only().uuid, blkid(dir / "i", "UUID"));
        EXPECT_EQ(found.only().label, blkid(dir / "i", "LABEL"));
        EXPECT_EQ(detail_of(found.only())["cause"], "ENCRYPTED");
        EXPECT_TRUE(found.findings.has("encrypted"));
    }
    const std::string identifier("\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", 16);
    std::string bitlocker(1 << 20, '\0');
    bitlocker.replace(0, 11, "\xEB\x58\x90-FVE-FS-");
    bitlocker.replace(510, 2, "\x55\xAA");
    std::string to_go = bitlocker;
    bitlocker.replace(160, 16, identifier);
    to_go.replace(3, 8, "MSWIN4.1");
    to_go.replace(424, 16, identifier);
    for (const std::string& image : {bitlocker, to_go}) {
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.only().fs_type, "BitLocker");
        EXPECT_EQ(found.only().role, Role::encrypted);
        EXPECT_TRUE(found.findings.has("encrypted"));
    }
    std::string core_storage(1 << 20, '\0');
    put_le16(core_storage, 8, 1);
    core_storage[10] = 0x10;
    core_storage.replace(88, 2, "CS");
    core_storage.replace(304, 16, "0123456789abcdef");
    EXPECT_EQ(detect_bytes(core_storage).only().view, "core_storage");
    EXPECT_EQ(detect_bytes(core_storage).only().uuid, kMdUuid);
}

}  // namespace
}  // namespace ntt::test
