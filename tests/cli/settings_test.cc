// Command line over environment over configuration file over defaults.
#include "settings.h"

#include <gmock/gmock.h>

#include <map>

#include "support/support.h"

namespace ntt::test {
namespace {

using cli::CommonOptions;
using cli::Settings;
using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
protected:
    Result<Settings> load() {
        return cli::load_settings(Env::host(), options, [this](const std::string& name) {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
        });
    }
    void config(const std::string& text) {
        write_file(dir / "ntt.toml", text);
        options.config = dir / "ntt.toml";
    }
    // The message for a configuration that must be refused.
    std::string refusal(const std::string& text) {
        config(text);
        const auto settings = load();
        return settings.ok() ? "accepted" : settings.error().message;
    }

    TempDir dir;
    CommonOptions options;
    std::map<std::string, std::string> variables;
};

TEST_F(SettingsTest, the_default_home_follows_xdg_and_then_home) {
    variables["HOME"] = "/home/alicia";
    ASSERT_OK_ASSIGN(const Settings by_home, load());
    EXPECT_EQ(by_home.home, "/home/alicia/.local/share/ntt");
    EXPECT_EQ(by_home.catalog_url, "sqlite:/home/alicia/.local/share/ntt/catalog.db");
    EXPECT_EQ(by_home.store_dir, "/home/alicia/.local/share/ntt");
    variables["XDG_DATA_HOME"] = "/data";
    ASSERT_OK_ASSIGN(const Settings by_xdg, load());
    EXPECT_EQ(by_xdg.home, "/data/ntt");
    variables["XDG_DATA_HOME"] = "relative";
    ASSERT_OK_ASSIGN(const Settings ignored, load());
    EXPECT_EQ(ignored.home, "/home/alicia/.local/share/ntt");
}

TEST_F(SettingsTest, each_source_gives_way_to_the_one_above_it) {
    config("[paths]\nhome = '/file'\ncatalog = 'sqlite:/file/c'\nstore = '/file/s'\n");
    ASSERT_OK_ASSIGN(const Settings from_file, load());
    EXPECT_EQ(from_file.home, "/file");
    EXPECT_EQ(from_file.catalog_url, "sqlite:/file/c");
    EXPECT_EQ(from_file.store_dir, "/file/s");
    variables = {{"NTT_HOME", "/env"}, {"NTT_DB_URL", "sqlite:/env/c"}, {"NTT_STORE", "/env/s"}, {"NTT_LOG_LEVEL", "debug"}};
    ASSERT_OK_ASSIGN(const Settings from_environment, load());
    EXPECT_EQ(from_environment.home, "/env");
    EXPECT_EQ(from_environment.catalog_url, "sqlite:/env/c");
    EXPECT_EQ(from_environment.store_dir, "/env/s");
    EXPECT_EQ(from_environment.log_level, "debug");
    options.home = "/line";
    options.catalog = "sqlite:/line/c";
    options.store = "/line/s";
    options.log_level = "error";
    ASSERT_OK_ASSIGN(const Settings from_line, load());
    EXPECT_EQ(from_line.home, "/line");
    EXPECT_EQ(from_line.catalog_url, "sqlite:/line/c");
    EXPECT_EQ(from_line.store_dir, "/line/s");
    EXPECT_EQ(from_line.log_level, "error");
}

TEST_F(SettingsTest, every_key_of_the_file_arrives) {
    config(
        "fat_codepage = 'cp437'\nfat_timezone = 'Europe/Madrid'\ncheckpoint_retry = 3\nmax_retries = 7\nstartup_error_limit = "
        "2\njobs = 4\n"
        "[store]\nfanout_levels = 2\n");
    ASSERT_OK_ASSIGN(const Settings settings, load());
    EXPECT_EQ(settings.fat_codepage, "cp437");
    EXPECT_EQ(settings.fat_timezone, "Europe/Madrid");
    EXPECT_EQ(settings.checkpoint_retry, 3);
    EXPECT_EQ(settings.max_retries, 7);
    EXPECT_EQ(settings.startup_error_limit, 2);
    EXPECT_EQ(settings.store_fanout_levels, 2);
    EXPECT_EQ(settings.jobs, 4);
}

TEST_F(SettingsTest, what_differs_from_host_to_host_arrives) {
    config("engine = 'mount'\nlease_seconds = 7\nheartbeat_seconds = 2\nstall_seconds = 9\nlease_files = 5\ncatalog_wait_seconds = 0\n"
           "[image_paths]\n'/data/img' = '/mnt/nas'\n'/b c' = '/d'\n");
    ASSERT_OK_ASSIGN(const Settings settings, load());
    EXPECT_EQ(settings.engine, "mount");
    EXPECT_EQ(settings.lease_seconds, 7);
    EXPECT_EQ(settings.heartbeat_seconds, 2);
    EXPECT_EQ(settings.stall_seconds, 9);
    EXPECT_EQ(settings.lease_files, 5);
    EXPECT_EQ(settings.catalog_wait_seconds, 0);
    EXPECT_THAT(settings.image_paths, ::testing::UnorderedElementsAre(std::pair("/data/img", "/mnt/nas"), std::pair("/b c", "/d")));
    EXPECT_THAT(refusal("engine = 'steam'\n"), HasSubstr("steam"));
    EXPECT_THAT(refusal("lease_seconds = 5\nheartbeat_seconds = 5\n"), HasSubstr("heartbeat_seconds"));
    EXPECT_THAT(refusal("image_paths = 'x'\n"), HasSubstr("image_paths must be a table"));
    EXPECT_THAT(refusal("[image_paths]\n'/a' = 1\n"), HasSubstr("ntt.toml:2: image_paths./a must be a text"));
}

TEST_F(SettingsTest, what_the_file_must_not_have_is_refused_with_its_line) {
    EXPECT_THAT(refusal("jobs = 2\nfat_codepag = 'cp850'\n"), HasSubstr("ntt.toml:2: unknown key fat_codepag"));
    EXPECT_THAT(refusal("[store]\nfanout = 1\n"), HasSubstr("ntt.toml:2: unknown key store.fanout"));
    EXPECT_THAT(refusal("[nonsense]\nx = 1\n"), HasSubstr("unknown key nonsense"));
    EXPECT_THAT(refusal("\n\nmax_retries = 0\n"), HasSubstr("ntt.toml:3: max_retries must be a number from 1"));
    EXPECT_THAT(refusal("max_retries = 'many'\n"), HasSubstr("ntt.toml:1: max_retries must be a number"));
    EXPECT_THAT(refusal("fat_codepage = 850\n"), HasSubstr("ntt.toml:1: fat_codepage must be a text"));
    EXPECT_THAT(refusal("jobs = 1\njobs ="), HasSubstr("ntt.toml:2: "));
    EXPECT_THAT(refusal("store = '/s'\n"), HasSubstr("unknown key store"));
}

TEST_F(SettingsTest, the_default_file_may_be_absent_a_named_one_may_not) {
    variables["HOME"] = dir.path().string();
    EXPECT_TRUE(load().ok());
    std::filesystem::create_directories(dir / ".config/ntt");
    write_file(dir / ".config/ntt/ntt.toml", "max_retries = 9\n");
    ASSERT_OK_ASSIGN(const Settings settings, load());
    EXPECT_EQ(settings.max_retries, 9);
    options.config = dir / "absent.toml";
    ASSERT_FALSE(load().ok());
    EXPECT_EQ(load().error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ntt::test
