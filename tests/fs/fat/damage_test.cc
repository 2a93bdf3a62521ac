// Damaged volumes: what survives, and the exact causes.
#include <gmock/gmock.h>

#include <random>

#include "fs/fat/fat_image.h"

namespace ntt::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kVictim[] = "VICTIM  BIN";

// A volume of each width with VICTIM.BIN of ten whole clusters, in one run.
class Chains : public ::testing::TestWithParam<int> {
protected:
    void SetUp() override {
        NTT_NEED_TOOL("mkfs.fat");
        NTT_NEED_TOOL("mcopy");
        FatMaker maker(bits() == 12   ? "mformat -C -f 1440 -i IMG ::"
                       : bits() == 16 ? "mkfs.fat -F 16 -s 1 -C IMG 8192"
                                      : "mkfs.fat -F 32 -s 1 -C IMG 40000");
        bytes_ = chosen_bytes(7, 5120);
        maker.put("VICTIM.BIN", bytes_);
        maker.put("OTHER.BIN", "other");
        image_ = maker.image();
        patch_.emplace(image_, bits());
        chain_ = patch_->chain_of(kVictim);
        ASSERT_EQ(patch_->cluster_size(), 512u);
        ASSERT_EQ(chain_.size(), 10u);
    }
    int bits() const { return GetParam(); }
    uint32_t mask() const { return bits() == 12 ? 0xFFFu : bits() == 16 ? 0xFFFFu : 0x0FFFFFFFu; }

    // The listing of the patched image; the other file must be whole.
    Listing list() {
        Listing listing = list_fat(image_);
        EXPECT_OK_LISTING(listing);
        EXPECT_EQ(content(image_, listing.at("OTHER.BIN")), "other");
        return listing;
    }
    static void EXPECT_OK_LISTING(const Listing& listing) {
        EXPECT_TRUE(listing.outcome.ok()) << why(listing.outcome);
        expect_covered(listing);
    }
    // Expects the first `clusters` of the file to be there, and the rest to be one fault.
    nlohmann::json expect_fault(const InodeEntry& inode, size_t clusters, Cause cause) {
        EXPECT_EQ(content(image_, inode), bytes_.substr(0, clusters * 512));
        EXPECT_EQ(inode.faults.size(), 1u);
        if (inode.faults.size() != 1) return {};
        EXPECT_EQ(to_string(inode.faults[0].cause), to_string(cause));
        EXPECT_EQ(inode.faults[0].file_offset, clusters * 512);
        EXPECT_EQ(inode.faults[0].length, inode.size - clusters * 512);
        return nlohmann::json::parse(inode.faults[0].evidence);
    }

    std::string bytes_, image_;
    std::optional<FatPatch> patch_;
    std::vector<uint32_t> chain_;
};

INSTANTIATE_TEST_SUITE_P(Fat, Chains, ::testing::Values(12, 16, 32), [](const auto& bits) { return std::to_string(bits.param); });

TEST_P(Chains, ALoopKeepsWhatComesBeforeIt) {
    patch_->set(chain_[5], chain_[2]);
    const auto evidence = expect_fault(list().at("VICTIM.BIN"), 6, Cause::FAT_CHAIN_LOOP);
    EXPECT_EQ(evidence["first_cluster"], chain_[0]);
    EXPECT_EQ(evidence["clusters_followed"], 6);
    EXPECT_EQ(evidence["expected_clusters"], 10);
    EXPECT_EQ(evidence["at_cluster"], chain_[5]);
    EXPECT_EQ(evidence["fat_value"], chain_[2]);
}

TEST_P(Chains, AClusterThatLinksToItselfIsALoop) {
    patch_->set(chain_[0], chain_[0]);
    expect_fault(list().at("VICTIM.BIN"), 1, Cause::FAT_CHAIN_LOOP);
}

TEST_P(Chains, InvalidLinksSayOfWhatKindTheyAre) {
    for (const auto& [value, kind] : {std::pair<uint32_t, std::string>{0, "free"},
                                      {1, "reserved"},
                                      {mask() - 8, "bad"},
                                      {mask() - 9, "reserved"},
                                      {mask() - 20, "out_of_range"}}) {
        patch_->set(chain_[3], value);
        const auto evidence = expect_fault(list().at("VICTIM.BIN"), 4, Cause::FAT_CHAIN_INVALID);
        EXPECT_EQ(evidence["kind"], kind);
        EXPECT_EQ(evidence["at_cluster"], chain_[3]);
        EXPECT_EQ(evidence["fat_value"], value);
    }
}

TEST_P(Chains, AChainThatEndsBeforeTheSizeIsShort) {
    patch_->set(chain_[6], mask());
    const auto evidence = expect_fault(list().at("VICTIM.BIN"), 7, Cause::FAT_CHAIN_SHORT);
    EXPECT_EQ(evidence["clusters_followed"], 7);
}

TEST_P(Chains, AStartClusterThatIsNoneLeavesNothing) {
    const size_t entry = patch_->find(kVictim);
    for (const auto& [start, kind] : {std::pair<uint16_t, std::string>{0, "free"}, {1, "reserved"}, {0xFFFF, "out_of_range"}}) {
        if (bits() == 32 && start == 0xFFFF) patch_->put16(entry + 20, 0x0FFF);
        patch_->put16(entry + 26, start);
        const auto evidence = expect_fault(list().at("VICTIM.BIN"), 0, Cause::FAT_CHAIN_INVALID);
        EXPECT_EQ(evidence["kind"], kind);
        EXPECT_EQ(evidence["first_cluster"], bits() == 32 && start == 0xFFFF ? 0x0FFFFFFFu : start);
        EXPECT_TRUE(evidence["at_cluster"].is_null());
    }
}

TEST_P(Chains, AChainLongerThanTheSizeIsAFindingAndNoDamage) {
    patch_->put32(patch_->find(kVictim) + 28, 1000);
    const Listing listing = list();
    EXPECT_EQ(content(image_, listing.at("VICTIM.BIN")), bytes_.substr(0, 1000));
    EXPECT_TRUE(listing.at("VICTIM.BIN").faults.empty());
    EXPECT_EQ(listing.count("fat_chain_long"), 1u);
    EXPECT_EQ(listing.findings[0].ino, listing.at("VICTIM.BIN").ino);
}

TEST_P(Chains, AFileOfSizeZeroWithAChainIsAFindingAndNoDamage) {
    patch_->put32(patch_->find(kVictim) + 28, 0);
    const Listing listing = list();
    EXPECT_TRUE(listing.at("VICTIM.BIN").extents.empty());
    EXPECT_TRUE(listing.at("VICTIM.BIN").faults.empty());
    EXPECT_EQ(listing.count("fat_chain_long"), 1u);
}

TEST_P(Chains, ALastLinkThatIsNoEndMarkIsAFinding) {
    patch_->set(chain_[9], 0);
    const Listing listing = list();
    EXPECT_EQ(content(image_, listing.at("VICTIM.BIN")), bytes_);
    EXPECT_TRUE(listing.at("VICTIM.BIN").faults.empty());
    EXPECT_EQ(listing.evidence("fat_chain_unterminated")["kind"], "free");
}

TEST_P(Chains, ASizeThatTheVolumeCannotHoldIsImplausible) {
    patch_->put32(patch_->find(kVictim) + 28, 4190369916);
    const auto evidence = expect_fault(list().at("VICTIM.BIN"), 10, Cause::IMPLAUSIBLE_SIZE);
    EXPECT_EQ(evidence["clusters_followed"], 10);
    EXPECT_EQ(evidence["expected_clusters"], 4190369916 / 512 + 1);
    // Even where the chain never ends.
    patch_->set(chain_[9], chain_[0]);
    expect_fault(list().at("VICTIM.BIN"), 10, Cause::IMPLAUSIBLE_SIZE);
}

TEST_P(Chains, CopiesThatDifferAreReportedAndTheOneInWhichTheChainFitsIsUsed) {
    patch_->set_in_copy(chain_[4], 0, 1);
    const Listing listing = list();
    EXPECT_EQ(content(image_, listing.at("VICTIM.BIN")), bytes_);
    const auto evidence = listing.evidence("fat_copies_differ");
    EXPECT_EQ(evidence["sectors"], 1);
    EXPECT_EQ(evidence["first_sector"], 0);
    EXPECT_EQ(evidence["offset"], patch_->fat_offset(0));
    EXPECT_EQ(evidence["other_offset"], patch_->fat_offset(1));
    EXPECT_EQ(listing.detail["fat_sectors_differ"], 1);

    patch_->set_in_copy(chain_[4], chain_[5], 1);
    patch_->set_in_copy(chain_[4], 0, 0);
    const Listing repaired = list();
    EXPECT_EQ(content(image_, repaired.at("VICTIM.BIN")), bytes_);
    EXPECT_EQ(repaired.evidence("repaired")["repair"], "fat_sectors_from_second_copy");
    EXPECT_EQ(repaired.detail["fat_sectors_of_second_copy"], 1);
    ReaderOptions as_it_is;
    as_it_is.repairs = Repairs::none;
    const Listing unrepaired = list_fat(image_, {0, as_it_is});
    expect_fault(unrepaired.at("VICTIM.BIN"), 5, Cause::FAT_CHAIN_INVALID);
    EXPECT_EQ(unrepaired.count("repaired"), 0u);
}

TEST_P(Chains, AFileThatIsWholeInBothCopiesButDifferentlyIsDamagedFromWhereTheyPart) {
    // In the second copy the last cluster is another one, and nothing says which is right.
    const uint32_t other = chain_.back() + 20;
    patch_->set_in_copy(chain_[8], other, 1);
    patch_->set_in_copy(other, mask(), 1);
    const auto evidence = expect_fault(list().at("VICTIM.BIN"), 9, Cause::FAT_CHAIN_INVALID);
    EXPECT_EQ(evidence["kind"], "copies_disagree");
}

TEST(FatDamage, AFloppyCutAfterSector840KeepsItsListingAndItsPlaces) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (const char* name : {"ONE.BIN", "TWO.BIN", "THREE.BIN"}) maker.put(name, chosen_bytes(1, 120000));
    maker.put("AliciaMainList.xls", chosen_bytes(2, 671744));
    const std::string image = maker.image();
    const Listing whole = list_fat(image), cut = list_fat(image.substr(0, 841 * 512));
    ASSERT_OK(cut.outcome);
    EXPECT_EQ(cut.paths(), whole.paths());
    EXPECT_EQ(cut.all_findings(), "");
    for (const std::string& path : whole.paths()) {
        EXPECT_EQ(cut.at(path).extents, whole.at(path).extents) << path;
        EXPECT_TRUE(cut.at(path).faults.empty()) << path;
    }
    const std::vector<Extent>& extents = cut.at("AliciaMainList.xls").extents;
    ASSERT_EQ(extents.size(), 1u);
    EXPECT_EQ(extents[0].length, 671744u);
    EXPECT_EQ(841 * 512 - extents[0].image_offset, 52736u);
}

// A floppy with a little of everything.
std::string busy_floppy() {
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("SUB");
    maker.make_dir("SUB/Deeper folder");
    for (int i = 0; i < 20; ++i) maker.put("SUB/A long name " + std::to_string(i), chosen_bytes(1, 700));
    maker.put("SUB/Deeper folder/X.TXT", "x");
    maker.put("BIG.BIN", chosen_bytes(2, 60000));
    maker.put("SMALL.TXT", "small");
    maker.run("mdel -i IMG '::SUB/A long name 3'");
    maker.put("FRAGMENT.BIN", chosen_bytes(3, 5000));
    return maker.image();
}

TEST(FatDamage, AnImageCutAnywhereIsListedAsFarAsItGoes) {
    NTT_NEED_TOOL("mformat");
    const std::string image = busy_floppy();
    const Listing whole = list_fat(image);
    ASSERT_EQ(whole.all_findings(), "");
    size_t used = image.find_last_not_of('\xF6') + 1;
    size_t before = 0;
    for (size_t size = 0; size < std::min(used, size_t{200} * 512); size += 512) {
        SCOPED_TRACE(size);
        const Listing cut = list_fat(image.substr(0, size));
        if (size == 0) {
            ASSERT_FALSE(cut.outcome.ok());
            continue;
        }
        ASSERT_OK(cut.outcome);
        expect_covered(cut);
        EXPECT_GE(cut.names.size(), before);  // more image, more names
        before = cut.names.size();
        if (cut.names.size() < whole.names.size()) {
            EXPECT_GE(cut.count("directory_unreadable"), 1u);
        }
    }
    for (const size_t size : {1u, 511u, 513u, 9999u, 9729u, 17000u}) {
        const Listing cut = list_fat(image.substr(0, size));
        if (cut.outcome.ok()) expect_covered(cut);
    }
}

TEST(FatDamage, AFatBeyondTheImageIsReportedForEachCopyAndTheRootWithIt) {
    NTT_NEED_TOOL("mkfs.fat");
    FatMaker maker("mkfs.fat -F 16 -s 1 -C IMG 8192");
    maker.put("A.BIN", chosen_bytes(1, 5 * 512));
    std::string image = maker.image();
    const Listing listing = list_fat(image.substr(0, FatPatch(image, 16).fat_offset(0) + 512));
    ASSERT_OK(listing.outcome);
    EXPECT_EQ(listing.count("fat_beyond_image"), 2u);
    EXPECT_EQ(listing.count("directory_unreadable"), 1u);
    EXPECT_THAT(listing.evidence("directory_unreadable")["cause"], "BEYOND_EOF");
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/");
    for (const Finding& finding : listing.findings) {
        if (finding.code == "directory_unreadable") {
            EXPECT_THAT(finding.message, HasSubstr("files may be missing here"));
        }
    }
}

TEST(FatDamage, RandomFlipsNeverLeaveABytePlacelessNorAListingEndless) {
    NTT_NEED_TOOL("mformat");
    const std::string sound = busy_floppy();
    std::mt19937 random(20251008);
    // Where the structures are: boot sector, FATs, root, and the first clusters with the folders.
    const size_t reach = 40 * 512;
    for (int round = 0; round < 5000; ++round) {
        std::string image = sound.substr(0, 200 * 512);
        const int flips = 1 + static_cast<int>(random() % 20);
        for (int i = 0; i < flips; ++i) {
            const size_t at = random() % 8 == 0 ? 11 + random() % 50 : random() % reach;
            image[at] = static_cast<char>(random() % 4 == 0 ? random() : static_cast<uint8_t>(image[at]) ^ 1u << random() % 8);
        }
        const Listing listing = list_fat(image);
        if (!listing.outcome.ok()) {
            ASSERT_EQ(listing.outcome.error().code, ErrorCode::unsupported) << round;
            continue;
        }
        ASSERT_EQ(listing.inodes.size(), listing.names.size());
        ASSERT_LE(listing.inodes.size(), image.size() / 32);
        ASSERT_NO_FATAL_FAILURE(expect_covered(listing)) << round;
    }
}

TEST(FatDamage, GarbageDirectoriesAndTablesEndToo) {
    NTT_NEED_TOOL("mformat");
    const std::string sound = busy_floppy();
    for (uint32_t seed = 0; seed < 300; ++seed) {
        std::string image = sound.substr(0, 200 * 512);
        const std::string garbage = chosen_bytes(seed, image.size() - 512);
        const size_t from = seed % 3 == 0 ? 512 : seed % 3 == 1 ? 19 * 512 : 33 * 512;  // all, directories, folders
        image.replace(from, std::string::npos, garbage.substr(0, image.size() - from));
        const Listing listing = list_fat(image);
        ASSERT_OK(listing.outcome);
        ASSERT_NO_FATAL_FAILURE(expect_covered(listing)) << seed;
    }
}

TEST(FatDamage, DoubledNamesAreBothDeliveredWithAFinding) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("ASC-LET.WP", "first");
    maker.put("ASC-LES.WP", "second");
    maker.put("MONSTER.DOC", "monster");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const size_t first = patch.find("ASC-LET WP "), second = patch.find("ASC-LES WP ");
    image.replace(second, 11, "ASC-LET WP ");
    patch.put32(patch.find("MONSTER DOC") + 28, 2857697280);
    const Listing listing = list_fat(image);
    EXPECT_THAT(listing.paths(), ElementsAre("ASC-LET.WP", "ASC-LET.WP", "MONSTER.DOC"));
    ASSERT_EQ(listing.inodes.size(), 3u);
    EXPECT_NE(listing.inodes[0].ino, listing.inodes[1].ino);
    EXPECT_EQ(content(image, listing.inodes[0]), "first");
    EXPECT_EQ(content(image, listing.inodes[1]), "second");
    ASSERT_EQ(listing.count("duplicate_entry"), 1u);
    EXPECT_THAT(listing.findings[0].message, HasSubstr("duplicate"));
    EXPECT_EQ(listing.evidence("duplicate_entry")["first_entry_offset"], first);
    EXPECT_EQ(listing.evidence("duplicate_entry")["entry_offset"], second);
    EXPECT_EQ(listing.inodes[2].faults.at(0).cause, Cause::IMPLAUSIBLE_SIZE);
    EXPECT_EQ(listing.inodes[2].size, 2857697280u);
    EXPECT_EQ(listing.inodes[2].extents.size(), 1u);
}

TEST(FatDamage, ADirectoryThatContainsItsParentIsNotFollowed) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("OUTER");
    maker.make_dir("OUTER/INNER");
    maker.put("OUTER/INNER/LOST.TXT", "lost");
    maker.put("OUTER/FILE.TXT", "file");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    patch.put16(patch.find("INNER      ") + 26, static_cast<uint16_t>(patch.start_of("OUTER      ")));
    const Listing listing = list_fat(image);
    ASSERT_OK(listing.outcome);
    EXPECT_THAT(listing.paths(), ElementsAre("OUTER", "OUTER/INNER", "OUTER/FILE.TXT", "$lost/cluster-3", "$lost/cluster-3/LOST.TXT"));
    EXPECT_EQ(listing.count("directory_loop"), 1u);
    EXPECT_EQ(listing.evidence("directory_loop")["path"], "/OUTER/INNER");
    EXPECT_EQ(listing.count("directory_unreadable"), 0u);
}

TEST(FatDamage, ABrokenDirectoryKeepsTheEntriesBeforeTheBreak) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("SUB");
    for (int i = 0; i < 40; ++i) maker.put("SUB/F" + std::to_string(i), "x");  // 42 entries in three clusters of 16
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const auto chain = patch.chain_of("SUB        ");
    ASSERT_EQ(chain.size(), 3u);
    for (const auto& [value, cause] :
         {std::pair<uint32_t, std::string>{0, "FAT_CHAIN_INVALID"}, {chain[0], "FAT_CHAIN_LOOP"}, {0xFF7, "FAT_CHAIN_INVALID"}}) {
        patch.set(chain[1], value);
        const Listing listing = list_fat(image);
        EXPECT_EQ(listing.names.size(), 1u + 30);
        ASSERT_EQ(listing.count("directory_unreadable"), 1u);
        const auto evidence = listing.evidence("directory_unreadable");
        EXPECT_EQ(evidence["path"], "/SUB");
        EXPECT_EQ(evidence["cause"], cause);
        EXPECT_EQ(evidence["entries_read"], 32);
        EXPECT_EQ(listing.findings[0].ino, listing.name("SUB").ino);
    }
    patch.set(chain[1], chain[2]);
    patch.set(chain[2], 0);  // behind the end mark nothing is missing
    EXPECT_EQ(list_fat(image).all_findings(), "");
}

TEST(FatDamage, ADirectoryBeyondTheImageIsReported) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.put("A.BIN", chosen_bytes(1, 20000));
    maker.make_dir("SUB");
    maker.put("SUB/F.TXT", "x");
    std::string image = maker.image();
    image.resize(FatPatch(image, 12).cluster_offset(10));
    const Listing listing = list_fat(image);
    EXPECT_THAT(listing.paths(), ElementsAre("A.BIN", "SUB"));
    EXPECT_EQ(listing.evidence("directory_unreadable")["cause"], "BEYOND_EOF");
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/SUB");
}

TEST(FatDamage, ADirectoryWithoutAClusterIsReported) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("SUB");
    std::string image = maker.image();
    FatPatch patch(image, 12);
    patch.put16(patch.find("SUB        ") + 26, 0);
    EXPECT_EQ(list_fat(image).evidence("directory_unreadable")["cause"], "FAT_CHAIN_INVALID");
}

TEST(FatDamage, DirectoriesDoNotShareClusters) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    maker.make_dir("ONE");
    maker.make_dir("TWO");
    for (int i = 0; i < 20; ++i) maker.put("ONE/F" + std::to_string(i), "x");
    for (int i = 0; i < 14; ++i) maker.put("TWO/G" + std::to_string(i), "x");  // 16 entries: no end mark
    std::string image = maker.image();
    FatPatch patch(image, 12);
    const auto one = patch.chain_of("ONE        ");
    ASSERT_EQ(one.size(), 2u);
    patch.set(patch.start_of("TWO        "), one[1]);
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.names.size(), 2u + 20 + 14);
    EXPECT_EQ(listing.evidence("directory_unreadable")["cause"], "CROSS_LINK");
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/TWO");
}

TEST(FatDamage, BehindAZeroedSectorOfTheRootWhatTheTableBearsOutIsListed) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    for (int i = 0; i < 40; ++i) maker.put("F" + std::to_string(i), "x");
    std::string image = maker.image();
    image.replace(FatPatch(image, 12).root_offset() + 512, 512, std::string(512, '\0'));
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.names.size(), 16u + 8);
    EXPECT_EQ(listing.evidence("lost_clusters")["clusters"], 16);
    EXPECT_EQ(listing.evidence("entries_behind_end")["count"], 40 - 32);
    EXPECT_EQ(listing.evidence("directory_unreadable")["kind"], "zeroed_end");
    // Of an order in which nothing is missing nothing is said.
    FatMaker full = FatMaker::floppy();
    for (int i = 0; i < 32; ++i) full.put("F" + std::to_string(i), "x");
    EXPECT_EQ(list_fat(full.image()).findings.size(), 0u);
}

TEST(FatDamage, ATableAndARootOfZerosAreNoEmptyDiskAndDirectoriesBehindThemAreFound) {
    NTT_NEED_TOOL("mformat");
    FatMaker maker = FatMaker::floppy();
    EXPECT_EQ(list_fat(maker.image()).findings.size(), 0u);  // an empty disk
    maker.put("GONE.TXT", "x");
    maker.make_dir("SUB");
    maker.make_dir("SUB/DEEP");
    maker.put("SUB/SMALL.TXT", "in one cluster");
    maker.put("SUB/DEEP/LARGE.BIN", chosen_bytes(1, 2000));
    std::string image = maker.image();
    image.replace(512, 32 * 512, std::string(32 * 512, '\0'));
    const Listing listing = list_fat(image);
    EXPECT_THAT(listing.paths(), ElementsAre("$lost/cluster-3", "$lost/cluster-3/DEEP", "$lost/cluster-3/SMALL.TXT", "$lost/cluster-3/DEEP/LARGE.BIN"));
    EXPECT_EQ(content(image, listing.at("$lost/cluster-3/SMALL.TXT")), "in one cluster");
    EXPECT_FALSE(listing.at("$lost/cluster-3/DEEP/LARGE.BIN").faults.empty());
    EXPECT_EQ(listing.evidence("fat_zeroed")["image_offset"], 512);
    EXPECT_EQ(listing.evidence("directory_unreadable")["path"], "/");
}

TEST(FatDamage, FindingsOfOneKindAreBounded) {
    NTT_NEED_TOOL("mkfs.fat");
    FatMaker maker("mkfs.fat -F 16 -r 4096 -C IMG 16384");
    std::string image = maker.image();
    const size_t root = FatPatch(image, 16).root_offset();
    for (size_t i = 0; i < 4000; ++i) image.replace(root + i * 32, 11, "SAME    TXT");
    const Listing listing = list_fat(image);
    EXPECT_EQ(listing.names.size(), 4000u);
    EXPECT_EQ(listing.count("duplicate_entry"), kMaxFindingsPerCode);
    EXPECT_EQ(listing.detail["findings_left_out"], 3999 - kMaxFindingsPerCode);
}

TEST(FatDamage, AHostFailureEndsTheListingAndIsNotTakenForDamage) {
    NTT_NEED_TOOL("mformat");
    // Reads fail from some point on, as when our own disk fails.
    class FailingSource final : public ByteSource {
    public:
        FailingSource(std::string bytes, int good_reads) : inner_(memory_image(std::move(bytes))), good_reads_(good_reads) {}
        uint64_t size_bytes() const override { return inner_->size_bytes(); }
        std::string_view format() const override { return inner_->format(); }
        const std::vector<ImagePart>& parts() const override { return inner_->parts(); }
        Result<void> read(uint64_t offset, ByteSpan out) const override {
            if (good_reads_-- <= 0) return make_error(ErrorCode::io, "our disk failed");
            return inner_->read(offset, out);
        }

    private:
        std::unique_ptr<ByteSource> inner_;
        mutable int good_reads_;
    };
    const std::string image = busy_floppy();
    bool succeeded = false;
    for (int good_reads = 0; good_reads < 50 && !succeeded; ++good_reads) {
        const FailingSource source(image, good_reads);
        Volume volume;
        Listing listing;
        const CancelToken cancel;
        auto reader = open_fat(source, volume, {}, listing);
        const auto outcome = reader.ok() ? (*reader)->list(listing, cancel) : Result<void>(reader.error());
        succeeded = outcome.ok();
        if (!succeeded) {
            EXPECT_EQ(outcome.error().code, ErrorCode::io);
        }
        EXPECT_EQ(listing.all_findings(), "");
    }
    EXPECT_TRUE(succeeded);
}

}  // namespace
}  // namespace ntt::test
