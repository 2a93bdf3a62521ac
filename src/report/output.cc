#include "report/output.h"

#include <cerrno>

namespace ntt {
namespace {

Error write_error() { return errno_error(errno, "write the output"); }

}  // namespace

Result<void> Output::text(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) return write_error();
    return {};
}

Result<void> Output::json(const Json& object) { return text(to_line(object)); }

Result<void> Output::flush() {
    if (std::fflush(file_) != 0) return write_error();
    return {};
}

bool reader_gone(const Error& error) { return error.sys_errno == EPIPE; }

}  // namespace ntt
