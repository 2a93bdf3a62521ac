// What ntt and ntt-reader say to each other: docs/formats/reader-protocol.md. The messages about filesystems have their
// contents in fs/isolated/messages.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/byte_source.h"
#include "os/sandbox.h"

namespace ntt {

// Raised with every change; the two programs are installed together, and refuse each other otherwise.
inline constexpr uint64_t kReaderProtocolVersion = 2;

enum class MessageType : uint8_t {
    // to the child
    hello = 1,         // what the open files are, limits
    read = 2,          // offset, length: decoded bytes into the shared memory
    detect = 3,        // partition tables and filesystems
    open = 4,          // a volume, which list and content are then about
    list = 5,          // its tree
    content = 6,       // bytes of a file that only the reader can give
    archive = 7,       // the names in an archive
    tree_content = 8,  // bytes of a file of a tree
    // from the child
    ready = 64,        // the image is open: size, sector size; or which files are missing
    failed = 65,       // an Error: this request has no result
    host_failed = 66,  // bytes that this computer could not read: offset, length, Error
    progress = 67,     // bytes of the image that were read for the first time
    bytes = 68,        // of read (they lie in the shared memory) or content
    detection = 69,
    opened = 70,
    entries = 71,      // inodes, names, directories, findings
    end = 72,          // of a listing: the reader's detail
    archive_contents = 73,
};

// Exit codes of ntt-reader by which its end is told apart from a crash.
enum ReaderExit : int { kReaderDone = 0, kReaderUsage = 64, kReaderNoSandbox = 65, kReaderProtocol = 66, kReaderNoMemory = 67 };

inline constexpr uint64_t kSharedBytes = uint64_t{1} << 20;  // of the memory that decoded bytes come in
inline constexpr uint64_t kProgressBytes = uint64_t{64} << 10;  // of the image, the unit in which progress is told
inline constexpr size_t kMaxContentBytes = size_t{1} << 20;     // of one content request

// Hello::format of a tree: one open folder, and no image. Then only `list` and `tree_content` are asked.
inline constexpr std::string_view kTreeFormat = "tree";

// The first message. The files that come before it are those of `parts`, and then one of shared memory if `shared`.
struct Hello {
    std::string format;  // as ByteSource::format()
    std::vector<ImagePart> parts;
    bool shared = false;
    SandboxLimits limits;
};
std::string encode_hello(const Hello& hello);
// malformed for anything else, also another version.
Result<Hello> decode_hello(std::string_view message);

struct Ready {
    uint64_t size_bytes = 0;
    uint32_t sector_size = 512;
    bool landlock = false;
    std::vector<std::string> missing_files;  // names beside the first part that the image needs as well (VMDK); then no size
};
std::string encode_ready(const Ready& ready);
Result<Ready> decode_ready(std::string_view message);

std::string encode_error(const Error& error);
std::optional<Error> decode_error(std::string_view message);  // nullopt if it is malformed

// A read that failed on the child's side.
struct HostFailure {
    ByteRange range;
    Error error;
};
std::string encode_host_failure(const HostFailure& failure);
Result<HostFailure> decode_host_failure(std::string_view message);

// Ranges of the decoded image, sorted; at most kMaxRanges.
inline constexpr size_t kMaxRanges = size_t{1} << 20;
std::string encode_ranges(const std::vector<ByteRange>& ranges);
Result<std::vector<ByteRange>> decode_ranges(std::string_view message);

}  // namespace ntt
