// Names of files as the catalogs look for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "catalog/rows.h"

namespace ntt {

// What stands behind the last slash.
std::string_view last_part(std::string_view path);

// 32-bit FNV-1a of the last part of a path, in ASCII lower case: path_row.name_hash.
uint32_t name_hash(std::string_view path);

// The hash that every name has which a filter lets through; nullopt where it can be any.
std::optional<uint32_t> name_hash_of(const FileFilter& filter);

// Whether the filter's conditions on names hold for this path.
bool name_matches(const FileFilter& filter, const std::string& path);

}  // namespace ntt
