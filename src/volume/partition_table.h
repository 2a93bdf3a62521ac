// Partition tables: MBR with extended partitions and BSD labels (read here), GPT, Apple and Sun (through libtsk).
//
// The MBR is ours because libtsk refuses a whole table when one of its first partitions starts beyond the image, and
// truncated images of old disks are what we get.
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
    std::string type;   // "0x83", "Apple_HFS"; empty where libtsk does not give it (GPT)
    std::string name;   // GPT's partition name, UTF-8
    enum class Kind : uint8_t { plain, extended, disklabel } kind = Kind::plain;  // the last two hold other partitions
};

struct PartitionTable {
    std::string type = "none";  // as Detection::table
    std::vector<Partition> partitions;
    std::vector<Finding> findings;  // partition_table_damaged
};

// The table of the image; type "none" if there is none that makes sense. Ends on any input: each table has a limit and a
// chain of extended partitions is followed to each sector once. Fails only where the source cannot be read.
// Sources: "MBR" as in IBM PC DOS 3.3 FDISK and Linux block/partitions/msdos.c; FreeBSD sys/disklabel.h; libtsk 4.11.1.
Result<PartitionTable> read_partition_table(const ByteSource& source);

}  // namespace ntt
