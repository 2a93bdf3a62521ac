// How the files of a volume are reached. One implementation for each way: fat/ (ours), tsk/ (libtsk).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/cause.h"
#include "base/extent.h"
#include "base/finding.h"
#include "base/result.h"
#include "image/byte_source.h"
#include "volume/volume.h"

namespace ntt {

// Damage to a file's content that only the filesystem's own structures show. Bytes [file_offset, +length) of the file
// cannot be located or trusted. `evidence` is a JSON object, e.g. {"cluster":12,"next":5,"at_cluster_index":3}.
struct ContentFault {
    Cause cause = Cause::FS_CORRUPT;
    uint64_t file_offset = 0;
    uint64_t length = 0;
    std::string evidence = "{}";
};

// How to get the content of an inode.
enum class ContentAccess : uint8_t {
    none,            // not a regular file
    extents,         // data and hole extents are the content; read them from the image
    through_reader,  // read_content() gives it (resident, compressed); opaque extents say what it depends on
    unreadable,      // encrypted or in a compression that is not read: a fault over the whole size says which
};

// One file of a volume: what the filesystem says of it. Times are seconds since 1970-01-01 UTC; absent is nullopt.
struct InodeEntry {
    int64_t ino = 0;        // unique in the volume, the same at every run
    std::string fs_ino;     // the filesystem's own number, in its own form ("12", "33-128-1")
    std::string stream;     // name of an alternate stream or fork; empty for the main one
    char fs_type = 'f';     // f d l b c p s u
    bool allocated = true;
    uint64_t nlink = 1;
    uint64_t size = 0;
    std::optional<int64_t> mtime, atime, ctime, crtime;
    int mtime_ns = 0;
    std::optional<int> mode;         // permission bits and type, as st_mode
    std::optional<int64_t> uid, gid;
    std::optional<int> attributes;   // FAT and NTFS attribute bits
    std::optional<std::string> target;  // of a symlink, raw bytes
    ContentAccess access = ContentAccess::none;
    std::vector<Extent> extents;     // sorted by file_offset, clipped to size, without overlaps
    // Bytes of [0, size) under neither an extent nor a fault are a reader's bug. Sorted by file_offset.
    std::vector<ContentFault> faults;
};

// One name. `path` is relative to the volume's root, parts joined by '/', no leading slash, raw bytes.
struct NameEntry {
    std::string path;
    std::string short_name;  // FAT 8.3 name as raw bytes "NAME.EXT", empty elsewhere
    int64_t ino = 0;
};

// Where the names of a directory stand, as far as they were looked for. A sector of it that was not read from the medium
// is zeros in the image and looks like an end: whoever has the rescue map must be told the place.
struct DirectoryPlace {
    std::string path;             // as in NameEntry; empty for the root
    std::optional<int64_t> ino;   // nullopt for the root
    std::vector<ByteRange> ranges;  // of the image
};

// Takes entries as they are found, from the thread that lists. An Error stops the listing and is passed on.
class EntrySink : public FindingSink {
public:
    // Once for each inode, before its first name.
    virtual Result<void> add_inode(InodeEntry inode) = 0;
    // Once for each directory entry, doubled names included; the root itself has no entry.
    virtual Result<void> add_name(NameEntry name) = 0;
    // Once for each directory that was listed; a sink without a rescue map has no use for it.
    virtual void add_directory(DirectoryPlace) {}
};

// Bytes of the image that were not read from the medium, and why.
struct UnreadRange {
    ByteRange range;
    Cause cause = Cause::BAD_SECTOR;
};

struct ReaderProgram;  // both: image/reader_process.h
struct SpareReader;

// Whether what is lost may be replaced by what the medium has elsewhere (backups, mirrors, evidence). Never on the medium.
enum class Repairs : uint8_t { allowed, none };

// What is decided outside the filesystem.
struct ReaderOptions {
    std::string fat_codepage = "cp850";
    std::string fat_timezone = "UTC";  // an IANA name
    // From the rescue map, sorted and disjoint: structures there are not to be trusted. Null: everything was read.
    std::shared_ptr<const std::vector<UnreadRange>> unread = nullptr;
    std::shared_ptr<const std::string> fat_zone_file = nullptr;  // the zone's file, where none can be opened; null: by name
    // The program that parses, each volume in a sandboxed process of its own; null: in this process.
    std::shared_ptr<const ReaderProgram> program = nullptr;
    std::shared_ptr<SpareReader> spare = nullptr;  // of this image: left by detection for the first volume
    Repairs repairs = Repairs::allowed;  // repairs that a volume's detail records are made all the same
};

class FsReader {
public:
    virtual ~FsReader() = default;

    // Walks the whole tree once. Bounded memory (names of open directories; a set of seen inodes). Damage goes to
    // `sink` as findings: directory_unreadable ("files may be missing here"), directory_loop, name_invalid …
    virtual Result<void> list(EntrySink& sink, const CancelToken& cancel) = 0;

    // Content of an inode with ContentAccess::through_reader, by the fs_ino and stream it was listed with. Fills `out`
    // from `offset`; shorter only at the end. io when the structures do not allow it. One thread at a time.
    virtual Result<size_t> read_content(const std::string& fs_ino, const std::string& stream, uint64_t offset, ByteSpan out) = 0;

    // Facts for volume.detail as a JSON object (code page, time zone, cluster size, deleted entries seen …); complete
    // after list().
    virtual std::string detail() const { return "{}"; }
};

// Opens the reader for a volume that detection called readable, in this process: options.program has no say. The source must outlive it. `findings` gets what the
// superblock or boot sector shows. unsupported or io when it cannot be opened after all (the volume is then failed).
// Repairs that volume.detail records (repair/repair.h) lie over the image, and what they cover is not unread.
Result<std::unique_ptr<FsReader>> open_reader(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                              FindingSink& findings);

}  // namespace ntt
