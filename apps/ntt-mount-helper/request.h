// What the helper is asked to do: its arguments, read without mercy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ntt::mount_helper {

enum class Verb { mount, unmount, status, help, version };
std::string_view to_string(Verb verb);

struct Request {
    Verb verb = Verb::help;
    std::string medium_hash;  // of mount, unmount and status
    std::string image_path;   // of mount: absolute
};

// The arguments without the program's name. nullopt for everything but the forms of usage_text(): another verb, an option, a
// hash that is none, one argument too many, an image that is no absolute path.
std::optional<Request> parse_request(const std::vector<std::string_view>& arguments);

// What --help prints.
std::string_view usage_text();

}  // namespace ntt::mount_helper
