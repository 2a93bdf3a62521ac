// A stretch of memory that two processes see.
#pragma once

#include <cstddef>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

// What stands in it may change at any time while the other side can write: copy it out once, then look at the copy.
class SharedMemory {
public:
    SharedMemory() = default;
    // A new one of `size` bytes, which nobody can shrink or grow: reading it never faults.
    static Result<SharedMemory> make(size_t size);
    // Maps what another process made.
    static Result<SharedMemory> map(Fd fd, size_t size);
    SharedMemory(SharedMemory&& other) noexcept;
    SharedMemory& operator=(SharedMemory&& other) noexcept;
    ~SharedMemory();

    const Fd& fd() const { return fd_; }
    ByteView view() const { return {bytes_, size_}; }
    ByteSpan span() { return {bytes_, size_}; }

private:
    Fd fd_;
    uint8_t* bytes_ = nullptr;
    size_t size_ = 0;
};

}  // namespace ntt
