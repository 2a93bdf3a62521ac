#include "catalog/names.h"

#include <fnmatch.h>

namespace ntt {
namespace {

bool has_glob_characters(std::string_view pattern) { return pattern.find_first_of("*?[\\") != std::string_view::npos; }

}  // namespace

std::string_view last_part(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

uint32_t name_hash(std::string_view path) {
    uint32_t hash = 2166136261u;
    for (const char c : last_part(path)) {
        const bool upper = c >= 'A' && c <= 'Z';
        hash = (hash ^ static_cast<uint8_t>(upper ? c + ('a' - 'A') : c)) * 16777619u;
    }
    return hash;
}

std::optional<uint32_t> name_hash_of(const FileFilter& filter) {
    if (filter.path_exact) return name_hash(*filter.path_exact);
    if (filter.basename_glob && !has_glob_characters(*filter.basename_glob)) return name_hash(*filter.basename_glob);
    return std::nullopt;
}

bool name_matches(const FileFilter& filter, const std::string& path) {
    if (filter.path_exact && path != *filter.path_exact) return false;
    if (filter.path_glob && fnmatch(filter.path_glob->c_str(), path.c_str(), 0) != 0) return false;
    if (filter.basename_glob) {
        const std::string name(last_part(path));
        if (fnmatch(filter.basename_glob->c_str(), name.c_str(), FNM_CASEFOLD) != 0) return false;
    }
    return true;
}

}  // namespace ntt
