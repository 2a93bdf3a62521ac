// What a failed operation returns. Damage in the evidence is not an Error: see finding.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace ntt {

// Closed list: callers may switch over it. The text form stands in JSON (`"code"`) and must stay as it is.
enum class ErrorCode : uint8_t {
    invalid_argument,   // a value from the user or the configuration makes no sense
    not_found,          // a file, medium, blob or row that was asked for is not there
    already_exists,     // a name is taken
    permission,         // EACCES, EPERM
    io,                 // the host could not read or write
    no_space,           // ENOSPC, EDQUOT
    busy,               // somebody else holds what is needed; the same call may succeed later
    cancelled,          // SIGINT, SIGTERM
    unsupported,        // an image format, filesystem or feature that is not read
    source_changed,     // the image changed or shrank, or is not the one that was enumerated
    store_damaged,      // our store broke its promise
    catalog_damaged,    // our catalog broke its promise
    schema,             // the catalog's schema is newer than, or unknown to, this program
    limit,              // a named limit was hit
    malformed,          // a file that must be well-formed (map, configuration) is not
    parser_crash,       // the process that parses a volume died or broke its protocol
    parser_timeout,     // it made no progress for too long
    unavailable,        // a server cannot be reached, or was lost in the middle
    lease_lost,         // somebody else has the right to this work now
};

std::string_view to_string(ErrorCode code);

// Why an operation failed: a code to decide by, the errno if there was one, and words for people.
struct Error {
    ErrorCode code = ErrorCode::io;
    int sys_errno = 0;        // 0: none
    std::string message;      // one line: what was done to what, and what went wrong
    std::string hint;         // what would help; may be empty

    // The message with the errno's own words behind it.
    std::string text() const;
};

// Builds an Error from errno: maps it to a code. `action` says what was attempted, e.g. "open /a/b".
Error errno_error(int sys_errno, std::string action);

inline Error make_error(ErrorCode code, std::string message, std::string hint = {}) {
    return Error{code, 0, std::move(message), std::move(hint)};
}

// A T or an Error. Not to be dropped: use TRY, or ignore("why").
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        NTT_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(state_);
    }
    const T& value() const& {
        NTT_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(state_);
    }
    T&& value() && {
        NTT_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(std::move(state_));
    }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }

    const Error& error() const {
        NTT_CHECK(!ok(), "error() of a good Result");
        return std::get<1>(state_);
    }
    Error take_error() && {
        NTT_CHECK(!ok(), "error() of a good Result");
        return std::get<1>(std::move(state_));
    }
    void ignore(const char* /*why*/) const {}

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    const Error& error() const {
        NTT_CHECK(!ok(), "error() of a good Result");
        return *error_;
    }
    Error take_error() && {
        NTT_CHECK(!ok(), "error() of a good Result");
        return *std::move(error_);
    }
    void ignore(const char* /*why*/) const {}

private:
    std::optional<Error> error_;
};

}  // namespace ntt

#define NTT_CONCAT_(a, b) a##b
#define NTT_CONCAT(a, b) NTT_CONCAT_(a, b)

// TRY(expr);  leaves the function with the error of a failed Result.
#define TRY(...)                                                          \
    do {                                                                  \
        auto ntt_try_result = (__VA_ARGS__);                              \
        if (!ntt_try_result.ok()) return std::move(ntt_try_result).take_error(); \
    } while (false)

// TRY_ASSIGN(auto x, expr);  declares or assigns x from a good Result, or leaves with its error.
#define TRY_ASSIGN(target, ...)                                                        \
    auto NTT_CONCAT(ntt_try_, __LINE__) = (__VA_ARGS__);                               \
    if (!NTT_CONCAT(ntt_try_, __LINE__).ok())                                          \
        return std::move(NTT_CONCAT(ntt_try_, __LINE__)).take_error();                 \
    target = std::move(NTT_CONCAT(ntt_try_, __LINE__)).value()
