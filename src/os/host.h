// What this machine has, and what this user may do with it: questions for `ntt doctor`. All of them only look; none changes
// anything.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/env.h"

namespace ntt {

// --- who, and what may be changed by whom ---

// Whether this process has root's rights (its effective user).
bool runs_as_root();

// Who could put something else at a path.
enum class Guard : uint8_t { absent, root_only, others };
struct GuardedPath {
    Guard guard = Guard::absent;
    std::string weak_spot;  // of `others`: the path of the part that they could change
    std::string weakness;   // and in words why: "… can be written by others than root"
};
// Looks at each part of an absolute path from "/" on, as ntt-mount-helper does before it trusts a file: every one must be root's,
// writable by nobody else, and no symlink. A path that ends earlier is absent. Errors: those of lstat(2).
Result<GuardedPath> guard_of(const std::string& path);

// access(2) with X_OK.
Result<void> can_execute(const std::string& path);

// --- the kernel ---

// Names of the filesystems that the running kernel mounts: the drivers it has, and those that it loads when asked. Empty
// where /proc cannot be read.
std::set<std::string> kernel_filesystems(Env& env);
// Of /proc/filesystems: those on a block device. Source: Linux Documentation/filesystems/proc.rst: "nodev" stands before the
// others.
std::set<std::string> parse_filesystems(std::string_view text);
// Of modules.dep or modules.builtin: the modules below kernel/fs, which are called as their filesystem is (but for iso9660, whose
// module is isofs). Source: modules.dep(5): "path: paths it needs"; modules.builtin is a list of paths.
std::set<std::string> parse_filesystem_modules(std::string_view text);

// Whether a character device stands there. Errors: those of stat(2); unsupported for anything else in its place.
Result<void> has_character_device(const std::string& path);

// Whether seccomp can end a process for a forbidden system call: what enter_sandbox() needs.
bool has_seccomp();
// The version of Landlock's interface; 0 where the kernel has none or does not use it.
int landlock_version();

// --- room ---

struct FilesystemRoom {
    uint64_t size_bytes = 0, free_bytes = 0;  // free: to this user, without what is kept for root
    uint64_t inodes = 0, free_inodes = 0;     // 0 inodes: the filesystem has no fixed number of them
};
// Of the filesystem that holds `path`. Errors: those of statvfs(3).
Result<FilesystemRoom> filesystem_room(const std::string& path);

struct HostMemory {
    uint64_t total_bytes = 0;
    uint64_t available_bytes = 0;  // the kernel's guess at what can be had without swapping
};
// Of /proc/meminfo. malformed where it does not say so.
Result<HostMemory> host_memory(Env& env);
Result<HostMemory> parse_memory(std::string_view text);

// How many files this process may have open once it has raised its limit as far as it may (Env::raise_open_file_limit does).
uint64_t open_file_limit();

}  // namespace ntt
