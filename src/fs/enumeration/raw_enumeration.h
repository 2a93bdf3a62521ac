// The predecessor's raw records: a listing as `find -printf '%y\034%D\034%i\034%n\034%s\034%T@\034%p\0'` writes it. For
// exchange with what is there; our own format (enumeration_file.h) keeps more and can tell whether it is whole.
// Format: docs/formats/enumeration.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "os/env.h"

namespace ntt {

struct RawOptions {
    std::string root;  // the mount point: written before each path. Empty: paths begin with a slash and the first name
    uint64_t dev = 1;  // the second field of each record
};

// Writes one record for each name of one volume's listing. What the format has no place for is lost: all of an inode but its
// type, links, size and whole seconds of mtime (0 if it has none), inodes without a name, findings, extents. Memory: about
// 60 bytes for each inode. One thread at a time.
class RawEnumerationWriter final : public EntrySink {
public:
    // `file` is empty and open for writing; it and the Env must outlive the writer.
    RawEnumerationWriter(Env& env, const Fd& file, RawOptions options);
    ~RawEnumerationWriter() override;

    Result<void> add_inode(InodeEntry inode) override;
    // malformed for a name whose inode was not added, or that no record can hold.
    Result<void> add_name(NameEntry name) override;
    void add(Finding) override;

    // Writes what is left; syncing is the caller's affair. unsupported when there was no name: a file without records cannot
    // be told from the work of a program that failed, and every reader refuses it.
    Result<void> finish();

    uint64_t records() const;
    uint64_t findings_lost() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// A reader for the one volume in a file of raw records, which is called `name` in Errors. Reads the file once, and refuses
// it before anything is listed: malformed with the record's number and place, unsupported for the older format with
// permission bits in front. Each list() reads it again. Paths must lie below `root`, which is taken from them; without a
// root only the leading slash or "./" is.
//
// Inodes are (dev, ino) of the records. The numbers of the first record's dev are kept where they are below 2^62; all others
// get numbers from 2^62 up in the order in which they appear, and fs_ino is "dev:ino" for those of another dev. A file has
// ContentAccess::through_reader and no extents: where its content lies is not in the records, and read_content is
// unsupported. Whoever loads them has to find the file by its path in the medium's image or tree before it copies.
//
// Findings, the first 10,000 of each kind: duplicate_record (dev, ino and path once more), duplicate_entry (a path once
// more, of another inode), conflicting_records (an inode with another type, size or mtime: the first holds), with evidence
// {"path","first_record","record"}. Doubled names are all listed. findings_left_out says how many more there were.
// detail() has the counts. Memory: about 110 bytes for each inode with one name.
Result<std::unique_ptr<FsReader>> open_raw_enumeration(Env& env, Fd file, std::string name, std::string root, const CancelToken& cancel);

}  // namespace ntt
