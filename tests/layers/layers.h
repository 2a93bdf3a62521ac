// The project's own rules about its files, read from the files: which folder may include which, that every source is in
// the build, which headers belong to src/os, and which names are not used.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ntt::layers {

// One broken rule: the file, relative to the root, and what is wrong with it.
struct Violation {
    std::string file;
    std::string reason;

    bool operator==(const Violation&) const = default;
};

// Quoted includes in src/ that go against the arrows of ARCHITECTURE.md, name no file of src/, or come from a folder
// that has no place in the table.
std::vector<Violation> check_include_directions(const std::filesystem::path& root);

// System-call headers outside src/os and apps/, but for a short list of exceptions with reasons; an exception that is
// no longer needed is a violation too.
std::vector<Violation> check_system_headers(const std::filesystem::path& root);

// Sources in src/, apps/, tests/, bench/ and fuzz/ that the CMakeLists.txt of their folder (or the nearest above) does
// not name.
std::vector<Violation> check_every_source_is_built(const std::filesystem::path& root);

// Files and folders called util, common, misc, helpers, manager or the like.
std::vector<Violation> check_names(const std::filesystem::path& root);

}  // namespace ntt::layers
