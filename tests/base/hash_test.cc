#include "base/hash.h"

#include <gtest/gtest.h>

#include "base/ids.h"
#include "support/support.h"

namespace ntt::test {
namespace {

TEST(Blake3Test, TheHashOfNothingIsTheKnownOne) {
    EXPECT_EQ(blake3_of({}).hex(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    EXPECT_EQ(Blake3().digest(), blake3_of({}));
}

TEST(Blake3Test, B3sumAgrees) {
    NTT_NEED_TOOL("b3sum");
    const TempDir temp;
    for (const size_t size : {0u, 1u, 63u, 64u, 65u, 1023u, 1024u, 1025u, 3000u, 65536u, 1'000'001u}) {
        const std::string bytes = chosen_bytes(static_cast<uint32_t>(size), size);
        write_file(temp / "file", bytes);
        EXPECT_EQ(blake3_of(as_bytes(bytes)).hex() + "\n", must("b3sum --no-names file", temp.path().string())) << size;
    }
}

TEST(Blake3Test, PiecesGiveTheHashOfTheWhole) {
    const std::string bytes = chosen_bytes(1, 100'000);
    Blake3 hasher;
    hasher.update(as_bytes("something else"));
    hasher.reset();
    for (size_t at = 0, step = 1; at < bytes.size(); at += step, step = step * 3 % 5000 + 1) {
        EXPECT_EQ(hasher.digest(), blake3_of(as_bytes(bytes).first(at)));
        hasher.update(as_bytes(std::string_view(bytes).substr(at, step)));
    }
    EXPECT_EQ(hasher.digest(), blake3_of(as_bytes(bytes)));
}

TEST(Ids, ABlobIdReadsBackFromItsTextAndNothingElse) {
    const BlobId id = blake3_of(as_bytes("x"));
    EXPECT_EQ(BlobId::from_hex(id.hex()), id);
    EXPECT_EQ(BlobId::from_hex(id.hex().substr(1)), std::nullopt);
    EXPECT_EQ(BlobId::from_hex(id.hex() + "0"), std::nullopt);
    EXPECT_EQ(BlobId::from_hex(std::string(64, 'A')), std::nullopt) << "names in the store are lower case";
    EXPECT_EQ(BlobId::from_hex(std::string(63, 'a') + "g"), std::nullopt);
}

TEST(Ids, AMediumHashHas16To64LowercaseDigits) {
    EXPECT_TRUE(is_medium_hash(std::string(16, '0')));
    EXPECT_TRUE(is_medium_hash(std::string(64, 'f')));
    EXPECT_FALSE(is_medium_hash(std::string(15, '0')));
    EXPECT_FALSE(is_medium_hash(std::string(65, '0')));
    EXPECT_FALSE(is_medium_hash(std::string(16, 'F')));
    EXPECT_FALSE(is_medium_hash("0123456789abcde/"));
    EXPECT_FALSE(is_medium_hash("0123456789abcdef\n"));
}

TEST(Ids, KindsHaveNames) {
    for (const BlobKind kind : {BlobKind::whole, BlobKind::partial}) EXPECT_EQ(blob_kind_from(to_string(kind)), kind);
    EXPECT_EQ(blob_kind_from("other"), std::nullopt);
}

}  // namespace
}  // namespace ntt::test
