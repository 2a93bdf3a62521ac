// A volume that names more than it can hold: the listing ends, and says which limit was met.
#include "fs/listing/budget.h"

#include <gtest/gtest.h>

#include <functional>

#include "support/support.h"

namespace ntt::test {
namespace {

constexpr uint64_t kImage = 1 << 20;

// Lists what a function says.
class ScriptedReader final : public FsReader {
public:
    using Script = std::function<Result<void>(EntrySink&)>;
    explicit ScriptedReader(Script script) : script_(std::move(script)) {}
    Result<void> list(EntrySink& sink, const CancelToken&) override { return script_(sink); }
    Result<size_t> read_content(const std::string&, const std::string&, uint64_t, ByteSpan) override { return size_t{0}; }

private:
    Script script_;
};

struct Sink final : EntrySink {
    void add(Finding finding) override { findings.add(std::move(finding)); }
    Result<void> add_inode(InodeEntry inode) override {
        inodes.push_back(std::move(inode));
        return {};
    }
    Result<void> add_name(NameEntry name) override {
        names.push_back(std::move(name.path));
        return {};
    }
    FindingList findings;
    std::vector<InodeEntry> inodes;
    std::vector<std::string> names;
};

struct Listed {
    Sink sink;
    Result<void> end;
    std::string limit() const {
        return sink.findings.findings.empty() ? "" : sink.findings.findings[0].evidence;
    }
};

Listed list(const ListingBudget& budget, ScriptedReader::Script script) {
    Volume volume;
    volume.number = 3;
    volume.size_bytes = kImage;
    const auto reader = within_budget(std::make_unique<ScriptedReader>(std::move(script)), volume, kImage, budget);
    Listed out;
    out.end = reader->list(out.sink, CancelToken());
    return out;
}

ListingBudget defaults() {
    Volume volume;
    volume.size_bytes = kImage;
    volume.fs_type = "ext";
    return ListingBudget::of(volume, kImage);
}

InodeEntry file(int64_t ino, uint64_t size, std::vector<Extent> extents) {
    InodeEntry out;
    out.ino = ino;
    out.fs_ino = std::to_string(ino);
    out.size = size;
    out.access = ContentAccess::extents;
    out.extents = std::move(extents);
    return out;
}

TEST(Budget, FilesThatAllClaimTheSameBytesEndTheListing) {
    const Listed listed = list(defaults(), [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 1000; ++i) TRY(sink.add_inode(file(i, kImage / 2, {{0, 0, kImage / 2, ExtentKind::data}})));
        return {};
    });
    ASSERT_FALSE(listed.end.ok());
    EXPECT_EQ(listed.end.error().code, ErrorCode::limit);
    EXPECT_LE(listed.sink.inodes.size(), 12u);
    ASSERT_EQ(listed.sink.findings.count("budget_exceeded"), 1u);
    EXPECT_EQ(listed.limit(), R"({"limit":"data_bytes","value":5242880})");
    EXPECT_EQ(listed.sink.findings.findings[0].volume, 3);
}

TEST(Budget, BytesBeyondTheImageAreNotClaimed) {
    const Listed listed = list(defaults(), [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 100; ++i) TRY(sink.add_inode(file(i, kImage, {{0, kImage, kImage, ExtentKind::data}})));
        return {};
    });
    EXPECT_TRUE(listed.end.ok());
    EXPECT_EQ(listed.sink.inodes.size(), 100u);
}

TEST(Budget, AFileWithMoreDataThanTheVolumeCostsOnlyItself) {
    const Listed listed = list(defaults(), [](EntrySink& sink) -> Result<void> {
        TRY(sink.add_inode(file(1, 2 * kImage, {{0, 0, kImage, ExtentKind::data}, {kImage, 0, kImage, ExtentKind::data}})));
        return sink.add_inode(file(2, 10, {{0, 0, 10, ExtentKind::data}}));
    });
    EXPECT_TRUE(listed.end.ok());
    ASSERT_EQ(listed.sink.inodes.size(), 2u);
    EXPECT_EQ(listed.sink.inodes[0].access, ContentAccess::unreadable);
    ASSERT_EQ(listed.sink.inodes[0].faults.size(), 1u);
    EXPECT_EQ(listed.sink.inodes[0].faults[0].cause, Cause::IMPLAUSIBLE_SIZE);
    EXPECT_EQ(listed.sink.inodes[0].faults[0].length, 2 * kImage);
    EXPECT_TRUE(listed.sink.inodes[1].faults.empty());
    EXPECT_EQ(listed.limit(), R"({"limit":"data_bytes_of_file","value":1048576})");
}

TEST(Budget, HolesHaveABudgetOfTheirOwn) {
    constexpr uint64_t kHole = uint64_t{10} << 30;
    const Listed listed = list(defaults(), [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 20; ++i) TRY(sink.add_inode(file(i, kHole, {{0, 0, kHole, ExtentKind::hole}})));
        return sink.add_inode(file(99, 10, {{0, 0, 10, ExtentKind::data}}));
    });
    EXPECT_TRUE(listed.end.ok());
    EXPECT_EQ(listed.sink.inodes.size(), 21u);
    EXPECT_TRUE(listed.sink.inodes[0].faults.empty());
    EXPECT_EQ(listed.sink.inodes[19].faults.size(), 1u);
    EXPECT_TRUE(listed.sink.inodes[20].faults.empty());
    EXPECT_EQ(listed.sink.findings.count("budget_exceeded"), 1u);
}

TEST(Budget, SharingIsLegalOnADiscAndMoreThanSoOnNone) {
    Volume disc;
    disc.size_bytes = kImage;
    disc.fs_type = "iso9660";
    EXPECT_GT(ListingBudget::of(disc, kImage).data_bytes, 60 * kImage);
    EXPECT_LT(defaults().data_bytes, 8 * kImage);
}

TEST(Budget, NamesOfAVolumeOfADirectoryAndInDepthHaveLimits) {
    ListingBudget budget = defaults();
    budget.names = 50;
    budget.names_in_directory = 20;
    budget.depth = 5;
    const auto many = list(budget, [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 1000; ++i) TRY(sink.add_name({"d" + std::to_string(i) + "/f", "", 1}));
        return {};
    });
    EXPECT_FALSE(many.end.ok());
    EXPECT_EQ(many.sink.names.size(), 50u);
    EXPECT_EQ(many.limit(), R"({"limit":"names","value":50})");
    // A directory whose names are told before and after those of one below it.
    const auto wide = list(budget, [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 15; ++i) TRY(sink.add_name({"d/a", "", 1}));
        for (int i = 0; i < 10; ++i) TRY(sink.add_name({"d/sub/a", "", 1}));
        for (int i = 0; i < 15; ++i) TRY(sink.add_name({"d/b", "", 1}));
        return {};
    });
    EXPECT_FALSE(wide.end.ok());
    EXPECT_EQ(wide.sink.names.size(), 30u);
    EXPECT_EQ(wide.limit(), R"({"limit":"names_in_directory","value":20})");
    const auto deep = list(budget, [](EntrySink& sink) -> Result<void> {
        for (std::string path = "x";; path += "/x") TRY(sink.add_name({path, "", 1}));
    });
    EXPECT_FALSE(deep.end.ok());
    EXPECT_EQ(deep.limit(), R"({"limit":"depth","value":5})");
}

TEST(Budget, ADirectoryWithAMillionNamesIsNoDamage) {
    ListingBudget budget = ListingBudget::of([] {
        Volume volume;
        volume.size_bytes = uint64_t{4} << 30;
        return volume;
    }(), uint64_t{4} << 30);
    Listed listed = list(budget, [](EntrySink& sink) -> Result<void> {
        for (int i = 0; i < 1'000'000; ++i) TRY(sink.add_name({"d/f", "", 1}));
        return {};
    });
    EXPECT_TRUE(listed.end.ok());
    EXPECT_TRUE(listed.sink.findings.findings.empty());
}

}  // namespace
}  // namespace ntt::test
