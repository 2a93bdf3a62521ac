#include "ingest/identify.h"

#include "base/hash.h"
#include "support/support.h"

namespace ntt {
namespace {

TEST(NamedHash, a_given_hash_wins_and_is_checked) {
    ASSERT_OK_ASSIGN(const auto named, named_hash("f95834a4b718f54e", "/x/0123456789abcdef0123456789abcdef.img"));
    EXPECT_EQ(named->medium_hash, "f95834a4b718f54e");
    EXPECT_EQ(named->method, "given");
    for (const char* bad : {"", "f95834a4b718f54", "F95834A4B718F54E", "../../../../../../x", "f95834a4b718f54g"})
        EXPECT_FALSE(named_hash(bad, "/x/y.img").ok()) << bad;
}

TEST(NamedHash, a_stem_of_32_to_64_lowercase_digits_names_the_medium) {
    ASSERT_OK_ASSIGN(const auto named, named_hash(std::nullopt, "/x/f95834a4b718f54edc7b549ca854aef8.img"));
    EXPECT_EQ(named->medium_hash, "f95834a4b718f54edc7b549ca854aef8");
    EXPECT_EQ(named->method, "file_name");
    for (const char* other : {"/x/f95834a4b718f54e.img", "/x/F95834A4B718F54EDC7B549CA854AEF8.img", "/x/floppy.img"}) {
        ASSERT_OK_ASSIGN(const auto none, named_hash(std::nullopt, other));
        EXPECT_FALSE(none.has_value()) << other;
    }
}

TEST(Digest, is_of_every_byte_so_that_media_with_equal_ends_are_two) {
    const CancelToken cancel;
    std::string bytes(3 << 20, '\0');
    ASSERT_OK_ASSIGN(const BlobId one, digest_of(*memory_image(bytes), cancel));
    EXPECT_EQ(one, blake3_of(as_bytes(bytes)));
    bytes[(3 << 19) + 5] = 1;
    ASSERT_OK_ASSIGN(const BlobId other, digest_of(*memory_image(bytes), cancel));
    EXPECT_NE(medium_hash_of(one), medium_hash_of(other));
}

TEST(Fingerprint, is_of_the_open_files_as_the_host_sees_them) {
    const test::TempDir dir;
    Env& env = Env::host();
    test::write_file(dir / "a.img", std::string(1 << 20, 'a'));
    test::write_file(dir / "b.img", std::string(1 << 20, 'b'));
    ASSERT_OK_ASSIGN(const auto image, open_image(env, dir / "a.img"));
    ASSERT_OK_ASSIGN(const std::string first, fingerprint_of(env, *image, "aa"));
    EXPECT_EQ(first.size(), 64u);
    ASSERT_OK_ASSIGN(const std::string again, fingerprint_of(env, *image, "aa"));
    EXPECT_EQ(again, first);
    ASSERT_OK_ASSIGN(const std::string of_another_medium, fingerprint_of(env, *image, "bb"));
    EXPECT_NE(of_another_medium, first);
    ASSERT_OK_ASSIGN(const auto other, open_image(env, dir / "b.img"));
    ASSERT_OK_ASSIGN(const std::string of_the_other, fingerprint_of(env, *other, "aa"));
    EXPECT_NE(of_the_other, first);

    // Other bytes, and the time of writing set back.
    ASSERT_EQ(test::sh("cd " + dir.path().string() + " && cp -p a.img before && printf x | dd of=a.img bs=1 seek=5000 conv=notrunc 2>/dev/null && touch -r before a.img").exit, 0);
    ASSERT_OK_ASSIGN(const std::string changed, fingerprint_of(env, *image, "aa"));
    EXPECT_NE(changed, first);

    ASSERT_EQ(test::sh("mv " + dir / "b.img" + " " + dir / "a.img").exit, 0);
    const auto replaced = fingerprint_of(env, *image, "aa");
    ASSERT_FALSE(replaced.ok());
    EXPECT_EQ(replaced.error().code, ErrorCode::source_changed);
}

TEST(Digest, stops_when_cancelled) {
    CancelToken cancel;
    cancel.cancel();
    const auto digest = digest_of(*memory_image("x"), cancel);
    ASSERT_FALSE(digest.ok());
    EXPECT_EQ(digest.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ntt
