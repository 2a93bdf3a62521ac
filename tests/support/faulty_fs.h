// A mounted filesystem that fails on request, for tests of how host files are read. tests/support/faulty_fs/main.cc is the
// program behind it and lists the rules.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/env.h"
#include "support/support.h"

namespace ntt::test {

// Shows a folder read-only at mount_point() until it is destroyed. Whoever still waits for an answer then gets an error: no
// rule makes a test hang for longer than this object lives. A reader that hangs can be killed before.
class FaultyFs {
public:
    explicit FaultyFs(std::string source_dir);
    ~FaultyFs();
    FaultyFs(const FaultyFs&) = delete;
    FaultyFs& operator=(const FaultyFs&) = delete;

    // False, and why_not() has the reason, where one may not mount; NTT_NEED_FAULTY_FS skips the test then. Anything else that
    // goes wrong fails the test too.
    bool start();
    const std::string& why_not() const { return why_not_; }
    const std::string& mount_point() const { return mount_point_; }

    // From the next operation on these rules hold, one a line, and none of those before; counting begins anew. Paths in them
    // are relative to the source. A rule that is none ends the program, which says so on stderr.
    void behave(const std::string& rules);

    struct Read {
        std::string path;  // relative to the source
        uint64_t offset = 0, size = 0;
        std::optional<int64_t> result;  // bytes, or -errno; nothing if there is no answer (hang, die)
    };
    // All since the start, in the order of their answers; those without one stand where they began.
    std::vector<Read> reads() const;
    size_t reads_of(const std::string& path) const;

    // As if it had crashed: the mount stays, and everything on it fails with ENOTCONN.
    void kill_server();

private:
    bool cannot(const std::string& why);
    bool is_mounted();  // and notes the connection

    const std::string source_dir_;
    TempDir dir_;
    std::string mount_point_, control_, said_;
    std::string why_not_;
    std::string connection_;  // the device number of the mount, by which the kernel names the connection
    size_t behaviours_ = 0;
    pid_t server_ = -1;
    Fd lifeline_;  // the server ends when this is closed, also by the death of the test
};

}  // namespace ntt::test

// Starts a FaultyFs, or skips the test with the reason.
#define NTT_NEED_FAULTY_FS(faulty_fs) \
    if (!(faulty_fs).start()) GTEST_SKIP() << "needs FUSE: " << (faulty_fs).why_not()
