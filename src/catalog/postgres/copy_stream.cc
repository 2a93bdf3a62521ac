#include "catalog/postgres/copy_stream.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "catalog/postgres/connection.h"

namespace ntt::postgres {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
constexpr int32_t kTextOid = 25;                                  // pg_type.dat
constexpr int64_t kEpochUs = int64_t{946'684'800} * 1'000'000;    // 2000-01-01, from which timestamps count

}  // namespace

template <typename T>
void CopyStream::put_big_endian(T value) {
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>((bits >> shift) & 0xFF));
}

void CopyStream::clear() {
    bytes_.assign(kSignature);
    put_big_endian(int32_t{0});  // flags
    put_big_endian(int32_t{0});  // length of the header's extension
    rows_ = 0;
}

std::string CopyStream::take() {
    put_big_endian(int16_t{-1});
    std::string out = std::move(bytes_);
    clear();
    return out;
}

void CopyStream::start_row(int columns) {
    put_big_endian(static_cast<int16_t>(columns));
    ++rows_;
}

void CopyStream::put_field(std::string_view bytes) {
    put_big_endian(static_cast<int32_t>(bytes.size()));
    bytes_.append(bytes);
}

void CopyStream::put_null() { put_big_endian(int32_t{-1}); }

void CopyStream::put_bool(bool value) {
    put_big_endian(int32_t{1});
    bytes_.push_back(value ? 1 : 0);
}
void CopyStream::put_int2(int64_t value) {
    put_big_endian(int32_t{2});
    put_big_endian(static_cast<int16_t>(std::clamp<int64_t>(value, INT16_MIN, INT16_MAX)));
}
void CopyStream::put_int4(int64_t value) {
    put_big_endian(int32_t{4});
    put_big_endian(static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)));
}
void CopyStream::put_int8(int64_t value) {
    put_big_endian(int32_t{8});
    put_big_endian(value);
}
void CopyStream::put_size(uint64_t value) { put_int8(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX))); }
void CopyStream::put_text(std::string_view text) { put_field(storable_text(text)); }
void CopyStream::put_bytes(std::string_view bytes) { put_field(bytes); }
void CopyStream::put_json(std::string_view json) { put_field("\1" + storable_json(json)); }
void CopyStream::put_time(std::string_view iso8601) { put_int8(wall_us_from(iso8601).value_or(kEpochUs) - kEpochUs); }
void CopyStream::put_blob_id(const BlobId& id) { put_field(as_text(id.bytes)); }

void CopyStream::put_texts(const std::vector<std::string>& texts) {
    std::string before = std::exchange(bytes_, {});
    put_big_endian(int32_t{texts.empty() ? 0 : 1});  // dimensions
    put_big_endian(int32_t{0});                      // no NULLs
    put_big_endian(kTextOid);
    if (!texts.empty()) {
        put_big_endian(static_cast<int32_t>(texts.size()));
        put_big_endian(int32_t{1});  // the first index
        for (const std::string& text : texts) put_text(text);
    }
    const std::string array = std::exchange(bytes_, std::move(before));
    put_field(array);
}

}  // namespace ntt::postgres
