// BLAKE3-256, the only hash that names contents.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/ids.h"

namespace ntt {

// Streaming hasher. One thread at a time; reset() makes it new.
class Blake3 {
public:
    Blake3();
    ~Blake3();
    Blake3(Blake3&&) noexcept;
    Blake3& operator=(Blake3&&) noexcept;

    void reset();
    void update(ByteView bytes);
    // The hash of all bytes so far; more may follow.
    BlobId digest() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

BlobId blake3_of(ByteView bytes);

}  // namespace ntt
