// Carries the predecessor's database over into a catalog: reader.h gives its rows, rules.h says what they become.
#pragma once

#include <set>
#include <string>

#include "base/cancel.h"
#include "catalog/catalog.h"
#include "catalog/predecessor/reader.h"
#include "catalog/predecessor/rules.h"

namespace ntt::predecessor {

struct ImportOptions {
    std::string store_id = "predecessor";  // where its contents lie
};

struct ImportReport {
    RuleCounts rules;
    uint64_t media = 0, inodes = 0, paths = 0;  // that were carried over

    uint64_t defects() const;
};

// Each medium in one transaction; one that the catalog has is skipped, so that an import that was interrupted goes on. Reads each medium
// twice. Errors: those of both databases; what was carried over before stays.
Result<void> import_database(Reader& reader, Catalog& catalog, const Clock& clock, const ImportOptions& options, const CancelToken& cancel, ImportReport& report);
// What that would say, if the catalog has these media. Writes nothing.
Result<void> count_database(Reader& reader, const std::set<std::string>& known_media, const CancelToken& cancel, ImportReport& report);

}  // namespace ntt::predecessor
