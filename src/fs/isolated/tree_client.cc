#include "fs/isolated/tree_client.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "fs/isolated/entry_checker.h"
#include "fs/isolated/messages.h"
#include "os/folder.h"

namespace ntt {
namespace {

bool is(const Message& message, MessageType type) { return message.type == static_cast<uint8_t>(type); }

}  // namespace

Result<void> TreeClient::start() {
    if (!program_) {
        if (here_) return {};
        TRY_ASSIGN(Fd root, open_folder_in(root_, "."));
        here_ = std::make_unique<Tree>(std::move(root));
        return {};
    }
    if (process_ && process_->alive()) return {};
    TRY_ASSIGN(process_, ReaderProcess::start(*program_, kTreeFormat, {ImagePart{}}, {root_.raw()}, ReaderProcess::Memory::none));
    return {};
}

// What became of the process, as a caller of read(2) would see it.
Error TreeClient::of_the_tree(Error error, const std::string& action) {
    if (error.code == ErrorCode::parser_timeout) return errno_error(ETIMEDOUT, action);
    if (error.code == ErrorCode::parser_crash || error.code == ErrorCode::limit) return Error{ErrorCode::io, EIO, action + ": " + error.message, ""};
    return error;
}

Result<void> TreeClient::list(EntrySink& sink, const CancelToken& cancel) {
    TRY(start());
    if (here_) return here_->list(sink, cancel);
    TRY(process_->send(MessageType::list, "", &cancel));
    EntryChecker checker;
    for (;;) {
        TRY_ASSIGN(const Message message, process_->receive(&cancel));
        if (is(message, MessageType::end)) return {};
        if (is(message, MessageType::failed)) {
            std::optional<Error> error = decode_error(message.bytes);
            return error ? *std::move(error) : process_->broken("failed");
        }
        if (!is(message, MessageType::entries)) return process_->broken("an answer to another question");
        TRY_ASSIGN(const EntryChecker::Complaint complaint, hand_on(message.bytes, checker, &sink, sink));
        if (complaint) return process_->broken(*complaint);
    }
}

Result<size_t> TreeClient::read_content(const std::string&, const std::string&, uint64_t, ByteSpan) {
    return make_error(ErrorCode::unsupported, "a file of a tree is reached by its path");
}

// One question, one answer.
Result<Message> TreeClient::ask(MessageType type, std::string_view bytes, const std::string& action, const CancelToken& cancel) {
    if (Result<void> sent = process_->send(type, bytes, &cancel); !sent.ok()) return of_the_tree(std::move(sent).take_error(), action);
    Result<Message> answer = process_->receive(&cancel);
    if (!answer.ok()) return of_the_tree(std::move(answer).take_error(), action);
    if (!is(*answer, MessageType::failed)) return answer;
    std::optional<Error> error = decode_error(answer->bytes);
    return error ? *std::move(error) : of_the_tree(process_->broken("failed"), action);
}

Result<void> TreeClient::look(const std::string& path, const CancelToken& cancel) {
    TRY(start());
    if (here_) return here_->look(path);
    const std::string action = "look for " + to_terminal_text(path);
    TRY_ASSIGN(const Message answer, ask(MessageType::tree_content, encode_tree_content({{path, "", 0, std::nullopt, 0}, 0, 0}), action, cancel));
    if (!is(answer, MessageType::bytes) || !answer.bytes.empty()) return of_the_tree(process_->broken("bytes"), action);
    return {};
}

Result<void> TreeClient::check(const CancelToken& cancel) {
    TRY(start());
    if (here_) return here_->check();
    TRY_ASSIGN(const Message answer, ask(MessageType::open, "", "look at the tree", cancel));
    if (!is(answer, MessageType::opened)) return of_the_tree(process_->broken("opened"), "look at the tree");
    return {};
}

Result<size_t> TreeClient::read(const TreeFile& file, uint64_t offset, ByteSpan out, const CancelToken& cancel) {
    TRY(start());
    if (here_) return here_->read(file, offset, out);
    const std::string action = "read " + to_terminal_text(file.path);
    size_t done = 0;
    while (done < out.size()) {
        const ByteSpan piece = out.subspan(done, std::min(out.size() - done, kTreePiece));
        TRY_ASSIGN(const Message answer, ask(MessageType::tree_content, encode_tree_content({file, offset + done, piece.size()}), action, cancel));
        if (!is(answer, MessageType::bytes) || answer.bytes.size() > piece.size()) return of_the_tree(process_->broken("bytes"), action);
        std::copy(answer.bytes.begin(), answer.bytes.end(), piece.begin());
        done += answer.bytes.size();
        if (answer.bytes.size() < piece.size()) break;
    }
    return done;
}

}  // namespace ntt
