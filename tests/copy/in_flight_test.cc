#include "copy/in_flight.h"

#include "base/hash.h"
#include "support/support.h"

namespace ntt {
namespace {

TEST(InFlight, the_first_stages_and_the_others_wait_with_it) {
    InFlight in_flight;
    const BlobId id = blake3_of(as_bytes("content"));
    CopyOutcome first, second, third;
    first.ino = 1;
    second.ino = 2;
    third.ino = 3;
    EXPECT_TRUE(in_flight.claim(BlobKind::whole, id, first));
    EXPECT_FALSE(in_flight.claim(BlobKind::whole, id, second));
    EXPECT_FALSE(in_flight.claim(BlobKind::whole, id, third));
    const auto waiting = in_flight.settle(BlobKind::whole, id);
    ASSERT_EQ(waiting.size(), 2u);
    EXPECT_EQ(waiting[0].ino, 2);
    EXPECT_EQ(waiting[1].ino, 3);
    EXPECT_TRUE(in_flight.claim(BlobKind::whole, id, first)) << "after it is settled the next is first again";
}

TEST(InFlight, a_whole_and_a_partial_content_with_the_same_bytes_are_two) {
    InFlight in_flight;
    const BlobId id = blake3_of(as_bytes("content"));
    EXPECT_TRUE(in_flight.claim(BlobKind::whole, id, {}));
    EXPECT_TRUE(in_flight.claim(BlobKind::partial, id, {}));
}

TEST(InFlight, settling_what_nobody_claimed_gives_nothing) {
    InFlight in_flight;
    EXPECT_TRUE(in_flight.settle(BlobKind::whole, BlobId{}).empty());
}

}  // namespace
}  // namespace ntt
