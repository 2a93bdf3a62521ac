// Integers of on-disk structures: fixed byte order, no alignment, usable as struct fields laid over raw bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ntt {

enum class ByteOrder { little, big };

// sizeof is kSize, alignment is 1. Reading and writing go byte by byte; compilers make one load or store of it.
template <typename T, ByteOrder kOrder, size_t kSize = sizeof(T)>
class DiskInteger {
public:
    DiskInteger() = default;
    DiskInteger(T value) { *this = value; }  // NOLINT(google-explicit-constructor)

    DiskInteger& operator=(T value) {
        for (size_t i = 0; i < kSize; ++i) bytes_[place(i)] = static_cast<uint8_t>(value >> (8 * i));
        return *this;
    }
    operator T() const {  // NOLINT(google-explicit-constructor)
        uint64_t value = 0;
        for (size_t i = 0; i < kSize; ++i) value |= uint64_t{bytes_[place(i)]} << (8 * i);
        return static_cast<T>(value);
    }

private:
    static_assert(std::is_unsigned_v<T>);
    static constexpr size_t place(size_t i) { return kOrder == ByteOrder::little ? i : kSize - 1 - i; }
    uint8_t bytes_[kSize];
};

using Le16 = DiskInteger<uint16_t, ByteOrder::little>;
using Le32 = DiskInteger<uint32_t, ByteOrder::little>;
using Le64 = DiskInteger<uint64_t, ByteOrder::little>;
using Be16 = DiskInteger<uint16_t, ByteOrder::big>;
using Be32 = DiskInteger<uint32_t, ByteOrder::big>;
using Be64 = DiskInteger<uint64_t, ByteOrder::big>;

}  // namespace ntt
