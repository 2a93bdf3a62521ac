// Looking into an archive in a sandboxed process.
#pragma once

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "image/archive.h"
#include "image/reader_process.h"

namespace ntt {

// look_into_archive() by a process of `program`; in this one where that is null or the source has no open files. A process
// that is lost is an end of the list: complete is false, `stopped` says how it was lost. What it says of the archive is
// checked for its form alone.
Result<ArchiveContents> look_into_archive_apart(const ByteSource& source, const ReaderProgram* program, const Clock& clock, const CancelToken& cancel);

std::string encode_archive(const ArchiveContents& contents);
Result<ArchiveContents> decode_archive(std::string_view message);

}  // namespace ntt
