// A flag that says: finish what is in hand, record it, and stop.
#pragma once

#include <atomic>

#include "base/result.h"

namespace ntt {

// Set from a signal handler or another thread; looked at between pieces of work.
class CancelToken {
public:
    void cancel() { flag_.store(true, std::memory_order_relaxed); }
    bool cancelled() const { return flag_.load(std::memory_order_relaxed); }
    Result<void> check() const {
        if (cancelled()) return make_error(ErrorCode::cancelled, "interrupted");
        return {};
    }

private:
    std::atomic<bool> flag_{false};
    static_assert(std::atomic<bool>::is_always_lock_free);
};

}  // namespace ntt
