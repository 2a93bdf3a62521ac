// Partition tables: MBR with extended partitions and BSD labels (read here), GPT (gpt.h), Apple and Sun (through libtsk).
//
// MBR and GPT are ours because libtsk refuses a whole table when one of its first partitions starts beyond the image, and
// truncated images of old disks are what we get; and it checks none of GPT's checksums.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/finding.h"
#include "base/result.h"
#include "image/byte_source.h"

namespace ntt {

inline constexpr int kMaxPartitions = 512;  // of one table, its logical partitions included; what is beyond gets a finding

struct Partition {
    ByteRange range;    // as the table declares: may reach or even start beyond the image
    std::string table;  // dos gpt mac bsd sun
    std::string slot;   // as the table counts: "1" to "4", logical ones from "5"; BSD "a" to "p"
    std::string type;   // "0x83", "Apple_HFS", GPT's type GUID
    std::string name;   // GPT's partition name, UTF-8
    enum class Kind : uint8_t { plain, extended, disklabel } kind = Kind::plain;  // the last two hold other partitions
    std::string uuid = {};  // GPT's
};

struct PartitionTable {
    std::string type = "none";  // as Detection::table
    std::string disk_id;        // MBR's signature ("0x01a70c34") or GPT's disk GUID: two images with one are of one disk
    std::vector<Partition> partitions;
    std::vector<Finding> findings;       // partition_table_damaged, partition_table_copy_damaged, partition_tables_differ
    std::vector<PartitionTable> others;  // at most one: another table that is whole and says something else
    bool doubtful = false;               // a filesystem over the whole medium is the better explanation, if there is one
    bool unproven = false;               // it is none, unless something is recognised in one of its partitions
};

// The table of the image; type "none" if there is none that makes sense. Ends on any input: each table has a limit and a
// chain of extended partitions is followed to each sector once. Fails only where the source cannot be read.
//
// Where MBR and GPT are both there: a protective MBR (type 0xEE) means the GPT; what else it lists, and the GPT does not,
// is added. Without one the MBR is the table, as for firmware and kernels, and a GPT that says otherwise is in `others`.
// Without an MBR a GPT counts, also from its copy or its entries alone (then it is doubtful). A protective entry is no partition.
// Of an MBR with impossible entries the others are taken (then it is unproven).
// Sources: "MBR" as in IBM PC DOS 3.3 FDISK and Linux block/partitions/msdos.c; FreeBSD sys/disklabel.h; libtsk 4.11.1.
Result<PartitionTable> read_partition_table(const ByteSource& source);

}  // namespace ntt
