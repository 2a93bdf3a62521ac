#include "promises.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "volume/identify.h"

namespace ntt::fuzz {
namespace {

constexpr auto kMaxNumber = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());  // the catalog's integers
constexpr size_t kFilesKept = 500;
// A listing may repeat itself (doubled names, findings), but not without relation to the image: a directory entry has at
// least eight bytes, and no directory is listed twice.
constexpr uint64_t kEntriesAtLeast = 20'000, kBytesPerEntry = 8;

bool is_json_object(const std::string& text) {
    const auto value = nlohmann::json::parse(text, nullptr, false);
    return value.is_object();
}

void check_finding(const Finding& finding) {
    NTT_PROMISE(!finding.code.empty() && finding.code.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") == std::string::npos,
                "the code of a finding is a lower_snake_case word: " + finding.code);
    NTT_PROMISE(is_json_object(finding.evidence), "evidence is a JSON object: " + finding.evidence);
    NTT_PROMISE(is_utf8(finding.message), "a message is text for people: " + finding.message);
    NTT_PROMISE(finding.volume >= 0, "a volume's number");
}

void check_path(const std::string& path) {
    NTT_PROMISE(!path.empty(), "a name is not empty");
    NTT_PROMISE(path.find('\0') == std::string::npos, "no NUL in a path");
    for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = std::string_view(path).substr(begin, end - begin);
        NTT_PROMISE(!part.empty() && part != "." && part != "..", "no path leads elsewhere: " + path);
        begin = end + 1;
    }
}

}  // namespace

void broken_promise(const char* condition, const std::string& words, int line) {
    std::fprintf(stderr, "PROMISE BROKEN: %s\n  (%s, promises line %d)\n", words.c_str(), condition, line);
    std::abort();
}

void check_error(const Error& error) {
    NTT_PROMISE(error.sys_errno == 0, "an errno for an image in memory: " + error.text());
    NTT_PROMISE(error.code != ErrorCode::source_changed && error.code != ErrorCode::cancelled && error.code != ErrorCode::permission &&
                    error.code != ErrorCode::no_space && error.code != ErrorCode::invalid_argument,
                "the image is to blame, not this computer: " + error.text());
}

void check_detection(const Detection& detection) {
    NTT_PROMISE(!detection.volumes.empty(), "an image has at least one volume");
    int number = 0;
    uint64_t before = 0;
    bool by_scan = false;
    for (const Volume& volume : detection.volumes) {
        if (!by_scan && volume.detail.find("\"found_by\":\"scan\"") != std::string::npos) {
            by_scan = true;  // they stand behind the others
            before = 0;
        }
        NTT_PROMISE(volume.number == ++number, "volumes are numbered from 1");
        NTT_PROMISE(volume.offset_bytes >= before, "volumes are sorted by offset");
        before = volume.offset_bytes;
        NTT_PROMISE(volume.offset_bytes <= kMaxNumber && volume.size_bytes <= kMaxNumber, "the catalog has no such number");
        NTT_PROMISE(checked_add(volume.offset_bytes, volume.size_bytes).has_value(), "the end of a volume is a number");
        NTT_PROMISE(is_utf8(volume.label) && is_utf8(volume.uuid), "a label is text");
        NTT_PROMISE(volume.label.find('\0') == std::string::npos && volume.uuid.find('\0') == std::string::npos, "no NUL in a label");
        NTT_PROMISE(is_json_object(volume.detail), "detail is a JSON object: " + volume.detail);
        NTT_PROMISE(!volume.readable || (!volume.view.empty() && is_readable_family(volume.fs_type)), "what is read has a name");
    }
}

CheckingSink::CheckingSink(uint64_t image_bytes) : entries_left_(kEntriesAtLeast + image_bytes / kBytesPerEntry) {}

void CheckingSink::count() {
    NTT_PROMISE(entries_left_ > 0, "a listing ends");
    --entries_left_;
}

void CheckingSink::add(Finding finding) {
    count();
    check_finding(finding);
}

Result<void> CheckingSink::add_inode(InodeEntry inode) {
    count();
    NTT_PROMISE(inos_.insert(inode.ino).second, "an inode comes once: " + inode.fs_ino);
    check_inode(inode);
    if (inode.fs_type == 'f' && files_.size() < kFilesKept) files_.push_back(std::move(inode));
    return {};
}

Result<void> CheckingSink::add_name(NameEntry name) {
    count();
    NTT_PROMISE(inos_.contains(name.ino), "an inode comes before its first name: " + name.path);
    check_path(name.path);
    return {};
}

void CheckingSink::add_directory(DirectoryPlace place) {
    count();
    if (!place.path.empty()) check_path(place.path);
    for (const ByteRange& range : place.ranges)
        NTT_PROMISE(checked_add(range.offset, range.length).has_value(), "the end of a directory's range is a number");
}

void check_inode(const InodeEntry& inode) {
    NTT_PROMISE(inode.ino >= 0, "inode numbers are not negative");
    NTT_PROMISE(!inode.fs_ino.empty() || inode.stream.empty(), "the filesystem's own number");
    NTT_PROMISE(std::strchr("fdlbcpsu", inode.fs_type) != nullptr && inode.fs_type != '\0', "a type of file");
    NTT_PROMISE(inode.size <= kMaxNumber && inode.nlink <= kMaxNumber, "the catalog has no such number");
    NTT_PROMISE(inode.mtime_ns >= 0 && inode.mtime_ns < 1'000'000'000, "nanoseconds are less than a second");
    NTT_PROMISE((inode.access == ContentAccess::none) == (inode.fs_type != 'f'), "files have content, others have none");
    if (inode.access == ContentAccess::none)
        NTT_PROMISE(inode.extents.empty() && inode.faults.empty(), "what has no content has no extents");

    std::vector<ByteRange> accounted;
    uint64_t mapped = 0, sorted = 0;
    for (const Extent& extent : inode.extents) {
        NTT_PROMISE(extent.file_offset >= sorted, "extents are sorted");
        sorted = extent.file_offset;
        NTT_PROMISE(extent.length > 0, "an extent is not empty");
        NTT_PROMISE(extent.length < uint64_t{1} << 62, "no extent is longer than any image");
        NTT_PROMISE(extent.kind != ExtentKind::hole || extent.image_offset == 0, "a hole has no place");
        NTT_PROMISE(checked_add(extent.image_offset, extent.length).has_value(), "the end of an extent is a number");
        if (extent.kind == ExtentKind::opaque) continue;
        NTT_PROMISE(extent.file_offset >= mapped, "extents do not overlap");
        const auto end = checked_add(extent.file_offset, extent.length);
        NTT_PROMISE(end && *end <= inode.size, "extents are clipped to the size");
        mapped = *end;
        accounted.push_back({extent.file_offset, extent.length});
    }
    sorted = 0;
    for (const ContentFault& fault : inode.faults) {
        NTT_PROMISE(fault.file_offset >= sorted, "faults are sorted");
        sorted = fault.file_offset;
        const auto end = checked_add(fault.file_offset, fault.length);
        NTT_PROMISE(fault.length > 0 && end && *end <= inode.size, "faults lie in the file");
        NTT_PROMISE(is_json_object(fault.evidence), "evidence is a JSON object: " + fault.evidence);
        accounted.push_back({fault.file_offset, fault.length});
    }
    NTT_PROMISE(decode_extents(encode_extents(inode.extents)).value() == inode.extents, "extents come back from the catalog");

    if (inode.access == ContentAccess::unreadable) NTT_PROMISE(inode.size == 0 || !inode.faults.empty(), "it is said why a file is unreadable");
    if (inode.access != ContentAccess::extents && inode.access != ContentAccess::unreadable) return;
    std::sort(accounted.begin(), accounted.end());
    uint64_t reached = 0;
    for (const ByteRange& range : accounted) {
        NTT_PROMISE(range.offset <= reached, "every byte is under an extent or a fault");
        reached = std::max(reached, range.end());
    }
    NTT_PROMISE(reached == inode.size, "every byte is under an extent or a fault");
}

}  // namespace ntt::fuzz
