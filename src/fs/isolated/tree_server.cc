#include "fs/isolated/tree_server.h"

#include <cstdio>
#include <string>
#include <utility>

#include "fs/isolated/channel_sink.h"
#include "fs/isolated/messages.h"
#include "fs/posix/tree.h"
#include "image/reader_protocol.h"

namespace ntt {
namespace {

class TreeServer {
public:
    TreeServer(Channel& channel, Tree tree) : channel_(channel), tree_(std::move(tree)) {}

    int run() {
        for (Message request;;) {
            const Received received = channel_.receive(request, kForEver);
            if (received == Received::closed) return kReaderDone;
            if (received != Received::message) return kReaderProtocol;
            const Result<void> answered = answer(request);
            if (!answered.ok() && !say(MessageType::failed, encode_error(answered.error())).ok()) return kReaderDone;
        }
    }

private:
    Result<void> answer(const Message& request) {
        switch (static_cast<MessageType>(request.type)) {
            case MessageType::open: return check();
            case MessageType::list: return list();
            case MessageType::tree_content: return content(request.bytes);
            default: return make_error(ErrorCode::invalid_argument, "no such request of a tree");
        }
    }

    Result<void> check() {
        TRY(tree_.check());
        return say(MessageType::opened, "");
    }

    Result<void> list() {
        ChannelSink sink(channel_);
        const CancelToken never;
        const Result<void> listed = tree_.list(sink, never);
        TRY(sink.flush());  // what was found before it ended counts
        TRY(listed);
        return say(MessageType::end, encode_detail("{}"));
    }

    Result<void> content(std::string_view message) {
        TRY_ASSIGN(const TreeContentRequest request, decode_tree_content(message));
        if (request.length == 0) {
            TRY(tree_.look(request.file.path));
            return say(MessageType::bytes, "");
        }
        std::string bytes(static_cast<size_t>(request.length), '\0');
        TRY_ASSIGN(const size_t size, tree_.read(request.file, request.offset, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
        return say(MessageType::bytes, std::string_view(bytes).substr(0, size));
    }

    Result<void> say(MessageType type, std::string_view bytes) {
        if (channel_.send(static_cast<uint8_t>(type), bytes, kForEver) != Received::message)
            return make_error(ErrorCode::cancelled, "nobody listens");
        return {};
    }

    Channel& channel_;
    Tree tree_;
};

}  // namespace

int serve_tree(Channel& channel, const SandboxLimits& limits, std::vector<Fd> files) {
    if (files.size() != 1) return kReaderProtocol;
    const auto sandbox = enter_tree_sandbox(limits, files.front());
    if (!sandbox.ok()) {
        std::fprintf(stderr, "%s\n", sandbox.error().text().c_str());
        return kReaderNoSandbox;
    }
    Ready ready;
    ready.size_bytes = 1;  // a tree has none, and without one an image would ask for more files
    ready.landlock = sandbox->landlock;
    if (channel.send(static_cast<uint8_t>(MessageType::ready), encode_ready(ready), kForEver) != Received::message) return kReaderDone;
    return TreeServer(channel, Tree(std::move(files.front()))).run();
}

}  // namespace ntt
