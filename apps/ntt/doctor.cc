#include "doctor.h"

#include <array>
#include <chrono>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "os/kernel_log.h"
#include "os/run_program.h"
#include "programs.h"
#include "report/table.h"

namespace ntt::cli {
namespace {

constexpr const char* kSudo = "/usr/bin/sudo";
constexpr const char* kHelperConfig = "/etc/ntt/mount-helper.toml";
constexpr std::chrono::seconds kSudoPatience{10};

// Nothing of ours is older; a machine without a battery for its clock wakes up in 1970 or in its firmware's year.
constexpr int64_t kStartOf2025_us = int64_t{1'735'689'600} * 1'000'000;
constexpr int64_t kMaxClockDifference_us = 2'000'000;
constexpr uint64_t kLeastFreeBytes = uint64_t{1} << 30;
constexpr uint64_t kLeastFreePercent = 5;
constexpr uint64_t kLeastOpenFiles = 1024;

// What ntt does not read itself and has the kernel mount.
constexpr std::array<std::string_view, 5> kMountedOnly = {"xfs", "btrfs", "jfs", "nilfs2", "f2fs"};

Check ok(std::string_view name, std::string message, std::string hint = "") {
    return {name, CheckState::ok, std::move(message), std::move(hint)};
}
Check warning(std::string_view name, std::string message, std::string hint = "") {
    return {name, CheckState::warning, std::move(message), std::move(hint)};
}
Check failed(std::string_view name, std::string message, std::string hint = "") {
    return {name, CheckState::failed, std::move(message), std::move(hint)};
}

// --- programs beside ntt ---

Check judge_reader(const ProgramFacts& facts) {
    constexpr std::string_view kName = "ntt_reader";
    if (!facts.parses_apart)
        return warning(kName, "images are parsed inside ntt: a bad one can take it down",
                       "set reader.isolation to \"process\" in the configuration");
    if (facts.reader.ok()) return ok(kName, *facts.reader);
    const Error& error = facts.reader.error();
    return failed(kName, error.text(),
                  error.hint.empty() ? "install ntt as a whole; NTT_READER and reader.program name another" : error.hint);
}

Check judge_helper(const ProgramFacts& facts) {
    constexpr std::string_view kName = "mount_helper";
    if (!facts.helper.ok())
        return warning(kName, facts.helper.error().text(), "needed only for --engine mount; install ntt as a whole");
    if (!facts.helper_guard.ok()) return warning(kName, facts.helper_guard.error().text());
    if (facts.helper_guard->guard == Guard::others)
        return warning(
            kName, fmt::format("{}, but {}: sudo would run whatever is put there", *facts.helper, facts.helper_guard->weakness),
            "install it as root: sudo cmake --install build/release");
    return ok(kName, *facts.helper);
}

// What others can change is neither run as root, nor is anybody told how to allow it.
bool is_trusted(const ProgramFacts& facts) {
    return facts.helper.ok() && facts.helper_guard.ok() && facts.helper_guard->guard == Guard::root_only;
}

Check judge_helper_call(const ProgramFacts& facts) {
    constexpr std::string_view kName = "mount_helper_permission";
    if (facts.runs_as_root) return ok(kName, "ntt runs as root");
    if (facts.helper_call.ok()) return ok(kName, "sudo runs it without a password");
    const Error& error = facts.helper_call.error();
    if (error.code == ErrorCode::not_found)
        return warning(kName, error.text(), "apt-get install sudo; then see docs/mount-helper.md");
    return warning(
        kName, error.text(),
        fmt::format("visudo -f /etc/sudoers.d/ntt: USER ALL=(root) NOPASSWD: {} (docs/mount-helper.md)", *facts.helper));
}

Check judge_helper_config(const ProgramFacts& facts) {
    constexpr std::string_view kName = "mount_helper_config";
    if (!facts.helper_config.ok()) return warning(kName, facts.helper_config.error().text());
    const GuardedPath& config = *facts.helper_config;
    if (config.guard == Guard::others)
        return warning(kName, fmt::format("{}: the helper refuses everything", config.weakness),
                       fmt::format("chown root:root {0}; chmod go-w {0}", config.weak_spot));
    if (config.guard == Guard::root_only) return ok(kName, kHelperConfig);
    const std::string message = fmt::format("there is no {}: only root can mount images", kHelperConfig);
    const std::string hint = fmt::format("write it as root: image_roots = [\"/folder/of/images\"] (docs/mount-helper.md)");
    return facts.runs_as_root ? ok(kName, message, hint) : warning(kName, message, hint);
}

// --- the kernel, and what drives filesystems ---

Check judge_filesystems(const KernelFacts& facts) {
    constexpr std::string_view kName = "kernel_filesystems";
    std::vector<std::string_view> there, missing;
    for (const std::string_view name : kMountedOnly)
        (facts.filesystems.contains(std::string(name)) ? there : missing).push_back(name);
    if (missing.empty()) return ok(kName, fmt::format("mounts {}", fmt::join(there, ", ")));
    return warning(kName,
                   fmt::format("the kernel has no driver for {}, which ntt does not read itself", fmt::join(missing, ", ")),
                   "apt-get install linux-image-amd64 (a kernel for clouds or containers leaves them out)");
}

Check judge_device(std::string_view name, const Result<void>& device, std::string_view message, std::string_view hint) {
    if (device.ok()) return ok(name, std::string(message));
    return warning(name, device.error().text(), std::string(hint));
}

Check judge_log(const KernelFacts& facts) {
    constexpr std::string_view kName = "kernel_log";
    if (facts.log.ok()) return ok(kName, "/dev/kmsg can be read");
    const bool not_allowed = facts.log.error().code == ErrorCode::permission;
    return warning(kName,
                   facts.log.error().text() + ": failed reads through a mount are judged without what the kernel says of them",
                   not_allowed ? "sysctl kernel.dmesg_restrict=0, or run ntt as root" : "");
}

Check judge_seccomp(const Facts& facts) {
    constexpr std::string_view kName = "seccomp";
    if (facts.kernel.seccomp) return ok(kName, "forbids system calls to what parses images");
    const std::string message = "the kernel has no seccomp: nothing untrusted may be parsed";
    const std::string hint =
        "use a kernel with CONFIG_SECCOMP_FILTER (Debian's have it), and a container that lets seccomp(2) through";
    return facts.programs.parses_apart ? failed(kName, message, hint) : warning(kName, message, hint);
}

Check judge_landlock(const KernelFacts& facts) {
    constexpr std::string_view kName = "landlock";
    if (facts.landlock_version > 0) return ok(kName, fmt::format("version {}", facts.landlock_version));
    return warning(kName, "the kernel has no Landlock: what reads a folder is kept from writing, but not from reading elsewhere",
                   "boot with landlock in lsm=… (cat /sys/kernel/security/lsm shows it); Linux 5.13 or later");
}

Check judge_fuse_driver(const FuseDriver& driver, const KernelFacts& facts) {
    if (facts.fuse_programs.contains(std::string(driver.program))) return ok(driver.check, std::string(driver.program));
    const std::string hint = fmt::format("apt-get install {}", driver.package);
    for (const std::string& name : driver.kernel_drivers)
        if (facts.filesystems.contains(name))
            return ok(driver.check, fmt::format("not installed, and not needed: the kernel mounts {}", driver.filesystem), hint);
    return warning(driver.check,
                   fmt::format("not installed, and the kernel has no driver: {} cannot be mounted (ntt reads it without)",
                               driver.filesystem),
                   hint);
}

// --- store and catalog ---

std::string shown_hint(const Error& error, std::string_view otherwise) {
    return error.hint.empty() ? std::string(otherwise) : error.hint;
}

Check judge_store(const Facts& facts) {
    constexpr std::string_view kName = "store";
    const StoreFacts& store = facts.store;
    if (!store.id.ok()) {
        const Error& error = store.id.error();
        if (error.code == ErrorCode::busy) return warning(kName, error.text(), shown_hint(error, "try again later"));
        return failed(kName, error.text(), shown_hint(error, "--store, NTT_STORE and paths.store name the folder"));
    }
    if (*store.id) return ok(kName, fmt::format("{} in {}", **store.id, store.dir));
    return ok(kName, fmt::format("there is none yet in {}", store.dir), "ntt ingest makes it");
}

Check judge_writing(const StoreFacts& store) {
    constexpr std::string_view kName = "store_writing";
    if (store.unnamed_file.ok())
        return ok(kName, fmt::format("files without a name (O_TMPFILE) can be made in {}", store.folder));
    const Error& error = store.unnamed_file.error();
    if (error.code == ErrorCode::unsupported)
        return warning(
            kName,
            fmt::format(
                "the filesystem of {} has no files without a name (O_TMPFILE): contents are written under temporary names",
                store.folder),
            "a store on ext4, XFS or btrfs leaves nothing behind when a run is killed");
    const std::string message = fmt::format("{} cannot be written: {}", store.folder, error.text());
    // Without a store ntt could not even begin; one that is there can be read.
    if (store.id.ok() && !*store.id)
        return failed(kName, message,
                      fmt::format("make {} as root and chown it to who runs ntt, or name another with --store", store.dir));
    return warning(kName, message + "; what is stored can be read, nothing can be added",
                   fmt::format("chown {} to who runs ntt", store.folder));
}

// Divided first: 100 times the size of a large filesystem may not fit.
bool is_scarce(uint64_t free, uint64_t all) { return free < all / 100 * kLeastFreePercent; }

Check judge_space(const StoreFacts& store) {
    constexpr std::string_view kName = "store_space";
    if (!store.room.ok()) return warning(kName, store.room.error().text());
    const FilesystemRoom& room = *store.room;
    const std::string message =
        fmt::format("{} of {} free at {}", human_size(room.free_bytes), human_size(room.size_bytes), store.folder);
    if (room.free_bytes >= kLeastFreeBytes && !is_scarce(room.free_bytes, room.size_bytes)) return ok(kName, message);
    return warning(kName, message, "make room, or name a folder on another disk with --store");
}

Check judge_inodes(const StoreFacts& store) {
    constexpr std::string_view kName = "store_inodes";
    if (!store.room.ok()) return warning(kName, store.room.error().text());
    const FilesystemRoom& room = *store.room;
    if (room.inodes == 0) return ok(kName, "the filesystem has no fixed number of inodes");
    const std::string message =
        fmt::format("{} of {} inodes free at {}", with_commas(room.free_inodes), with_commas(room.inodes), store.folder);
    if (!is_scarce(room.free_inodes, room.inodes)) return ok(kName, message);
    return warning(kName, message,
                   "each content is a file: name a filesystem with more inodes with --store (mkfs.ext4 -T small)");
}

std::string_view catalog_hint(ErrorCode code) {
    switch (code) {
        case ErrorCode::catalog_damaged:
            return "sqlite3 CATALOG 'PRAGMA integrity_check' says what is wrong; restore a copy of it";
        case ErrorCode::schema: return "use the ntt that made it, or a newer one";
        case ErrorCode::permission: return "the file and its folder must be writable for who runs ntt";
        case ErrorCode::no_space: return "make room where the catalog is";
        default: return "--catalog, NTT_DB_URL and paths.catalog name it";
    }
}

Check judge_catalog(const Facts& facts) {
    constexpr std::string_view kName = "catalog";
    const CatalogFacts& catalog = facts.catalog;
    if (!catalog.opens.ok()) {
        const Error& error = catalog.opens.error();
        if (error.code == ErrorCode::busy)
            return warning(kName, error.text(), shown_hint(error, "another process writes; try again later"));
        return failed(kName, error.text(), shown_hint(error, catalog_hint(error.code)));
    }
    if (*catalog.opens) return ok(kName, fmt::format("{} opens, its schema has version {}", catalog.place, catalog.schema_version));
    const std::string message = fmt::format("there is none yet: {}", catalog.place);
    // Contents without a catalog: nobody knows what they are. The catalog is made first, so that one without a store is common.
    if (facts.store.id.ok() && *facts.store.id)
        return warning(kName, message + ", but there is a store",
                       "--catalog or NTT_DB_URL may have to name where it is; else ntt ingest makes a new one");
    return ok(kName, message, "ntt ingest makes it");
}

// --- clock and resources ---

Check judge_wall_clock(const ClockFacts& clock) {
    constexpr std::string_view kName = "clock";
    const std::string message = iso8601_utc(clock.wall_us);
    if (clock.wall_us >= kStartOf2025_us) return ok(kName, message);
    return warning(kName, message + " is before ntt was made: the catalog would keep wrong times",
                   "apt-get install systemd-timesyncd; timedatectl set-ntp true");
}

Check judge_monotonic_clock(const ClockFacts& clock) {
    constexpr std::string_view kName = "monotonic_clock";
    if (clock.monotonic_step_us >= 0) return ok(kName, "does not go back");
    return failed(kName, fmt::format("went back by {} us: no deadline can be kept", -clock.monotonic_step_us),
                  "use another kernel or virtual machine");
}

Check judge_database_clock(int64_t ahead_us) {
    constexpr std::string_view kName = "database_clock";
    const std::string message =
        fmt::format("this machine is {:.3f} s {} the database", static_cast<double>(ahead_us < 0 ? -ahead_us : ahead_us) / 1e6,
                    ahead_us < 0 ? "behind" : "ahead of");
    if (ahead_us <= kMaxClockDifference_us && ahead_us >= -kMaxClockDifference_us) return ok(kName, message);
    return warning(kName, message, "apt-get install systemd-timesyncd; timedatectl set-ntp true, on both");
}

Check judge_memory(const ResourceFacts& resources) {
    constexpr std::string_view kName = "memory";
    if (!resources.memory.ok()) return warning(kName, resources.memory.error().text());
    const HostMemory& memory = *resources.memory;
    const std::string message =
        fmt::format("{} of {} available", human_size(memory.available_bytes), human_size(memory.total_bytes));
    if (memory.available_bytes >= resources.reader_memory_bytes) return ok(kName, message);
    return warning(kName, fmt::format("{}, and one ntt-reader may take {}", message, human_size(resources.reader_memory_bytes)),
                   "lower reader.memory_mib in the configuration, or end other programs");
}

Check judge_open_files(const ResourceFacts& resources) {
    constexpr std::string_view kName = "open_files";
    const std::string message = fmt::format("{} files may be open", with_commas(resources.open_files));
    if (resources.open_files >= kLeastOpenFiles) return ok(kName, message);
    return warning(kName, message + ": contents are committed in small groups, which is slow",
                   "raise it as root: ulimit -Hn 65536, or nofile in /etc/security/limits.conf");
}

// --- gathering ---

// Whether `sudo -n` runs the helper. Listing is asked first, because it starts nothing; but sudo lists also what it would ask a
// password for, where another line of its rules asks for none. So the helper is run, with --version.
Result<void> ask_sudo(const std::string& helper) {
    TRY(can_execute(kSudo));
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{kSudo, "-n", "-l", helper}, {kSudo, "-n", helper, "--version"}}) {
        TRY_ASSIGN(const ProgramRun run, run_program(command, kSudoPatience));
        if (run.exit_code != 0)
            return make_error(ErrorCode::permission,
                              "sudo does not run it without a password" + (run.words.empty() ? "" : ": " + run.words));
    }
    return {};
}

Result<std::string> find_reader(const Session& session) {
    TRY_ASSIGN(const auto program, session.reader_program());
    if (program == nullptr) return std::string();
    TRY(can_execute(program->path));
    return program->path;
}

ProgramFacts gather_programs(const Session& session) {
    ProgramFacts facts;
    facts.runs_as_root = runs_as_root();
    facts.parses_apart = session.settings().reader_isolation != "none";
    facts.reader = find_reader(session);
    facts.helper = find_program(session.io(), "ntt-mount-helper");
    if (!facts.helper.ok()) return facts;
    facts.helper_guard = guard_of(*facts.helper);
    facts.helper_config = guard_of(kHelperConfig);
    if (!facts.runs_as_root && is_trusted(facts)) facts.helper_call = ask_sudo(*facts.helper);
    return facts;
}

KernelFacts gather_kernel(Env& env) {
    KernelFacts facts;
    facts.filesystems = kernel_filesystems(env);
    facts.loop_control = has_character_device("/dev/loop-control");
    facts.fuse_device = has_character_device("/dev/fuse");
    if (const auto log = open_kernel_log(); !log.ok()) facts.log = log.error();
    facts.seccomp = has_seccomp();
    facts.landlock_version = landlock_version();
    for (const FuseDriver& driver : fuse_drivers())
        if (can_execute(std::string(driver.program)).ok()) facts.fuse_programs.emplace(driver.program);
    return facts;
}

// The folder itself, else the next one above that exists.
std::string existing_folder(Env& env, std::string path) {
    while (path.size() > 1 && !env.open_dir(path).ok()) {
        const auto found = env.stat_path(path);
        if (found.ok() || found.error().code != ErrorCode::not_found) return path;  // what is wrong with it is told
        const size_t slash = path.find_last_of('/');
        if (slash == std::string::npos) return ".";
        path.resize(slash == 0 ? 1 : slash);
    }
    return path;
}

Result<void> make_unnamed_file(Env& env, const std::string& folder) {
    TRY_ASSIGN(const Fd dir, env.open_dir(folder));
    TRY(env.open_unnamed(dir, 0600));
    return {};
}

StoreFacts gather_store(Session& session) {
    Env& env = session.io().env;
    StoreFacts facts;
    facts.dir = session.settings().store_dir;
    const auto store = session.open_store();
    if (store.ok())
        facts.id = std::optional((*store)->id());
    else if (store.error().code != ErrorCode::not_found)
        facts.id = store.error();
    if (facts.dir.empty()) return facts;
    facts.folder = existing_folder(env, facts.dir);
    facts.room = filesystem_room(facts.folder);
    facts.unnamed_file = make_unnamed_file(env, facts.folder);
    return facts;
}

constexpr std::string_view kSqlite = "sqlite:";

// The file of SQLite; of other addresses the kind only: they may hold a password.
std::string place_of(const std::string& url) {
    return url.starts_with(kSqlite) ? url.substr(kSqlite.size()) : url.substr(0, url.find(':'));
}

void look_at_catalog(Session& session, Facts& facts) {
    const std::string& url = session.settings().catalog_url;
    facts.catalog.place = place_of(url);
    const auto catalog = session.open_catalog(IfAbsent::fail);
    if (catalog.ok()) {
        const Result<int> version = (*catalog)->schema_version();
        if (version.ok()) facts.catalog.opens = true;
        else facts.catalog.opens = version.error();
        facts.catalog.schema_version = version.ok() ? *version : 0;
        facts.clock.ahead_of_database_us = ahead_of_database_us(**catalog, session.io().clock);
    } else if (catalog.error().code != ErrorCode::not_found ||
               !url.starts_with(kSqlite)) {  // ntt makes files, and no server's databases
        facts.catalog.opens = catalog.error();
    }
}

}  // namespace

std::string_view to_string(CheckState state) {
    switch (state) {
        case CheckState::ok: return "ok";
        case CheckState::warning: return "warning";
        case CheckState::failed: return "failed";
    }
    return "";
}

const std::vector<FuseDriver>& fuse_drivers() {
    static const std::vector<FuseDriver> kFuseDrivers = {
        {"fusefat", "/usr/bin/fusefat", "fusefat", "FAT", {"vfat"}},
        {"ntfs_3g", "/usr/bin/ntfs-3g", "ntfs-3g", "NTFS", {"ntfs3", "ntfs"}},
        {"fuse2fs", "/usr/bin/fuse2fs", "fuse2fs", "ext2-4", {"ext4"}},
        {"exfat_fuse", "/usr/sbin/mount.exfat-fuse", "exfat-fuse", "exFAT", {"exfat"}},
    };
    return kFuseDrivers;
}

std::optional<int64_t> ahead_of_database_us(Catalog& catalog, const Clock& clock) {
    if (catalog.leases() == nullptr) return std::nullopt;
    const int64_t before_us = clock.wall_us();
    const Result<std::string> now = catalog.leases()->now();
    const int64_t after_us = clock.wall_us();
    const std::optional<int64_t> database_us = now.ok() ? wall_us_from(*now) : std::nullopt;
    if (!database_us) return std::nullopt;
    return before_us + (after_us - before_us) / 2 - *database_us;
}

Facts gather_facts(Session& session) {
    const Clock& clock = session.io().clock;
    const int64_t started_us = clock.monotonic_us();
    Facts facts;
    facts.clock.wall_us = clock.wall_us();
    facts.programs = gather_programs(session);
    facts.kernel = gather_kernel(session.io().env);
    facts.resources.memory = host_memory(session.io().env);
    facts.resources.reader_memory_bytes = static_cast<uint64_t>(session.settings().reader_memory_mib) << 20;
    facts.resources.open_files = open_file_limit();
    facts.store = gather_store(session);
    look_at_catalog(session, facts);
    facts.clock.monotonic_step_us = clock.monotonic_us() - started_us;
    return facts;
}

std::vector<Check> judge(const Facts& facts) {
    std::vector<Check> out = {judge_reader(facts.programs), judge_helper(facts.programs)};
    if (is_trusted(facts.programs)) out.push_back(judge_helper_call(facts.programs));
    if (facts.programs.helper.ok()) out.push_back(judge_helper_config(facts.programs));
    out.push_back(judge_filesystems(facts.kernel));
    out.push_back(judge_device("loop_devices", facts.kernel.loop_control, "/dev/loop-control",
                               "modprobe loop; needed only for --engine mount"));
    out.push_back(
        judge_device("fuse_device", facts.kernel.fuse_device, "/dev/fuse", "modprobe fuse; needed only for the drivers below"));
    out.push_back(judge_log(facts.kernel));
    out.push_back(judge_seccomp(facts));
    out.push_back(judge_landlock(facts.kernel));
    for (const FuseDriver& driver : fuse_drivers()) out.push_back(judge_fuse_driver(driver, facts.kernel));
    out.push_back(judge_store(facts));
    if (!facts.store.dir.empty()) {
        out.push_back(judge_writing(facts.store));
        out.push_back(judge_space(facts.store));
        out.push_back(judge_inodes(facts.store));
    }
    out.push_back(judge_catalog(facts));
    out.push_back(judge_wall_clock(facts.clock));
    out.push_back(judge_monotonic_clock(facts.clock));
    if (facts.clock.ahead_of_database_us) out.push_back(judge_database_clock(*facts.clock.ahead_of_database_us));
    out.push_back(judge_memory(facts.resources));
    out.push_back(judge_open_files(facts.resources));
    return out;
}

}  // namespace ntt::cli
