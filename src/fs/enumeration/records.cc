#include "fs/enumeration/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/integers.h"

namespace ntt {
namespace {

// The frame of a message between processes, in a file (docs/formats/reader-protocol.md).
struct Head {
    Le32 length;
    Le32 number;
    uint8_t type;
    uint8_t check[7];
};
static_assert(sizeof(Head) == 16);
constexpr size_t kChecked = 9;  // bytes of the head in front of the check

std::string_view bytes_of(const Head& head) { return {reinterpret_cast<const char*>(&head), sizeof head}; }

// The hasher is made once: its state is large.
BlobId check_of(Blake3& hasher, const Head& head, std::string_view content) {
    hasher.reset();
    hasher.update(as_bytes(bytes_of(head).substr(0, kChecked)));
    hasher.update(as_bytes(content));
    return hasher.digest();
}

}  // namespace

RecordWriter::RecordWriter(Env& env, const Fd& file, uint8_t version) : out_(env, file) {
    std::string start(kEnumerationMagic);
    start.push_back(static_cast<char>(version));
    hasher_.update(as_bytes(start));
    started_ = out_.append(start);
}

Result<void> RecordWriter::put(RecordType type, std::string_view content) {
    TRY(started_);
    if (content.size() > kMaxRecordBytes) return make_error(ErrorCode::limit, "an entry is too large for an enumeration file");
    if (records_ == UINT32_MAX) return make_error(ErrorCode::limit, "an enumeration file holds no more records");
    Head head;
    head.length = static_cast<uint32_t>(content.size());
    head.number = ++records_;
    head.type = static_cast<uint8_t>(type);
    const BlobId check = check_of(record_hasher_, head, content);
    std::copy_n(check.bytes.begin(), sizeof head.check, head.check);
    hasher_.update(as_bytes(bytes_of(head)));
    hasher_.update(as_bytes(content));
    TRY(out_.append(bytes_of(head)));
    return out_.append(content);
}

RecordReader::RecordReader(Env& env, const Fd& file, std::string name, uint64_t size, RecordPlace place, Digest digest)
    : input_(env, file, digest == Digest::kept ? 0 : place.offset), name_(std::move(name)), size_(size), number_(place.number - 1), keeps_digest_(digest) {
    if (digest == Digest::kept) last_ = kEnumerationStart;  // the magic counts as taken, and is hashed like a record
}

Error RecordReader::damaged(const RecordPlace& place, std::string_view what) const {
    return make_error(ErrorCode::malformed, fmt::format("{}: damaged in record {} at byte {}: {}", name_, place.number, place.offset, what),
                      "take another copy of the file, or enumerate again");
}

Result<std::optional<Record>> RecordReader::next() {
    if (keeps_digest_ == Digest::kept) {
        TRY_ASSIGN(const std::string_view last, input_.look(last_));
        hasher_.update(as_bytes(last));
    }
    input_.take(std::exchange(last_, 0));

    const RecordPlace here = place();
    if (here.offset > size_ || size_ - here.offset < sizeof(Head)) return std::optional<Record>();
    TRY_ASSIGN(const std::string_view start, input_.look(sizeof(Head)));
    if (start.size() < sizeof(Head)) return std::optional<Record>();
    Head head;
    std::memcpy(&head, start.data(), sizeof head);
    if (head.number != here.number) return damaged(here, fmt::format("it has the number {}", uint32_t{head.number}));
    if (head.length > kMaxRecordBytes) return damaged(here, fmt::format("it is to have {} bytes, more than any has", uint32_t{head.length}));
    const size_t whole = sizeof(Head) + head.length;
    if (size_ - here.offset < whole) return std::optional<Record>();
    TRY_ASSIGN(const std::string_view frame, input_.look(whole));
    if (frame.size() < whole) return std::optional<Record>();

    Record record{static_cast<RecordType>(head.type), here.number, here.offset, std::string(frame.substr(sizeof(Head)))};
    const BlobId check = check_of(record_hasher_, head, record.content);
    if (!std::equal(head.check, head.check + sizeof head.check, check.bytes.begin())) return damaged(record, "its bytes do not fit its check");
    if (record.type < RecordType::header || record.type > RecordType::trailer)
        return damaged(record, fmt::format("its type {} is none of this version's", head.type));
    number_ = here.number;
    last_ = whole;
    return std::optional<Record>(std::move(record));
}

}  // namespace ntt
