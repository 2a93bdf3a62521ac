// Lines of files, as `files` and `find` print them.
#pragma once

#include <string>

#include "catalog/rows.h"
#include "report/table.h"

namespace ntt::cli {

// "f stored          1,204  1998-05-01 12:00  DOS/FILE.TXT" with the cause and the bytes missing behind a damaged one.
// Printed row by row: a listing of 200 million names is not to be held in memory for its column widths.
std::string listing_line(const FileRow& row, const std::string& shown_path, Colour colour);

}  // namespace ntt::cli
