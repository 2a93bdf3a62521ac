// The configuration language in which LVM2 writes its metadata: name = value, name { … }.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace ntt {

// As JSON: sections are objects, lists are arrays, values are strings (UTF-8) and integers. Hostile input is expected:
// what nests deeper than kMaxLvmNesting or holds more than kMaxLvmValues is refused. malformed: not this language.
// Source: lvm2 lib/config and libdm/libdm-config.c, "Format of LVM metadata" in vgcfgbackup's output; measured.
Result<nlohmann::json> parse_lvm_text(std::string_view text);

inline constexpr int kMaxLvmNesting = 8;
inline constexpr int kMaxLvmValues = 200'000;

}  // namespace ntt
