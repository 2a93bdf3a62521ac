#include "copy/skip_event.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

namespace ntt {

EventRow skip_event(const std::string& medium_hash, const CopyOutcome& outcome, const std::string& worker_id, const std::string& at) {
    EventRow event;
    event.medium_hash = medium_hash;
    event.volume = outcome.volume;
    event.ino = outcome.ino;
    event.checks = nlohmann::json::array({check_of(*outcome.cause)}).dump();
    event.action = "skipped";
    event.cause = outcome.cause;
    event.worker_id = worker_id;
    event.timestamp = at;
    return event;
}

std::string check_of(Cause cause) {
    if (cause == Cause::BEYOND_EOF) return "extent:beyond_eof";
    return "map:" + std::string(to_string(cause));
}

std::string reason_of(Cause cause) {
    std::string out(to_string(cause));
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string note_evidence(std::string_view words) {
    return nlohmann::json{{"note", words}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ntt
