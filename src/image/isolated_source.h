// A container that is decoded in a sandboxed process: the decoders parse what anybody may have written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/byte_source.h"
#include "image/raw_source.h"
#include "image/reader_process.h"

namespace ntt {

// As open_image_parts(), decoded by a process of `program`; its bytes come through shared memory. A process that is lost is
// started anew. Bytes over which it is lost again read as zeros and are damaged_ranges(), like what a container cannot
// decode; but only in the first reading from start to end, which comes before any verdict: later it is an Error. After
// kMaxDecoderRestarts the source fails with the last Error. What the process says this computer could not
// read is read here, and fails only if it fails here too.
inline constexpr int kMaxDecoderRestarts = 8;
Result<std::unique_ptr<ByteSource>> isolated_source(Env& env, const ReaderProgram& program, std::string_view format,
                                                    std::vector<OpenPart> parts);

// The names of further files that the image needs (vmdk_missing_files()), as a process of `program` reads them: checked.
Result<std::vector<std::string>> isolated_missing_files(const ReaderProgram& program, std::string_view format, const std::vector<OpenPart>& parts);

}  // namespace ntt
