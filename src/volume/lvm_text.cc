#include "volume/lvm_text.h"

#include <cstdint>
#include <limits>

#include "base/bytes.h"

namespace ntt {

namespace {

using nlohmann::json;

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '+';
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text.substr(0, text.find('\0'))) {}

    Result<json> parse() {
        TRY_ASSIGN(json out, section(0));
        if (!at_end()) return fail("something stands behind the end");
        return out;
    }

private:
    bool at_end() const { return at_ >= text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }
    bool take(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    Error fail(const char* what) const { return make_error(ErrorCode::malformed, std::string(what) + " at byte " + std::to_string(at_)); }

    void skip_blanks() {
        while (!at_end()) {
            if (peek() == '#') {
                while (!at_end() && peek() != '\n') ++at_;
            } else if (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') {
                ++at_;
            } else {
                return;
            }
        }
    }

    // Up to the end of the text, or the '}' that the caller takes.
    Result<json> section(int nesting) {
        json out = json::object();
        for (skip_blanks(); !at_end() && peek() != '}'; skip_blanks()) {
            const size_t begin = at_;
            while (is_name_character(peek())) ++at_;
            const std::string name(text_.substr(begin, at_ - begin));
            if (name.empty()) return fail("no name");
            skip_blanks();
            if (take('{')) {
                if (nesting >= kMaxLvmNesting) return fail("sections nest too deeply");
                TRY_ASSIGN(out[name], section(nesting + 1));
                if (!take('}')) return fail("a section without an end");
            } else if (take('=')) {
                TRY_ASSIGN(out[name], value());
            } else {
                return fail("neither a section nor a value");
            }
            if (++values_ > kMaxLvmValues) return fail("too many values");
        }
        return out;
    }

    Result<json> value() {
        skip_blanks();
        if (!take('[')) return scalar();
        json out = json::array();
        for (skip_blanks(); !take(']'); skip_blanks()) {
            TRY_ASSIGN(json element, scalar());
            out.push_back(std::move(element));
            if (++values_ > kMaxLvmValues) return fail("too many values");
            skip_blanks();
            take(',');
        }
        return out;
    }

    Result<json> scalar() {
        if (take('"')) {
            std::string out;
            while (!at_end() && peek() != '"') {
                if (peek() == '\\' && at_ + 1 < text_.size()) ++at_;
                out.push_back(text_[at_++]);
            }
            if (!take('"')) return fail("a string without an end");
            return json(to_display_utf8(out));
        }
        const bool negative = take('-');
        if (peek() < '0' || peek() > '9') return fail("neither a string nor a number");
        int64_t out = 0;
        while (peek() >= '0' && peek() <= '9') {
            const int digit = text_[at_++] - '0';
            if (out > (std::numeric_limits<int64_t>::max() - digit) / 10) return fail("a number that is too large");
            out = out * 10 + digit;
        }
        if (take('.'))
            while (peek() >= '0' && peek() <= '9') ++at_;  // none that matters here has a fraction
        return json(negative ? -out : out);
    }

    std::string_view text_;
    size_t at_ = 0;
    int values_ = 0;
};

}  // namespace

Result<json> parse_lvm_text(std::string_view text) { return Parser(text).parse(); }

}  // namespace ntt
