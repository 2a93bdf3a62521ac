#include "image/container_source.h"

// Debian's headers of libewf and libvhdi show the calls that take handles only to whoever says that there is a libbfio.
#define HAVE_LIBBFIO 1
#include <libbfio.h>
#include <libewf.h>
#include <libvhdi.h>
#include <libvmdk.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
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
    void keep(std::shared_ptr<void> used) { kept_.push_back(std::move(used)); }

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

    std::vector<std::shared_ptr<void>> kept_;
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

// --- the parts, as the libraries read them ---

// The open files of a container. Remembers the first read that this computer could not do: what a library says of it does
// not tell it from damage in the container, and libewf does not even fail.
struct PartFiles {
    Env& env;
    std::vector<OpenPart> parts;
    std::optional<Error> failure;
};

// One part at a position: what a handle of libbfio stands for. Calls come from the thread that uses the container.
struct PartReader {
    std::shared_ptr<PartFiles> files;
    size_t index = 0;
    uint64_t position = 0;

    uint64_t size() const { return files->parts[index].part.size_bytes; }

    // Bytes read; -1 when the host could not.
    ssize_t read(ByteSpan out) {
        const uint64_t left = position < size() ? size() - position : 0;
        const ByteSpan here = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left)));
        auto done = files->env.read_at(files->parts[index].fd, here, position);
        if (done.ok() && *done < here.size())
            done = make_error(ErrorCode::source_changed, "it became shorter while it was read");
        if (!done.ok()) {
            Error error = std::move(done).take_error();
            error.message = to_terminal_text(files->parts[index].part.path) + ": " + error.message;
            if (!files->failure) files->failure = std::move(error);
            return -1;
        }
        position += *done;
        return static_cast<ssize_t>(*done);
    }

    off64_t seek(off64_t offset, int whence) {
        const auto base = static_cast<off64_t>(whence == SEEK_CUR ? position : whence == SEEK_END ? size() : 0);
        off64_t target = 0;
        if (__builtin_add_overflow(base, offset, &target) || target < 0) return -1;
        position = static_cast<uint64_t>(target);
        return target;
    }
};

PartReader& reader_of(intptr_t* handle) { return *reinterpret_cast<PartReader*>(handle); }

// The callbacks of libbfio_handle_initialize. Opening and closing mean nothing: the files are open.
int free_reader(intptr_t** handle, LibraryError**) {
    if (*handle != nullptr) delete &reader_of(*handle);
    *handle = nullptr;
    return 1;
}
int clone_reader(intptr_t** out, intptr_t* handle, LibraryError**) {
    *out = reinterpret_cast<intptr_t*>(new PartReader(reader_of(handle)));
    return 1;
}
int open_reader_again(intptr_t* handle, int, LibraryError**) {
    reader_of(handle).position = 0;
    return 1;
}
int close_reader(intptr_t*, LibraryError**) { return 0; }
ssize_t read_reader(intptr_t* handle, uint8_t* buffer, size_t size, LibraryError**) { return reader_of(handle).read({buffer, size}); }
ssize_t write_reader(intptr_t*, const uint8_t*, size_t, LibraryError**) { return -1; }
off64_t seek_reader(intptr_t* handle, off64_t offset, int whence, LibraryError**) { return reader_of(handle).seek(offset, whence); }
int reader_exists(intptr_t*, LibraryError**) { return 1; }
int reader_is_open(intptr_t*, LibraryError**) { return 1; }
int reader_size(intptr_t* handle, size64_t* size, LibraryError**) {
    *size = reader_of(handle).size();
    return 1;
}

constexpr const char* kNoMemory = "no memory for a file handle";

// A handle on one part, for whoever frees it.
libbfio_handle_t* make_handle(const std::shared_ptr<PartFiles>& files, size_t index) {
    constexpr uint8_t kManagedAndCloned = 0x01 | 0x02;  // freed with the handle, cloned by our function
    libbfio_handle_t* handle = nullptr;
    auto reader = std::make_unique<PartReader>(PartReader{files, index, 0});
    NTT_CHECK(libbfio_handle_initialize(&handle, reinterpret_cast<intptr_t*>(reader.get()), free_reader, clone_reader, open_reader_again,
                                        close_reader, read_reader, write_reader, seek_reader, reader_exists, reader_is_open, reader_size,
                                        kManagedAndCloned, nullptr) == 1,
              kNoMemory);
    reader.release();
    return handle;
}

// A handle that is ours to free, after the container that uses it.
std::shared_ptr<libbfio_handle_t> own_handle(const std::shared_ptr<PartFiles>& files, size_t index) {
    return {make_handle(files, index), [](libbfio_handle_t* old) { libbfio_handle_free(&old, nullptr); }};
}

// Handles on the parts [first, last).
using PartPool = std::shared_ptr<libbfio_pool_t>;

PartPool make_pool(const std::shared_ptr<PartFiles>& files, size_t first, size_t last) {
    libbfio_pool_t* raw = nullptr;
    NTT_CHECK(libbfio_pool_initialize(&raw, 0, LIBBFIO_POOL_UNLIMITED_NUMBER_OF_OPEN_HANDLES, nullptr) == 1, kNoMemory);
    PartPool pool(raw, [](libbfio_pool_t* old) { libbfio_pool_free(&old, nullptr); });
    for (size_t index = first; index < last; ++index) {
        int entry = 0;
        NTT_CHECK(libbfio_pool_append_handle(raw, &entry, make_handle(files, index), LIBBFIO_OPEN_READ, nullptr) == 1, kNoMemory);
    }
    return pool;
}

// An error of opening a container, with the file's name; the host's own error where it could not read the parts.
Error cannot_open(const PartFiles& files, std::string_view title, const Error& why) {
    if (files.failure) return *files.failure;
    return make_error(
        ErrorCode::malformed,
        fmt::format("{} is a damaged or incomplete {} file: {}", to_terminal_text(files.parts.front().part.path), title, why.message),
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
    static Result<std::unique_ptr<ByteSource>> make(Container container, std::shared_ptr<PartFiles> files) {
        const std::string_view title = container.library().title;
        const std::string name = to_terminal_text(files->parts.front().part.path);
        size64_t size = 0;
        TRY(container.call(container.library().get_media_size, &size));
        if (size == 0) return cannot_open(*files, title, make_error(ErrorCode::malformed, "it holds no sectors"));
        if (size > kMaxVirtualDiskBytes)
            return make_error(ErrorCode::limit, fmt::format("{}: the {} file claims to hold {} bytes; the limit is {}", name,
                                                            title, size, kMaxVirtualDiskBytes));
        return std::unique_ptr<ByteSource>(new ContainerSource(std::move(container), std::move(files), size));
    }

    uint64_t size_bytes() const override { return size_; }
    uint32_t sector_size() const override { return sector_size_; }
    std::string_view format() const override { return container_.library().format; }
    const std::vector<ImagePart>& parts() const override { return parts_; }
    std::vector<int> files() const override {
        std::vector<int> out;
        for (const OpenPart& open : files_->parts) out.push_back(open.fd.raw());
        return out;
    }

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
    ContainerSource(Container container, std::shared_ptr<PartFiles> files, uint64_t size)
        : files_(std::move(files)), container_(std::move(container)), size_(size) {
        for (const OpenPart& open : files_->parts) parts_.push_back(open.part);
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

    // Before what did not decode is called damage: could this computer read the parts?
    Result<void> suspect_host() const {
        if (auto failure = std::exchange(files_->failure, std::nullopt)) return *std::move(failure);
        return {};
    }

    // Decodes; what does not decode becomes zeros and is lost_.
    Result<void> read_anew(uint64_t offset, ByteSpan out) const {
        const bool decoded = decode(offset, out).ok();
        TRY(suspect_host());
        if (decoded) return has_checksum_errors() ? note_lost_chunks(offset, out) : Result<void>();
        while (!out.empty()) {
            const ByteSpan piece = out.first(std::min<uint64_t>(out.size(), kSalvageBytes - offset % kSalvageBytes));
            if (!decode(offset, piece).ok()) {
                TRY(suspect_host());
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

    mutable std::mutex mutex_;  // guards container_, files_->failure and what is mutable
    std::shared_ptr<PartFiles> files_;
    Container container_;
    std::vector<ImagePart> parts_;
    uint64_t size_ = 0;
    uint32_t sector_size_ = 512;
    mutable std::vector<ByteRange> lost_;
};

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

// The names of the files that hold a VMDK's sectors, in the descriptor's order; none if they are in the file itself. A
// descriptor is text that anybody can write: it may name files beside it, not /dev/sda or another user's disk.
Result<std::vector<std::string>> vmdk_extents(const Container& container, const std::string& path) {
    int count = 0, type = 0;
    TRY(container.call(libvmdk_handle_get_disk_type, &type));
    // The descriptor lies inside its only extent, and still has the name that the file had when it was made.
    if (type == LIBVMDK_DISK_TYPE_MONOLITHIC_SPARSE || type == LIBVMDK_DISK_TYPE_STREAM_OPTIMIZED) return std::vector<std::string>();

    TRY(container.call(libvmdk_handle_get_number_of_extents, &count));
    if (count > kMaxVmdkExtents)
        return make_error(ErrorCode::limit,
                          fmt::format("{} has {} extents; the limit is {}", to_terminal_text(path), count, kMaxVmdkExtents));
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        TRY_ASSIGN(const std::string name, extent_name(container, i));
        if (!is_extent_name(name))
            return make_error(ErrorCode::unsupported,
                              fmt::format("extent {} of {} is '{}', which is no file in its folder", i + 1,
                                          to_terminal_text(path), to_terminal_text(name)),
                              "put all extents beside the descriptor and let it name them without a path");
        names.push_back(name);
    }
    return names;
}

std::shared_ptr<PartFiles> hold(Env& env, std::vector<OpenPart> parts) {
    return std::make_shared<PartFiles>(PartFiles{env, std::move(parts), std::nullopt});
}

// A VMDK's descriptor, open; and what it says of itself.
struct OpenedVmdk {
    Container container;
    std::vector<std::string> extents;
};

Result<OpenedVmdk> open_descriptor(const std::shared_ptr<PartFiles>& files) {
    const std::string& path = files->parts.front().part.path;
    Container container(kVmdk);
    auto handle = own_handle(files, 0);
    if (const auto opened = container.call(libvmdk_handle_open_file_io_handle, handle.get(), int{LIBVMDK_ACCESS_FLAG_READ}); !opened.ok())
        return cannot_open(*files, container.library().title, opened.error());
    container.keep(std::move(handle));

    constexpr uint32_t kNoParent = 0xFFFFFFFF;
    uint32_t parent = kNoParent;
    TRY(container.call(libvmdk_handle_get_parent_content_identifier, &parent));
    if (parent != kNoParent)
        return make_error(ErrorCode::unsupported,
                          to_terminal_text(path) + " is a VMDK snapshot: only the difference to another disk",
                          "merge it with its parent: qemu-img convert -O raw FILE disk.img");
    TRY_ASSIGN(std::vector<std::string> extents, vmdk_extents(container, path));
    return OpenedVmdk{std::move(container), std::move(extents)};
}

}  // namespace

bool is_extent_name(std::string_view name) {
    return !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos && name != "." && name != "..";
}

std::vector<std::string> ewf_segments(const std::string& path) {
    char** names = nullptr;
    int count = 0;
    if (libewf_glob(path.c_str(), path.size(), LIBEWF_FORMAT_UNKNOWN, &names, &count, nullptr) != 1) return {path};
    std::vector<std::string> segments(names, names + count);
    libewf_glob_free(names, count, nullptr);
    if (std::find(segments.begin(), segments.end(), path) == segments.end()) return {path};
    return segments;
}

Result<std::vector<std::string>> vmdk_missing_files(Env& env, std::vector<OpenPart>& parts) {
    const auto files = hold(env, std::move(parts));
    Result<OpenedVmdk> opened = open_descriptor(files);
    parts = std::move(files->parts);
    if (!opened.ok()) return std::move(opened).take_error();
    if (parts.size() == opened->extents.size() + 1) return std::vector<std::string>();
    return std::move(opened->extents);
}

Result<std::unique_ptr<ByteSource>> open_ewf(Env& env, std::vector<OpenPart> parts) {
    const auto files = hold(env, std::move(parts));
    Container container(kEwf);
    PartPool pool = make_pool(files, 0, files->parts.size());
    if (const auto opened = container.call(libewf_handle_open_file_io_pool, pool.get(), int{LIBEWF_ACCESS_FLAG_READ}); !opened.ok())
        return cannot_open(*files, container.library().title, opened.error());
    container.keep(std::move(pool));
    return ContainerSource::make(std::move(container), files);
}

Result<std::unique_ptr<ByteSource>> open_vmdk(Env& env, std::vector<OpenPart> parts) {
    const auto files = hold(env, std::move(parts));
    TRY_ASSIGN(OpenedVmdk vmdk, open_descriptor(files));
    if (files->parts.size() != vmdk.extents.size() + 1)
        return make_error(ErrorCode::invalid_argument, "not the files that the descriptor names");
    PartPool pool = make_pool(files, vmdk.extents.empty() ? 0 : 1, files->parts.size());
    if (const auto opened = vmdk.container.call(libvmdk_handle_open_extent_data_files_file_io_pool, pool.get()); !opened.ok())
        return cannot_open(*files, vmdk.container.library().title, opened.error());
    vmdk.container.keep(std::move(pool));
    return ContainerSource::make(std::move(vmdk.container), files);
}

Result<std::unique_ptr<ByteSource>> open_vhd(Env& env, std::vector<OpenPart> parts) {
    const auto files = hold(env, std::move(parts));
    Container container(kVhd);
    auto handle = own_handle(files, 0);
    if (const auto opened = container.call(libvhdi_file_open_file_io_handle, handle.get(), int{LIBVHDI_ACCESS_FLAG_READ}); !opened.ok())
        return cannot_open(*files, container.library().title, opened.error());
    container.keep(std::move(handle));

    uint32_t type = 0;
    TRY(container.call(libvhdi_file_get_disk_type, &type));
    if (type == LIBVHDI_DISK_TYPE_DIFFERENTIAL)
        return make_error(ErrorCode::unsupported,
                          to_terminal_text(files->parts.front().part.path) + " is a differencing VHD: only the difference to another disk",
                          "merge it with its parent: qemu-img convert -O raw FILE disk.img");
    return ContainerSource::make(std::move(container), files);
}

}  // namespace ntt
