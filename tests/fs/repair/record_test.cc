// What a volume's detail says of its repairs, and what is made of it: the record travels through catalogs and children.
#include "base/hash.h"
#include "fs/repair/propose.h"
#include "fs/repair/repair.h"
#include "support/support.h"

namespace ntt::test {
namespace {

using nlohmann::json;

TEST(RepairRecord, gives_back_the_patches_that_it_was_made_of) {
    const std::string bytes = chosen_bytes(1, 8192);
    const auto image = memory_image(bytes);
    const std::vector<Repair> repairs = {{"one", "somewhere", {Patch::copied({0, 2048}, 4096), Patch::given(3000, {1, 2, 3})}, {{"proof", 7}}},
                                         {"two", "elsewhere", {Patch::given(8191, {9})}, json::object()}};
    ASSERT_OK_ASSIGN(const json record, record_of(repairs, *image));
    const std::string detail = json{{"table", "none"}, {"repairs", record}}.dump();
    ASSERT_OK_ASSIGN(const std::vector<Patch> patches, recorded_patches(detail));
    ASSERT_EQ(patches.size(), 3u);
    EXPECT_EQ(patches[0].place, (ByteRange{0, 2048}));
    EXPECT_EQ(patches[0].copied_from, 4096u);
    EXPECT_EQ(patches[1].place, (ByteRange{3000, 3}));
    EXPECT_EQ(patches[1].bytes, (std::vector<uint8_t>{1, 2, 3}));
    EXPECT_EQ(patches[2].bytes, std::vector<uint8_t>{9});
    // What was replaced: the first KiB, and the hash of all.
    EXPECT_EQ(record[0]["patches"][0]["replaced"], to_hex(as_bytes(bytes.substr(0, 1024))));
    EXPECT_EQ(record[0]["patches"][0]["replaced_blake3"], blake3_of(as_bytes(bytes.substr(0, 2048))).hex());
    EXPECT_EQ(record[0]["evidence"]["proof"], 7);
    EXPECT_EQ(record[1]["from"], "elsewhere");
}

TEST(RepairRecord, is_empty_where_nothing_was_repaired) {
    for (const char* detail : {"{}", "", "[]", "null", R"({"table":"dos"})", R"({"repairs":[]})"}) {
        ASSERT_OK_ASSIGN(const auto patches, recorded_patches(detail));
        EXPECT_TRUE(patches.empty()) << detail;
    }
}

TEST(RepairRecord, that_is_none_of_ours_is_refused) {
    for (const char* repairs : {"7", "{}", "[7]", "[{}]", R"([{"patches":7}])", R"([{"patches":[7]}])", R"([{"patches":[{}]}])",
                                R"([{"patches":[{"offset":0,"length":1}]}])", R"([{"patches":[{"offset":-1,"length":1,"bytes":"00"}]}])",
                                R"([{"patches":[{"offset":0,"length":1,"bytes":"0"}]}])", R"([{"patches":[{"offset":0,"length":1,"bytes":7}]}])",
                                R"([{"patches":[{"offset":0.5,"length":1,"bytes":"00"}]}])", R"([{"patches":[{"offset":0,"length":99999999,"copied_from":0}]}])"}) {
        const auto patches = recorded_patches(std::string(R"({"repairs":)") + repairs + "}");
        ASSERT_FALSE(patches.ok()) << repairs;
        EXPECT_EQ(patches.error().code, ErrorCode::malformed);
    }
    std::string many = R"({"repairs":[{"patches":[)";
    for (size_t i = 0; i <= kMaxPatches; ++i) many += std::string(i == 0 ? "" : ",") + R"({"offset":)" + std::to_string(i) + R"(,"length":1,"copied_from":0})";
    EXPECT_FALSE(recorded_patches(many + "]}]}").ok());
}

TEST(UnreadRanges, are_no_longer_what_patches_cover) {
    const auto unread = std::make_shared<const std::vector<UnreadRange>>(
        std::vector<UnreadRange>{{{100, 50}, Cause::BAD_SECTOR}, {{200, 100}, Cause::NOT_TRIED}, {{400, 10}, Cause::BAD_SECTOR}});
    const auto left = without(unread, {Patch::given(220, std::vector<uint8_t>(30)), Patch::copied({90, 60}, 1000), Patch::given(290, std::vector<uint8_t>(50))});
    std::vector<ByteRange> ranges;
    for (const UnreadRange& range : *left) ranges.push_back(range.range);
    EXPECT_EQ(ranges, (std::vector<ByteRange>{{200, 20}, {250, 40}, {400, 10}}));
    EXPECT_EQ(left->front().cause, Cause::NOT_TRIED);
    EXPECT_EQ(without(unread, {}), unread);
    EXPECT_EQ(without(nullptr, {Patch::given(0, {1})}), nullptr);
}

TEST(ProposeRepairs, ends_soon_and_changes_nothing_on_noise_and_on_images_too_small_for_anything) {
    for (const size_t size : {size_t{1}, size_t{511}, size_t{512}, size_t{1024}, size_t{5000}, size_t{1'474'560}}) {
        for (uint32_t seed = 0; seed < 4; ++seed) {
            const auto image = memory_image(seed == 0 ? std::string(size, '\xF6') : seed == 1 ? std::string(size, '\0') : chosen_bytes(seed, size));
            FindingList findings;
            ASSERT_OK_ASSIGN(Detection detection, detect_volumes(*image, findings));
            const size_t before = findings.findings.size();
            const CancelToken cancel;
            ASSERT_OK(propose_repairs(*image, ReaderOptions{}, detection, findings, cancel));
            EXPECT_EQ(findings.findings.size(), before);
            ASSERT_EQ(detection.volumes.size(), 1u);
            EXPECT_FALSE(detection.volumes.front().readable);
        }
    }
}

// A disk made to keep the search busy: every sector of the FATs links everything, every root slot is a folder.
TEST(ProposeRepairs, ends_soon_on_a_floppy_made_to_keep_it_busy) {
    std::string image(2'949'120, '\0');
    for (size_t copy = 0; copy < 2; ++copy) {
        const size_t fat = 512 + copy * 12 * 512;
        for (size_t cluster = 2; cluster < 4090; ++cluster) {
            const size_t at = fat + cluster * 3 / 2, next = cluster + 1 < 4090 ? cluster + 1 : 0xFFF;
            if (cluster % 2 == 0) image[at] = static_cast<char>(next), image[at + 1] = static_cast<char>((image[at + 1] & 0xF0) | next >> 8);
            else image[at] = static_cast<char>((image[at] & 0x0F) | next << 4), image[at + 1] = static_cast<char>(next >> 4);
        }
        image.replace(fat, 3, "\xF0\xFF\xFF");
    }
    const size_t root = 512 + 24 * 512;
    for (size_t slot = 0; slot < 64 * 16; ++slot) {
        std::string entry = "FOLDER  " + std::to_string(100 + slot % 900) + std::string(1, slot % 2 ? '\x10' : '\0') + std::string(20, '\0');
        entry.resize(32);
        entry[26] = static_cast<char>(2 + slot % 200);
        entry[30] = 1;
        image.replace(root + slot * 32, 32, entry);
    }
    const auto source = memory_image(image);
    FindingList findings;
    ASSERT_OK_ASSIGN(Detection detection, detect_volumes(*source, findings));
    const CancelToken cancel;
    ASSERT_OK(propose_repairs(*source, ReaderOptions{}, detection, findings, cancel));
    EXPECT_FALSE(detection.volumes.front().readable);
}

}  // namespace
}  // namespace ntt::test
