#include "report/output.h"

#include <cerrno>

namespace ntt {

Result<void> Output::failed() {
    Error error = errno_error(errno, "write the output");
    reader_is_gone_ = outlives_reader_ && reader_gone(error);
    if (reader_is_gone_) return {};
    return error;
}

Result<void> Output::text(std::string_view bytes) {
    if (reader_is_gone_) return {};
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) return failed();
    return {};
}

Result<void> Output::json(const Json& object) { return text(to_line(object)); }

Result<void> Output::flush() {
    if (reader_is_gone_) return {};
    if (std::fflush(file_) != 0) return failed();
    return {};
}

bool reader_gone(const Error& error) { return error.sys_errno == EPIPE; }

}  // namespace ntt
