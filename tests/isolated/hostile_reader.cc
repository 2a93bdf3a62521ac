// A reader process as an attacker would have it: stands between ntt and the real ntt-reader, passes messages on, and at a
// chosen one does what it was told. Not sandboxed: whatever it does, its parent must come out right.
//
// usage: hostile_reader REAL_READER WHAT NTH WHERE
//   NTH    which message to ntt, counted from 1, is met with WHAT
//   WHERE  any, detect, read, content, or list:V: only from the moment on that a process is asked for that (list:V for
//          volume V)
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "fs/isolated/messages.h"
#include "image/reader_protocol.h"
#include "os/child_process.h"

namespace {

using namespace ntt;
constexpr auto kLong = std::chrono::hours(1);

std::string entries(const std::function<void(EntryWriter&)>& write) {
    EntryWriter out;
    write(out);
    return out.take();
}

InodeEntry file(int64_t ino, uint64_t size) {
    InodeEntry inode;
    inode.ino = ino;
    inode.size = size;
    inode.access = ContentAccess::extents;
    if (size > 0) inode.extents = {{0, 0, size, ExtentKind::data}};
    return inode;
}

std::string with_inode(InodeEntry inode) {
    return entries([&](EntryWriter& out) { out.add(inode); });
}

std::string with_name(const std::string& path, int64_t ino = 1'000'000) {
    return entries([&](EntryWriter& out) {
        out.add(file(1'000'000, 10));
        out.add(NameEntry{path, "", ino});
    });
}

std::string with_finding(Finding finding) {
    return entries([&](EntryWriter& out) { out.add(finding); });
}

// Entries that cannot be: each lie is one message of type `entries`.
const std::map<std::string, std::function<std::string()>> kLies = {
    {"lie_doubled_inode", [] { return with_inode(file(1'000'000, 1)) + with_inode(file(1'000'000, 1)); }},
    {"lie_negative_inode", [] { return with_inode(file(-5, 1)); }},
    {"lie_unknown_inode", [] { return with_name("a", 77'777'777); }},
    {"lie_path_up", [] { return with_name("../../etc/passwd"); }},
    {"lie_path_absolute", [] { return with_name("/etc/passwd"); }},
    {"lie_path_empty_part", [] { return with_name("a//b"); }},
    {"lie_path_nul", [] { return with_name(std::string("a\0b", 3)); }},
    {"lie_path_long", [] { return with_name(std::string(100'000, 'x')); }},
    {"lie_extents_overlap",
     [] {
         InodeEntry inode = file(1'000'000, 100);
         inode.extents = {{0, 0, 80, ExtentKind::data}, {40, 0, 60, ExtentKind::data}};
         return with_inode(inode);
     }},
    {"lie_extent_beyond_size",
     [] {
         InodeEntry inode = file(1'000'000, 100);
         inode.extents = {{0, 0, 101, ExtentKind::data}};
         return with_inode(inode);
     }},
    {"lie_extent_overflows",
     [] {
         InodeEntry inode = file(1'000'000, 100);
         inode.extents = {{0, UINT64_MAX - 10, 100, ExtentKind::data}};
         return with_inode(inode);
     }},
    {"lie_bytes_under_nothing",
     [] {
         InodeEntry inode = file(1'000'000, 100);
         inode.extents = {{0, 0, 50, ExtentKind::data}};
         return with_inode(inode);
     }},
    {"lie_fault_beyond_size",
     [] {
         InodeEntry inode = file(1'000'000, 100);
         inode.faults = {{Cause::CHECKSUM, 90, 50, "{}"}};
         return with_inode(inode);
     }},
    {"lie_evidence",
     [] {
         InodeEntry inode = file(1'000'000, 0);
         inode.size = 5;
         inode.faults = {{Cause::CHECKSUM, 0, 5, "not json"}};
         return with_inode(inode);
     }},
    {"lie_folder_with_content",
     [] {
         InodeEntry inode = file(1'000'000, 5);
         inode.fs_type = 'd';
         return with_inode(inode);
     }},
    {"lie_finding_code", [] { return with_finding({"'; DROP TABLE inode; --", "hello", "{}", 1, std::nullopt}); }},
    {"lie_finding_evidence", [] { return with_finding({"fine", "hello", "{", 1, std::nullopt}); }},
};

[[noreturn]] void wait_for_the_end() {
    for (;;) std::this_thread::sleep_for(kLong);
}

// Bytes straight to the parent, framed or not.
void raw(std::string_view bytes) {
    for (size_t done = 0; done < bytes.size();) {
        const ssize_t n = ::write(kChildChannelFd, bytes.data() + done, bytes.size() - done);
        if (n <= 0) _exit(0);
        done += static_cast<size_t>(n);
    }
}

// What to do instead of, or before, passing `message` on. Returns when it may be passed on.
void attack(const std::string& what, Channel& parent, Message& message) {
    const auto say = [&](MessageType type, std::string_view bytes) { parent.send(static_cast<uint8_t>(type), bytes, kLong); };
    const auto lie = kLies.find(what);
    if (lie != kLies.end()) {
        say(MessageType::entries, lie->second());
    } else if (what == "exit") {
        _exit(0);
    } else if (what == "abort") {
        std::fputs("free(): invalid pointer\n", stderr);
        std::abort();
    } else if (what == "segfault") {
        ::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
    } else if (what == "kill") {
        ::raise(SIGKILL);
    } else if (what == "stop") {
        ::raise(SIGSTOP);
    } else if (what == "hang") {
        wait_for_the_end();
    } else if (what == "no_memory") {
        _exit(kReaderNoMemory);
    } else if (what == "no_time") {
        ::signal(SIGXCPU, SIG_DFL);
        ::raise(SIGXCPU);
    } else if (what == "garbage") {
        raw(std::string(100, '\xA5'));
        wait_for_the_end();
    } else if (what == "half_a_frame") {
        raw(std::string("\x10\0\0\0", 4));
        _exit(0);
    } else if (what == "half_a_frame_and_hang") {
        raw(std::string("\x10\0\0\0", 4));
        wait_for_the_end();
    } else if (what == "twice") {
        parent.send(message.type, message.bytes, kLong);
    } else if (what == "unknown_type") {
        message.type = 200;
    } else if (what == "empty") {
        message.bytes.clear();
    } else if (what == "cut") {
        message.bytes.resize(message.bytes.size() / 2);
    } else if (what == "one_byte_more") {
        message.bytes += '\0';
    } else if (what == "flip") {
        for (size_t i = 3; i < message.bytes.size(); i += 7) message.bytes[i] = static_cast<char>(message.bytes[i] ^ 0x55);
    } else if (what == "all_ones") {
        message.bytes.assign(message.bytes.size(), '\xFF');
    } else if (what == "progress_of_nothing" || what == "progress_without_end") {
        WireWriter bytes;
        bytes.number(what == "progress_of_nothing" ? 0 : uint64_t{1} << 50);
        for (int i = 0; i < 1000; ++i) say(MessageType::progress, bytes.bytes());
    } else if (what == "blame_the_host") {
        say(MessageType::host_failed, encode_host_failure({{0, 512}, errno_error(EIO, "read")}));
    } else if (what == "blame_the_host_beyond") {
        say(MessageType::host_failed, encode_host_failure({{uint64_t{1} << 60, 512}, errno_error(EIO, "read")}));
    } else if (what == "detail_of_wrong_kinds" || what == "detail_without_end") {
        const std::string detail = what == "detail_without_end" ? std::string(1'000'000, '[') + std::string(1'000'000, ']')
                                                                : R"({"table":7,"declared_bytes":"none","views":[],"repairs":{},"session":"x","session_start":-1,"slot":[],"listings":{},"unreadable_directories":"many"})";
        if (static_cast<MessageType>(message.type) == MessageType::end) message.bytes = encode_detail(detail);
        if (static_cast<MessageType>(message.type) != MessageType::detection) return;
        auto answer = decode_detection(message.bytes);
        for (Volume& volume : answer->detection.volumes) volume.detail = detail;
        message.bytes = encode_detection(*answer);
    } else if (what == "say_cancelled") {
        say(MessageType::failed, encode_error(make_error(ErrorCode::cancelled, "stop the run")));
    } else if (what == "say_changed") {
        say(MessageType::failed, encode_error(make_error(ErrorCode::source_changed, "stop the run")));
    } else if (what == "say_errno") {
        say(MessageType::failed, encode_error(errno_error(ENOSPC, "stop the run")));
    } else if (what == "endless_names") {
        for (int64_t ino = 2'000'000;; ino += 100) {
            const auto batch = entries([&](EntryWriter& out) {
                for (int64_t i = ino; i < ino + 100; ++i) {
                    out.add(file(i, 10));
                    out.add(NameEntry{std::to_string(i), "", i});
                }
            });
            if (parent.send(static_cast<uint8_t>(MessageType::entries), batch, kLong) != Received::message) _exit(0);
        }
    } else if (what == "endless_findings") {
        for (;;) {
            const auto batch = entries([&](EntryWriter& out) {
                for (int i = 0; i < 1000; ++i) out.add(Finding{"noise", "again", "{}", 1, std::nullopt});
            });
            if (parent.send(static_cast<uint8_t>(MessageType::entries), batch, kLong) != Received::message) _exit(0);
        }
    } else {
        std::fprintf(stderr, "hostile_reader: what is %s?\n", what.c_str());
        _exit(99);
    }
}

bool is_about(const std::string& where, const Message& request) {
    static int volume = 0;  // the one that was opened last
    switch (static_cast<MessageType>(request.type)) {
        case MessageType::detect: return where == "detect";
        case MessageType::read: return where == "read";
        case MessageType::content: return where == "content";
        case MessageType::open: {
            const auto open = decode_open(request.bytes);
            volume = open.ok() ? open->volume.number : 0;
            return false;
        }
        case MessageType::list: return where == "list:" + std::to_string(volume);
        default: return false;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 64;
    const std::string what = argv[2], where = argv[4];
    const int nth = std::atoi(argv[3]);
    Channel parent{Fd(kChildChannelFd)};
    std::vector<Fd> files;
    if (parent.receive_files(files, kMaxFiles, kLong) != Received::message) return 1;
    auto real = ChildProcess::start(argv[1]);
    if (!real.ok()) return 2;
    std::vector<int> handed;
    for (const Fd& fd : files) handed.push_back(fd.raw());
    if (real->channel().send_files(handed, kLong) != Received::message) return 3;

    // One thread for each direction, each with ends of its own.
    std::atomic<bool> armed{where == "any"};
    Channel to_parent{Fd(::dup(kChildChannelFd))}, from_real{Fd(::dup(real->channel().socket().raw()))};
    std::thread asking([&] {
        for (Message message;;) {
            if (parent.receive(message, kLong) != Received::message) _exit(0);
            if (is_about(where, message)) armed = true;
            if (real->channel().send(message.type, message.bytes, kLong) != Received::message) _exit(4);
        }
    });
    int count = 0;
    for (Message message;;) {
        if (from_real.receive(message, kLong) != Received::message) _exit(5);
        if (armed && ++count == nth) attack(what, to_parent, message);
        if (to_parent.send(message.type, message.bytes, kLong) != Received::message) _exit(0);
    }
}
