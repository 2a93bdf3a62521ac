// A new file, written from front to back through a buffer.
#pragma once

#include <string>
#include <string_view>

#include "os/env.h"

namespace ntt {

// The file must be empty and outlive it. What was not flushed is lost without a word; syncing is the owner's affair.
class FileOutput {
public:
    FileOutput(Env& env, const Fd& file) : env_(env), file_(file) {}

    Result<void> append(std::string_view bytes) {
        buffer_ += bytes;
        if (buffer_.size() >= kBufferBytes) return flush();
        return {};
    }

    Result<void> flush() {
        TRY(env_.write_at(file_, as_bytes(buffer_), written_));
        written_ += buffer_.size();
        buffer_.clear();
        return {};
    }

private:
    static constexpr size_t kBufferBytes = 1 << 20;

    Env& env_;
    const Fd& file_;
    std::string buffer_;
    uint64_t written_ = 0;
};

}  // namespace ntt
