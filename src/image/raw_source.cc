#include "image/raw_source.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace ntt {
namespace {

Result<void> check_regular(const struct stat& info, const std::string& path) {
    const auto refuse = [&](const char* what, const char* hint) {
        return make_error(ErrorCode::invalid_argument, to_terminal_text(path) + " is " + what + ", not an image file", hint);
    };
    constexpr const char* kImageIt = "make an image of it first: ddrescue DEVICE disk.img disk.map";
    if (S_ISDIR(info.st_mode)) return refuse("a folder", "");
    if (S_ISBLK(info.st_mode)) return refuse("a block device", kImageIt);
    if (S_ISCHR(info.st_mode)) return refuse("a character device", kImageIt);
    if (S_ISFIFO(info.st_mode)) return refuse("a pipe", "write its content to a file first");
    if (!S_ISREG(info.st_mode)) return refuse("a socket or another special file", "");
    if (info.st_size <= 0)
        return make_error(ErrorCode::invalid_argument, to_terminal_text(path) + " is empty (0 bytes)",
                          "an interrupted copy leaves such a file behind; image the medium again");
    return {};
}

ImagePart describe(const struct stat& info, const std::string& path) {
    return {path, static_cast<uint64_t>(info.st_size), info.st_dev, info.st_ino,
            int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

class RawSource final : public ByteSource {
public:
    RawSource(Env& env, std::vector<OpenPart> parts, RawKind kind) : env_(env), kind_(kind) {
        for (OpenPart& open : parts) {
            begins_.push_back(size_);
            size_ += open.part.size_bytes;  // cannot overflow: file sizes are below 2^63, and so many bytes do not exist
            parts_.push_back(std::move(open.part));
            fds_.push_back(std::move(open.fd));
        }
    }

    uint64_t size_bytes() const override { return size_; }
    std::string_view format() const override {
        return kind_ == RawKind::archive ? "archive" : parts_.size() == 1 ? "raw" : "split_raw";
    }
    const std::vector<ImagePart>& parts() const override { return parts_; }

    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(check_range(offset, out.size()));
        while (!out.empty()) {
            const size_t index = part_at(offset);
            const uint64_t inside = offset - begins_[index];
            const size_t here = std::min<uint64_t>(out.size(), parts_[index].size_bytes - inside);
            TRY(read_part(index, inside, out.first(here)));
            out = out.subspan(here);
            offset += here;
        }
        return {};
    }

    const Fd* plain_file(ByteRange range, uint64_t* file_offset) const override {
        if (range.offset >= size_) return nullptr;
        const size_t index = part_at(range.offset);
        const uint64_t inside = range.offset - begins_[index];
        if (range.length > parts_[index].size_bytes - inside) return nullptr;
        *file_offset = inside;
        return &fds_[index];
    }

    std::vector<int> files() const override {
        std::vector<int> out;
        for (const Fd& fd : fds_) out.push_back(fd.raw());
        return out;
    }

private:
    size_t part_at(uint64_t offset) const {
        return static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) - begins_.begin()) - 1;
    }

    Result<void> read_part(size_t index, uint64_t offset, ByteSpan out) const {
        const ImagePart& part = parts_[index];
        auto done = env_.read_at(fds_[index], out, offset);
        if (!done.ok()) {
            Error error = std::move(done).take_error();
            error.message = to_terminal_text(part.path) + ": " + error.message;
            return error;
        }
        if (*done == out.size()) return {};
        return make_error(
            ErrorCode::source_changed,
            fmt::format("{} became shorter while it was read: {} bytes expected at offset {}, {} there; it had {} bytes",
                        to_terminal_text(part.path), out.size(), offset, *done, part.size_bytes),
            "let whatever writes the image finish first");
    }

    Env& env_;
    const RawKind kind_;
    std::vector<ImagePart> parts_;
    std::vector<Fd> fds_;
    std::vector<uint64_t> begins_;  // of each part in the image
    uint64_t size_ = 0;
};

struct SegmentName {
    std::string stem;  // with the dot
    uint32_t number = 0;
};

constexpr size_t kSegmentDigits = 3;
constexpr size_t kMaxSegmentDigits = 5;  // after .999 comes .1000

std::string segment_name(const SegmentName& segment) { return fmt::format("{}{:03}", segment.stem, segment.number); }

std::optional<SegmentName> parse_segment_name(const std::string& name) {
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos || dot == 0) return std::nullopt;
    const size_t digits = name.size() - dot - 1;
    if (digits < kSegmentDigits || digits > kMaxSegmentDigits) return std::nullopt;
    SegmentName out{name.substr(0, dot + 1), 0};
    for (size_t i = dot + 1; i < name.size(); ++i) {
        if (name[i] < '0' || name[i] > '9') return std::nullopt;
        out.number = out.number * 10 + static_cast<uint32_t>(name[i] - '0');
    }
    if (segment_name(out) != name) return std::nullopt;  // "x.0001" is no segment of "x.001"
    return out;
}

}  // namespace

Result<OpenPart> open_part(Env& env, const std::string& path) {
    TRY_ASSIGN(const struct stat named, env.stat_path(path));
    TRY(check_regular(named, path));
    TRY_ASSIGN(Fd fd, env.open_read(path));
    TRY_ASSIGN(const struct stat opened, env.stat_fd(fd));  // the name may have been given to something else since
    TRY(check_regular(opened, path));
    return OpenPart{describe(opened, path), std::move(fd)};
}

std::unique_ptr<ByteSource> raw_source(Env& env, std::vector<OpenPart> parts, RawKind kind) {
    NTT_CHECK(!parts.empty(), "a raw image has at least one part");
    return std::make_unique<RawSource>(env, std::move(parts), kind);
}

Result<std::vector<std::string>> split_segments(Env& env, const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    const auto given = parse_segment_name(path.substr(folder.size()));
    if (!given) return std::vector{path};

    TRY_ASSIGN(const std::vector<DirEntry> entries, env.list_dir(folder.empty() ? "." : folder));
    std::vector<uint32_t> numbers;
    for (const DirEntry& entry : entries) {
        const auto segment = parse_segment_name(entry.name);
        if (segment && segment->stem == given->stem && !entry.is_directory) numbers.push_back(segment->number);
    }
    if (numbers.size() < 2) return std::vector{path};

    std::sort(numbers.begin(), numbers.end());
    std::vector<std::string> segments;
    uint32_t expected = numbers.front() == 0 ? 0 : 1;
    for (const uint32_t number : numbers) {
        if (number != expected)
            return make_error(ErrorCode::not_found,
                              fmt::format("segment {}{} of the split image {} is missing", to_terminal_text(folder),
                                          to_terminal_text(segment_name({given->stem, expected})), to_terminal_text(path)),
                              "put all segments into one folder; an image of its own needs a name that does not end in digits");
        segments.push_back(folder + segment_name({given->stem, number}));
        ++expected;
    }
    return segments;
}

}  // namespace ntt
