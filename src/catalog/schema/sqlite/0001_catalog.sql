-- The catalog's tables and views (design, section 5) for SQLite 3.40 or newer.
--
-- Users and the mission's SQL know the names medium, image, volume, inode, path, ... `inode` and `path` are views: their
-- rows lie in inode_row and path_row under an integer medium key and binary blob ids. Every rule that can be a constraint
-- is one, because triggers and CHECKs hold for everybody's SQL; foreign keys only where the connection asks for them.

PRAGMA application_id = 0x6e747463;  -- "nttc"

CREATE TABLE medium (
    medium_hash   TEXT NOT NULL UNIQUE CHECK (length(medium_hash) BETWEEN 16 AND 64 AND medium_hash NOT GLOB '*[^0-9a-f]*'),
    medium_human  TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('image', 'directory')),
    image_path    TEXT NOT NULL,
    map_path      TEXT,
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    hash_method   TEXT NOT NULL CHECK (hash_method IN ('given', 'file_name', 'image_blake3', 'directory')),
    health        TEXT NOT NULL CHECK (health IN ('ok', 'incomplete', 'corrupt', 'failed', 'unknown')),
    rescued_bytes INTEGER CHECK (rescued_bytes >= 0),
    message       TEXT,
    added_at      TEXT NOT NULL,
    enum_done     TEXT,
    copy_done     TEXT,
    problems      TEXT CHECK (problems IS NULL OR (json_valid(problems) AND problems GLOB '{*')),
    diagnostics   TEXT CHECK (diagnostics IS NULL OR json_valid(diagnostics)),
    medium_key    INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE medium_relation (
    medium_hash TEXT NOT NULL REFERENCES medium (medium_hash),
    kind        TEXT NOT NULL CHECK (kind IN ('same_object', 'supersedes', 'contained_in', 'derived_from', 'duplicate_of')),
    other_hash  TEXT NOT NULL,
    detail      TEXT CHECK (detail IS NULL OR json_valid(detail)),
    PRIMARY KEY (medium_hash, kind, other_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE image (
    image_id      INTEGER PRIMARY KEY,
    medium_hash   TEXT NOT NULL REFERENCES medium (medium_hash),
    path          TEXT NOT NULL,
    format        TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    digest        TEXT NOT NULL,
    map_path      TEXT,
    map_digest    TEXT,
    rescued_bytes INTEGER CHECK (rescued_bytes >= 0),
    added_at      TEXT NOT NULL
) STRICT;
CREATE INDEX image_medium ON image (medium_hash);
CREATE INDEX image_size ON image (size_bytes);

CREATE TABLE volume (
    medium_hash  TEXT NOT NULL REFERENCES medium (medium_hash),
    volume       INTEGER NOT NULL CHECK (volume >= 1),
    image_id     INTEGER REFERENCES image (image_id),
    offset_bytes INTEGER NOT NULL CHECK (offset_bytes >= 0),
    size_bytes   INTEGER NOT NULL CHECK (size_bytes >= 0),
    view         TEXT,
    role         TEXT CHECK (role IN ('filesystem', 'swap', 'extended', 'lvm_pv', 'raid_member', 'encrypted', 'unknown')),
    fs_type      TEXT,
    label        TEXT,
    uuid         TEXT,
    outcome      TEXT CHECK (outcome IN ('read', 'partial', 'unsupported', 'no_filesystem', 'truncated', 'parser_crash',
                                         'parser_timeout', 'budget', 'failed', 'skipped')),
    detail       TEXT NOT NULL CHECK (json_valid(detail)),
    PRIMARY KEY (medium_hash, volume)
) STRICT, WITHOUT ROWID;

-- `id` is the key; `blobid` is its text form, computed when asked for. The store that had the content first stands in the
-- row itself: a second tree under random keys would double what every commit writes. Further stores: blob_elsewhere.
CREATE TABLE blob (
    blobid        TEXT GENERATED ALWAYS AS (lower(hex(id))) VIRTUAL,
    kind          TEXT NOT NULL CHECK (kind IN ('whole', 'partial')),
    size          INTEGER NOT NULL CHECK (size >= 0),
    first_seen    TEXT NOT NULL,
    last_verified TEXT,
    id            BLOB NOT NULL CHECK (length(id) = 32),
    store         INTEGER NOT NULL REFERENCES store (store),
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE store (
    store    INTEGER PRIMARY KEY,
    store_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE blob_elsewhere (
    kind  TEXT NOT NULL,
    id    BLOB NOT NULL,
    store INTEGER NOT NULL REFERENCES store (store),
    PRIMARY KEY (kind, id, store),
    FOREIGN KEY (kind, id) REFERENCES blob (kind, id)
) STRICT, WITHOUT ROWID;

CREATE VIEW blob_location (blobid, kind, store_id) AS
    SELECT lower(hex(b.id)), b.kind, s.store_id FROM blob b JOIN store s ON s.store = b.store
    UNION ALL
    SELECT lower(hex(e.id)), e.kind, s.store_id FROM blob_elsewhere e JOIN store s ON s.store = e.store;

-- Lists of values are written as OR here: for an IN list SQLite builds and drops a small tree in every statement, which made
-- inserts ten times slower.
--
-- fs_ino is NULL where it is ino in decimal; stream, errors: NULL where empty. errors_before_requeue: so many entries of
-- `errors` no longer count. whole_kind and partial_kind take no space: they let the foreign keys name the blob's kind.
--
-- Measured at a million inodes, all stored, with one path each: 186 bytes an inode with its index; a path 71 bytes with its
-- two indexes beside its text; a blob 87 bytes.
CREATE TABLE inode_row (
    row            INTEGER PRIMARY KEY,
    medium         INTEGER NOT NULL REFERENCES medium (medium_key),
    volume         INTEGER NOT NULL CHECK (volume >= 1),
    ino            INTEGER NOT NULL,
    image_id       INTEGER,
    fs_type        TEXT NOT NULL CHECK (fs_type = 'f' OR fs_type = 'd' OR fs_type = 'l' OR fs_type = 'b' OR
                        fs_type = 'c' OR fs_type = 'p' OR fs_type = 's' OR fs_type = 'u'),
    fs_ino         TEXT,
    stream         TEXT,
    allocated      INTEGER NOT NULL CHECK (allocated IN (0, 1)),
    dev            INTEGER,
    nlink          INTEGER NOT NULL,
    size           INTEGER NOT NULL CHECK (size >= 0),
    mtime          INTEGER,
    mtime_ns       INTEGER NOT NULL,
    atime          INTEGER,
    ctime          INTEGER,
    crtime         INTEGER,
    mode           INTEGER,
    uid            INTEGER,
    gid            INTEGER,
    attributes     INTEGER,
    target         BLOB,
    access         INTEGER NOT NULL,
    first_offset   INTEGER CHECK (first_offset >= 0),
    extents        BLOB,
    status         TEXT NOT NULL CHECK (status = 'pending' OR status = 'stored' OR status = 'damaged' OR status = 'unreadable' OR
                        status = 'excluded' OR status = 'nonfile'),
    copied         INTEGER NOT NULL CHECK (copied IN (0, 1)),
    claimed_by     TEXT,
    claimed_at     TEXT,
    blobid         BLOB CHECK (length(blobid) = 32),
    partial_blobid BLOB CHECK (length(partial_blobid) = 32),
    missing_bytes  INTEGER NOT NULL CHECK (missing_bytes >= 0),
    cause          TEXT CHECK (cause IS NULL OR cause = 'BEYOND_EOF' OR cause = 'BAD_SECTOR' OR cause = 'FAT_CHAIN_SHORT' OR
                        cause = 'FAT_CHAIN_LOOP' OR cause = 'FAT_CHAIN_INVALID' OR cause = 'CROSS_LINK' OR
                        cause = 'IMPLAUSIBLE_SIZE' OR cause = 'CHECKSUM' OR cause = 'FS_CORRUPT' OR cause = 'NOT_TRIED' OR
                        cause = 'NOT_TRIMMED' OR cause = 'NOT_SCRAPED' OR cause = 'IO_ERROR' OR cause = 'MISSING_FILE' OR
                        cause = 'MOUNT_LOST' OR cause = 'MOUNT_INACCESSIBLE' OR cause = 'PERMISSION' OR cause = 'TIMEOUT' OR
                        cause = 'STORE_FULL' OR cause = 'STORE_ERROR' OR cause = 'CATALOG_ERROR' OR
                        cause = 'UNSUPPORTED_FS' OR cause = 'UNSUPPORTED_COMPRESSION' OR cause = 'ENCRYPTED' OR
                        cause = 'PARSER_CRASH' OR cause = 'PARSER_TIMEOUT'),
    evidence       TEXT CHECK (evidence IS NULL OR json_valid(evidence)),
    error_type     TEXT CHECK (error_type IS NULL OR error_type = 'path_error' OR error_type = 'io_error' OR
                        error_type = 'hash_error' OR
                        error_type = 'permission_error' OR error_type = 'unknown'),
    errors         TEXT CHECK (errors IS NULL OR (json_valid(errors) AND errors GLOB '[[]*')),
    errors_before_requeue INTEGER NOT NULL DEFAULT 0,
    mime_type      TEXT,
    processed_at   TEXT,
    whole_kind     TEXT GENERATED ALWAYS AS ('whole') VIRTUAL,
    partial_kind   TEXT GENERATED ALWAYS AS ('partial') VIRTUAL,
    -- In this order, because the mission asks by medium and ino.
    UNIQUE (medium, ino, volume),
    FOREIGN KEY (whole_kind, blobid) REFERENCES blob (kind, id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (partial_kind, partial_blobid) REFERENCES blob (kind, id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT stored_has_blobid CHECK ((status = 'stored') = (blobid IS NOT NULL)),
    CONSTRAINT damaged_has_partial_blobid CHECK ((status = 'damaged') = (partial_blobid IS NOT NULL)),
    CONSTRAINT copied_is_decided CHECK (copied = 0 OR status <> 'pending'),
    CONSTRAINT given_up_says_who CHECK (copied = 0 OR (status = 'stored') = (claimed_by IS NULL)),
    CONSTRAINT given_up_says_why CHECK (copied = 0 OR (status IN ('damaged', 'unreadable')) = (cause IS NOT NULL)),
    CONSTRAINT only_files_have_content CHECK ((fs_type = 'f') = (status <> 'nonfile')),
    CONSTRAINT nonfile_is_done CHECK (status <> 'nonfile' OR copied = 1)
) STRICT;
-- The queue in disk order; empties as the work is done.
CREATE INDEX inode_pending ON inode_row (medium, first_offset) WHERE copied = 0 AND claimed_by IS NULL;
CREATE INDEX inode_damaged ON inode_row (medium, cause) WHERE cause IS NOT NULL;

-- name_hash: 32-bit FNV-1a of the last part of the path in ASCII lower case.
CREATE TABLE path_row (
    medium         INTEGER NOT NULL,
    volume         INTEGER NOT NULL,
    entry          INTEGER NOT NULL,
    ino            INTEGER NOT NULL,
    path           BLOB NOT NULL,
    short_name     BLOB,
    exclude_reason TEXT,
    name_hash      INTEGER NOT NULL,
    PRIMARY KEY (medium, volume, entry),
    FOREIGN KEY (medium, ino, volume) REFERENCES inode_row (medium, ino, volume) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;
CREATE INDEX path_inode ON path_row (medium, ino);
-- By medium first: a load then touches only its own part of the index, however large the catalog is; a search over all
-- media is one descent for each medium. At a million paths: 18 MB and about a third of the load's time (2.4 s of 7.7 s on a busy
-- machine); a name is found in 0.5 ms instead of 90 ms with everything cached.
CREATE INDEX path_name ON path_row (medium, name_hash);

CREATE TABLE missing_range (
    medium_hash  TEXT NOT NULL REFERENCES medium (medium_hash),
    volume       INTEGER NOT NULL,
    ino          INTEGER NOT NULL,
    file_offset  INTEGER NOT NULL CHECK (file_offset >= 0),
    length       INTEGER NOT NULL CHECK (length > 0),
    image_offset INTEGER CHECK (image_offset >= 0),
    cause        TEXT NOT NULL CHECK (cause = 'BEYOND_EOF' OR cause = 'BAD_SECTOR' OR cause = 'FAT_CHAIN_SHORT' OR
                        cause = 'FAT_CHAIN_LOOP' OR cause = 'FAT_CHAIN_INVALID' OR cause = 'CROSS_LINK' OR
                        cause = 'IMPLAUSIBLE_SIZE' OR cause = 'CHECKSUM' OR cause = 'FS_CORRUPT' OR cause = 'NOT_TRIED' OR
                        cause = 'NOT_TRIMMED' OR cause = 'NOT_SCRAPED' OR cause = 'IO_ERROR' OR cause = 'MISSING_FILE' OR
                        cause = 'MOUNT_LOST' OR cause = 'MOUNT_INACCESSIBLE' OR cause = 'PERMISSION' OR cause = 'TIMEOUT' OR
                        cause = 'STORE_FULL' OR cause = 'STORE_ERROR' OR cause = 'CATALOG_ERROR' OR
                        cause = 'UNSUPPORTED_FS' OR cause = 'UNSUPPORTED_COMPRESSION' OR cause = 'ENCRYPTED' OR
                        cause = 'PARSER_CRASH' OR cause = 'PARSER_TIMEOUT'),
    PRIMARY KEY (medium_hash, volume, ino, file_offset, cause)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    id          INTEGER PRIMARY KEY,
    medium_hash TEXT NOT NULL REFERENCES medium (medium_hash),
    volume      INTEGER NOT NULL CHECK (volume >= 0),
    ino         INTEGER,
    code        TEXT NOT NULL CHECK (code <> '' AND code NOT GLOB '*[^a-z0-9_]*'),
    message     TEXT NOT NULL,
    evidence    TEXT NOT NULL CHECK (json_valid(evidence)),
    at          TEXT NOT NULL
) STRICT;
CREATE INDEX finding_inode ON finding (medium_hash, volume, ino);

CREATE TABLE diagnostic_event (
    id             INTEGER PRIMARY KEY,
    medium_hash    TEXT NOT NULL REFERENCES medium (medium_hash),
    volume         INTEGER NOT NULL CHECK (volume >= 0),
    ino            INTEGER,
    retry_count    INTEGER NOT NULL CHECK (retry_count >= 0),
    checks         TEXT NOT NULL CHECK (json_valid(checks) AND checks GLOB '[[]*'),
    action         TEXT NOT NULL CHECK (action IN ('continuing', 'skipped', 'remounted', 'max_retries')),
    cause          TEXT CHECK (cause IN ('BEYOND_EOF', 'BAD_SECTOR', 'FAT_CHAIN_SHORT', 'FAT_CHAIN_LOOP', 'FAT_CHAIN_INVALID',
                       'CROSS_LINK', 'IMPLAUSIBLE_SIZE', 'CHECKSUM', 'FS_CORRUPT', 'NOT_TRIED', 'NOT_TRIMMED', 'NOT_SCRAPED',
                       'IO_ERROR', 'MISSING_FILE', 'MOUNT_LOST', 'MOUNT_INACCESSIBLE', 'PERMISSION', 'TIMEOUT', 'STORE_FULL',
                       'STORE_ERROR', 'CATALOG_ERROR', 'UNSUPPORTED_FS', 'UNSUPPORTED_COMPRESSION', 'ENCRYPTED', 'PARSER_CRASH',
                       'PARSER_TIMEOUT')),
    evidence       TEXT NOT NULL CHECK (json_valid(evidence)),
    exception_type TEXT,
    exception_msg  TEXT,
    worker_id      TEXT NOT NULL,
    timestamp      TEXT NOT NULL
) STRICT;
CREATE INDEX diagnostic_event_inode ON diagnostic_event (medium_hash, volume, ino);

CREATE TABLE schema_migration (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    applied_at TEXT NOT NULL
) STRICT;

-- What a row that goes back into the queue becomes, whoever sends it there: its older errors no longer count, and what
-- only this host said of it (not the image) is forgotten. The verdict that stands in the image stays.
CREATE TRIGGER inode_requeued AFTER UPDATE OF copied, claimed_by ON inode_row
WHEN NEW.copied = 0 AND NEW.claimed_by IS NULL AND (OLD.copied <> 0 OR OLD.claimed_by IS NOT NULL)
BEGIN
    DELETE FROM missing_range
     WHERE medium_hash = (SELECT medium_hash FROM medium WHERE medium_key = NEW.medium) AND volume = NEW.volume AND ino = NEW.ino
       AND cause IN ('IO_ERROR', 'MISSING_FILE', 'MOUNT_LOST', 'MOUNT_INACCESSIBLE', 'PERMISSION', 'TIMEOUT', 'STORE_FULL',
                     'STORE_ERROR', 'CATALOG_ERROR');
    UPDATE inode_row
       SET errors_before_requeue = coalesce(json_array_length(errors), 0),
           claimed_at = NULL,
           (cause, missing_bytes) = (
               SELECT coalesce(max(r.cause) FILTER (WHERE bytes = most),
                               CASE WHEN NEW.cause NOT IN ('IO_ERROR', 'MISSING_FILE', 'MOUNT_LOST', 'MOUNT_INACCESSIBLE',
                                                           'PERMISSION', 'TIMEOUT', 'STORE_FULL', 'STORE_ERROR', 'CATALOG_ERROR')
                                    THEN NEW.cause END),
                      coalesce(sum(bytes), 0)
                 FROM (SELECT cause, sum(length) AS bytes, max(sum(length)) OVER () AS most
                         FROM missing_range
                        WHERE medium_hash = (SELECT medium_hash FROM medium WHERE medium_key = NEW.medium)
                          AND volume = NEW.volume AND ino = NEW.ino
                        GROUP BY cause) r)
     WHERE row = NEW.row;
END;

CREATE VIEW inode (medium_hash, volume, ino, image_id, fs_type, fs_ino, stream, allocated, dev, nlink, size, mtime, mtime_ns,
                   atime, ctime, crtime, mode, uid, gid, attributes, target, first_offset, extents, status, copied, claimed_by,
                   claimed_at, blobid, partial_blobid, missing_bytes, cause, evidence, error_type, errors, mime_type,
                   processed_at) AS
    SELECT m.medium_hash, i.volume, i.ino, i.image_id, i.fs_type, coalesce(i.fs_ino, CAST(i.ino AS TEXT)), i.stream, i.allocated,
           i.dev, i.nlink, i.size, i.mtime, i.mtime_ns, i.atime, i.ctime, i.crtime, i.mode, i.uid, i.gid, i.attributes, i.target,
           i.first_offset, i.extents, i.status, i.copied, i.claimed_by, i.claimed_at,
           CASE WHEN i.blobid IS NOT NULL THEN lower(hex(i.blobid)) END,
           CASE WHEN i.partial_blobid IS NOT NULL THEN lower(hex(i.partial_blobid)) END,
           i.missing_bytes, i.cause, i.evidence, i.error_type, coalesce(i.errors, '[]'), i.mime_type, i.processed_at
      FROM inode_row i JOIN medium m ON m.medium_key = i.medium;

CREATE VIEW path (medium_hash, volume, entry, ino, path, short_name, exclude_reason) AS
    SELECT m.medium_hash, p.volume, p.entry, p.ino, p.path, p.short_name, p.exclude_reason
      FROM path_row p JOIN medium m ON m.medium_key = p.medium;

-- UPDATE of the views. There is no trigger for INSERT and DELETE, so SQLite refuses them: records are never destroyed.

CREATE TRIGGER inode_update_refused INSTEAD OF UPDATE ON inode
WHEN (NEW.medium_hash, NEW.volume, NEW.ino, NEW.image_id, NEW.fs_type, NEW.fs_ino, NEW.stream, NEW.allocated, NEW.dev, NEW.nlink,
      NEW.size, NEW.mtime, NEW.mtime_ns, NEW.atime, NEW.ctime, NEW.crtime, NEW.mode, NEW.uid, NEW.gid, NEW.attributes, NEW.target,
      NEW.first_offset, NEW.extents)
     IS NOT
     (OLD.medium_hash, OLD.volume, OLD.ino, OLD.image_id, OLD.fs_type, OLD.fs_ino, OLD.stream, OLD.allocated, OLD.dev, OLD.nlink,
      OLD.size, OLD.mtime, OLD.mtime_ns, OLD.atime, OLD.ctime, OLD.crtime, OLD.mode, OLD.uid, OLD.gid, OLD.attributes, OLD.target,
      OLD.first_offset, OLD.extents)
  OR (NEW.blobid IS NOT NULL AND NEW.blobid IS NOT OLD.blobid)
  OR (NEW.partial_blobid IS NOT NULL AND NEW.partial_blobid IS NOT OLD.partial_blobid)
BEGIN
    SELECT RAISE(ABORT, 'inode: this column cannot be set (the outcome can: status, copied, cause ...; blobid to NULL)');
END;

-- A regular file that is put aside by hand with copied and claimed_by alone, as the mission does it
-- (SET copied = true, claimed_by = 'DIAGNOSTIC_SKIP:BEYOND_EOF'), gets the status and cause which that means.
CREATE TRIGGER inode_put_aside INSTEAD OF UPDATE ON inode
WHEN OLD.fs_type = 'f' AND OLD.copied = 0 AND NEW.copied = 1 AND NEW.claimed_by IS NOT NULL AND NEW.status IS OLD.status
BEGIN
    UPDATE inode_row
       SET copied = 1,
           claimed_by = NEW.claimed_by,
           claimed_at = NEW.claimed_at,
           blobid = NULL,
           status = CASE WHEN NEW.claimed_by GLOB 'EXCLUDED*' THEN 'excluded'
                         WHEN status = 'damaged' THEN 'damaged'
                         ELSE 'unreadable' END,
           partial_blobid = CASE WHEN NEW.claimed_by NOT GLOB 'EXCLUDED*' THEN partial_blobid END,
           cause = CASE WHEN NEW.claimed_by GLOB 'EXCLUDED*' THEN NULL
                        WHEN NEW.cause IS NOT OLD.cause THEN NEW.cause
                        WHEN NEW.claimed_by GLOB 'DIAGNOSTIC_SKIP:*' THEN substr(NEW.claimed_by, 17)
                        WHEN NEW.claimed_by = 'FAT_ERROR_SKIP' THEN coalesce(cause, 'FAT_CHAIN_INVALID')
                        ELSE coalesce(cause, 'IO_ERROR') END,
           missing_bytes = CASE WHEN status = 'damaged' OR NEW.claimed_by GLOB 'EXCLUDED*' THEN missing_bytes ELSE size END,
           evidence = NEW.evidence,
           error_type = NEW.error_type,
           errors = NEW.errors,
           mime_type = NEW.mime_type,
           processed_at = NEW.processed_at
     WHERE medium = (SELECT medium_key FROM medium WHERE medium_hash = OLD.medium_hash) AND ino = OLD.ino AND volume = OLD.volume;
    INSERT OR IGNORE INTO missing_range (medium_hash, volume, ino, file_offset, length, cause)
        SELECT medium_hash, volume, ino, 0, size, cause FROM inode
         WHERE medium_hash = OLD.medium_hash AND ino = OLD.ino AND volume = OLD.volume AND status = 'unreadable' AND size > 0
           AND NOT EXISTS (SELECT 1 FROM missing_range r
                            WHERE r.medium_hash = OLD.medium_hash AND r.volume = OLD.volume AND r.ino = OLD.ino);
END;

CREATE TRIGGER inode_updated INSTEAD OF UPDATE ON inode
WHEN NOT (OLD.fs_type = 'f' AND OLD.copied = 0 AND NEW.copied = 1 AND NEW.claimed_by IS NOT NULL AND NEW.status IS OLD.status)
BEGIN
    UPDATE inode_row
       SET status = NEW.status,
           -- What has no content cannot be queued: a reset of a whole medium leaves it alone.
           copied = CASE WHEN fs_type = 'f' THEN NEW.copied ELSE 1 END,
           claimed_by = CASE WHEN fs_type = 'f' THEN NEW.claimed_by ELSE claimed_by END,
           claimed_at = NEW.claimed_at,
           blobid = CASE WHEN NEW.status = 'stored' AND NEW.blobid IS NOT NULL THEN blobid END,
           partial_blobid = CASE WHEN NEW.status = 'damaged' AND NEW.partial_blobid IS NOT NULL THEN partial_blobid END,
           missing_bytes = NEW.missing_bytes,
           cause = NEW.cause,
           evidence = NEW.evidence,
           error_type = NEW.error_type,
           errors = NEW.errors,
           mime_type = NEW.mime_type,
           processed_at = NEW.processed_at
     WHERE medium = (SELECT medium_key FROM medium WHERE medium_hash = OLD.medium_hash) AND ino = OLD.ino AND volume = OLD.volume;
END;

CREATE TRIGGER path_update_refused INSTEAD OF UPDATE ON path
WHEN (NEW.medium_hash, NEW.volume, NEW.entry, NEW.ino, NEW.path, NEW.short_name)
     IS NOT (OLD.medium_hash, OLD.volume, OLD.entry, OLD.ino, OLD.path, OLD.short_name)
BEGIN
    SELECT RAISE(ABORT, 'path: only exclude_reason can be set');
END;

CREATE TRIGGER path_updated INSTEAD OF UPDATE ON path
BEGIN
    UPDATE path_row SET exclude_reason = NEW.exclude_reason
     WHERE medium = (SELECT medium_key FROM medium WHERE medium_hash = OLD.medium_hash)
       AND volume = OLD.volume AND entry = OLD.entry;
END;
