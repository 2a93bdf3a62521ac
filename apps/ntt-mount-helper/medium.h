// The three verbs, for one medium. Mounts are found in the mount table and by what their loop devices show: nothing is kept
// elsewhere that could be stale.
#pragma once

#include <nlohmann/json.hpp>

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "config.h"
#include "request.h"

namespace ntt::mount_helper {

// Takes a finished report; what mount did is undone if it fails.
using Deliver = std::function<Result<void>(const nlohmann::ordered_json& report)>;

// Mounts what is not mounted yet. Errors, after all that was done is undone: nothing could be mounted; another image is
// mounted under this hash; a mount hangs; interrupted; the report cannot be delivered.
Result<void> mount_medium(const Config& config, const Request& request, uid_t real_user, const Deliver& deliver);

// Also when nothing is mounted.
Result<void> unmount_medium(const Config& config, const Request& request, const Deliver& deliver);

enum class Mounted { yes, no };
Result<Mounted> status_of_medium(const Config& config, const Request& request, const Deliver& deliver);

}  // namespace ntt::mount_helper
