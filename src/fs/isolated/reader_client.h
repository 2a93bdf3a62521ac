// Detection and reading of filesystems in a sandboxed process: the same calls and the same answers as in this one.
#pragma once

#include <memory>

#include "base/cancel.h"
#include "fs/fs_reader.h"
#include "image/reader_process.h"
#include "volume/volume.h"

namespace ntt {

// detect_volumes() and propose_repairs() (repair/propose.h) in a process of its own where options.program says so and the image has open files; else here.
// The process is left in options.spare, if there is one, for open_apart() to go on with. Errors besides those of the two: those of ReaderProcess, which cost the image its volumes.
Result<Detection> detect_apart(const ByteSource& source, const ReaderOptions& options, FindingSink& findings, const CancelToken& cancel);

// open_reader() in a process of its own, likewise. Entries that break the promises of fs_reader.h end the listing with
// parser_crash, as a process does that dies; those before stay. A process that was lost in read_content() is started anew
// for the next call, up to kMaxReaderRestarts times.
// What the process says it could not read is read here: an Error of this computer only if it fails here too.
inline constexpr int kMaxReaderRestarts = 16;
Result<std::unique_ptr<FsReader>> open_apart(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                             FindingSink& findings);

}  // namespace ntt
