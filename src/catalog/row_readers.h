// Rows of the catalog's tables from the answer of a database: one order of columns for both dialects. `Row` is sqlite::Query or
// postgres::Rows, whose calls have the same names; where a value has a form of its own (JSON, time, bytes, a list of texts) the
// call says which.
#pragma once

#include <string>

#include "catalog/rows.h"

namespace ntt {

#define NTT_MEDIUM_COLUMNS                                                                                             \
    "medium_hash, medium_human, kind, image_path, map_path, size_bytes, hash_method, health, rescued_bytes, message, " \
    "added_at, enum_done, copy_done, problems, diagnostics"

template <typename Row>
MediumRow read_medium(Row& row) {
    MediumRow out;
    out.medium_hash = row.text();
    out.medium_human = row.text();
    out.kind = row.text();
    out.image_path = row.text();
    out.map_path = row.maybe_text();
    out.size_bytes = row.size();
    out.hash_method = row.text();
    out.health = row.text();
    out.rescued_bytes = row.maybe_size();
    out.message = row.maybe_text();
    out.added_at = row.time();
    out.enum_done = row.maybe_time();
    out.copy_done = row.maybe_time();
    out.problems = row.maybe_json();
    out.diagnostics = row.maybe_json();
    return out;
}

#define NTT_IMAGE_COLUMNS "image_id, medium_hash, path, format, size_bytes, digest, map_path, map_digest, rescued_bytes, added_at"

template <typename Row>
ImageRow read_image(Row& row) {
    ImageRow out;
    out.image_id = row.integer();
    out.medium_hash = row.text();
    out.path = row.text();
    out.format = row.text();
    out.size_bytes = row.size();
    out.digest = row.text();
    out.map_path = row.maybe_text();
    out.map_digest = row.maybe_text();
    out.rescued_bytes = row.maybe_size();
    out.added_at = row.time();
    return out;
}

#define NTT_VOLUME_COLUMNS "medium_hash, volume, image_id, offset_bytes, size_bytes, view, role, fs_type, label, uuid, outcome, detail"

template <typename Row>
VolumeRow read_volume(Row& row) {
    VolumeRow out;
    out.medium_hash = row.text();
    out.volume = static_cast<int>(row.integer());
    out.image_id = row.integer();
    out.offset_bytes = row.size();
    out.size_bytes = row.size();
    out.view = row.text();
    out.role = row.text();
    out.fs_type = row.text();
    out.label = row.text();
    out.uuid = row.text();
    out.outcome = row.text();
    out.detail = row.json();
    return out;
}

// Of inode_row, alias i.
inline constexpr const char* kInodeColumns =
    "i.volume, i.ino, i.image_id, i.fs_type, coalesce(i.fs_ino, CAST(i.ino AS TEXT)), i.stream, i.allocated, i.dev, coalesce(i.nlink, 1), i.size, "
    "i.mtime, i.atime, i.ctime, i.crtime, coalesce(i.mtime_ns, 0), i.mode, i.uid, i.gid, i.attributes, i.target, i.access, i.first_offset, "
    "i.extents, i.status, i.copied, i.claimed_by, i.claimed_at, i.blobid, i.partial_blobid, coalesce(i.missing_bytes, 0), i.cause, i.evidence, "
    "i.error_type, i.errors, i.mime_type, i.processed_at";

template <typename Row>
InodeRow read_inode(Row& row) {
    InodeRow out;
    out.volume = static_cast<int>(row.integer());
    out.ino = row.integer();
    out.image_id = row.integer();
    const std::string fs_type = row.text();
    out.fs_type = fs_type.empty() ? 'u' : fs_type.front();
    out.fs_ino = row.text();
    out.stream = row.text();
    out.allocated = row.boolean();
    out.dev = row.maybe_integer();
    out.nlink = row.size();
    out.size = row.size();
    out.mtime = row.maybe_integer();
    out.atime = row.maybe_integer();
    out.ctime = row.maybe_integer();
    out.crtime = row.maybe_integer();
    out.mtime_ns = static_cast<int>(row.integer());
    out.mode = row.maybe_int();
    out.uid = row.maybe_integer();
    out.gid = row.maybe_integer();
    out.attributes = row.maybe_int();
    out.target = row.maybe_bytes();
    out.access = static_cast<int>(row.integer());
    out.first_offset = row.maybe_size();
    out.extents = row.bytes();
    out.status = row.template maybe_word<Status>(status_from).value_or(Status::pending);
    out.copied = row.boolean();
    out.claimed_by = row.maybe_text();
    out.claimed_at = row.maybe_time();
    out.blobid = row.maybe_blob_id();
    out.partial_blobid = row.maybe_blob_id();
    out.missing_bytes = row.size();
    out.cause = row.template maybe_word<Cause>(cause_from);
    out.evidence = row.maybe_json();
    out.error_type = row.maybe_text();
    out.errors = row.texts();
    out.mime_type = row.maybe_text();
    out.processed_at = row.maybe_time();
    return out;
}

// What stands behind the key of a work item: volume, ino, and what copying needs.
template <typename Row>
WorkItem read_work_item(int64_t key, Row& row) {
    WorkItem out;
    out.row = key;
    out.volume = static_cast<int>(row.integer());
    out.ino = row.integer();
    out.image_id = row.integer();
    out.fs_ino = row.text();
    out.stream = row.text();
    out.size = row.size();
    out.mtime = row.maybe_integer();
    out.mtime_ns = static_cast<int>(row.integer());
    out.access = static_cast<int>(row.integer());
    out.extents = row.bytes();
    out.missing_bytes = row.size();
    out.cause = row.template maybe_word<Cause>(cause_from);
    out.failures = static_cast<int>(row.integer());
    return out;
}

#define NTT_EVENT_COLUMNS                                                                                                    \
    "id, medium_hash, volume, ino, retry_count, checks, action, cause, evidence, exception_type, exception_msg, worker_id, " \
    "timestamp"

template <typename Row>
EventRow read_event(Row& row) {
    EventRow out;
    out.id = row.integer();
    out.medium_hash = row.text();
    out.volume = static_cast<int>(row.integer());
    out.ino = row.maybe_integer();
    out.retry_count = static_cast<int>(row.integer());
    out.checks = row.json();
    out.action = row.text();
    out.cause = row.template maybe_word<Cause>(cause_from);
    out.evidence = row.json();
    out.exception_type = row.maybe_text();
    out.exception_msg = row.maybe_text();
    out.worker_id = row.text();
    out.timestamp = row.time();
    return out;
}

#define NTT_BLOB_COLUMNS "kind, id, size, first_seen, last_verified"

template <typename Row>
BlobRow read_blob(Row& row) {
    BlobRow out;
    out.kind = row.template maybe_word<BlobKind>(blob_kind_from).value_or(BlobKind::whole);
    out.blobid = row.maybe_blob_id().value_or(BlobId{});
    out.size = row.size();
    out.first_seen = row.time();
    out.last_verified = row.maybe_time();
    return out;
}

#define NTT_RANGE_COLUMNS "file_offset, length, image_offset, cause"

template <typename Row>
MissingRow read_range(Row& row) {
    MissingRow out;
    out.file_offset = row.size();
    out.length = row.size();
    out.image_offset = row.maybe_size();
    out.cause = row.template maybe_word<Cause>(cause_from).value_or(Cause::FS_CORRUPT);
    return out;
}

#define NTT_FINDING_COLUMNS "id, medium_hash, volume, ino, code, message, evidence, at"

template <typename Row>
FindingRow read_finding(Row& row) {
    FindingRow out;
    out.id = row.integer();
    out.medium_hash = row.text();
    out.finding.volume = static_cast<int>(row.integer());
    out.finding.ino = row.maybe_integer();
    out.finding.code = row.text();
    out.finding.message = row.text();
    out.finding.evidence = row.json();
    out.at = row.time();
    return out;
}

template <typename Row>
BlobProblem read_blob_problem(Row& row) {
    BlobProblem out;
    out.medium_hash = row.text();
    out.volume = static_cast<int>(row.integer());
    out.ino = row.integer();
    out.blobid = row.maybe_blob_id().value_or(BlobId{});
    out.kind = row.template maybe_word<BlobKind>(blob_kind_from).value_or(BlobKind::whole);
    return out;
}

}  // namespace ntt
