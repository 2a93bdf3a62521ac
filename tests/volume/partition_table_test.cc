#include <tuple>

#include <nlohmann/json.hpp>

#include "detection.h"
#include "support/containers.h"

namespace ntt::test {
namespace {

// An image of `size` with a table made by sfdisk from `script`.
std::string partitioned(const TempDir& dir, const std::string& size, const std::string& script) {
    write_file(dir / "script", script);
    must("rm -f i && truncate -s " + size + " i && sfdisk -q i < script", dir.path().string());
    return read_file(dir / "i");
}

TEST(PartitionTable, EachPartitionHasItsRole) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    std::string image =
        partitioned(dir, "16M",
                    "label: dos\nstart=2048,size=8192,type=83\nstart=10240,size=2048,type=82\n"
                    "start=12288,size=16384,type=5\nstart=12352,size=4096,type=83\nstart=20480,size=4096,type=83\n");
    must("truncate -s 4M fs && mkfs.ext2 -q -L root fs && truncate -s 2M fs2 && mkfs.ext2 -q -L five fs2", dir.path().string());
    image.replace(2048 * 512, 4 << 20, read_file(dir / "fs"));
    image.replace(12352 * 512, 2 << 20, read_file(dir / "fs2"));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "dos");
    std::vector<std::tuple<uint64_t, uint64_t, Role, Outcome, std::string>> volumes;
    for (const Volume& v : found.detection.volumes)
        volumes.emplace_back(v.offset_bytes / 512, v.size_bytes / 512, v.role, v.outcome, v.label);
    const decltype(volumes) expected = {{2048, 8192, Role::filesystem, Outcome::read, "root"},
                                        {10240, 2048, Role::swap, Outcome::skipped, ""},
                                        {12288, 16384, Role::extended, Outcome::skipped, ""},
                                        {12352, 4096, Role::filesystem, Outcome::read, "five"},
                                        {20480, 4096, Role::unknown, Outcome::no_filesystem, ""}};
    EXPECT_EQ(volumes, expected);
    EXPECT_TRUE(found.findings.findings.empty());
}

TEST(PartitionTable, TheTablesThatPartedMakesAreRead) {
    NTT_NEED_TOOL("parted");
    for (const char* label : {"msdos", "gpt", "mac", "bsd", "sun"}) {
        SCOPED_TRACE(label);
        TempDir dir;
        // Sun partitions lie on cylinders; parted moves them there.
        must(std::string("truncate -s 64M i && parted -s -a none i mklabel ") + label + " && parted -s -a none i mkpart " +
                 (std::string(label) == "msdos"                                ? "primary "
                  : std::string(label) == "gpt" || std::string(label) == "mac" ? "one "
                                                                               : "") +
                 "ext2 16128s 64255s",
             dir.path().string());
        const std::string listed = must("parted -s -m i unit s print", dir.path().string());
        must("truncate -s 8M fs && mkfs.ext2 -q -L inside fs", dir.path().string());
        // The partition as parted shows it: "number:starts:ends:sizes:..."; in a Mac table the first is the map itself.
        std::string start;
        size_t line = 0;
        for (size_t at = 0; (at = listed.find('\n', at)) != std::string::npos; ++at) {
            const std::string row = listed.substr(at + 1, listed.find('\n', at + 1) - at - 1);
            if (row.empty() || row[0] < '1' || row[0] > '9' || row.find("s:") == std::string::npos) continue;
            if (++line == (std::string(label) == "mac" ? 2u : 1u))
                start = row.substr(row.find(':') + 1, row.find('s') - row.find(':') - 1);
        }
        ASSERT_FALSE(start.empty()) << listed;
        std::string image = read_file(dir / "i");
        image.replace(std::stoul(start) * 512, 8 << 20, read_file(dir / "fs"));
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.detection.table, std::string(label) == "msdos" ? "dos" : label);
        std::vector<std::string> labels;
        for (const Volume& v : found.detection.volumes)
            if (v.view == "ext2") {
                labels.push_back(v.label);
                EXPECT_EQ(v.offset_bytes, std::stoul(start) * 512);
            }
        EXPECT_EQ(labels, std::vector<std::string>{"inside"}) << listed;
    }
}

TEST(PartitionTable, APartitionBeyondTheImageIsTruncatedAndTheOthersAreRead) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    std::string image = partitioned(dir, "16M", "label: dos\nstart=2048,size=8192,type=83\nstart=10240,size=16384,type=83\n");
    must("truncate -s 4M fs && mkfs.ext2 -q -L root fs", dir.path().string());
    image.replace(2048 * 512, 4 << 20, read_file(dir / "fs"));
    for (const size_t keep : {size_t{8} << 20, size_t{5} << 20}) {  // inside the second partition, before its start
        image.resize(keep);
        const Detected found = detect_bytes(image);
        ASSERT_EQ(found.detection.volumes.size(), 2u);
        EXPECT_EQ(found.detection.volumes[0].outcome, Outcome::read);
        EXPECT_EQ(found.detection.volumes[1].outcome, Outcome::truncated);
        ASSERT_EQ(found.findings.count("partition_beyond_image"), 1u);
        EXPECT_EQ(found.findings.findings[0].volume, 2);
        EXPECT_NE(found.findings.findings[0].evidence.find("\"image_bytes\":" + std::to_string(keep)), std::string::npos);
    }
}

TEST(PartitionTable, TheFirstPartitionsMayLieBeyondTheImage) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    for (const char* label : {"dos", "gpt"}) {
        SCOPED_TRACE(label);
        std::string image =
            partitioned(dir, "16M", std::string("label: ") + label + "\nstart=20480,size=2048\nstart=22528,size=2048\n");
        image.resize(4 << 20);
        const Detected found = detect_bytes(image);
        EXPECT_EQ(found.detection.table, label);
        EXPECT_EQ(found.detection.volumes.size(), 2u);
        EXPECT_EQ(found.findings.count("partition_beyond_image"), 2u);
    }
}

TEST(PartitionTable, AGptWithoutItsFirstHeaderIsReadFromItsCopy) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    std::string image = partitioned(dir, "16M", "label: gpt\nstart=2048,size=8192,name=first\n");
    image.replace(512, 512, std::string(512, '\0'));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "gpt");
    EXPECT_EQ(found.only().offset_bytes, 2048u * 512);
    EXPECT_TRUE(found.findings.has("partition_table_damaged"));
    for (const Finding& finding : found.findings.findings)
        EXPECT_TRUE(nlohmann::json::parse(finding.evidence).is_object()) << finding.code << ": " << finding.evidence;
}

TEST(PartitionTable, AChainOfLogicalPartitionsThatLoopsEnds) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    std::string image = partitioned(
        dir, "16M", "label: dos\nstart=2048,size=20480,type=5\nstart=4096,size=2048,type=83\nstart=8192,size=2048,type=83\n");
    // The link of the second table, counted from the start of the chain, is made to lead to the first.
    const size_t second = [&] {
        const auto le32 = [&](size_t at) {
            uint32_t out = 0;
            for (size_t i = 4; i-- > 0;) out = out << 8 | static_cast<uint8_t>(image[at + i]);
            return out;
        };
        return (2048 + size_t{le32(2048 * 512 + 446 + 16 + 8)}) * 512;
    }();
    image[second + 446 + 16 + 4] = 5;
    put_le32(image, second + 446 + 16 + 8, 0);
    put_le32(image, second + 446 + 16 + 12, 2048);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.volumes.size(), 3u);
    EXPECT_TRUE(found.findings.has("partition_table_damaged"));
}

TEST(PartitionTable, AnEndlessChainOfLogicalPartitionsEnds) {
    // Each sector is a table that links to the next one.
    std::string image(4096 * 512, '\0');
    for (uint32_t sector = 0; sector < 4096; ++sector) {
        const size_t at = size_t{sector} * 512;
        image[at + 510] = 0x55;
        image[at + 511] = static_cast<char>(0xAA);
        image[at + 446 + 4] = static_cast<char>(sector == 0 ? 5 : 0x83);
        put_le32(image, at + 446 + 8, 1);
        put_le32(image, at + 446 + 12, sector == 0 ? 4095 : 1);
        if (sector == 0) continue;
        image[at + 446 + 16 + 4] = 5;
        put_le32(image, at + 446 + 16 + 8, sector);
        put_le32(image, at + 446 + 16 + 12, 1);
    }
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.volumes.size(), 512u);
    EXPECT_TRUE(found.findings.has("partition_table_damaged"));
}

TEST(PartitionTable, OverlappingPartitionsAreAFinding) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    std::string image = partitioned(dir, "16M", "label: dos\nstart=2048,size=8192,type=83\nstart=12288,size=2048,type=83\n");
    put_le32(image, 446 + 16 + 8, 4096);
    const Detected found = detect_bytes(image);
    ASSERT_EQ(found.findings.count("partitions_overlap"), 1u);
    EXPECT_EQ(found.findings.findings[0].volume, 2);
}

TEST(PartitionTable, ABootSectorOfAFilesystemIsNoTable) {
    NTT_NEED_TOOL("mkfs.fat");
    TempDir dir;
    must("truncate -s 1440K i && mkfs.fat i", dir.path().string());
    std::string image = read_file(dir / "i");
    image[446 + 4] = static_cast<char>(0x83);  // boot code that looks like an entry
    put_le32(image, 446 + 8, 64);
    put_le32(image, 446 + 12, 128);
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "none");
    EXPECT_EQ(found.only().view, "fat12");
}

TEST(PartitionTable, OfAnMbrWithAnImpossibleEntryTheOthersAreTakenIfSomethingStandsThere) {
    NTT_NEED_TOOL("mkfs.ext2");
    TempDir dir;
    std::string image = partitioned(dir, "16M", "label: dos\nstart=2048,size=8192,type=83\nstart=16384,size=8192,type=83\n");
    put_le32(image, 446 + 2 * 16 + 12, 4096);  // the third has a length, and begins at 0
    image[446 + 2 * 16 + 4] = '\x83';
    EXPECT_EQ(detect_bytes(image).detection.table, "none");  // a boot sector's code can look like this
    must("truncate -s 4M fs && mkfs.ext2 -q fs", dir.path().string());
    image.replace(16384 * 512, 4 << 20, read_file(dir / "fs"));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "dos");
    EXPECT_EQ(found.views(), (std::vector<std::string>{"-", "ext2"}));
    EXPECT_EQ(found.findings.count("partition_table_damaged"), 1u);
}

TEST(PartitionTable, AnMbrWithTheRemainsOfABootSectorIsATable) {
    NTT_NEED_TOOL("mkfs.fat");
    TempDir dir;
    std::string image = partitioned(dir, "16M", "label: dos\nstart=2048,size=8192,type=83\n");
    must("truncate -s 1440K f && mkfs.fat f && truncate -s 4M fs && mkfs.ext2 -q fs", dir.path().string());
    image.replace(0, 90, read_file(dir / "f").substr(0, 90));  // as GRUB leaves it
    image.replace(2048 * 512, 4 << 20, read_file(dir / "fs"));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "dos");
    EXPECT_EQ(found.only().view, "ext2");
}

TEST(PartitionTable, ASuperblockFromBeforeTheDiskWasPartitionedIsNotBelieved) {
    NTT_NEED_TOOL("sfdisk");
    TempDir dir;
    must("truncate -s 16M i && mkfs.ext2 -q -L old i", dir.path().string());
    must(
        "printf 'label: dos\\nstart=2048,size=8192,type=83\\n' | sfdisk -q --wipe never i && truncate -s 4M fs && mkfs.ext2 -q "
        "-L new fs",
        dir.path().string());
    std::string image = read_file(dir / "i");
    image.replace(2048 * 512, 4 << 20, read_file(dir / "fs"));
    const Detected found = detect_bytes(image);
    EXPECT_EQ(found.detection.table, "dos");
    EXPECT_EQ(found.only().label, "new");
}

TEST(PartitionTable, V11AHybridDiscIsItsIso9660AndItsMacSide) {
    NTT_NEED_TOOL("xorriso");
    NTT_NEED_TOOL("mmls");
    TempDir dir;
    must("mkdir t && echo a > t/a && xorriso -as mkisofs -quiet -R -J -hfsplus -o i t", dir.path().string());
    const Detected found = detect_file(dir / "i");
    EXPECT_EQ(found.views(), (std::vector<std::string>{"rockridge", "joliet", "iso9660", "hfsplus"}));
    EXPECT_NE(found.first().detail.find("\"table_there_too\":\"mac\""), std::string::npos);
    const std::string start = must("mmls -t mac i | awk '/Apple_HFS/ {print $3 + 0}'", dir.path().string());
    EXPECT_EQ(std::to_string(found.detection.volumes.at(3).offset_bytes / 512) + "\n", start);
    EXPECT_TRUE(found.findings.findings.empty());
}

TEST(PartitionTable, ADiscThatBootsFromAStickIsOneDisc) {
    NTT_NEED_TOOL("xorriso");
    TempDir dir;
    // The MBR of an "isohybrid" disc: one partition that begins with the disc.
    must("mkdir t && echo a > t/a && xorriso -as mkisofs -quiet -R -partition_offset 0 --protective-msdos-label -o i t", dir.path().string());
    EXPECT_EQ(detect_file(dir / "i").views(), (std::vector<std::string>{"rockridge", "iso9660"}));
}

}  // namespace
}  // namespace ntt::test
