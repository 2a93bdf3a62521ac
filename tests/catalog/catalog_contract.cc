#include "catalog/catalog_contract.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

// A filter names the one or two conditions it has; g++ 12 wants the absent ones named as well.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace ntt::test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CatalogContract);

MediumRow medium_row(const std::string& hash, const std::string& label) {
    MediumRow row;
    row.medium_hash = hash;
    row.medium_human = label;
    row.image_path = "/images/" + hash + ".img";
    row.size_bytes = 430592;
    row.health = "corrupt";
    row.added_at = kTime;
    return row;
}

InodeRow file_row(int64_t ino, uint64_t size, int volume) {
    InodeRow row;
    row.volume = volume;
    row.ino = ino;
    row.image_id = 1;
    row.fs_ino = std::to_string(ino);
    row.size = size;
    row.mtime = 1'000'000'000;
    row.access = 1;
    row.first_offset = 512 * static_cast<uint64_t>(ino);
    row.extents = std::string("\x01\x00\xff", 3);
    return row;
}

InodeRow folder_row(int64_t ino, int volume) {
    InodeRow row;
    row.volume = volume;
    row.ino = ino;
    row.fs_type = 'd';
    row.status = Status::nonfile;
    row.copied = true;
    row.claimed_by = "NON_FILE";
    return row;
}

PathRow path_row(int64_t entry, int64_t ino, const std::string& path, int volume) {
    PathRow row;
    row.volume = volume;
    row.entry = entry;
    row.ino = ino;
    row.path = path;
    return row;
}

BlobId blob_named(std::string_view content) { return blake3_of(as_bytes(content)); }

void CatalogTest::open(const CatalogKind& kind) {
    url_ = kind.url(dir_);
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    ASSERT_OK_ASSIGN(medium_, catalog_->add_medium(medium_row(kHash)));
}

std::unique_ptr<Catalog> CatalogTest::another(int busy_timeout_ms) {
    CatalogOptions options;
    options.busy_timeout_ms = busy_timeout_ms;
    auto opened = open_catalog(Env::host(), Clock::system(), url_, options);
    EXPECT_TRUE(opened.ok()) << why(opened);
    return opened.ok() ? std::move(opened).value() : nullptr;
}

void CatalogTest::add(const InodeRow& row, std::span<const MissingRow> missing) {
    ASSERT_OK(catalog_->add_inode(medium_, row, missing));
}
void CatalogTest::add(const PathRow& row) { ASSERT_OK(catalog_->add_path(medium_, row)); }

int64_t CatalogTest::row_of(int64_t ino, int volume) {
    const auto rows = catalog_->pending_rows(medium_);
    EXPECT_TRUE(rows.ok()) << why(rows);
    const auto items = catalog_->work_items(medium_, rows.value());
    EXPECT_TRUE(items.ok()) << why(items);
    for (const WorkItem& item : items.value())
        if (item.ino == ino && item.volume == volume) return item.row;
    ADD_FAILURE() << "inode " << ino << " is not pending";
    return 0;
}

InodeRow CatalogTest::get(int64_t ino, int volume) {
    const auto row = catalog_->inode(kHash, volume, ino);
    EXPECT_TRUE(row.ok()) << why(row);
    EXPECT_TRUE(row.ok() && row.value().has_value()) << "no inode " << ino;
    return row.ok() && row.value() ? *row.value() : InodeRow{};
}

CopyOutcome CatalogTest::stored(int64_t ino, std::string_view content, int volume) {
    CopyOutcome outcome;
    outcome.row = row_of(ino, volume);
    outcome.volume = volume;
    outcome.ino = ino;
    outcome.blobid = blob_named(content);
    outcome.blob_size = content.size();
    return outcome;
}

CopyOutcome CatalogTest::damaged(int64_t ino, Cause cause, std::vector<MissingRow> missing, int volume) {
    CopyOutcome outcome = unreadable(ino, cause, std::move(missing), volume);
    outcome.status = Status::damaged;
    outcome.partial_blobid = blob_named("salvaged");
    outcome.blob_size = 8;
    return outcome;
}

CopyOutcome CatalogTest::unreadable(int64_t ino, Cause cause, std::vector<MissingRow> missing, int volume) {
    CopyOutcome outcome;
    outcome.row = row_of(ino, volume);
    outcome.volume = volume;
    outcome.ino = ino;
    outcome.status = Status::unreadable;
    outcome.cause = cause;
    outcome.claimed_by = claimed_by_of(cause);
    outcome.missing = std::move(missing);
    outcome.evidence = R"({"image_size":430592})";
    return outcome;
}

void CatalogTest::commit(const std::vector<CopyOutcome>& outcomes, const std::vector<EventRow>& events) {
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-1", outcomes, events, kTime));
}

EventRow CatalogTest::event(std::optional<int64_t> ino, const std::string& action) {
    EventRow event;
    event.medium_hash = kHash;
    event.volume = 1;
    event.ino = ino;
    event.retry_count = 10;
    event.checks = R"(["detected_beyond_eof","mount_check:ok"])";
    event.action = action;
    event.cause = Cause::BEYOND_EOF;
    event.exception_type = "OSError";
    event.exception_msg = "attempt to access beyond end of device";
    event.worker_id = "worker-01";
    event.timestamp = kTime;
    return event;
}

Totals CatalogTest::totals() {
    const auto totals = catalog_->totals(medium_);
    EXPECT_TRUE(totals.ok()) << why(totals);
    if (!totals.ok()) return {};
    EXPECT_TRUE(totals.value().add_up());
    return totals.value();
}

std::vector<FileRow> CatalogTest::list(const FileFilter& filter) {
    std::vector<FileRow> out;
    const auto result = catalog_->files(filter, [&](const FileRow& file) -> Result<void> {
        out.push_back(file);
        return {};
    });
    EXPECT_TRUE(result.ok()) << why(result);
    return out;
}

std::vector<std::string> CatalogTest::paths(const FileFilter& filter) {
    std::vector<std::string> out;
    for (const FileRow& file : list(filter)) out.push_back(file.path.path);
    return out;
}

// --- media, images, volumes ---

TEST_P(CatalogContract, a_medium_comes_back_as_it_was_put) {
    MediumRow row = medium_row(kOtherHash, "Zip 100");
    row.map_path = "/images/x.map";
    row.rescued_bytes = 12;
    row.message = "blue label";
    row.enum_done = kTime;
    row.problems = R"({"beyond_eof_detected":true})";
    ASSERT_OK(catalog_->add_medium(row));
    ASSERT_OK_ASSIGN(const auto found, catalog_->medium(kOtherHash));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->medium_human, "Zip 100");
    EXPECT_EQ(found->map_path, "/images/x.map");
    EXPECT_EQ(found->rescued_bytes, 12u);
    EXPECT_EQ(found->message, "blue label");
    EXPECT_EQ(found->enum_done, kTime);
    EXPECT_EQ(found->copy_done, std::nullopt);
    EXPECT_EQ(found->problems, R"({"beyond_eof_detected":true})");
}

TEST_P(CatalogContract, a_medium_is_never_replaced) {
    const auto again = catalog_->add_medium(medium_row(kHash, "another label"));
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, ErrorCode::already_exists);
    ASSERT_OK_ASSIGN(const auto found, catalog_->medium(kHash));
    EXPECT_EQ(found->medium_human, "AliciaMainList");
}

TEST_P(CatalogContract, update_medium_keeps_added_at_and_needs_a_known_medium) {
    MediumRow row = medium_row(kHash, "new label");
    row.added_at = "2030-01-01T00:00:00.000000Z";
    row.copy_done = kTime;
    ASSERT_OK(catalog_->update_medium(row));
    ASSERT_OK_ASSIGN(const auto found, catalog_->medium(kHash));
    EXPECT_EQ(found->medium_human, "new label");
    EXPECT_EQ(found->added_at, kTime);
    EXPECT_EQ(found->copy_done, kTime);
    const auto unknown = catalog_->update_medium(medium_row(kOtherHash));
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, a_medium_is_found_by_hash_prefix_or_label_and_ambiguity_names_the_candidates) {
    ASSERT_OK(catalog_->add_medium(medium_row("f9580000000000000000000000000000", "Zip 100")));
    ASSERT_OK(catalog_->add_medium(medium_row(kOtherHash, "Zip 100")));
    ASSERT_OK_ASSIGN(const auto by_prefix, catalog_->resolve_medium("f95834"));
    EXPECT_EQ(by_prefix.medium_hash, kHash);
    ASSERT_OK_ASSIGN(const auto by_label, catalog_->resolve_medium("AliciaMainList"));
    EXPECT_EQ(by_label.medium_hash, kHash);
    for (const char* text : {"f958", "Zip 100"}) {
        const auto ambiguous = catalog_->resolve_medium(text);
        ASSERT_FALSE(ambiguous.ok()) << text;
        EXPECT_EQ(ambiguous.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(ambiguous.error().message, HasSubstr("f9580000000000000000000000000000"));
    }
    for (const char* text : {"f95", "ffff", "", "%", "nothing"}) {
        const auto unknown = catalog_->resolve_medium(text);
        ASSERT_FALSE(unknown.ok()) << text;
        EXPECT_EQ(unknown.error().code, ErrorCode::not_found) << text;
    }
}

TEST_P(CatalogContract, images_and_volumes_come_back_as_they_were_put) {
    ImageRow image;
    image.medium_hash = kHash;
    image.path = "/images/a.img";
    image.format = "raw";
    image.size_bytes = 430592;
    image.digest = std::string(64, 'a');
    image.added_at = kTime;
    ASSERT_OK_ASSIGN(image.image_id, catalog_->add_image(image));
    EXPECT_GT(image.image_id, 0);
    image.map_path = "/images/a.map";
    image.map_digest = std::string(64, 'b');
    image.rescued_bytes = 400000;
    ASSERT_OK(catalog_->update_image(image));
    ASSERT_OK_ASSIGN(const auto images, catalog_->images(kHash));
    ASSERT_EQ(images.size(), 1u);
    EXPECT_EQ(images[0].map_path, "/images/a.map");
    EXPECT_EQ(images[0].rescued_bytes, 400000u);
    ASSERT_OK_ASSIGN(const bool known, catalog_->has_image_of_size(430592));
    EXPECT_TRUE(known);
    ASSERT_OK_ASSIGN(const bool unknown, catalog_->has_image_of_size(430593));
    EXPECT_FALSE(unknown);

    VolumeRow volume;
    volume.medium_hash = kHash;
    volume.volume = 1;
    volume.image_id = image.image_id;
    volume.size_bytes = 1474560;
    volume.view = "fat12";
    volume.role = "filesystem";
    ASSERT_OK(catalog_->put_volume(volume));
    volume.outcome = "partial";
    volume.label = "ALICIA";
    ASSERT_OK(catalog_->put_volume(volume));
    ASSERT_OK_ASSIGN(const auto volumes, catalog_->volumes(kHash));
    ASSERT_EQ(volumes.size(), 1u);
    EXPECT_EQ(volumes[0].outcome, "partial");
    EXPECT_EQ(volumes[0].label, "ALICIA");
    EXPECT_EQ(volumes[0].uuid, "");
    EXPECT_EQ(volumes[0].image_id, image.image_id);
}

// --- enumeration ---

TEST_P(CatalogContract, an_inode_comes_back_as_it_was_put) {
    InodeRow row = file_row(3455, 656'000);
    row.fs_ino = "33-128-1";
    row.stream = "Zone.Identifier";
    row.allocated = false;
    row.dev = 7;
    row.nlink = 2;
    row.mtime = -5;
    row.mtime_ns = 123;
    row.atime = 1;
    row.ctime = 2;
    row.crtime = 3;
    row.mode = 0100644;
    row.uid = 1000;
    row.gid = 4'000'000'000;
    row.attributes = 0x20;
    row.target = std::string("a\0b\xff", 4);
    row.missing_bytes = 10;
    row.cause = Cause::BEYOND_EOF;
    row.evidence = "{}";
    row.errors = {"50 attempts, last: \"Input/output error\"", "second"};
    row.error_type = "io_error";
    row.mime_type = "application/vnd.ms-excel";
    add(row);
    const InodeRow got = get(3455);
    EXPECT_EQ(got.fs_ino, row.fs_ino);
    EXPECT_EQ(got.stream, row.stream);
    EXPECT_EQ(got.allocated, false);
    EXPECT_EQ(got.dev, row.dev);
    EXPECT_EQ(got.nlink, 2u);
    EXPECT_EQ(got.size, 656'000u);
    EXPECT_EQ(got.mtime, -5);
    EXPECT_EQ(got.mtime_ns, 123);
    EXPECT_EQ(got.atime, 1);
    EXPECT_EQ(got.ctime, 2);
    EXPECT_EQ(got.crtime, 3);
    EXPECT_EQ(got.mode, 0100644);
    EXPECT_EQ(got.uid, 1000);
    EXPECT_EQ(got.gid, 4'000'000'000);
    EXPECT_EQ(got.attributes, 0x20);
    EXPECT_EQ(got.target, row.target);
    EXPECT_EQ(got.access, 1);
    EXPECT_EQ(got.first_offset, row.first_offset);
    EXPECT_EQ(got.extents, row.extents);
    EXPECT_EQ(got.image_id, 1);
    EXPECT_EQ(got.missing_bytes, 10u);
    EXPECT_EQ(got.cause, Cause::BEYOND_EOF);
    EXPECT_EQ(got.errors, row.errors);
    EXPECT_EQ(got.error_type, "io_error");
    EXPECT_EQ(got.mime_type, row.mime_type);
    EXPECT_EQ(got.counted_as(), Status::pending);
}

// One of the catalogs keeps what is usual as NULL.
TEST_P(CatalogContract, numbers_of_an_inode_that_are_usual_come_back_and_so_do_those_beside_them) {
    for (int64_t ino = 1; ino <= 3; ++ino) {
        InodeRow row = file_row(ino);
        row.nlink = static_cast<uint64_t>(ino - 1);
        row.mtime_ns = static_cast<int>(ino - 1);
        row.missing_bytes = static_cast<uint64_t>(ino - 1);
        row.uid = ino == 1 ? 0 : 4'294'967'293 + ino - 1;
        add(row);
        for (const bool replaced : {false, true}) {
            if (replaced) ASSERT_OK(catalog_->replace_inode(medium_, row, {}));
            const InodeRow got = get(ino);
            EXPECT_EQ(got.nlink, row.nlink) << ino << replaced;
            EXPECT_EQ(got.mtime_ns, row.mtime_ns) << ino << replaced;
            EXPECT_EQ(got.missing_bytes, row.missing_bytes) << ino << replaced;
            EXPECT_EQ(got.uid, row.uid) << ino << replaced;
        }
    }
    ASSERT_OK_ASSIGN(const auto rows, catalog_->pending_rows(medium_));
    ASSERT_OK_ASSIGN(const auto items, catalog_->work_items(medium_, rows));
    ASSERT_EQ(items.size(), 3u);
    for (const WorkItem& item : items) {
        EXPECT_EQ(item.mtime_ns, item.ino - 1);
        EXPECT_EQ(item.missing_bytes, static_cast<uint64_t>(item.ino - 1));
        EXPECT_EQ(item.failures, 0);
    }
}

TEST_P(CatalogContract, an_unknown_inode_is_absent_and_an_unknown_medium_an_error) {
    ASSERT_OK_ASSIGN(const auto absent, catalog_->inode(kHash, 1, 99));
    EXPECT_FALSE(absent.has_value());
    const auto unknown = catalog_->inode(kOtherHash, 1, 99);
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, inode_12_of_two_volumes_is_two_inodes) {
    add(file_row(12, 100, 1));
    add(file_row(12, 200, 2));
    EXPECT_EQ(get(12, 1).size, 100u);
    EXPECT_EQ(get(12, 2).size, 200u);
    EXPECT_EQ(totals().inodes, 2u);
}

TEST_P(CatalogContract, a_load_never_replaces_an_inode) {
    add(file_row(12, 100));
    const auto again = catalog_->add_inode(medium_, file_row(12, 200), {});
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, ErrorCode::already_exists);
    EXPECT_EQ(get(12).size, 100u);
}

TEST_P(CatalogContract, a_path_keeps_its_bytes_and_a_volume_may_list_a_name_twice) {
    const std::string odd("ASC\n\\ \xff\0#|\x1c.WP", 14);
    add(file_row(1));
    add(file_row(2));
    add(path_row(1, 1, odd));
    add(path_row(2, 2, odd));
    add(path_row(3, 1, "link"));
    const auto files = list({});
    ASSERT_EQ(files.size(), 3u);
    EXPECT_EQ(files[0].path.path, odd);
    EXPECT_EQ(files[1].path.path, odd);
    EXPECT_EQ(files[1].inode.ino, 2);
    EXPECT_EQ(files[2].inode.ino, 1);
    EXPECT_EQ(totals().paths, 3u);
}

TEST_P(CatalogContract, a_path_without_its_inode_is_refused_at_commit) {
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    ASSERT_OK(catalog_->add_path(medium_, path_row(1, 77, "orphan")));
    EXPECT_FALSE(transaction->commit().ok());
    transaction.reset();
    EXPECT_EQ(totals().paths, 0u);
}

TEST_P(CatalogContract, absurd_sizes_do_not_break_the_totals) {
    for (int64_t ino = 1; ino <= 5; ++ino) add(file_row(ino, UINT64_MAX));
    const Totals all = totals();
    EXPECT_EQ(all.inodes, 5u);
    EXPECT_EQ(all.content_bytes, UINT64_MAX);
}

TEST_P(CatalogContract, an_inode_is_excluded_only_if_every_name_is) {
    for (const int64_t ino : {1, 2, 3}) add(file_row(ino));
    add(folder_row(4));
    const auto excluded = [](PathRow row) {
        row.exclude_reason = "pattern_match";
        return row;
    };
    add(excluded(path_row(1, 1, "cache/a")));
    add(excluded(path_row(2, 1, "cache/b")));
    add(excluded(path_row(3, 2, "cache/c")));
    add(path_row(4, 2, "kept/c"));
    add(path_row(5, 3, "kept/d"));
    add(excluded(path_row(6, 4, "cache")));
    ASSERT_OK_ASSIGN(const uint64_t count, catalog_->mark_excluded(medium_));
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(get(1).counted_as(), Status::excluded);
    EXPECT_EQ(get(1).claimed_by, "EXCLUDED");
    EXPECT_EQ(get(2).counted_as(), Status::pending);
    EXPECT_EQ(get(3).counted_as(), Status::pending);
    EXPECT_EQ(get(4).counted_as(), Status::nonfile);
    EXPECT_EQ(get(4).claimed_by, "NON_FILE");
    const Totals all = totals();
    EXPECT_EQ(all.excluded, 1u);
    EXPECT_EQ(all.nonfile, 1u);
    EXPECT_EQ(all.pending, 2u);
}

TEST_P(CatalogContract, findings_come_back_in_order) {
    ASSERT_OK(catalog_->add_finding(
        medium_, Finding{"boot_sector_corruption", "the first sector", R"({"sector":0})", 0, std::nullopt}, kTime));
    ASSERT_OK(catalog_->add_finding(medium_, Finding{"implausible_date", "2101", "{}", 1, 7}, kTime));
    ASSERT_OK_ASSIGN(const auto findings, catalog_->findings(kHash));
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[0].finding.code, "boot_sector_corruption");
    EXPECT_EQ(findings[0].finding.volume, 0);
    EXPECT_EQ(findings[1].finding.ino, 7);
    EXPECT_EQ(findings[1].at, kTime);
}

// --- transactions ---

TEST_P(CatalogContract, a_transaction_without_commit_leaves_nothing) {
    {
        ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
        add(file_row(1), std::vector<MissingRow>{{0, 512, std::nullopt, Cause::BEYOND_EOF}});
        add(path_row(1, 1, "a"));
    }
    EXPECT_EQ(totals().inodes, 0u);
    EXPECT_EQ(totals().paths, 0u);
    add(file_row(1));
    EXPECT_EQ(totals().inodes, 1u);
}

TEST_P(CatalogContract, another_connection_sees_a_transaction_only_when_it_is_committed) {
    const auto other = another();
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    add(file_row(1));
    ASSERT_OK_ASSIGN(const auto before, other->inode(kHash, 1, 1));
    EXPECT_FALSE(before.has_value());
    ASSERT_OK(transaction->commit());
    ASSERT_OK_ASSIGN(const auto after, other->inode(kHash, 1, 1));
    EXPECT_TRUE(after.has_value());
}

TEST_P(CatalogContract, a_second_writer_waits_and_then_is_told_that_the_catalog_is_busy) {
    const auto other = another(50);
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    ASSERT_OK(catalog_->add_medium(medium_row(kOtherHash)));
    const auto refused = other->add_medium(medium_row(kOtherHash));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::busy);
    transaction.reset();
    EXPECT_TRUE(other->add_medium(medium_row(kOtherHash)).ok());
}

TEST_P(CatalogContract, a_lock_has_one_owner_and_ends_with_it) {
    const auto other = another();
    {
        ASSERT_OK_ASSIGN(const auto held, catalog_->lock("ingest-f95834a4"));
        const auto refused = other->lock("ingest-f95834a4");
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, ErrorCode::busy);
        EXPECT_TRUE(other->lock("ingest-af1349b9").ok());
    }
    EXPECT_TRUE(other->lock("ingest-f95834a4").ok());
    for (const char* name : {"", "a/b", "..", "a b"})
        EXPECT_EQ(catalog_->lock(name).error().code, ErrorCode::invalid_argument) << name;
}

// --- the queue and the outcomes ---

TEST_P(CatalogContract, pending_rows_come_in_disk_order) {
    std::vector<uint64_t> offsets = {4096, 512, 8192, 512};
    for (size_t i = 0; i < offsets.size(); ++i) {
        InodeRow row = file_row(static_cast<int64_t>(i) + 1);
        row.first_offset = offsets[i];
        add(row);
    }
    add(folder_row(9));
    ASSERT_OK_ASSIGN(const auto rows, catalog_->pending_rows(medium_));
    ASSERT_OK_ASSIGN(const auto items, catalog_->work_items(medium_, rows));
    std::vector<int64_t> inos;
    for (const WorkItem& item : items) inos.push_back(item.ino);
    EXPECT_THAT(inos, ElementsAre(2, 4, 1, 3));
    EXPECT_EQ(items[0].extents, file_row(2).extents);
    EXPECT_EQ(items[0].fs_ino, "2");
}

TEST_P(CatalogContract, work_items_carry_the_verdict) {
    InodeRow row = file_row(1, 4096);
    row.cause = Cause::NOT_TRIED;
    row.missing_bytes = 1024;
    add(row, std::vector<MissingRow>{
                 {1024, 512, 1536, Cause::NOT_TRIED}, {512, 512, 1024, Cause::NOT_TRIED}, {0, 0, 0, Cause::NOT_TRIED}});
    ASSERT_OK_ASSIGN(const auto rows, catalog_->pending_rows(medium_));
    ASSERT_OK_ASSIGN(const auto items, catalog_->work_items(medium_, rows));
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].cause, Cause::NOT_TRIED);
    EXPECT_THAT(items[0].missing, ElementsAre(MissingRow{512, 1024, 1024, Cause::NOT_TRIED}));
    EXPECT_EQ(totals().missing_bytes, 1024u);
}

TEST_P(CatalogContract, a_stored_inode_has_its_blob_and_nothing_missing) {
    InodeRow row = file_row(1);
    row.cause = Cause::BAD_SECTOR;
    row.missing_bytes = 512;
    add(row, std::vector<MissingRow>{{0, 512, 0, Cause::BAD_SECTOR}});
    commit({stored(1, "hello")});
    const InodeRow got = get(1);
    EXPECT_EQ(got.counted_as(), Status::stored);
    EXPECT_EQ(got.blobid, blob_named("hello"));
    EXPECT_EQ(got.claimed_by, std::nullopt);
    EXPECT_EQ(got.cause, std::nullopt);
    EXPECT_EQ(got.missing_bytes, 0u);
    EXPECT_EQ(got.processed_at, kTime);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_THAT(ranges, IsEmpty());
    ASSERT_OK_ASSIGN(const auto blob, catalog_->blob(BlobKind::whole, blob_named("hello")));
    ASSERT_TRUE(blob.has_value());
    EXPECT_EQ(blob->size, 5u);
    EXPECT_EQ(blob->first_seen, kTime);
    ASSERT_OK_ASSIGN(const auto partial, catalog_->blob(BlobKind::partial, blob_named("hello")));
    EXPECT_FALSE(partial.has_value());
    ASSERT_OK_ASSIGN(const auto left, catalog_->pending_rows(medium_));
    EXPECT_THAT(left, IsEmpty());
}

TEST_P(CatalogContract, a_damaged_inode_keeps_its_cause_its_ranges_and_the_salvaged_part) {
    add(file_row(1, 656'000));
    commit({damaged(1, Cause::BEYOND_EOF, {{1024, 1024, 431'104, Cause::BEYOND_EOF}, {0, 1024, 430'080, Cause::BEYOND_EOF}})});
    const InodeRow got = get(1);
    EXPECT_EQ(got.counted_as(), Status::damaged);
    EXPECT_EQ(got.claimed_by, "DIAGNOSTIC_SKIP:BEYOND_EOF");
    EXPECT_EQ(got.cause, Cause::BEYOND_EOF);
    EXPECT_EQ(got.blobid, std::nullopt);
    EXPECT_EQ(got.partial_blobid, blob_named("salvaged"));
    EXPECT_EQ(got.missing_bytes, 2048u);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_THAT(ranges, ElementsAre(MissingRow{0, 2048, 430'080, Cause::BEYOND_EOF}));
    EXPECT_EQ(totals().damaged, 1u);
    EXPECT_EQ(totals().missing_bytes, 2048u);
}

TEST_P(CatalogContract, an_outcome_without_ranges_keeps_those_of_the_verdict) {
    InodeRow row = file_row(1, 4096);
    row.cause = Cause::BAD_SECTOR;
    row.missing_bytes = 512;
    row.evidence = R"({"map_line":"0x200 0x200 -"})";
    add(row, std::vector<MissingRow>{{0, 512, 512, Cause::BAD_SECTOR}});
    CopyOutcome outcome = damaged(1, Cause::BAD_SECTOR, {});
    outcome.missing.reset();
    outcome.evidence.reset();
    commit({outcome});
    EXPECT_EQ(get(1).missing_bytes, 512u);
    EXPECT_EQ(get(1).evidence, row.evidence);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_EQ(ranges.size(), 1u);
}

TEST_P(CatalogContract, an_outcome_without_cause_or_blob_is_refused_with_the_whole_group) {
    add(file_row(1));
    add(file_row(2));
    const CopyOutcome good = stored(1);
    CopyOutcome no_blob = stored(2);
    no_blob.blobid.reset();
    EXPECT_FALSE(catalog_->commit_outcomes(medium_, "store-1", std::vector{good, no_blob}, {}, kTime).ok());
    CopyOutcome no_cause = damaged(2, Cause::BAD_SECTOR, {});
    no_cause.cause.reset();
    EXPECT_FALSE(catalog_->commit_outcomes(medium_, "store-1", std::vector{good, no_cause}, {}, kTime).ok());
    EXPECT_EQ(totals().pending, 2u);
    ASSERT_OK_ASSIGN(const auto blob, catalog_->blob(BlobKind::whole, *good.blobid));
    EXPECT_FALSE(blob.has_value());
}

TEST_P(CatalogContract, an_outcome_for_another_inode_than_the_row_is_refused) {
    add(file_row(1));
    CopyOutcome wrong = stored(1);
    wrong.ino = 2;
    const auto refused = catalog_->commit_outcomes(medium_, "store-1", std::vector{wrong}, {}, kTime);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::not_found);
    EXPECT_EQ(totals().pending, 1u);
}

TEST_P(CatalogContract, a_blob_with_two_sizes_is_damage_of_the_catalog) {
    add(file_row(1));
    add(file_row(2));
    commit({stored(1, "same")});
    CopyOutcome shorter = stored(2, "same");
    shorter.blob_size = 3;
    const auto refused = catalog_->commit_outcomes(medium_, "store-1", std::vector{shorter}, {}, kTime);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::catalog_damaged);
    EXPECT_EQ(get(2).counted_as(), Status::pending);
}

TEST_P(CatalogContract, errors_grow_by_one_entry_for_each_outcome) {
    add(file_row(1));
    for (const char* words : {"50 attempts, last: Input/output error at 363520", "second \"quoted\" \xff"}) {
        CopyOutcome outcome = unreadable(1, Cause::IO_ERROR, {{0, 1000, std::nullopt, Cause::IO_ERROR}});
        outcome.error = words;
        outcome.error_type = "io_error";
        commit({outcome});
        ASSERT_OK_ASSIGN(const uint64_t back, catalog_->requeue({kHash, {}, 1, {}, {}}));
        EXPECT_EQ(back, 1u);
    }
    EXPECT_THAT(get(1).errors, ElementsAre("50 attempts, last: Input/output error at 363520", "second \"quoted\" \xEF\xBF\xBD"));
    EXPECT_EQ(get(1).error_type, "io_error");
}

TEST_P(CatalogContract, totals_add_up_over_every_outcome) {
    for (int64_t ino = 1; ino <= 6; ++ino) add(file_row(ino, 1000));
    add(folder_row(10));
    add(path_row(1, 1, "a"));
    PathRow excluded = path_row(2, 2, "b");
    excluded.exclude_reason = "pattern_match";
    add(excluded);
    ASSERT_OK(catalog_->mark_excluded(medium_));
    commit({stored(1), damaged(3, Cause::BAD_SECTOR, {{0, 512, 0, Cause::BAD_SECTOR}}),
            unreadable(4, Cause::BEYOND_EOF, {{0, 1000, 0, Cause::BEYOND_EOF}})});
    const Totals all = totals();
    EXPECT_EQ(all.paths, 2u);
    EXPECT_EQ(all.inodes, 7u);
    EXPECT_EQ(all.stored, 1u);
    EXPECT_EQ(all.excluded, 1u);
    EXPECT_EQ(all.damaged, 1u);
    EXPECT_EQ(all.unreadable, 1u);
    EXPECT_EQ(all.nonfile, 1u);
    EXPECT_EQ(all.pending, 2u);
    EXPECT_EQ(all.content_bytes, 6000u);
    EXPECT_EQ(all.missing_bytes, 1512u);
}

TEST_P(CatalogContract, five_recorded_errors_are_enough_and_what_was_not_read_is_missing) {
    InodeRow row = file_row(1, 1000);
    row.errors = {"1", "2", "3", "4", "5"};
    row.error_type = "io_error";
    add(row);
    InodeRow four = file_row(2);
    four.errors = {"1", "2", "3", "4"};
    add(four);
    ASSERT_OK_ASSIGN(const uint64_t given_up, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(given_up, 1u);
    EXPECT_EQ(get(1).counted_as(), Status::unreadable);
    EXPECT_EQ(get(1).claimed_by, "MAX_RETRIES_EXCEEDED");
    EXPECT_EQ(get(1).missing_bytes, 1000u);
    EXPECT_EQ(get(2).counted_as(), Status::pending);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    uint64_t sum = 0;
    for (const MissingRow& range : ranges) sum += range.length;
    EXPECT_EQ(sum, 1000u);
    ASSERT_OK_ASSIGN(const uint64_t again, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(again, 0u);
}

TEST_P(CatalogContract, five_recorded_errors_do_not_take_what_a_verdict_lets_be_read) {
    InodeRow row = file_row(1, 1000);
    row.errors = {"1", "2", "3", "4", "5"};
    row.cause = Cause::BAD_SECTOR;
    row.missing_bytes = 100;
    add(row, std::vector<MissingRow>{{100, 100, 612, Cause::BAD_SECTOR}});
    ASSERT_OK_ASSIGN(const uint64_t given_up, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(given_up, 0u);
    ASSERT_OK_ASSIGN(const auto items, catalog_->work_items(medium_, std::vector<int64_t>{row_of(1)}));
    EXPECT_EQ(items.at(0).failures, 5);
    RequeueFilter filter;
    filter.medium_hash = kHash;
    ASSERT_OK(catalog_->requeue(filter));
    InodeRow whole_lost = file_row(2, 1000);
    whole_lost.errors = row.errors;
    whole_lost.cause = Cause::BAD_SECTOR;
    whole_lost.missing_bytes = 1000;
    add(whole_lost, std::vector<MissingRow>{{0, 1000, 612, Cause::BAD_SECTOR}});
    ASSERT_OK_ASSIGN(const uint64_t again, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(again, 1u);
    EXPECT_EQ(get(2).cause, Cause::BAD_SECTOR);
}

TEST_P(CatalogContract, a_requeued_inode_is_pending_and_its_older_errors_do_not_count) {
    InodeRow row = file_row(1);
    row.errors = {"1", "2", "3", "4", "5"};
    add(row);
    ASSERT_OK(catalog_->give_up_on_errors(medium_, 5, kTime));
    RequeueFilter filter;
    filter.medium_hash = kHash;
    ASSERT_OK_ASSIGN(const uint64_t back, catalog_->requeue(filter));
    EXPECT_EQ(back, 1u);
    EXPECT_EQ(get(1).counted_as(), Status::pending);
    EXPECT_EQ(get(1).claimed_by, std::nullopt);
    EXPECT_EQ(get(1).errors.size(), 5u);
    EXPECT_EQ(totals().pending, 1u);
    ASSERT_OK_ASSIGN(const uint64_t given_up, catalog_->give_up_on_errors(medium_, 5, kTime));
    EXPECT_EQ(given_up, 0u);
    ASSERT_OK_ASSIGN(const uint64_t again, catalog_->requeue(filter));
    EXPECT_EQ(again, 0u) << "it is in the queue already";
}

TEST_P(CatalogContract, a_requeue_forgets_what_the_host_said_and_keeps_what_the_image_says) {
    add(file_row(1, 2000));
    commit({damaged(1, Cause::IO_ERROR, {{0, 1000, 0, Cause::IO_ERROR}, {1000, 500, 1000, Cause::BAD_SECTOR}})});
    ASSERT_OK(catalog_->requeue({kHash, 1, 1, Status::damaged, Cause::IO_ERROR}));
    EXPECT_EQ(get(1).cause, Cause::BAD_SECTOR);
    EXPECT_EQ(get(1).missing_bytes, 500u);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_THAT(ranges, ElementsAre(MissingRow{1000, 500, 1000, Cause::BAD_SECTOR}));
}

TEST_P(CatalogContract, a_requeue_takes_only_what_all_conditions_select) {
    for (int64_t ino = 1; ino <= 3; ++ino) add(file_row(ino));
    add(file_row(1, 1000, 2));
    add(folder_row(9));
    commit({stored(1), damaged(2, Cause::BAD_SECTOR, {{0, 1, 0, Cause::BAD_SECTOR}}),
            unreadable(3, Cause::BEYOND_EOF, {{0, 1000, 0, Cause::BEYOND_EOF}}), stored(1, "content", 2)});
    const auto requeued = [&](RequeueFilter filter) {
        filter.medium_hash = kHash;
        const auto count = catalog_->requeue(filter);
        EXPECT_TRUE(count.ok()) << why(count);
        return count.ok() ? count.value() : 999;
    };
    EXPECT_EQ(requeued({.status = Status::damaged, .cause = Cause::BEYOND_EOF}), 0u);
    EXPECT_EQ(requeued({.cause = Cause::BEYOND_EOF}), 1u);
    EXPECT_EQ(requeued({.volume = 2, .ino = 1}), 1u);
    EXPECT_EQ(requeued({.status = Status::nonfile}), 0u);
    EXPECT_EQ(requeued({}), 2u);
    EXPECT_EQ(get(9).counted_as(), Status::nonfile);
    RequeueFilter unknown;
    unknown.medium_hash = kOtherHash;
    EXPECT_EQ(catalog_->requeue(unknown).error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, a_verdict_made_anew_replaces_the_old_one) {
    add(file_row(1, 2000));
    commit({damaged(1, Cause::NOT_TRIED, {{0, 1000, 0, Cause::NOT_TRIED}})});
    ASSERT_OK(catalog_->set_verdict(medium_, 1, 1, std::nullopt, 0, std::nullopt, {}, Catalog::Requeue::yes));
    EXPECT_EQ(get(1).counted_as(), Status::pending);
    EXPECT_EQ(get(1).cause, std::nullopt);
    EXPECT_EQ(get(1).missing_bytes, 0u);
    commit({stored(1, "whole")});
    const std::vector<MissingRow> worse = {{0, 10, 0, Cause::BAD_SECTOR}};
    ASSERT_OK(catalog_->set_verdict(medium_, 1, 1, Cause::BAD_SECTOR, 10, "{\"a\":1}", worse, Catalog::Requeue::yes));
    EXPECT_EQ(get(1).cause, Cause::BAD_SECTOR);
    EXPECT_EQ(get(1).missing_bytes, 10u);
    EXPECT_EQ(get(1).evidence, "{\"a\":1}");
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_EQ(ranges, worse);
    EXPECT_EQ(catalog_->set_verdict(medium_, 1, 99, {}, 0, {}, {}, Catalog::Requeue::no).error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, an_inode_that_is_replaced_is_as_if_it_had_just_been_added_but_for_its_errors) {
    add(file_row(1, 2000));
    add(file_row(2, 2000));
    commit({stored(1, "whole"), damaged(2, Cause::NOT_TRIED, {{0, 1000, 0, Cause::NOT_TRIED}})});
    InodeRow other = file_row(1, 3000);
    other.extents = "other";
    other.mtime = 77;
    other.cause = Cause::BAD_SECTOR;
    other.missing_bytes = 10;
    const std::vector<MissingRow> missing = {{0, 10, 0, Cause::BAD_SECTOR}};
    ASSERT_OK(catalog_->replace_inode(medium_, other, missing));
    EXPECT_EQ(get(1).counted_as(), Status::pending);
    EXPECT_EQ(get(1).size, 3000u);
    EXPECT_EQ(get(1).extents, "other");
    EXPECT_EQ(get(1).mtime, 77);
    EXPECT_EQ(get(1).blobid, std::nullopt);
    EXPECT_EQ(get(1).cause, Cause::BAD_SECTOR);
    EXPECT_EQ(get(1).missing_bytes, 10u);
    ASSERT_OK_ASSIGN(const auto ranges, catalog_->missing_ranges(kHash, 1, 1));
    EXPECT_EQ(ranges, missing);

    InodeRow folder = file_row(2, 0);
    folder.fs_type = 'd';
    folder.status = Status::nonfile;
    folder.copied = true;
    folder.claimed_by = "NON_FILE";
    ASSERT_OK(catalog_->replace_inode(medium_, folder, {}));
    EXPECT_EQ(get(2).counted_as(), Status::nonfile);
    EXPECT_EQ(get(2).cause, std::nullopt);
    ASSERT_OK_ASSIGN(const auto none, catalog_->missing_ranges(kHash, 1, 2));
    EXPECT_TRUE(none.empty());
    ASSERT_OK(catalog_->replace_inode(medium_, file_row(2, 5), {}));
    EXPECT_EQ(get(2).counted_as(), Status::pending);
    EXPECT_EQ(catalog_->replace_inode(medium_, file_row(99, 5), {}).error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, for_each_inode_visits_all_regular_files_done_or_not) {
    for (const int64_t ino : {5, 3, 4}) add(file_row(ino));
    add(folder_row(1));
    add(file_row(2, 10, 2));
    commit({stored(3)});
    const auto visited = [&](std::optional<int> volume) {
        std::vector<int64_t> inos;
        const auto result = catalog_->for_each_inode(medium_, volume, [&](const InodeRow& row) -> Result<void> {
            inos.push_back(row.ino);
            return {};
        });
        EXPECT_TRUE(result.ok()) << why(result);
        return inos;
    };
    EXPECT_THAT(visited(std::nullopt), UnorderedElementsAre(5, 3, 4, 2));
    EXPECT_THAT(visited(2), ElementsAre(2));
}

// --- listings ---

TEST_P(CatalogContract, files_are_listed_by_medium_volume_and_entry) {
    ASSERT_OK_ASSIGN(const MediumKey other, catalog_->add_medium(medium_row(kOtherHash)));
    ASSERT_OK(catalog_->add_inode(other, file_row(1), {}));
    ASSERT_OK(catalog_->add_path(other, path_row(1, 1, "other")));
    add(file_row(1, 1, 2));
    add(path_row(1, 1, "volume 2", 2));
    add(file_row(9));
    add(file_row(8));
    add(path_row(2, 9, "b"));
    add(path_row(1, 8, "z"));
    EXPECT_THAT(paths({}), ElementsAre("z", "b", "volume 2", "other"));
    FileFilter one;
    one.medium_hash = kHash;
    one.volume = 2;
    EXPECT_THAT(paths(one), ElementsAre("volume 2"));
    FileFilter unknown;
    unknown.medium_hash = std::string(32, '0');
    EXPECT_EQ(catalog_->files(unknown, [](const FileRow&) -> Result<void> { return {}; }).error().code, ErrorCode::not_found);
}

TEST_P(CatalogContract, files_can_be_chosen_by_status_cause_inode_and_name) {
    for (int64_t ino = 1; ino <= 5; ++ino) add(file_row(ino));
    add(path_row(1, 1, "Docs/AliciaMainList.XLS"));
    add(path_row(2, 2, "Docs/letter.doc"));
    add(path_row(3, 3, "letter.doc"));
    add(path_row(4, 4, "other/[1].txt"));
    add(path_row(5, 5, "n\xC3\x81.txt"));
    add(path_row(6, 1, "again.xls"));
    commit({stored(2), damaged(1, Cause::BEYOND_EOF, {{0, 512, 0, Cause::BEYOND_EOF}}),
            unreadable(3, Cause::BAD_SECTOR, {{0, 1000, 0, Cause::BAD_SECTOR}})});
    InodeRow predicted = file_row(6);
    predicted.cause = Cause::BEYOND_EOF;
    add(predicted);
    add(path_row(7, 6, "predicted"));

    EXPECT_THAT(paths({.status = Status::damaged}), ElementsAre("Docs/AliciaMainList.XLS", "again.xls"));
    EXPECT_THAT(paths({.status = Status::unreadable}), ElementsAre("letter.doc"));
    EXPECT_THAT(paths({.status = Status::stored}), ElementsAre("Docs/letter.doc"));
    EXPECT_THAT(paths({.status = Status::pending}), ElementsAre("other/[1].txt", "n\xC3\x81.txt", "predicted"));
    EXPECT_THAT(paths({.cause = Cause::BEYOND_EOF}), ElementsAre("Docs/AliciaMainList.XLS", "again.xls", "predicted"));
    EXPECT_THAT(paths({.ino = 1}), ElementsAre("Docs/AliciaMainList.XLS", "again.xls"));
    EXPECT_THAT(paths({.path_glob = "Docs/*"}), ElementsAre("Docs/AliciaMainList.XLS", "Docs/letter.doc"));
    EXPECT_THAT(paths({.path_glob = "*.doc"}), ElementsAre("Docs/letter.doc", "letter.doc"));
    EXPECT_THAT(paths({.path_exact = "letter.doc"}), ElementsAre("letter.doc"));
    EXPECT_THAT(paths({.path_exact = "Letter.doc"}), IsEmpty());
    EXPECT_THAT(paths({.basename_glob = "LETTER.doc"}), ElementsAre("Docs/letter.doc", "letter.doc"));
    EXPECT_THAT(paths({.basename_glob = "aliciam*.xls"}), ElementsAre("Docs/AliciaMainList.XLS"));
    EXPECT_THAT(paths({.basename_glob = "\\[1\\].txt"}), ElementsAre("other/[1].txt"));
    EXPECT_THAT(paths({.basename_glob = "n\xC3\x81.TXT"}), ElementsAre("n\xC3\x81.txt"));
    EXPECT_THAT(paths({.status = Status::stored, .basename_glob = "letter.doc"}), ElementsAre("Docs/letter.doc"));
}

TEST_P(CatalogContract, a_listed_file_carries_its_missing_ranges) {
    add(file_row(1));
    add(path_row(1, 1, "a"));
    commit({damaged(1, Cause::BAD_SECTOR, {{512, 100, 512, Cause::BAD_SECTOR}, {0, 512, 0, Cause::BAD_SECTOR}})});
    const auto files = list({});
    ASSERT_EQ(files.size(), 1u);
    EXPECT_THAT(files[0].missing, ElementsAre(MissingRow{0, 612, 0, Cause::BAD_SECTOR}));
    EXPECT_EQ(files[0].medium_hash, kHash);
}

TEST_P(CatalogContract, suspect_files_are_those_with_a_suspect_finding) {
    add(file_row(1));
    add(file_row(2));
    add(path_row(1, 1, "odd"));
    add(path_row(2, 2, "plain"));
    ASSERT_OK(catalog_->add_finding(medium_, Finding{"suspect_fill", "all 0xF6", "{}", 1, 1}, kTime));
    ASSERT_OK(catalog_->add_finding(medium_, Finding{"implausible_date", "2101", "{}", 1, 2}, kTime));
    FileFilter filter;
    filter.suspect = true;
    EXPECT_THAT(paths(filter), ElementsAre("odd"));
}

TEST_P(CatalogContract, a_name_is_found_on_all_media_in_their_order) {
    MediumRow earlier = medium_row(kOtherHash);
    earlier.added_at = "2001-01-01T00:00:00.000000Z";
    ASSERT_OK_ASSIGN(const MediumKey other, catalog_->add_medium(earlier));
    ASSERT_OK(catalog_->add_inode(other, file_row(7), {}));
    ASSERT_OK(catalog_->add_path(other, path_row(1, 7, "there/Same.txt")));
    add(file_row(1));
    add(file_row(2, 10, 2));
    add(path_row(2, 2, "b/SAME.TXT", 2));
    add(path_row(2, 1, "same.txt"));
    add(path_row(1, 1, "another.txt"));
    const auto found = [&](const FileFilter& filter) {
        std::vector<std::string> out;
        const auto listed = catalog_->files(filter, [&](const FileRow& row) -> Result<void> {
            out.push_back(row.medium_hash.substr(0, 4) + " " + row.path.path + " " + std::to_string(row.inode.ino));
            return {};
        });
        EXPECT_TRUE(listed.ok()) << why(listed);
        return out;
    };
    const std::string here = std::string(kHash).substr(0, 4), there = std::string(kOtherHash).substr(0, 4);
    EXPECT_THAT(found({.basename_glob = "same.txt"}), ElementsAre(there + " there/Same.txt 7", here + " same.txt 1", here + " b/SAME.TXT 2"));
    EXPECT_THAT(found({.path_exact = "same.txt"}), ElementsAre(here + " same.txt 1"));
    EXPECT_THAT(found({.volume = 2, .basename_glob = "same.txt"}), ElementsAre(here + " b/SAME.TXT 2"));
    EXPECT_THAT(found({.medium_hash = kOtherHash, .basename_glob = "same.txt"}), ElementsAre(there + " there/Same.txt 7"));
    ASSERT_OK(catalog_->add_finding(other, Finding{"suspect_zeros", "", "{}", 1, 7}, kTime));
    EXPECT_THAT(found({.basename_glob = "same.txt", .suspect = true}), ElementsAre(there + " there/Same.txt 7"));
}

TEST_P(CatalogContract, a_visitor_stops_a_listing_with_limit_and_fails_it_with_any_other_error) {
    add(file_row(1));
    for (int64_t entry = 1; entry <= 3; ++entry) add(path_row(entry, 1, "a"));
    int seen = 0;
    ASSERT_OK(catalog_->files({}, [&](const FileRow&) -> Result<void> {
        return ++seen == 2 ? Result<void>(make_error(ErrorCode::limit, "enough")) : Result<void>();
    }));
    EXPECT_EQ(seen, 2);
    const auto failed =
        catalog_->files({}, [](const FileRow&) -> Result<void> { return make_error(ErrorCode::cancelled, "stop"); });
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::cancelled);
    EXPECT_EQ(totals().paths, 3u);
}

// --- events and problems ---

TEST_P(CatalogContract, events_come_back_and_can_be_chosen) {
    ASSERT_OK(catalog_->add_events(std::vector{event(3455), event(12, "continuing"), event(std::nullopt, "remounted")}));
    const auto chosen = [&](const EventFilter& filter) {
        std::vector<EventRow> out;
        const auto result = catalog_->events(filter, [&](const EventRow& row) -> Result<void> {
            out.push_back(row);
            return {};
        });
        EXPECT_TRUE(result.ok()) << why(result);
        return out;
    };
    ASSERT_EQ(chosen({}).size(), 3u);
    const auto one = chosen({kHash, 1, 3455});
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0].checks, R"(["detected_beyond_eof","mount_check:ok"])");
    EXPECT_EQ(one[0].cause, Cause::BEYOND_EOF);
    EXPECT_EQ(one[0].exception_msg, "attempt to access beyond end of device");
    EXPECT_EQ(one[0].worker_id, "worker-01");
    EXPECT_EQ(chosen({kOtherHash, {}, {}}).size(), 0u);
}

TEST_P(CatalogContract, problems_get_the_newest_1000_events_and_keep_their_other_keys) {
    MediumRow row = medium_row(kHash);
    row.problems = R"({"beyond_eof_detected":true})";
    ASSERT_OK(catalog_->update_medium(row));
    std::vector<EventRow> events;
    for (int i = 1; i <= 1003; ++i) {
        events.push_back(event(i));
        events.back().retry_count = i;
    }
    ASSERT_OK(catalog_->add_events(events));
    ASSERT_OK(catalog_->rebuild_problem_events(kHash));
    ASSERT_OK_ASSIGN(const auto medium, catalog_->medium(kHash));
    const auto problems = nlohmann::json::parse(medium->problems.value());
    EXPECT_EQ(problems["beyond_eof_detected"], true);
    EXPECT_EQ(problems["diagnostic_events_total"], 1003);
    const auto& list = problems["diagnostic_events"];
    ASSERT_EQ(list.size(), 1000u);
    EXPECT_EQ(list.front()["ino"], 4);
    EXPECT_EQ(list.back()["ino"], 1003);
    for (const char* key : {"ino", "volume", "retry_count", "checks", "action", "timestamp", "worker_id", "exception_type",
                            "exception_msg", "cause"})
        EXPECT_TRUE(list.front().contains(key)) << key;
    EXPECT_EQ(list.front()["checks"][0], "detected_beyond_eof");
}

TEST_P(CatalogContract, without_events_problems_stay_as_they_are) {
    ASSERT_OK(catalog_->rebuild_problem_events(kHash));
    ASSERT_OK_ASSIGN(const auto medium, catalog_->medium(kHash));
    EXPECT_EQ(medium->problems, std::nullopt);
}

// --- blobs ---

TEST_P(CatalogContract, blobs_are_visited_by_kind_and_id_and_can_be_marked_verified) {
    for (int64_t ino = 1; ino <= 3; ++ino) add(file_row(ino));
    commit({stored(1, "one"), stored(2, "two"), damaged(3, Cause::BAD_SECTOR, {{0, 1, 0, Cause::BAD_SECTOR}})});
    std::vector<BlobRow> blobs;
    ASSERT_OK(catalog_->for_each_blob([&](const BlobRow& row) -> Result<void> {
        blobs.push_back(row);
        return {};
    }));
    ASSERT_EQ(blobs.size(), 3u);
    EXPECT_EQ(blobs[0].kind, BlobKind::whole);
    EXPECT_LT(blobs[0].blobid, blobs[1].blobid);
    EXPECT_EQ(blobs[2].kind, BlobKind::partial);
    EXPECT_EQ(blobs[2].blobid, blob_named("salvaged"));
    ASSERT_OK(catalog_->mark_verified(std::span(blobs).first(1), "2026-01-01T00:00:00.000000Z"));
    ASSERT_OK_ASSIGN(const auto verified, catalog_->blob(BlobKind::whole, blobs[0].blobid));
    EXPECT_EQ(verified->last_verified, "2026-01-01T00:00:00.000000Z");
    ASSERT_OK_ASSIGN(const auto not_yet, catalog_->blob(BlobKind::whole, blobs[1].blobid));
    EXPECT_EQ(not_yet->last_verified, std::nullopt);
    ASSERT_OK_ASSIGN(const auto problems, catalog_->rows_without_blob(10));
    EXPECT_THAT(problems, IsEmpty());
}

TEST_P(CatalogContract, a_content_of_two_stores_is_one_blob) {
    add(file_row(1));
    add(file_row(2));
    commit({stored(1, "same")});
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(2, "same")}, {}, kTime));
    int blobs = 0;
    ASSERT_OK(catalog_->for_each_blob([&](const BlobRow&) -> Result<void> {
        ++blobs;
        return {};
    }));
    EXPECT_EQ(blobs, 1);
    EXPECT_EQ(totals().stored, 2u);
}

TEST_P(CatalogContract, blobs_can_be_asked_for_by_store) {
    for (int64_t ino = 1; ino <= 3; ++ino) add(file_row(ino));
    commit({stored(1, "both"), stored(2, "one only")});
    ASSERT_OK(catalog_->commit_outcomes(medium_, "store-2", std::vector{stored(3, "both")}, {}, kTime));
    const auto in = [&](const std::optional<std::string>& store) {
        std::vector<uint64_t> sizes;
        const auto listed = catalog_->for_each_blob(
            [&](const BlobRow& blob) -> Result<void> {
                sizes.push_back(blob.size);
                return {};
            },
            store);
        EXPECT_TRUE(listed.ok()) << why(listed);
        return sizes;
    };
    EXPECT_THAT(in("store-1"), ::testing::UnorderedElementsAre(4, 8));
    EXPECT_THAT(in("store-2"), ElementsAre(4));
    EXPECT_THAT(in("a store that nobody knows"), ::testing::UnorderedElementsAre(4, 8));
    EXPECT_THAT(in(std::nullopt), ::testing::UnorderedElementsAre(4, 8));
}

TEST_P(CatalogContract, contents_that_lie_in_a_store_already_are_added_before_their_files) {
    const BlobId both = blake3_of(as_bytes("both")), other = blake3_of(as_bytes("other")), unknown = blake3_of(as_bytes("unknown"));
    const std::string earlier = "2020-01-01T00:00:00.000000Z";
    add(file_row(1));
    commit({stored(1, "both")});
    ASSERT_OK(catalog_->add_blobs("elsewhere", std::vector<BlobRow>{{both, BlobKind::whole, 4, earlier, {}}, {other, BlobKind::whole, 5, kTime, {}}, {other, BlobKind::whole, 5, earlier, {}}}));
    InodeRow row = file_row(2, 5);
    row.status = Status::stored;
    row.copied = true;
    row.blobid = other;
    row.processed_at = earlier;
    add(row);
    EXPECT_EQ(get(2).counted_as(), Status::stored);
    EXPECT_EQ(get(2).blobid, other);
    ASSERT_OK_ASSIGN(const auto problems, catalog_->rows_without_blob(10));
    EXPECT_THAT(problems, IsEmpty());
    ASSERT_OK_ASSIGN(const auto known, catalog_->known_blobs(BlobKind::whole, std::vector{other, unknown, both, other}));
    std::map<BlobId, std::string> first_seen;
    for (const BlobRow& blob : known) first_seen[blob.blobid] = blob.first_seen;
    EXPECT_EQ(known.size(), 2u);
    EXPECT_EQ(first_seen[both], kTime) << "known before";
    ASSERT_OK_ASSIGN(const auto partial, catalog_->known_blobs(BlobKind::partial, std::vector{other}));
    EXPECT_THAT(partial, IsEmpty());
    int elsewhere = 0;
    ASSERT_OK(catalog_->for_each_blob(
        [&](const BlobRow&) -> Result<void> {
            ++elsewhere;
            return {};
        },
        "elsewhere"));
    EXPECT_EQ(elsewhere, 2);
    const auto wrong = catalog_->add_blobs("elsewhere", std::vector<BlobRow>{{both, BlobKind::whole, 6, kTime, {}}});
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().code, ErrorCode::catalog_damaged);
    ASSERT_OK(catalog_->add_blobs("elsewhere", {}));
}

TEST_P(CatalogContract, statistics_can_be_made_inside_and_outside_a_transaction) {
    add(file_row(1));
    ASSERT_OK(catalog_->analyze());
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    ASSERT_OK(catalog_->analyze());
    ASSERT_OK(transaction->commit());
}

}  // namespace ntt::test
