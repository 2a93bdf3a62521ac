// Volume::detail, read. It may come from a process that was taken over, or from a catalog that another version wrote: a field
// of another kind than asked for is as good as none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "volume/volume.h"

namespace ntt {

// An object, whatever `detail` is.
inline nlohmann::json parse_detail(std::string_view detail) {
    nlohmann::json out = nlohmann::json::parse(detail, nullptr, false);
    return out.is_object() ? out : nlohmann::json::object();
}

inline std::optional<uint64_t> number_in(const nlohmann::json& object, const char* key) {
    const auto field = object.is_object() ? object.find(key) : object.end();
    return field != object.end() && field->is_number_unsigned() ? std::optional(field->get<uint64_t>()) : std::nullopt;
}

inline std::optional<std::string> text_in(const nlohmann::json& object, const char* key) {
    const auto field = object.is_object() ? object.find(key) : object.end();
    return field != object.end() && field->is_string() ? std::optional(field->get<std::string>()) : std::nullopt;
}

// Where the files of a volume may lie in the image: in its range; those of a disc's later session in all that was written before
// as well.
inline ByteRange reach_of(const Volume& volume) {
    const bool is_later_session = volume.fs_type == "iso9660" && number_in(parse_detail(volume.detail), "session");
    return is_later_session ? ByteRange{0, volume.range().end()} : volume.range();
}

}  // namespace ntt
