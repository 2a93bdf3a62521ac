// Exit codes of every command (design, section 9): other programs rely on them.
#pragma once

#include <string_view>

#include "base/result.h"

namespace ntt {

enum class Exit : int {
    done = 0,
    failed = 1,
    usage = 2,
    damaged = 3,        // done, but some files are damaged or unreadable, a filesystem could not be read, or one may not have been found
    work_left = 4,      // --limit, observe, a parked medium
    store_damaged = 5,  // our store or catalog
    busy = 75,
    interrupted = 130,
};

inline int to_int(Exit exit) { return static_cast<int>(exit); }
// What the code means, for help pages.
std::string_view words_of(Exit exit);
// The code for a command that ended with this error.
Exit exit_of(const Error& error);
// Of several sources the worst counts: interrupted, store_damaged, busy, failed, damaged, work_left, done.
Exit worst(Exit a, Exit b);

}  // namespace ntt
