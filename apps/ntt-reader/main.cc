// ntt-reader: parses what an image holds, locked into a sandbox. Started by ntt, never by hand.
#include <unistd.h>

#include <cstdio>
#include <new>

#include "fs/isolated/reader_server.h"
#include "image/reader_protocol.h"
#include "os/child_process.h"

int main(int argc, char**) {
    if (argc != 1 || isatty(ntt::kChildChannelFd) == 1) {
        std::fputs("ntt-reader is started by ntt, which hands it an image; it takes no arguments\n", stderr);
        return ntt::kReaderUsage;
    }
    std::set_new_handler([] { _exit(ntt::kReaderNoMemory); });
    ntt::Channel channel{ntt::Fd(ntt::kChildChannelFd)};
    // Nothing is worth tidying up behind the sandbox, and the checkers of a test build could not.
    _exit(ntt::serve_reader(channel));
}
