#include "listing.h"

#include <fmt/format.h>

#include "base/bytes.h"

namespace ntt::cli {

std::string listing_line(const FileRow& row, const std::string& shown_path, Colour colour) {
    constexpr size_t kStatusWidth = 10;
    const InodeRow& inode = row.inode;
    const Status status = inode.counted_as();
    std::string out = fmt::format("{} {}{} {:>15}  {:<16}  {}", inode.fs_type, painted(status, colour),
                                  std::string(kStatusWidth - to_string(status).size(), ' '), with_commas(inode.size),
                                  human_time(inode.mtime), to_terminal_text(shown_path));
    if (inode.cause) out += fmt::format("  [{}, {} bytes missing]", to_string(*inode.cause), with_commas(inode.missing_bytes));
    return out + "\n";
}

}  // namespace ntt::cli
