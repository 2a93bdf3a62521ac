// What runs over folders and over mounted images share.
#pragma once

#include <string>

#include "base/result.h"
#include "catalog/catalog.h"
#include "diagnose/diagnostic_service.h"
#include "fs/isolated/trees.h"
#include "ingest/ingest.h"

namespace ntt {

// Of a medium whose trees these are, for MountControl.
MountState mount_state_of(Trees& trees, const CancelToken& cancel);

// Copies what is pending, with a DiagnosticService of this run.
Result<CopyReport> copy_tree(const IngestContext& context, const IngestOptions& options, MediumKey medium, const std::string& medium_hash, Trees& trees,
                             MountControl& mounts, const ByteSource* image);

}  // namespace ntt
