// Listings as files: written without a catalog, loaded into one later or elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "fs/enumeration/enumeration_file.h"
#include "ingest/ingest.h"

namespace ntt {

// docs/formats/enumeration.md
enum class EnumerationAs : uint8_t { ntt, ntt_raw };

struct EnumerateRequest {
    std::string source;       // an image, or a folder
    std::string medium_hash;
    std::string out_file;     // must not exist: a record is never written over
    EnumerationAs format = EnumerationAs::ntt;
};
// Errors: already_exists for out_file; unsupported for raw records of an image with several volumes, or without a name.
Result<EntryCounts> enumerate_to_file(const IngestContext& context, const EnumerateRequest& request, const IngestOptions& options);

struct LoadRequest {
    std::string file;
    std::string medium_hash;
    std::optional<std::string> image;  // what was enumerated: verdicts are made by it, and contents copied from it
    std::string root;                  // of raw records: the mount point in front of their paths
};
// A medium that is known gets what it does not have; what differs is a finding (load_differs), and nothing is replaced. Errors: what
// the file's reader refuses; invalid_argument for another medium's file; source_changed for another image than the file's.
Result<IngestReport> load_enumeration(const IngestContext& context, const LoadRequest& request, const IngestOptions& options);

}  // namespace ntt
