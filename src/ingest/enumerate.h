// Lists a volume into the catalog, with a verdict on every file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "diagnose/verdict.h"
#include "fs/fs_reader.h"
#include "ingest/exclude.h"
#include "volume/volume.h"

namespace ntt {

// This computer's trouble is never blamed on the medium.
bool is_of_the_host(const Error& error);

// The outcome that a parser's failure means: parser_crash, parser_timeout, budget; nullopt for an error of another kind.
std::optional<Outcome> outcome_of_parser(const Error& error);
// The finding's code for a reader that failed: its outcome's own, where there is one.
std::string code_of_failure(Outcome outcome, std::string_view otherwise);

struct EnumerationCounts {
    uint64_t inodes = 0, names = 0;
    uint64_t new_inodes = 0;              // of them, those that the catalog did not have
    uint64_t renewed_inodes = 0;          // those that it had otherwise: another content, another verdict, or no longer seen
    uint64_t unreadable_directories = 0;  // findings that say "files may be missing here"
    uint64_t beyond_eof = 0;              // files with that cause
    uint64_t fat_errors = 0;              // files with a FAT_CHAIN_* cause
    uint64_t doubled_entries = 0;
    std::vector<std::string> doubled_names;  // of them, the first kMaxDoubledNames, fit for display
    std::optional<std::string> root_lost;    // the structure that gave no root directory, in words
    std::optional<std::string> udf_corruption;  // the first structure of a UDF volume that is damaged, in words

    static constexpr size_t kMaxDoubledNames = 100;
    void add(EnumerationCounts other);
};

struct EnumerationTarget {
    Catalog& catalog;   // inside a transaction
    MediumKey medium;
    std::string medium_hash;
    int64_t image_id = 0;
    std::string worker_id;
    std::string now;    // timestamp of rows made
    // Rows of the volume stand already, from a listing that was cut short. All of them stay; names and findings that are there are
    // not put twice, and an inode goes back into the queue if it shows itself as another.
    bool again = false;
    // It is listed again because of another map: an inode that this listing does not show was named by metadata that, as the map
    // says now, nobody read. Its content is lost to us.
    bool map_changed = false;
    // The source is a tree that lives: size and times say whether a content is the same, not where it lies.
    bool lives = false;
    std::optional<int64_t> dev = std::nullopt;  // of all inodes, where the source has one
    // False: an inode that is there and differs stays as it is, with a finding load_differs.
    bool replaces = true;
    // No verdict by geometry ends a file here: it is tried, as the levels of diagnostics below predict want it.
    bool tries_all = false;
};

// Reads the tree in a thread of its own while this one judges and inserts. Damage stands in the catalog as findings and verdicts; the returned Volume has its outcome and detail.
// An Error is the catalog's, a cancellation, or the host's (the image could not be read).
struct EnumeratedVolume {
    Volume volume;
    EnumerationCounts counts;
};
Result<EnumeratedVolume> enumerate_volume(const EnumerationTarget& target, const ByteSource& source, const Volume& volume,
                                          const DamageMap& damage, const ReaderOptions& options, const ExcludePatterns& exclude,
                                          const CancelToken& cancel);

// The same for a reader that is open already. `image_bytes`: where the image ends; nullopt without one: then nothing is judged by
// where it lies.
Result<EnumeratedVolume> enumerate_with(FsReader& reader, const EnumerationTarget& target, const Volume& volume, const DamageMap& damage,
                                        std::optional<uint64_t> image_bytes, const ExcludePatterns& exclude, const CancelToken& cancel);

// What an enumeration of the whole medium would have counted, from its rows; doubled names and all, but not root_lost and udf_corruption.
Result<EnumerationCounts> counts_in_catalog(Catalog& catalog, MediumKey medium, const std::string& medium_hash);

// Makes the verdicts of all files anew, for a map that changed. What the filesystem's own structures showed stays. A
// file whose verdict is another than before goes back into the queue. Returns how many did.
Result<uint64_t> renew_verdicts(const EnumerationTarget& target, const std::vector<VolumeRow>& volumes, const DamageMap& damage);

}  // namespace ntt
