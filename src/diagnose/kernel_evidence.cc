#include "diagnose/kernel_evidence.h"

#include <charconv>

namespace ntt {
namespace {

constexpr std::string_view kNone;

bool is_of_a_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '!'; }

// The device's name that `text` begins with.
std::string_view name_at(std::string_view text) {
    size_t end = 0;
    while (end < text.size() && is_of_a_name(text[end])) ++end;
    return text.substr(0, end);
}

// What stands behind the first `mark`; kNone where it does not stand.
std::string_view behind(std::string_view text, std::string_view mark) {
    const size_t at = text.find(mark);
    return at == std::string_view::npos ? kNone : text.substr(at + mark.size());
}

std::optional<uint64_t> number_behind(std::string_view text, std::string_view mark) {
    std::string_view digits = behind(text, mark);
    while (digits.starts_with(' ')) digits.remove_prefix(1);
    uint64_t out = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc() && end != digits.data() ? std::optional(out) : std::nullopt;
}

// "cat: attempt to access beyond end of device\nloop38: rw=0, sector=1316, nr_sectors = 8 limit=841"; before 5.18
// "… rw=0, want=1324, limit=841", where want is the end.
std::optional<KernelEvidence> beyond_eof(std::string_view text) {
    if (text.find("attempt to access beyond end of device") == std::string_view::npos) return std::nullopt;
    const size_t rw = text.find(": rw=");
    if (rw == std::string_view::npos) return std::nullopt;
    size_t begin = rw;
    while (begin > 0 && is_of_a_name(text[begin - 1])) --begin;
    KernelEvidence out{KernelEvidence::Kind::beyond_eof, std::string(text.substr(begin, rw - begin)), {}, {}, {}};
    const std::string_view numbers = text.substr(rw);
    out.sector = number_behind(numbers, "sector=");
    out.sectors = number_behind(numbers, "nr_sectors =");
    out.limit = number_behind(numbers, "limit=");
    if (const auto want = number_behind(numbers, "want="); want && !out.sector) out.sector = *want == 0 ? 0 : *want - 1;
    if (out.device.empty() || !out.sector || !out.limit) return std::nullopt;
    return out;
}

// "FAT-fs (loop38): request beyond EOF (…)", "FAT-fs (loop38): error, fat_get_cluster: invalid cluster chain (i_pos 0)".
// "FAT-fs (loop38): Volume was not properly unmounted" is no error of a file.
std::optional<KernelEvidence> fat_error(std::string_view text) {
    const std::string_view rest = behind(text, "FAT-fs (");
    const std::string_view device = name_at(rest);
    if (device.empty()) return std::nullopt;
    const std::string_view words = rest.substr(device.size());
    for (const std::string_view sign : {"error", "beyond EOF", "beyond eof", "invalid", "bogus", "unable to read", "FAT read failed", "Directory bread"})
        if (words.find(sign) != std::string_view::npos) return KernelEvidence{KernelEvidence::Kind::fat_error, std::string(device), {}, {}, {}};
    return std::nullopt;
}

// "I/O error, dev sda, sector 1316 op 0x0:(READ) …", "blk_update_request: critical medium error, dev sr0, sector 64",
// "Buffer I/O error on dev loop38, logical block 5, async page read" (before 4.1: "on device").
std::optional<KernelEvidence> io_error(std::string_view text) {
    const bool speaks_of_error = text.find("I/O error") != std::string_view::npos || text.find("medium error") != std::string_view::npos;
    if (!speaks_of_error) return std::nullopt;
    std::string_view device;
    for (const std::string_view mark : {" dev ", " device "})
        if (device.empty()) device = name_at(behind(text, mark));
    if (device.empty()) return std::nullopt;
    return KernelEvidence{KernelEvidence::Kind::io_error, std::string(device), number_behind(text, ", sector "), {}, {}};
}

}  // namespace

std::string_view check_of(KernelEvidence::Kind kind) {
    switch (kind) {
        case KernelEvidence::Kind::beyond_eof: return "dmesg:beyond_eof";
        case KernelEvidence::Kind::fat_error: return "dmesg:fat_error";
        case KernelEvidence::Kind::io_error: return "dmesg:io_error";
    }
    return "";
}

std::optional<KernelEvidence> evidence_in(std::string_view record_text) {
    for (const auto read : {beyond_eof, fat_error, io_error})
        if (auto out = read(record_text)) return out;
    return std::nullopt;
}

}  // namespace ntt
