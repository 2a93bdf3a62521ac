// Extents as the catalog holds them: any bytes, and any extents there and back.
#include <cstring>

#include "base/extent.h"
#include "fuzzer.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace ntt;
    const auto decoded = decode_extents({reinterpret_cast<const char*>(data), size});
    if (decoded.ok())
        NTT_PROMISE(decode_extents(encode_extents(*decoded)).value() == *decoded, "what was decoded comes back");
    else
        NTT_PROMISE(decoded.error().code == ErrorCode::catalog_damaged, "bytes that are no extents are damage of the catalog");

    constexpr size_t kNumbers = 3 * sizeof(uint64_t);
    std::vector<Extent> extents;
    for (size_t at = 0; at + kNumbers < size; at += kNumbers + 1) {
        uint64_t numbers[3];
        std::memcpy(numbers, data + at, kNumbers);
        const auto kind = static_cast<ExtentKind>(data[at + kNumbers] % 3);
        extents.push_back({numbers[0], kind == ExtentKind::hole ? 0 : numbers[1], numbers[2] >> 2, kind});
    }
    NTT_PROMISE(decode_extents(encode_extents(extents)).value() == extents, "extents come back as they were");
    return 0;
}
