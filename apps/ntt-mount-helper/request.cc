#include "request.h"

#include <climits>

#include "base/ids.h"

namespace ntt::mount_helper {

std::string_view to_string(Verb verb) {
    switch (verb) {
        case Verb::mount: return "mount";
        case Verb::unmount: return "unmount";
        case Verb::status: return "status";
        case Verb::help: return "--help";
        case Verb::version: return "--version";
    }
    return "?";
}

std::optional<Request> parse_request(const std::vector<std::string_view>& arguments) {
    if (arguments.empty()) return std::nullopt;
    for (const Verb verb : {Verb::mount, Verb::unmount, Verb::status, Verb::help, Verb::version}) {
        if (arguments[0] != to_string(verb)) continue;
        Request out;
        out.verb = verb;
        const size_t wanted = verb == Verb::mount ? 3 : verb == Verb::unmount || verb == Verb::status ? 2 : 1;
        if (arguments.size() != wanted) return std::nullopt;
        if (wanted > 1) {
            if (!is_medium_hash(arguments[1])) return std::nullopt;
            out.medium_hash = arguments[1];
        }
        if (wanted > 2) {
            if (!arguments[2].starts_with('/') || arguments[2].size() >= PATH_MAX) return std::nullopt;
            out.image_path = arguments[2];
        }
        return out;
    }
    return std::nullopt;
}

std::string_view usage_text() {
    return R"(usage: ntt-mount-helper mount HASH IMAGE
       ntt-mount-helper unmount HASH
       ntt-mount-helper status HASH
       ntt-mount-helper --help | --version

Mounts the filesystems of a disk image read-only below /mnt/ntt/HASH; where the image has several volumes, each that can be
mounted at /mnt/ntt/HASH/p<N>. ntt calls it through sudo; it is the only part of ntt that needs root.

  HASH     the medium: 16 to 64 lowercase hexadecimal digits
  IMAGE    absolute path of an image file below one of the image roots; root may name any image or block device

mount     finds the volumes, mounts them, and prints where. What is mounted already is left as it is.
unmount   unmounts everything below /mnt/ntt/HASH; what is in use is detached, and its loop device goes with the last user.
status    tells what is mounted.

Each prints one JSON object on stdout. Configuration: /etc/ntt/mount-helper.toml (image_roots, mount_root, timeout_seconds,
fuse_after_refusal, [fuse]).

Exit codes: 0 done (mount: at least one volume is mounted; status: mounted) · 1 failed, the reason is on stderr (status: not
mounted) · 2 wrong arguments
)";
}

}  // namespace ntt::mount_helper
