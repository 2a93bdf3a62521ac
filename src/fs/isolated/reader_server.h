// The whole of a reader process: takes the image, locks itself in, answers until the other side hangs up.
#pragma once

#include "os/channel.h"

namespace ntt {

// Returns the process's exit code (ReaderExit). Must be called before any thread is started; see enter_sandbox().
int serve_reader(Channel& channel);

}  // namespace ntt
