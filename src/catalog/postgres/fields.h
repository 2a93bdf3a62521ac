// Values in PostgreSQL's binary forms: as rows of a COPY, and as arrays, by which a statement gets many rows at once. Source:
// PostgreSQL documentation, COPY, "Binary Format"; the forms of the types are those of their send functions
// (src/backend/utils/adt), which are the same since version 7.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ntt::postgres {

// The owner of a file as oid, a number of 32 bits without a sign. One that was taken for signed becomes what it is; another is none.
std::optional<int64_t> owner_number(int64_t value);

// Fields one behind the other: a length of 32 bits, and so many bytes; -1 for NULL.
class Fields {
public:
    void put_null();
    void put_bool(bool value);
    void put_int2(int64_t value);
    void put_int4(int64_t value);  // beyond its range: the nearest that fits
    void put_uint4(int64_t value);  // as oid
    void put_int8(int64_t value);
    void put_size(uint64_t value);  // as int8; above 2^63-1, which only absurd evidence has, 2^63-1
    void put_text(std::string_view text);   // storable_text()
    void put_bytes(std::string_view bytes);
    void put_json(std::string_view json);   // as jsonb
    void put_time(std::string_view iso8601);  // as timestamptz
    void put_texts(const std::vector<std::string>& texts);  // as text[]
    void put_blob_id(const BlobId& id);

    template <typename T, typename Put>
    void put_maybe(const std::optional<T>& value, Put put) {
        if (value) return (this->*put)(*value);
        put_null();
    }

    bool empty() const { return fields_ == 0; }

protected:
    void put_field(std::string_view bytes);

    std::string bytes_;
    size_t fields_ = 0;
};

// What COPY … FROM STDIN (FORMAT binary) reads.
class CopyStream : public Fields {
public:
    CopyStream() { clear(); }

    // Every row has `columns` fields, put in the order of the COPY's columns.
    void start_row(int columns);

    size_t size_bytes() const { return bytes_.size(); }
    // The stream with its end. Then it is empty.
    std::string take();
    void clear();
};

// One column of the rows that a statement takes by unnest(); every entry is put by the function of the element's type.
class Array : public Fields {
public:
    enum class Of : int32_t { bytes = 17, int8 = 20, int4 = 23, text = 25, time = 1184, jsonb = 3802 };  // pg_type.dat
    explicit Array(Of element) : element_(element) {}

    std::string value() const;  // as array_recv() takes it

private:
    Of element_;
};

}  // namespace ntt::postgres
