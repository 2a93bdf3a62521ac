#include "fs/unix/unix_directory.h"

#include <optional>

namespace ntt {

namespace {

struct Entry {
    uint64_t length = 0;
    DirectoryName name;  // ino 0: unused
};

// The entry at `at`; nullopt if none can stand there.
std::optional<Entry> read_entry(ByteView chunk, uint64_t at, DirectoryFormat format) {
    constexpr uint64_t kHeaderSize = 8, kMinimum = 12;
    const bool big = format == DirectoryFormat::ufs_big_endian;
    if (chunk.size() - at < kHeaderSize) return {};
    const auto byte = [&](uint64_t i) { return uint32_t{chunk[at + i]}; };
    const uint32_t ino =
        big ? byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3) : byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    Entry out;
    out.length = big ? byte(4) << 8 | byte(5) : byte(4) | byte(5) << 8;
    if (chunk.size() == 65536 && (out.length == 65535 || out.length == 0)) out.length = 65536;  // ext: 16 bits do not hold the block size
    // ext has the name's length and the type here, UFS the type and the length; before 4.4BSD UFS had no type and a
    // length of 16 bits, of which a little-endian machine leaves the second byte zero.
    uint64_t name_length = byte(6);
    if (format != DirectoryFormat::ext && (big || byte(7) != 0)) name_length = byte(7);
    if (out.length < kMinimum || out.length % 4 != 0 || out.length > chunk.size() - at || kHeaderSize + name_length > out.length) return {};
    out.name = {ino, as_text(chunk.subspan(at + kHeaderSize, name_length)), false};
    if (ino != 0 && name_length == 0) return {};
    return out;
}

bool is_dots(std::string_view name) { return name == "." || name == ".."; }

// The names from `at` on, if entries follow each other to the chunk's end and the first of them is in use.
bool read_to_end(ByteView chunk, uint64_t at, DirectoryFormat format, uint64_t max_ino, std::vector<DirectoryName>& out) {
    const size_t before = out.size();
    while (at < chunk.size()) {
        const std::optional<Entry> entry = read_entry(chunk, at, format);
        const bool plausible = entry && entry->name.ino <= max_ino && (entry->name.ino == 0 || entry->name.name.find_first_of(std::string_view("\0/", 2)) == std::string_view::npos);
        if (!plausible) {
            out.resize(before);
            return false;
        }
        if (entry->name.ino != 0 && !is_dots(entry->name.name)) out.push_back({entry->name.ino, entry->name.name, true});
        at += entry->length;
    }
    return out.size() > before;
}

}  // namespace

bool read_directory_chunk(ByteView chunk, DirectoryFormat format, uint64_t max_ino, std::vector<DirectoryName>& out) {
    for (uint64_t at = 0; at < chunk.size();) {
        const std::optional<Entry> entry = read_entry(chunk, at, format);
        if (!entry) {
            // Entries stand at multiples of four. Each attempt ends at its first doubt, mostly at once.
            for (at += 4; at + 12 <= chunk.size(); at += 4)
                if (read_to_end(chunk, at, format, max_ino, out)) break;
            return false;
        }
        if (entry->name.ino != 0 && !is_dots(entry->name.name)) out.push_back(entry->name);
        at += entry->length;
    }
    return true;
}

}  // namespace ntt
