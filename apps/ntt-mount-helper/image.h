// The image, opened once and read-only; whatever happens to its path afterwards, the helper means this file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/env.h"

namespace ntt::mount_helper {

struct Image {
    Fd fd;             // O_RDONLY
    std::string path;  // of the opened file, without symlinks; for messages
    uint64_t size_bytes = 0;
    dev_t device = 0;  // with inode: which file it is
    ino_t inode = 0;
};

// Opens without any side effect first (O_PATH, the last part being no symlink), looks at what was really opened, and only
// then opens that very file for reading. Root may open any regular file or block device; others a regular file that lies
// below one of `roots`, and from the error they do not learn what exists elsewhere.
Result<Image> open_image(const std::string& path, uid_t real_user, const std::vector<std::string>& roots);

}  // namespace ntt::mount_helper
