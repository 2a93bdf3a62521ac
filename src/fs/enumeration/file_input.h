// A file from front to back through a buffer.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "os/env.h"

namespace ntt {

// The file must outlive it. Holds 1 MiB, or as much as the longest look.
class FileInput {
public:
    FileInput(Env& env, const Fd& file, uint64_t offset) : env_(env), file_(file), offset_(offset) {}

    // The next `size` bytes without taking them; fewer only at the end of the file. Good until the next call.
    Result<std::string_view> look(size_t size) {
        if (buffer_.size() - taken_ < size && !at_end_) TRY(fill(size));
        return std::string_view(buffer_).substr(taken_, size);
    }

    // Goes on behind `size` bytes that were looked at.
    void take(size_t size) {
        taken_ += size;
        offset_ += size;
    }

    // Of the next byte, in the file.
    uint64_t offset() const { return offset_; }

private:
    static constexpr size_t kBufferBytes = 1 << 20;

    Result<void> fill(size_t size) {
        buffer_.erase(0, taken_);
        taken_ = 0;
        const size_t held = buffer_.size();
        buffer_.resize(std::max(size, kBufferBytes));
        const ByteSpan rest = {reinterpret_cast<uint8_t*>(buffer_.data()) + held, buffer_.size() - held};
        const Result<size_t> read = env_.read_at(file_, rest, offset_ + held);
        buffer_.resize(held + (read.ok() ? *read : 0));
        TRY(read);
        at_end_ = *read < rest.size();
        return {};
    }

    Env& env_;
    const Fd& file_;
    std::string buffer_;
    size_t taken_ = 0;     // of the buffer
    uint64_t offset_ = 0;  // in the file, of buffer_[taken_]
    bool at_end_ = false;
};

}  // namespace ntt
