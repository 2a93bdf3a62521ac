// Runs a command and tells what it cost: wall seconds, CPU seconds, and the peak of resident memory over the command
// and everything it started, mapped pages counted (a page shared by two processes counts twice: an upper bound).
//
//   measure OUT_FILE COMMAND [ARGUMENT…]      appends "exit=… wall_s=… cpu_s=… peak_kib=…"; exits as COMMAND did
#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSampleInterval{10};
constexpr int kMaxDepth = 32;

uint64_t resident_kib(const std::string& process) {
    std::ifstream statm("/proc/" + process + "/statm");
    uint64_t total_pages = 0, resident_pages = 0;
    statm >> total_pages >> resident_pages;
    return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

// Sum over a process and its descendants; each thread lists the children it started.
uint64_t tree_kib(const std::string& process, int depth) {
    uint64_t sum = resident_kib(process);
    const std::string tasks = "/proc/" + process + "/task";
    DIR* dir = depth < kMaxDepth ? opendir(tasks.c_str()) : nullptr;
    if (!dir) return sum;
    while (const dirent* task = readdir(dir)) {
        std::ifstream children(tasks + "/" + task->d_name + "/children");
        for (std::string child; children >> child;) sum += tree_kib(child, depth + 1);
    }
    closedir(dir);
    return sum;
}

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: measure OUT_FILE COMMAND [ARGUMENT...]\n"), 2;
    const Clock::time_point start = Clock::now();
    const pid_t child = fork();
    if (child < 0) return std::perror("fork"), 1;
    if (child == 0) {
        execvp(argv[2], argv + 2);
        std::perror(argv[2]);
        _exit(127);
    }

    int status = 0;
    rusage usage{};
    uint64_t peak_kib = 0;
    while (wait4(child, &status, WNOHANG, &usage) == 0) {
        peak_kib = std::max(peak_kib, tree_kib(std::to_string(child), 0));
        std::this_thread::sleep_for(kSampleInterval);
    }
    const double wall = std::chrono::duration<double>(Clock::now() - start).count();
    // The kernel's own peak of the largest single process catches what fell between two samples.
    peak_kib = std::max(peak_kib, static_cast<uint64_t>(usage.ru_maxrss));
    const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

    std::FILE* out = std::fopen(argv[1], "a");
    if (!out) return std::perror(argv[1]), 1;
    std::fprintf(out, "exit=%d wall_s=%.3f cpu_s=%.3f peak_kib=%llu\n", exit_code, wall,
                 seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<unsigned long long>(peak_kib));
    return std::fclose(out) == 0 ? exit_code : 1;
}
