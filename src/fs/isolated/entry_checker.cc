#include "fs/isolated/entry_checker.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "fs/isolated/messages.h"

namespace ntt {
namespace {

using Complaint = EntryChecker::Complaint;

constexpr std::string_view kTypes = "fdlbcpsu";
constexpr size_t kMaxWord = 64;
constexpr size_t kMaxShortName = 16;
constexpr size_t kMaxTarget = 64 << 10;

// A relative path of parts that can stand in one; at most kMaxPathOnWire bytes.
bool is_path(std::string_view path) {
    if (path.empty() || path.size() > kMaxPathOnWire || path.find('\0') != std::string_view::npos) return false;
    for (size_t begin = 0; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view part = path.substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..") return false;
        begin = end + 1;
    }
    return true;
}

// Sorted by place in the file, clipped to it, without overlaps; what stands behind an opaque extent covers nothing.
Complaint check_extents(const InodeEntry& inode) {
    uint64_t covered = 0;
    for (const Extent& extent : inode.extents) {
        const auto image_end = checked_add(extent.image_offset, extent.length);
        if (!image_end || *image_end > INT64_MAX || extent.length == 0) return "an extent of impossible place or length";
        if (extent.kind == ExtentKind::opaque) continue;
        const auto end = checked_add(extent.file_offset, extent.length);
        if (!end || *end > inode.size) return "an extent beyond the file's end";
        if (extent.file_offset < covered) return "extents that overlap or are not in order";
        covered = *end;
    }
    return {};
}

// Every byte of the content lies under an extent or a fault.
Complaint check_coverage(const InodeEntry& inode) {
    auto fault = inode.faults.begin();
    uint64_t covered = 0;
    const auto cover_to = [&](uint64_t offset) {
        for (; fault != inode.faults.end() && fault->file_offset <= covered && covered < offset; ++fault)
            covered = std::max(covered, fault->file_offset + fault->length);
        return covered >= offset;
    };
    for (const Extent& extent : inode.extents) {
        if (extent.kind == ExtentKind::opaque) continue;
        if (!cover_to(extent.file_offset)) return "bytes under neither an extent nor a fault";
        covered = std::max(covered, extent.file_offset + extent.length);
    }
    if (!cover_to(inode.size)) return "bytes under neither an extent nor a fault";
    return {};
}

}  // namespace

bool is_flat_json(std::string_view text, size_t max_bytes) {
    constexpr int kMaxDepth = 32;  // ours goes to 5
    if (text.size() > max_bytes) return false;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string && c == '\\') ++i;
        else if (c == '"') in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > kMaxDepth) return false;
        else if (!in_string && (c == '}' || c == ']')) --depth;
    }
    return nlohmann::json::accept(text);
}

Complaint EntryChecker::check(const InodeEntry& inode) {
    if (inode.ino < 0 || kTypes.find(inode.fs_type) == std::string_view::npos) return "an inode of impossible number or type";
    if (inode.size > INT64_MAX || inode.nlink > INT64_MAX) return "an inode of impossible size";
    if (inode.mtime_ns < 0 || inode.mtime_ns > 999'999'999) return "impossible nanoseconds";
    if (inode.fs_ino.size() > kMaxWord || inode.stream.size() > kMaxPathOnWire) return "a stream's name that is too long";
    if (inode.target && inode.target->size() > kMaxTarget) return "a symbolic link that is too long";
    if ((inode.access == ContentAccess::none) == (inode.fs_type == 'f')) return "content where there is none, or none where there is";
    if (auto complaint = check_extents(inode)) return complaint;
    uint64_t last = 0;
    for (const ContentFault& fault : inode.faults) {
        const auto end = checked_add(fault.file_offset, fault.length);
        if (!end || *end > inode.size || fault.file_offset < last) return "a fault beyond the file's end or out of order";
        if (!is_flat_json(fault.evidence)) return "evidence that is no JSON";
        last = fault.file_offset;
    }
    const bool mapped = inode.access == ContentAccess::extents || inode.access == ContentAccess::unreadable;
    if (mapped)
        if (auto complaint = check_coverage(inode)) return complaint;
    if (!seen_.insert(static_cast<uint64_t>(inode.ino))) return "an inode that was there before";
    return {};
}

Complaint EntryChecker::check(const NameEntry& name) const {
    if (!is_path(name.path)) return "a path that is none";
    if (name.short_name.size() > kMaxShortName) return "a short name that is too long";
    if (name.ino < 0 || !seen_.contains(static_cast<uint64_t>(name.ino))) return "a name of an inode that was not there";
    return {};
}

Complaint EntryChecker::check(const DirectoryPlace& place) const {
    if (!place.path.empty() && !is_path(place.path)) return "a directory's path that is none";
    for (const ByteRange& range : place.ranges) {
        const auto end = checked_add(range.offset, range.length);
        if (!end || *end > INT64_MAX) return "an impossible place of a directory";
    }
    return {};
}

Complaint EntryChecker::check(const Finding& finding) {
    const auto of_a_code = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    if (finding.code.empty() || finding.code.size() > kMaxWord || !std::all_of(finding.code.begin(), finding.code.end(), of_a_code))
        return "a finding without a proper code";
    if (!is_utf8(finding.message)) return "a message that is no text";
    if (!is_flat_json(finding.evidence)) return "evidence that is no JSON";
    if (++findings_ > kMaxFindings) return "more findings than anyone can read";
    return {};
}

Result<Complaint> hand_on(std::string_view message, EntryChecker& checker, EntrySink* sink, FindingSink& findings) {
    Complaint complaint;
    bool stopped_by_sink = false;
    Result<void> taken = decode_entries(message, [&](AnyEntry entry) -> Result<void> {
        complaint = std::visit([&](const auto& any) { return checker.check(any); }, entry);
        if (!complaint && sink == nullptr && !std::holds_alternative<Finding>(entry)) complaint = "an entry out of place";
        if (complaint) return make_error(ErrorCode::malformed, "broken");
        if (auto* finding = std::get_if<Finding>(&entry)) {
            findings.add(std::move(*finding));
            return {};
        }
        if (auto* place = std::get_if<DirectoryPlace>(&entry)) {
            sink->add_directory(std::move(*place));
            return {};
        }
        Result<void> added = std::holds_alternative<InodeEntry>(entry) ? sink->add_inode(std::get<InodeEntry>(std::move(entry)))
                                                                       : sink->add_name(std::get<NameEntry>(std::move(entry)));
        stopped_by_sink = !added.ok();
        return added;
    });
    if (stopped_by_sink) return std::move(taken).take_error();
    if (!taken.ok() && !complaint) complaint = "entries";
    return complaint;
}

}  // namespace ntt
