#include "diagnose/kernel_evidence.h"

#include "support/support.h"

namespace ntt {
namespace {

using Kind = KernelEvidence::Kind;

TEST(KernelEvidence, of_an_access_beyond_the_end_has_device_sector_and_limit) {
    // The mission's own line, and that of kernels before 5.18, where "want" is the end of what was asked for.
    for (const char* text : {"cat: attempt to access beyond end of device\nloop38: rw=0, sector=1316, nr_sectors = 8 limit=841",
                             "attempt to access beyond end of device\nloop38: rw=0, want=1317, limit=841"}) {
        const auto found = evidence_in(text);
        ASSERT_TRUE(found) << text;
        EXPECT_EQ(found->kind, Kind::beyond_eof);
        EXPECT_EQ(found->device, "loop38");
        EXPECT_EQ(found->sector, 1316u);
        EXPECT_EQ(found->limit, 841u);
    }
    EXPECT_FALSE(evidence_in("attempt to access beyond end of device")) << "of which, nobody says";
}

TEST(KernelEvidence, of_FAT_is_an_error_and_no_remark) {
    for (const char* text : {"FAT-fs (loop38): request beyond EOF", "FAT-fs (sdb1): error, fat_get_cluster: invalid cluster chain (i_pos 0)",
                             "FAT-fs (loop38): FAT read failed (blocknr 40)", "FAT-fs (loop38): Directory bread(block 33) failed"}) {
        const auto found = evidence_in(text);
        ASSERT_TRUE(found) << text;
        EXPECT_EQ(found->kind, Kind::fat_error) << text;
        EXPECT_EQ(found->device, text[8] == 'l' ? "loop38" : "sdb1");
    }
    EXPECT_FALSE(evidence_in("FAT-fs (loop38): Volume was not properly unmounted. Some data may be corrupt. Please run fsck."));
}

TEST(KernelEvidence, of_a_failed_read_has_its_device) {
    const auto block = evidence_in("I/O error, dev sda, sector 1316 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2");
    ASSERT_TRUE(block);
    EXPECT_EQ(block->kind, Kind::io_error);
    EXPECT_EQ(block->device, "sda");
    EXPECT_EQ(block->sector, 1316u);
    EXPECT_EQ(evidence_in("blk_update_request: critical medium error, dev sr0, sector 64 op 0x0").value().device, "sr0");
    EXPECT_EQ(evidence_in("Buffer I/O error on dev loop38, logical block 5, async page read").value().device, "loop38");
    EXPECT_EQ(evidence_in("Buffer I/O error on device loop38, logical block 5").value().device, "loop38");
    EXPECT_FALSE(evidence_in("EXT4-fs (loop38): mounted filesystem ro with ordered data mode"));
    EXPECT_FALSE(evidence_in(""));
}

}  // namespace
}  // namespace ntt
