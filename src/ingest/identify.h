// Which medium an image is: its name, its digest, its rescue map.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/ids.h"
#include "base/result.h"
#include "image/byte_source.h"
#include "image/rescue_map.h"
#include "os/env.h"

namespace ntt {

// An image with all that stands beside it, opened for one run.
struct OpenedImage {
    std::string path;       // absolute, symlinks resolved
    std::unique_ptr<ByteSource> source;
    std::optional<std::string> map_path;
    std::optional<RescueMap> map;
    // "image-<device>-<inode>" of the first part: the same file under two names has one lock.
    std::string lock_name;
};

// Opens the image and its map. `map_path`: the operator's choice; nullopt looks beside the image. `program` decodes containers.
Result<OpenedImage> open_medium_image(Env& env, const std::string& path, const std::optional<std::string>& map_path,
                                      const ReaderProgram* program = nullptr);

// The medium hash that needs no reading: `given`, or the file's stem if that is 32 to 64 lowercase hexadecimal digits.
struct NamedHash {
    std::string medium_hash;
    std::string method;  // given file_name
};
Result<std::optional<NamedHash>> named_hash(const std::optional<std::string>& given, const std::string& path);

// BLAKE3 of every byte of the decoded image, never of a sample. Stops with cancelled.
Result<BlobId> digest_of(const ByteSource& source, const CancelToken& cancel, std::atomic<uint64_t>* signs_of_life = nullptr);

// What this host, until it is booted again, says of the open files of a medium's image: device, inode, size, mtime and ctime; 64 digits. While
// somebody has them open nothing else can be said so, but for writers through mmap. source_changed if other files have their names now.
Result<std::string> fingerprint_of(Env& env, const ByteSource& source, const std::string& medium_hash);

// The first 32 digits of a whole image's digest.
std::string medium_hash_of(const BlobId& digest);

}  // namespace ntt
