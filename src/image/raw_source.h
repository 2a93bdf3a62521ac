// Images whose bytes stand as they are in one file or in several consecutive ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/byte_source.h"

namespace ntt {

// An open regular file and what it was when it was opened.
struct OpenPart {
    ImagePart part;
    Fd fd;
};

// Opens a regular, non-empty file read-only; invalid_argument for everything else. A device node is not even opened:
// opening a tape drive can move the tape.
Result<OpenPart> open_part(Env& env, const std::string& path);

// The parts one after the other; at least one. `env` must outlive the source.
enum class RawKind : uint8_t { sectors, archive };  // archive: no image, as format() says
std::unique_ptr<ByteSource> raw_source(Env& env, std::vector<OpenPart> parts, RawKind kind);

// Opens an image from files that are open already, as a process must that can open none. `format` is what
// ByteSource::format() says of it. Errors as of open_image().
Result<std::unique_ptr<ByteSource>> open_image_parts(Env& env, std::string_view format, std::vector<OpenPart> parts);

// The segments of the split image that `path` is one of, in order: NAME.000 NAME.001 … or NAME.001 NAME.002 …, all in
// one folder; just `path` if it has no siblings or no such name. Fails with not_found when a segment is missing.
Result<std::vector<std::string>> split_segments(Env& env, const std::string& path);

}  // namespace ntt
