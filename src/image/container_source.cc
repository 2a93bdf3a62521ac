#include "image/container_source.h"

#include <libbfio.h>
#include <libewf.h>
#include <libvhdi.h>
#include <libvmdk.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <type_traits>

#include <fmt/format.h>

#include "image/raw_source.h"

namespace ntt {
namespace {

// The three libraries come from one workshop: their calls have one shape, and their handles and errors are all pointers
// to intptr_t. A handle is not thread-safe.
using Handle = intptr_t;
using LibraryError = intptr_t;
static_assert(std::is_same_v<libewf_handle_t, Handle> && std::is_same_v<libvmdk_handle_t, Handle> &&
              std::is_same_v<libvhdi_file_t, Handle>);

struct Library {
    std::string_view format;  // as ByteSource::format()
    std::string_view title;   // for people
    int (*initialize)(Handle**, LibraryError**);
    int (*free)(Handle**, LibraryError**);
    ssize_t (*read_at)(Handle*, void*, size_t, off64_t, LibraryError**);
    int (*get_media_size)(Handle*, size64_t*, LibraryError**);
    int (*error_text)(LibraryError*, char*, size_t);
    void (*error_free)(LibraryError**);
};

constexpr Library kEwf = {"ewf",
                          "EWF",
                          libewf_handle_initialize,
                          libewf_handle_free,
                          libewf_handle_read_random,
                          libewf_handle_get_media_size,
                          libewf_error_backtrace_sprint,
                          libewf_error_free};
constexpr Library kVmdk = {"vmdk",
                           "VMDK",
                           libvmdk_handle_initialize,
                           libvmdk_handle_free,
                           libvmdk_handle_read_buffer_at_offset,
                           libvmdk_handle_get_media_size,
                           libvmdk_error_backtrace_sprint,
                           libvmdk_error_free};
constexpr Library kVhd = {"vhd",
                          "VHD",
                          libvhdi_file_initialize,
                          libvhdi_file_free,
                          libvhdi_file_read_buffer_at_offset,
                          libvhdi_file_get_media_size,
                          libvhdi_error_backtrace_sprint,
                          libvhdi_error_free};

// An open handle of one of the libraries.
class Container {
public:
    explicit Container(const Library& library) : library_(&library) {
        NTT_CHECK(library.initialize(&handle_, nullptr) == 1, "no memory for a container handle");
    }
    ~Container() {
        if (handle_ != nullptr) library_->free(&handle_, nullptr);
    }
    Container(Container&& other) noexcept
        : kept_(std::move(other.kept_)), library_(other.library_), handle_(std::exchange(other.handle_, nullptr)) {}
    Container(const Container&) = delete;
    Container& operator=(const Container&) = delete;

    const Library& library() const { return *library_; }
    // Keeps something that the handle uses alive for as long as the handle.
    void keep(std::shared_ptr<void> used) { kept_ = std::move(used); }

    // Makes one call of the library: `function(handle, arguments…, &error)`. Returns what the call returns where that is
    // not negative. Fails with malformed and the library's words: whether the container is to blame or this computer could
    // not read it, they do not say reliably (see blame_container).
    template <typename Function, typename... Arguments>
    Result<size_t> call(Function function, Arguments... arguments) const {
        LibraryError* error = nullptr;
        const auto status = function(handle_, arguments..., &error);
        if (status < 0 || error != nullptr) return take(error);
        return static_cast<size_t>(status);
    }

private:
    Error take(LibraryError* raw) const {
        char text[4096] = {};
        if (raw != nullptr) library_->error_text(raw, text, sizeof text - 1);
        library_->error_free(&raw);
        const std::string_view words = std::string_view(text).substr(0, std::string_view(text).find('\n'));
        return make_error(ErrorCode::malformed, words.empty() ? "no reason given" : to_terminal_text(words));
    }

    std::shared_ptr<void> kept_;
    const Library* library_;
    Handle* handle_ = nullptr;
};

// Adds `range` to sorted, separate ranges.
void add_range(std::vector<ByteRange>& ranges, ByteRange range) {
    auto first = std::lower_bound(ranges.begin(), ranges.end(), range.offset,
                                  [](const ByteRange& existing, uint64_t offset) { return existing.end() < offset; });
    auto last = first;
    uint64_t begin = range.offset, end = range.end();
    for (; last != ranges.end() && last->offset <= end; ++last) {
        begin = std::min(begin, last->offset);
        end = std::max(end, last->end());
    }
    first = ranges.erase(first, last);
    ranges.insert(first, {begin, end - begin});
}

// Reads every part once, from end to end. The libraries take a read error of this computer for damage in the container,
// and libewf does not even fail; before evidence is called damaged, this tells the two apart.
Result<void> blame_container(Env& env, const std::vector<ImagePart>& parts) {
    std::vector<uint8_t> buffer(uint64_t{1} << 20);
    for (const ImagePart& part : parts) {
        TRY_ASSIGN(OpenPart open, open_part(env, part.path));
        std::vector<OpenPart> one;
        one.push_back(std::move(open));
        const std::unique_ptr<ByteSource> raw = raw_source(env, std::move(one), RawKind::sectors);
        for (uint64_t offset = 0; offset < raw->size_bytes(); offset += buffer.size())
            TRY(raw->read(offset, ByteSpan(buffer).first(std::min<uint64_t>(buffer.size(), raw->size_bytes() - offset))));
    }
    return {};
}

// An error of opening a container, with the file's name; the host's own error where it cannot read the parts.
Error cannot_open(Env& env, const std::vector<ImagePart>& parts, std::string_view title, const Error& why) {
    auto readable = blame_container(env, parts);
    if (!readable.ok()) return std::move(readable).take_error();
    return make_error(
        ErrorCode::malformed,
        fmt::format("{} is a damaged or incomplete {} file: {}", to_terminal_text(parts.front().path), title, why.message),
        "verify it with the program that made it, or copy it again");
}

// What does not decode is given as zeros and listed in damaged_ranges(), in pieces of this size: small against files,
// large against the cost of a failed call.
constexpr uint64_t kSalvageBytes = 4096;

// libewf 20140813 leaks a chunk (32 KiB and more) each time it is asked for one that is not there (measured). So it is
// asked once, and an EWF file that lacks more than this is refused rather than read until memory runs out.
constexpr uint64_t kMaxEwfLostBytes = uint64_t{256} << 20;

class ContainerSource final : public ByteSource {
public:
    static Result<std::unique_ptr<ByteSource>> make(Env& env, Container container, std::vector<ImagePart> parts) {
        const std::string_view title = container.library().title;
        const std::string name = to_terminal_text(parts.front().path);
        size64_t size = 0;
        TRY(container.call(container.library().get_media_size, &size));
        if (size == 0) return cannot_open(env, parts, title, make_error(ErrorCode::malformed, "it holds no sectors"));
        if (size > kMaxVirtualDiskBytes)
            return make_error(ErrorCode::limit, fmt::format("{}: the {} file claims to hold {} bytes; the limit is {}", name,
                                                            title, size, kMaxVirtualDiskBytes));
        return std::unique_ptr<ByteSource>(new ContainerSource(env, std::move(container), std::move(parts), size));
    }

    uint64_t size_bytes() const override { return size_; }
    uint32_t sector_size() const override { return sector_size_; }
    std::string_view format() const override { return container_.library().format; }
    const std::vector<ImagePart>& parts() const override { return parts_; }

    Result<void> read(uint64_t offset, ByteSpan out) const override {
        TRY(check_range(offset, out.size()));
        const std::lock_guard lock(mutex_);
        while (!out.empty()) {
            // The first lost range that ends behind `offset`: we are in it, or may decode up to it.
            const auto lost = std::upper_bound(lost_.begin(), lost_.end(), offset,
                                               [](uint64_t at, const ByteRange& range) { return at < range.end(); });
            const bool inside = lost != lost_.end() && lost->offset <= offset;
            const uint64_t stop = lost == lost_.end() ? size_ : inside ? lost->end() : lost->offset;
            const ByteSpan piece = out.first(std::min<uint64_t>(out.size(), stop - offset));
            if (inside)
                std::fill(piece.begin(), piece.end(), uint8_t{0});
            else
                TRY(read_anew(offset, piece));
            offset += piece.size();
            out = out.subspan(piece.size());
        }
        return {};
    }

    std::vector<ByteRange> damaged_ranges() const override {
        const std::lock_guard lock(mutex_);
        std::vector<ByteRange> damaged = lost_;
        if (is_ewf()) add_checksum_errors(damaged);
        return damaged;
    }

private:
    ContainerSource(Env& env, Container container, std::vector<ImagePart> parts, uint64_t size)
        : env_(env), container_(std::move(container)), parts_(std::move(parts)), size_(size) {
        uint32_t sector_size = 0;
        const bool known =
            container_.library().format == kEwf.format && container_.call(libewf_handle_get_bytes_per_sector, &sector_size).ok();
        if (known && sector_size >= 512 && sector_size <= 4096 && sector_size % 512 == 0) sector_size_ = sector_size;
    }

    Result<void> decode(uint64_t offset, ByteSpan out) const {
        while (!out.empty()) {
            TRY_ASSIGN(const size_t done, container_.call(container_.library().read_at, static_cast<void*>(out.data()),
                                                          out.size(), static_cast<off64_t>(offset)));
            if (done == 0 || done > out.size()) return make_error(ErrorCode::malformed, "the container ends early");
            offset += done;
            out = out.subspan(done);
        }
        return {};
    }

    bool is_ewf() const { return container_.library().format == kEwf.format; }

    // Before what did not decode is called damage: the parts are what they were, and this computer can read them. The
    // second is asked once, since it reads everything.
    Result<void> suspect_host() const {
        TRY(check_unchanged(env_));
        if (!host_can_read_) TRY(blame_container(env_, parts_));
        host_can_read_ = true;
        return {};
    }

    // Decodes; what does not decode becomes zeros and is lost_.
    Result<void> read_anew(uint64_t offset, ByteSpan out) const {
        if (decode(offset, out).ok()) {
            if (!has_checksum_errors()) return {};
            TRY(suspect_host());
            return note_lost_chunks(offset, out);
        }
        TRY(suspect_host());
        while (!out.empty()) {
            const ByteSpan piece = out.first(std::min<uint64_t>(out.size(), kSalvageBytes - offset % kSalvageBytes));
            if (!decode(offset, piece).ok()) {
                std::fill(piece.begin(), piece.end(), uint8_t{0});
                add_range(lost_, {offset, piece.size()});
            }
            offset += piece.size();
            out = out.subspan(piece.size());
        }
        return {};
    }

    // Of the chunks just read with an error, those that are all zeros hold nothing that asking again could give.
    Result<void> note_lost_chunks(uint64_t offset, ByteView read) const {
        std::vector<ByteRange> damaged;
        add_checksum_errors(damaged);
        for (const ByteRange& range : damaged) {
            const ByteRange here = intersect(range, {offset, read.size()});
            if (here.empty()) continue;
            const ByteView bytes = read.subspan(here.offset - offset, here.length);
            if (std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; })) add_range(lost_, here);
        }
        uint64_t lost_bytes = 0;
        for (const ByteRange& range : lost_) lost_bytes += range.length;
        if (lost_bytes <= kMaxEwfLostBytes) return {};
        return make_error(
            ErrorCode::limit,
            fmt::format("more than {} bytes of {} cannot be decoded", kMaxEwfLostBytes, to_terminal_text(parts_.front().path)),
            "a segment file may be missing; ewfverify says more");
    }

    bool has_checksum_errors() const {
        uint32_t count = 0;
        return is_ewf() && container_.call(libewf_handle_get_number_of_checksum_errors, &count).ok() && count > 0;
    }

    // libewf notes each chunk it has read whose checksum does not fit, and each it could not read.
    void add_checksum_errors(std::vector<ByteRange>& damaged) const {
        uint32_t count = 0, bytes_per_sector = 0;
        if (!container_.call(libewf_handle_get_number_of_checksum_errors, &count).ok()) return;
        if (!container_.call(libewf_handle_get_bytes_per_sector, &bytes_per_sector).ok()) return;
        for (uint32_t i = 0; i < count; ++i) {
            uint64_t first = 0, sectors = 0;
            if (!container_.call(libewf_handle_get_checksum_error, i, &first, &sectors).ok()) continue;
            const auto begin = checked_mul(first, bytes_per_sector), length = checked_mul(sectors, bytes_per_sector);
            if (!begin || *begin >= size_) continue;
            const uint64_t left = size_ - *begin;
            add_range(damaged, {*begin, length ? std::min(*length, left) : left});
        }
    }

    Env& env_;
    mutable std::mutex mutex_;  // guards container_ and what is mutable
    Container container_;
    std::vector<ImagePart> parts_;
    uint64_t size_ = 0;
    uint32_t sector_size_ = 512;
    mutable std::vector<ByteRange> lost_;
    mutable bool host_can_read_ = false;
};

Result<std::vector<ImagePart>> describe_parts(Env& env, const std::vector<std::string>& paths) {
    std::vector<ImagePart> parts;
    for (const std::string& path : paths) {
        TRY_ASSIGN(OpenPart open, open_part(env, path));
        parts.push_back(std::move(open.part));
    }
    return parts;
}

// The segment files in order; only `path` where its name does not follow the scheme.
std::vector<std::string> ewf_segments(const std::string& path) {
    char** names = nullptr;
    int count = 0;
    if (libewf_glob(path.c_str(), path.size(), LIBEWF_FORMAT_UNKNOWN, &names, &count, nullptr) != 1) return {path};
    std::vector<std::string> segments(names, names + count);
    libewf_glob_free(names, count, nullptr);
    if (std::find(segments.begin(), segments.end(), path) == segments.end()) return {path};
    return segments;
}

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

// The name of an extent's file, as the descriptor has it.
Result<std::string> extent_name(const Container& container, int index) {
    intptr_t* extent = nullptr;
    TRY(container.call(libvmdk_handle_get_extent_descriptor, index, &extent));
    size_t size = 0;
    std::string name;
    if (libvmdk_extent_descriptor_get_utf8_filename_size(extent, &size, nullptr) == 1 && size > 0) {
        name.resize(size);
        if (libvmdk_extent_descriptor_get_utf8_filename(extent, reinterpret_cast<uint8_t*>(name.data()), size, nullptr) != 1)
            size = 1;
        name.resize(size - 1);  // without the NUL
    }
    libvmdk_extent_descriptor_free(&extent, nullptr);
    return name;
}

constexpr int kMaxVmdkExtents = 4096;  // at 2 GB each: 8 TB

// The files that hold a VMDK's sectors, in the descriptor's order. A descriptor is text that anybody can write: it may
// name files beside it, not /dev/sda or another user's disk.
Result<std::vector<std::string>> vmdk_extents(const Container& container, const std::string& path) {
    int count = 0, type = 0;
    TRY(container.call(libvmdk_handle_get_disk_type, &type));
    // The descriptor lies inside its only extent, and still has the name that the file had when it was made.
    if (type == LIBVMDK_DISK_TYPE_MONOLITHIC_SPARSE || type == LIBVMDK_DISK_TYPE_STREAM_OPTIMIZED) return std::vector{path};

    TRY(container.call(libvmdk_handle_get_number_of_extents, &count));
    if (count > kMaxVmdkExtents)
        return make_error(ErrorCode::limit,
                          fmt::format("{} has {} extents; the limit is {}", to_terminal_text(path), count, kMaxVmdkExtents));
    std::vector<std::string> files;
    for (int i = 0; i < count; ++i) {
        TRY_ASSIGN(const std::string name, extent_name(container, i));
        if (name.empty() || name.find_first_of("/\\") != std::string::npos || name == "." || name == "..")
            return make_error(ErrorCode::unsupported,
                              fmt::format("extent {} of {} is '{}', which is no file in its folder", i + 1,
                                          to_terminal_text(path), to_terminal_text(name)),
                              "put all extents beside the descriptor and let it name them without a path");
        files.push_back(folder_of(path) + name);
    }
    return files;
}

std::vector<char*> c_strings(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    return out;
}

// The extents' files for libvmdk; closes them when it goes, which must be after the container.
using ExtentPool = std::shared_ptr<libbfio_pool_t>;

ExtentPool make_pool(const std::vector<std::string>& files) {
    constexpr const char* kNoMemory = "no memory for a file handle";
    libbfio_pool_t* raw = nullptr;
    NTT_CHECK(libbfio_pool_initialize(&raw, 0, LIBBFIO_POOL_UNLIMITED_NUMBER_OF_OPEN_HANDLES, nullptr) == 1, kNoMemory);
    ExtentPool pool(raw, [](libbfio_pool_t* old) { libbfio_pool_free(&old, nullptr); });
    for (const std::string& file : files) {
        libbfio_handle_t* handle = nullptr;
        int entry = 0;
        NTT_CHECK(libbfio_file_initialize(&handle, nullptr) == 1, kNoMemory);
        NTT_CHECK(libbfio_file_set_name(handle, file.c_str(), file.size(), nullptr) == 1, kNoMemory);
        NTT_CHECK(libbfio_pool_append_handle(raw, &entry, handle, LIBBFIO_OPEN_READ, nullptr) == 1, kNoMemory);
    }
    return pool;
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_ewf(Env& env, const std::string& path) {
    const std::vector<std::string> segments = ewf_segments(path);
    TRY_ASSIGN(std::vector<ImagePart> parts, describe_parts(env, segments));

    Container container(kEwf);
    if (const auto opened = container.call(libewf_handle_open, c_strings(segments).data(), static_cast<int>(segments.size()),
                                           int{LIBEWF_ACCESS_FLAG_READ});
        !opened.ok())
        return cannot_open(env, parts, container.library().title, opened.error());
    return ContainerSource::make(env, std::move(container), std::move(parts));
}

Result<std::unique_ptr<ByteSource>> open_vmdk(Env& env, const std::string& path) {
    TRY_ASSIGN(std::vector<ImagePart> parts, describe_parts(env, {path}));
    Container container(kVmdk);
    if (const auto opened = container.call(libvmdk_handle_open, path.c_str(), int{LIBVMDK_ACCESS_FLAG_READ}); !opened.ok())
        return cannot_open(env, parts, container.library().title, opened.error());

    constexpr uint32_t kNoParent = 0xFFFFFFFF;
    uint32_t parent = kNoParent;
    TRY(container.call(libvmdk_handle_get_parent_content_identifier, &parent));
    if (parent != kNoParent)
        return make_error(ErrorCode::unsupported,
                          to_terminal_text(path) + " is a VMDK snapshot: only the difference to another disk",
                          "merge it with its parent: qemu-img convert -O raw FILE disk.img");

    TRY_ASSIGN(const std::vector<std::string> extents, vmdk_extents(container, path));
    std::vector<std::string> files = extents;
    if (extents.empty() || extents.front() != path) files.insert(files.begin(), path);
    TRY_ASSIGN(parts, describe_parts(env, files));

    ExtentPool pool = make_pool(extents);
    if (const auto opened = container.call(libvmdk_handle_open_extent_data_files_file_io_pool, pool.get()); !opened.ok())
        return cannot_open(env, parts, container.library().title, opened.error());
    container.keep(std::move(pool));
    return ContainerSource::make(env, std::move(container), std::move(parts));
}

Result<std::unique_ptr<ByteSource>> open_vhd(Env& env, const std::string& path) {
    TRY_ASSIGN(std::vector<ImagePart> parts, describe_parts(env, {path}));
    Container container(kVhd);
    if (const auto opened = container.call(libvhdi_file_open, path.c_str(), int{LIBVHDI_ACCESS_FLAG_READ}); !opened.ok())
        return cannot_open(env, parts, container.library().title, opened.error());

    uint32_t type = 0;
    TRY(container.call(libvhdi_file_get_disk_type, &type));
    if (type == LIBVHDI_DISK_TYPE_DIFFERENTIAL)
        return make_error(ErrorCode::unsupported,
                          to_terminal_text(path) + " is a differencing VHD: only the difference to another disk",
                          "merge it with its parent: qemu-img convert -O raw FILE disk.img");
    return ContainerSource::make(env, std::move(container), std::move(parts));
}

}  // namespace ntt
