// Our image behind libtsk's image interface (tsk_img_open_external), so that what libtsk sees is ours to define.
#pragma once

#include <tsk/libtsk.h>

#include <memory>
#include <string>

#include "image/byte_source.h"

namespace ntt {

// Bytes that libtsk may ask for: beyond the source's end a read is short, as libtsk expects. `absent` ranges (sorted)
// are bytes the rescue map says were not read: they are given as the image has them (zeros), and noted in `touched`.
class TskImage {
public:
    // The source must outlive this. `visible_size` may be larger than the source (a truncated partition): bytes beyond
    // the source read as an error.
    static Result<std::unique_ptr<TskImage>> open(const ByteSource& source);
    ~TskImage();
    TskImage(const TskImage&) = delete;
    TskImage& operator=(const TskImage&) = delete;

    TSK_IMG_INFO* get() { return info_; }
    // The first failure of a read of the source since the last call, if any: libtsk itself reports little of it.
    std::optional<Error> take_read_error();

private:
    TskImage() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
    TSK_IMG_INFO* info_ = nullptr;
};

// libtsk's thread-local error text of the last failed call, as one line; clears it.
std::string take_tsk_error();

}  // namespace ntt
