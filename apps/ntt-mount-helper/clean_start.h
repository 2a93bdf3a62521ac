// What a privileged program does before anything else: it learns who really asks, and drops all that the caller chose.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace ntt::mount_helper {

// The user behind sudo ($SUDO_UID, believed only if root runs this process), else the one of this process. To be asked before
// start_clean(), which drops the environment. malformed if SUDO_UID is no number.
Result<uid_t> real_user();

// No files open but 0, 1 and 2; no environment but a fixed PATH; root in all its ids; umask 022; "/" as working directory;
// no core dumps; SIGPIPE ignored, and SIGINT, SIGTERM and SIGHUP noted (timed_child.h). permission if this is not root.
Result<void> start_clean();

}  // namespace ntt::mount_helper
