#include "os/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "os/shared_memory.h"
#include "support/support.h"

namespace ntt {
namespace {

using namespace std::chrono_literals;

// Two connected ends, and what one of them was made to send as raw bytes.
std::pair<Channel, Channel> ends() { return std::move(Channel::pair()).value(); }

std::string raw_message(uint8_t type, const std::string& bytes) {
    auto [from, to] = ends();
    EXPECT_EQ(from.send(type, bytes, 1s), Received::message);
    std::string raw(16 + bytes.size() + 1, '\0');
    raw.resize(static_cast<size_t>(::read(to.socket().raw(), raw.data(), raw.size())));
    return raw;
}

Received receive_raw(const std::string& raw, Message& message, bool hang_up = true) {
    auto [from, to] = ends();
    EXPECT_EQ(::write(from.socket().raw(), raw.data(), raw.size()), static_cast<ssize_t>(raw.size()));
    if (hang_up) from.release();
    return to.receive(message, 100ms);
}

TEST(Channel, messages_arrive_as_they_were_sent_in_order_whatever_their_size) {
    auto [from, to] = ends();
    const std::vector<std::string> sent = {"", "one", test::chosen_bytes(1, 5'000'000), std::string(3, '\0')};
    std::thread sender([&, &channel = from] {
        for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(channel.send(static_cast<uint8_t>(i), sent[i], 10s), Received::message);
    });
    for (size_t i = 0; i < sent.size(); ++i) {
        Message message;
        ASSERT_EQ(to.receive(message, 10s), Received::message);
        EXPECT_EQ(message.type, i);
        EXPECT_EQ(message.bytes, sent[i]);
    }
    sender.join();
}

TEST(Channel, a_message_cut_anywhere_is_closed_and_one_that_stops_coming_is_late) {
    const std::string raw = raw_message(7, "content");
    Message message;
    for (size_t length = 0; length < raw.size(); ++length) EXPECT_EQ(receive_raw(raw.substr(0, length), message), Received::closed) << length;
    EXPECT_EQ(receive_raw(raw, message), Received::message);
    EXPECT_EQ(receive_raw(raw.substr(0, 10), message, false), Received::late);
}

TEST(Channel, a_message_with_any_bit_flipped_is_not_taken) {
    const std::string raw = raw_message(7, "content");
    for (size_t bit = 0; bit < raw.size() * 8; ++bit) {
        std::string flipped = raw;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
        Message message;
        const Received received = receive_raw(flipped, message);
        EXPECT_TRUE(received == Received::malformed || received == Received::closed) << bit << " " << to_string(received);
    }
}

TEST(Channel, a_message_that_comes_twice_is_malformed) {
    const std::string raw = raw_message(7, "content");
    auto [from, to] = ends();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(::write(from.socket().raw(), raw.data(), raw.size()), static_cast<ssize_t>(raw.size()));
    Message message;
    EXPECT_EQ(to.receive(message, 1s), Received::message);
    EXPECT_EQ(to.receive(message, 1s), Received::malformed);
}

TEST(Channel, a_wait_ends_when_it_is_cancelled_and_a_send_when_nobody_takes_it) {
    auto [from, to] = ends();
    CancelToken cancel;
    cancel.cancel();
    Message message;
    EXPECT_EQ(to.receive(message, 1h, &cancel), Received::cancelled);
    EXPECT_EQ(from.send(1, std::string(10'000'000, 'x'), 50ms), Received::late);
    to.release();
    EXPECT_EQ(from.send(1, "x", 1s), Received::closed);
}

TEST(Channel, open_files_are_handed_over_however_many) {
    const test::TempDir dir;
    test::write_file(dir / "file", "what is in it");
    ASSERT_OK_ASSIGN(const Fd file, Env::host().open_read(dir / "file"));
    auto [from, to] = ends();
    ASSERT_EQ(from.send_files(std::vector<int>(300, file.raw()), 1s), Received::message);
    ASSERT_EQ(from.send(1, "after", 1s), Received::message);
    std::vector<Fd> files;
    ASSERT_EQ(to.receive_files(files, 300, 1s), Received::message);
    ASSERT_EQ(files.size(), 300u);
    std::string bytes(13, '\0');
    ASSERT_OK_ASSIGN(const size_t n, Env::host().read_at(files[299], {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, 0));
    EXPECT_EQ(bytes.substr(0, n), "what is in it");
    Message message;
    EXPECT_EQ(to.receive(message, 1s), Received::message);
    EXPECT_EQ(message.bytes, "after");
}

TEST(Channel, more_files_than_are_wanted_are_refused) {
    const test::TempDir dir;
    test::write_file(dir / "file", "x");
    ASSERT_OK_ASSIGN(const Fd file, Env::host().open_read(dir / "file"));
    auto [from, to] = ends();
    ASSERT_EQ(from.send_files(std::vector<int>(5, file.raw()), 1s), Received::message);
    std::vector<Fd> files;
    EXPECT_EQ(to.receive_files(files, 4, 1s), Received::malformed);
}

TEST(SharedMemory, what_one_side_writes_the_other_sees_and_nobody_can_shrink_it) {
    ASSERT_OK_ASSIGN(SharedMemory ours, SharedMemory::make(8192));
    ASSERT_OK_ASSIGN(SharedMemory theirs, SharedMemory::map(Fd(::dup(ours.fd().raw())), 8192));
    theirs.span()[8191] = 42;
    EXPECT_EQ(ours.view()[8191], 42);
    EXPECT_NE(::ftruncate(theirs.fd().raw(), 0), 0);
}

}  // namespace
}  // namespace ntt
