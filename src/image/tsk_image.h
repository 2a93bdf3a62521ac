// Our image behind libtsk's image interface (tsk_img_open_external), so that what libtsk sees is ours to define.
#pragma once

#include <tsk/libtsk.h>

#include <memory>
#include <optional>
#include <string>

#include "image/byte_source.h"

namespace ntt {

// A ByteSource as libtsk's TSK_IMG_INFO. Beyond the source's end reads are short, as libtsk expects.
//
// Threads: libtsk takes one lock per image for every read, so one TskImage serves one read at a time; two threads that
// are to read at once need a TskImage each, on the same source.
//
// libtsk reads through a cache of 64 KiB lines; longer reads go straight to the source. It does not report all failures:
// in tsk_img_read (4.11.1, measured) every read whose length is no multiple of the sector size is said to have succeeded
// when it failed, and what then stands in the buffer is taken for content (here: zeros). So call take_read_error() after
// using libtsk, also after calls that went well.
class TskImage {
public:
    // The source must outlive this. limit when the source is larger than libtsk's signed offsets.
    static Result<std::unique_ptr<TskImage>> open(const ByteSource& source);
    ~TskImage();
    TskImage(const TskImage&) = delete;
    TskImage& operator=(const TskImage&) = delete;

    TSK_IMG_INFO* get() { return info_; }
    // The first failure of a read of the source since the last call, if any. Thread-safe.
    std::optional<Error> take_read_error();

private:
    TskImage() = default;
    struct Impl;
    std::unique_ptr<Impl> impl_;
    TSK_IMG_INFO* info_ = nullptr;
};

// libtsk's thread-local error text of the last failed call, as one line; clears it. Empty if there is none.
std::string take_tsk_error();

}  // namespace ntt
