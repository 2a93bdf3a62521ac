// Numbers and texts as bytes of a message between two processes of ours: small, and never trusted when read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ntt {

// Appends fields to a message. Unsigned numbers are LEB128 (seven bits a byte, low ones first), signed ones zigzag first;
// a text is its length and its bytes; an optional field has a flag before it.
class WireWriter {
public:
    void number(uint64_t value);
    void signed_number(int64_t value);
    void flag(bool value) { bytes_.push_back(value ? '\1' : '\0'); }
    void text(std::string_view value);
    void optional_number(const std::optional<int64_t>& value);
    void optional_text(const std::optional<std::string>& value);

    size_t size() const { return bytes_.size(); }
    const std::string& bytes() const { return bytes_; }
    std::string take() { return std::exchange(bytes_, {}); }

private:
    std::string bytes_;
};

// Reads the fields of a message in the order they were written. The first field that is not there, is too long or is no
// number makes the reader bad: from then on it gives zeros and empty texts, and ok() is false. Look at ok() before
// anything read is used. The message must outlive the reader.
class WireReader {
public:
    explicit WireReader(std::string_view message) : rest_(message) {}

    uint64_t number();
    // A number of at most `most`; a larger one makes the reader bad.
    uint64_t number_up_to(uint64_t most);
    int64_t signed_number();
    bool flag() { return number_up_to(1) == 1; }
    std::string text(size_t max_bytes);
    std::optional<int64_t> optional_number();
    std::optional<std::string> optional_text(size_t max_bytes);

    bool ok() const { return ok_; }
    // Whether the message is used up and was good.
    bool at_end() const { return ok_ && rest_.empty(); }
    bool empty() const { return rest_.empty(); }
    void fail() {
        ok_ = false;
        rest_ = {};
    }

private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace ntt
