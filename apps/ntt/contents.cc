#include "contents.h"

#include <fmt/format.h>

namespace ntt::cli {

Result<uint64_t> read_blob(Env& env, Store& store, BlobKind kind, const BlobId& id, const CancelToken& cancel,
                           const std::function<Result<void>(ByteView)>& take) {
    constexpr size_t kPieceBytes = size_t{1} << 20;
    TRY_ASSIGN(const Fd file, store.open_blob(kind, id));
    std::vector<uint8_t> buffer(kPieceBytes);
    Blake3 hash;
    uint64_t size = 0;
    for (;;) {
        TRY(cancel.check());
        TRY_ASSIGN(const size_t n, env.read_at(file, buffer, size));
        const ByteView piece(buffer.data(), n);
        hash.update(piece);
        size += n;
        if (n > 0) TRY(take(piece));
        if (n < buffer.size()) break;
    }
    if (hash.digest() == id) return size;
    return make_error(ErrorCode::store_damaged,
                      fmt::format("the {} content {} has other bytes in the store than its name says", to_string(kind), id.hex()),
                      "ntt verify takes it out of the way; then requeue the file and copy again");
}

}  // namespace ntt::cli
