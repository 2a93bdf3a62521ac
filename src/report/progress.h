// Progress on a terminal: one line that is drawn again and again and erased at the end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>

#include "copy/progress.h"

namespace ntt {

// What one line is made of.
struct ProgressSnapshot {
    uint64_t files_done = 0, bytes_done = 0;
    uint64_t files_total = 0, bytes_total = 0;
    int64_t elapsed_us = 0;
};

// "  1,204 of 70,112 files  310.5 MiB of 1.6 GiB  8,020 files/s  2,068.1 MB/s  00:01 left". Without control characters.
std::string progress_line(const ProgressSnapshot& snapshot);

// Draws from construction to destruction, from a thread of its own, on `terminal`; does nothing when that is null.
// `counters` must outlive it.
class Progress {
public:
    Progress(std::FILE* terminal, const ProgressCounters& counters);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

private:
    void draw_until_stopped();

    std::FILE* terminal_;
    const ProgressCounters& counters_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    std::thread thread_;
};

// Takes what stands on the line away; put before any other text that goes to the same terminal.
inline constexpr const char* kEraseLine = "\r\033[K";

}  // namespace ntt
