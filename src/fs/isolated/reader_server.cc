#include "fs/isolated/reader_server.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "fs/fs_reader.h"
#include "fs/isolated/channel_sink.h"
#include "fs/isolated/messages.h"
#include "fs/isolated/tree_server.h"
#include "fs/isolated/watched_source.h"
#include "fs/repair/propose.h"
#include "image/container_source.h"
#include "image/isolated_archive.h"
#include "image/raw_source.h"
#include "image/reader_protocol.h"
#include "os/sandbox.h"
#include "os/shared_memory.h"
#include "volume/recognise.h"
#include "volume/volume.h"

namespace ntt {
namespace {

struct FindingList final : FindingSink {
    std::vector<Finding> findings;
    void add(Finding finding) override { findings.push_back(std::move(finding)); }
};

class Server {
public:
    Server(Channel& channel, const ByteSource& source, SharedMemory shared)
        : channel_(channel), shared_(std::move(shared)), source_(source, [this](uint64_t bytes) { tell_progress(bytes); }) {}

    // Until the other side hangs up.
    int run() {
        for (Message request;;) {
            const Received received = channel_.receive(request, kForEver);
            if (received == Received::closed) return kReaderDone;
            if (received != Received::message) return kReaderProtocol;
            source_.take_failure();
            const Result<void> answered = answer(request);
            if (!answered.ok() && !say_failed(answered.error())) return kReaderDone;
        }
    }

private:
    Result<void> answer(const Message& request) {
        switch (static_cast<MessageType>(request.type)) {
            case MessageType::read: return read(request.bytes);
            case MessageType::detect: return detect(request.bytes);
            case MessageType::archive: return archive();
            case MessageType::open: return open(request.bytes);
            case MessageType::list: return list();
            case MessageType::content: return content(request.bytes);
            default: return make_error(ErrorCode::invalid_argument, "no such request");
        }
    }

    Result<void> read(std::string_view message) {
        TRY_ASSIGN(const std::vector<ByteRange> ranges, decode_ranges(message));
        if (ranges.size() != 1 || ranges[0].length > shared_.view().size())
            return make_error(ErrorCode::invalid_argument, "not one range that fits into the shared memory");
        TRY(source_.read(ranges[0].offset, shared_.span().first(ranges[0].length)));
        return say(MessageType::bytes, encode_ranges(source_.damaged_ranges()));
    }

    Result<void> detect(std::string_view message) {
        TRY_ASSIGN(const ReaderOptions options, decode_detect(message));
        const CancelToken never;
        FindingList findings;
        TRY_ASSIGN(Detection detection, detect_volumes(source_, findings));
        TRY(propose_repairs(source_, options, detection, findings, never));
        TRY(find_lost_filesystems(source_, detection, findings));
        return say(MessageType::detection, encode_detection({std::move(detection), std::move(findings.findings)}));
    }

    Result<void> archive() {
        const CancelToken never;
        TRY_ASSIGN(ArchiveContents contents, look_into_archive(source_, ArchiveLimits{}, Clock::system(), never));
        TRY_ASSIGN(contents.image, recognised_in(std::move(contents.head)));
        return say(MessageType::archive_contents, encode_archive(contents));
    }

    Result<void> open(std::string_view message) {
        TRY_ASSIGN(const OpenRequest request, decode_open(message));
        ChannelSink findings(channel_);
        TRY_ASSIGN(reader_, open_reader(source_, request.volume, request.options, findings));
        TRY(findings.flush());
        return say(MessageType::opened, "");
    }

    Result<void> list() {
        if (!reader_) return make_error(ErrorCode::invalid_argument, "no volume is open");
        ChannelSink sink(channel_);
        const CancelToken never;
        const Result<void> listed = reader_->list(sink, never);
        TRY(sink.flush());  // what was found before it ended counts
        TRY(listed);
        return say(MessageType::end, encode_detail(reader_->detail()));
    }

    Result<void> content(std::string_view message) {
        if (!reader_) return make_error(ErrorCode::invalid_argument, "no volume is open");
        TRY_ASSIGN(const ContentRequest request, decode_content(message));
        std::string bytes(static_cast<size_t>(request.length), '\0');
        TRY_ASSIGN(const size_t size, reader_->read_content(request.fs_ino, request.stream, request.offset,
                                                            {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
        return say(MessageType::bytes, std::string_view(bytes).substr(0, size));
    }

    Result<void> say(MessageType type, std::string_view bytes) {
        if (channel_.send(static_cast<uint8_t>(type), bytes, kForEver) != Received::message)
            return make_error(ErrorCode::cancelled, "nobody listens");
        return {};
    }

    // False when nobody listens any more.
    bool say_failed(const Error& error) {
        const auto failure = source_.take_failure();
        return failure ? say(MessageType::host_failed, encode_host_failure(*failure)).ok() : say(MessageType::failed, encode_error(error)).ok();
    }

    void tell_progress(uint64_t bytes) {
        WireWriter out;
        out.number(bytes);
        say(MessageType::progress, out.bytes()).ignore("the next message meets it again");
    }

    Channel& channel_;
    SharedMemory shared_;
    WatchedSource source_;
    std::unique_ptr<FsReader> reader_;
};

// The image's parts, and the shared memory if there is one, by the files that were handed over.
struct Handed {
    std::vector<OpenPart> parts;
    SharedMemory shared;
};

Result<Handed> sort_files(const Hello& hello, std::vector<Fd> files) {
    if (files.size() != hello.parts.size() + (hello.shared ? 1 : 0)) return make_error(ErrorCode::malformed, "not as many files as were announced");
    Handed out;
    if (hello.shared) {
        TRY_ASSIGN(out.shared, SharedMemory::map(std::move(files.back()), kSharedBytes));
    }
    for (size_t i = 0; i < hello.parts.size(); ++i) out.parts.push_back({hello.parts[i], std::move(files[i])});
    return out;
}

// The further files that an image asks for; what is wrong with it otherwise is for opening it to say.
Result<std::vector<std::string>> missing_files(std::string_view format, std::vector<OpenPart>& parts) {
    if (format != "vmdk" || parts.size() != 1) return std::vector<std::string>();
    return vmdk_missing_files(Env::host(), parts);
}

}  // namespace

int serve_reader(Channel& channel) {
    std::vector<Fd> files;
    Message first;
    if (channel.receive_files(files, kMaxFiles, kForEver) != Received::message) return kReaderProtocol;
    if (channel.receive(first, kForEver) != Received::message || first.type != static_cast<uint8_t>(MessageType::hello)) return kReaderProtocol;
    const auto hello = decode_hello(first.bytes);
    if (!hello.ok()) return kReaderProtocol;
    die_with_parent();
    if (hello->format == kTreeFormat) return serve_tree(channel, hello->limits, std::move(files));
    const auto sandbox = enter_sandbox(hello->limits);
    if (!sandbox.ok()) {
        std::fprintf(stderr, "%s\n", sandbox.error().text().c_str());
        return kReaderNoSandbox;
    }
    // From here on nothing can be opened, and the first byte of the image may be looked at.
    auto handed = sort_files(*hello, std::move(files));
    if (!handed.ok()) return kReaderProtocol;
    const auto missing = missing_files(hello->format, handed->parts);
    if (missing.ok() && !missing->empty()) {
        const Ready incomplete{0, 0, sandbox->landlock, *missing};
        channel.send(static_cast<uint8_t>(MessageType::ready), encode_ready(incomplete), kForEver);
        return kReaderDone;
    }
    const auto source = open_image_parts(Env::host(), hello->format, std::move(handed->parts));
    if (!source.ok()) {
        channel.send(static_cast<uint8_t>(MessageType::failed), encode_error(source.error()), kForEver);
        return kReaderDone;
    }
    const Ready ready{(*source)->size_bytes(), (*source)->sector_size(), sandbox->landlock, {}};
    if (channel.send(static_cast<uint8_t>(MessageType::ready), encode_ready(ready), kForEver) != Received::message) return kReaderDone;
    return Server(channel, **source, std::move(handed->shared)).run();
}

}  // namespace ntt
