// The reader of UDF.
#pragma once

#include <memory>

#include "fs/fs_reader.h"

namespace ntt {

// UDF 1.02 to 2.60 on sectors of 512 to 4096 bytes: plain, sparable, virtual (CD-R, DVD-R) and metadata partitions.
// Numbers: ino is the block of the file's descriptor, plus 2^32 for each partition map before its own. A named stream
// (the resource fork of Mac OS is one) is a stream: ino = 2^62 + its number, path = the first name of its file + ":" + its name.
// What stands in descriptors whose checksum or CRC is wrong is not believed: a file whose own descriptor is damaged is a finding
// inode_unreadable; one whose name is damaged is listed with a fault CHECKSUM over all its bytes, as an inode of its own
// (3 * 2^61 + the place of the name), because the name may be another file's. Where folders are damaged the next sound name
// is looked for.
// Findings: directory_unreadable ("files may be missing here"), directory_loop, inode_unreadable, name_damaged, name_invalid,
// path_too_long, udf_file_set_lost (the root folder was found by searching), udf_table_older, udf_table_rebuilt,
// udf_table_lost (space.h).
// Errors: unsupported when the descriptors are not there; those of ByteSource::read. detail(): revision, block_size,
// deleted_entries.
Result<std::unique_ptr<FsReader>> open_udf(const ByteSource& source, const Volume& volume, const ReaderOptions& options,
                                           FindingSink& findings);

}  // namespace ntt
