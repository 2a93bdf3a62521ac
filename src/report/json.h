// Rows of the catalog as JSON objects (design, section 9). Absent values are null, never left out; text is always UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "catalog/rows.h"

namespace ntt {

using Json = nlohmann::ordered_json;  // keys stay in the order in which they are written down

// The object on one line, with its newline. Bytes that are not UTF-8 become U+FFFD.
std::string to_line(const Json& object);
// The object over several lines, for people; control characters escaped.
std::string to_pretty(const Json& object);

// A JSON column of the catalog. Text that is not JSON stays text: it is better seen than hidden.
Json embedded(std::string_view json_text);
Json embedded(const std::optional<std::string>& json_text);

// Text that may be any bytes: UTF-8 with U+FFFD for what is not.
Json text_or_null(const std::optional<std::string>& bytes);
// Adds "path" and "path_hex" (null unless the path is not UTF-8).
void put_path(Json& object, const std::string& path);

Json json_of(const MediumRow& row);  // type medium
Json json_of(const VolumeRow& row);
Json json_of(const Totals& totals);  // the contract's eight counts
Json json_of(const FindingRow& row);
Json json_of(const EventRow& row);                                           // type event
Json json_of(const FileRow& row);                                            // type file
Json json_of(const std::vector<MissingRow>& missing);                        // offset, length, cause
Json json_of(const Error& error, const std::optional<std::string>& source);  // type error

// Sorted by offset; ranges of one cause that touch or overlap joined.
std::vector<MissingRow> joined(std::vector<MissingRow> missing);

}  // namespace ntt
