#include "clean_start.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "timed_child.h"

namespace ntt::mount_helper {

Result<uid_t> real_user() {
    const char* sudo = std::getenv("SUDO_UID");
    if (::getuid() != 0 || sudo == nullptr) return ::getuid();
    const std::string_view text = sudo;
    uid_t user = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), user);
    if (failed != std::errc() || end != text.data() + text.size() || user == std::numeric_limits<uid_t>::max())
        return make_error(ErrorCode::malformed, "SUDO_UID is no user's number");
    return user;
}

Result<void> start_clean() {
    // A caller may have closed some of these, and then the next file to be opened would be taken for stdout.
    for (;;) {
        const int fd = ::open("/dev/null", O_RDWR);
        if (fd < 0) return errno_error(errno, "open /dev/null");
        if (fd > STDERR_FILENO) break;
    }
    ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    ::clearenv();
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    ::umask(022);
    if (::chdir("/") != 0) return errno_error(errno, "change to /");
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t no_signals;
    sigemptyset(&no_signals);
    ::sigprocmask(SIG_SETMASK, &no_signals, nullptr);
    catch_interrupts();
    if (::geteuid() != 0)
        return make_error(ErrorCode::permission, "this needs root: call it through sudo (docs/mount-helper.md)");
    if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
        return errno_error(errno, "become root");
    return {};
}

}  // namespace ntt::mount_helper
