// verify: the store and the catalog against each other, both ways.
#include <gmock/gmock.h>

#include "world.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr int64_t kHour_us = int64_t{3600} * 1'000'000;

class Verify : public World {
protected:
    void SetUp() override {
        add_medium({{.path = "A", .ino = 1, .content = a_},
                    {.path = "B", .ino = 2, .content = b_},
                    {.path = "HURT", .ino = 3, .content = hurt_, .missing = {missing(0, 4, 512, Cause::BAD_SECTOR)}}});
    }
    Json run(int exit, const std::vector<std::string>& more = {}) {
        std::vector<std::string> args = {"verify", "--json"};
        args.insert(args.end(), more.begin(), more.end());
        const Ran ran = ntt(args);
        EXPECT_EQ(ran.exit, exit) << ran.out << ran.err;
        problems = ran.lines();
        EXPECT_FALSE(problems.empty());
        if (problems.empty()) return {};
        Json last = problems.back();
        problems.pop_back();
        return last;
    }
    void writable(const std::string& path) { fs::permissions(path, fs::perms::owner_all); }
    static Json counts(const std::string& what, int exit, int n = 1) {
        Json out = Json::parse(R"({"type":"verify","blobs":3,"bytes":320000,"missing":0,"short":0,"flipped":0,"stray":0})");
        if (!what.empty()) out[what] = n;
        out["exit"] = exit;
        return out;
    }

    std::string a_ = chosen_bytes(1, 200'000), b_ = chosen_bytes(2, 100'000), hurt_ = chosen_bytes(3, 20'000);
    std::vector<Json> problems;
};

TEST_F(Verify, a_good_store_passes_and_each_blob_is_marked) {
    EXPECT_EQ(run(0), counts("", 0));
    EXPECT_TRUE(problems.empty());
    int marked = 0;
    ASSERT_OK(catalog()->for_each_blob([&](const BlobRow& blob) -> Result<void> {
        marked += blob.last_verified ? 1 : 0;
        return {};
    }));
    EXPECT_EQ(marked, 3);
    EXPECT_THAT(ntt({"verify"}).out, HasSubstr("all good"));
}

TEST_F(Verify, a_missing_file_is_named_with_the_files_that_need_it) {
    fs::remove(blob_path(a_));
    EXPECT_EQ(run(5), counts("missing", 5));
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(problems[0]["problem"], "missing");
    EXPECT_EQ(problems[0]["blobid"], blake3_of(as_bytes(a_)).hex());
    EXPECT_EQ(problems[0]["files"][0]["path"], "A");
    EXPECT_EQ(problems[0]["files"][0]["medium_hash"], kHash);
    EXPECT_THAT(ntt({"verify"}).out, HasSubstr("missing"));
}

TEST_F(Verify, a_truncated_and_a_grown_file_are_short) {
    writable(blob_path(a_));
    fs::resize_file(blob_path(a_), 5);
    EXPECT_EQ(run(5), counts("short", 5));
    fs::resize_file(blob_path(a_), a_.size() + 1);
    EXPECT_EQ(run(5), counts("short", 5));
}

TEST_F(Verify, a_flipped_bit_is_found_quarantined_and_recorded_as_an_event) {
    writable(blob_path(b_));
    std::string one(1, static_cast<char>(b_[77'777] ^ 1));
    patch_file(blob_path(b_), 77'777, one);
    EXPECT_EQ(run(5), counts("flipped", 5));
    EXPECT_FALSE(fs::exists(blob_path(b_)));
    size_t kept = 0;
    for (const auto& entry : fs::recursive_directory_iterator(home() + "/quarantine")) kept += entry.is_regular_file() ? 1u : 0u;
    EXPECT_EQ(kept, 1u);
    const auto events = ntt({"events", kHash, "--json"}).lines();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0]["ino"], 2);
    EXPECT_EQ(events[0]["evidence"]["verify"], "flipped");
    EXPECT_EQ(ntt({"show", kHash, "--json"}).lines()[0]["problems"]["diagnostic_events_total"], 1);
    EXPECT_EQ(run(5), counts("missing", 5));  // the next time
}

TEST_F(Verify, a_flipped_salvaged_content_is_found_as_well) {
    const std::string path = blob_path(hurt_, "partial");
    writable(path);
    patch_file(path, 0, "not the first bytes");
    EXPECT_EQ(run(5), counts("flipped", 5));
    EXPECT_EQ(problems[0]["kind"], "partial");
    EXPECT_EQ(problems[0]["files"][0]["path"], "HURT");
}

TEST_F(Verify, a_stray_file_is_left_alone_for_an_hour_unless_strict) {
    const std::string stray = chosen_bytes(9, 100);
    fs::create_directories(fs::path(blob_path(stray)).parent_path());
    write_file(blob_path(stray), stray);
    shell.clock.now_us = Clock::system().wall_us();
    EXPECT_EQ(run(0), counts("", 0));
    EXPECT_EQ(run(5, {"--strict"}), counts("stray", 5));
    shell.clock.now_us += kHour_us + 60'000'000;
    EXPECT_EQ(run(5), counts("stray", 5));
    EXPECT_EQ(problems[0]["path"],
              "by-hash/" + blake3_of(as_bytes(stray)).hex().substr(0, 2) + "/" + blake3_of(as_bytes(stray)).hex());
    EXPECT_TRUE(fs::exists(blob_path(stray)));
}

TEST_F(Verify, a_file_that_the_store_never_wrote_is_stray) {
    write_file(home() + "/by-hash/NOTES.TXT", "x");
    EXPECT_EQ(run(5, {"--strict"}), counts("stray", 5));
    EXPECT_TRUE(problems[0]["blobid"].is_null());
}

TEST_F(Verify, many_blobs_go_through_the_queue) {
    std::vector<FileSpec> files;
    for (int i = 0; i < 3000; ++i)
        files.push_back({.path = std::to_string(i), .ino = i + 1, .content = "content " + std::to_string(i)});
    std::string store_id;
    const auto open = catalog();
    ASSERT_OK_ASSIGN(const auto store, Store::open(Env::host(), home()));
    ASSERT_OK_ASSIGN(const MediumKey key, open->medium_key(kHash));
    std::vector<CopyOutcome> outcomes;
    std::vector<StagedBlob> group;
    {
        ASSERT_OK_ASSIGN(const auto transaction, open->begin());
        for (const FileSpec& file : files) {
            InodeRow inode;
            inode.volume = 1;
            inode.ino = file.ino + 100;
            inode.size = file.content.size();
            ASSERT_OK(open->add_inode(key, inode, {}));
        }
        ASSERT_OK(transaction->commit());
    }
    ASSERT_OK_ASSIGN(const auto rows, open->pending_rows(key));
    ASSERT_OK_ASSIGN(const auto items, open->work_items(key, rows));
    for (const WorkItem& item : items) {
        const std::string& content = files[static_cast<size_t>(item.ino - 101)].content;
        CopyOutcome outcome;
        outcome.row = item.row;
        outcome.volume = item.volume;
        outcome.ino = item.ino;
        outcome.blobid = blake3_of(as_bytes(content));
        outcome.blob_size = content.size();
        ASSERT_OK_ASSIGN(auto staged, store->stage(BlobKind::whole, *outcome.blobid, as_bytes(content)));
        group.push_back(std::move(staged));
        outcomes.push_back(std::move(outcome));
        if (group.size() == std::min<size_t>(store->max_group(), 256)) ASSERT_OK(store->commit(std::exchange(group, {})));
    }
    ASSERT_OK(store->commit(std::move(group)));
    ASSERT_OK(open->commit_outcomes(key, store->id(), outcomes, {}, "2025-01-01T00:00:00.000000Z"));
    const Json result = run(0);
    EXPECT_EQ(result["blobs"], 3003);
    int marked = 0;
    ASSERT_OK(open->for_each_blob([&](const BlobRow& blob) -> Result<void> {
        marked += blob.last_verified ? 1 : 0;
        return {};
    }));
    EXPECT_EQ(marked, 3003);
}

}  // namespace
}  // namespace ntt::test
