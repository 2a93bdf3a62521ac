// The kernel's log, record by record.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/env.h"

namespace ntt {

struct KernelRecord {
    uint64_t sequence = 0;
    int64_t at_us = 0;  // since the machine started
    int level = 0;      // 0 emergency … 7 debug
    std::string text;   // as it was logged: may have several lines
};

// What the kernel logs from some moment on. The kernel limits how much it says (about ten records of one kind in 5 s), and may
// overwrite what was not read yet: that a record is not there means nothing.
class KernelLog {
public:
    virtual ~KernelLog() = default;
    // The number that the next record will have. Fails with permission or io where the log cannot be read.
    virtual Result<uint64_t> next_sequence() = 0;
    // Records from `sequence` on, in order; of old ones as far as they were kept.
    virtual Result<std::vector<KernelRecord>> since(uint64_t sequence) = 0;
};

// /dev/kmsg, from now on. Keeps the newest kKeptRecords. One thread. Fails with permission where only root may read it
// (kernel.dmesg_restrict), not_found where there is none.
inline constexpr size_t kKeptRecords = 4096;
Result<std::unique_ptr<KernelLog>> open_kernel_log();

// One record as /dev/kmsg gives it, without what stands behind its first newline (the dictionary); nullopt if it is none.
// Source: Linux Documentation/ABI/testing/dev-kmsg: "level,sequence,microseconds,flags[,…];text", with \xHH for what is not
// printable.
std::optional<KernelRecord> parse_kernel_record(std::string_view record);

}  // namespace ntt
