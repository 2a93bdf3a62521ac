// A tree that is listed and read by a process of its own: a filesystem that hangs costs that process, not this one.
#pragma once

#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "fs/posix/tree.h"
#include "image/reader_process.h"

namespace ntt {

// The calls of Tree with the same answers. One thread at a time.
class TreeClient final : public FsReader {
public:
    // `root`: an open folder, which must outlive this. `program` null: everything happens in this process, and may hang.
    TreeClient(const Fd& root, std::shared_ptr<const ReaderProgram> program) : root_(root), program_(std::move(program)) {}

    Result<void> list(EntrySink& sink, const CancelToken& cancel) override;
    // unsupported: a tree's files are reached by their paths, with read().
    Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) override;

    // At most kTreePiece bytes at once: what is slow makes progress that shows. Errors besides those of Tree::read: ETIMEDOUT when
    // the filesystem did not answer for program.patience; that process is lost, and one that the kernel does not let go
    // stays behind. EIO when the process died.
    Result<size_t> read(const TreeFile& file, uint64_t offset, ByteSpan out, const CancelToken& cancel);

    // Tree::look(), with the Errors of read().
    Result<void> look(const std::string& path, const CancelToken& cancel);
    // Tree::check(), likewise.
    Result<void> check(const CancelToken& cancel);

private:
    Result<void> start();
    Result<Message> ask(MessageType type, std::string_view bytes, const std::string& action, const CancelToken& cancel);
    Error of_the_tree(Error error, const std::string& action);

    const Fd& root_;
    const std::shared_ptr<const ReaderProgram> program_;
    std::unique_ptr<ReaderProcess> process_;
    std::unique_ptr<Tree> here_;  // without a program
};

inline constexpr size_t kTreePiece = size_t{128} << 10;

}  // namespace ntt
