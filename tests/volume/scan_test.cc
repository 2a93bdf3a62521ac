// Filesystems that no partition table points to, and what must not be taken for one.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "detection.h"
#include "support/containers.h"
#include "volume/probe_window.h"
#include "volume/scan.h"

namespace ntt::test {
namespace {

constexpr size_t kMiB = 1 << 20;

// The image file that `command` makes as "f".
std::string made(const std::string& command) {
    TempDir dir;
    must(command, dir.path().string());
    return read_file(dir / "f");
}

std::string put_in(size_t size, const std::vector<std::pair<size_t, std::string>>& pieces) {
    std::string image(size, '\0');
    for (const auto& [at, piece] : pieces) image.replace(at, piece.size(), piece);
    return image;
}

// Offset and label of each volume with a filesystem.
std::vector<std::pair<uint64_t, std::string>> filesystems(const Detected& found) {
    std::vector<std::pair<uint64_t, std::string>> out;
    for (const Volume& volume : found.detection.volumes)
        if (volume.role == Role::filesystem) out.emplace_back(volume.offset_bytes, volume.label);
    return out;
}

TEST(Scan, TheFilesystemsOfADiskWhosePartitionTableIsLostAreFound) {
    for (const char* tool : {"mkfs.ext4", "mkfs.fat", "mkfs.ntfs", "mkfs.exfat"}) NTT_NEED_TOOL(tool);
    const std::string ext = made("truncate -s 4M f && mkfs.ext4 -q -L ext f"), fat = made("truncate -s 4M f && mkfs.fat -n FAT f >/dev/null"),
                      ntfs = made("truncate -s 4M f && mkfs.ntfs -q -F -L ntfs f"), exfat = made("truncate -s 4M f && mkfs.exfat -L exfat f >/dev/null");
    // Behind the first MiB, at once behind another, behind a gap of an odd number of sectors, and at a later cylinder.
    const size_t odd = 12 * kMiB + 77 * 512, cylinder = size_t{3} * 255 * 63 * 512;
    for (const size_t first : {kMiB, 2 * kMiB + 512}) {
        SCOPED_TRACE(first);
        const std::string image = put_in(40 * kMiB, {{first, ext}, {first + 4 * kMiB, fat}, {odd, ntfs}, {cylinder, exfat}});
        const Detected found = detect_bytes(image);
        const decltype(filesystems(found)) expected = {{first, "ext"}, {first + 4 * kMiB, "FAT"}, {odd, "ntfs"}, {cylinder, "exfat"}};
        EXPECT_EQ(filesystems(found), expected);
        EXPECT_EQ(found.findings.count("filesystem_found_by_scan"), first == kMiB ? 3u : 4u) << "1 MiB is a usual place";
        for (const Volume& volume : found.detection.volumes)
            if (volume.offset_bytes > first) {
                EXPECT_EQ(volume.size_bytes, volume.label == "ntfs" ? 4 * kMiB - 512 : 4 * kMiB);
            }
    }
}

TEST(Scan, FarAwayWholeMebibytesAndCylindersAreLookedAt) {
    NTT_NEED_TOOL("mkfs.ext2");
    const std::string ext = made("truncate -s 1M f && mkfs.ext2 -q -L far f");
    for (const size_t at : {40 * kMiB, size_t{4} * 255 * 63 * 512, size_t{5} * 255 * 63 * 512 + 63 * 512}) {
        const Detected found = detect_bytes(put_in(64 * kMiB, {{at, ext}}));
        EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{at, "far"}}));
        EXPECT_EQ(found.first().outcome, Outcome::no_filesystem) << "what lies beside it is not known";
    }
}

TEST(Scan, V20AFilesystemAtAnOddPlaceOfItsPartitionIsFound) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mkfs.fat");
    std::string image = made("truncate -s 16M f && printf 'label: dos\\nstart=2048,size=16384,type=6\\n' | sfdisk -q f");
    const std::string fat = made("truncate -s 4M f && mkfs.fat -n SYSLINUX f >/dev/null");
    for (const size_t inside : {kMiB, size_t{5} * 512, 3 * kMiB + 512}) {
        std::string with = image;
        with.replace(kMiB + inside, fat.size(), fat);
        const Detected found = detect_bytes(with);
        EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{kMiB + inside, "SYSLINUX"}}));
        EXPECT_EQ(nlohmann::json::parse(found.detection.volumes.back().detail)["partition_offset"], kMiB);
        EXPECT_FALSE(found.findings.has("partitions_overlap"));
    }
}

TEST(Scan, WhereAllPartitionsLieBeyondTheImageTheImageItselfIsLookedAt) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mkfs.ext2");
    std::string image = made("truncate -s 64M f && printf 'label: dos\\nstart=65536,size=16384,type=83\\n' | sfdisk -q f");
    image.resize(8 * kMiB);
    const std::string ext = made("truncate -s 2M f && mkfs.ext2 -q -L here f");
    image.replace(3 * kMiB, ext.size(), ext);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{3 * kMiB, "here"}}));
    EXPECT_EQ(found.first().outcome, Outcome::truncated);
    EXPECT_TRUE(found.findings.has("filesystem_found_by_scan"));
}

TEST(Scan, LogicalPartitionsWhoseChainIsLostAreFoundInTheirContainer) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mkfs.ext2");
    std::string image = made("truncate -s 16M f && printf 'start=2048,size=20000,type=5\nstart=4096,size=8000,type=83\n' | sfdisk -q f");
    image.replace(kMiB, 512, std::string(512, '\0'));
    const std::string ext = made("truncate -s 2M f && mkfs.ext2 -q -L logical f");
    image.replace(2 * kMiB, ext.size(), ext);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{2 * kMiB, "logical"}}));
}

TEST(Scan, WhereSomethingWasRecognisedNothingIsSearched) {
    NTT_NEED_TOOL("sfdisk");
    NTT_NEED_TOOL("mkfs.ext2");
    const std::string ext = made("truncate -s 2M f && mkfs.ext2 -q -L a f");
    // Over the whole medium, with another behind it; and beside a partition.
    EXPECT_EQ(detect_bytes(put_in(16 * kMiB, {{0, ext}, {4 * kMiB, ext}})).views(), std::vector<std::string>{"ext2"});
    std::string image = made("truncate -s 16M f && printf 'start=2048,size=4096,type=83\n' | sfdisk -q f");
    image.replace(kMiB, ext.size(), ext);
    image.replace(8 * kMiB, ext.size(), ext);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.views(), std::vector<std::string>{"ext2"});
    EXPECT_TRUE(found.findings.findings.empty());
}

TEST(Scan, ASignatureAloneMakesNoVolume) {
    for (const char* tool : {"mkfs.ext2", "mkfs.fat", "mkfs.ntfs", "mkfs.exfat"}) NTT_NEED_TOOL(tool);
    // With blocks of 1 KiB, group 1 begins with a copy of the superblock at 8193 KiB.
    std::string ext = made("truncate -s 20M f && mkfs.ext2 -q -b 1024 f");
    std::string copy_only = ext;
    copy_only.replace(0, 2048, std::string(2048, '\0'));
    const std::string fat = made("truncate -s 4M f && mkfs.fat f >/dev/null"), ntfs = made("truncate -s 4M f && mkfs.ntfs -q -F f"),
                      exfat = made("truncate -s 4M f && mkfs.exfat f >/dev/null");
    std::string no_table = fat;
    no_table.replace(no_table.find("\xF8\xFF\xFF"), 3, 3, '\0');
    std::string bad_root = fat;
    const size_t table = static_cast<uint8_t>(fat[14]) * 512, root = table + size_t{2} * static_cast<uint8_t>(fat[22]) * 512;
    bad_root.replace(root, 64, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\xff\xff\xff\xff\xff\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\xff\xff\xff\xff\xff");
    std::string no_mft = ntfs;
    for (size_t at = 0; (at = no_mft.find("FILE0", at)) != std::string::npos;) no_mft[at] = 'X';
    std::string no_root = made("truncate -s 2M f && mkfs.ext2 -q -b 1024 f");  // its first inode table is zeroed
    no_root.replace(ProbeBytes(no_root).le32(2048 + 8) * size_t{1024}, 1024, std::string(1024, '\0'));
    std::string bad_exfat = exfat;
    bad_exfat[200] ^= 1;
    const std::vector<std::pair<std::string, const std::string*>> pieces = {{"copy_only", &copy_only}, {"no_table", &no_table}, {"bad_root", &bad_root},
                                                                            {"no_mft", &no_mft},       {"no_root", &no_root},   {"bad_exfat", &bad_exfat}};
    for (const auto& [name, piece] : pieces) {
        SCOPED_TRACE(name);
        const size_t at = 2 * kMiB + 512;
        const std::string image = put_in(at + piece->size() + 512, {{at, *piece}});
        const Detected found = detect_bytes(image);
        EXPECT_TRUE(filesystems(found).empty());
    }
}

TEST(Scan, AFilesystemThatTheImageHasOnlyInPartIsFound) {
    for (const char* tool : {"mkfs.ext2", "mkfs.fat", "mkfs.ntfs", "mkfs.exfat"}) NTT_NEED_TOOL(tool);
    const std::vector<std::string> whole = {made("truncate -s 20M f && mkfs.ext2 -q -L part f"), made("truncate -s 20M f && mkfs.fat -n PART f >/dev/null"),
                                            made("truncate -s 20M f && mkfs.ntfs -q -F -L part f"), made("truncate -s 20M f && mkfs.exfat -L part f >/dev/null")};
    for (size_t i = 0; i < whole.size(); ++i) {
        SCOPED_TRACE(i);
        const size_t at = 2 * kMiB + 512;
        const Detected found = detect_bytes(put_in(at + 12 * kMiB, {{at, whole[i].substr(0, 12 * kMiB)}}));
        EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{at, i == 1 ? "PART" : "part"}}));
        EXPECT_EQ(found.findings.count("filesystem_found_by_scan"), 1u);
        EXPECT_EQ(found.findings.count("filesystem_beyond_image"), 1u);
    }
}

TEST(Scan, UfsIsFoundByItsRootInode) {
    NTT_NEED_TOOL("makefs");
    for (const char* kind : {"version=1", "version=2"}) {
        SCOPED_TRACE(kind);
        const std::string ufs = made(std::string("mkdir t && echo x > t/x && makefs -t ffs -s 4m -o ") + kind + " f t >/dev/null 2>&1");
        const size_t at = 2 * kMiB + 512;
        const Detected found = detect_bytes(put_in(at + ufs.size() + kMiB, {{at, ufs}}));
        ASSERT_EQ(filesystems(found).size(), 1u);
        EXPECT_EQ(filesystems(found).front().first, at);
        std::string no_root = ufs;
        const ProbeBytes super(no_root.substr(8192, 64));  // where makefs puts it in both versions
        no_root.replace(size_t{super.le32(16)} * super.le32(52), 1024, std::string(1024, '\0'));
        EXPECT_TRUE(filesystems(detect_bytes(put_in(at + ufs.size() + kMiB, {{at, no_root}}))).empty());
    }
}

TEST(Scan, ImageFilesInsideAFilesystemAreNoVolumes) {
    NTT_NEED_TOOL("mke2fs");
    // The disk has an old table besides, whose partitions hold nothing.
    const std::string image = made("mkdir t && truncate -s 2M t/inner && mkfs.ext2 -q -L inner t/inner && truncate -s 16M f && mke2fs -q -L outer -d t f && "
                                   "printf 'label: dos\\nstart=3,size=30000,type=83\\n' | sfdisk -q --wipe never f");
    const Detected found = detect_bytes(image);
    EXPECT_EQ(filesystems(found), (decltype(filesystems(found)){{0, "outer"}}));
}

// Bare magic numbers in every sector.
TEST(Scan, AnImageFullOfSignaturesEnds) {
    std::string image(12 * kMiB, '\0');
    for (size_t at = 0; at + 2048 < image.size(); at += 512) {
        put_le16(image, at + 56, 0xEF53);
        image.replace(at, 2, at % 1024 == 0 ? "H+" : "BD");
        image.replace(at + 3, 8, "NTFS    ");
    }
    const Detected found = detect_bytes(image);
    EXPECT_TRUE(found.only().view.empty()) << found.first().view;
    ASSERT_EQ(found.findings.count("scan_limit"), 1u);
    EXPECT_NE(found.findings.findings.back().evidence.find("read_bytes"), std::string::npos);
}

TEST(Scan, AnImageFullOfFilesystemsEnds) {
    NTT_NEED_TOOL("mke2fs");
    const std::string ext = made("truncate -s 128K f && mke2fs -q -N 32 f");
    std::string image(512, '\0');
    for (size_t i = 0; i < kMaxScanHits + 5; ++i) image += ext;
    const Detected found = detect_bytes(image);
    EXPECT_EQ(filesystems(found).size(), kMaxScanHits);
    EXPECT_EQ(found.findings.count("scan_limit"), 1u);
    EXPECT_EQ(found.findings.count("filesystem_found_by_scan"), kMaxScanHits);
}

// One byte throughout, of any size.
class Fill final : public ByteSource {
public:
    Fill(uint64_t size, uint8_t byte) : size_(size), byte_(byte) {}
    uint64_t size_bytes() const override { return size_; }
    std::string_view format() const override { return "memory"; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    Result<void> read(uint64_t, ByteSpan out) const override {
        std::fill(out.begin(), out.end(), byte_);
        read_bytes += out.size();
        return {};
    }
    mutable uint64_t read_bytes = 0;

private:
    uint64_t size_;
    uint8_t byte_;
    std::vector<ImagePart> parts_;
};

TEST(Scan, OfALargeMediumLittleIsRead) {
    for (const char byte : {'\0', '\xF6', '\xFF', 'U'}) {
        const Fill medium(uint64_t{1} << 40, static_cast<uint8_t>(byte));
        FindingList findings;
        auto detection = detect_volumes(medium, findings);
        ASSERT_OK(detection);
        medium.read_bytes = 0;
        ASSERT_OK(find_lost_filesystems(medium, *detection, findings));
        EXPECT_EQ(detection->volumes.size(), 1u);
        EXPECT_GT(medium.read_bytes, uint64_t{8} << 20);
        EXPECT_LT(medium.read_bytes, uint64_t{32} << 20);
        EXPECT_FALSE(findings.has("scan_limit"));
    }
}

}  // namespace
}  // namespace ntt::test
