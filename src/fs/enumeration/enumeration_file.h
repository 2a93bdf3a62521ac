// A listing in a file: what `ntt enum` writes, and `ntt load` reads as if it listed the filesystem itself.
// Format: docs/formats/enumeration.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/ids.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "os/env.h"
#include "volume/volume.h"

namespace ntt {

// --- Contents ---
struct EnumerationHeader;  // whose listing it is, and who made it
struct EntryCounts;        // how much there is
struct ListedVolume;   // one volume, as it was after its listing
class EnumerationWriter;   // writes a file
class Enumeration;         // reads one; each volume is an FsReader

inline constexpr uint8_t kEnumerationVersion = 1;

enum class EnumeratedKind : uint8_t { image, directory };

// Texts are UTF-8 and at most 64 KiB; those for people may be empty.
struct EnumerationHeader {
    std::string medium_hash;   // is_medium_hash() holds
    std::string medium_human;  // the operator's label
    EnumeratedKind kind = EnumeratedKind::image;
    std::optional<BlobId> image_digest;   // BLAKE3 of the whole image; nullopt for a directory, or when it is not known
    std::optional<int64_t> image_size;    // bytes
    std::string tool_version;
    std::string worker;                   // who made it and where: free words
    int64_t started_us = 0;               // since 1970-01-01 UTC
    std::string detail = "{}";            // JSON object: what else the maker wants to be known (rescue map, options)
};

struct EntryCounts {
    uint64_t inodes = 0, names = 0, directories = 0, findings = 0;

    EntryCounts& operator+=(const EntryCounts& other) {
        inodes += other.inodes;
        names += other.names;
        directories += other.directories;
        findings += other.findings;
        return *this;
    }
    bool operator==(const EntryCounts&) const = default;
};

struct ListedVolume {
    Volume volume;                      // as detection gave it, repairs included
    Outcome outcome = Outcome::read;    // of the listing: one that ended early has entries too
    std::string detail = "{}";          // what FsReader::detail() said: a JSON object
    EntryCounts counts;
};

// Writes one file from front to back: begin_volume(), a listing into the writer itself, end_volume(), for each volume, and
// finish(). What is not finished is refused by every reader. Memory: a buffer of 1 MiB, and a bit for each inode of the
// volume. One thread at a time.
//
// Entries must keep the promises of fs_reader.h, or the file could not be read again: malformed for one that does not. An
// Error of a sink that has nothing to return (findings, directories) comes out of the next call, and the file is lost then.
class EnumerationWriter final : public EntrySink {
public:
    // `file` is empty and open for writing; it and the Env must outlive the writer. invalid_argument for a header that
    // could not be read again.
    static Result<std::unique_ptr<EnumerationWriter>> create(Env& env, const Fd& file, const EnumerationHeader& header);
    ~EnumerationWriter() override;

    // Numbers of volumes are from 1 to 4096, each once; anything else is invalid_argument.
    Result<void> begin_volume(const Volume& volume);
    // Of the volume that was begun. Beyond 100,000 findings of one volume the rest is a number: findings_left_out.
    Result<void> add_inode(InodeEntry inode) override;
    Result<void> add_name(NameEntry name) override;
    void add_directory(DirectoryPlace place) override;
    // Outside of volumes: a finding on the medium.
    void add(Finding finding) override;
    Result<void> end_volume(Outcome outcome, const std::string& detail);

    // Writes what is left. Syncing, and giving the file its name, are the caller's affair.
    Result<void> finish();

    EntryCounts counts() const;  // of everything so far

private:
    struct State;
    explicit EnumerationWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// A file that was read through once and found to be whole: every check, every count, every entry. Reading a volume later
// checks all of it again, and is an Error only if the file has changed meanwhile.
class Enumeration {
public:
    virtual ~Enumeration() = default;

    virtual const EnumerationHeader& header() const = 0;
    virtual const std::vector<ListedVolume>& volumes() const = 0;
    virtual EntryCounts counts() const = 0;

    // Findings that stand outside of volumes.
    virtual Result<void> medium_findings(FindingSink& sink, const CancelToken& cancel) const = 0;

    // Lists volumes()[index] as its own reader did, in that order, as often as asked. read_content is unsupported: contents
    // are not in the file. The Enumeration must outlive the reader.
    virtual std::unique_ptr<FsReader> open_volume(size_t index) const = 0;
};

// Reads all of `file`, which is called `name` in Errors. Memory: a record (mostly 64 KiB, at most 64 MiB) and a bit for
// each inode of one volume. malformed, with what and where, for a file that is none of ours, damaged (record and byte) or
// cut short (how much is there); unsupported for a newer version; limit for more details than memory is for.
Result<std::unique_ptr<Enumeration>> open_enumeration(Env& env, Fd file, std::string name, const CancelToken& cancel);

// invalid_argument, with both hashes, when the file lists another medium than `medium_hash`.
Result<void> check_medium(const EnumerationHeader& header, std::string_view medium_hash, std::string_view name);

// What the first bytes of a file say it is: ours, or the predecessor's raw records (raw_enumeration.h). malformed if neither.
enum class EnumerationFormat : uint8_t { ntt, ntt_raw };
Result<EnumerationFormat> enumeration_format(Env& env, const Fd& file, std::string_view name);

}  // namespace ntt
