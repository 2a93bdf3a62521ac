// Names as parts of a path.
#pragma once

#include <string>
#include <string_view>

namespace ntt {

// Whether `name` can stand in a path as it is: not empty, not "." or "..", without '/' and NUL.
bool is_path_part(std::string_view name);

// `name` with '/' and NUL as '_'; "_" before "." and "..", "_" for an empty one.
std::string as_path_part(std::string_view name);

}  // namespace ntt
