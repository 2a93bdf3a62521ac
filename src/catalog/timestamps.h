// Times that others wrote, in the form that the catalog has.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ntt {

// "2025-10-08 12:00", with or without seconds, fraction, 'T', and 'Z', "+02" or "+02:00", as iso8601_utc() gives it. Without a zone: UTC.
// nullopt for other text.
std::optional<std::string> catalog_time(std::string_view text);

}  // namespace ntt
