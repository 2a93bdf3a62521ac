// The reader of FAT12, FAT16 and FAT32.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// Reads the boot sector and the allocation table of `volume`; list() walks the directories. Bytes beyond the image's end
// are absent: what of FAT or directories lies there is a finding, extents of files are given as the chains have them
// (whoever judges them sees that they are beyond the end).
//
// Names: the long name, else the short one through options.fat_codepage with its lower-case bits obeyed. What cannot
// stand in a path is replaced as names.h says (finding name_invalid); short_name has the raw bytes always.
// Numbers: ino is the offset of the directory entry in the volume, divided by 32; fs_ino is the same in decimal.
// Order: each directory's entries as on disk, parents before children. Two entries of one name are two inodes.
// Times: options.fat_timezone (see timestamps.h); fields that no calendar has give no time.
//
// Where the copies of the FAT differ, each sector is taken from the one under which more files are whole (copy_choice.h; finding
// repaired); a file that is whole in both but differently is FAT_CHAIN_INVALID from where they part. With Repairs::none it is the first copy.
// Findings: fat_copies_differ, fat_beyond_image (from opening); fat_garbage (sectors of the table that are not believed,
// table_trust.h), fat_zeroed (the table was lost from its start on); directory_unreadable ("files may be missing here"; kind zeroed or garbage where its sectors hold no directory),
// directory_dots_wrong, directory_loop, directory_cross_link (files run into directories: ranges), entries_behind_end (an unread
// sector looks like an end mark), duplicate_entry, implausible_date (no time is given for what no calendar has), name_invalid,
// long_name_orphan (once a directory), fat_chain_long (the chain goes on behind the file's last byte), fat_chain_unterminated (content
// complete, but the last link is no end mark), lost_clusters (in use and nobody's). At most kMaxFindingsPerCode of each; detail()
// counts the rest. Errors: unsupported when the boot sector is not that of a FAT volume, or the volume's end overflows;
// invalid_argument for an unknown code page or time zone; those of ByteSource::read.
//
// What is listed although no entry leads to it in order: entries behind a sector of zeros, if the table bears them out; and
// directories in chains that belong to nobody, or anywhere under a lost table, which say themselves what they are, as "$lost/cluster-<first cluster>/...". Entries
// in sectors that were not read are never listed. A directory whose first entries name another place or parent goes last.
//
// detail(): codepage, timezone, fat_bits, sector_size, cluster_size, clusters, oem_name, type_text, label, boot_label,
// media, fat_sectors_differ, active_fat, deleted_entries, implausible_dates (entries with an impossible date, or one more
// than a year ahead), lost_clusters, lost_chains, fat_sectors_garbage, findings_left_out, oddities.
Result<std::unique_ptr<FsReader>> open_fat(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

// invalid_argument for a code page or time zone that is not known: better said before the first image than of each.
Result<void> check_fat_options(const ReaderOptions& options);

inline constexpr uint64_t kMaxFindingsPerCode = 1000;       // of one volume: a directory of garbage has many
inline constexpr uint64_t kMaxEntriesPerDirectory = 65536;  // FAT specification: 2 MiB
inline constexpr int kMaxDirectoryDepth = 256;              // DOS allows 66 characters of path, Windows 260

}  // namespace ntt
