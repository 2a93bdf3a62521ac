#include "report/hints.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "report/table.h"

namespace ntt {

std::string damage_line(const FileRow& file, const std::string& shown_path) {
    const InodeRow& inode = file.inode;
    std::string out = fmt::format("{}  {}  ({} of {} bytes missing)", to_string(inode.counted_as()), to_terminal_text(shown_path),
                                  with_commas(inode.missing_bytes), with_commas(inode.size));
    if (inode.cause) out += fmt::format("  {}: {}", to_string(*inode.cause), explain(*inode.cause));
    return out;
}

std::optional<ByteRange> range_to_reimage(const std::vector<MissingRow>& missing) {
    std::optional<ByteRange> out;
    for (const MissingRow& range : missing) {
        if (class_of(range.cause) != CauseClass::reimage || !range.image_offset) continue;
        const auto exact_end = checked_add(*range.image_offset, range.length);
        if (!exact_end) continue;
        const uint64_t begin = *range.image_offset / kSectorBytes * kSectorBytes;
        const uint64_t end = checked_add(*exact_end, kSectorBytes - 1).value_or(*exact_end) / kSectorBytes * kSectorBytes;
        const uint64_t from = out ? std::min(out->offset, begin) : begin;
        out = ByteRange{from, std::max(out ? out->end() : 0, end) - from};
    }
    return out;
}

std::string next_step(const InodeRow& inode, const std::vector<MissingRow>& missing, const NextStep& where) {
    if (inode.counted_as() == Status::pending) return fmt::format("ntt copy --medium-hash {}", where.medium);
    if (const auto range = range_to_reimage(missing))
        return fmt::format("ddrescue --input-position={} --size={} DEVICE {} {}   (then ingest the image again)", range->offset,
                           range->length, shell_word(where.image_path),
                           shell_word(where.map_path.value_or(where.image_path + ".map")));
    if (!inode.cause) return {};
    switch (class_of(*inode.cause)) {
        case CauseClass::host:
        case CauseClass::ours: return fmt::format("ntt requeue {} {} --volume {}", where.medium, inode.ino, inode.volume);
        case CauseClass::in_image:
            return inode.partial_blobid ? "what could be read: ntt cat --damaged, ntt export --damaged"
                                        : "another image of the medium, if there is one";
        default: return {};
    }
}

std::string shell_word(const std::string& text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-+=:@%,").find(c) != std::string_view::npos;
    };
    if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
    std::string out = "'";
    for (const char c : to_terminal_text(text)) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

}  // namespace ntt
