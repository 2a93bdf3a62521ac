#include "loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace ntt::mount_helper {
namespace {

constexpr std::string_view kPrefix = "/dev/loop";
constexpr unsigned kLoopMajor = 7;  // Linux Documentation/admin-guide/devices.txt
constexpr int kMaxTries = 256;      // another process may take the free device first; so many in a row do not
constexpr useconds_t kPauseMicroseconds = 2000;
constexpr uint64_t kSectorBytes = 512;

Result<Fd> open_loop(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) return errno_error(errno, "open " + path);
    TRY_ASSIGN(const struct stat status, Env::host().stat_fd(fd));
    if (!S_ISBLK(status.st_mode) || major(status.st_rdev) != kLoopMajor)
        return make_error(ErrorCode::invalid_argument, path + " is no loop device");
    return fd;
}

}  // namespace

Result<LoopDevice> attach_loop(const Image& image, ByteRange range) {
    // A size limit of 0 would mean: no limit.
    if (range.length < kSectorBytes) return make_error(ErrorCode::invalid_argument, "it is smaller than a sector");
    const Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.valid()) return errno_error(errno, "open /dev/loop-control");
    loop_config config{};
    config.fd = static_cast<__u32>(image.fd.raw());
    config.info.lo_offset = range.offset;
    config.info.lo_sizelimit = range.length;
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    std::memcpy(config.info.lo_file_name, image.path.data(), std::min<size_t>(image.path.size(), LO_NAME_SIZE - 1));
    for (int i = 0; i < kMaxTries; ++i) {
        const int number = ::ioctl(control.raw(), LOOP_CTL_GET_FREE);
        if (number < 0) return errno_error(errno, "find a free loop device");
        LoopDevice out;
        out.path = fmt::format("{}{}", kPrefix, number);
        Result<Fd> fd = open_loop(out.path);
        // Between being made and being there, or while its last user lets go, a device may not open.
        if (fd.ok()) {
            out.fd = std::move(fd).value();
            if (::ioctl(out.fd.raw(), LOOP_CONFIGURE, &config) == 0) return out;
            if (errno != EBUSY) return errno_error(errno, "attach the image to " + out.path);
        } else if (i + 1 == kMaxTries || fd.error().code == ErrorCode::invalid_argument) {
            return std::move(fd).take_error();
        }
        ::usleep(kPauseMicroseconds);
    }
    return make_error(ErrorCode::busy, "others take every free loop device first");
}

std::optional<LoopBacking> loop_backing(const std::string& path, Fd* opened) {
    if (!path.starts_with(kPrefix)) return std::nullopt;
    Result<Fd> fd = open_loop(path);
    loop_info64 info{};
    if (!fd.ok() || ::ioctl(fd->raw(), LOOP_GET_STATUS64, &info) != 0) return std::nullopt;
    if (opened != nullptr) *opened = std::move(fd).value();
    return LoopBacking{info.lo_device, info.lo_inode, {info.lo_offset, info.lo_sizelimit}};
}

bool is_free_loop(const std::string& path) {
    if (!path.starts_with(kPrefix)) return true;
    struct stat status {};
    return ::stat(fmt::format("/sys/block/loop{}/loop", path.substr(kPrefix.size())).c_str(), &status) != 0;
}

}  // namespace ntt::mount_helper
