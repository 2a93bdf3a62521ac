// Sends what a listing finds to the other side of a channel.
#pragma once

#include <chrono>
#include <cstddef>

#include "fs/fs_reader.h"
#include "fs/isolated/messages.h"
#include "image/reader_protocol.h"
#include "os/channel.h"

namespace ntt {

inline constexpr auto kForEver = std::chrono::hours(24 * 365);

// Sends entries as they are found. When the other side is gone an Error ends the listing.
class ChannelSink final : public EntrySink {
public:
    explicit ChannelSink(Channel& channel) : channel_(channel) {}

    Result<void> add_inode(InodeEntry inode) override { return put(inode); }
    Result<void> add_name(NameEntry name) override { return put(name); }
    void add_directory(DirectoryPlace place) override { put(place).ignore("the next entry meets it again"); }
    void add(Finding finding) override { put(finding).ignore("the next entry meets it again"); }

    Result<void> flush() {
        if (entries_.entries() > 0 && !hung_up_)
            hung_up_ = channel_.send(static_cast<uint8_t>(MessageType::entries), entries_.take(), kForEver) != Received::message;
        flushed_at_ = SteadyClock::now();
        if (hung_up_) return make_error(ErrorCode::cancelled, "nobody listens");
        return {};
    }

private:
    using SteadyClock = std::chrono::steady_clock;
    static constexpr size_t kFlushBytes = 48 << 10;
    static constexpr size_t kFlushEntries = 512;
    static constexpr auto kFlushAfter = std::chrono::milliseconds(250);  // also what one waits at most to see that a listing gets on

    template <typename Entry>
    Result<void> put(const Entry& entry) {
        entries_.add(entry);
        const bool full = entries_.size() >= kFlushBytes || entries_.entries() >= kFlushEntries;
        if (full || SteadyClock::now() - flushed_at_ >= kFlushAfter) return flush();
        return {};
    }

    Channel& channel_;
    EntryWriter entries_;
    SteadyClock::time_point flushed_at_ = SteadyClock::now();
    bool hung_up_ = false;
};

}  // namespace ntt
