#include "volume/volume.h"

#include "base/check.h"

namespace ntt {

std::string_view to_string(Role role) {
    switch (role) {
        case Role::filesystem: return "filesystem";
        case Role::swap: return "swap";
        case Role::extended: return "extended";
        case Role::lvm_pv: return "lvm_pv";
        case Role::raid_member: return "raid_member";
        case Role::encrypted: return "encrypted";
        case Role::unknown: return "unknown";
    }
    NTT_CHECK(false, "a role out of range");
}

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
        case Outcome::read: return "read";
        case Outcome::partial: return "partial";
        case Outcome::unsupported: return "unsupported";
        case Outcome::no_filesystem: return "no_filesystem";
        case Outcome::truncated: return "truncated";
        case Outcome::parser_crash: return "parser_crash";
        case Outcome::parser_timeout: return "parser_timeout";
        case Outcome::budget: return "budget";
        case Outcome::failed: return "failed";
        case Outcome::skipped: return "skipped";
    }
    NTT_CHECK(false, "an outcome out of range");
}

std::optional<Role> role_from(std::string_view word) {
    for (auto role = Role::filesystem;; role = static_cast<Role>(static_cast<uint8_t>(role) + 1)) {
        if (to_string(role) == word) return role;
        if (role == Role::unknown) return std::nullopt;
    }
}

std::optional<Outcome> outcome_from(std::string_view word) {
    for (auto outcome = Outcome::read;; outcome = static_cast<Outcome>(static_cast<uint8_t>(outcome) + 1)) {
        if (to_string(outcome) == word) return outcome;
        if (outcome == Outcome::skipped) return std::nullopt;
    }
}

}  // namespace ntt
