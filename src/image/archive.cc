#include "image/archive.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

namespace ntt {
namespace {

// The limits are looked at once for each of these: 16 KiB of bzip2 unpack to 300 MB at worst.
constexpr size_t kReadBytes = 16 << 10;
constexpr std::string_view kNoName = "data";  // what libarchive calls a stream that has none

// What libarchive's callbacks work on.
struct Reading {
    const ByteSource& source;
    const ArchiveLimits& limits;
    const Clock& clock;
    const CancelToken& cancel;
    int64_t started_us = 0;
    uint64_t at = 0, bytes_read = 0;
    std::vector<uint8_t> buffer = std::vector<uint8_t>(kReadBytes);
    std::optional<Error> error = std::nullopt;  // of the source, or cancelled
    std::string limit = {};                     // the one that was hit

    bool may_go_on() {
        if (Result<void> checked = cancel.check(); !checked.ok()) error = std::move(checked).take_error();
        if (bytes_read >= limits.input_bytes) limit = fmt::format("after {} bytes of it", bytes_read);
        if (clock.monotonic_us() - started_us >= limits.time_us) limit = fmt::format("after {} seconds", limits.time_us / 1'000'000);
        return !error && limit.empty();
    }
};

la_ssize_t read_some(archive* reader, void* data, const void** bytes) {
    auto& reading = *static_cast<Reading*>(data);
    if (!reading.may_go_on()) {
        archive_set_error(reader, EIO, "stopped");
        return -1;
    }
    const uint64_t left = reading.source.size_bytes() - reading.at;
    const ByteSpan out = ByteSpan(reading.buffer).first(static_cast<size_t>(std::min<uint64_t>(kReadBytes, left)));
    if (Result<void> read = reading.source.read(reading.at, out); !read.ok()) {
        reading.error = std::move(read).take_error();
        archive_set_error(reader, EIO, "stopped");
        return -1;
    }
    reading.at += out.size();
    reading.bytes_read += out.size();
    *bytes = reading.buffer.data();
    return static_cast<la_ssize_t>(out.size());
}

la_int64_t skip_some(archive*, void* data, la_int64_t wanted) {
    auto& reading = *static_cast<Reading*>(data);
    const uint64_t left = reading.source.size_bytes() - reading.at;
    const uint64_t skipped = std::min(left, static_cast<uint64_t>(std::max<la_int64_t>(wanted, 0)));
    reading.at += skipped;
    return static_cast<la_int64_t>(skipped);
}

la_int64_t seek_to(archive*, void* data, la_int64_t offset, int whence) {
    auto& reading = *static_cast<Reading*>(data);
    const uint64_t size = reading.source.size_bytes();
    const uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? reading.at : size;
    const uint64_t back = offset < 0 ? uint64_t{0} - static_cast<uint64_t>(offset) : 0;
    const std::optional<uint64_t> to = offset >= 0 ? checked_add(base, static_cast<uint64_t>(offset)) : back <= base ? std::optional(base - back) : std::nullopt;
    if (!to || *to > size) return ARCHIVE_FATAL;
    reading.at = *to;
    return static_cast<la_int64_t>(*to);
}

// "tar.bz2": the format, then the filters from the innermost to the outermost.
std::string type_of(archive* reader, bool single) {
    std::string out;
    switch (single ? ARCHIVE_FORMAT_RAW : archive_format(reader) & ARCHIVE_FORMAT_BASE_MASK) {
        case ARCHIVE_FORMAT_TAR: out = "tar"; break;
        case ARCHIVE_FORMAT_CPIO: out = "cpio"; break;
        case ARCHIVE_FORMAT_ZIP: out = "zip"; break;
        case ARCHIVE_FORMAT_7ZIP: out = "7z"; break;
        case ARCHIVE_FORMAT_RAR:
        case ARCHIVE_FORMAT_RAR_V5: out = "rar"; break;
        default: break;  // no archive inside the compression
    }
    for (int i = 0; i < archive_filter_count(reader); ++i) {
        std::string_view name;
        switch (archive_filter_code(reader, i)) {
            case ARCHIVE_FILTER_GZIP: name = out.empty() ? "gzip" : "gz"; break;
            case ARCHIVE_FILTER_BZIP2: name = out.empty() ? "bzip2" : "bz2"; break;
            case ARCHIVE_FILTER_XZ: name = "xz"; break;
            case ARCHIVE_FILTER_LZMA: name = "lzma"; break;
            case ARCHIVE_FILTER_ZSTD: name = out.empty() ? "zstd" : "zst"; break;
            case ARCHIVE_FILTER_LZ4: name = "lz4"; break;
            default: continue;
        }
        if (!out.empty()) out += '.';
        out += name;
    }
    return out;
}

// By how it begins; of what is none of these "archive".
Result<std::string> compression_of(const ByteSource& source) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kSignatures{
        {{"gzip", "\x1f\x8b"}, {"bzip2", "BZh"}, {"xz", "\xfd" "7zXZ"}, {"zstd", "\x28\xb5\x2f\xfd"}, {"lz4", "\x04\x22\x4d\x18"}}};
    std::string head(static_cast<size_t>(std::min<uint64_t>(source.size_bytes(), 8)), '\0');
    TRY(source.read(0, {reinterpret_cast<uint8_t*>(head.data()), head.size()}));
    for (const auto& [name, signature] : kSignatures)
        if (head.starts_with(signature)) return std::string(name);
    return std::string("archive");
}

std::string name_of(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) name = archive_entry_pathname_utf8(entry);  // kept as UTF-16, which the C locale cannot show
    if (name == nullptr) return {};
    return std::string(std::string_view(name).substr(0, ArchiveContents::kMaxNameBytes));
}

// One stream and no names but perhaps gzip's: how long it is only its decompression says. ARCHIVE_EOF when it is all there.
int unpack(archive* reader, Reading& reading, ArchiveContents& out) {
    std::vector<char> buffer(kReadBytes);
    out.bytes = 0;
    for (;;) {
        const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
        if (got == 0) return ARCHIVE_EOF;
        if (got < 0) return ARCHIVE_FATAL;
        const auto length = static_cast<size_t>(got);
        out.bytes += length;
        out.head.append(buffer.data(), std::min(length, ArchiveContents::kHeadBytes - out.head.size()));
        if (!reading.may_go_on()) return ARCHIVE_FATAL;
    }
}

}  // namespace

std::string ArchiveContents::text() const {
    if (single && bytes == 0 && !complete) return fmt::format("{} of which nothing can be unpacked ({})", type, stopped);
    if (single) {
        std::string out = type + " of one file that is no archive";
        if (!image.empty()) out += " but an image (" + image + ")";
        if (!first.empty()) out += ": " + to_terminal_text(first.front());
        out += fmt::format(", {}{} bytes", complete ? "" : "at least ", bytes);
        return complete ? out : out + "; " + stopped;
    }
    if (entries == 0) return fmt::format("{}: no entry can be read{}", type, complete ? "" : " (" + stopped + ")");
    std::string out = fmt::format("{} with {}{} entr{}", type, complete ? "" : "at least ", entries, entries == 1 ? "y" : "ies");
    if (!first.empty()) out += ", first: " + to_terminal_text(first.front());
    return complete ? out : out + "; " + stopped;
}

Result<ArchiveContents> look_into_archive(const ByteSource& source, const ArchiveLimits& limits, const Clock& clock, const CancelToken& cancel) {
    Reading reading{source, limits, clock, cancel, clock.monotonic_us()};
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
    NTT_CHECK(reader != nullptr, "no memory for an archive reader");
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_lzma(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_filter_lz4(reader.get());
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_cpio(reader.get());
    archive_read_support_format_zip(reader.get());
    archive_read_support_format_7zip(reader.get());
    archive_read_support_format_rar(reader.get());
    archive_read_support_format_rar5(reader.get());
    archive_read_support_format_raw(reader.get());  // what is inside a compression and nothing of the above

    archive_read_set_read_callback(reader.get(), read_some);
    archive_read_set_skip_callback(reader.get(), skip_some);
    archive_read_set_seek_callback(reader.get(), seek_to);
    archive_read_set_callback_data(reader.get(), &reading);

    ArchiveContents out;
    int status = archive_read_open1(reader.get());
    while (status == ARCHIVE_OK) {
        archive_entry* entry = nullptr;
        status = archive_read_next_header(reader.get(), &entry);
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN) break;
        status = ARCHIVE_OK;
        if (++out.entries > limits.entries) {
            reading.limit = fmt::format("after {} entries", limits.entries);
            --out.entries;
            break;
        }
        if (archive_entry_size_is_set(entry)) out.bytes = checked_add(out.bytes, static_cast<uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0))).value_or(UINT64_MAX);
        if (out.first.size() < ArchiveContents::kMaxNames) out.first.push_back(name_of(entry));
        if (!reading.may_go_on()) break;
        if ((archive_format(reader.get()) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_RAW) {
            out.single = true;
            if (out.first.front() == kNoName) out.first.clear();
            status = unpack(reader.get(), reading, out);
            break;
        }
    }
    if (reading.error) return *reading.error;
    // Zeros are a tar without entries to libarchive, and the beginning of many a disc.
    if (status == ARCHIVE_EOF && out.entries == 0 && archive_filter_count(reader.get()) > 1) {
        out.single = true;
        out.entries = 1;
    }
    out.type = type_of(reader.get(), out.single);
    // Damage in its first block is met before libarchive says what it is.
    if (out.type.empty()) {
        TRY_ASSIGN(out.type, compression_of(source));
        out.single = true;
    }
    out.complete = status == ARCHIVE_EOF && reading.limit.empty();
    if (!reading.limit.empty()) {
        out.stopped = "the look into it ended " + reading.limit;
    } else if (!out.complete) {
        const char* reason = archive_error_string(reader.get());
        out.stopped = fmt::format("it cannot be read further: {}", reason == nullptr ? "unknown reason" : to_terminal_text(reason));
    }
    return out;
}

}  // namespace ntt
