#include "os/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/hash.h"
#include "base/integers.h"

namespace ntt {
namespace {

struct FrameHeader {
    Le32 length;    // bytes behind the header
    Le32 sequence;  // messages before this one, in this direction
    uint8_t type;
    uint8_t check[7];  // the first bytes of BLAKE3 over length, sequence, type and the bytes behind
};
static_assert(sizeof(FrameHeader) == 16);

constexpr size_t kCheckedBytes = 9;         // of the header
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr size_t kFilesAtOnce = 128;        // Linux takes 253 in one message
constexpr char kMoreFiles = 'm', kLastFiles = 'l';  // the byte that files travel with
constexpr auto kSlice = std::chrono::milliseconds(100);  // how long a cancellation may go unnoticed

BlobId check_of(const FrameHeader& header, std::string_view bytes) {
    Blake3 hasher;
    hasher.update({reinterpret_cast<const uint8_t*>(&header), kCheckedBytes});
    hasher.update(as_bytes(bytes));
    return hasher.digest();
}

}  // namespace

std::string_view to_string(Received received) {
    switch (received) {
        case Received::message: return "message";
        case Received::closed: return "closed";
        case Received::late: return "late";
        case Received::malformed: return "malformed";
        case Received::cancelled: return "cancelled";
    }
    NTT_CHECK(false, "unknown Received");
    return {};
}

Result<std::pair<Channel, Channel>> Channel::pair() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make a pair of sockets");
    return std::pair(Channel(Fd(ends[0])), Channel(Fd(ends[1])));
}

// `message` when the socket is ready.
Received Channel::wait(For what, Deadline deadline, const CancelToken* cancel) const {
    pollfd watched{socket_.raw(), static_cast<short>(what == For::reading ? POLLIN : POLLOUT), 0};
    for (;;) {
        if (cancel != nullptr && cancel->cancelled()) return Received::cancelled;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return Received::late;
        const auto slice = cancel == nullptr ? left : std::min<std::chrono::milliseconds>(left, kSlice);
        const int ready = ::poll(&watched, 1, static_cast<int>(std::min<int64_t>(slice.count(), 1'000'000)));
        if (ready > 0) return Received::message;
        if (ready < 0 && errno != EINTR) return Received::closed;
    }
}

Received Channel::write_all(std::string_view bytes, Deadline deadline, const CancelToken* cancel) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(socket_.raw(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            bytes.remove_prefix(static_cast<size_t>(n));
        } else if (n < 0 && errno == EAGAIN) {
            if (const Received ready = wait(For::writing, deadline, cancel); ready != Received::message) return ready;
        } else if (n < 0 && errno != EINTR) {
            return Received::closed;
        }
    }
    return Received::message;
}

Received Channel::send(uint8_t type, std::string_view bytes, std::chrono::milliseconds patience, const CancelToken* cancel) {
    NTT_CHECK(bytes.size() <= kMaxMessageBytes, "a message that is too long");
    FrameHeader header;
    header.length = static_cast<uint32_t>(bytes.size());
    header.sequence = sent_++;
    header.type = type;
    const BlobId check = check_of(header, bytes);
    std::copy_n(check.bytes.begin(), sizeof header.check, header.check);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const Received sent = write_all({reinterpret_cast<const char*>(&header), sizeof header}, deadline, cancel);
    return sent == Received::message ? write_all(bytes, deadline, cancel) : sent;
}

// Makes buffer_ hold at least `wanted` bytes from taken_ on.
Received Channel::fill(size_t wanted, Deadline deadline, const CancelToken* cancel) {
    if (taken_ > 0 && (taken_ == buffer_.size() || taken_ >= kReadBytes)) {
        buffer_.erase(0, taken_);
        taken_ = 0;
    }
    while (buffer_.size() - taken_ < wanted) {
        const size_t before = buffer_.size();
        buffer_.resize(before + kReadBytes);
        const ssize_t n = ::recv(socket_.raw(), buffer_.data() + before, kReadBytes, MSG_DONTWAIT);
        const int reason = errno;
        buffer_.resize(before + (n > 0 ? static_cast<size_t>(n) : 0));
        if (n > 0) continue;
        if (n == 0) return Received::closed;
        if (reason == EAGAIN) {
            if (const Received ready = wait(For::reading, deadline, cancel); ready != Received::message) return ready;
        } else if (reason != EINTR) {
            return Received::closed;
        }
    }
    return Received::message;
}

Received Channel::receive(Message& out, std::chrono::milliseconds patience, const CancelToken* cancel) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    if (const Received got = fill(sizeof(FrameHeader), deadline, cancel); got != Received::message) return got;
    FrameHeader header;
    std::memcpy(&header, buffer_.data() + taken_, sizeof header);
    if (header.length > kMaxMessageBytes || header.sequence != received_) return Received::malformed;
    taken_ += sizeof header;
    if (const Received got = fill(header.length, deadline, cancel); got != Received::message) return got;
    out.type = header.type;
    out.bytes.assign(buffer_, taken_, header.length);
    taken_ += header.length;
    ++received_;
    const BlobId check = check_of(header, out.bytes);
    return std::equal(std::begin(header.check), std::end(header.check), check.bytes.begin()) ? Received::message : Received::malformed;
}

Received Channel::send_files(const std::vector<int>& files, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (size_t done = 0; done < files.size();) {
        const size_t count = std::min(files.size() - done, kFilesAtOnce);
        char token = done + count < files.size() ? kMoreFiles : kLastFiles;
        iovec payload{&token, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(kFilesAtOnce * sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &payload;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(rights), files.data() + done, count * sizeof(int));
        const ssize_t n = ::sendmsg(socket_.raw(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == 1) {
            done += count;
        } else if (n < 0 && errno == EAGAIN) {
            if (const Received ready = wait(For::writing, deadline, nullptr); ready != Received::message) return ready;
        } else if (n >= 0 || errno != EINTR) {
            return Received::closed;
        }
    }
    return Received::message;
}

Received Channel::receive_files(std::vector<Fd>& out, size_t most, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (char token = kMoreFiles; token != kLastFiles;) {
        if (const Received ready = wait(For::reading, deadline, nullptr); ready != Received::message) return ready;
        iovec payload{&token, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(kFilesAtOnce * sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &payload;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t n = ::recvmsg(socket_.raw(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n <= 0) return Received::closed;
        size_t arrived = 0;
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
            const size_t files = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < files; ++i, ++arrived) {
                int raw = -1;
                std::memcpy(&raw, CMSG_DATA(part) + i * sizeof(int), sizeof raw);
                out.emplace_back(raw);
            }
        }
        const bool known = token == kMoreFiles || token == kLastFiles;
        if (arrived == 0 || !known || (message.msg_flags & MSG_CTRUNC) != 0 || out.size() > most) return Received::malformed;
    }
    return Received::message;
}

}  // namespace ntt
