#include "image/reader_protocol.h"

#include <algorithm>

#include "base/wire.h"
#include "os/channel.h"

namespace ntt {
namespace {

constexpr size_t kMaxWord = 64, kMaxName = 64 << 10, kMaxWords = 16 << 10;

Error malformed(std::string_view what) { return make_error(ErrorCode::malformed, "a malformed message: " + std::string(what)); }

void put(WireWriter& out, const Error& error) {
    out.number(static_cast<uint64_t>(error.code));
    out.number(static_cast<uint64_t>(error.sys_errno));
    out.text(std::string_view(error.message).substr(0, kMaxWords));
    out.text(std::string_view(error.hint).substr(0, kMaxWords));
}

Error get_error(WireReader& in) {
    Error error;
    error.code = static_cast<ErrorCode>(in.number_up_to(static_cast<uint64_t>(ErrorCode::parser_timeout)));
    error.sys_errno = static_cast<int>(in.number_up_to(4095));
    error.message = to_display_utf8(in.text(kMaxWords));
    error.hint = to_display_utf8(in.text(kMaxWords));
    return error;
}

}  // namespace

std::string encode_hello(const Hello& hello) {
    WireWriter out;
    out.number(kReaderProtocolVersion);
    out.text(hello.format);
    out.number(hello.parts.size());
    for (const ImagePart& part : hello.parts) {
        out.text(part.path);
        out.number(part.size_bytes);
        out.number(part.device);
        out.number(part.inode);
        out.signed_number(part.mtime_ns);
    }
    out.flag(hello.shared);
    out.number(hello.limits.memory_bytes);
    out.number(hello.limits.cpu_seconds);
    return out.take();
}

Result<Hello> decode_hello(std::string_view message) {
    WireReader in(message);
    if (in.number() != kReaderProtocolVersion) return malformed("another version of the protocol");
    Hello hello;
    hello.format = in.text(kMaxWord);
    const uint64_t parts = in.number_up_to(kMaxFiles);
    for (uint64_t i = 0; i < parts && in.ok(); ++i) {
        ImagePart part;
        part.path = in.text(kMaxName);
        part.size_bytes = in.number();
        part.device = in.number();
        part.inode = in.number();
        part.mtime_ns = in.signed_number();
        hello.parts.push_back(std::move(part));
    }
    hello.shared = in.flag();
    hello.limits.memory_bytes = in.number();
    hello.limits.cpu_seconds = in.number();
    if (!in.at_end() || hello.parts.empty()) return malformed("hello");
    return hello;
}

std::string encode_ready(const Ready& ready) {
    WireWriter out;
    out.number(kReaderProtocolVersion);
    out.number(ready.size_bytes);
    out.number(ready.sector_size);
    out.flag(ready.landlock);
    out.number(ready.missing_files.size());
    for (const std::string& name : ready.missing_files) out.text(name);
    return out.take();
}

Result<Ready> decode_ready(std::string_view message) {
    WireReader in(message);
    if (in.number() != kReaderProtocolVersion) return malformed("another version of the protocol");
    Ready ready;
    ready.size_bytes = in.number_up_to(INT64_MAX);
    ready.sector_size = static_cast<uint32_t>(in.number_up_to(1 << 20));
    ready.landlock = in.flag();
    const uint64_t files = in.number_up_to(kMaxFiles);
    for (uint64_t i = 0; i < files && in.ok(); ++i) ready.missing_files.push_back(in.text(kMaxName));
    const bool has_sectors = ready.size_bytes > 0 && ready.sector_size >= 512;
    if (!in.at_end() || has_sectors == !ready.missing_files.empty()) return malformed("ready");
    return ready;
}

std::string encode_error(const Error& error) {
    WireWriter out;
    put(out, error);
    return out.take();
}

std::optional<Error> decode_error(std::string_view message) {
    WireReader in(message);
    Error error = get_error(in);
    if (!in.at_end()) return std::nullopt;
    return error;
}

std::string encode_host_failure(const HostFailure& failure) {
    WireWriter out;
    out.number(failure.range.offset);
    out.number(failure.range.length);
    put(out, failure.error);
    return out.take();
}

Result<HostFailure> decode_host_failure(std::string_view message) {
    WireReader in(message);
    HostFailure failure;
    failure.range.offset = in.number_up_to(INT64_MAX);
    failure.range.length = in.number_up_to(INT64_MAX);
    failure.error = get_error(in);
    if (!in.at_end()) return malformed("host failure");
    return failure;
}

std::string encode_ranges(const std::vector<ByteRange>& ranges) {
    WireWriter out;
    out.number(std::min(ranges.size(), kMaxRanges));
    uint64_t end = 0;
    for (size_t i = 0; i < ranges.size() && i < kMaxRanges; ++i) {
        out.number(ranges[i].offset - end);
        out.number(ranges[i].length);
        end = ranges[i].end();
    }
    return out.take();
}

Result<std::vector<ByteRange>> decode_ranges(std::string_view message) {
    WireReader in(message);
    const uint64_t count = in.number_up_to(kMaxRanges);
    std::vector<ByteRange> ranges;
    uint64_t end = 0;
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
        const auto offset = checked_add(end, in.number());
        const uint64_t length = in.number();
        const auto next = offset ? checked_add(*offset, length) : std::nullopt;
        if (!next || *next > INT64_MAX || length == 0) return malformed("ranges");
        ranges.push_back({*offset, length});
        end = *next;
    }
    if (!in.at_end()) return malformed("ranges");
    return ranges;
}

}  // namespace ntt
