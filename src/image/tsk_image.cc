#include "image/tsk_image.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <mutex>

#include <fmt/format.h>

namespace ntt {

// libtsk hands the TSK_IMG_INFO back to the callbacks; the rest of the object is found behind it.
struct TskImage::Impl {
    TSK_IMG_INFO info{};  // first; holds libtsk's cache, 2 MiB
    const ByteSource* source = nullptr;
    std::mutex mutex;
    std::optional<Error> read_error;

    static ssize_t read(TSK_IMG_INFO* info, TSK_OFF_T offset, char* buffer, size_t length);
    static void close(TSK_IMG_INFO*) {}  // the TskImage owns everything
    static void describe(TSK_IMG_INFO*, FILE*) {}
};

// Either all that there is up to the source's end, or -1: the cache of tsk_img_read copies a negative length when a read
// stops before the place it wanted. A buffer that could not be filled is zeroed, because it may be used all the same.
ssize_t TskImage::Impl::read(TSK_IMG_INFO* info, TSK_OFF_T offset, char* buffer, size_t length) {
    static_assert(offsetof(Impl, info) == 0);
    auto* self = reinterpret_cast<Impl*>(info);
    const uint64_t size = self->source->size_bytes();
    if (offset < 0 || static_cast<uint64_t>(offset) >= size) {
        std::memset(buffer, 0, length);
        tsk_error_reset();
        tsk_error_set_errno(TSK_ERR_IMG_READ_OFF);
        tsk_error_set_errstr("offset %lld is beyond the image's %llu bytes", static_cast<long long>(offset),
                             static_cast<unsigned long long>(size));
        return -1;
    }
    const auto begin = static_cast<uint64_t>(offset);
    const size_t here = std::min<uint64_t>(length, size - begin);
    const auto done = self->source->read(begin, {reinterpret_cast<uint8_t*>(buffer), here});
    if (done.ok()) return static_cast<ssize_t>(here);

    std::memset(buffer, 0, length);
    const std::lock_guard lock(self->mutex);
    if (!self->read_error) self->read_error = done.error();
    tsk_error_reset();
    tsk_error_set_errno(TSK_ERR_IMG_READ);
    tsk_error_set_errstr("%s", done.error().text().c_str());
    return -1;
}

Result<std::unique_ptr<TskImage>> TskImage::open(const ByteSource& source) {
    if (source.size_bytes() > static_cast<uint64_t>(std::numeric_limits<TSK_OFF_T>::max()))
        return make_error(ErrorCode::limit, fmt::format("libtsk cannot address an image of {} bytes", source.size_bytes()));
    std::unique_ptr<TskImage> image(new TskImage);
    image->impl_ = std::make_unique<Impl>();
    image->impl_->source = &source;
    image->info_ = tsk_img_open_external(&image->impl_->info, static_cast<TSK_OFF_T>(source.size_bytes()), source.sector_size(),
                                         &Impl::read, &Impl::close, &Impl::describe);
    if (image->info_ == nullptr) return make_error(ErrorCode::unsupported, "libtsk refuses the image: " + take_tsk_error());
    return image;
}

TskImage::~TskImage() {
    if (info_ != nullptr) tsk_img_close(info_);
}

std::optional<Error> TskImage::take_read_error() {
    const std::lock_guard lock(impl_->mutex);
    return std::exchange(impl_->read_error, std::nullopt);
}

std::string take_tsk_error() {
    const char* words = tsk_error_get();
    std::string text = words == nullptr ? "" : to_terminal_text(words);
    tsk_error_reset();
    return text;
}

}  // namespace ntt
