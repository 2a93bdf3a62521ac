// doctor: each rule on made-up facts, what the facts are read from, and the command as a whole.
#include "doctor.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "world.h"

namespace ntt::test {
namespace {

using cli::Check;
using cli::CheckState;
using cli::Facts;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr uint64_t kGiB = uint64_t{1} << 30;

// --- rules ---

// A user's machine that has everything.
Facts everything() {
    Facts facts;
    facts.programs.reader = std::string("/usr/libexec/ntt/ntt-reader");
    facts.programs.helper = std::string("/usr/libexec/ntt/ntt-mount-helper");
    facts.programs.helper_guard = GuardedPath{Guard::root_only, "", ""};
    facts.programs.helper_config = GuardedPath{Guard::root_only, "", ""};
    facts.kernel.filesystems = {"xfs", "btrfs", "jfs", "nilfs2", "f2fs", "vfat", "ntfs3", "ext4", "exfat"};
    facts.kernel.seccomp = true;
    facts.kernel.landlock_version = 2;
    for (const cli::FuseDriver& driver : cli::fuse_drivers()) facts.kernel.fuse_programs.emplace(driver.program);
    facts.store.dir = facts.store.folder = "/archive";
    facts.store.id = std::optional<std::string>(std::string(32, 'a'));
    facts.store.room = FilesystemRoom{100 * kGiB, 50 * kGiB, 1000, 500};
    facts.catalog.place = "/archive/catalog.db";
    facts.catalog.opens = true;
    facts.clock.wall_us = int64_t{1'760'000'000} * 1'000'000;
    facts.clock.ahead_of_database_us = 0;
    facts.resources.memory = HostMemory{8 * kGiB, 4 * kGiB};
    facts.resources.reader_memory_bytes = kGiB;
    facts.resources.open_files = 4096;
    return facts;
}

const Check* find(const std::vector<Check>& checks, std::string_view name) {
    const auto found = std::find_if(checks.begin(), checks.end(), [&](const Check& check) { return check.name == name; });
    return found == checks.end() ? nullptr : &*found;
}

class DoctorRule : public ::testing::Test {
protected:
    // Nothing but `name` may be worse than before; returns it.
    Check only(std::string_view name, CheckState state) {
        const std::vector<Check> checks = cli::judge(facts);
        for (const Check& check : checks) {
            EXPECT_EQ(cli::to_string(check.state), cli::to_string(check.name == name ? state : CheckState::ok))
                << check.name << ": " << check.message;
        }
        const Check* check = find(checks, name);
        EXPECT_NE(check, nullptr) << name;
        return check == nullptr ? Check{} : *check;
    }
    static Error refused(std::string message) { return make_error(ErrorCode::permission, std::move(message)); }

    Facts facts = everything();
};

TEST_F(DoctorRule, a_machine_that_has_everything_is_ok_and_gets_no_advice) {
    const std::vector<Check> checks = cli::judge(facts);
    std::set<std::string_view> names;
    for (const Check& check : checks) {
        EXPECT_EQ(check.state, CheckState::ok) << check.name << ": " << check.message;
        EXPECT_FALSE(check.message.empty()) << check.name;
        EXPECT_EQ(check.hint, "") << check.name;
        EXPECT_TRUE(names.insert(check.name).second) << check.name;
    }
    EXPECT_EQ(checks.size(), 24u);
}

TEST_F(DoctorRule, without_a_reader_nothing_can_be_ingested) {
    facts.programs.reader = make_error(ErrorCode::not_found, "ntt-reader is not installed", "install ntt as a whole");
    const Check check = only("ntt_reader", CheckState::failed);
    EXPECT_EQ(check.message, "ntt-reader is not installed");
    EXPECT_EQ(check.hint, "install ntt as a whole");
}

TEST_F(DoctorRule, a_reader_that_cannot_be_run_is_told_with_what_names_another) {
    facts.programs.reader = refused("run /x");
    EXPECT_THAT(only("ntt_reader", CheckState::failed).hint, HasSubstr("NTT_READER"));
}

TEST_F(DoctorRule, parsing_in_this_process_needs_neither_reader_nor_seccomp_and_is_a_warning) {
    facts.programs.parses_apart = false;
    facts.programs.reader = std::string();
    EXPECT_THAT(only("ntt_reader", CheckState::warning).hint, HasSubstr("reader.isolation"));
    facts.kernel.seccomp = false;
    EXPECT_EQ(find(cli::judge(facts), "seccomp")->state, CheckState::warning);
}

TEST_F(DoctorRule, without_a_helper_the_checks_about_calling_it_are_left_out) {
    facts.programs.helper = make_error(ErrorCode::not_found, "not installed");
    facts.programs.helper_call = refused("no");
    only("mount_helper", CheckState::warning);
    EXPECT_EQ(find(cli::judge(facts), "mount_helper_permission"), nullptr);
    EXPECT_EQ(find(cli::judge(facts), "mount_helper_config"), nullptr);
}

TEST_F(DoctorRule, a_helper_that_others_can_change_is_a_warning_and_nobody_is_told_to_allow_it) {
    facts.programs.helper_guard = GuardedPath{Guard::others, "/home/a", "/home/a does not belong to root"};
    facts.programs.helper_call = refused("sudo: a password is required");
    EXPECT_THAT(only("mount_helper", CheckState::warning).message, HasSubstr("/home/a does not belong to root"));
    EXPECT_EQ(find(cli::judge(facts), "mount_helper_permission"), nullptr);
    facts.programs.helper_guard = refused("look at /root");
    only("mount_helper", CheckState::warning);
    EXPECT_EQ(find(cli::judge(facts), "mount_helper_permission"), nullptr);
}

TEST_F(DoctorRule, a_helper_that_sudo_does_not_run_is_a_warning_with_the_line_for_sudoers) {
    facts.programs.helper_call = refused("sudo: a password is required");
    EXPECT_THAT(only("mount_helper_permission", CheckState::warning).hint,
                HasSubstr("NOPASSWD: /usr/libexec/ntt/ntt-mount-helper"));
    facts.programs.helper_call = errno_error(ENOENT, "run /usr/bin/sudo");
    EXPECT_THAT(only("mount_helper_permission", CheckState::warning).hint, HasSubstr("apt-get install sudo"));
    facts.programs.runs_as_root = true;
    only("mount_helper_permission", CheckState::ok);
}

TEST_F(DoctorRule, a_helper_without_configuration_serves_root_only) {
    facts.programs.helper_config = GuardedPath{};
    EXPECT_THAT(only("mount_helper_config", CheckState::warning).hint, HasSubstr("image_roots"));
    facts.programs.runs_as_root = true;
    EXPECT_THAT(only("mount_helper_config", CheckState::ok).message, HasSubstr("only root"));
}

TEST_F(DoctorRule, a_configuration_that_others_can_change_is_a_warning_also_for_root) {
    facts.programs.runs_as_root = true;
    facts.programs.helper_config = GuardedPath{Guard::others, "/etc/ntt", "/etc/ntt can be written by others than root"};
    const Check check = only("mount_helper_config", CheckState::warning);
    EXPECT_THAT(check.message, HasSubstr("/etc/ntt can be written by others"));
    EXPECT_THAT(check.hint, AllOf(HasSubstr("chown root:root /etc/ntt;"), HasSubstr("chmod go-w /etc/ntt")));
    facts.programs.helper_config = refused("look at /etc/ntt");
    only("mount_helper_config", CheckState::warning);
}

TEST_F(DoctorRule, a_filesystem_that_nobody_reads_is_named) {
    facts.kernel.filesystems.erase("jfs");
    const Check check = only("kernel_filesystems", CheckState::warning);
    EXPECT_THAT(check.message, AllOf(HasSubstr("jfs"), Not(HasSubstr("xfs"))));
    EXPECT_THAT(check.hint, HasSubstr("linux-image-amd64"));
}

TEST_F(DoctorRule, a_missing_device_or_log_is_a_warning) {
    facts.kernel.loop_control = errno_error(ENOENT, "look at /dev/loop-control");
    EXPECT_THAT(only("loop_devices", CheckState::warning).hint, HasSubstr("modprobe loop"));
    facts = everything();
    facts.kernel.fuse_device = errno_error(ENOENT, "look at /dev/fuse");
    EXPECT_THAT(only("fuse_device", CheckState::warning).hint, HasSubstr("modprobe fuse"));
    facts = everything();
    facts.kernel.log = errno_error(EPERM, "open /dev/kmsg");
    EXPECT_THAT(only("kernel_log", CheckState::warning).hint, HasSubstr("dmesg_restrict"));
    facts.kernel.log = errno_error(ENOENT, "open /dev/kmsg");
    EXPECT_EQ(only("kernel_log", CheckState::warning).hint, "");
}

TEST_F(DoctorRule, without_seccomp_nothing_is_parsed_and_without_landlock_less_is_forbidden) {
    facts.kernel.landlock_version = 0;
    EXPECT_THAT(only("landlock", CheckState::warning).hint, HasSubstr("lsm="));
    facts = everything();
    facts.kernel.seccomp = false;
    only("seccomp", CheckState::failed);
}

TEST_F(DoctorRule, a_fuse_driver_is_missed_only_where_the_kernel_has_none) {
    facts.kernel.fuse_programs.clear();
    EXPECT_THAT(only("fusefat", CheckState::ok).hint, HasSubstr("apt-get install fusefat"));
    for (const cli::FuseDriver& driver : cli::fuse_drivers()) {
        facts = everything();
        facts.kernel.fuse_programs.erase(std::string(driver.program));
        for (const std::string& name : driver.kernel_drivers) facts.kernel.filesystems.erase(name);
        EXPECT_EQ(only(driver.check, CheckState::warning).hint, "apt-get install " + std::string(driver.package));
    }
}

TEST_F(DoctorRule, no_store_and_no_catalog_yet_are_told_and_are_no_failure) {
    facts.store.id = std::optional<std::string>();
    facts.catalog.opens = false;
    EXPECT_THAT(only("store", CheckState::ok).hint, HasSubstr("ntt ingest"));
    EXPECT_THAT(only("catalog", CheckState::ok).message, HasSubstr("none yet"));
}

TEST_F(DoctorRule, a_store_without_a_catalog_is_a_warning_and_a_catalog_without_a_store_is_not) {
    facts.catalog.opens = false;
    EXPECT_THAT(only("catalog", CheckState::warning).message, HasSubstr("but there is a store"));
    facts = everything();
    facts.store.id = std::optional<std::string>();
    only("store", CheckState::ok);
}

TEST_F(DoctorRule, a_store_or_catalog_that_does_not_open_is_a_failure_with_its_own_words) {
    facts.store.id = make_error(ErrorCode::store_damaged, "ntt-store.toml: has no id");
    EXPECT_EQ(only("store", CheckState::failed).message, "ntt-store.toml: has no id");
    facts = everything();
    facts.catalog.opens = make_error(ErrorCode::catalog_damaged, "not a database");
    EXPECT_THAT(only("catalog", CheckState::failed).hint, HasSubstr("integrity_check"));
    facts.catalog.opens = make_error(ErrorCode::schema, "made by a newer ntt", "its own hint");
    EXPECT_EQ(only("catalog", CheckState::failed).hint, "its own hint");
}

TEST_F(DoctorRule, what_is_busy_now_is_a_warning) {
    facts.catalog.opens = make_error(ErrorCode::busy, "another process writes");
    only("catalog", CheckState::warning);
    facts = everything();
    facts.store.id = make_error(ErrorCode::busy, "another process makes it");
    only("store", CheckState::warning);
}

TEST_F(DoctorRule, without_a_home_the_store_fails_and_nothing_is_said_of_its_folder) {
    facts.store = {};
    facts.store.id = make_error(ErrorCode::invalid_argument, "there is no home folder for ntt", "name one with --home");
    only("store", CheckState::failed);
    for (const char* name : {"store_writing", "store_space", "store_inodes"})
        EXPECT_EQ(find(cli::judge(facts), name), nullptr) << name;
}

TEST_F(DoctorRule, a_store_is_read_where_it_cannot_be_written_but_cannot_be_made_there) {
    facts.store.unnamed_file = errno_error(EROFS, "make a file in /archive");
    EXPECT_THAT(only("store_writing", CheckState::warning).message, HasSubstr("can be read"));
    facts.store.id = std::optional<std::string>();
    facts.store.dir = "/archive/new";
    EXPECT_THAT(only("store_writing", CheckState::failed).hint, HasSubstr("make /archive/new as root"));
    facts.store.unnamed_file = make_error(ErrorCode::unsupported, "no unnamed files");
    EXPECT_THAT(only("store_writing", CheckState::warning).message, HasSubstr("O_TMPFILE"));
}

TEST_F(DoctorRule, room_is_short_below_one_gibibyte_or_five_percent) {
    facts.store.room = FilesystemRoom{10 * kGiB, kGiB, 1000, 500};
    only("store_space", CheckState::ok);
    facts.store.room = FilesystemRoom{10 * kGiB, kGiB - 1, 1000, 500};
    EXPECT_THAT(only("store_space", CheckState::warning).hint, HasSubstr("--store"));
    facts.store.room = FilesystemRoom{100 * kGiB, 5 * kGiB, 1000, 500};
    only("store_space", CheckState::ok);
    facts.store.room = FilesystemRoom{100 * kGiB, 5 * kGiB - 1000, 1000, 500};
    only("store_space", CheckState::warning);
}

TEST_F(DoctorRule, inodes_are_short_below_five_percent_where_they_are_numbered) {
    facts.store.room = FilesystemRoom{100 * kGiB, 50 * kGiB, 1000, 50};
    only("store_inodes", CheckState::ok);
    facts.store.room = FilesystemRoom{100 * kGiB, 50 * kGiB, 1000, 49};
    only("store_inodes", CheckState::warning);
    facts.store.room = FilesystemRoom{100 * kGiB, 50 * kGiB, 0, 0};
    only("store_inodes", CheckState::ok);
}

TEST_F(DoctorRule, a_clock_before_2025_is_a_warning) {
    facts.clock.wall_us = int64_t{1'735'689'600} * 1'000'000;
    EXPECT_EQ(only("clock", CheckState::ok).message.substr(0, 10), "2025-01-01");
    facts.clock.wall_us -= 1;
    EXPECT_THAT(only("clock", CheckState::warning).hint, HasSubstr("timedatectl"));
}

TEST_F(DoctorRule, a_monotonic_clock_that_goes_back_is_a_failure) {
    facts.clock.monotonic_step_us = -1;
    only("monotonic_clock", CheckState::failed);
}

TEST_F(DoctorRule, the_database_clock_may_differ_by_two_seconds_and_is_left_out_where_there_is_none) {
    for (const int64_t sign : {1, -1}) {
        facts.clock.ahead_of_database_us = sign * 2'000'000;
        only("database_clock", CheckState::ok);
        facts.clock.ahead_of_database_us = sign * 2'000'001;
        EXPECT_THAT(only("database_clock", CheckState::warning).message, HasSubstr(sign > 0 ? "ahead of" : "behind"));
    }
    facts.clock.ahead_of_database_us.reset();
    EXPECT_EQ(find(cli::judge(facts), "database_clock"), nullptr);
}

TEST_F(DoctorRule, memory_for_one_reader_and_1024_open_files_are_enough) {
    facts.resources.memory = HostMemory{2 * kGiB, kGiB};
    only("memory", CheckState::ok);
    facts.resources.memory = HostMemory{2 * kGiB, kGiB - 1};
    EXPECT_THAT(only("memory", CheckState::warning).hint, HasSubstr("reader.memory_mib"));
    facts = everything();
    facts.resources.open_files = 1024;
    only("open_files", CheckState::ok);
    facts.resources.open_files = 1023;
    EXPECT_THAT(only("open_files", CheckState::warning).hint, HasSubstr("ulimit"));
}

// --- where facts come from ---

TEST(HostFacts, filesystems_are_those_on_a_device) {
    EXPECT_THAT(parse_filesystems("nodev\tsysfs\n\text4\nnodev\ttmpfs\n\txfs"), ElementsAre("ext4", "xfs"));
    EXPECT_TRUE(parse_filesystems("").empty());
}

TEST(HostFacts, modules_are_filesystems_where_they_lie_below_fs) {
    EXPECT_THAT(parse_filesystem_modules("kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko\nkernel/drivers/block/loop.ko:\n"
                                         "kernel/fs/jfs/jfs.ko.xz:\nkernel/fs/btrfs/btrfs.ko\n"),
                ElementsAre("btrfs", "jfs", "xfs"));
}

TEST(HostFacts, memory_is_read_in_kib_and_must_be_there) {
    ASSERT_OK_ASSIGN(const HostMemory memory, parse_memory("MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n"));
    EXPECT_EQ(memory.total_bytes, 2048u * 1024);
    EXPECT_EQ(memory.available_bytes, 1024u * 1024);
    EXPECT_EQ(parse_memory("MemTotal: 2048 kB\n").error().code, ErrorCode::malformed);
    EXPECT_EQ(parse_memory("MemTotal: x kB\nMemAvailable: 1 kB\n").error().code, ErrorCode::malformed);
}

TEST(HostFacts, a_path_is_guarded_only_where_every_part_of_it_is_roots) {
    ASSERT_OK_ASSIGN(const GuardedPath null, guard_of("/dev/null"));
    EXPECT_EQ(null.guard, Guard::others);
    EXPECT_EQ(null.weak_spot, "/dev/null");
    ASSERT_OK_ASSIGN(const GuardedPath link, guard_of("/proc/self/exe"));
    EXPECT_EQ(link.weak_spot, "/proc/self");
    ASSERT_OK_ASSIGN(const GuardedPath none, guard_of("/no-such-folder/file"));
    EXPECT_EQ(none.guard, Guard::absent);
    ASSERT_OK_ASSIGN(const GuardedPath memory, guard_of("/proc/meminfo"));
    EXPECT_EQ(memory.guard, Guard::root_only) << memory.weakness;
    EXPECT_EQ(guard_of("relative").error().code, ErrorCode::invalid_argument);
}

TEST(HostFacts, devices_and_programs_are_told_from_other_things) {
    ASSERT_OK(has_character_device("/dev/null"));
    EXPECT_EQ(has_character_device("/dev").error().code, ErrorCode::unsupported);
    EXPECT_EQ(has_character_device("/dev/no-such-device").error().code, ErrorCode::not_found);
    ASSERT_OK(can_execute("/bin/sh"));
    EXPECT_EQ(can_execute("/no-such-program").error().code, ErrorCode::not_found);
    EXPECT_EQ(can_execute("/proc/meminfo").error().code, ErrorCode::permission);
}

TEST(HostFacts, this_machine_has_memory_and_room) {
    ASSERT_OK_ASSIGN(const HostMemory memory, host_memory(Env::host()));
    EXPECT_GT(memory.total_bytes, 0u);
    EXPECT_LE(memory.available_bytes, memory.total_bytes);
    ASSERT_OK_ASSIGN(const FilesystemRoom room, filesystem_room("/"));
    EXPECT_LE(room.free_bytes, room.size_bytes);
    EXPECT_LE(room.free_inodes, room.inodes);
    EXPECT_EQ(filesystem_room("/no-such-folder").error().code, ErrorCode::not_found);
    EXPECT_GT(open_file_limit(), 0u);
}

// --- the command ---

class Doctor : public World {
protected:
    // The checks by name; the closing line must count them.
    std::map<std::string, Json> checks(const std::vector<std::string>& more = {}) {
        std::vector<std::string> args = {"doctor", "--json"};
        args.insert(args.end(), more.begin(), more.end());
        const Ran ran = ntt(args);
        exit = ran.exit;
        std::map<std::string, Json> out;
        std::map<std::string, int> counts = {{"ok", 0}, {"warning", 0}, {"failed", 0}};
        std::vector<Json> lines = ran.lines();
        if (lines.empty()) return out;
        const Json last = lines.back();
        lines.pop_back();
        for (const Json& line : lines) {
            EXPECT_EQ(line.at("type"), "check");
            EXPECT_TRUE(line.at("message").is_string());
            EXPECT_TRUE(line.at("hint").is_string() || line.at("hint").is_null());
            ++counts[line.at("state").get<std::string>()];
            out[line.at("name").get<std::string>()] = line;
        }
        EXPECT_EQ(out.size(), lines.size());
        EXPECT_EQ(last, (Json{{"type", "doctor"},
                              {"ok", counts["ok"]},
                              {"warnings", counts["warning"]},
                              {"failed", counts["failed"]},
                              {"exit", ran.exit}}));
        EXPECT_EQ(ran.exit, counts["failed"] > 0 ? 1 : 0);
        return out;
    }
    int exit = -1;
};

TEST_F(Doctor, a_home_that_was_never_used_is_no_failure_and_stays_as_it_is) {
    std::filesystem::remove(home());
    auto found = checks();
    EXPECT_EQ(exit, 0);
    EXPECT_EQ(found["store"]["state"], "ok");
    EXPECT_THAT(found["store"]["message"].get<std::string>(), HasSubstr("none yet"));
    EXPECT_EQ(found["catalog"]["state"], "ok");
    EXPECT_THAT(found["store_space"]["message"].get<std::string>(), HasSubstr(dir.path().string()));
    EXPECT_EQ(found["ntt_reader"]["message"], reader_program());
    EXPECT_FALSE(found.contains("database_clock"));
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(Doctor, a_store_and_catalog_in_use_are_named) {
    add_medium({{.path = "A", .ino = 1, .content = "content"}});
    auto found = checks();
    EXPECT_EQ(exit, 0);
    ASSERT_OK_ASSIGN(const auto store, Store::open(Env::host(), home()));
    EXPECT_THAT(found["store"]["message"].get<std::string>(), AllOf(HasSubstr(store->id()), HasSubstr(home())));
    EXPECT_THAT(found["catalog"]["message"].get<std::string>(), HasSubstr("catalog.db opens"));
    const Ran text = ntt({"doctor"});
    EXPECT_EQ(text.exit, 0);
    EXPECT_THAT(text.out, AllOf(HasSubstr("ok       store "), HasSubstr(" ok, "), HasSubstr(" 0 failed\n")));
}

TEST_F(Doctor, a_damaged_store_is_a_failure_and_the_other_checks_go_on) {
    add_medium({{.path = "A", .ino = 1, .content = "content"}});
    write_file(home() + "/ntt-store.toml", "format = 1\n");
    auto found = checks();
    EXPECT_EQ(exit, 1);
    EXPECT_EQ(found["store"]["state"], "failed");
    EXPECT_EQ(found["catalog"]["state"], "ok");
    EXPECT_THAT(ntt({"doctor"}).out, HasSubstr("failed   store "));
}

TEST_F(Doctor, a_catalog_that_is_none_is_a_failure) {
    write_file(home() + "/catalog.db", std::string(8192, 'x'));
    auto found = checks();
    EXPECT_EQ(exit, 1);
    EXPECT_EQ(found["catalog"]["state"], "failed");
    EXPECT_TRUE(found["catalog"]["hint"].is_string());
}

TEST_F(Doctor, a_password_in_a_catalog_address_is_never_shown) {
    const Ran ran = ntt({"doctor", "--json", "--catalog", "postgresql://alicia:open-sesame@127.0.0.1:1/ntt"});
    EXPECT_FALSE(ran.lines().empty());
    EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("open-sesame")));
}

TEST_F(Doctor, a_reader_that_is_not_there_is_a_failure) {
    shell.variables["NTT_READER"] = dir / "no-such-reader";
    EXPECT_EQ(checks()["ntt_reader"]["state"], "failed");
    EXPECT_EQ(exit, 1);
}

TEST_F(Doctor, a_store_folder_that_is_a_file_is_a_failure) {
    write_file(dir / "file", "x");
    auto found = checks({"--store", dir / "file"});
    EXPECT_EQ(exit, 1);
    EXPECT_EQ(found["store_writing"]["state"], "failed");
    EXPECT_THAT(found["store_writing"]["message"].get<std::string>(), HasSubstr(dir / "file"));
}

TEST(DoctorWithoutHome, says_what_names_one) {
    Shell shell;
    const Ran ran = shell.run({"doctor", "--json"});
    EXPECT_EQ(ran.exit, 1);
    const std::vector<Json> lines = ran.lines();
    EXPECT_THAT(lines, Contains(::testing::Truly([](const Json& line) {
                    return line.value("name", "") == "store" && line["state"] == "failed" &&
                           line["hint"] == "name one with --home or NTT_HOME";
                })));
}

}  // namespace
}  // namespace ntt::test
