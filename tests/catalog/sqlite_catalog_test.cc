// The SQLite catalog: the contract suite, and what only a file can show (damage, crashes, addresses).
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "catalog/catalog_contract.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;

const CatalogKind kSqlite{"sqlite", [](const TempDir& dir) { return "sqlite:" + dir / "home/catalog.db"; }};

INSTANTIATE_TEST_SUITE_P(Sqlite, CatalogContract, ::testing::Values(kSqlite), [](const auto& kind) { return kind.param.name; });

class SqliteCatalog : public CatalogTest {
protected:
    void SetUp() override { open(kSqlite); }
    std::string file() const { return dir_ / "home/catalog.db"; }
};

Result<std::unique_ptr<Catalog>> open_url(const std::string& url) { return open_catalog(Env::host(), Clock::system(), url); }

TEST(CatalogUrl, only_sqlite_files_and_postgresql_servers_are_opened) {
    for (const char* url : {"", "catalog.db", "mysql://x", "sqlite:", "sqlite://host/x.db", "sqlite::memory:", "sqlite:/tmp/"})
        EXPECT_EQ(open_url(url).error().code, ErrorCode::invalid_argument) << url;
    EXPECT_EQ(open_url("postgresql://nobody@/copyjob?host=/nowhere").error().code, ErrorCode::unavailable);
}

TEST(CatalogUrl, three_slashes_name_an_absolute_path_and_missing_folders_are_made) {
    const TempDir dir;
    ASSERT_OK(open_url("sqlite://" + dir / "a/b/catalog.db"));
    EXPECT_TRUE(std::filesystem::exists(dir / "a/b/catalog.db"));
    EXPECT_EQ(must("stat -c %a a/b", dir.path().string()), "755\n");
}

TEST(CatalogUrl, a_file_name_that_looks_like_a_uri_is_a_file_name) {
    const TempDir dir;
    const std::string name = "file:x?mode=memory";
    std::filesystem::current_path(dir.path());
    ASSERT_OK(open_url("sqlite:" + name));
    EXPECT_TRUE(std::filesystem::exists(dir / name));
    std::filesystem::current_path("/");
}

TEST(CatalogFile, what_is_not_a_database_is_called_so_and_left_alone) {
    const TempDir dir;
    const std::string words(5000, 'x');
    write_file(dir / "c.db", words);
    const auto opened = open_url("sqlite:" + dir / "c.db");
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::catalog_damaged);
    EXPECT_THAT(opened.error().message, HasSubstr("not an SQLite database"));
    EXPECT_EQ(read_file(dir / "c.db"), words);
}

TEST(CatalogFile, a_missing_permission_or_a_folder_in_its_place_is_an_error_with_words) {
    const TempDir dir;
    std::filesystem::create_directory(dir / "c.db");
    const auto opened = open_url("sqlite:" + dir / "c.db");
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().text(), HasSubstr("c.db"));
}

TEST(CatalogFile, an_empty_file_becomes_a_catalog) {
    const TempDir dir;
    write_file(dir / "c.db", "");
    ASSERT_OK(open_url("sqlite:" + dir / "c.db"));
}

TEST(CatalogFile, an_unknown_vfs_is_an_error) {
    const TempDir dir;
    CatalogOptions options;
    options.vfs = "no-such-vfs";
    EXPECT_FALSE(open_catalog(Env::host(), Clock::system(), "sqlite:" + dir / "c.db", options).ok());
}

TEST_F(SqliteCatalog, damaged_pages_are_damage_of_the_catalog_not_a_crash) {
    {
        ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
        for (int64_t ino = 1; ino <= 2000; ++ino) add(file_row(ino));
        ASSERT_OK(transaction->commit());
    }
    catalog_.reset();
    const auto size = std::filesystem::file_size(file());
    // Everything after the schema's pages.
    patch_file(file(), 80 * 1024, std::string(size - 80 * 1024, '\xA5'));
    auto reopened = open_url(url_);
    if (!reopened.ok()) {
        EXPECT_EQ(reopened.error().code, ErrorCode::catalog_damaged) << why(reopened);
        return;
    }
    bool damage_seen = false;
    for (int64_t ino = 1; ino <= 2000 && !damage_seen; ++ino) {
        const auto row = (*reopened)->inode(kHash, 1, ino);
        damage_seen = !row.ok() && row.error().code == ErrorCode::catalog_damaged;
    }
    EXPECT_TRUE(damage_seen);
}

TEST_F(SqliteCatalog, a_full_disk_is_no_space_and_the_catalog_stays_as_it_was) {
    if (::geteuid() != 0 || !have_tool("mount")) GTEST_SKIP() << "needs root to mount a small filesystem";
    const TempDir small;
    if (sh("mount -t tmpfs -o size=2m tmpfs " + shell_quoted(small.path().string())).exit != 0)
        GTEST_SKIP() << "cannot mount a tmpfs";
    {
        auto opened = open_url("sqlite:" + small / "c.db");
        ASSERT_OK(opened);
        auto& catalog = *opened.value();
        const auto medium = catalog.add_medium(medium_row(kHash));
        EXPECT_TRUE(medium.ok()) << why(medium);
        Result<void> result;
        {
            auto transaction = catalog.begin();
            EXPECT_TRUE(transaction.ok());
            for (int64_t ino = 1; ino <= 2'000'000 && result.ok(); ++ino) {
                InodeRow row = file_row(ino);
                row.evidence = "{\"words\":\"" + std::string(8000, 'x') + "\"}";
                result = catalog.add_inode(medium.value(), row, {});
            }
        }
        EXPECT_TRUE(!result.ok() && result.error().code == ErrorCode::no_space) << why(result);
        const auto totals = catalog.totals(medium.value());
        EXPECT_TRUE(totals.ok() && totals.value().inodes == 0u) << why(totals);
    }
    must("umount " + shell_quoted(small.path().string()));
}

// Runs `work` in a child that is killed when it calls `ready`, with all that it holds then, and waits for its end.
void run_and_kill(const std::function<void(const std::function<void()>& ready)>& work) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::close(pipe_ends[0]);
        work([&] {
            const char done = 'x';
            if (::write(pipe_ends[1], &done, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        });
        ::_exit(1);
    }
    ::close(pipe_ends[1]);
    char done = 0;
    EXPECT_EQ(::read(pipe_ends[0], &done, 1), 1) << "the child ended before it was killed";
    ::kill(child, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    ::close(pipe_ends[0]);
}

TEST_F(SqliteCatalog, a_kill_inside_a_transaction_leaves_the_state_before_it) {
    add(file_row(1));
    add(path_row(1, 1, "before"));
    catalog_.reset();
    run_and_kill([&](const auto& ready) {
        const auto catalog = open_url(url_);
        if (!catalog.ok()) ::_exit(1);
        const auto medium = (*catalog)->medium_key(kHash);
        const auto transaction = (*catalog)->begin();
        // More than the page cache takes, so that uncommitted pages stand in the log when the kill comes.
        InodeRow row = file_row(0);
        row.evidence = "{\"words\":\"" + std::string(30'000, 'x') + "\"}";
        for (row.ino = 2; row.ino < 3000; ++row.ino)
            if (!(*catalog)->add_inode(medium.value(), row, {}).ok()) ::_exit(1);
        if (!(*catalog)->commit_outcomes(medium.value(), "store-1", {}, std::vector{event(1)}, kTime).ok()) ::_exit(1);
        ready();
    });
    EXPECT_GT(std::filesystem::file_size(file() + "-wal"), 1'000'000u) << "the test must kill while the log holds pages";
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    EXPECT_EQ(totals().inodes, 1u);
    EXPECT_EQ(paths({}), std::vector<std::string>{"before"});
    EXPECT_EQ(must("sqlite3 " + shell_quoted(file()) + " 'PRAGMA integrity_check; PRAGMA foreign_key_check;'"), "ok\n");
}

TEST_F(SqliteCatalog, a_kill_after_commit_loses_nothing) {
    catalog_.reset();
    run_and_kill([&](const auto& ready) {
        const auto catalog = open_url(url_);
        if (!catalog.ok()) ::_exit(1);
        const auto medium = (*catalog)->medium_key(kHash);
        auto transaction = (*catalog)->begin();
        for (int64_t ino = 1; ino <= 1000; ++ino)
            if (!(*catalog)->add_inode(medium.value(), file_row(ino), {}).ok()) ::_exit(1);
        if (!transaction.value()->commit().ok()) ::_exit(1);
        ready();
    });
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    EXPECT_EQ(totals().pending, 1000u);
}

TEST_F(SqliteCatalog, a_lock_dies_with_its_process) {
    catalog_.reset();
    run_and_kill([&](const auto& ready) {
        auto catalog = open_url(url_);
        if (!catalog.ok()) ::_exit(1);
        const auto held = (*catalog)->lock("ingest");
        if (!held.ok()) ::_exit(1);
        ready();
    });
    catalog_ = another();
    EXPECT_TRUE(catalog_->lock("ingest").ok());
    EXPECT_TRUE(std::filesystem::exists(file() + ".locks/ingest"));
}

}  // namespace
}  // namespace ntt::test
