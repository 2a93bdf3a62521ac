#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace ntt {

std::string_view to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return "invalid_argument";
        case ErrorCode::not_found: return "not_found";
        case ErrorCode::already_exists: return "already_exists";
        case ErrorCode::permission: return "permission";
        case ErrorCode::io: return "io";
        case ErrorCode::no_space: return "no_space";
        case ErrorCode::busy: return "busy";
        case ErrorCode::cancelled: return "cancelled";
        case ErrorCode::unsupported: return "unsupported";
        case ErrorCode::source_changed: return "source_changed";
        case ErrorCode::store_damaged: return "store_damaged";
        case ErrorCode::catalog_damaged: return "catalog_damaged";
        case ErrorCode::schema: return "schema";
        case ErrorCode::limit: return "limit";
        case ErrorCode::malformed: return "malformed";
        case ErrorCode::parser_crash: return "parser_crash";
        case ErrorCode::parser_timeout: return "parser_timeout";
        case ErrorCode::unavailable: return "unavailable";
        case ErrorCode::lease_lost: return "lease_lost";
    }
    NTT_CHECK(false, "unknown ErrorCode");
    return {};
}

namespace {

ErrorCode code_of(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ENOTDIR: return ErrorCode::not_found;
        case EEXIST: return ErrorCode::already_exists;
        case EACCES:
        case EPERM:
        case EROFS: return ErrorCode::permission;
        case ENOSPC:
        case EDQUOT: return ErrorCode::no_space;
        case EBUSY:
        case EAGAIN: return ErrorCode::busy;
        case EINVAL:
        case ENAMETOOLONG: return ErrorCode::invalid_argument;
        case EOPNOTSUPP:
        case ENOSYS:
        case EXDEV: return ErrorCode::unsupported;
        default: return ErrorCode::io;
    }
}

}  // namespace

Error errno_error(int sys_errno, std::string action) { return Error{code_of(sys_errno), sys_errno, std::move(action), {}}; }

std::string Error::text() const {
    if (sys_errno == 0) return message;
    char words[256] = {};
    return message + ": " + strerror_r(sys_errno, words, sizeof words);
}

}  // namespace ntt
