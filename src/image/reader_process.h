// The parent's side of one ntt-reader: a sandboxed process that parses what an image holds, so that a bad image costs
// its volume and nothing else. Whatever it says is taken as hostile.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "image/byte_source.h"
#include "image/reader_protocol.h"
#include "os/child_process.h"
#include "os/sandbox.h"
#include "os/shared_memory.h"

namespace ntt {

// How images are parsed: by which program, and what it may use.
struct ReaderProgram {
    std::string path;                            // of ntt-reader
    SandboxLimits limits;                        // of each process
    std::chrono::milliseconds patience{60'000};  // without a new entry or a new byte of the image it counts as hung
};

// What a process says went wrong, as far as it may: never this computer's trouble, and never an order to stop the run. What
// claims to be one comes out as io without an errno.
Error as_of_the_image(Error error);

// What can become of a request. All but cancelled and the host's own (of starting a process) cost the volume only:
//   parser_crash    the process died, or what it said is no message of the protocol
//   parser_timeout  nothing new for too long; it was killed
//   limit           it used up its memory or its time
//   cancelled       the caller's token was set; the process was killed
// After an Error the process is gone.
class ReaderProcess {
public:
    enum class Memory : uint8_t { none, shared };

    // Starts a process and hands it the image's open files. It is ready, or says what is wrong with the image: malformed,
    // unsupported, limit as open_image() does, or io. ready().missing_files may ask for more files.
    static Result<std::unique_ptr<ReaderProcess>> start(const ReaderProgram& program, std::string_view format,
                                                        const std::vector<ImagePart>& parts, const std::vector<int>& files,
                                                        Memory memory);

    const Ready& ready() const { return ready_; }

    Result<void> send(MessageType type, std::string_view bytes, const CancelToken* cancel = nullptr);
    // The next message; progress is taken in here. A message `failed` or `host_failed` is the caller's to read.
    Result<Message> receive(const CancelToken* cancel = nullptr);
    // Ends the process because what it said was no message of the protocol.
    Error broken(std::string_view what);

    bool alive() const { return alive_; }
    pid_t pid() const { return child_.pid(); }
    ByteView shared() const { return memory_.view(); }

private:
    ReaderProcess(const ReaderProgram& program, ChildProcess child, std::string_view subject) : program_(program), subject_(subject), child_(std::move(child)) {}
    Error failure_of(Received received);

    const ReaderProgram program_;
    const std::string_view subject_;  // in messages
    ChildProcess child_;
    SharedMemory memory_;
    Ready ready_;
    uint64_t progress_bytes_ = 0;
    bool alive_ = true;
};

// A process that has done its work on an image and can do more on it: starting one costs more than listing a floppy.
struct SpareReader {
    std::unique_ptr<ReaderProcess> process;
};

}  // namespace ntt
