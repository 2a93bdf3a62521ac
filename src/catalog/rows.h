// What stands in the catalog, row by row. Names and values are the contract's (design, section 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cause.h"
#include "base/finding.h"
#include "base/ids.h"

namespace ntt {

// JSON columns hold JSON text, timestamps ISO 8601 UTC text (iso8601_utc), absent values are nullopt.

struct MediumRow {
    std::string medium_hash;
    std::string medium_human;
    std::string kind = "image";                 // image directory
    std::string image_path;
    std::optional<std::string> map_path;
    uint64_t size_bytes = 0;                    // of the decoded image
    std::string hash_method = "image_blake3";   // given file_name image_blake3 directory
    std::string health = "unknown";             // ok incomplete corrupt failed unknown
    std::optional<uint64_t> rescued_bytes;
    std::optional<std::string> message;
    std::string added_at;
    std::optional<std::string> enum_done, copy_done;
    std::optional<std::string> problems, diagnostics;  // JSON
};

struct ImageRow {
    int64_t image_id = 0;   // 0: not stored yet
    std::string medium_hash;
    std::string path;
    std::string format;
    uint64_t size_bytes = 0;
    std::string digest;     // BLAKE3 of the decoded image, 64 hex
    std::optional<std::string> map_path, map_digest;
    std::optional<uint64_t> rescued_bytes;
    std::string added_at;
};

struct VolumeRow {
    std::string medium_hash;
    int volume = 0;
    int64_t image_id = 0;
    uint64_t offset_bytes = 0, size_bytes = 0;
    std::string view, role, fs_type, label, uuid, outcome;
    std::string detail = "{}";
};

// Values of inode.status.
enum class Status : uint8_t { pending, stored, damaged, unreadable, excluded, nonfile };
std::string_view to_string(Status status);
std::optional<Status> status_from(std::string_view text);

struct MissingRow {
    uint64_t file_offset = 0, length = 0;
    std::optional<uint64_t> image_offset;
    Cause cause = Cause::BAD_SECTOR;
    bool operator==(const MissingRow&) const = default;
};
// Sorted, disjoint (an earlier range wins), and neighbours in file and image with one cause joined.
std::vector<MissingRow> merged(std::vector<MissingRow> ranges);
uint64_t total_length(const std::vector<MissingRow>& ranges);
// The parts of [0, size) that no range covers, as ranges of `cause`. `ranges`: as merged() gives them.
std::vector<MissingRow> rest_of(const std::vector<MissingRow>& ranges, uint64_t size, Cause cause);

struct InodeRow {
    int volume = 0;
    int64_t ino = 0;
    int64_t image_id = 0;
    char fs_type = 'f';
    std::string fs_ino, stream;
    bool allocated = true;
    std::optional<int64_t> dev;
    uint64_t nlink = 1;
    uint64_t size = 0;
    std::optional<int64_t> mtime, atime, ctime, crtime;
    int mtime_ns = 0;
    std::optional<int> mode;
    std::optional<int64_t> uid, gid;
    std::optional<int> attributes;
    std::optional<std::string> target;
    int access = 0;                       // ContentAccess of src/fs as a number
    std::optional<uint64_t> first_offset; // image offset of the first data extent
    std::string extents;                  // encode_extents
    Status status = Status::pending;
    bool copied = false;
    std::optional<std::string> claimed_by;
    std::optional<std::string> claimed_at;
    std::optional<BlobId> blobid, partial_blobid;
    uint64_t missing_bytes = 0;
    std::optional<Cause> cause;
    std::optional<std::string> evidence;  // JSON
    std::optional<std::string> error_type;
    std::vector<std::string> errors;
    std::optional<std::string> mime_type;
    std::optional<std::string> processed_at;

    // fs_ino where it says more than `ino` in decimal does.
    std::optional<std::string_view> own_fs_ino() const;
    // The contract's rule: totals and listings count a row by its status if copied, else as pending.
    Status counted_as() const { return copied ? status : Status::pending; }
};

struct PathRow {
    int volume = 0;
    int64_t entry = 0;   // ordinal in the volume, from 1, in the order of listing
    int64_t ino = 0;
    std::string path;        // raw bytes
    std::optional<std::string> short_name;
    std::optional<std::string> exclude_reason;
};

// One pending inode, with all that copying needs.
struct WorkItem {
    int64_t row = 0;     // the catalog's own key of the inode
    int volume = 0;
    int64_t ino = 0;
    int64_t image_id = 0;
    std::string fs_ino, stream;
    uint64_t size = 0;
    std::optional<int64_t> mtime;
    int mtime_ns = 0;
    int access = 0;
    std::string extents;
    uint64_t missing_bytes = 0;
    std::optional<Cause> cause;
    std::vector<MissingRow> missing;
    int failures = 0;    // recorded in earlier runs, since it was last put into the queue
};

// What became of one inode. Status pending: this host could not read it; `error` is recorded and it stays in the queue.
struct CopyOutcome {
    int64_t row = 0;
    int volume = 0;
    int64_t ino = 0;
    Status status = Status::stored;
    std::optional<BlobId> blobid, partial_blobid;
    uint64_t blob_size = 0;
    bool fresh = false;                       // the store did not have the content before
    std::optional<Cause> cause;               // set with damaged and unreadable
    std::string claimed_by;                   // empty: NULL
    // A verdict that reading changed replaces the one from enumeration; nullopt keeps it.
    std::optional<std::vector<MissingRow>> missing;
    std::optional<std::string> evidence;
    std::optional<std::string> error;         // one entry for errors[]
    std::optional<std::string> error_type;
    std::optional<Finding> doubt;             // about a content that is stored all the same; recorded once for an inode
    bool is_told = false;                     // events say already why it is not whole
};

struct EventRow {
    int64_t id = 0;
    std::string medium_hash;
    int volume = 0;
    std::optional<int64_t> ino;
    int retry_count = 0;
    std::string checks = "[]";                // JSON array
    std::string action;                       // continuing skipped remounted max_retries
    std::optional<Cause> cause;
    std::string evidence = "{}";
    std::optional<std::string> exception_type, exception_msg;
    std::string worker_id;
    std::string timestamp;
};

struct FindingRow {
    int64_t id = 0;
    std::string medium_hash;
    Finding finding;
    std::string at;
};

struct BlobRow {
    BlobId blobid;
    BlobKind kind = BlobKind::whole;
    uint64_t size = 0;
    std::string first_seen;
    std::optional<std::string> last_verified;
};

struct Totals {
    uint64_t paths = 0, inodes = 0;
    uint64_t stored = 0, damaged = 0, unreadable = 0, excluded = 0, nonfile = 0, pending = 0;
    uint64_t content_bytes = 0;   // sizes of all regular files
    uint64_t missing_bytes = 0;   // of damaged and unreadable ones, and pending ones with a verdict
    bool add_up() const { return stored + damaged + unreadable + excluded + nonfile + pending == inodes; }
};

// A name with its inode, for listings.
struct FileRow {
    std::string medium_hash;
    PathRow path;
    InodeRow inode;
    std::vector<MissingRow> missing;  // merged, sorted
};

struct FileFilter {
    std::optional<std::string> medium_hash;       // nullopt: all media
    std::optional<int> volume;
    std::optional<Status> status;                 // as counted (counted_as)
    std::optional<Cause> cause;
    std::optional<std::string> path_glob;         // fnmatch without FNM_PATHNAME on the raw path bytes
    std::optional<std::string> path_exact;
    std::optional<std::string> basename_glob;     // fnmatch on the last part, without regard to ASCII case
    std::optional<int64_t> ino;
    bool suspect = false;                         // only inodes with a finding that casts doubt on them: "suspect…", chains that do not fit, cross links
};

struct EventFilter {
    std::optional<std::string> medium_hash;
    std::optional<int> volume;
    std::optional<int64_t> ino;
};

// Which inodes go back into the queue. All conditions must hold.
struct RequeueFilter {
    std::string medium_hash;
    std::optional<int> volume;
    std::optional<int64_t> ino;
    std::optional<Status> status;
    std::optional<Cause> cause;
};

// A row that names a blob the blob table lacks, or the other way round.
struct BlobProblem {
    std::string medium_hash;
    int volume = 0;
    int64_t ino = 0;
    BlobId blobid;
    BlobKind kind = BlobKind::whole;
};

}  // namespace ntt
