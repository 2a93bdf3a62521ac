// The child's side of tree_client.h.
#pragma once

#include <vector>

#include "os/channel.h"
#include "os/sandbox.h"

namespace ntt {

// After hello: locks the process into its one folder and answers until the other side hangs up. Returns the exit code.
int serve_tree(Channel& channel, const SandboxLimits& limits, std::vector<Fd> files);

}  // namespace ntt
