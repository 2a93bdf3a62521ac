// The PostgreSQL catalog: the contract suite, and what only a server can show (connections, rights, schemas of others, its
// disk, its text).
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include <nlohmann/json.hpp>

#include "catalog/catalog_contract.h"
#include "support/postgres.h"

namespace ntt::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const CatalogKind kPostgres{"postgres", [](const TempDir& dir) { return postgres_url(dir); },
                            [] { return postgres_server().has_value(); }};

INSTANTIATE_TEST_SUITE_P(Postgres, CatalogContract, ::testing::Values(kPostgres),
                         [](const auto& kind) { return kind.param.name; });

Result<std::unique_ptr<Catalog>> open_url(const std::string& url) { return open_catalog(Env::host(), Clock::system(), url); }

// `from` with the one `what` in it replaced.
std::string replaced(std::string from, const std::string& what, const std::string& by) {
    const size_t at = from.find(what);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? from : from.replace(at, what.size(), by);
}

// --- opening ---

class PostgresOpening : public ::testing::Test {
protected:
    void SetUp() override {
        NTT_NEED_POSTGRES();
        url_ = postgres_url(dir_);
        schema_ = url_.substr(url_.find("search_path%3D") + 14);
    }
    std::string ask(const std::string& sql) {
        const CommandResult result = psql(url_, sql);
        EXPECT_EQ(result.exit, 0) << sql << "\n" << result.err;
        return result.out;
    }
    // What the schema holds.
    std::string relations() {
        return ask("SELECT relname, relkind FROM pg_class WHERE relnamespace = '" + schema_ + "'::regnamespace ORDER BY 1");
    }
    Error refused(const std::string& url) {
        const auto opened = open_url(url);
        EXPECT_FALSE(opened.ok()) << url;
        return opened.ok() ? Error{} : opened.error();
    }
    TempDir dir_;
    std::string url_, schema_;
};

TEST_F(PostgresOpening, a_server_that_is_not_there_is_unavailable_and_no_password_is_shown) {
    for (const std::string& url :
         {std::string("postgresql://ntt:hush@127.0.0.1:1/ntt"), "postgresql://ntt:hush@/ntt?host=" + dir_.path().string()}) {
        const Error error = refused(url);
        EXPECT_EQ(error.code, ErrorCode::unavailable) << error.text();
        EXPECT_THAT(error.text(), HasSubstr("/ntt"));
        EXPECT_THAT(error.text() + error.hint, Not(HasSubstr("hush")));
    }
}

TEST_F(PostgresOpening, an_address_that_is_none_is_said_to_be_so_without_its_password) {
    for (const char* url : {"postgresql://ntt:100%hush@localhost/ntt", "postgresql://ntt:hush@[::1/ntt",
                            "postgresql://ntt:hush@localhost/ntt?no_such_option=1"}) {
        const Error error = refused(url);
        EXPECT_EQ(error.code, ErrorCode::invalid_argument) << error.text();
        EXPECT_THAT(error.text() + error.hint, Not(HasSubstr("hush")));
    }
}

TEST_F(PostgresOpening, a_database_that_is_not_there_is_not_found_and_not_made) {
    const Error error = refused(replaced(url_, "/ntt?", "/no_such_database?"));
    EXPECT_EQ(error.code, ErrorCode::not_found) << error.text();
    EXPECT_THAT(error.hint, HasSubstr("createdb"));
    EXPECT_EQ(ask("SELECT count(*) FROM pg_database WHERE datname = 'no_such_database'"), "0\n");
}

TEST_F(PostgresOpening, an_unknown_user_has_no_permission) {
    const Error error = refused(replaced(url_, "//ntt@", "//no_such_user@"));
    EXPECT_EQ(error.code, ErrorCode::permission) << error.text();
}

TEST_F(PostgresOpening, a_schema_made_by_a_newer_program_is_refused) {
    ASSERT_OK(open_url(url_));
    ask("INSERT INTO schema_migration VALUES (999, 'future', 'x', now())");
    const Error error = refused(url_);
    EXPECT_EQ(error.code, ErrorCode::schema) << error.text();
    EXPECT_THAT(error.hint, HasSubstr("newer"));
    EXPECT_THAT(error.text(), HasSubstr("999"));
    EXPECT_EQ(ask("SELECT count(*) FROM schema_migration WHERE version = 999"), "1\n");
}

TEST_F(PostgresOpening, a_schema_that_was_altered_is_refused) {
    ASSERT_OK(open_url(url_));
    ask("UPDATE schema_migration SET digest = 'x' WHERE version = 1");
    EXPECT_EQ(refused(url_).code, ErrorCode::schema);
}

TEST_F(PostgresOpening, tables_of_another_program_are_left_alone) {
    for (const char* table :
         {"inode (medium_hash text, ino bigint, copied boolean)", "medium (name text)", "schema_migration (filename text)"}) {
        ask(std::string("CREATE TABLE ") + table);
        const std::string before = relations();
        const Error error = refused(url_);
        EXPECT_EQ(error.code, ErrorCode::schema) << table << ": " << error.text();
        EXPECT_EQ(relations(), before) << table;
        ask("DROP TABLE " + std::string(table).substr(0, std::string(table).find(' ')));
    }
}

TEST_F(PostgresOpening, many_that_open_an_empty_schema_at_once_make_it_once) {
    constexpr size_t kThreads = 8;
    std::vector<std::string> failures(kThreads);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kThreads; ++i)
        threads.emplace_back([&, i] {
            const auto opened = open_url(url_);
            const auto media = opened.ok() ? opened.value()->media() : opened.error();
            if (!media.ok()) failures[i] = media.error().text();
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, std::vector<std::string>(kThreads));
    EXPECT_EQ(ask("SELECT count(*) >= 1, count(*) = max(version), min(version), count(DISTINCT version) = count(*) FROM "
                  "schema_migration"),
              "t|t|1|t\n");
}

// --- rights ---

class PostgresRights : public PostgresOpening {
protected:
    void SetUp() override {
        PostgresOpening::SetUp();
        if (IsSkipped()) return;
        role_ = "r" + schema_;
        ask("CREATE ROLE " + role_ + " LOGIN");
        url_of_role_ = replaced(url_, "//ntt@", "//" + role_ + "@");
    }
    void TearDown() override {
        if (!role_.empty()) ask("DROP OWNED BY " + role_ + "; DROP ROLE " + role_);
    }
    std::string role_, url_of_role_;
};

TEST_F(PostgresRights, who_may_not_create_tables_is_told_so) {
    ask("GRANT USAGE ON SCHEMA " + schema_ + " TO " + role_);
    const Error error = refused(url_of_role_);
    EXPECT_EQ(error.code, ErrorCode::permission) << error.text();
    EXPECT_EQ(relations(), "");
}

TEST_F(PostgresRights, who_may_not_look_into_the_schema_is_told_so) {
    ASSERT_OK(open_url(url_));
    const Error error = refused(url_of_role_);
    EXPECT_EQ(error.code, ErrorCode::permission) << error.text();
    EXPECT_THAT(error.message, HasSubstr("no schema"));
}

TEST_F(PostgresRights, who_may_only_read_can_open_and_read) {
    {
        ASSERT_OK_ASSIGN(const auto catalog, open_url(url_));
        ASSERT_OK(catalog->add_medium(medium_row(kHash)));
    }
    ask("GRANT USAGE ON SCHEMA " + schema_ + " TO " + role_ + "; GRANT SELECT ON ALL TABLES IN SCHEMA " + schema_ + " TO " +
        role_);
    ASSERT_OK_ASSIGN(const auto catalog, open_url(url_of_role_));
    ASSERT_OK_ASSIGN(const auto media, catalog->media());
    EXPECT_EQ(media.size(), 1u);
    const auto added = catalog->add_medium(medium_row(kOtherHash));
    ASSERT_FALSE(added.ok());
    EXPECT_EQ(added.error().code, ErrorCode::permission) << why(added);
}

// --- a connection that is lost ---

class PostgresConnection : public CatalogTest {
protected:
    void SetUp() override {
        NTT_NEED_POSTGRES();
        name_ = dir_.path().filename().string();
        open({"postgres", [this](const TempDir& dir) { return postgres_url(dir) + "&application_name=" + name_; }});
        add(file_row(1));
        add(path_row(1, 1, "before"));
    }
    // Ends every connection of this test's catalogs, and waits for their end.
    void cut() {
        const CommandResult result =
            psql(postgres_url(dir_),
                 "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = '" + name_ + "'");
        EXPECT_THAT(result.out, HasSubstr("t\n")) << result.err;
        EXPECT_THAT(result.out, Not(HasSubstr("f\n")));
    }
    template <typename T>
    static void expect_unavailable(const Result<T>& result) {
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code, ErrorCode::unavailable) << why(result);
    }
    std::string name_;
};

TEST_F(PostgresConnection, lost_inside_a_transaction_leaves_nothing_of_it) {
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    for (int64_t ino = 2; ino <= 1000; ++ino) add(file_row(ino));
    EXPECT_EQ(totals().inodes, 1000u) << "they are with the server";
    cut();
    expect_unavailable(catalog_->totals(medium_));
    expect_unavailable(transaction->commit());
    transaction.reset();
    expect_unavailable(catalog_->media());
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    EXPECT_EQ(totals().inodes, 1u);
    EXPECT_EQ(paths({}), std::vector<std::string>{"before"});
    commit({stored(1)});
    EXPECT_EQ(totals().stored, 1u);
}

TEST_F(PostgresConnection, lost_before_the_rows_are_sent_is_said_at_the_commit) {
    ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
    for (int64_t ino = 2; ino <= 1000; ++ino) add(file_row(ino));
    cut();
    expect_unavailable(transaction->commit());
    transaction.reset();
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    EXPECT_EQ(totals().inodes, 1u);
}

TEST_F(PostgresConnection, lost_between_two_groups_of_outcomes_keeps_the_first) {
    add(file_row(2));
    const CopyOutcome second = stored(2);
    commit({stored(1)});
    cut();
    expect_unavailable(catalog_->commit_outcomes(medium_, "store-1", std::vector{second}, {}, kTime));
    catalog_ = another();
    ASSERT_NE(catalog_, nullptr);
    EXPECT_EQ(totals().stored, 1u);
    EXPECT_EQ(totals().pending, 1u);
    commit({stored(2)});
}

TEST_F(PostgresConnection, lost_while_a_listing_runs_ends_it_with_an_error) {
    {
        ASSERT_OK_ASSIGN(auto transaction, catalog_->begin());
        for (int64_t ino = 2; ino <= 3000; ++ino) {
            add(file_row(ino));
            add(path_row(ino, ino, std::to_string(ino)));
        }
        ASSERT_OK(transaction->commit());
    }
    size_t seen = 0;
    expect_unavailable(catalog_->files({}, [&](const FileRow&) -> Result<void> {
        if (seen++ == 0) cut();
        return {};
    }));
    EXPECT_LT(seen, 3000u);
}

TEST_F(PostgresConnection, lost_loses_its_locks) {
    ASSERT_OK_ASSIGN(auto held, catalog_->lock("ingest"));
    cut();
    expect_unavailable(catalog_->lock("other"));
    const auto next = another();
    ASSERT_NE(next, nullptr);
    EXPECT_TRUE(next->lock("ingest").ok());
}

// --- a server of the test's own ---

class OwnServer {
public:
    OwnServer() {
        const CommandResult started = sh(script() + " start " + shell_quoted(file_) + " " + std::to_string(getpid()));
        EXPECT_EQ(started.exit, 0) << started.err;
        folder_ = started.out.substr(0, started.out.find('\n'));
    }
    ~OwnServer() { sh(script() + " stop " + shell_quoted(file_)); }
    OwnServer(const OwnServer&) = delete;
    OwnServer& operator=(const OwnServer&) = delete;
    const std::string& folder() const { return folder_; }
    std::string url(const std::string& user = "ntt") const { return "postgresql://" + user + "@/ntt?host=" + folder_; }

private:
    static std::string script() { return shell_quoted((source_dir() / "tests/support/postgres_server.sh").string()); }
    TempDir dir_;
    std::string file_ = dir_ / "server", folder_;
};

TEST(PostgresPassword, a_wrong_or_missing_one_is_a_lack_of_permission) {
    NTT_NEED_POSTGRES();
    unsetenv("PGPASSWORD");
    const OwnServer server;
    ASSERT_EQ(psql(server.url(), "CREATE ROLE keeper LOGIN PASSWORD 'right'; CREATE SCHEMA AUTHORIZATION keeper").exit, 0);
    const std::string rules = server.folder() + "/data/pg_hba.conf";
    write_file(rules, "local all keeper scram-sha-256\n" + read_file(rules));
    ASSERT_EQ(psql(server.url(), "SELECT pg_reload_conf()").exit, 0);
    // The server reads its rules when it gets to it.
    int tries = 0;
    while (sh("psql -wqX -d " + shell_quoted(server.url("keeper")) + " -c 'SELECT 1'").exit == 0) ASSERT_LT(++tries, 500);

    for (const char* user : {"keeper:wrong", "keeper"}) {
        const auto opened = open_url(server.url(user));
        ASSERT_FALSE(opened.ok()) << user;
        EXPECT_EQ(opened.error().code, ErrorCode::permission) << why(opened);
        EXPECT_THAT(why(opened), HasSubstr("password"));
        EXPECT_THAT(why(opened), Not(HasSubstr("wrong")));
    }
    ASSERT_OK(open_url(server.url("keeper:right")));
}

// A small filesystem, unmounted when this goes.
class SmallDisk {
public:
    explicit SmallDisk(std::string place) : place_(std::move(place)) {
        std::filesystem::create_directory(place_);
        is_mounted_ = ::geteuid() == 0 && sh("mount -t tmpfs -o size=8m tmpfs " + shell_quoted(place_)).exit == 0;
    }
    ~SmallDisk() {
        if (is_mounted_) sh("umount -l " + shell_quoted(place_));
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    bool is_mounted() const { return is_mounted_; }
    void grow() { must("mount -o remount,size=64m " + shell_quoted(place_)); }

private:
    const std::string place_;
    bool is_mounted_ = false;
};

TEST(PostgresSpace, a_full_disk_is_no_space_and_what_was_committed_is_there) {
    NTT_NEED_POSTGRES();
    if (::geteuid() != 0 || !have_tool("mount")) GTEST_SKIP() << "needs root to mount a small filesystem";
    const OwnServer server;
    const std::string place = server.folder() + "/small";
    SmallDisk disk(place);
    if (!disk.is_mounted()) GTEST_SKIP() << "cannot mount a tmpfs";
    must("chown --reference=" + shell_quoted(server.folder() + "/data") + " " + shell_quoted(place) + " && chmod 700 " +
         shell_quoted(place));
    ASSERT_EQ(psql(server.url(), "CREATE TABLESPACE small LOCATION '" + place + "'").exit, 0);
    ASSERT_EQ(psql(server.url(), "CREATE SCHEMA s").exit, 0);
    ASSERT_OK_ASSIGN(const auto catalog, open_url(server.url() + "&options=-csearch_path%3Ds%20-cdefault_tablespace%3Dsmall"));
    ASSERT_OK_ASSIGN(const MediumKey medium, catalog->add_medium(medium_row(kHash)));
    {
        ASSERT_OK_ASSIGN(auto transaction, catalog->begin());
        for (int64_t ino = 1; ino <= 100; ++ino) ASSERT_OK(catalog->add_inode(medium, file_row(ino), {}));
        ASSERT_OK(transaction->commit());
    }
    Result<void> result;
    {
        ASSERT_OK_ASSIGN(auto transaction, catalog->begin());
        for (int64_t ino = 101; ino <= 20'000 && result.ok(); ++ino) {
            InodeRow row = file_row(ino);
            // What cannot be made smaller.
            row.evidence = nlohmann::json{{"words", blob_named(std::to_string(ino)).hex()}}.dump();
            for (int i = 0; i < 40; ++i) row.errors.push_back(blob_named(std::to_string(ino * 100 + i)).hex());
            result = catalog->add_inode(medium, row, {});
        }
        if (result.ok()) result = transaction->commit();
    }
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::no_space) << why(result);
    const auto inodes = [&] {
        const auto totals = catalog->totals(medium);
        EXPECT_TRUE(totals.ok()) << why(totals);
        return totals.ok() ? totals.value().inodes : 0;
    };
    EXPECT_EQ(inodes(), 100u);
    disk.grow();
    ASSERT_OK(catalog->add_inode(medium, file_row(101), {}));
    EXPECT_EQ(inodes(), 101u);
}

// --- text that PostgreSQL cannot hold ---

class PostgresText : public CatalogTest {
protected:
    void SetUp() override {
        NTT_NEED_POSTGRES();
        open(kPostgres);
    }
    // kHostile as it comes back: every NUL, and no other, is a replacement character.
    static void expect_held(const std::optional<std::string>& json, const char* where) {
        ASSERT_TRUE(json.has_value()) << where;
        const auto value = nlohmann::json::parse(*json, nullptr, false);
        ASSERT_TRUE(value.is_object()) << where << ": " << *json;
        EXPECT_EQ(value.value("name", ""), "a\uFFFDb") << where;
        EXPECT_EQ(value.value("path", ""), "C:\\u0000") << where;
    }
    // A name with a NUL, as JSON has it; and a path that only looks like one.
    const std::string kHostile = R"({"name":"a\u0000b","path":"C:\\u0000"})";
    const std::string kBytes = std::string("a\0b\xFF", 4) + "\xC3\xA9";
    const std::string kHeld = "a\uFFFDb\uFFFD\u00E9";
};

TEST_F(PostgresText, a_label_is_shown_as_well_as_it_can_be) {
    MediumRow row = medium_row(kOtherHash, kBytes);
    row.message = kBytes;
    row.problems = kHostile;
    ASSERT_OK(catalog_->add_medium(row));
    ASSERT_OK(catalog_->update_medium(row));
    ASSERT_OK_ASSIGN(const auto found, catalog_->medium(kOtherHash));
    EXPECT_EQ(found->medium_human, kHeld);
    EXPECT_EQ(found->message, kHeld);
    expect_held(found->problems, "problems");
    ASSERT_OK_ASSIGN(const auto by_label, catalog_->resolve_medium(kBytes));
    EXPECT_EQ(by_label.medium_hash, kOtherHash);
    VolumeRow volume;
    volume.medium_hash = kHash;
    volume.volume = 1;
    volume.label = volume.uuid = kBytes;
    volume.detail = kHostile;
    ASSERT_OK(catalog_->put_volume(volume));
    ASSERT_OK_ASSIGN(const auto volumes, catalog_->volumes(kHash));
    ASSERT_EQ(volumes.size(), 1u);
    EXPECT_EQ(volumes[0].label, kHeld);
    EXPECT_EQ(volumes[0].uuid, kHeld);
    expect_held(volumes[0].detail, "detail");
}

TEST_F(PostgresText, a_place_that_would_be_changed_is_refused) {
    for (const std::string& path : {std::string("/images/\xE9t\xE9.img"), std::string("/images/a\0b", 11)}) {
        MediumRow row = medium_row(kOtherHash);
        ImageRow image;
        image.medium_hash = kHash;
        image.format = "raw";
        image.digest = std::string(64, 'a');
        image.added_at = kTime;
        const auto expect_refused = [](const auto& result) {
            ASSERT_FALSE(result.ok());
            EXPECT_EQ(result.error().code, ErrorCode::invalid_argument) << why(result);
            EXPECT_THAT(why(result), HasSubstr("UTF-8"));
        };
        row.image_path = path;
        expect_refused(catalog_->add_medium(row));
        row = medium_row(kOtherHash);
        row.map_path = path;
        expect_refused(catalog_->add_medium(row));
        row.medium_hash = kHash;
        expect_refused(catalog_->update_medium(row));
        image.path = path;
        expect_refused(catalog_->add_image(image));
        expect_refused(catalog_->update_image(image));
    }
    ASSERT_OK_ASSIGN(const auto media, catalog_->media());
    EXPECT_EQ(media.size(), 1u);
}

TEST_F(PostgresText, names_and_targets_keep_every_byte) {
    InodeRow row = file_row(1);
    row.target = kBytes;
    add(row);
    PathRow path = path_row(1, 1, kBytes);
    path.short_name = kBytes;
    add(path);
    EXPECT_EQ(get(1).target, kBytes);
    const auto files = list({});
    ASSERT_EQ(files.size(), 1u);
    EXPECT_EQ(files[0].path.path, kBytes);
    EXPECT_EQ(files[0].path.short_name, kBytes);
    FileFilter exactly;
    exactly.path_exact = kBytes;
    EXPECT_EQ(paths(exactly), std::vector{kBytes});
}

TEST_F(PostgresText, what_enumeration_says_of_an_inode_is_held) {
    InodeRow row = file_row(1);
    row.evidence = kHostile;
    row.errors = {kBytes};
    row.stream = row.fs_ino = kBytes;
    add(row);
    expect_held(get(1).evidence, "added");
    EXPECT_EQ(get(1).errors, std::vector{kHeld});
    EXPECT_EQ(get(1).stream, kHeld);
    EXPECT_EQ(get(1).fs_ino, kHeld);
    ASSERT_OK(catalog_->set_verdict(medium_, 1, 1, Cause::BAD_SECTOR, 0, kHostile, {}, Catalog::Requeue::no));
    expect_held(get(1).evidence, "verdict");
    ASSERT_OK(catalog_->add_finding(medium_, Finding{"odd_name", kBytes, kHostile, 1, 1}, kTime));
    ASSERT_OK_ASSIGN(const auto findings, catalog_->findings(kHash));
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].finding.message, kHeld);
    expect_held(findings[0].finding.evidence, "finding");
}

TEST_F(PostgresText, an_inode_that_is_replaced_is_held) {
    add(file_row(1));
    InodeRow row = file_row(1);
    row.evidence = kHostile;
    row.stream = row.fs_ino = kBytes;
    ASSERT_OK(catalog_->replace_inode(medium_, row, {}));
    expect_held(get(1).evidence, "replaced");
    EXPECT_EQ(get(1).stream, kHeld);
    EXPECT_EQ(get(1).fs_ino, kHeld);
}

TEST_F(PostgresText, the_evidence_of_an_outcome_is_held) {
    add(file_row(1));
    CopyOutcome outcome = unreadable(1, Cause::BAD_SECTOR, {{0, 1000, 0, Cause::BAD_SECTOR}});
    outcome.evidence = kHostile;
    outcome.error = kBytes;
    commit({outcome});
    expect_held(get(1).evidence, "outcome");
    EXPECT_EQ(get(1).errors, std::vector{kHeld});
}

TEST_F(PostgresText, the_doubt_of_an_outcome_is_held) {
    add(file_row(1));
    CopyOutcome outcome = stored(1);
    outcome.doubt = Finding{"suspect_runs", kBytes, kHostile, 1, 1};
    commit({outcome});
    ASSERT_OK_ASSIGN(const auto findings, catalog_->findings(kHash));
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].finding.message, kHeld);
    expect_held(findings[0].finding.evidence, "doubt");
}

TEST_F(PostgresText, an_event_is_held) {
    EventRow one = event(1);
    one.evidence = kHostile;
    one.checks = R"(["a\u0000b"])";
    one.exception_msg = one.exception_type = one.worker_id = kBytes;
    ASSERT_OK(catalog_->add_events(std::span(&one, 1)));
    std::vector<EventRow> events;
    ASSERT_OK(catalog_->events({}, [&](const EventRow& event) -> Result<void> {
        events.push_back(event);
        return {};
    }));
    ASSERT_EQ(events.size(), 1u);
    expect_held(events[0].evidence, "event");
    EXPECT_EQ(events[0].checks, "[\"a\uFFFDb\"]");
    EXPECT_EQ(events[0].exception_msg, kHeld);
    EXPECT_EQ(events[0].exception_type, kHeld);
    EXPECT_EQ(events[0].worker_id, kHeld);
    ASSERT_OK(catalog_->rebuild_problem_events(kHash));
}

}  // namespace
}  // namespace ntt::test
