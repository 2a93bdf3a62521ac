// Rows by key, small: a million of them cost eight bytes each beside the rows themselves.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace ntt {

// The first half of a BLAKE3: who writes a hostile file cannot make two things have one.
using RowKey = std::array<uint8_t, 16>;

class RowKeyMaker {
public:
    RowKey operator()(std::string_view bytes) {
        hasher_.reset();
        hasher_.update(as_bytes(bytes));
        const BlobId digest = hasher_.digest();
        RowKey key;
        std::copy_n(digest.bytes.begin(), key.size(), key.begin());
        return key;
    }

private:
    Blake3 hasher_;  // made once: its state is large
};

// Row has a member `key`. Rows stay where they are. (An unordered_map needs twice the memory.)
template <typename Row>
class RowTable {
public:
    static constexpr size_t kMaxRows = UINT32_MAX - 1;

    // nullptr if there is none.
    Row* find(const RowKey& key) {
        if (slots_.empty()) return nullptr;
        const uint32_t row = slots_[slot_of(key)];
        return row == 0 ? nullptr : &rows_[row - 1];
    }

    // A row whose key is new to the table. nullptr when kMaxRows are there.
    Row* add(Row row) {
        if (rows_.size() >= kMaxRows) return nullptr;
        if (rows_.size() + 1 > slots_.size() / 4 * 3) grow();
        slots_[slot_of(row.key)] = static_cast<uint32_t>(rows_.size() + 1);
        rows_.push_back(row);
        return &rows_.back();
    }

    size_t size() const { return rows_.size(); }

private:
    // Where the row with this key is, or would be.
    size_t slot_of(const RowKey& key) const {
        uint64_t hash = 0;
        std::memcpy(&hash, key.data(), sizeof hash);
        size_t slot = hash & (slots_.size() - 1);
        while (slots_[slot] != 0 && rows_[slots_[slot] - 1].key != key) slot = (slot + 1) & (slots_.size() - 1);
        return slot;
    }

    void grow() {
        slots_.assign(std::max<size_t>(64, slots_.size() * 2), 0);
        for (size_t i = 0; i < rows_.size(); ++i) slots_[slot_of(rows_[i].key)] = static_cast<uint32_t>(i + 1);
    }

    std::deque<Row> rows_;
    std::vector<uint32_t> slots_;  // number of a row from 1, or 0; a power of two of them
};

}  // namespace ntt
