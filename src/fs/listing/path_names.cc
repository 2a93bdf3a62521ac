#include "fs/listing/path_names.h"

namespace ntt {

bool is_path_part(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos && name.find('\0') == name.npos;
}

std::string as_path_part(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c == '/' || c == '\0') c = '_';
    if (out.empty() || out == "." || out == "..") out.insert(0, 1, '_');
    return out;
}

}  // namespace ntt
