#include "os/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace ntt {

Result<SharedMemory> SharedMemory::make(size_t size) {
    Fd fd(::memfd_create("ntt-reader", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid() || ::ftruncate(fd.raw(), static_cast<off_t>(size)) != 0 ||
        ::fcntl(fd.raw(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return errno_error(errno, "make shared memory");
    return map(std::move(fd), size);
}

Result<SharedMemory> SharedMemory::map(Fd fd, size_t size) {
    void* bytes = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.raw(), 0);
    if (bytes == MAP_FAILED) return errno_error(errno, "map shared memory");
    SharedMemory out;
    out.fd_ = std::move(fd);
    out.bytes_ = static_cast<uint8_t*>(bytes);
    out.size_ = size;
    return out;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
}

SharedMemory::~SharedMemory() {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
}

}  // namespace ntt
