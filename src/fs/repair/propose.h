// Repairs without writing: what stands in for structures that are lost, so that the volume's files can be read.
#pragma once

#include "base/cancel.h"
#include "base/finding.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "image/byte_source.h"
#include "volume/volume.h"

namespace ntt {

// Between detection and listing: tries the repairs of proposers.h on every volume where no filesystem is identified, or where
// one is whose structures are unread (options.unread) or bad. A repair is kept if the volume gives more sound files with it
// than without (both are listed; a file is sound if nothing of it is missing from image and chains), or if what stands in the
// structure's place was not read and is proven to be wrong. What is kept stands in Volume::detail under "repairs" (repair.h),
// where open_reader finds it; the volume is as detection sees it through the repairs, with its number as before.
//
// Findings: repaired (once for each repair that is kept: name, from where, the patches, files before and after),
// repair_unproven, and what detection finds on a repaired volume. Does nothing when options.repairs says so.
// Errors: those of ByteSource::read, and cancelled. Cost: of a volume in order a few reads; two listings for what is tried.
Result<void> propose_repairs(const ByteSource& source, const ReaderOptions& options, Detection& detection, FindingSink& findings,
                             const CancelToken& cancel);

}  // namespace ntt
