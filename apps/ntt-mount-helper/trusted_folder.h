// Folders and files that only root can change: what the helper reads its orders from, and where it mounts.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/result.h"
#include "os/env.h"

namespace ntt::mount_helper {

// permission, naming `what`, unless root owns it and neither its group nor others may write to it.
Result<void> check_only_root_writes(const struct stat& status, const std::string& what);

enum class Missing { make, fail };

// Opens a folder by an absolute path without ".", ".." and empty parts, step by step from "/", following no symlink; each
// folder on the way passes check_only_root_writes, so that nobody else can put another in its place later. Missing ones are
// made with mode 0755, or it is not_found.
Result<Fd> open_trusted_folder(const std::string& path, Missing missing);
// One step of it. `path` is for messages.
Result<Fd> open_trusted_subfolder(const Fd& parent, const std::string& name, const std::string& path, Missing missing);

}  // namespace ntt::mount_helper
