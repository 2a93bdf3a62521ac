// What to tell a person about a damaged file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/rows.h"

namespace ntt {

// One line: status, path, how much is missing, the cause and what to do next. Safe for a terminal.
std::string damage_line(const FileRow& file, const std::string& shown_path);

// What to do next, in a sentence or a command line; empty when there is nothing to do.
struct NextStep {
    std::string medium;  // hash or label, for the command lines
    std::string image_path;
    std::optional<std::string> map_path;
};
std::string next_step(const InodeRow& inode, const std::vector<MissingRow>& missing, const NextStep& where);

// The part of the image, in whole sectors, that holds all ranges which imaging again may give; nullopt if there are none.
std::optional<ByteRange> range_to_reimage(const std::vector<MissingRow>& missing);

// One word for a shell: quoted where it needs to be.
std::string shell_word(const std::string& text);

inline constexpr uint64_t kSectorBytes = 512;  // the unit of kernel messages, of the mission and of what people read

}  // namespace ntt
