#include "base/wire.h"

namespace ntt {

void WireWriter::number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
}

void WireWriter::signed_number(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);
    number(bits << 1 ^ (value < 0 ? ~uint64_t{0} : 0));
}

void WireWriter::text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
}

void WireWriter::optional_number(const std::optional<int64_t>& value) {
    flag(value.has_value());
    if (value) signed_number(*value);
}

void WireWriter::optional_text(const std::optional<std::string>& value) {
    flag(value.has_value());
    if (value) text(*value);
}

uint64_t WireReader::number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (rest_.empty()) break;
        const auto byte = static_cast<uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        const uint64_t bits = byte & 0x7Fu;
        if (shift == 63 && bits > 1) break;
        value |= bits << shift;
        if ((byte & 0x80) == 0) return value;
    }
    fail();
    return 0;
}

uint64_t WireReader::number_up_to(uint64_t most) {
    const uint64_t value = number();
    if (value <= most) return value;
    fail();
    return 0;
}

int64_t WireReader::signed_number() {
    const uint64_t bits = number();
    return static_cast<int64_t>(bits >> 1 ^ ((bits & 1) != 0 ? ~uint64_t{0} : 0));
}

std::string WireReader::text(size_t max_bytes) {
    const uint64_t length = number();
    if (!ok_ || length > max_bytes || length > rest_.size()) {
        fail();
        return {};
    }
    std::string out(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return out;
}

std::optional<int64_t> WireReader::optional_number() {
    if (!flag()) return std::nullopt;
    const int64_t value = signed_number();
    return ok_ ? std::optional(value) : std::nullopt;
}

std::optional<std::string> WireReader::optional_text(size_t max_bytes) {
    if (!flag()) return std::nullopt;
    std::string value = text(max_bytes);
    return ok_ ? std::optional(std::move(value)) : std::nullopt;
}

}  // namespace ntt
