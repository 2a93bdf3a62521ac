#include "image/byte_source.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "image/container_source.h"
#include "image/image_format.h"
#include "image/isolated_source.h"
#include "image/raw_source.h"

namespace ntt {
namespace {

class MemorySource final : public ByteSource {
public:
    explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}

    uint64_t size_bytes() const override { return bytes_.size(); }
    std::string_view format() const override { return "memory"; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(check_range(offset, out.size()));
        if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
        return {};
    }

private:
    std::string bytes_;
    std::vector<ImagePart> parts_;
};

Result<std::string> read_up_to(Env& env, const OpenPart& open, uint64_t offset, size_t length) {
    std::string bytes(length, '\0');
    TRY_ASSIGN(const size_t done, env.read_at(open.fd, {reinterpret_cast<uint8_t*>(bytes.data()), length}, offset));
    bytes.resize(done);
    return bytes;
}

Result<ImageFormat> format_of(Env& env, const OpenPart& open) {
    const uint64_t size = open.part.size_bytes;
    const size_t tail_bytes = std::min<uint64_t>(size, kFormatTailBytes);
    TRY_ASSIGN(const std::string head, read_up_to(env, open, 0, kFormatHeadBytes));
    TRY_ASSIGN(const std::string tail, read_up_to(env, open, size - tail_bytes, tail_bytes));
    return identify_format(as_bytes(head), as_bytes(tail));
}

std::string same_file(const ImagePart& was, const struct stat& now) {
    const int64_t mtime_ns = int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec;
    if (was.device != now.st_dev || was.inode != now.st_ino) return "it is another file now";
    if (was.size_bytes != static_cast<uint64_t>(now.st_size))
        return fmt::format("it had {} bytes and has {} now", was.size_bytes, now.st_size);
    if (was.mtime_ns != mtime_ns) return "it was written to";
    return {};
}

Result<void> open_more(Env& env, const std::vector<std::string>& paths, std::vector<OpenPart>& parts) {
    for (const std::string& path : paths) {
        TRY_ASSIGN(OpenPart part, open_part(env, path));
        parts.push_back(std::move(part));
    }
    return {};
}

// A container is decoded by a process of its own where there is a program for it.
Result<std::unique_ptr<ByteSource>> open_container(Env& env, std::string_view format, std::vector<OpenPart> parts, const ReaderProgram* program) {
    return program != nullptr ? isolated_source(env, *program, format, std::move(parts)) : open_image_parts(env, format, std::move(parts));
}

// A descriptor, and the files beside it that it names.
Result<std::unique_ptr<ByteSource>> open_vmdk_files(Env& env, std::vector<OpenPart> parts, const ReaderProgram* program) {
    const std::string& path = parts.front().part.path;
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
    std::vector<std::string> names;
    if (program != nullptr) {
        TRY_ASSIGN(names, isolated_missing_files(*program, "vmdk", parts));
    } else {
        TRY_ASSIGN(names, vmdk_missing_files(env, parts));
    }
    for (std::string& name : names) name = folder + name;
    TRY(open_more(env, names, parts));
    return open_container(env, "vmdk", std::move(parts), program);
}

}  // namespace

const Fd* ByteSource::plain_file(ByteRange /*range*/, uint64_t* /*file_offset*/) const { return nullptr; }

Result<void> ByteSource::check_range(uint64_t offset, uint64_t length) const {
    const auto end = checked_add(offset, length);
    if (end && *end <= size_bytes()) return {};
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("read of {} bytes at {} reaches beyond the image's {} bytes", length, offset, size_bytes()));
}

Result<void> ByteSource::check_unchanged(Env& env) const {
    for (const ImagePart& part : parts()) {
        const auto changed = [&](const std::string& how) {
            return make_error(ErrorCode::source_changed, to_terminal_text(part.path) + " changed since it was opened: " + how,
                              "let whatever writes the image finish, then start again");
        };
        const auto now = env.stat_path(part.path);
        if (!now.ok() && now.error().code == ErrorCode::not_found) return changed("it is gone");
        if (!now.ok()) return now.error();
        if (const std::string how = same_file(part, *now); !how.empty()) return changed(how);
    }
    return {};
}

Result<std::unique_ptr<ByteSource>> open_image(Env& env, const std::string& path, const ReaderProgram* program) {
    TRY_ASSIGN(OpenPart given, open_part(env, path));
    TRY_ASSIGN(std::vector<std::string> segments, split_segments(env, path));

    // What the first segment is, the whole is.
    std::vector<OpenPart> parts;
    if (segments.size() == 1) {
        parts.push_back(std::move(given));
    } else {
        TRY_ASSIGN(OpenPart first, open_part(env, segments.front()));
        parts.push_back(std::move(first));
    }
    TRY_ASSIGN(const ImageFormat format, format_of(env, parts.front()));
    const std::string first_path = parts.front().part.path;
    switch (format.kind) {
        case ImageFormat::Kind::ewf:
            parts.clear();
            segments = ewf_segments(first_path);
            TRY(open_more(env, segments, parts));
            return open_container(env, "ewf", std::move(parts), program);
        case ImageFormat::Kind::vmdk: return open_vmdk_files(env, std::move(parts), program);
        case ImageFormat::Kind::vhd: return open_container(env, "vhd", std::move(parts), program);
        case ImageFormat::Kind::foreign:
            return make_error(ErrorCode::unsupported,
                              fmt::format("{} is {}, not a disk image that is read here", to_terminal_text(first_path), format.foreign.name),
                              std::string(format.foreign.hint));
        case ImageFormat::Kind::archive:
        case ImageFormat::Kind::raw: break;
    }
    segments.erase(segments.begin());
    TRY(open_more(env, segments, parts));
    return raw_source(env, std::move(parts), format.kind == ImageFormat::Kind::archive ? RawKind::archive : RawKind::sectors);
}

Result<std::unique_ptr<ByteSource>> open_image_parts(Env& env, std::string_view format, std::vector<OpenPart> parts) {
    if (parts.empty()) return make_error(ErrorCode::invalid_argument, "an image without a file");
    if (format == "raw" || format == "split_raw") return raw_source(env, std::move(parts), RawKind::sectors);
    if (format == "archive") return raw_source(env, std::move(parts), RawKind::archive);
    if (format == "ewf") return open_ewf(env, std::move(parts));
    if (format == "vmdk") return open_vmdk(env, std::move(parts));
    if (format == "vhd") return open_vhd(env, std::move(parts));
    return make_error(ErrorCode::unsupported, fmt::format("no image format {}", to_terminal_text(format)));
}

std::unique_ptr<ByteSource> memory_image(std::string bytes) { return std::make_unique<MemorySource>(std::move(bytes)); }

}  // namespace ntt
