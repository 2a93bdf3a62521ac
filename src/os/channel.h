// Messages between two processes of ours over a socket: framed, numbered, checked. Neither side trusts the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

struct Message {
    uint8_t type = 0;
    std::string bytes;
};

inline constexpr size_t kMaxFiles = 8192;
inline constexpr size_t kMaxMessageBytes = size_t{64} << 20;

// How a wait for a message ended.
enum class Received : uint8_t {
    message,
    closed,     // the other side is gone, perhaps in the middle of a message
    late,       // the deadline passed, perhaps in the middle of a message
    malformed,  // what came is no message: too long, out of order, wrong checksum
    cancelled,
};
std::string_view to_string(Received received);

// One end of a stream socket. Format: docs/formats/reader-protocol.md, "Frames". After anything but `message` the channel
// is of no more use. One thread at a time.
class Channel {
public:
    // Two ends that are connected to each other, closed on exec.
    static Result<std::pair<Channel, Channel>> pair();
    explicit Channel(Fd socket) : socket_(std::move(socket)) {}

    // Sends one message of at most kMaxMessageBytes; `late` when the other side does not take it in time.
    Received send(uint8_t type, std::string_view bytes, std::chrono::milliseconds patience, const CancelToken* cancel = nullptr);
    // Waits for one message. Memory grows with what arrives, not with what is announced.
    Received receive(Message& out, std::chrono::milliseconds patience, const CancelToken* cancel = nullptr);

    // Hands over open files, at least one and at most kMaxFiles; only before the first message.
    Received send_files(const std::vector<int>& files, std::chrono::milliseconds patience);
    Received receive_files(std::vector<Fd>& out, size_t most, std::chrono::milliseconds patience);

    const Fd& socket() const { return socket_; }
    Fd release() { return std::move(socket_); }

private:
    enum class For : uint8_t { reading, writing };
    using Deadline = std::chrono::steady_clock::time_point;
    Received wait(For what, Deadline deadline, const CancelToken* cancel) const;
    Received write_all(std::string_view bytes, Deadline deadline, const CancelToken* cancel);
    Received fill(size_t wanted, Deadline deadline, const CancelToken* cancel);

    Fd socket_;
    uint32_t sent_ = 0, received_ = 0;  // messages so far
    std::string buffer_;                // received, not yet handed out, from taken_ on
    size_t taken_ = 0;
};

}  // namespace ntt
