#include "os/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace ntt {
namespace {

constexpr size_t kMaxRecordBytes = 8192;  // PRINTKRB_RECORD_MAX and the prefix; the kernel refuses smaller buffers than the record

class DevKmsg final : public KernelLog {
public:
    explicit DevKmsg(Fd fd) : fd_(std::move(fd)) {}

    Result<uint64_t> next_sequence() override {
        TRY(take_new());
        return next_;
    }

    Result<std::vector<KernelRecord>> since(uint64_t sequence) override {
        TRY(take_new());
        std::vector<KernelRecord> out;
        std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(out), [&](const KernelRecord& r) { return r.sequence >= sequence; });
        return out;
    }

private:
    Result<void> take_new() {
        std::array<char, kMaxRecordBytes> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
        for (;;) {
            const ssize_t n = ::read(fd_.raw(), bytes.data(), bytes.size());
            if (n < 0 && (errno == EINTR || errno == EPIPE)) continue;  // EPIPE: records were overwritten, the next read goes on behind them
            if (n < 0 && errno == EAGAIN) return {};
            if (n < 0) return errno_error(errno, "read /dev/kmsg");
            if (n == 0) return {};
            if (auto record = parse_kernel_record({bytes.data(), static_cast<size_t>(n)})) {
                next_ = record->sequence + 1;
                kept_.push_back(*std::move(record));
                if (kept_.size() > kKeptRecords) kept_.pop_front();
            }
        }
    }

    Fd fd_;
    std::deque<KernelRecord> kept_;
    uint64_t next_ = 0;
};

template <typename Number>
bool take_number(std::string_view& text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string without_escapes(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x' && hex_value(text[i + 2]) >= 0 && hex_value(text[i + 3]) >= 0;
        out.push_back(escape ? static_cast<char>(hex_value(text[i + 2]) * 16 + hex_value(text[i + 3])) : text[i]);
        if (escape) i += 3;
    }
    return out;
}

}  // namespace

std::optional<KernelRecord> parse_kernel_record(std::string_view record) {
    KernelRecord out;
    unsigned facility_and_level = 0;
    const size_t text = record.find(';');
    if (text == std::string_view::npos) return std::nullopt;
    std::string_view prefix = record.substr(0, text);
    const auto comma = [&] {
        const bool there = prefix.starts_with(',');
        if (there) prefix.remove_prefix(1);
        return there;
    };
    if (!take_number(prefix, facility_and_level) || !comma() || !take_number(prefix, out.sequence) || !comma() || !take_number(prefix, out.at_us)) return std::nullopt;
    out.level = static_cast<int>(facility_and_level & 7);
    record.remove_prefix(text + 1);
    out.text = without_escapes(record.substr(0, record.find('\n')));
    return out;
}

Result<std::unique_ptr<KernelLog>> open_kernel_log() {
    Fd fd(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, "open /dev/kmsg");
    if (::lseek(fd.raw(), 0, SEEK_END) < 0) return errno_error(errno, "seek in /dev/kmsg");
    return std::unique_ptr<KernelLog>(std::make_unique<DevKmsg>(std::move(fd)));
}

}  // namespace ntt
