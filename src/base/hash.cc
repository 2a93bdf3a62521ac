#include "base/hash.h"

extern "C" {
#include <blake3.h>
}

namespace ntt {

struct Blake3::State {
    blake3_hasher hasher;
};

Blake3::Blake3() : state_(std::make_unique<State>()) { reset(); }
Blake3::~Blake3() = default;
Blake3::Blake3(Blake3&&) noexcept = default;
Blake3& Blake3::operator=(Blake3&&) noexcept = default;

void Blake3::reset() { blake3_hasher_init(&state_->hasher); }
void Blake3::update(ByteView bytes) { blake3_hasher_update(&state_->hasher, bytes.data(), bytes.size()); }

BlobId Blake3::digest() const {
    BlobId id;
    blake3_hasher_finalize(&state_->hasher, id.bytes.data(), id.bytes.size());
    return id;
}

BlobId blake3_of(ByteView bytes) {
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    blake3_hasher_update(&hasher, bytes.data(), bytes.size());
    BlobId id;
    blake3_hasher_finalize(&hasher, id.bytes.data(), id.bytes.size());
    return id;
}

}  // namespace ntt
