#include "image/reader_process.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>

#include "base/wire.h"

namespace ntt {
namespace {

// Told in seconds, whole or not.
std::string shown(std::chrono::milliseconds time) { return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000.0); }

}  // namespace

Result<std::unique_ptr<ReaderProcess>> ReaderProcess::start(const ReaderProgram& program, std::string_view format,
                                                            const std::vector<ImagePart>& parts, const std::vector<int>& files,
                                                            Memory memory) {
    NTT_CHECK(!files.empty() && files.size() == parts.size(), "an image without open files cannot be handed to a process");
    if (files.size() >= kMaxFiles)
        return make_error(ErrorCode::limit, fmt::format("the image has {} files; the limit is {}", files.size(), kMaxFiles - 1));
    Hello hello{std::string(format), parts, memory == Memory::shared, program.limits};
    std::vector<int> handed = files;
    SharedMemory shared;
    if (hello.shared) {
        TRY_ASSIGN(shared, SharedMemory::make(kSharedBytes));
        handed.push_back(shared.fd().raw());
    }
    TRY_ASSIGN(ChildProcess child, ChildProcess::start(program.path));
    std::unique_ptr<ReaderProcess> out(new ReaderProcess(program, std::move(child), format == kTreeFormat ? "the process that reads the tree" : "the process that parses the image"));
    out->memory_ = std::move(shared);
    if (const Received sent = out->child_.channel().send_files(handed, program.patience); sent != Received::message)
        return out->failure_of(sent);
    TRY(out->send(MessageType::hello, encode_hello(hello)));
    TRY_ASSIGN(const Message answer, out->receive());
    if (answer.type == static_cast<uint8_t>(MessageType::failed)) {
        auto error = decode_error(answer.bytes);
        return error ? as_of_the_image(*std::move(error)) : out->broken("failed");
    }
    auto ready = decode_ready(answer.bytes);
    if (answer.type != static_cast<uint8_t>(MessageType::ready) || !ready.ok()) return out->broken("ready");
    out->ready_ = std::move(ready).value();
    return out;
}

Error as_of_the_image(Error error) {
    const bool may_say = error.sys_errno == 0 && (error.code == ErrorCode::unsupported || error.code == ErrorCode::malformed ||
                                                  error.code == ErrorCode::limit || error.code == ErrorCode::invalid_argument);
    if (!may_say) error.code = ErrorCode::io;
    error.sys_errno = 0;
    return error;
}

Result<void> ReaderProcess::send(MessageType type, std::string_view bytes, const CancelToken* cancel) {
    NTT_CHECK(alive_, "a request to a reader that is gone");
    if (bytes.size() > kMaxMessageBytes)
        return make_error(ErrorCode::limit, "the rescue map has more ranges than can be told to a parser");
    const Received sent = child_.channel().send(static_cast<uint8_t>(type), bytes, program_.patience, cancel);
    if (sent != Received::message) return failure_of(sent);
    return {};
}

Result<Message> ReaderProcess::receive(const CancelToken* cancel) {
    NTT_CHECK(alive_, "an answer from a reader that is gone");
    for (Message message;;) {
        const Received received = child_.channel().receive(message, program_.patience, cancel);
        if (received != Received::message) return failure_of(received);
        if (message.type != static_cast<uint8_t>(MessageType::progress)) return message;
        // Each byte of the image is new once: whoever claims more is buying time.
        WireReader in(message.bytes);
        const uint64_t fresh = in.number();
        progress_bytes_ += fresh;
        const bool plausible = in.at_end() && fresh > 0 && fresh <= INT64_MAX && progress_bytes_ <= ready_.size_bytes + kProgressBytes;
        if (!plausible) return broken("progress");
    }
}

Error ReaderProcess::broken(std::string_view what) {
    alive_ = false;
    child_.end();
    return make_error(ErrorCode::parser_crash, fmt::format("{} broke its protocol ({})", subject_, what));
}

Error ReaderProcess::failure_of(Received received) {
    alive_ = false;
    if (received == Received::late) {
        child_.end();
        return make_error(ErrorCode::parser_timeout,
                          fmt::format("{} made no progress for {} and was killed", subject_, shown(program_.patience)));
    }
    if (received == Received::cancelled) {
        child_.end();
        return make_error(ErrorCode::cancelled, "interrupted");
    }
    if (received == Received::malformed) return broken("frame");
    const ChildEnd end = child_.end();
    if (end.signal == SIGXCPU)
        return make_error(ErrorCode::limit, fmt::format("{} used up its {} s of processor time", subject_, program_.limits.cpu_seconds));
    if (end.exit_code == kReaderNoMemory)
        return make_error(ErrorCode::limit, fmt::format("{} used up its {} bytes of memory", subject_, program_.limits.memory_bytes));
    if (end.exit_code == kReaderNoSandbox)
        return Error{ErrorCode::unsupported, ENOSYS, "the parser cannot be locked into a sandbox: " + end.words,
                     "nothing was parsed; reader.isolation = \"none\" in the configuration parses without one, for images that you trust"};
    return make_error(ErrorCode::parser_crash, fmt::format("{} died: {}", subject_, end.text()));
}

}  // namespace ntt
