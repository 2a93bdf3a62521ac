// ntt-store.toml, fan-out, and what open() makes of folders that it did not make.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "store/layout.h"
#include "store/store.h"
#include "store/store_fixture.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

class StoreLayout : public testing::Test {
protected:
    TempDir temp_, grave_;
    FaultEnv env_{grave_.path().string()};  // without faults; it spares us the real syncs
    const std::string dir_ = temp_ / "store";
    const std::string toml_ = dir_ + "/ntt-store.toml";
};

TEST_F(StoreLayout, ANewStoreHasAnIdThatStays) {
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    EXPECT_EQ(store->dir(), dir_);
    EXPECT_THAT(store->id(), testing::MatchesRegex("[0-9a-f]{32}"));
    ASSERT_OK_ASSIGN(const auto again, Store::open(env_, dir_));
    EXPECT_EQ(again->id(), store->id());
    ASSERT_OK_ASSIGN(const auto other, Store::open(env_, temp_ / "other/below"));
    EXPECT_NE(other->id(), store->id());
    const std::string text = read_file(toml_);
    EXPECT_NE(text.find("id = \"" + store->id() + "\"\nformat = 1\nfanout_levels = 1\n"), std::string::npos) << text;
}

TEST_F(StoreLayout, TheFanOutIsChosenOnce) {
    ASSERT_OK(Store::open(env_, dir_, {2}));
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_, {1}));
    ASSERT_OK(put(*store, {"content"}));
    EXPECT_EQ(read_file(contract_path(dir_, "content", 2)), "content");
}

TEST_F(StoreLayout, AFolderOfThePredecessorKeepsItsFanOut) {
    for (const int levels : {1, 2}) {
        const std::string dir = temp_ / std::to_string(levels);
        const std::string path = contract_path(dir, "old", levels);
        fs::create_directories(fs::path(path).parent_path());
        write_file(path, "old");
        ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir, {3 - levels}));
        ASSERT_OK_ASSIGN(const Presence found, store->look(BlobKind::whole, id_of("old"), 3));
        EXPECT_EQ(found, Presence::present) << levels;
    }
}

TEST_F(StoreLayout, AnotherNumberOfLevelsIsRefused) {
    for (const int levels : {0, 3, -1}) {
        const auto store = Store::open(env_, dir_, {levels});
        ASSERT_FALSE(store.ok());
        EXPECT_EQ(store.error().code, ErrorCode::invalid_argument);
    }
    EXPECT_FALSE(fs::exists(dir_));
}

TEST_F(StoreLayout, ANewerFormatIsRefusedAndADamagedIdentityIsDamage) {
    const std::string id(32, 'a');
    const std::vector<std::pair<std::string, ErrorCode>> cases = {
        {"id = \"" + id + "\"\nformat = 2\nfanout_levels = 1\n", ErrorCode::unsupported},
        {"", ErrorCode::store_damaged},
        {"id = \"" + id + "\"\nformat = 1\n", ErrorCode::store_damaged},
        {"id = \"" + id + "\"\nformat = 1\nfanout_levels = 3\n", ErrorCode::store_damaged},
        {"id = \"" + id + "\"\nformat = \"1\"\nfanout_levels = 1\n", ErrorCode::store_damaged},
        {"id = \"abc\"\nformat = 1\nfanout_levels = 1\n", ErrorCode::store_damaged},
        {"id = \"" + std::string(32, '/') + "\"\nformat = 1\nfanout_levels = 1\n", ErrorCode::store_damaged},
        {"id = \"" + id, ErrorCode::store_damaged},
        {std::string(1000, '\0'), ErrorCode::store_damaged},
    };
    fs::create_directories(dir_);
    for (const auto& [text, code] : cases) {
        write_file(toml_, text);
        const auto store = Store::open(env_, dir_);
        ASSERT_FALSE(store.ok()) << text;
        EXPECT_EQ(store.error().code, code) << text << store.error().text();
        EXPECT_EQ(read_file(toml_), text) << "the identity was changed";
    }
}

TEST_F(StoreLayout, AFileInTheStoresPlaceIsAnError) {
    write_file(dir_, "not a folder");
    EXPECT_FALSE(Store::open(env_, dir_).ok());
    EXPECT_EQ(read_file(dir_), "not a folder");
}

TEST_F(StoreLayout, AGroupFitsIntoTheLimitOfOpenFilesWhichIsRaised) {
    struct rlimit before {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < 2048) GTEST_SKIP() << "needs a hard limit of 2048 open files";
    const struct rlimit low { 1024, before.rlim_max };
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    struct rlimit now {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
    EXPECT_EQ(now.rlim_cur, before.rlim_max);
    EXPECT_GE(store->max_group(), 16u);
    EXPECT_LE(store->max_group(), 4096u);
    EXPECT_LE(store->max_group() * 4, before.rlim_max);
    const auto contents = some_contents(1, store->max_group());
    EXPECT_TRUE(put(*store, contents).ok());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(StoreLayout, B3sumAgreesWithEveryName) {
    NTT_NEED_TOOL("b3sum");
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    ASSERT_OK(put(*store, some_contents(1, 50)));
    EXPECT_EQ(must("find by-hash partial -type f -exec b3sum {} + | awk '{n = split($2, part, \"/\"); if (part[n] != $1) print}'",
                   dir_),
              "");
    EXPECT_EQ(must("find by-hash partial -type f | wc -l", dir_), "50\n");
}

TEST_F(StoreLayout, NamesAreAsTheContractSays) {
    BlobId id;
    id.bytes.fill(0xab);
    id.bytes[1] = 0x0c;
    EXPECT_EQ(blob_path(id, 1), "ab/" + id.hex());
    EXPECT_EQ(blob_path(id, 2), "ab/0c/" + id.hex());
    EXPECT_EQ(name_in_branch(id, 1), id.hex());
    EXPECT_EQ(name_in_branch(id, 2), "0c/" + id.hex());
    EXPECT_EQ(branch_name(0x0c), "0c");
    EXPECT_EQ(quarantine_name(BlobKind::partial, id, 1'700'000'000'123'456, "bad/reason", 3),
              "partial-" + id.hex() + "-20231114T221320Z-bad_reason-3");
}

}  // namespace
}  // namespace ntt::test
