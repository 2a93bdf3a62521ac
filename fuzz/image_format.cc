// What kind of file holds an image: the input's beginning and end.
#include <algorithm>

#include "base/bytes.h"
#include "fuzzer.h"
#include "image/image_format.h"
#include "promises.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace ntt;
    const ByteView file(data, size);
    const ByteView head = file.first(std::min(size, kFormatHeadBytes)), tail = file.last(std::min(size, kFormatTailBytes));
    const ImageFormat format = identify_format(head, tail);
    const bool named = format.kind == ImageFormat::Kind::foreign || format.kind == ImageFormat::Kind::archive;
    NTT_PROMISE(named == !format.foreign.name.empty(), "what is no image that is read is named");
    NTT_PROMISE(is_utf8(format.foreign.name) && is_utf8(format.foreign.hint), "names are text");
    if (const auto tar = tar_variant(head)) NTT_PROMISE(tar->starts_with("a tar archive"), "a tar archive is called one");
    return 0;
}
