// GUID partition tables, from the first header and its copy at the end of the medium.
#pragma once

#include <optional>

#include "volume/partition_table.h"
#include "volume/probe_window.h"

namespace ntt {

struct Gpt {
    PartitionTable table;
    bool from_copy_alone = false;  // the first header is not there, or none: the medium may have been partitioned anew since
};

// nullopt if there are no entries that make sense in either place. Both are checked: header and entries have a CRC-32 each.
// Where both headers are lost the entries are looked for in sector 2 and before the last one. A copy that cannot be read, and one that says something else, are findings too.
// Findings: partition_table_damaged (the first is damaged), partition_table_copy_damaged, partition_tables_differ.
// Source: UEFI Specification 2.10, chapter 5; measured against sgdisk.
std::optional<Gpt> read_gpt(const ProbeWindow& image, uint64_t sector_size);

}  // namespace ntt
