// A program of ours in a process of its own, at the other end of a channel, that may be killed at any time.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "os/channel.h"

namespace ntt {

// How a child came to its end.
struct ChildEnd {
    int exit_code = -1;   // -1: not by itself
    int signal = 0;       // that killed it; 0: none
    std::string words;    // the last it said on stderr, one line, fit for a terminal
    std::string text() const;  // "killed by signal 11 (Segmentation fault): free(): invalid pointer"
};

inline constexpr int kSecondsToDie = 5;

// The file descriptor at which a child finds its channel.
inline constexpr int kChildChannelFd = 3;

// Started with no file open but its channel, /dev/null and a pipe for stderr, in a process group of its own (a ^C at the
// terminal is the parent's to handle), with nothing of the environment but what sanitizers look for.
class ChildProcess {
public:
    // Errors: of posix_spawn (not_found: there is no such program).
    static Result<ChildProcess> start(const std::string& program);
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    ~ChildProcess();  // kills it

    Channel& channel() { return channel_; }
    pid_t pid() const { return pid_; }
    // Kills the child if it is still there and tells how it ended. A child that has hung up gets a moment to end by itself,
    // so that its own end is known and not ours. One that the kernel does not let go (a read that never comes back) is
    // left behind after kSecondsToDie.
    ChildEnd end();

private:
    ChildProcess(pid_t pid, Channel channel, Fd words) : pid_(pid), channel_(std::move(channel)), words_(std::move(words)) {}

    pid_t pid_ = -1;
    Channel channel_;
    Fd words_;
};

}  // namespace ntt
