// What an image is before a parser looks at it: erased, an archive, without its boot sector, longer than its filesystem.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/finding.h"
#include "base/result.h"
#include "diagnose/boot_sector_loss.h"
#include "diagnose/verdict.h"
#include "image/archive.h"
#include "image/byte_source.h"
#include "image/fill.h"
#include "image/reader_process.h"
#include "volume/volume.h"

namespace ntt {

struct Assessment {
    std::optional<Fill> fill;                // of the whole medium
    std::optional<ArchiveContents> archive;  // instead of sectors
    // The first sector of the medium or of a partition is lost; the JSON object says how that is known.
    std::optional<std::string> boot_sector_lost;
};

struct AssessmentContext {
    const ByteSource& source;
    const DamageMap& damage;
    const Clock& clock;
    const CancelToken& cancel;
    FindingSink& findings;
    const ReaderProgram* program;  // that looks into archives; null: here
};

// Looks at what detection found, and writes what it sees into the volumes' details (fill, fill_byte or fill_pattern, fill_share;
// not_empty; lost_boot_sector; behind_bytes). Nothing is claimed of bytes that were not read from the medium.
// Findings: erased_disk (the medium; whole, or all but a few leftovers), filesystem_unrecognised (something stands there),
// boot_sector_corruption, image_larger_than_filesystem. Errors: those of ByteSource::read; cancelled.
Result<Assessment> assess_volumes(const AssessmentContext& context, std::vector<Volume>& volumes);

// The same for a file that is an archive: the one volume that stands for it, and finding archive_not_disk.
struct AssessedArchive {
    Assessment assessment;
    Volume volume;
};
Result<AssessedArchive> assess_archive(const AssessmentContext& context);

}  // namespace ntt
