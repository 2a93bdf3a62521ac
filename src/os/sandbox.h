// Gives up, for the rest of this process, everything that parsing untrusted bytes does not need.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace ntt {

struct SandboxLimits {
    uint64_t memory_bytes = uint64_t{1} << 30;  // of address space; malloc fails beyond it
    uint64_t cpu_seconds = 3600;                // of this process; then SIGXCPU
};

// What holds after enter_sandbox().
struct Sandbox {
    bool landlock = false;  // the kernel also forbids every path by Landlock; seccomp forbids it anyway
};

// No new files, no network, no other processes, no executable memory, no core dump, no file grows; only reading and
// writing what is open, memory and time. Opening a file fails with EACCES, so that libraries that try to read a locale or
// a time zone go on without; every other system call that is not on the list ends the process with SIGSYS. Cannot be
// undone. Call it before the first byte of an image is looked at and before any thread is started. unsupported
// where the kernel has no seccomp: then nothing untrusted may be parsed.
Result<Sandbox> enter_sandbox(const SandboxLimits& limits);

// The same for a process that lists and reads one tree: files and folders may be opened as well, for reading, and below the open
// folder `root` only (where the kernel has no Landlock: anywhere, but never for writing).
class Fd;
Result<Sandbox> enter_tree_sandbox(const SandboxLimits& limits, const Fd& root);

// From now on the process ends soon after its parent has, whatever it is doing.
void die_with_parent();

}  // namespace ntt
