#include "catalog/postgres/fields.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "catalog/postgres/connection.h"

namespace ntt::postgres {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
constexpr int64_t kEpochUs = int64_t{946'684'800} * 1'000'000;  // 2000-01-01, from which timestamps count

template <typename T>
void append_big_endian(std::string& to, T value) {
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) to.push_back(static_cast<char>((bits >> shift) & 0xFF));
}

template <typename T>
std::string big_endian(T value) {
    std::string out;
    append_big_endian(out, value);
    return out;
}

}  // namespace

std::optional<int64_t> owner_number(int64_t value) {
    if (value < INT32_MIN || value > UINT32_MAX) return std::nullopt;
    return int64_t{static_cast<uint32_t>(value)};
}

// --- Fields ---

void Fields::put_field(std::string_view bytes) {
    append_big_endian(bytes_, static_cast<int32_t>(bytes.size()));
    bytes_.append(bytes);
    ++fields_;
}

void Fields::put_null() {
    append_big_endian(bytes_, int32_t{-1});
    ++fields_;
}

void Fields::put_bool(bool value) { put_field(value ? std::string_view("\1", 1) : std::string_view("\0", 1)); }
void Fields::put_int2(int64_t value) { put_field(big_endian(static_cast<int16_t>(std::clamp<int64_t>(value, INT16_MIN, INT16_MAX)))); }
void Fields::put_int4(int64_t value) { put_field(big_endian(static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)))); }
void Fields::put_uint4(int64_t value) { put_field(big_endian(static_cast<uint32_t>(value))); }
void Fields::put_int8(int64_t value) { put_field(big_endian(value)); }
void Fields::put_size(uint64_t value) { put_int8(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX))); }
void Fields::put_text(std::string_view text) { put_field(storable_text(text)); }
void Fields::put_bytes(std::string_view bytes) { put_field(bytes); }
void Fields::put_json(std::string_view json) { put_field("\1" + storable_json(json)); }
void Fields::put_time(std::string_view iso8601) { put_int8(wall_us_from(iso8601).value_or(kEpochUs) - kEpochUs); }
void Fields::put_blob_id(const BlobId& id) { put_field(as_text(id.bytes)); }

void Fields::put_texts(const std::vector<std::string>& texts) {
    Array array(Array::Of::text);
    for (const std::string& text : texts) array.put_text(text);
    put_field(array.value());
}

// --- CopyStream ---

void CopyStream::clear() {
    bytes_.assign(kSignature);
    append_big_endian(bytes_, int32_t{0});  // flags
    append_big_endian(bytes_, int32_t{0});  // length of the header's extension
    fields_ = 0;
}

std::string CopyStream::take() {
    append_big_endian(bytes_, int16_t{-1});
    std::string out = std::move(bytes_);
    clear();
    return out;
}

void CopyStream::start_row(int columns) { append_big_endian(bytes_, static_cast<int16_t>(columns)); }

// --- Array ---

std::string Array::value() const {
    std::string out;
    out.reserve(bytes_.size() + 20);
    append_big_endian(out, int32_t{fields_ == 0 ? 0 : 1});  // dimensions
    append_big_endian(out, int32_t{1});                     // there may be NULLs
    append_big_endian(out, static_cast<int32_t>(element_));
    if (fields_ == 0) return out;
    append_big_endian(out, static_cast<int32_t>(fields_));
    append_big_endian(out, int32_t{1});  // the first index
    return out + bytes_;
}

}  // namespace ntt::postgres
