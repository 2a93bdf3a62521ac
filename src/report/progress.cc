#include "report/progress.h"

#include <chrono>

#include <fmt/format.h>

#include "base/clock.h"
#include "report/table.h"

namespace ntt {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr int64_t kFirstRate_us = 300'000;  // rates over a shorter time jump about

std::string clock_text(uint64_t seconds) {
    if (seconds >= 3600) return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    return fmt::format("{:02}:{:02}", seconds / 60, seconds % 60);
}

}  // namespace

std::string progress_line(const ProgressSnapshot& now) {
    std::string out = with_commas(now.files_done);
    if (now.files_total != 0) out += " of " + with_commas(now.files_total);
    out += " files  " + human_size(now.bytes_done);
    if (now.bytes_total != 0) out += " of " + human_size(now.bytes_total);
    if (now.elapsed_us < kFirstRate_us) return out;

    const double seconds = static_cast<double>(now.elapsed_us) / 1e6;
    const double bytes_rate = static_cast<double>(now.bytes_done) / seconds;
    out += fmt::format("  {} files/s  {:.1f} MB/s",
                       with_commas(static_cast<uint64_t>(static_cast<double>(now.files_done) / seconds)), bytes_rate / 1e6);
    if (now.bytes_total > now.bytes_done && bytes_rate >= 1)
        out += "  " + clock_text(static_cast<uint64_t>(static_cast<double>(now.bytes_total - now.bytes_done) / bytes_rate)) +
               " left";
    return out;
}

Progress::Progress(std::FILE* terminal, const ProgressCounters& counters) : terminal_(terminal), counters_(counters) {
    if (terminal_ != nullptr) thread_ = std::thread([this] { draw_until_stopped(); });
}

Progress::~Progress() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    std::fputs(kEraseLine, terminal_);
    std::fflush(terminal_);
}

void Progress::draw_until_stopped() {
    const int64_t start = Clock::system().monotonic_us();
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kRedraw, [this] { return stop_; })) {
        const ProgressSnapshot now{counters_.files_done, counters_.bytes_done, counters_.files_total, counters_.bytes_total,
                                   Clock::system().monotonic_us() - start};
        std::fputs((kEraseLine + progress_line(now)).c_str(), terminal_);
        std::fflush(terminal_);
    }
}

}  // namespace ntt
