// Counters that the copier raises and a display reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace ntt {

// For people, not for decisions. A total of 0 is not known.
struct ProgressCounters {
    std::atomic<uint64_t> files_done{0}, bytes_done{0}, files_total{0}, bytes_total{0};
    // Rises with every piece of an image or file that was read, or could not be: whoever hangs does not raise it.
    std::atomic<uint64_t> signs_of_life{0};
};

}  // namespace ntt
