// Inodes of ext2/3/4 and UFS as they stand on the disk: where they are, what they say, and whether that is to be believed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/result.h"
#include "fs/fs_reader.h"
#include "fs/listing/listing_report.h"
#include "fs/listing/unread_ranges.h"
#include "fs/unix/ext_checksums.h"
#include "fs/unix/unix_blocks.h"
#include "fs/unix/unix_directory.h"
#include "volume/volume.h"

namespace ntt {

struct UnixInode {
    uint64_t ino = 0;
    ByteRange place;  // in the image
    int mode = 0;
    uint64_t nlink = 0, size = 0;
    int64_t uid = 0, gid = 0, mtime = 0, atime = 0, ctime = 0;
    std::optional<int64_t> crtime;
    int mtime_ns = 0;
    bool deleted = false;      // has a time of deletion
    bool encrypted = false;    // content, names below it and a link's target are ciphertext
    bool compressed = false;   // by e2compr
    bool holds_values = false;  // extended attributes of other inodes
    bool hash_tree = false;    // a directory with an index

    enum class Content : uint8_t { indirect, extents, in_inode } content = Content::indirect;
    InodeAddresses addresses{};
    uint64_t held_bytes = 0;  // of indirect content: at least what its data and its indirect blocks take
    std::array<uint8_t, 60> extent_root{};
    std::string in_inode;  // a short link's target, the content of a small file, entries of a small directory

    // Of an inode whose filesystem has checksums.
    std::optional<uint32_t> checksum_seed;
    std::optional<ChecksumPair> mismatch;  // of the inode itself, or of the descriptor that says where it is

    char type_letter() const;  // f d l b c p s u
};

// An inode that cannot be believed has a reason instead.
struct UnixInodeRead {
    std::optional<UnixInode> inode;
    std::string reason;
    std::optional<UnreadRange> unread;  // the reason is that this was not read from the medium
    std::optional<uint64_t> image_offset;
};

// One filesystem's tables of inodes. Reads through UnixBlocks, whose failure() is that of this computer.
class UnixInodes {
public:
    virtual ~UnixInodes() = default;

    virtual UnixBlocks& blocks() = 0;
    virtual DirectoryFormat directory_format() const = 0;
    virtual uint64_t root() const { return 2; }
    virtual uint64_t count() const = 0;  // numbers go from 1 to this
    virtual UnixInodeRead read(uint64_t ino) = 0;
    // What the bitmap says; nullopt where it cannot be read or fails its checksum.
    virtual std::optional<bool> is_marked_used(uint64_t ino) = 0;
    // Whether an inode that no directory names may be somebody's file: the table was written there, and the number is not
    // one of the filesystem's own.
    virtual bool may_be_lost_file(uint64_t ino) = 0;
    // The last inode of the table that `ino` is in: a table that the image does not have is passed over as one.
    virtual uint64_t end_of_table(uint64_t ino) const = 0;
    // Checks what belongs to the filesystem as a whole: superblock, descriptors, bitmaps. Findings: checksum_failed,
    // superblock_on_missing_sectors, journal_not_replayed.
    virtual Result<void> check(ListingReport& report, FindingSink& sink, const CancelToken& cancel) = 0;
    virtual void add_detail(nlohmann::json& detail) const = 0;
};

// unsupported when the superblock does not make sense. `source` must outlive what is returned.
Result<std::unique_ptr<UnixInodes>> open_ext_inodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread);
Result<std::unique_ptr<UnixInodes>> open_ufs_inodes(const ByteSource& source, const Volume& volume, const UnreadRanges& unread);

}  // namespace ntt
