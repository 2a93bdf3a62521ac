// What becomes of the rows of the predecessor's database: pure functions from its rows to ours. docs/migration.md has the rules as a table.
//
// Sources: the predecessor's schema and programs as the field cases record them (docs/field-cases.md; its tables medium, inode, path).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/rows.h"

namespace ntt::predecessor {

// Its rows as text; what an older database does not have is nullopt. Times may have any form of catalog_time().
struct TheirMedium {
    std::string medium_hash;
    std::optional<std::string> medium_human, added_at, health, image_path, enum_done, copy_done, problems, diagnostics, message;
    bool is_listed = true;  // false: there are inodes of it, and no row in medium
};

struct TheirInode {
    int64_t ino = 0;
    std::optional<int64_t> dev, nlink, size, mtime;
    std::optional<bool> copied;
    std::optional<std::string> fs_type, blobid, status, error_type, claimed_by, claimed_at, mime_type, processed_at;
    std::vector<std::string> errors;
};

struct TheirPath {
    int64_t ino = 0;
    std::optional<int64_t> dev;
    std::string path;  // raw bytes, with the mount point
    std::optional<std::string> exclude_reason;
};

// All rows of one inode number of one medium.
struct TheirGroup {
    std::vector<TheirInode> inodes;  // more than one: their dev differs
    std::vector<TheirPath> paths;
};

// Why a row became what it became. The words stand in JSON.
enum class Rule : uint8_t {
    // of media
    medium_known,           // skipped: the target has it
    medium_hash_replaced,
    health_unknown,
    problems_wrapped,
    diagnostics_as_text,
    copy_done_taken_back,
    // of inodes: what they are now; every inode has one of these or a defect
    stored,
    nonfile,
    excluded,
    excluded_bad_health,
    given_up,
    failed_permanent,
    failed_retryable,
    pending,
    // of inodes and paths, besides
    type_unknown,
    duplicate_ino,
    inode_without_path,
    mount_point,
    path_outside_mount,
    mount_prefix_doubled,
    event,
    // known defects of the predecessor
    success_without_blobid,
    empty_file_hash,
    blobid_malformed,
    blob_of_two_sizes,
    content_of_either_partition,
    inode_of_other_partition,
    backslash_name,
    copied_but_failed,
    nonfile_is_file,
    path_without_inode,
    medium_row_missing,
    event_malformed,
};
std::string_view to_string(Rule rule);
// One line for people.
std::string_view explain(Rule rule);
bool is_defect(Rule rule);

using RuleCounts = std::map<Rule, uint64_t>;

// BLAKE3 has another hash for no bytes: the predecessor took SHA-256's.
inline constexpr std::string_view kEmptyFileHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// What an inode is now. status, copied, claimed_by, cause, blobid as the contract has them; of a pending one earlier errors do not count.
struct Judgement {
    Rule rule = Rule::pending;
    Status status = Status::pending;
    char fs_type = 'f';
    std::optional<Cause> cause;               // of unreadable
    std::optional<std::string> claimed_by;    // of what is neither stored nor pending
    std::optional<BlobId> blobid;             // of stored
    bool type_is_unknown = false;
};
// What the group says beyond the row.
struct Circumstances {
    bool has_names_in_other_partitions = false;
    bool has_backslash_name = false;
    bool blob_has_two_sizes = false;
};
Judgement judge(const TheirInode& inode, const Circumstances& about);

struct CarriedInode {
    InodeRow row;  // image_id is the caller's
    std::vector<MissingRow> missing;
    Rule rule = Rule::pending;
};
struct Carried {
    std::vector<CarriedInode> inodes;
    std::vector<PathRow> paths;
};

// Carries one medium's inodes and paths over, group by group in the order of their numbers. Counts as it goes.
class MediumCarrier {
public:
    enum class Partitions { none, by_folder };  // by_folder: all names lie in p1, p2 … below the mount point
    // `doubtful`: blob ids that have rows of two sizes.
    MediumCarrier(std::string medium_hash, Partitions partitions, const std::set<std::string>& doubtful)
        : mount_point_("/mnt/ntt/" + medium_hash), partitions_(partitions), doubtful_(doubtful) {}

    Carried carry(const TheirGroup& group);
    const RuleCounts& counts() const { return counts_; }
    // The first inodes of each defect, for a person to look at.
    const std::map<Rule, std::vector<int64_t>>& examples() const { return examples_; }
    const std::set<int>& volumes() const { return volumes_; }

private:
    struct Place {
        int volume = 1;
        std::string path;  // empty: the mount point itself
    };
    Place place_of(const std::string& path);
    void count(Rule rule, int64_t ino);
    CarriedInode inode_of(const TheirInode& inode, int volume, const Circumstances& about);

    const std::string mount_point_;
    const Partitions partitions_;
    const std::set<std::string>& doubtful_;
    RuleCounts counts_;
    std::map<Rule, std::vector<int64_t>> examples_;
    std::set<int> volumes_;
    std::map<int, int64_t> entries_;  // of each volume, so far
    int64_t next_own_ = int64_t{1} << 62;
};

// The medium's row; its hash is ours from now on. `now`: for a medium that does not say when it was added.
MediumRow medium_of(const TheirMedium& medium, const std::string& now, RuleCounts& counts);
// problems.diagnostic_events as rows; volume: 1 where there is only that, else 0.
std::vector<EventRow> events_of(const MediumRow& medium, int volume, RuleCounts& counts);

}  // namespace ntt::predecessor
