// The language of LVM2's metadata, which nothing but a checksum protects.
#include <nlohmann/json.hpp>
#include <string_view>

#include "fuzzer.h"
#include "promises.h"
#include "volume/lvm_text.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto parsed = ntt::parse_lvm_text({reinterpret_cast<const char*>(data), size});
    if (parsed.ok()) {
        NTT_PROMISE(parsed->is_object(), "a text is a section");
        NTT_PROMISE(nlohmann::json::accept(parsed->dump()), "values are UTF-8");  // dump() ends the program where they are not
    } else {
        NTT_PROMISE(parsed.error().code == ntt::ErrorCode::malformed || parsed.error().code == ntt::ErrorCode::limit,
                    "what is no metadata is malformed");
    }
    return 0;
}
