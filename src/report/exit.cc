#include "report/exit.h"

#include <algorithm>
#include <array>

namespace ntt {
namespace {

struct Row {
    Exit exit;
    std::string_view words;
};

// Worst first.
constexpr std::array kRows = {
    Row{Exit::interrupted, "interrupted; what was finished is recorded"},
    Row{Exit::store_damaged, "the store or the catalog is damaged"},
    Row{Exit::busy, "somebody else holds what is needed; try again"},
    Row{Exit::usage, "the command line or the configuration makes no sense; nothing was done"},
    Row{Exit::failed, "the operation failed"},
    Row{Exit::damaged, "done, but some files are damaged or unreadable, a filesystem could not be read, or one may not have been found"},
    Row{Exit::work_left, "work is left"},
    Row{Exit::done, "done"},
};

const Row* row_of(Exit exit) {
    const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.exit == exit; });
    NTT_CHECK(row != kRows.end(), "an exit code that is not in the table");
    return row;
}

}  // namespace

std::string_view words_of(Exit exit) { return row_of(exit)->words; }

Exit worst(Exit a, Exit b) { return std::min(row_of(a), row_of(b))->exit; }

Exit exit_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::busy: return Exit::busy;
        case ErrorCode::cancelled: return Exit::interrupted;
        case ErrorCode::store_damaged:
        case ErrorCode::catalog_damaged: return Exit::store_damaged;
        default: return Exit::failed;
    }
}

}  // namespace ntt
