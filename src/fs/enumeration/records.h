// The records of an enumeration file: framed, numbered, each with its own check. docs/formats/enumeration.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/result.h"
#include "fs/enumeration/file_input.h"
#include "fs/enumeration/file_output.h"
#include "os/env.h"

namespace ntt {

inline constexpr std::string_view kEnumerationMagic = "NTTENUM";  // and a byte with the version
inline constexpr size_t kEnumerationStart = 8;                    // where the first record begins
inline constexpr size_t kMaxRecordBytes = size_t{64} << 20;       // of one record's content

enum class RecordType : uint8_t { header = 1, volume, entries, volume_end, trailer };

struct Record {
    RecordType type = RecordType::header;
    uint64_t number = 0;  // from 1
    uint64_t offset = 0;  // of its frame in the file
    std::string content;
};

class RecordWriter {
public:
    // `version` for tests: no other than the own one is written.
    RecordWriter(Env& env, const Fd& file, uint8_t version);

    // limit for content of more than kMaxRecordBytes.
    Result<void> put(RecordType type, std::string_view content);
    Result<void> flush() { return out_.flush(); }
    // Of everything that was put so far.
    BlobId digest() const { return hasher_.digest(); }

private:
    FileOutput out_;
    Blake3 hasher_, record_hasher_;
    Result<void> started_;  // what became of the first bytes; the first put tells
    uint32_t records_ = 0;
};

// Where a record begins: to read on from there.
struct RecordPlace {
    uint64_t offset = kEnumerationStart;
    uint64_t number = 1;
};

class RecordReader {
public:
    // `name` is what Errors call the file of `size` bytes. With Digest::kept the place must be the first.
    enum class Digest : uint8_t { kept, none };
    RecordReader(Env& env, const Fd& file, std::string name, uint64_t size, RecordPlace place, Digest digest);

    // The next record; nothing when the file ends before the end of one, at place(). malformed for a damaged one.
    Result<std::optional<Record>> next();
    // Of the record that next() will give.
    RecordPlace place() const { return {input_.offset() + last_, number_ + 1}; }
    // Of everything before the record that next() gave last.
    BlobId digest() const { return hasher_.digest(); }

    Error damaged(const RecordPlace& place, std::string_view what) const;
    Error damaged(const Record& record, std::string_view what) const { return damaged(RecordPlace{record.offset, record.number}, what); }

private:
    FileInput input_;
    std::string name_;
    uint64_t size_ = 0;
    uint64_t number_ = 0;  // of the record given last
    size_t last_ = 0;      // its bytes, not yet taken from the input
    Digest keeps_digest_;
    Blake3 hasher_, record_hasher_;
};

}  // namespace ntt
