// The sectors of a medium as a run of bytes, whatever file format holds them. Read-only, always.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/finding.h"
#include "base/result.h"
#include "os/env.h"

namespace ntt {

// One file that holds a part of an image, as it was when it was opened.
struct ImagePart {
    std::string path;
    uint64_t size_bytes = 0;
    uint64_t device = 0, inode = 0;  // st_dev, st_ino: the same file under two names is one
    int64_t mtime_ns = 0;            // nanoseconds since 1970
};

// The decoded image. Thread-safe: reads may come from several threads at once.
class ByteSource {
public:
    virtual ~ByteSource() = default;

    virtual uint64_t size_bytes() const = 0;  // of the decoded image
    virtual uint32_t sector_size() const { return 512; }
    virtual std::string_view format() const = 0;  // raw split_raw ewf vmdk vhd memory; archive: no image at all
    virtual const std::vector<ImagePart>& parts() const = 0;

    // Fills all of `out` from `offset`. Fails with
    //   invalid_argument  the range reaches beyond size_bytes() (callers clip first)
    //   source_changed    a part became shorter than it was when it was opened
    //   io                this computer could not read a part (the error has the errno and the byte offset in the part)
    // What a container itself cannot decode (truncated, bad checksum) does not fail: it reads as zeros or as it stands,
    // and damaged_ranges() has it from then on. The first such damage costs one reading of all parts, to be sure that it
    // is not this computer that cannot read them.
    virtual Result<void> read(uint64_t offset, ByteSpan out) const = 0;

    // The open file and the place in it that hold [offset, offset+length) as it stands, for copy_file_range;
    // nullptr where the bytes are encoded or spread over parts.
    virtual const Fd* plain_file(ByteRange range, uint64_t* file_offset) const;

    // The open files of parts(), in order, for a process that is to read them itself; empty where there are none.
    virtual std::vector<int> files() const { return {}; }

    // Byte ranges of the decoded image that the container itself says are damaged (EWF chunk checksums, parts that are
    // cut off), sorted and merged. Known so far: only what was read was checked. Ask again after reading.
    virtual std::vector<ByteRange> damaged_ranges() const { return {}; }

    // Compares every part with what it was at opening (size, mtime, inode): source_changed if anything is different.
    Result<void> check_unchanged(Env& env) const;

protected:
    // invalid_argument unless [offset, offset + length) lies inside the image.
    Result<void> check_range(uint64_t offset, uint64_t length) const;
};

// Opens an image by its content, never by its name; split images by any of their segments (.000/.001, .001/.002).
// Errors: not_found, also for a missing segment, which is named; invalid_argument for a folder, a device node or an
// empty file; malformed for a container that is too damaged to open; unsupported for formats that are known and not
// read, with what it is ("a qcow2 disk image") in the message and what would help in the hint. An archive or a compressed
// file opens as it stands, with the format "archive": what it is has to be recorded. A file of no known format is raw:
// whether it holds a filesystem is for src/volume to say. `env` must outlive the source. Every byte comes through `env`;
// with a `program` containers are decoded by processes of it, sandboxed, and the errors of image/reader_process.h are
// possible; without one in this process.
struct ReaderProgram;
Result<std::unique_ptr<ByteSource>> open_image(Env& env, const std::string& path, const ReaderProgram* program = nullptr);

// An image in memory, for tests and fuzzing.
std::unique_ptr<ByteSource> memory_image(std::string bytes);

}  // namespace ntt
