// The store's promises, on every kind of filesystem that it can meet.
#include "store/store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "store/store_fixture.h"

namespace ntt::test {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
}

class StoreTest : public testing::TestWithParam<Terrain> {
protected:
    StoreTest() { settle(env_, GetParam()); }
    Result<std::unique_ptr<Store>> open() { return Store::open(env_, dir_, {levels()}); }
    int levels() const { return GetParam().fanout_levels; }
    std::string path_of(std::string_view content, const std::string& folder = "by-hash") const {
        return contract_path(dir_, content, levels(), folder);
    }

    TempDir temp_, grave_;
    const std::string dir_ = temp_ / "store";
    FaultEnv env_{grave_.path().string()};
};

INSTANTIATE_TEST_SUITE_P(Terrains, StoreTest, testing::ValuesIn(terrains()),
                         [](const auto& terrain) { return terrain.param.name; });

TEST_P(StoreTest, CommittedContentsStandUnderTheirNames) {
    ASSERT_OK_ASSIGN(const auto store, open());
    const auto contents = some_contents(1, 40);
    ASSERT_OK_ASSIGN(const auto published, put(*store, contents));
    EXPECT_EQ(published, std::vector<Published>(40, Published::fresh));
    for (const std::string& content : contents) EXPECT_EQ(read_file(path_of(content)), content);
    EXPECT_EQ(files_below(dir_, "by-hash").size(), 40u);
    EXPECT_TRUE(files_below(dir_, "partial").empty());
}

TEST_P(StoreTest, NothingIsVisibleBeforeCommitAndADroppedContentLeavesNothing) {
    {
        ASSERT_OK_ASSIGN(const auto store, open());
        {
            ASSERT_OK_ASSIGN(const StagedBlob blob, store->stage(BlobKind::whole, id_of("x"), as_bytes("x")));
            ASSERT_OK_ASSIGN(StagedWriter writer, store->start(BlobKind::partial));
            ASSERT_OK(writer.append(as_bytes("y")));
            EXPECT_TRUE(files_below(dir_, "by-hash").empty());
            EXPECT_TRUE(files_below(dir_, "partial").empty());
        }
        EXPECT_TRUE(files_below(dir_, "by-hash").empty());
    }
    expect_tidy(dir_);
}

TEST_P(StoreTest, FilesAreReadOnlyAndFoldersOpenWhateverTheUmask) {
    for (const mode_t mask : {mode_t{077}, mode_t{0}, mode_t{0277}}) {
        const std::string content = "under umask " + std::to_string(mask);
        const mode_t before = ::umask(mask);
        {
            const auto store = open();
            ASSERT_OK(store);
            EXPECT_TRUE(put(**store, {content}).ok());
        }
        ::umask(before);
        EXPECT_EQ(mode_of(path_of(content)), 0444u);
        for (fs::path folder = fs::path(path_of(content)).parent_path(); folder != temp_.path(); folder = folder.parent_path())
            EXPECT_EQ(mode_of(folder.string()), 0755u) << folder;
        EXPECT_EQ(mode_of(dir_ + "/quarantine"), 0755u);
    }
}

TEST_P(StoreTest, AContentThatIsThereIsADuplicateAndStaysUntouched) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, {"once"}));
    const auto written = fs::last_write_time(path_of("once"));
    ASSERT_OK_ASSIGN(const auto published, put(*store, {"new", "once", "new"}));
    EXPECT_EQ(published, (std::vector{Published::fresh, Published::duplicate, Published::duplicate}));
    EXPECT_EQ(fs::last_write_time(path_of("once")), written);
    EXPECT_TRUE(store->take_quarantine_events().empty());
}

TEST_P(StoreTest, TheEmptyContentIsABlob) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, {""}));
    EXPECT_EQ(path_of("").substr(path_of("").size() - 64), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    EXPECT_EQ(read_file(path_of("")), "");
    ASSERT_OK_ASSIGN(const Presence found, store->look(BlobKind::whole, id_of(""), 0));
    EXPECT_EQ(found, Presence::present);
}

TEST_P(StoreTest, WholeAndPartialContentsDoNotMeet) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, {"salvaged"}, BlobKind::partial));
    EXPECT_EQ(read_file(path_of("salvaged", "partial")), "salvaged");
    ASSERT_OK_ASSIGN(const Presence whole, store->look(BlobKind::whole, id_of("salvaged"), 8));
    EXPECT_EQ(whole, Presence::absent);
    ASSERT_OK_ASSIGN(const Presence partial, store->look(BlobKind::partial, id_of("salvaged"), 8));
    EXPECT_EQ(partial, Presence::present);
}

TEST_P(StoreTest, ANameWithAnotherSizeGoesToQuarantineAndTheGoodBytesTakeItsPlace) {
    ASSERT_OK_ASSIGN(const auto store, open());
    fs::create_directories(fs::path(path_of("good bytes")).parent_path());
    write_file(path_of("good bytes"), "short");
    ASSERT_OK_ASSIGN(const Presence found, store->look(BlobKind::whole, id_of("good bytes"), 10));
    EXPECT_EQ(found, Presence::wrong_size);
    ASSERT_OK_ASSIGN(const auto published, put(*store, {"good bytes"}));
    EXPECT_EQ(published, std::vector{Published::fresh});
    EXPECT_EQ(read_file(path_of("good bytes")), "good bytes");

    const auto events = store->take_quarantine_events();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].id, id_of("good bytes"));
    EXPECT_EQ(events[0].reason, "wrong_size");
    EXPECT_EQ(read_file(dir_ + "/" + events[0].moved_to), "short");
    EXPECT_THAT(events[0].moved_to,
                testing::MatchesRegex("quarantine/whole-" + id_of("good bytes").hex() + "-[0-9]+T[0-9]+Z-wrong_size-0"));
    EXPECT_TRUE(store->take_quarantine_events().empty());
}

TEST_P(StoreTest, WhatIsNotAFileUnderABlobsNameIsOfWrongSizeAndGoesToQuarantine) {
    ASSERT_OK_ASSIGN(const auto store, open());
    fs::create_directories(path_of("a folder") + "/inside");
    fs::create_directories(fs::path(path_of("a link")).parent_path());
    fs::create_symlink("/etc/hostname", path_of("a link"));
    fs::create_directories(fs::path(path_of("a pipe")).parent_path());
    ASSERT_EQ(::mkfifo(path_of("a pipe").c_str(), 0644), 0);
    const std::vector<std::string> contents = {"a folder", "a link", "a pipe"};
    for (const std::string& content : contents) {
        const auto found = store->look(BlobKind::whole, id_of(content), content.size());
        ASSERT_OK(found);
        EXPECT_EQ(*found, Presence::wrong_size) << content;
        EXPECT_FALSE(store->open_blob(BlobKind::whole, id_of(content)).ok()) << content;
    }
    ASSERT_OK(put(*store, contents));
    for (const std::string& content : contents) EXPECT_EQ(read_file(path_of(content)), content);
    EXPECT_EQ(store->take_quarantine_events().size(), 3u);
}

TEST_P(StoreTest, PiecesAndHolesMakeOneContent) {
    ASSERT_OK_ASSIGN(const auto store, open());
    constexpr size_t kHole = 1 << 20;
    const std::string content = "head" + std::string(kHole, '\0') + "middle" + std::string(kHole, '\0');
    ASSERT_OK_ASSIGN(StagedWriter writer, store->start(BlobKind::partial));
    ASSERT_OK(writer.append(as_bytes("head")));
    ASSERT_OK(writer.append_hole(kHole / 2));
    ASSERT_OK(writer.append_hole(kHole / 2));
    ASSERT_OK(writer.append({}));
    ASSERT_OK(writer.append(as_bytes("middle")));
    ASSERT_OK(writer.append_hole(kHole));
    EXPECT_EQ(writer.size(), content.size());
    ASSERT_OK_ASSIGN(StagedBlob blob, writer.finish(id_of(content)));
    EXPECT_EQ(writer.size(), 0u);
    EXPECT_EQ(blob.size(), content.size());
    std::vector<StagedBlob> group;
    group.push_back(std::move(blob));
    ASSERT_OK(store->commit(std::move(group)));
    EXPECT_EQ(read_file(path_of(content, "partial")), content);
    struct stat info {};
    ASSERT_EQ(::stat(path_of(content, "partial").c_str(), &info), 0);
    EXPECT_LT(info.st_blocks * 512, static_cast<blkcnt_t>(kHole)) << "the holes take room";
}

TEST_P(StoreTest, BytesOfAnOpenFileAreCopiedAlsoWhereTheKernelCannot) {
    const std::string source = chosen_bytes(7, 300'000);
    write_file(temp_ / "source", source);
    for (const char* way : {"copied", "refused"}) {
        if (std::string(way) == "refused") env_.refuse(Op::copy_range, EXDEV);
        const std::string content = way + source.substr(1000, 200'000) + source.substr(0, 5000);
        ASSERT_OK_ASSIGN(const auto store, open());
        ASSERT_OK_ASSIGN(const Fd file, env_.open_read(temp_ / "source"));
        ASSERT_OK_ASSIGN(StagedWriter writer, store->start(BlobKind::whole));
        ASSERT_OK(writer.append(as_bytes(way)));
        ASSERT_OK(writer.append_from(file, 1000, as_bytes(source).subspan(1000, 200'000)));
        ASSERT_OK(writer.append_from(file, 0, as_bytes(source).first(5000)));
        std::vector<StagedBlob> group;
        ASSERT_OK_ASSIGN(StagedBlob blob, writer.finish(id_of(content)));
        group.push_back(std::move(blob));
        ASSERT_OK(store->commit(std::move(group)));
        EXPECT_EQ(read_file(path_of(content)), content) << way;
    }
}

TEST_P(StoreTest, AContentLongerThanAFileCanBeIsRefused) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK_ASSIGN(StagedWriter writer, store->start(BlobKind::whole));
    ASSERT_OK(writer.append_hole(uint64_t{1} << 62));
    const auto too_long = writer.append_hole(uint64_t{1} << 62);
    ASSERT_FALSE(too_long.ok());
    EXPECT_EQ(too_long.error().code, ErrorCode::limit);
}

TEST_P(StoreTest, ABlobIsOpenedByItsNameAndAnAbsentOneIsNotFound) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, {"content"}));
    ASSERT_OK_ASSIGN(const Fd file, store->open_blob(BlobKind::whole, id_of("content")));
    std::string bytes(100, '\0');
    ASSERT_OK_ASSIGN(const size_t size, env_.read_at(file, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, 0));
    EXPECT_EQ(bytes.substr(0, size), "content");
    const auto absent = store->open_blob(BlobKind::partial, id_of("content"));
    ASSERT_FALSE(absent.ok());
    EXPECT_EQ(absent.error().code, ErrorCode::not_found);
}

TEST_P(StoreTest, AFlippedBlobIsMovedAsideAndCanBePublishedAnew) {
    ASSERT_OK_ASSIGN(const auto store, open());
    for (int round = 0; round < 3; ++round) {
        ASSERT_OK(put(*store, {"content"}));
        patch_file(path_of("content"), 0, "C");
        ASSERT_OK(store->quarantine(BlobKind::whole, id_of("content"), "flipped"));
        EXPECT_FALSE(fs::exists(path_of("content")));
    }
    const auto events = store->take_quarantine_events();
    ASSERT_EQ(events.size(), 3u);
    for (const auto& event : events) EXPECT_EQ(read_file(dir_ + "/" + event.moved_to), "Content");
    EXPECT_EQ(files_below(dir_, "quarantine").size(), 3u);
    const auto absent = store->quarantine(BlobKind::whole, id_of("content"), "flipped");
    ASSERT_FALSE(absent.ok());
    EXPECT_EQ(absent.error().code, ErrorCode::not_found);
}

TEST_P(StoreTest, TheReasonOfAQuarantineCannotLeaveTheFolder) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, {"content"}));
    ASSERT_OK(store->quarantine(BlobKind::whole, id_of("content"), "../../x y\n" + std::string(500, 'z')));
    EXPECT_EQ(files_below(dir_, "quarantine").size(), 1u);
}

TEST_P(StoreTest, TheWalkMeetsEveryFileInOrderAndTellsStraysFromBlobs) {
    ASSERT_OK_ASSIGN(const auto store, open());
    const auto contents = some_contents(100, 60);
    ASSERT_OK(put(*store, contents));
    ASSERT_OK(put(*store, {"salvaged"}, BlobKind::partial));
    const std::string leaf = fs::path(path_of(contents[0])).parent_path().string();
    const std::string elsewhere = fs::path(path_of(contents[1])).parent_path().string();
    const std::vector<std::string> strays = {dir_ + "/by-hash/notes.txt", leaf + "/short", leaf + "/" + std::string(64, 'F'),
                                             elsewhere + "/" + id_of(contents[0]).hex()};
    for (const std::string& path : strays) write_file(path, "stray");
    fs::create_directories(dir_ + "/by-hash/zz/inside");
    fs::create_directories(leaf + "/" + id_of(contents[0]).hex().substr(0, 4) + std::string(60, '0'));

    std::vector<BlobId> blobs;
    std::vector<std::string> stray_paths, all_paths;
    size_t partial = 0;
    ASSERT_OK(store->for_each([&](const BlobFile& file) -> Result<void> {
        all_paths.push_back(file.path);
        if (!file.id) {
            stray_paths.push_back(file.path);
        } else if (file.kind == BlobKind::partial) {
            ++partial;
            EXPECT_EQ(file.size, 8u);
        } else {
            EXPECT_EQ(file.size, fs::file_size(dir_ + "/" + file.path));
            EXPECT_EQ(file.name, file.id->hex());
            blobs.push_back(*file.id);
        }
        return {};
    }));
    EXPECT_EQ(blobs.size(), contents.size());
    EXPECT_TRUE(std::is_sorted(blobs.begin(), blobs.end()));
    EXPECT_EQ(partial, 1u);
    EXPECT_EQ(stray_paths.size(), strays.size() + 2) << testing::PrintToString(stray_paths);
    EXPECT_EQ(std::adjacent_find(all_paths.begin(), all_paths.end()), all_paths.end());
}

TEST_P(StoreTest, AWalkEndsWithTheVisitorsError) {
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*store, some_contents(5, 10)));
    int visited = 0;
    const auto walked = store->for_each([&](const BlobFile&) -> Result<void> {
        if (++visited == 3) return make_error(ErrorCode::cancelled, "enough");
        return {};
    });
    ASSERT_FALSE(walked.ok());
    EXPECT_EQ(walked.error().code, ErrorCode::cancelled);
    EXPECT_EQ(visited, 3);
}

TEST_P(StoreTest, ThreadsMayStageWhileOthersCommit) {
    constexpr uint32_t kThreads = 4, kRounds = 6;
    ASSERT_OK_ASSIGN(const auto store, open());
    const auto shared = some_contents(9000, 10);  // every thread puts these too
    std::atomic<size_t> fresh_shared{0};
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (uint32_t round = 0; round < kRounds; ++round) {
                EXPECT_TRUE(put(*store, some_contents(1000 * t + 20 * round, 20)).ok());
                const auto published = put(*store, shared);
                ASSERT_OK(published);
                fresh_shared += static_cast<size_t>(std::count(published->begin(), published->end(), Published::fresh));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(files_below(dir_, "by-hash").size(), kThreads * kRounds * 20 + shared.size());
    EXPECT_GE(fresh_shared, shared.size());
    EXPECT_TRUE(store->take_quarantine_events().empty());
    expect_sound(dir_);
}

TEST_P(StoreTest, AContentMayOutliveItsStore) {
    ASSERT_OK_ASSIGN(auto store, open());
    {
        ASSERT_OK_ASSIGN(const StagedBlob blob, store->stage(BlobKind::whole, id_of("late"), as_bytes("late")));
        store.reset();
        EXPECT_EQ(blob.size(), 4u);
    }
    expect_tidy(dir_);
}

TEST_P(StoreTest, AnEmptyGroupCostsNothing) {
    ASSERT_OK_ASSIGN(const auto store, open());
    const size_t before = env_.count();
    ASSERT_OK_ASSIGN(const auto published, store->commit({}));
    EXPECT_TRUE(published.empty());
    EXPECT_EQ(env_.count(), before);
}

TEST_P(StoreTest, ANameThatAnotherProcessHasJustMadeIsSyncedBeforeItCounts) {
    const TempDir grave;
    FaultEnv env(grave.path().string());
    settle(env, GetParam());
    ASSERT_OK_ASSIGN(const auto other, Store::open(env, dir_, {levels()}));
    ASSERT_OK_ASSIGN(const auto store, open());
    ASSERT_OK(put(*other, {"theirs"}));
    ASSERT_OK(store->look(BlobKind::whole, id_of("theirs"), 6));
    const size_t before = env_.count(Op::sync_filesystem);
    ASSERT_OK(store->commit({}));
    EXPECT_EQ(env_.count(Op::sync_filesystem), before + 1);
}

// --- what does not depend on the filesystem ---

class StoreCost : public testing::Test {
protected:
    TempDir temp_, grave_;
    const std::string dir_ = temp_ / "store";
    FaultEnv env_{grave_.path().string()};
};

TEST_F(StoreCost, AFreshContentCostsOneOpenOneWriteAndOneLink) {
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    ASSERT_OK(put(*store, some_contents(1, 300)));  // opens most folders
    const std::vector<std::string> contents = some_contents(5000, 1000);
    const size_t before = env_.count(), syncs = env_.count(Op::sync_filesystem);
    const size_t folders = env_.count(Op::open_dir) + env_.count(Op::make_dir);
    ASSERT_OK(put(*store, contents));
    const size_t new_folders = env_.count(Op::open_dir) + env_.count(Op::make_dir) - folders;
    EXPECT_EQ(env_.count(Op::sync_filesystem), syncs + 2);
    EXPECT_EQ(env_.count() - before - new_folders, 3 * contents.size() + 3) << "and one look and two syncs for the group";
}

TEST_F(StoreCost, AGroupOfOldDuplicatesIsNeitherLinkedNorSynced) {
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    const auto contents = some_contents(1, 20);
    ASSERT_OK(put(*store, contents));
    ::sleep(4);  // until the names are older than the margin for time stamps
    ASSERT_OK(put(*store, {"another"}));
    const size_t syncs = env_.count(Op::sync_filesystem), links = env_.count(Op::link_unnamed);
    ASSERT_OK_ASSIGN(const auto published, put(*store, contents));
    EXPECT_EQ(published, std::vector<Published>(20, Published::duplicate));
    EXPECT_EQ(env_.count(Op::sync_filesystem), syncs);
    EXPECT_EQ(env_.count(Op::link_unnamed), links);
}

TEST_F(StoreCost, LookingCostsOneCall) {
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    ASSERT_OK(put(*store, {"there"}));
    for (const std::string content : {"there", "not there"}) {
        const size_t before = env_.count();
        ASSERT_OK(store->look(BlobKind::whole, id_of(content), content.size()));
        EXPECT_EQ(env_.count(), before + 1) << content;
    }
}

TEST_F(StoreCost, AStoreThatIsThereIsOpenedWithoutWriting) {
    ASSERT_OK(Store::open(env_, dir_));
    for (const Op op : {Op::make_dir, Op::open_create, Op::write, Op::truncate, Op::set_mode, Op::link, Op::link_unnamed,
                        Op::open_unnamed, Op::rename, Op::unlink, Op::lock})
        env_.refuse(op, EROFS);
    ASSERT_OK_ASSIGN(const auto store, Store::open(env_, dir_));
    const auto staged = store->stage(BlobKind::whole, id_of("x"), as_bytes("x"));
    ASSERT_FALSE(staged.ok());
    EXPECT_EQ(staged.error().code, ErrorCode::permission);
}

}  // namespace
}  // namespace ntt::test
