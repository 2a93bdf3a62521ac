// What `ntt doctor` looks at. Gathering the facts and judging them are apart: each rule is tried on made-up facts.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/host.h"
#include "session.h"

namespace ntt::cli {

// ok: nothing to do (a hint may still say what else could be had). warning: something is worse, or cannot be done, without it.
// failed: ntt cannot ingest here.
enum class CheckState : uint8_t { ok, warning, failed };
std::string_view to_string(CheckState state);

struct Check {
    std::string_view name;  // snake_case, stable: it stands in JSON
    CheckState state = CheckState::ok;
    std::string message;
    std::string hint;  // how to get what is missing: a Debian package, a command; may be empty
};

// --- facts ---

// Programs that stand beside ntt.
struct ProgramFacts {
    bool runs_as_root = false;
    bool parses_apart = true;                    // reader.isolation is "process"
    Result<std::string> reader = std::string();  // the path of ntt-reader; an error: it is not there or cannot be run
    Result<std::string> helper = std::string();  // the path of ntt-mount-helper
    Result<GuardedPath> helper_guard = GuardedPath{};
    Result<void> helper_call;  // whether this user may run it as root
    Result<GuardedPath> helper_config = GuardedPath{};
};

struct KernelFacts {
    std::set<std::string> filesystems;  // that it mounts
    Result<void> loop_control, fuse_device, log;
    bool seccomp = false;
    int landlock_version = 0;
    std::set<std::string> fuse_programs;  // paths of those of kFuseDrivers that can be run
};

struct StoreFacts {
    std::string dir;                                                       // empty: there is no home
    Result<std::optional<std::string>> id = std::optional<std::string>();  // nullopt: there is none yet
    std::string folder;                                                    // its folder, else the next one above that exists
    Result<FilesystemRoom> room = FilesystemRoom{};                        // of the folder's filesystem
    Result<void> unnamed_file;                                             // one was made there: unsupported: it must have a name
};

struct CatalogFacts {
    std::string place;           // without what may be secret
    Result<bool> opens = false;  // false: there is none yet
    int schema_version = 0;      // of one that opens
};

struct ClockFacts {
    int64_t wall_us = 0;
    int64_t monotonic_step_us = 0;                     // from the first look to the last
    std::optional<int64_t> ahead_of_database_us = {};  // nullopt: the database has no clock of its own
};

struct ResourceFacts {
    Result<HostMemory> memory = HostMemory{};
    uint64_t reader_memory_bytes = 0;  // what one ntt-reader may take
    uint64_t open_files = 0;
};

struct Facts {
    ProgramFacts programs;
    KernelFacts kernel;
    StoreFacts store;
    CatalogFacts catalog;
    ClockFacts clock;
    ResourceFacts resources;
};

// A program that mounts what the kernel may have no driver for; see docs/mount-helper.md.
struct FuseDriver {
    std::string_view check, program, package, filesystem;
    std::set<std::string> kernel_drivers;  // any of them does without it
};
const std::vector<FuseDriver>& fuse_drivers();

// Looks at the machine, the store and the catalog. Makes neither of them; those that are there are opened, with what that does in
// every command (sweeps the store, migrates the catalog). Runs sudo where the user is not root: seconds, if it has to ask a
// server. Raises this process's limit of open files, as opening a store does.
Facts gather_facts(Session& session);

// How far this machine's clock is ahead of the clock of the catalog's database; nullopt for SQLite, which has none.
std::optional<int64_t> ahead_of_database_us(Catalog& catalog, const Clock& clock);

// --- the verdict ---

// In the order of the page of help. What only matters when ntt-mount-helper is there, and only root can change it, is left out
// where that is not so.
std::vector<Check> judge(const Facts& facts);

}  // namespace ntt::cli
