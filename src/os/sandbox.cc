#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "os/env.h"

// AddressSanitizer and ThreadSanitizer reserve terabytes of addresses, and probe memory through pipes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NTT_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NTT_UNDER_SANITIZER 1
#endif
#endif

namespace ntt {
namespace {

// What reading, computing and ending need.
constexpr std::array kAllowed = {
    SCMP_SYS(read),          SCMP_SYS(pread64),      SCMP_SYS(write),        SCMP_SYS(writev),     SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),      SCMP_SYS(poll),         SCMP_SYS(ppoll),        SCMP_SYS(close),      SCMP_SYS(fstat),
    SCMP_SYS(lseek),         SCMP_SYS(brk),          SCMP_SYS(munmap),       SCMP_SYS(mremap),     SCMP_SYS(madvise),
    SCMP_SYS(futex),         SCMP_SYS(sched_yield),  SCMP_SYS(nanosleep),    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),         SCMP_SYS(getrandom),  SCMP_SYS(getpid),
    SCMP_SYS(gettid),        SCMP_SYS(getppid),      SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack), SCMP_SYS(setitimer),  SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),   SCMP_SYS(getrusage),    SCMP_SYS(sysinfo),
};

#ifdef NTT_UNDER_SANITIZER
constexpr std::array kAllowedToSanitizers = {SCMP_SYS(pipe), SCMP_SYS(pipe2)};
#else
constexpr std::array<int, 0> kAllowedToSanitizers = {};
#endif

// Libraries try these on the way, and take a no for an answer.
constexpr std::array kRefused = {
    SCMP_SYS(open),      SCMP_SYS(stat),       SCMP_SYS(lstat),    SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink),  SCMP_SYS(getcwd),   SCMP_SYS(prlimit64), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(uname),     SCMP_SYS(getuid),     SCMP_SYS(geteuid),
};
// Refused without a tree.
constexpr std::array kOfATree = {SCMP_SYS(statx), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(fadvise64), SCMP_SYS(fstatfs)};
constexpr scmp_datum_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

enum class Scope : uint8_t { open_files, tree };

// Opening, and asking where a file lies; nothing that writes.
bool allow_tree(scmp_filter_ctx filter) {
    for (const int call : kOfATree)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
    for (const int command : {F_DUPFD_CLOEXEC, F_GETFL, F_GETFD, F_SETFD})  // and none that sends signals
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command), 0)) != 0) return false;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, kWriting, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FS_IOC_FIEMAP, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_NE, FS_IOC_FIEMAP, 0)) == 0;
}

bool refuse_trees(scmp_filter_ctx filter) {
    for (const int call : kOfATree)
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 0) != 0) return false;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(fcntl), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(ioctl), 0) == 0;
}

bool allow(scmp_filter_ctx filter, Scope scope) {
    if (!(scope == Scope::tree ? allow_tree(filter) : refuse_trees(filter))) return false;
    for (const int call : kAllowed)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
    for (const int call : kAllowedToSanitizers)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
    for (const int call : kRefused)
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 0) != 0) return false;
    // A signal to itself: abort() needs it.
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()), 0)) != 0) return false;
    // Memory, but none that can be executed.
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) != 0) return false;
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)) != 0) return false;
    }
    // fstat(3) of newer C libraries; of open files only.
    constexpr unsigned kEmptyPath = 0x1000;
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, kEmptyPath, 0)) != 0) return false;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_NE, kEmptyPath, 0)) == 0;
}

Result<void> load_seccomp(Scope scope) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == nullptr) return make_error(ErrorCode::unsupported, "no memory for a seccomp filter");
    const bool complete = allow(filter, scope);
    const int loaded = complete ? seccomp_load(filter) : -EINVAL;
    seccomp_release(filter);
    if (loaded == 0) return {};
    Error error = errno_error(-loaded, "restrict system calls with seccomp");
    error.code = ErrorCode::unsupported;
    return error;
}

// A ruleset that handles every right the kernel knows and grants none, but to read below `readable`. Source: Linux
// Documentation/userspace-api/landlock.rst.
bool enter_landlock(const Fd* readable) {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return false;
    struct {
        uint64_t filesystem, network;
    } rights{};
    constexpr uint64_t kVersion1 = (uint64_t{1} << 13) - 1;
    rights.filesystem = kVersion1;
    if (version >= 2) rights.filesystem |= uint64_t{1} << 13;  // moving between folders
    if (version >= 3) rights.filesystem |= uint64_t{1} << 14;  // truncate
    if (version >= 5) rights.filesystem |= uint64_t{1} << 15;  // ioctl on devices
    if (version >= 4) rights.network = 3;                      // bind and connect, TCP
    const size_t size = version >= 4 ? sizeof rights : sizeof rights.filesystem;
    const long ruleset = ::syscall(SYS_landlock_create_ruleset, &rights, size, 0);
    if (ruleset < 0) return false;
    if (readable != nullptr) {
        const landlock_path_beneath_attr below{LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, readable->raw()};
        if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0) {
            ::close(static_cast<int>(ruleset));
            return false;
        }
    }
    const bool entered = ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    ::close(static_cast<int>(ruleset));
    return entered;
}

bool limit(__rlimit_resource_t what, uint64_t value) {
    const rlimit both{value, value};
    return ::setrlimit(what, &both) == 0;
}

constexpr uint64_t kFilesOfATree = 64;

pid_t parent_at_start = 0;

void leave_if_orphaned(int) {
    if (::getppid() != parent_at_start) ::_exit(0);
}

Result<Sandbox> enter(const SandboxLimits& limits, Scope scope, const Fd* root) {
    // Of files: poll(2) fails with a limit of none; new ones would get numbers above it.
    [[maybe_unused]] const uint64_t files = scope == Scope::tree ? kFilesOfATree : 1;
    bool limited = limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_CPU, limits.cpu_seconds);
#ifndef NTT_UNDER_SANITIZER
    limited = limited && limit(RLIMIT_NOFILE, files) && limit(RLIMIT_AS, limits.memory_bytes);
#endif
    if (!limited) return errno_error(errno, "limit this process");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "give up new privileges");
    Sandbox out;
    out.landlock = enter_landlock(root);
    TRY(load_seccomp(scope));
    return out;
}

}  // namespace

Result<Sandbox> enter_sandbox(const SandboxLimits& limits) { return enter(limits, Scope::open_files, nullptr); }

Result<Sandbox> enter_tree_sandbox(const SandboxLimits& limits, const Fd& root) { return enter(limits, Scope::tree, &root); }

void die_with_parent() {
    parent_at_start = ::getppid();
    struct sigaction action {};
    action.sa_handler = leave_if_orphaned;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval every_second{{1, 0}, {1, 0}};
    ::setitimer(ITIMER_REAL, &every_second, nullptr);
}

}  // namespace ntt
