// Locks itself into the sandbox and then tries something: exit code 0 when it could, 1 when it was refused.
// usage: sandboxed_attempt WHAT
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "os/sandbox.h"

int main(int argc, char** argv) {
    using namespace ntt;
    if (argc != 3) return 64;
    const std::string file = argv[2];  // one that may be written outside the sandbox
    const int open_file = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
    char byte = 'x';
    const std::map<std::string, std::function<bool()>> attempts = {
        {"nothing", [] { return true; }},
        {"read_an_open_file", [&] { return ::pread(open_file, &byte, 1, 0) >= 0; }},
        {"allocate", [] { return std::vector<char>(1 << 20).size() > 0; }},
        {"open_a_file", [&] { return ::open(file.c_str(), O_RDONLY) >= 0; }},
        {"make_a_file", [&] { return ::open((file + "2").c_str(), O_RDWR | O_CREAT, 0600) >= 0; }},
        {"grow_an_open_file", [&] {
             ::signal(SIGXFSZ, SIG_IGN);
             return ::pwrite(open_file, &byte, 1, 1000) == 1;
         }},
        {"unlink", [&] { return ::unlink(file.c_str()) == 0; }},
        {"connect", [] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0; }},
        {"fork", [] { return ::fork() >= 0; }},
        {"exec", [] { return ::execl("/bin/true", "true", nullptr) == 0; }},
        {"kill_parent", [] { return ::kill(::getppid(), SIGCONT) == 0; }},
        {"executable_memory", [] { return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }},
        {"duplicate_a_file", [&] { return ::dup(open_file) >= 0; }},
        {"more_memory_than_allowed", [] { return std::malloc(size_t{1} << 40) != nullptr; }},
        {"more_time_than_allowed", [] {
             for (std::atomic<unsigned> i = 0;; ++i) {
             }
             return true;
         }},
    };
    const auto attempt = attempts.find(argv[1]);
    if (attempt == attempts.end() || open_file < 0) return 64;
    SandboxLimits limits;
    limits.cpu_seconds = 1;
    if (!enter_sandbox(limits).ok()) return 65;
    _exit(attempt->second() ? 0 : 1);
}
