#include "fs/fat/directory.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ntt {
namespace {

constexpr uint8_t kEndMark = 0x00, kDeletedMark = 0xE5, kReplacedE5 = 0x05;
constexpr uint8_t kLongNameAttributes = 0x0F, kKnownAttributes = 0x3F;
constexpr uint8_t kLastPart = 0x40;
constexpr uint8_t kLowerName = 0x08, kLowerExtension = 0x10;

std::string_view without_padding(std::string_view text) {
    const size_t last = text.find_last_not_of(' ');
    return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

// Name and extension without padding, the first byte restored.
struct ShortNameParts {
    explicit ShortNameParts(const ShortEntry& entry) {
        std::memcpy(bytes, entry.name, sizeof bytes);
        if (entry.name[0] == kReplacedE5) bytes[0] = static_cast<char>(kDeletedMark);
        name = without_padding({bytes, 8});
        extension = without_padding({bytes + 8, 3});
    }
    ShortNameParts(const ShortNameParts&) = delete;

    char bytes[11];
    std::string_view name, extension;
};

// Only letters of ASCII: Windows sets the bits for no name that has others.
void lower(std::string& text, size_t from) {
    for (size_t i = from; i < text.size(); ++i)
        if (text[i] >= 'A' && text[i] <= 'Z') text[i] = static_cast<char>(text[i] - 'A' + 'a');
}

uint8_t short_name_checksum(const ShortEntry& entry) {
    unsigned sum = 0;
    for (const uint8_t byte : entry.name) sum = ((sum & 1) << 7 | (sum & 0xFF) >> 1) + byte;
    return static_cast<uint8_t>(sum);
}

}  // namespace

EntryKind classify(const ShortEntry& entry, DirectoryRole role, uint64_t index) {
    if (entry.name[0] == kEndMark) return EntryKind::end;
    if (entry.name[0] == kDeletedMark) return EntryKind::deleted;
    if ((entry.attributes & kKnownAttributes) == kLongNameAttributes) return EntryKind::long_name;
    const bool has_content = entry.cluster_low != 0 || entry.size != 0;
    if (entry.attributes & kAttributeLabel && !has_content) return EntryKind::label;
    if (!(entry.attributes & kAttributeDirectory)) return EntryKind::file;
    static constexpr std::string_view kDots[] = {".          ", "..         "};
    if (role == DirectoryRole::subdirectory && index < 2 && std::memcmp(entry.name, kDots[index].data(), 11) == 0)
        return EntryKind::dot;
    return EntryKind::directory;
}

std::string raw_short_name(const ShortEntry& entry) {
    const ShortNameParts parts(entry);
    std::string out(parts.name);
    if (!parts.extension.empty()) out.append(1, '.').append(parts.extension);
    return out;
}

std::string short_name_utf8(const ShortEntry& entry, const CodePage& code_page) {
    const ShortNameParts parts(entry);
    std::string out = code_page.to_utf8(as_bytes(parts.name));
    if (entry.lower_case & kLowerName) lower(out, 0);
    if (parts.extension.empty()) return out;
    const size_t extension_at = out.size();
    out.append(1, '.').append(code_page.to_utf8(as_bytes(parts.extension)));
    if (entry.lower_case & kLowerExtension) lower(out, extension_at);
    return out;
}

bool is_sound_short_name(const ShortEntry& entry) {
    if (entry.name[0] == ' ') return false;
    for (size_t i = 0; i < sizeof entry.name; ++i) {
        const uint8_t byte = entry.name[i];
        if (i == 0 && byte == kReplacedE5) continue;
        if (byte < 0x20 || byte == 0x7F || std::strchr("\"*./:<>?\\|", byte) != nullptr) return false;
    }
    return true;
}

std::string label_utf8(ByteView eleven_bytes, const CodePage& code_page) {
    std::string bytes(as_text(eleven_bytes));
    if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) == kReplacedE5) bytes[0] = static_cast<char>(kDeletedMark);
    return code_page.to_utf8(as_bytes(without_padding(bytes)));
}

void LongName::add(const LongEntry& part) {
    const size_t ordinal = part.ordinal & (0xFFu ^ kLastPart);
    if (part.ordinal & kLastPart) {
        drop();
        if (ordinal == 0 || ordinal > kMaxParts) {
            ++orphans_;
            return;
        }
        parts_ = missing_ = ordinal;
        checksum_ = part.checksum;
    }
    if (missing_ == 0 || ordinal != missing_ || part.checksum != checksum_) {
        if (parts_ == 0) ++orphans_;
        drop();
        return;
    }
    --missing_;
    uint16_t* out = &units_[missing_ * kUnitsPerPart];
    for (const Le16& unit : part.units_1) *out++ = unit;
    for (const Le16& unit : part.units_2) *out++ = unit;
    for (const Le16& unit : part.units_3) *out++ = unit;
}

std::optional<std::string> LongName::take(const ShortEntry& entry) {
    if (parts_ == 0) return std::nullopt;
    const auto begin = units_.begin(), full = begin + static_cast<std::ptrdiff_t>(parts_ * kUnitsPerPart);
    const auto end = std::find(begin, full, uint16_t{0});
    const auto length = static_cast<size_t>(end - begin);
    if (missing_ != 0 || checksum_ != short_name_checksum(entry) || length == 0 || length > kMaxUnits) {
        drop();
        return std::nullopt;
    }
    parts_ = 0;
    return utf16_to_wtf8({units_.data(), length});
}

void LongName::drop() {
    if (parts_ != 0) ++orphans_;
    parts_ = missing_ = 0;
}

}  // namespace ntt
