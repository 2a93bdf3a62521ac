#include "copy/records.h"

#include <nlohmann/json.hpp>

#include "diagnose/verdict.h"

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

Finding quarantine_finding(const QuarantineEvent& event) {
    Finding finding;
    finding.code = "blob_quarantined";
    finding.message = "the store held other bytes under this content's name; they were put aside and the content was published anew";
    finding.evidence = nlohmann::json{{"blobid", event.id.hex()}, {"kind", to_string(event.kind)}, {"reason", event.reason}, {"moved_to", event.moved_to}}.dump();
    return finding;
}

Finding suspect_finding(const std::vector<SuspectRun>& runs, const std::function<uint64_t(uint64_t)>& image_offset_of) {
    Finding finding;
    finding.code = "suspect";
    uint64_t bytes = 0;
    nlohmann::json listed = nlohmann::json::array();
    for (const SuspectRun& run : runs) {
        bytes += run.length;
        listed.push_back({{"file_offset", run.file_offset}, {"length", run.length}, {"image_offset", image_offset_of(run.file_offset)}, {"pattern", run.pattern}});
    }
    finding.message = "runs of " + runs.front().pattern + " from sector to sector (" + std::to_string(bytes) + " bytes): perhaps sectors that could not be read, and no map says so";
    finding.evidence = nlohmann::json{{"bytes", bytes}, {"runs", std::move(listed)}}.dump();
    return finding;
}

std::string note_evidence(std::string_view words) {
    return nlohmann::json{{"note", words}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ntt
